//! Identities and NodeGroups have to go together: each group that is named is there, and gives each node one value at most.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tidelock_attest::Variable;

use super::check::error_at;
use super::{Document, DocumentError, Key, Kind, NodeGroups, Parsed, Reason, WorkloadIdentity};
use crate::name::Name;

const FIELD: &str = "spec.nodeGroups";

/// Refuses identities that name a group which is not there, and templates with `{{node.group}}` where a node is in two of the groups
/// that they name. Whichever of the documents is new is blamed, the identity first.
pub(super) fn identities(
    documents: &BTreeMap<Key, Document>,
    news: &HashMap<Key, (usize, &Parsed)>,
    groups: &NodeGroups,
    errors: &mut Vec<DocumentError>,
) {
    // Identities that name the same groups share the answer, which may have to look at every node.
    let mut shared: HashMap<&BTreeSet<Name>, Option<(&Name, [&Name; 2])>> = HashMap::new();
    for document in documents.values() {
        let Document::WorkloadIdentity(identity) = document else {
            continue;
        };
        let Some(named) = &identity.node_groups else {
            continue;
        };
        for group in named.iter().filter(|group| groups.nodes(group).is_none()) {
            let reason = Reason::UnknownGroup {
                group: group.clone(),
                identity: identity.name.clone(),
            };
            errors.push(at(identity, &[], news, reason));
        }
        if !identity.spiffe_id.has(Variable::NodeGroup) {
            continue;
        }
        let found = shared.entry(named).or_insert_with(|| groups.shared(named));
        if let Some((node, [one, other])) = *found {
            let reason = Reason::GroupsShared {
                identity: identity.name.clone(),
                node: node.clone(),
                groups: Box::new([one.clone(), other.clone()]),
            };
            errors.push(at(identity, &[one, other], news, reason));
        }
    }
}

/// Where to look: at the identity, or else at a group, that is new.
fn at(
    identity: &WorkloadIdentity,
    groups: &[&Name],
    news: &HashMap<Key, (usize, &Parsed)>,
    reason: Reason,
) -> DocumentError {
    let new = |kind: Kind, name: &Name| news.get(&(kind, name.clone())).map(|(_, parsed)| *parsed);
    if let Some(parsed) = new(Kind::WorkloadIdentity, &identity.name) {
        return error_at(parsed, Some(parsed.pos), FIELD, reason);
    }
    let mut group = groups.iter().filter_map(|name| new(Kind::NodeGroup, name));
    match group.next() {
        Some(parsed) => error_at(parsed, Some(parsed.pos), "spec.nodes", reason),
        None => DocumentError {
            file: format!("(WorkloadIdentity {}, applied before)", identity.name),
            pos: None,
            field: FIELD.to_owned(),
            reason,
        },
    }
}
