//! Parsing policies: as many at once as may be, since Cedar's parser makes itself ready anew for every text it is given.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use cedar_policy::{Policy, PolicyId, PolicySet, Template};

use super::source::{Chunk, Lines};
use super::words::{label, with_help};
use super::{Body, Compilation, Parsed, Reason, default_name, error};

/// Policies parsed at once. With so many, making ready takes nothing; with all, what Cedar holds until it is done would be
/// as large as they are together.
const BATCH: usize = 1_000;

/// A policy's text, and where it stands.
type Placed<'s> = (&'s Lines<'s>, Chunk<'s>);

impl<'s> Compilation<'s> {
    /// Parses all policies.
    pub(super) fn parse(&mut self, chunks: Vec<Placed<'s>>) {
        let mut number = 0;
        let mut rest = chunks.into_iter();
        loop {
            let batch: Vec<_> = rest.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return;
            }
            // What is wrong with one is told by parsing each.
            let mut bodies = at_once(&batch, number).unwrap_or_default().into_iter();
            for (lines, chunk) in batch {
                match bodies.next() {
                    Some((body, lies)) => self.parsed(number, lines, chunk, body, lies),
                    None => self.parse_one(number, lines, chunk),
                }
                number = number.saturating_add(1);
            }
        }
    }

    fn parsed(
        &mut self,
        number: usize,
        lines: &'s Lines<'s>,
        chunk: Chunk<'s>,
        body: Body<'s>,
        lies: usize,
    ) {
        let name = body
            .id_annotation()
            .map_or_else(|| default_name(number), String::from);
        self.places.push(lines.place(chunk.at, &name));
        self.parsed.push(Parsed {
            number,
            lines,
            chunk: Rc::new(chunk),
            lies,
            body,
        });
    }

    fn parse_one(&mut self, number: usize, lines: &'s Lines<'s>, chunk: Chunk<'s>) {
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
            Ok(body) => self.parsed(number, lines, chunk, body, 0),
            Err(errors) => {
                self.places.push(lines.place(chunk.at, &unparsed));
                let errors = errors.iter().map(|parse| {
                    let (from, len) = label(parse);
                    let at = chunk.at.saturating_add(from);
                    let place = lines.span(at, len, &unparsed);
                    (number, error(place, Reason::Syntax(with_help(parse))))
                });
                self.errors.extend(errors);
            }
        }
    }
}

/// The bodies of some policies, of which the first has that number, each with where it began in what Cedar was given. `None`
/// if anything is wrong, or if Cedar finds other policies in the text than [`super::source`] did.
fn at_once<'s>(chunks: &[Placed<'_>], first: usize) -> Option<Vec<(Body<'s>, usize)>> {
    let mut text = String::new();
    let mut starts = Vec::new();
    for (_, chunk) in chunks {
        chunk.bounded().ok()?;
        starts.push(text.len());
        text.push_str(chunk.text);
        text.push('\n');
    }
    let set: PolicySet = text.parse().ok()?;
    let found = set.policies().count().checked_add(set.templates().count());
    if found != Some(chunks.len()) {
        return None;
    }
    let bodies = (0..).zip(chunks.iter().zip(starts));
    let bodies = bodies.map(|(at, ((_, chunk), lies))| {
        let id = PolicyId::new(default_name(at));
        let own = PolicyId::new(default_name(first.checked_add(at)?));
        let (body, text) = if chunk.has_slot() {
            let template = set.template(&id)?;
            (Body::Template(template.new_id(own)), template.to_cedar())
        } else {
            let policy = set.policy(&id)?;
            (Body::Policy(policy.new_id(own)), policy.to_cedar()?)
        };
        (text == chunk.text).then_some((body, lies))
    });
    bodies.collect()
}
