//! Which identities are for which node, without a look at all of them.

use std::collections::HashMap;

use super::{NodeGroups, WorkloadIdentity};
use crate::name::Name;

/// The identities of each node, by their numbers: the order in which they were given.
///
/// What a node has is found in as many steps as it has identities, however many others there are. The index grows with what is
/// written, four bytes for each node or group that an identity names, and not with how many nodes are in a group.
#[derive(Clone, Debug, Default)]
pub struct NodeIndex {
    everywhere: Vec<u32>,
    by_node: HashMap<Name, Vec<u32>>,
    by_group: HashMap<Name, Vec<u32>>,
    groups_of: HashMap<Name, Vec<Name>>,
}

impl NodeIndex {
    /// Of these identities. Of more than `u32::MAX` the rest is for nobody.
    pub fn new<'a>(
        identities: impl IntoIterator<Item = &'a WorkloadIdentity>,
        groups: &NodeGroups,
    ) -> Self {
        let mut index = Self::default();
        for (number, identity) in (0..u32::MAX).zip(identities) {
            if identity.is_everywhere() {
                index.everywhere.push(number);
            }
            for node in identity.nodes.iter().flatten() {
                append(&mut index.by_node, node, number);
            }
            for group in identity.node_groups.iter().flatten() {
                append(&mut index.by_group, group, number);
            }
        }
        for (group, nodes) in groups.all() {
            for node in nodes {
                append(&mut index.groups_of, node, group.clone());
            }
        }
        index
    }

    /// The numbers of a node's identities, in order: of those that [`WorkloadIdentity::placed`] places.
    #[must_use]
    pub fn of_node(&self, node: &Name) -> Vec<u32> {
        let direct = self.by_node.get(node);
        let groups = self.groups_of.get(node).into_iter().flatten();
        let by_group = groups.filter_map(|group| self.by_group.get(group));
        let named = direct.into_iter().chain(by_group);
        let mut numbers = self.everywhere.clone();
        numbers.extend(named.flatten());
        // Sorted runs, which a stable sort merges. An identity may be in several.
        numbers.sort();
        numbers.dedup();
        numbers
    }
}

fn append<T>(to: &mut HashMap<Name, Vec<T>>, name: &Name, item: T) {
    match to.get_mut(name) {
        Some(items) => items.push(item),
        None => drop(to.insert(name.clone(), vec![item])),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::{btree_set, vec};
    use proptest::option;
    use proptest::prelude::*;
    use tidelock_attest::Selectors;

    use super::*;
    use crate::document::WorkloadId;

    const NAMES: [&str; 4] = ["n1", "n2", "n3", "n4"];

    fn names(numbers: &BTreeSet<usize>) -> BTreeSet<Name> {
        let names = numbers.iter().map(|&number| NAMES[number]);
        names
            .map(|name| Name::parse(name).expect("a name"))
            .collect()
    }

    fn some() -> impl Strategy<Value = BTreeSet<Name>> {
        btree_set(0..NAMES.len(), 0..3).prop_map(|numbers| names(&numbers))
    }

    fn identity() -> impl Strategy<Value = WorkloadIdentity> {
        (option::of(some()), option::of(some())).prop_map(|(nodes, node_groups)| {
            let id = "spiffe://td/a".parse().expect("an id");
            WorkloadIdentity {
                name: Name::parse("a").expect("a name"),
                spiffe_id: WorkloadId::Fixed(id),
                selectors: Selectors::parse(["unix:path:/bin/a"]).expect("selectors"),
                svid_ttl_secs: None,
                jwt_ttl_secs: None,
                nodes,
                node_groups,
            }
        })
    }

    proptest! {
        /// Whoever is placed is found, and nobody else, each once and in order.
        #[test]
        fn the_index_and_a_look_at_all_agree(identities in vec(identity(), 0..20), groups in vec(some(), 4)) {
            let all = names(&(0..NAMES.len()).collect());
            let groups = NodeGroups::new(all.iter().cloned().zip(groups));
            let index = NodeIndex::new(&identities, &groups);
            for node in &all {
                let placed = (0_u32..).zip(&identities).filter(|(_, identity)| identity.placed(node, &groups).is_some());
                let placed: Vec<u32> = placed.map(|(number, _)| number).collect();
                prop_assert_eq!(index.of_node(node), placed);
            }
        }
    }
}
