//! What a node's kernel takes. The bounds are those of the kernel contract (`tidelock-kabi`, `bounds`): refusing here, with a
//! reason, is better than every node refusing later.

use std::collections::{BTreeMap, HashMap};

use super::{Compiled, Document, DocumentError, Key, Parsed, Reason};

/// Most identities that one node has (`MAX_PREFILTER`).
pub const MAX_IDENTITIES_PER_NODE: usize = 1_024;

/// Most addresses of all Services together (`MAX_SERVICES`).
pub const MAX_ADDRESSES: usize = 1_024;

/// Most SPIFFE IDs that may serve one Service (`MAX_SERVERS_PER_SERVICE`).
pub const MAX_SERVERS_PER_SERVICE: usize = 64;

/// Longest policy image, in bytes (`MAX_POLICY_BYTES`).
pub const MAX_POLICY_BYTES: usize = 512 * 1024;

/// Most that policy image and Services take together, in bytes: three quarters of the one record that holds a node's whole
/// configuration (`MAX_RECORD_BYTES`); the rest is left for bundles and the prefilter.
pub const MAX_CONFIG_BYTES: usize = 768 * 1024;

/// Refuses more than a node's kernel takes.
pub(crate) fn fits(
    documents: &BTreeMap<Key, Document>,
    compiled: &Compiled,
    parsed: &[Parsed],
    errors: &mut Vec<DocumentError>,
) {
    let services = || {
        documents.values().filter_map(|d| {
            if let Document::Service(s) = d {
                Some(s)
            } else {
                None
            }
        })
    };
    let addresses = services().map(|s| s.addresses.len()).sum();
    let config = compiled.image.len() + services().map(super::Service::config_bytes).sum::<usize>();
    let bounds = [
        (
            "identities of one node",
            identities_of_one_node(documents),
            MAX_IDENTITIES_PER_NODE,
        ),
        ("addresses of all Services", addresses, MAX_ADDRESSES),
        (
            "bytes of compiled policies",
            compiled.image.len(),
            MAX_POLICY_BYTES,
        ),
        (
            "bytes of compiled policies and Services",
            config,
            MAX_CONFIG_BYTES,
        ),
    ];
    let file = parsed.first().map(|p| p.file.clone()).unwrap_or_default();
    for (what, found, max) in bounds.into_iter().filter(|&(_, found, max)| found > max) {
        let reason = Reason::TooMany { what, found, max };
        errors.push(DocumentError {
            file: file.clone(),
            pos: None,
            field: String::new(),
            reason,
        });
    }
}

/// How many identities the node with the most of them has.
fn identities_of_one_node(documents: &BTreeMap<Key, Document>) -> usize {
    let mut everywhere = 0;
    let mut named: HashMap<_, usize> = HashMap::new();
    for document in documents.values() {
        let Document::WorkloadIdentity(identity) = document else {
            continue;
        };
        match &identity.nodes {
            None => everywhere += 1,
            Some(nodes) => nodes
                .iter()
                .for_each(|node| *named.entry(node).or_default() += 1),
        }
    }
    everywhere + named.into_values().max().unwrap_or(0)
}
