//! How actions are named in images.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use cedar_policy::{Schema, pst};

/// The schema's actions with the groups they are in, by their names in images.
#[derive(Debug, Default)]
pub(super) struct ActionNames {
    known: Vec<Action>,
}

#[derive(Debug)]
struct Action {
    kind: String,
    name: String,
    groups: Vec<String>,
}

impl ActionNames {
    /// Reads the schema's actions; the error is in Cedar's words.
    pub(super) fn of(schema: &Schema) -> Result<Self, String> {
        let actions = schema
            .action_entities()
            .map_err(|error| error.to_string())?;
        let named = |uid: &cedar_policy::EntityUid| {
            name(&uid.type_name().to_string(), uid.id().unescaped())
        };
        let known = actions.iter().map(|action| {
            let uid = action.uid();
            let groups = actions
                .ancestors(&uid)
                .into_iter()
                .flatten()
                .map(named)
                .collect();
            Action {
                kind: uid.type_name().to_string(),
                name: named(&uid),
                groups,
            }
        });
        Ok(Self {
            known: known.collect(),
        })
    }

    /// The schema's actions of an entity type.
    pub(super) fn of_kind(&self, kind: &str) -> Vec<String> {
        let of_kind = self.known.iter().filter(|action| action.kind == kind);
        of_kind.map(|action| action.name.clone()).collect()
    }

    /// Whether an entity is an action of the schema.
    pub(super) fn is_action(&self, entity: &pst::EntityUID) -> bool {
        let kind = entity.ty.to_string();
        self.known.iter().any(|action| action.kind == kind)
    }

    /// One action.
    pub(super) fn exact(&self, action: &pst::EntityUID) -> String {
        name(&action.ty.to_string(), &action.eid)
    }

    /// These actions, and the schema's actions that are in one of them.
    pub(super) fn within(&self, actions: &[pst::EntityUID]) -> Vec<String> {
        let mut names: Vec<String> = actions.iter().map(|action| self.exact(action)).collect();
        let inside = self
            .known
            .iter()
            .filter(|action| names.iter().any(|n| action.groups.contains(n)));
        let inside: Vec<String> = inside.map(|action| action.name.clone()).collect();
        names.extend(inside);
        names
    }
}

/// The id alone, as requests give it, for actions outside a name space.
fn name(kind: &str, id: &str) -> String {
    if kind == "Action" {
        id.to_string()
    } else {
        format!("{kind}::\"{id}\"")
    }
}
