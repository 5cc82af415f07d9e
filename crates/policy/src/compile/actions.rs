//! How actions are named in images.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use cedar_policy::{Schema, pst};

/// The schema's actions with the groups they are in, by their names in images.
#[derive(Debug, Default)]
pub(super) struct ActionNames {
    known: Vec<(String, Vec<String>)>,
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
            (named(&uid), groups)
        });
        Ok(Self {
            known: known.collect(),
        })
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
            .filter(|(_, groups)| names.iter().any(|n| groups.contains(n)));
        let inside: Vec<String> = inside.map(|(name, _)| name.clone()).collect();
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
