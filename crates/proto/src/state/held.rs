//! What an agent holds, told without the parts themselves.

use std::sync::Arc;

use super::{Part, PartId, State, StateError, ids, merged};
use crate::v1::Held;

/// What an agent holds, as it says or as it was sent: without the parts themselves, but for those that many have in common.
#[derive(Clone, Debug, Default)]
pub struct HeldParts {
    common: Arc<[Part]>,
    /// Sorted.
    own: Box<[PartId]>,
}

impl HeldParts {
    /// Reads what an agent says.
    ///
    /// # Errors
    /// No agent holds that.
    pub fn parse(held: &Held) -> Result<Self, StateError> {
        let mut ids = ids(&held.parts)?;
        ids.sort_unstable();
        ids.dedup();
        Ok(Self {
            common: Arc::default(),
            own: ids.into(),
        })
    }

    /// Sorted.
    pub(super) fn ids(&self) -> impl Iterator<Item = PartId> {
        merged(self.common.iter().map(Part::id), self.own.iter().copied())
    }
}

impl State {
    /// What an agent holds that was sent this, in less memory than that takes.
    #[must_use]
    pub fn remembered(&self) -> HeldParts {
        HeldParts {
            common: Arc::clone(&self.common),
            own: self.own.iter().map(Part::id).collect(),
        }
    }
}
