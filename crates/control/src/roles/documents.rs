//! Which documents a caller may change: both what they say now and what they would say have to be the caller's.

use std::collections::{BTreeMap, HashMap};

use super::permit::Permit;
use crate::document::{
    Document, DocumentError, Key, Kind, NotPermitted, Parsed, Reason, WorkloadIdentity,
};
use crate::world::Plan;
use crate::yaml::Pos;

/// What stands where there is no file: the document is named, or was applied before.
const NO_FILE: &str = "(applied before)";

/// Documents in force, or as they would be.
type Documents = BTreeMap<Key, Document>;

/// A document that is to change, and where that is asked for.
struct Asked<'a> {
    key: Key,
    /// What it would say; of no account where it is to be deleted.
    new: Option<&'a Document>,
    parsed: Option<&'a Parsed>,
}

/// What of these documents the caller may not apply, an error each. What would not change is held to the same: else who may
/// not see a document could find out what it says.
pub(crate) fn not_applicable(
    permit: &Permit,
    now: &Documents,
    parsed: &[Parsed],
) -> Vec<DocumentError> {
    let asked = parsed.iter().map(|parsed| Asked {
        key: parsed.document.key(),
        new: Some(&parsed.document),
        parsed: Some(parsed),
    });
    asked.filter_map(|one| refused(permit, now, &one)).collect()
}

/// What of these documents, by name and as files hold them, the caller may not delete, an error each.
pub(crate) fn not_deletable(
    permit: &Permit,
    now: &Documents,
    keys: &[Key],
    parsed: &[Parsed],
) -> Vec<DocumentError> {
    let by_name = keys.iter().map(|key| Asked {
        key: key.clone(),
        new: None,
        parsed: None,
    });
    let in_files = parsed.iter().map(|parsed| Asked {
        key: parsed.document.key(),
        new: None,
        parsed: Some(parsed),
    });
    let asked = by_name.chain(in_files);
    asked.filter_map(|one| refused(permit, now, &one)).collect()
}

fn refused(permit: &Permit, now: &Documents, asked: &Asked<'_>) -> Option<DocumentError> {
    let operator = permit.operator().filter(|_| !permit.is_admin())?;
    let (kind, name) = &asked.key;
    let (why, needed) = match kind {
        Kind::Operator => (
            "it says what operators may do".to_owned(),
            "the role `admin`",
        ),
        Kind::TrustDomain => (
            "it says how long everybody's SVIDs live".to_owned(),
            "the role `admin`",
        ),
        Kind::Policy | Kind::Service | Kind::NodeGroup if permit.is_everywhere() => return None,
        Kind::Policy => (
            "a Policy decides about every workload".to_owned(),
            "the role `editor` with the prefix `/`",
        ),
        Kind::Service => (
            "a Service governs its addresses for every workload".to_owned(),
            "the role `editor` with the prefix `/`",
        ),
        Kind::NodeGroup => (
            "a NodeGroup says where identities are that name it, whose ever they are".to_owned(),
            "the role `editor` with the prefix `/`",
        ),
        Kind::WorkloadIdentity => (
            outside(permit, now.get(&asked.key), asked.new)?,
            "the role `editor` with a prefix that holds it",
        ),
    };
    let reason = NotPermitted {
        operator: operator.clone(),
        kind: *kind,
        name: name.clone(),
        why,
        needed,
    };
    Some(error_at(
        asked.parsed,
        Reason::NotPermitted(Box::new(reason)),
    ))
}

/// Why an identity is not the caller's, if it is not.
fn outside(permit: &Permit, now: Option<&Document>, new: Option<&Document>) -> Option<String> {
    let foreign = |document: Option<&Document>| match document {
        Some(Document::WorkloadIdentity(one)) if !permit.covers_identity(one) => {
            Some(WorkloadIdentity::clone(one).spiffe_id)
        }
        _ => None,
    };
    let prefixes = permit.prefixes_told();
    if let Some(id) = foreign(new) {
        return Some(format!("`{id}` does not lie under {prefixes}"));
    }
    let id = foreign(now)?;
    Some(format!(
        "it gives `{id}` now, which does not lie under {prefixes}"
    ))
}

/// That a plan leaves no admin, where the caller could not make another any more.
pub(crate) fn no_admin_left(
    permit: &Permit,
    now: &Documents,
    plan: &Plan,
    parsed: &[Parsed],
) -> Option<DocumentError> {
    // Whoever is at the socket stays an admin.
    permit.operator()?;
    let admin = |documents: &Documents, key: &Key| match documents.get(key) {
        Some(Document::Operator(operator)) => operator.is_admin(),
        _ => false,
    };
    if plan.documents.keys().any(|key| admin(&plan.documents, key)) {
        return None;
    }
    let parsed: HashMap<Key, &Parsed> = parsed.iter().map(|p| (p.document.key(), p)).collect();
    let mut changes = plan.changes.iter().map(|(key, _)| key);
    let key = changes.find(|key| admin(now, key))?;
    let name = key.1.clone();
    let parsed = parsed.get(key).copied();
    Some(error_at(parsed, Reason::LastAdmin { name }))
}

fn error_at(parsed: Option<&Parsed>, reason: Reason) -> DocumentError {
    let (file, pos): (&str, Option<Pos>) = match parsed {
        Some(parsed) => (&parsed.file, Some(parsed.pos)),
        None => (NO_FILE, None),
    };
    DocumentError {
        file: file.to_owned(),
        pos,
        field: String::new(),
        reason,
    }
}
