//! One case, held to what Cedar answers: the body of the property test and of the fuzz target.

use std::collections::BTreeSet;

use tidelock_policy::bounds::MAX_DETERMINING;
use tidelock_policy::compile::{Compiled, Link, Reason, compile_linked};
use tidelock_policy::{EntityRef, Image, Source};

use crate::generate::Case;
use crate::mutation::{self, MUTATIONS};
use crate::oracle::Oracle;
use crate::ours::{Asked, Lent};
use crate::reach::Reach;

/// Sets of policies of which the image is also asked unchanged, where changed ones are: it must not differ.
const UNCHANGED_SETS: u32 = 100;

/// Compiles a case, leaving out what is refused. Returns the text that was left, too.
pub(crate) fn compiled(case: &Case, schema: &str, reach: &mut Reach) -> (Compiled, String) {
    let mut left_out: BTreeSet<String> = BTreeSet::new();
    loop {
        let text = case.text(&|name| left_out.contains(name));
        let links: Vec<Link<'_>> = case
            .links
            .iter()
            .filter(|link| !left_out.contains(&link.template))
            .map(|link| Link {
                template: &link.template,
                name: &link.name,
                principal: link.principal.map(|(kind, id)| EntityRef::new(kind, id)),
                resource: link.resource.map(|(kind, id)| EntityRef::new(kind, id)),
            })
            .collect();
        let source = Source {
            name: "generated",
            text: &text,
        };
        match compile_linked(schema, &[source], &links) {
            Ok(compiled) => {
                reach.links += u32::try_from(links.len()).unwrap();
                return (compiled, text);
            }
            Err(errors) => {
                let before = left_out.len();
                for error in errors {
                    let named = error.place.map(|place| place.policy);
                    let names: Vec<String> = match named {
                        Some(link) if link.starts_with("link") => case
                            .links
                            .iter()
                            .filter(|one| one.name == link)
                            .map(|one| one.template.clone())
                            .collect(),
                        Some(name) => vec![name],
                        None => case.policies.iter().map(|one| one.name.clone()).collect(),
                    };
                    for name in names {
                        if left_out.insert(name) {
                            let invalid =
                                matches!(error.reason, Reason::Invalid(_) | Reason::Syntax(_));
                            *(if invalid {
                                &mut reach.invalid
                            } else {
                                &mut reach.refused
                            }) += 1;
                            let reason = error.reason.to_string();
                            let reason = reason.chars().take(60).collect();
                            *reach.reasons.entry(reason).or_default() += 1;
                        }
                    }
                }
                assert!(left_out.len() > before, "an error of no policy: {text}");
            }
        }
    }
}

/// Asks every question of a case of both; the error shows the case.
pub(crate) fn run(case: &Case, reach: &mut Reach) -> Result<(), String> {
    let schema_text = case.schema.text();
    let (schema, _) = cedar_policy::Schema::from_cedarschema_str(&schema_text).unwrap();
    reach.sets += 1;
    reach.policies += u32::try_from(case.policies.len()).unwrap();
    let (compiled, text) = compiled(case, &schema_text, reach);
    reach.note_code(&compiled.image);
    let image = Image::check(&compiled.image).unwrap();
    let lent = Lent::default();
    let (oracle, asked) = (Oracle::new(case, &schema, &text), Asked::new(case, &lent));
    let mut answers = Vec::new();
    for (at, question) in case.questions.iter().enumerate() {
        let expected = oracle.ask(question);
        let (found, count) = asked.ask(&image, at, true);
        let agree = if expected.determining.len() <= MAX_DETERMINING {
            found == expected && count == expected.determining.len()
        } else {
            found.outcome == expected.outcome
                && found.errors == expected.errors
                && found.determining.is_subset(&expected.determining)
                && found.determining.len() == MAX_DETERMINING
                && count == expected.determining.len()
        };
        if !agree {
            return Err(format!(
                "{schema_text}\n{text}\n{question:#?}\n{:#?}\nCedar: {expected:#?}\nimage: {found:#?}",
                case.beings
            ));
        }
        reach.note(&expected, count);
        answers.push((found, count));
    }
    let differs = |changed: &[u8]| {
        let changed = Image::reopen(changed).unwrap();
        answers
            .iter()
            .enumerate()
            .any(|(at, answer)| asked.ask(&changed, at, false) != *answer)
    };
    if reach.sets <= UNCHANGED_SETS && differs(&compiled.image) {
        return Err("what is not changed differs".into());
    }
    if mutation::filed(&compiled.image) > 0 && differs(&mutation::misfiled(&compiled.image)) {
        reach.misfiled += 1;
    }
    for &(code, _, change) in MUTATIONS {
        if reach.noticed.contains(&code) {
            continue;
        }
        let changed = mutation::mutated(&compiled.image, code, change);
        if changed.is_some_and(|changed| differs(&changed)) {
            reach.noticed.insert(code);
        }
    }
    Ok(())
}
