//! Compiling Cedar to images: parsed and validated by the `cedar-policy` crate, lowered by this one.

mod actions;
pub mod bounds;
mod error;
mod expression;
mod link;
mod literal;
mod lower;
mod operation;
mod source;
mod types;

pub use error::{CompileError, Place, Reason, Unsupported};
pub use link::Link;

use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;

use cedar_policy::{
    Policy, PolicyId, PolicySet, PolicySetError, Schema, Template, ValidationMode, Validator,
};
use miette::Diagnostic;

use crate::build::{BuildError, ImageBuilder, Types};
use crate::image::Image;
use actions::ActionNames;
use bounds::{MAX_POLICIES, MAX_SOURCE_BYTES};
use lower::Slots;
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

/// All that is wrong with policies, valid by the schema [`SCHEMA`] or not, and after that all that is odd about them.
/// Nothing is wrong if the reason of each is [`Reason::Warning`].
#[must_use]
pub fn check(sources: &[Source<'_>]) -> Vec<CompileError> {
    match compile(sources) {
        Ok(compiled) => compiled.warnings,
        Err(errors) => errors,
    }
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
    compile_linked(schema, sources, &[])
}

/// Compiles policies and templates, valid by a schema of your own, and links of the templates, to one image. A template
/// that nothing links is validated and decides nothing.
///
/// # Errors
/// [`Reason::Schema`], or all that is wrong with any policy, template or link, in the order of the sources.
pub fn compile_linked(
    schema: &str,
    sources: &[Source<'_>],
    links: &[Link<'_>],
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
    let types = types::types(schema).map_err(|error| everywhere(Reason::Schema(error)))?;
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
    compilation.link(links);
    compilation.validate(schema);
    compilation.build(&names, types)
}

/// A policy that Cedar could parse.
struct Parsed<'s> {
    /// Its place among the places.
    number: usize,
    lines: &'s Lines<'s>,
    chunk: Rc<Chunk<'s>>,
    body: Body<'s>,
}

/// What a parsed policy is.
enum Body<'s> {
    Policy(Policy),
    Template(Template),
    /// Of the template with that number.
    Link(usize, Link<'s>),
}

impl Body<'_> {
    fn id_annotation(&self) -> Option<&str> {
        match self {
            Self::Policy(policy) => policy.annotation("id"),
            Self::Template(template) => template.annotation("id"),
            Self::Link(..) => None,
        }
    }
}

#[derive(Default)]
struct Compilation<'s> {
    places: Vec<Place>,
    parsed: Vec<Parsed<'s>>,
    /// Each with the number of its policy, to be sorted by it.
    errors: Vec<(usize, CompileError)>,
    warnings: Vec<CompileError>,
}

impl Reason {
    /// What Cedar takes into no set of policies.
    fn refused(error: PolicySetError) -> Self {
        Self::Invalid(with_help(&error))
    }
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
        let id = Some(PolicyId::new(default_name(number)));
        let body = if chunk.has_slot() {
            Template::parse(id, chunk.text).map(Body::Template)
        } else {
            Policy::parse(id, chunk.text).map(Body::Policy)
        };
        match body {
            Ok(body) => {
                let name = body
                    .id_annotation()
                    .map_or_else(|| default_name(number), String::from);
                self.places.push(lines.place(chunk.at, &name));
                self.parsed.push(Parsed {
                    number,
                    lines,
                    chunk: Rc::new(chunk),
                    body,
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
            let added = match &parsed.body {
                Body::Policy(policy) => set.add(policy.clone()).map_err(Reason::refused),
                Body::Template(template) => {
                    set.add_template(template.clone()).map_err(Reason::refused)
                }
                Body::Link(template, link) => link
                    .add(
                        &mut set,
                        default_name(*template),
                        default_name(parsed.number),
                    )
                    .map_err(Reason::Link),
            };
            if let Err(reason) = added {
                let place = self.place(parsed, parsed.chunk.at);
                self.errors.push((parsed.number, error(place, reason)));
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

    fn build(mut self, names: &ActionNames, types: Types) -> Result<Compiled, Vec<CompileError>> {
        let mut builder = ImageBuilder::of(types);
        for parsed in &self.parsed {
            let found = self.lower(parsed, names, &mut builder);
            self.errors
                .extend(found.into_iter().map(|error| (parsed.number, error)));
        }
        if !self.errors.is_empty() {
            // Cedar says some things once for each kind of request, in no order.
            self.errors.sort_by_cached_key(|(number, error)| {
                (*number, error.place.clone(), error.message())
            });
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
        let wrong_link = matches!(parsed.body, Body::Link(..))
            && self
                .errors
                .iter()
                .any(|(number, _)| *number == parsed.number);
        if wrong_link {
            return Vec::new();
        }
        let body = match &parsed.body {
            Body::Policy(policy) => policy.to_pst().map(|policy| policy.body().clone()),
            Body::Template(_) => return Vec::new(),
            Body::Link(template, _) => match self.template(*template) {
                Some(template) => template.to_pst(),
                None => return Vec::new(),
            },
        };
        let body = match body {
            Ok(body) => body,
            Err(wrong) => return Vec::from([error(here(), Reason::Invalid(wrong.to_string()))]),
        };
        let slots = match &parsed.body {
            Body::Link(_, link) => link.slots(),
            _ => Slots::default(),
        };
        match lower::lower(&body, slots, names, &parsed.chunk) {
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
