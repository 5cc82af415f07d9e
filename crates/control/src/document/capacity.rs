//! What a node's kernel takes. The bounds are those of the kernel contract (`tidelock-kabi`, `bounds`): refusing here, with a
//! reason, is better than every node refusing later.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tidelock_attest::Expression;

use super::{
    Compiled, Document, DocumentError, Key, MAX_GROUP_MEMBERS, MAX_NODE_GROUPS, NodeGroups, Parsed,
    Reason, Service, WorkloadIdentity,
};
use crate::name::{MAX_NAME_BYTES, Name};

/// Most identities that one node has, each way to fit one counted by itself (`MAX_PREFILTER`).
pub const MAX_IDENTITIES_PER_NODE: usize = 1_024;

/// Most addresses of all Services together (`MAX_SERVICES`).
pub const MAX_ADDRESSES: usize = 1_024;

/// Most authorities that may vouch for a server outside: those that a few providers sign by. The kernel takes `MAX_ROOTS`.
pub const MAX_ROOTS_PER_SERVICE: usize = 32;
/// What the authorities that a node's own system trusts take in its configuration, at most, once for all Services that want them.
/// A list of public ones has some 150, of less than 200 KiB.
pub const MAX_SYSTEM_ROOTS_BYTES: usize = 256 * 1024;
/// Most SPIFFE IDs that may serve one Service (`MAX_SERVERS_PER_SERVICE`).
pub const MAX_SERVERS_PER_SERVICE: usize = 64;

/// Most operators. Ours: more than people can keep an eye on.
pub const MAX_OPERATORS: usize = 1_024;

/// Most that the images of enforced and observed policies take together, in bytes (`MAX_POLICY_BYTES`, there of each).
pub const MAX_POLICY_BYTES: usize = 512 * 1024;

/// Most that policy images and Services take together, in bytes: three quarters of the one record that holds a node's whole
/// configuration (`MAX_RECORD_BYTES`); the rest is left for bundles and the prefilter.
pub const MAX_CONFIG_BYTES: usize = 768 * 1024;

/// Most that one node's state takes on its way there, in bytes: one message, less room for bundles and framing.
pub const MAX_STATE_BYTES: usize = tidelock_proto::MAX_MESSAGE_BYTES - 1024 * 1024;

/// What a list item or field takes on the wire beside its text, generously.
const BYTES_PER_FIELD: usize = 8;

/// Refuses more than a node takes.
pub(crate) fn fits(
    documents: &BTreeMap<Key, Document>,
    compiled: &Compiled,
    parsed: &[Parsed],
    errors: &mut Vec<DocumentError>,
) {
    let mut shared = Shared::default();
    let mut everywhere = Identities::default();
    let mut named: HashMap<&Name, Identities> = HashMap::new();
    let mut operators = 0;
    for document in documents.values() {
        match document {
            Document::Operator(_) => operators += 1,
            Document::NodeGroup(_) | Document::TrustDomain(_) => {}
            Document::Service(service) => shared.add(service),
            Document::Policy(policy) => shared.sources += policy.cedar.len() + BYTES_PER_FIELD,
            Document::WorkloadIdentity(identity) if identity.is_everywhere() => {
                everywhere.add(identity);
            }
            Document::WorkloadIdentity(identity) => {
                for node in nodes(identity, &compiled.groups) {
                    named.entry(node).or_default().add(identity);
                }
            }
        }
    }
    let most =
        |of: fn(&Identities) -> usize| of(&everywhere) + named.values().map(of).max().unwrap_or(0);
    let images = compiled.image.len() + compiled.observed.len();
    let config = images + shared.services + shared.system_roots;
    let bounds = [
        (
            "identities of one node",
            most(|i| i.count),
            MAX_IDENTITIES_PER_NODE,
        ),
        ("addresses of all Services", shared.addresses, MAX_ADDRESSES),
        ("bytes of compiled policies", images, MAX_POLICY_BYTES),
        (
            "bytes of compiled policies and Services",
            config,
            MAX_CONFIG_BYTES,
        ),
        (
            "bytes of one node's state",
            config + shared.sources + most(|i| i.bytes),
            MAX_STATE_BYTES,
        ),
    ];
    let file = parsed.first().map(|p| p.file.clone()).unwrap_or_default();
    let error = |reason| DocumentError {
        file: file.clone(),
        pos: None,
        field: String::new(),
        reason,
    };
    for (what, found, max) in bounds.into_iter().filter(|&(_, found, max)| found > max) {
        errors.push(error(Reason::TooMany { what, found, max }));
    }
    let (groups, members) = compiled.groups.size();
    for (what, found, max) in [
        ("Operators", operators, MAX_OPERATORS),
        ("NodeGroups", groups, MAX_NODE_GROUPS),
        ("nodes in all NodeGroups", members, MAX_GROUP_MEMBERS),
    ] {
        if found > max {
            errors.push(error(Reason::Bound { what, found, max }));
        }
    }
}

/// The nodes that an identity names, each once.
fn nodes<'a>(identity: &'a WorkloadIdentity, groups: &'a NodeGroups) -> BTreeSet<&'a Name> {
    let named = identity.node_groups.iter().flatten();
    let in_groups = named.filter_map(|group| groups.nodes(group)).flatten();
    identity.nodes.iter().flatten().chain(in_groups).collect()
}

/// What every node has.
#[derive(Default)]
struct Shared {
    addresses: usize,
    /// In the kernel's configuration.
    services: usize,
    /// The same, of the system's authorities.
    system_roots: usize,
    /// Bytes of policy text.
    sources: usize,
}

impl Shared {
    fn add(&mut self, service: &Service) {
        self.addresses += service.addresses.len();
        self.services += service.config_bytes();
        if service.wants_system_roots() {
            self.system_roots = MAX_SYSTEM_ROOTS_BYTES;
        }
    }
}

/// Identities that go to the same nodes.
#[derive(Default)]
struct Identities {
    count: usize,
    /// On the wire, roughly.
    bytes: usize,
}

impl Identities {
    fn add(&mut self, identity: &WorkloadIdentity) {
        let id = identity.spiffe_id.to_string().len() + MAX_NAME_BYTES;
        let texts = [identity.name.as_str().len(), id].map(|len| len + BYTES_PER_FIELD);
        self.count += identity.selectors.branches().len();
        self.bytes += texts.into_iter().sum::<usize>() + BYTES_PER_FIELD;
        self.bytes += expression_bytes(identity.selectors.expressions());
    }
}

/// Recursion is bounded: what is deeper than `MAX_EXPRESSION_DEPTH` is no set of selectors.
fn expression_bytes(items: &[Expression]) -> usize {
    let bytes = |item: &Expression| match item {
        Expression::Selector(selector) => selector.to_string().len(),
        Expression::AllOf(items) | Expression::AnyOf(items) => expression_bytes(items),
        Expression::Not(of) => expression_bytes(std::slice::from_ref(of)),
    };
    items
        .iter()
        .map(|item| bytes(item) + 2 * BYTES_PER_FIELD)
        .sum()
}

#[cfg(test)]
mod tests {
    use tidelock_spiffe_core::TrustDomain;

    use super::*;
    use crate::document::{Format, Lives, SourceFile, parse_files};

    fn documents(texts: impl Iterator<Item = String>) -> BTreeMap<Key, Document> {
        let text = texts.collect();
        let file = SourceFile {
            name: "f".into(),
            text,
            format: Format::Yaml,
        };
        let parsed = parse_files(&[file], TrustDomain::parse("td").expect("trust domain"));
        parsed
            .expect("documents")
            .into_iter()
            .map(|d| (d.key(), d))
            .collect()
    }

    fn refused(
        documents: &BTreeMap<Key, Document>,
        image_len: usize,
    ) -> Vec<(&'static str, usize)> {
        let compiled = Compiled {
            image: vec![0; image_len - image_len / 4],
            observed: vec![0; image_len / 4],
            groups: NodeGroups::default(),
            lives: Lives::default(),
            warnings: vec![],
        };
        let mut errors = Vec::new();
        fits(documents, &compiled, &[], &mut errors);
        let what = |e: DocumentError| match e.reason {
            Reason::TooMany { what, found, .. } => (what, found),
            other => panic!("{other:?}"),
        };
        errors.into_iter().map(what).collect()
    }

    #[test]
    fn identities_are_counted_by_node() {
        let identity = |n: usize, nodes: &str| {
            format!(
                "---\napiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: i{n}}}\n\
                 spec: {{spiffeID: 'spiffe://td/a', selectors: ['unix:path:/a']{nodes}}}\n"
            )
        };
        let everywhere = (0..1000).map(|n| identity(n, ""));
        let on = |node: &'static str, range: std::ops::Range<usize>| {
            range.map(move |n| identity(n, &format!(", nodes: [{node}]")))
        };
        let fitting = everywhere
            .clone()
            .chain(on("n1", 1000..1024))
            .chain(on("n2", 1024..1048));
        assert_eq!(refused(&documents(fitting), 0), []);
        let one_more = everywhere.chain(on("n1", 1000..1025));
        assert_eq!(
            refused(&documents(one_more), 0),
            [("identities of one node", 1025)]
        );
    }

    #[test]
    fn every_way_to_fit_an_identity_counts() {
        let ways = |n: usize| {
            let uids: Vec<String> = (0..64).map(|uid| format!("'unix:uid:{uid}'")).collect();
            format!(
                "---\napiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: i{n}}}\n\
                 spec: {{spiffeID: 'spiffe://td/a', selectors: ['unix:path:/a', anyOf: [{}]]}}\n",
                uids[..63].join(", ")
            )
        };
        assert_eq!(refused(&documents((0..16).map(ways)), 0), []);
        assert_eq!(
            refused(&documents((0..17).map(ways)), 0),
            [("identities of one node", 17 * 63)]
        );
    }

    #[test]
    fn the_image_and_all_addresses_are_bounded() {
        let service = |n: usize| {
            let addresses: Vec<String> = (0..128).map(|i| format!("'10.{n}.0.{i}:80'")).collect();
            format!(
                "---\napiVersion: tidelock.dev/v1\nkind: Service\nmetadata: {{name: s{n}}}\n\
                 spec: {{addresses: [{}], servers: ['spiffe://td/a']}}\n",
                addresses.join(", ")
            )
        };
        assert_eq!(
            refused(&documents((0..8).map(service)), MAX_POLICY_BYTES),
            []
        );
        let refused = refused(&documents((0..9).map(service)), MAX_POLICY_BYTES + 1);
        let expected = [
            ("addresses of all Services", 1152),
            ("bytes of compiled policies", MAX_POLICY_BYTES + 1),
        ];
        assert_eq!(refused, expected);
    }
}
