//! All that is wrong with policies, shown where it stands.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::compile::words::plain_char;
use crate::compile::{CompileError, Compiled, Place, Reason, Source, compile_with_schema};

/// What a check found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The image, if nothing is wrong.
    pub compiled: Option<Compiled>,
    /// What is wrong, in the order of the sources; nothing if there is an image.
    pub errors: Vec<CompileError>,
    /// What is odd.
    pub warnings: Vec<CompileError>,
}

/// Checks policies by a schema: all errors of all sources at once.
#[must_use]
pub fn check(schema: &str, sources: &[Source<'_>]) -> Checked {
    match compile_with_schema(schema, sources) {
        Ok(compiled) => {
            let mut warnings = compiled.warnings.clone();
            warnings.extend(repeated(&compiled.policies));
            Checked {
                warnings,
                compiled: Some(compiled),
                errors: Vec::new(),
            }
        }
        Err(errors) => Checked {
            compiled: None,
            errors,
            warnings: Vec::new(),
        },
    }
}

/// Names that several policies have: a decision names policies by them.
fn repeated(places: &[Place]) -> Vec<CompileError> {
    let mut first: BTreeMap<&str, &Place> = BTreeMap::new();
    let mut odd = Vec::new();
    for place in places {
        match first.get(place.policy.as_str()) {
            None => {
                first.insert(&place.policy, place);
            }
            Some(Place { file, line, .. }) => odd.push(CompileError {
                place: Some(place.clone()),
                reason: Reason::Warning(format!(
                    "the policy at {file}:{line} has this name too: give each its own `@id`"
                )),
            }),
        }
    }
    odd
}

/// Most places whose line is shown: whoever has more mends those first.
const MAX_MARKED: usize = 1_000;
/// Most characters that are shown of a line, around what is meant.
const MAX_SHOWN_CHARS: usize = 200;

/// Errors as people read them: place, reason, and the line with what is meant marked, of a long line the part around it. What
/// several errors say of one place stands together. Of very many errors the last have no line.
#[must_use]
pub fn show(errors: &[CompileError], sources: &[Source<'_>]) -> String {
    let mut text = String::new();
    let mut lines = BTreeMap::new();
    let (mut rest, mut marked) = (errors, 0usize);
    while let Some((first, _)) = rest.split_first() {
        let same = rest.iter().take_while(|error| error.place == first.place);
        let (together, after) = rest.split_at_checked(same.count()).unwrap_or((rest, &[]));
        rest = after;
        for error in together {
            let word = match error.reason {
                Reason::Warning(_) => "warning: ",
                _ => "",
            };
            let _ = writeln!(text, "{word}{error}");
        }
        if let Some(place) = first.place.as_ref().filter(|_| marked < MAX_MARKED) {
            marked = marked.saturating_add(1);
            let lines = lines
                .entry(place.file.as_str())
                .or_insert_with(|| lines_of(&place.file, sources));
            let number = usize::try_from(place.line.saturating_sub(1)).unwrap_or(usize::MAX);
            if let Some(line) = lines.get(number) {
                mark(&mut text, place, line);
            }
        }
    }
    text
}

/// The lines of a source; none if there is none of that name.
fn lines_of<'s>(name: &str, sources: &[Source<'s>]) -> Vec<&'s str> {
    let source = sources.iter().find(|source| source.name == name);
    source.map_or_else(Vec::new, |source| source.text.split('\n').collect())
}

/// The line of a place, and a mark under what is meant.
fn mark(text: &mut String, place: &Place, line: &str) {
    let count = |chars: u32| usize::try_from(chars).unwrap_or(0);
    let (column, meant) = (count(place.column.saturating_sub(1)), count(place.chars));
    let around = MAX_SHOWN_CHARS
        .saturating_sub(meant)
        .checked_div(2)
        .unwrap_or(0);
    // What fits is shown from its beginning.
    let skipped = match column.saturating_add(meant) {
        end if end <= MAX_SHOWN_CHARS => 0,
        _ => column.saturating_sub(around),
    };
    let mut rest = line.trim_end().chars().skip(skipped);
    let mut shown: String = rest
        .by_ref()
        .take(MAX_SHOWN_CHARS)
        .map(plain_but_tabs)
        .collect();
    let cut = (skipped > 0, rest.next().is_some());
    // Tabs stay tabs, so that the mark stands under what it means.
    let before = shown.chars().take(column.saturating_sub(skipped));
    let mut before: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    if cut.0 {
        shown.insert(0, '…');
        before.push(' ');
    }
    if cut.1 {
        shown.push('…');
    }
    let number = format!("{}", place.line);
    let (gap, marks) = (
        " ".repeat(number.len()),
        "^".repeat(meant.min(MAX_SHOWN_CHARS)),
    );
    let _ = writeln!(text, "{gap} |\n{number} | {shown}\n{gap} | {before}{marks}");
}

fn plain_but_tabs(c: char) -> char {
    match c {
        '\t' => '\t',
        c => plain_char(c),
    }
}
