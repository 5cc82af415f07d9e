//! Templates whose IDs only a node knows must not give one process what another identity stands for.

use std::collections::{BTreeMap, HashMap};

use tidelock_attest::Template;

use super::check::error_at;
use super::{Document, DocumentError, Key, Marks, Parsed, Place, Reason, WorkloadIdentity};
use crate::yaml::Pos;

/// An identity among all that there would be.
struct Candidate<'a> {
    identity: &'a WorkloadIdentity,
    ids: Template,
    of_process: bool,
    /// Its place among the documents applied, if it is one of them.
    new: Option<(usize, &'a Parsed)>,
}

/// Refuses each new identity of which an ID could come that another one has too, where one of the two has an ID for each process.
///
/// Two identities with the same template mean the same by it, as two with the same ID do. On which nodes they are does not
/// count: an ID is the same everywhere.
pub(super) fn templates(
    documents: &BTreeMap<Key, Document>,
    news: &HashMap<Key, (usize, &Parsed)>,
    errors: &mut Vec<DocumentError>,
) {
    let mut all: Vec<Candidate<'_>> = Vec::new();
    for document in documents.values() {
        if let Document::WorkloadIdentity(identity) = document
            && let Some(ids) = identity.spiffe_id.as_template()
        {
            all.push(Candidate {
                identity,
                ids,
                of_process: identity.spiffe_id.is_of_process(),
                new: news.get(&document.key()).copied(),
            });
        }
    }
    // What is stored was there first, and of what is new, what was given first.
    all.sort_by_key(|candidate| candidate.new.map(|(at, _)| at));
    let templates = |of: &[Candidate<'_>]| of.iter().any(|candidate| candidate.of_process);
    if !templates(&all) {
        return;
    }
    for (at, later) in all.iter().enumerate() {
        let Some((_, parsed)) = later.new else {
            continue;
        };
        let mut earlier = all.iter().take(at);
        if let Some(other) = earlier.find(|earlier| later.is_ambiguous_with(earlier)) {
            let reason = Reason::Ambiguous {
                text: later.identity.spiffe_id.to_string(),
                other_text: other.identity.spiffe_id.to_string(),
                other_name: other.identity.name.clone(),
                other: other.place(),
            };
            errors.push(error_at(parsed, Some(pos(parsed)), "spec.spiffeID", reason));
        }
    }
}

/// Where the SPIFFE ID stands.
fn pos(parsed: &Parsed) -> Pos {
    match parsed.marks {
        Marks::Identity(marks) => marks.id,
        _ => parsed.pos,
    }
}

impl Candidate<'_> {
    fn place(&self) -> Place {
        match self.new {
            None => Place::Stored,
            Some((_, parsed)) => Place::File {
                file: parsed.file.clone(),
                pos: Some(pos(parsed)),
            },
        }
    }

    fn is_ambiguous_with(&self, other: &Self) -> bool {
        (self.of_process || other.of_process)
            && self.ids != other.ids
            && self.ids.overlaps(&other.ids)
    }
}
