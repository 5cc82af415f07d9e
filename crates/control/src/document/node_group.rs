//! `kind: NodeGroup`, and which nodes an identity is for because of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Document, Key, Reason};
use crate::name::Name;
use crate::yaml::{Cursor, Reader};

pub(super) const FIELDS: &[&str] = &["nodes"];

/// Most NodeGroups. Ours: more than people can keep an eye on.
pub const MAX_NODE_GROUPS: usize = 1_024;

/// Most nodes in all NodeGroups together, each counted in every one that it is in. Ours: each is looked at for each change.
pub const MAX_GROUP_MEMBERS: usize = 65_536;

/// Most groups that one identity names.
pub const MAX_GROUPS_PER_IDENTITY: usize = 64;

/// Nodes under one name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeGroup {
    /// Unique among NodeGroups, and what `{{node.group}}` stands for.
    pub name: Name,
    /// At least one; whether they have joined does not matter.
    pub nodes: BTreeSet<Name>,
}

impl NodeGroup {
    pub(super) fn read(
        reader: &mut Reader<'_>,
        name: Option<Name>,
        spec: Cursor<'_>,
    ) -> Option<Self> {
        let fields = reader.fields(spec, FIELDS)?;
        let nodes = reader.required(&fields, "nodes")?;
        Some(Self {
            nodes: names(reader, &nodes),
            name: name?,
        })
    }

    pub(super) fn to_json(&self) -> Value {
        let nodes: Vec<_> = self.nodes.iter().map(Name::as_str).collect();
        json!({ "nodes": nodes })
    }
}

/// Reads names, of which there is at least one and none twice.
pub(super) fn names(reader: &mut Reader<'_>, at: &Cursor<'_>) -> BTreeSet<Name> {
    let mut read = BTreeSet::new();
    for item in reader.filled_list(at) {
        let Some(text) = reader.text(&item) else {
            continue;
        };
        match Name::parse(&text.text) {
            Ok(name) if read.contains(&name) => reader.refuse(
                &item,
                Reason::RepeatedItem {
                    item: text.text.clone(),
                },
            ),
            Ok(name) => drop(read.insert(name)),
            Err(error) => reader.refuse(&item, Reason::Name(error)),
        }
    }
    read
}

/// The NodeGroups among documents, and their nodes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NodeGroups(BTreeMap<Name, BTreeSet<Name>>);

impl NodeGroups {
    /// Of these groups, by their names.
    pub fn new(groups: impl IntoIterator<Item = (Name, BTreeSet<Name>)>) -> Self {
        Self(groups.into_iter().collect())
    }

    pub(crate) fn of(documents: &BTreeMap<Key, Document>) -> Self {
        Self::new(documents.values().filter_map(|document| match document {
            Document::NodeGroup(group) => Some((group.name.clone(), group.nodes.clone())),
            _ => None,
        }))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&Name, &BTreeSet<Name>)> {
        self.0.iter()
    }

    /// How many groups there are, and how many nodes in them.
    pub(super) fn size(&self) -> (usize, usize) {
        let members = self.0.values().map(BTreeSet::len).sum();
        (self.0.len(), members)
    }

    /// The nodes of a group; `None`: there is no such group.
    pub(super) fn nodes(&self, group: &Name) -> Option<&BTreeSet<Name>> {
        self.0.get(group)
    }

    /// The first of these groups that this node is in.
    pub(super) fn first<'g>(&self, of: &'g BTreeSet<Name>, node: &Name) -> Option<&'g Name> {
        of.iter()
            .find(|&group| self.nodes(group).is_some_and(|nodes| nodes.contains(node)))
    }

    /// A node that is in two of these groups, and the two.
    pub(super) fn shared<'s>(
        &'s self,
        of: &'s BTreeSet<Name>,
    ) -> Option<(&'s Name, [&'s Name; 2])> {
        let mut seen: BTreeMap<&Name, &Name> = BTreeMap::new();
        for group in of {
            for node in self.nodes(group).into_iter().flatten() {
                if let Some(other) = seen.insert(node, group) {
                    return Some((node, [other, group]));
                }
            }
        }
        None
    }
}

/// A node, and by which of its groups it has an identity, where that is why it has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Placed<'a> {
    /// The node.
    pub node: &'a Name,
    /// The group.
    pub group: Option<&'a Name>,
}

impl<'a> From<&'a Name> for Placed<'a> {
    fn from(node: &'a Name) -> Self {
        Self { node, group: None }
    }
}
