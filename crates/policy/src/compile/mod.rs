//! Compiling Cedar to images: parsed and validated by the `cedar-policy` crate, lowered by this one.

mod actions;
pub mod bounds;
mod ends;
mod error;
mod expression;
mod link;
pub(crate) mod literal;
mod lower;
mod operation;
mod parse;
mod parts;
mod source;
mod tree;
mod types;
mod unasked;
mod validate;
pub(crate) mod words;

pub use error::{CompileError, Place, Reason, Unsupported};
pub use link::Link;
pub(crate) use parts::{ConditionKind, Part, parts};

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use cedar_policy::{Policy, Schema, Template};

use crate::build::{BuildError, ImageBuilder, Types};
use crate::image::Image;
use actions::ActionNames;
use bounds::{MAX_POLICIES, MAX_SOURCE_BYTES};
use lower::Slots;
use source::{Chunk, Lines};
use words::with_help;

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
    /// The image of the policies that are only observed ([`compile_observing`]); empty if there are none.
    pub observed: Vec<u8>,
    /// The proven cost of the dearest decision by [`Self::image`], in steps: [`Image::cost`].
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

/// Compiles policies, valid by the schema [`SCHEMA`], to two images: those of the sources that `observed` names to
/// [`Compiled::observed`], all others to [`Compiled::image`]. Policies are numbered as if there was one
/// image. Who decides asks the second image only what it would have said:
///
/// - where the first permits and the second forbids, an observed `forbid` would have denied;
/// - where the first has no permit that matches and the second permits, an observed `permit` would have allowed;
/// - in every other case the observed policies would have changed nothing.
///
/// # Errors
/// All that is wrong with any policy, in the order of the sources.
pub fn compile_observing(
    sources: &[Source<'_>],
    observed: &dyn Fn(&str) -> bool,
) -> Result<Compiled, Vec<CompileError>> {
    compile_and(SCHEMA, sources, &[], observed, |_, _, _| ()).map(|(compiled, ())| compiled)
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
    compile_and(schema, sources, links, &|_| false, |_, _, _| ()).map(|(compiled, ())| compiled)
}

/// Compiles, and looks at the policies before they are forgotten.
fn compile_and<R>(
    schema: &str,
    sources: &[Source<'_>],
    links: &[Link<'_>],
    observed: &dyn Fn(&str) -> bool,
    look: impl FnOnce(&Compilation<'_>, &ActionNames, &Types) -> R,
) -> Result<(Compiled, R), Vec<CompileError>> {
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
    let published = schema == SCHEMA;
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
    compilation.parse(chunks);
    compilation.link(links);
    compilation.validate(schema);
    let seen = look(&compilation, &names, &types);
    compilation
        .build(&names, types, observed, published)
        .map(|compiled| (compiled, seen))
}

/// A policy that Cedar could parse.
struct Parsed<'s> {
    /// Its place among the places.
    number: usize,
    lines: &'s Lines<'s>,
    chunk: Rc<Chunk<'s>>,
    /// Where the chunk began in what Cedar was given.
    lies: usize,
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
    /// What its slots stand for; `None` for a template, which is nothing by itself.
    fn slots(&self) -> Option<Slots<'_>> {
        match self {
            Self::Policy(_) => Some(Slots::default()),
            Self::Template(_) => None,
            Self::Link(_, link) => Some(link.slots()),
        }
    }

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

impl<'s> Compilation<'s> {
    fn place(&self, parsed: &Parsed<'_>, at: usize) -> Place {
        parsed.lines.place(at, self.name(parsed))
    }

    /// The name that decisions give.
    fn name(&self, parsed: &Parsed<'_>) -> &str {
        let place = self.places.get(parsed.number);
        place.map_or("", |place| place.policy.as_str())
    }

    fn build(
        mut self,
        names: &ActionNames,
        types: Types,
        observed: &dyn Fn(&str) -> bool,
        published: bool,
    ) -> Result<Compiled, Vec<CompileError>> {
        let mut second = None;
        let mut builder = ImageBuilder::of(types.clone());
        let wrong: BTreeSet<usize> = self.errors.iter().map(|(number, _)| *number).collect();
        for parsed in &self.parsed {
            if matches!(parsed.body, Body::Link(..)) && wrong.contains(&parsed.number) {
                continue;
            }
            let place = self.places.get(parsed.number);
            let into = if place.is_some_and(|place| observed(&place.file)) {
                second.get_or_insert_with(|| ImageBuilder::of(types.clone()))
            } else {
                &mut builder
            };
            let found = self.lower(parsed, names, into);
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
        let observed = second.map_or(Ok(Vec::new()), |second| second.build().map_err(whole))?;
        let cost = Image::reopen(&image)
            .map_err(|error| whole(BuildError::Refused(error)))?
            .cost();
        let unlinked = self.unlinked();
        self.warnings.extend(unlinked);
        if published {
            let idle = self.idle_at_ends(names, &types, [&image, &observed]);
            self.warnings.extend(idle);
        }
        Ok(Compiled {
            image,
            observed,
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
        let Some(slots) = parsed.body.slots() else {
            return Vec::new();
        };
        let lower = |body| lower::lower(&body, slots, names, &parsed.chunk);
        // Only what is refused is asked for as it was written, for the sake of the places.
        let lowered = match self.evaluated(parsed).map(lower) {
            Some(Ok(lowered)) => Ok(lowered),
            _ => match self.written(parsed) {
                None => return Vec::new(),
                Some(Ok(body)) => lower(body),
                Some(Err(wrong)) => {
                    return Vec::from([error(here(), Reason::Invalid(wrong.to_string()))]);
                }
            },
        };
        match lowered {
            Ok(lowered) => lowered
                .with_rule(self.name(parsed), |rule| builder.push(rule))
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
