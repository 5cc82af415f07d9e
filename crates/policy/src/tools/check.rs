//! All that is wrong with policies, shown where it stands.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

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

/// Errors as people read them: place, reason, and the line with what is meant marked. What several errors say of one place
/// stands together.
#[must_use]
pub fn show(errors: &[CompileError], sources: &[Source<'_>]) -> String {
    let mut text = String::new();
    let mut rest = errors;
    while let Some((first, _)) = rest.split_first() {
        let same = rest.iter().take_while(|error| error.place == first.place);
        let (together, after) = rest.split_at_checked(same.count()).unwrap_or((rest, &[]));
        rest = after;
        for error in together {
            let word = match error.reason {
                Reason::Warning(_) => "warning: ",
                _ => "",
            };
            let _ = match &first.place {
                None => writeln!(text, "{word}{}", error.reason),
                Some(_) => writeln!(text, "{word}{error}"),
            };
        }
        if let Some(place) = &first.place {
            mark(&mut text, place, sources);
        }
    }
    text
}

/// The line of a place, and a mark under what is meant.
fn mark(text: &mut String, place: &Place, sources: &[Source<'_>]) {
    let line = usize::try_from(place.line.saturating_sub(1)).unwrap_or(usize::MAX);
    let source = sources.iter().find(|source| source.name == place.file);
    let Some(line) = source.and_then(|source| source.text.split('\n').nth(line)) else {
        return;
    };
    let number = format!("{}", place.line);
    let count = |chars: u32| usize::try_from(chars).unwrap_or(0);
    // Tabs stay tabs, so that the mark stands under what it means.
    let before = line.chars().take(count(place.column.saturating_sub(1)));
    let before: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let shown = |c: char| if c.is_control() && c != '\t' { '?' } else { c };
    let line: String = line.trim_end().chars().map(shown).collect();
    let (gap, marks) = (" ".repeat(number.len()), "^".repeat(count(place.chars)));
    let _ = writeln!(text, "{gap} |\n{number} | {line}\n{gap} | {before}{marks}");
}
