//! Compiling Cedar to images: parsed and validated by the `cedar-policy` crate, lowered by this one.

mod actions;
pub mod bounds;
mod error;
mod lower;
mod source;

pub use error::{CompileError, Place, Reason, Unsupported};

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;

use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator, pst};
use miette::Diagnostic;

use crate::build::{BuildError, ImageBuilder};
use crate::image::Image;
use actions::ActionNames;
use bounds::{MAX_POLICIES, MAX_SOURCE_BYTES};
use source::{Chunk, Lines};

/// The schema that [`compile`] validates against, in Cedar's schema syntax.
pub const SCHEMA: &str = include_str!("../../schema/tidelock.cedarschema");

/// Cedar text to be compiled, with the name that errors give it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'s> {
    /// A file's or document's name.
    pub name: &'s str,
    /// Any number of policies.
    pub text: &'s str,
}

/// What compiling made.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The image, which [`Image::check`] accepts.
    pub image: Vec<u8>,
    /// The proven cost of the dearest decision, in steps: [`Image::cost`].
    pub cost: u32,
    /// Where each policy stands, in the order of the sources. Decisions name policies by [`Place::policy`].
    pub policies: Vec<Place>,
    /// What Cedar's validator finds odd, such as a policy that can match no request. Their reason is [`Reason::Warning`].
    pub warnings: Vec<CompileError>,
}

/// Compiles policies, valid by the schema [`SCHEMA`], to one image.
///
/// # Errors
/// All that is wrong with any policy, in the order of the sources.
pub fn compile(sources: &[Source<'_>]) -> Result<Compiled, Vec<CompileError>> {
    compile_with_schema(SCHEMA, sources)
}

/// Compiles policies, valid by a schema of your own, to one image. An action outside a name space is named by its id in
/// requests, one within by its whole name, `Space::Action::"id"`.
///
/// # Errors
/// [`Reason::Schema`], or all that is wrong with any policy, in the order of the sources.
pub fn compile_with_schema(
    schema: &str,
    sources: &[Source<'_>],
) -> Result<Compiled, Vec<CompileError>> {
    let everywhere = |reason| {
        Vec::from([CompileError {
            place: None,
            reason,
        }])
    };
    let len = sources
        .iter()
        .fold(0usize, |sum, source| sum.saturating_add(source.text.len()));
    if len > MAX_SOURCE_BYTES {
        return Err(everywhere(Reason::SourceTooLong { len }));
    }
    let (schema, _) = Schema::from_cedarschema_str(schema)
        .map_err(|error| everywhere(Reason::Schema(with_help(&error))))?;
    let names = ActionNames::of(&schema).map_err(|error| everywhere(Reason::Schema(error)))?;
    let lines: Vec<Lines<'_>> = sources
        .iter()
        .map(|source| Lines::new(source.name, source.text))
        .collect();
    let chunks = lines.iter().zip(sources).flat_map(|(lines, source)| {
        source::chunks(source.text)
            .into_iter()
            .map(move |chunk| (lines, chunk))
    });
    let chunks: Vec<_> = chunks.collect();
    let count = chunks.len();
    if count > MAX_POLICIES {
        return Err(everywhere(Reason::TooManyPolicies { count }));
    }
    let mut compilation = Compilation::default();
    for (number, (lines, chunk)) in chunks.into_iter().enumerate() {
        compilation.parse(number, lines, chunk);
    }
    compilation.validate(schema);
    compilation.build(&names)
}

/// A policy that Cedar could parse.
struct Parsed<'s> {
    number: usize,
    lines: &'s Lines<'s>,
    chunk: Chunk<'s>,
    policy: Policy,
}

#[derive(Default)]
struct Compilation<'s> {
    places: Vec<Place>,
    parsed: Vec<Parsed<'s>>,
    /// Each with the number of its policy, to be sorted by it.
    errors: Vec<(usize, CompileError)>,
    warnings: Vec<CompileError>,
}

impl<'s> Compilation<'s> {
    fn parse(&mut self, number: usize, lines: &'s Lines<'s>, chunk: Chunk<'s>) {
        let unparsed = chunk
            .written_id()
            .map_or_else(|| default_name(number), String::from);
        if let Err((at, reason)) = chunk.bounded() {
            self.places.push(lines.place(chunk.at, &unparsed));
            self.errors
                .push((number, error(lines.place(at, &unparsed), reason)));
            return;
        }
        match Policy::parse(Some(PolicyId::new(default_name(number))), chunk.text) {
            Ok(policy) => {
                let name = policy
                    .annotation("id")
                    .map_or_else(|| default_name(number), String::from);
                self.places.push(lines.place(chunk.at, &name));
                self.parsed.push(Parsed {
                    number,
                    lines,
                    chunk,
                    policy,
                });
            }
            Err(errors) => {
                self.places.push(lines.place(chunk.at, &unparsed));
                let errors = errors.iter().map(|parse| {
                    let at = chunk.at.saturating_add(offset(parse).unwrap_or(0));
                    (
                        number,
                        error(lines.place(at, &unparsed), Reason::Syntax(with_help(parse))),
                    )
                });
                self.errors.extend(errors);
            }
        }
    }

    fn place(&self, parsed: &Parsed<'_>, at: usize) -> Place {
        let name = self
            .places
            .get(parsed.number)
            .map_or("", |place| place.policy.as_str());
        parsed.lines.place(at, name)
    }

    fn validate(&mut self, schema: Schema) {
        let mut set = PolicySet::new();
        for parsed in &self.parsed {
            if let Err(refused) = set.add(parsed.policy.clone()) {
                let place = self.place(parsed, parsed.chunk.at);
                self.errors.push((
                    parsed.number,
                    error(place, Reason::Invalid(refused.to_string())),
                ));
            }
        }
        let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
        let by_id: alloc::collections::BTreeMap<String, &Parsed<'_>> = self
            .parsed
            .iter()
            .map(|parsed| (default_name(parsed.number), parsed))
            .collect();
        let place = |id: &PolicyId, at: Option<usize>| {
            let parsed = by_id.get(AsRef::<str>::as_ref(id))?;
            let at = parsed.chunk.at.saturating_add(at.unwrap_or(0));
            Some((parsed.number, self.place(parsed, at)))
        };
        let errors = result.validation_errors().map(|invalid| {
            let reason = Reason::Invalid(validation_text(invalid, invalid.policy_id()));
            match place(invalid.policy_id(), offset(invalid)) {
                Some((number, place)) => (number, error(place, reason)),
                None => (
                    usize::MAX,
                    CompileError {
                        place: None,
                        reason,
                    },
                ),
            }
        });
        let warnings = result.validation_warnings().map(|odd| CompileError {
            place: place(odd.policy_id(), offset(odd)).map(|(_, place)| place),
            reason: Reason::Warning(validation_text(odd, odd.policy_id())),
        });
        let (errors, warnings): (Vec<_>, Vec<_>) = (errors.collect(), warnings.collect());
        self.errors.extend(errors);
        self.warnings.extend(warnings);
    }

    fn build(mut self, names: &ActionNames) -> Result<Compiled, Vec<CompileError>> {
        let mut builder = ImageBuilder::new();
        for parsed in &self.parsed {
            let found = self.lower(parsed, names, &mut builder);
            self.errors
                .extend(found.into_iter().map(|error| (parsed.number, error)));
        }
        if !self.errors.is_empty() {
            self.errors
                .sort_by(|(a, x), (b, y)| (a, &x.place).cmp(&(b, &y.place)));
            self.errors.dedup();
            return Err(self.errors.into_iter().map(|(_, error)| error).collect());
        }
        let whole = |error: BuildError| {
            Vec::from([CompileError {
                place: None,
                reason: Reason::Image(error),
            }])
        };
        let image = builder.build().map_err(whole)?;
        let cost = Image::reopen(&image)
            .map_err(|error| whole(BuildError::Refused(error)))?
            .cost();
        Ok(Compiled {
            image,
            cost,
            policies: self.places,
            warnings: self.warnings,
        })
    }

    fn lower(
        &self,
        parsed: &Parsed<'_>,
        names: &ActionNames,
        builder: &mut ImageBuilder,
    ) -> Vec<CompileError> {
        let here = || self.place(parsed, parsed.chunk.at);
        let policy = match parsed.policy.to_pst() {
            Ok(pst::Policy::Static(policy)) => policy,
            Ok(_) => return Vec::from([error(here(), Reason::Unsupported(Unsupported::Slot))]),
            Err(wrong) => return Vec::from([error(here(), Reason::Invalid(wrong.to_string()))]),
        };
        match lower::lower(&policy, names, &parsed.chunk) {
            Ok(lowered) => lowered
                .with_rule(&here().policy, |rule| builder.push(rule))
                .err()
                .map(|bound| error(here(), Reason::Image(bound)))
                .into_iter()
                .collect(),
            Err(refusals) => refusals
                .into_iter()
                .map(|(at, what)| error(self.place(parsed, at), Reason::Unsupported(what)))
                .collect(),
        }
    }
}

fn error(place: Place, reason: Reason) -> CompileError {
    CompileError {
        place: Some(place),
        reason,
    }
}

/// The name of a policy without `@id`.
fn default_name(number: usize) -> String {
    format!("policy{number}")
}

/// Where a diagnostic points, from the start of the text that Cedar was given.
fn offset(diagnostic: &impl Diagnostic) -> Option<usize> {
    diagnostic.labels()?.map(|label| label.offset()).next()
}

/// What a diagnostic says, with its help.
fn with_help<D: Diagnostic + Display>(diagnostic: &D) -> String {
    match diagnostic.help() {
        Some(help) => format!("{diagnostic}; {help}"),
        None => diagnostic.to_string(),
    }
}

/// The same without the words by which Cedar names the policy: the place names it.
fn validation_text<D: Diagnostic + Display>(diagnostic: &D, policy: &PolicyId) -> String {
    with_help(diagnostic).replace(&format!("for policy `{policy}`, "), "")
}
