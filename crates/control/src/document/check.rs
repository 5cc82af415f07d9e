//! What can only be said of documents together: duplicates, overlaps, and whether the policies compile.

use std::collections::{BTreeMap, HashMap, HashSet};

use tidelock_policy::compile::{CompileError, Source, compile_observing};

use super::{
    Address, Document, DocumentError, Key, Lives, Marks, Netns, NodeGroups, Overlap, Parsed, Place,
    Policy, PolicyMode, Reason, Service,
};
use super::{ambiguous, groups, lives};
use crate::yaml::Pos;

/// All policies, compiled.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Compiled {
    /// What the kernel decides by.
    pub(crate) image: Vec<u8>,
    /// What it only observes; empty if there is nothing.
    pub(crate) observed: Vec<u8>,
    /// Which nodes are in which groups.
    pub(crate) groups: NodeGroups,
    /// How long SVIDs live.
    pub(crate) lives: Lives,
    /// What is odd, though not wrong, in what is new.
    pub(crate) warnings: Vec<DocumentError>,
}

/// Refuses documents given twice, Services that claim an address together with another Service, templates of which an ID could
/// come that another identity has, and identities that do not go together with the NodeGroups or with what the trust domain allows.
/// `documents` is what would be stored, `parsed` those of them that are new.
pub(crate) fn conflicts(
    documents: &BTreeMap<Key, Document>,
    parsed: &[Parsed],
    errors: &mut Vec<DocumentError>,
) {
    duplicates(parsed, errors);
    let news = by_key(parsed);
    let mut claims = Vec::new();
    for (order, document) in documents.values().enumerate() {
        let Document::Service(service) = document else {
            continue;
        };
        let new = news.get(&document.key()).copied();
        claims.extend(
            service
                .addresses
                .iter()
                .enumerate()
                .map(|(nth, &range)| Claim {
                    range,
                    service,
                    nth,
                    new,
                    order,
                }),
        );
    }
    overlaps(claims, errors);
    ambiguous::templates(documents, &news, errors);
    let node_groups = NodeGroups::of(documents);
    groups::identities(documents, &news, &node_groups, errors);
    lives::identities(documents, &news, errors);
}

/// One address of one Service.
#[derive(Clone, Copy)]
struct Claim<'a> {
    range: Address,
    service: &'a Service,
    /// Which of the Service's addresses it is.
    nth: usize,
    /// The Service's place among the documents applied, if it is one of them.
    new: Option<(usize, &'a Parsed)>,
    order: usize,
}

impl Claim<'_> {
    fn place(&self) -> Place {
        match self.new {
            None => Place::Stored,
            Some((_, parsed)) => Place::File {
                file: parsed.file.clone(),
                pos: self.pos(parsed),
            },
        }
    }

    fn pos(&self, parsed: &Parsed) -> Option<Pos> {
        match &parsed.marks {
            Marks::Addresses(places) => places.get(self.nth).copied(),
            _ => Some(parsed.pos),
        }
    }

    /// The later of two claims is the one to blame; what is stored was there first.
    fn age(&self) -> (Option<usize>, usize, usize) {
        (self.new.map(|(at, _)| at), self.order, self.nth)
    }
}

fn by_key(parsed: &[Parsed]) -> HashMap<Key, (usize, &Parsed)> {
    parsed
        .iter()
        .enumerate()
        .map(|(at, p)| (p.document.key(), (at, p)))
        .collect()
}

fn duplicates(parsed: &[Parsed], errors: &mut Vec<DocumentError>) {
    let mut first: HashMap<Key, &Parsed> = HashMap::new();
    for new in parsed {
        let (kind, name) = new.document.key();
        if let Some(other) = first.get(&(kind, name.clone())) {
            let reason = Reason::Duplicate {
                kind,
                name: name.as_str().to_owned(),
                other: other.place(),
            };
            errors.push(error_at(new, Some(new.pos), "metadata.name", reason));
        } else {
            first.insert((kind, name), new);
        }
    }
}

/// Ranges are nested or disjoint, so in sweep order each can only overlap those that are still open.
fn overlaps(mut claims: Vec<Claim<'_>>, errors: &mut Vec<DocumentError>) {
    let netns = |claim: &Claim<'_>| -> Netns { claim.service.netns };
    claims.sort_by_key(|claim| (netns(claim), claim.range.sweep_key()));
    let mut open: Vec<Claim<'_>> = Vec::new();
    let mut found = Vec::new();
    for claim in claims {
        while open
            .last()
            .is_some_and(|last| netns(last) != netns(&claim) || !last.range.overlaps(&claim.range))
        {
            open.pop();
        }
        if let Some(&outer) = open.last() {
            let (earlier, later) = if outer.age() < claim.age() {
                (outer, claim)
            } else {
                (claim, outer)
            };
            found.push((later, earlier));
        }
        open.push(claim);
    }
    found.sort_by_key(|(later, earlier)| (later.age(), earlier.age()));
    for (later, earlier) in found {
        let Some((_, parsed)) = later.new else {
            continue;
        };
        let overlap = Overlap {
            range: later.range,
            name: later.service.name.clone(),
            other_range: earlier.range,
            other_name: earlier.service.name.clone(),
            other: earlier.place(),
        };
        let reason = Reason::Overlap(Box::new(overlap));
        errors.push(error_at(
            parsed,
            later.pos(parsed),
            &format!("spec.addresses[{}]", later.nth),
            reason,
        ));
    }
}

/// Compiles all policies of `documents`; errors are located in the files of `parsed`.
pub(crate) fn compile(
    documents: &BTreeMap<Key, Document>,
    parsed: &[Parsed],
    errors: &mut Vec<DocumentError>,
) -> Option<Compiled> {
    let policies = || documents.values().filter_map(as_policy);
    let sources: Vec<Source<'_>> = policies()
        .map(|p| Source {
            name: p.name.as_str(),
            text: &p.cedar,
        })
        .collect();
    let new = |p: &'_ &Parsed| as_policy(&p.document).is_some();
    let news: HashMap<&str, &Parsed> = parsed
        .iter()
        .filter(new)
        .map(|p| (p.document.name().as_str(), p))
        .collect();
    let observed: HashSet<&str> = policies()
        .filter(|policy| policy.mode == PolicyMode::Observe)
        .map(|policy| policy.name.as_str())
        .collect();
    match compile_observing(&sources, &|name| observed.contains(name)) {
        Ok(compiled) => {
            let odd = compiled.warnings.iter();
            // What was applied before was warned of before.
            let new = |e: &&CompileError| {
                e.place
                    .as_ref()
                    .is_none_or(|place| news.contains_key(place.file.as_str()))
            };
            let named = |error: &CompileError| {
                let mut odd = in_files(error, &news);
                if let (Some(place), Reason::Policy { message }) = (&error.place, &mut odd.reason) {
                    *message = format!("policy `{}`: {message}", place.policy);
                }
                odd
            };
            let lives_odd = lives::maybe_default(documents, parsed);
            let warnings = odd.filter(new).map(named).chain(lives_odd).collect();
            Some(Compiled {
                image: compiled.image,
                observed: compiled.observed,
                groups: NodeGroups::of(documents),
                lives: Lives::of(documents),
                warnings,
            })
        }
        Err(refused) => {
            errors.extend(refused.iter().map(|e| in_files(e, &news)));
            None
        }
    }
}

/// Finds the place in a file that the compiler means: it knows documents by their names only.
fn in_files(error: &CompileError, news: &HashMap<&str, &Parsed>) -> DocumentError {
    let field = || "spec.cedar".to_owned();
    let reason = Reason::Policy {
        message: error.message(),
    };
    let Some(place) = &error.place else {
        return DocumentError {
            file: String::new(),
            pos: None,
            field: String::new(),
            reason,
        };
    };
    match news.get(place.file.as_str()) {
        None => {
            let file = format!("(policy {}, applied before)", place.file);
            let pos = Some(Pos {
                line: place.line,
                column: place.column,
            });
            DocumentError {
                file,
                pos,
                field: field(),
                reason,
            }
        }
        Some(parsed) => {
            let pos = match parsed.marks {
                Marks::Cedar(origin) => origin.locate(place.line, place.column),
                _ => parsed.pos,
            };
            DocumentError {
                file: parsed.file.clone(),
                pos: Some(pos),
                field: field(),
                reason,
            }
        }
    }
}

fn as_policy(document: &Document) -> Option<&Policy> {
    match document {
        Document::Policy(policy) => Some(policy),
        _ => None,
    }
}

pub(super) fn error_at(
    parsed: &Parsed,
    pos: Option<Pos>,
    field: &str,
    reason: Reason,
) -> DocumentError {
    DocumentError {
        file: parsed.file.clone(),
        pos,
        field: field.to_owned(),
        reason,
    }
}
