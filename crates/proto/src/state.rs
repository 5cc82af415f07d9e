//! A node's state in parts, so that only what has changed travels.
//!
//! A part is an encoded [`Snapshot`] that holds one thing: an entry, a Service, a bundle. All of them merged are the node's
//! state. Parts are known by their content, so an agent that says which it holds is understood by whoever it asks: the control
//! plane it had them from, that one started anew, one restored from a backup, or another one. What comes of a [`Delta`] has to
//! have the digest that the control plane named, or it is refused as a whole.
//!
//! ```
//! use prost::Message as _;
//! use tidelock_proto::state::{HeldParts, Part, State, StateError};
//! use tidelock_proto::v1::{Entry, Snapshot};
//!
//! let entry = |id: &str| {
//!     let entries = vec![Entry { id: id.into(), ..Entry::default() }];
//!     Part::new(Snapshot { entries, ..Snapshot::default() }.encode_to_vec().into())
//! };
//! // An agent kept generation 6; the control plane is at 7.
//! let agent = State::new(6, [].into(), vec![entry("curl"), entry("web")])?;
//! let now = State::new(7, [].into(), vec![entry("curl"), entry("db")])?;
//!
//! // What it says that it holds, and what it is sent: one entry and the id of another.
//! let held = HeldParts::parse(&agent.held())?;
//! let delta = now.since_held(&held);
//! assert_eq!((delta.added.len(), delta.removed.len(), delta.whole), (1, 16, false));
//!
//! let snapshot = agent.apply(&delta)?.snapshot()?;
//! assert_eq!(snapshot.generation, 7);
//! assert_eq!(snapshot.entries.iter().map(|e| &e.id).collect::<Vec<_>>(), ["curl", "db"]);
//!
//! // An agent that holds something else takes nothing of it.
//! let other = State::new(6, [].into(), vec![entry("curl")])?;
//! assert_eq!(other.apply(&delta), Err(StateError::NotHeld));
//! # Ok::<(), StateError>(())
//! ```

mod held;

use std::sync::Arc;

use prost::Message as _;
use prost::bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::v1::{Delta, Held, Snapshot};
use crate::{MAX_PARTS, MAX_STATE_BYTES, PART_ID_BYTES};

pub use held::HeldParts;

/// What the digest of a state begins with, so that it is no other digest.
const STATE: &[u8] = b"tidelock state 1\0";

/// SHA-256.
type Sha = [u8; 32];

/// What a part is called by those who hold it.
type PartId = [u8; PART_ID_BYTES];

/// One thing of a node's state: an encoded [`Snapshot`] without a generation.
///
/// Parts are in order of their digests, which come first.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Part {
    digest: Sha,
    encoded: Bytes,
}

/// The state of a node at one generation. By default the one of an agent that holds nothing.
#[derive(Clone, Debug)]
pub struct State {
    generation: u64,
    /// Sorted; shared between the states of many nodes.
    common: Arc<[Part]>,
    /// Sorted; what only this one has.
    own: Vec<Part>,
    digest: Sha,
}

/// Why a state was refused. What was held before stays.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Generation 0 means "none".
    #[error("the changes lead to no generation")]
    NoGeneration,
    /// A list of ids that is cut off.
    #[error("a list of parts has {len} bytes, which is no multiple of {PART_ID_BYTES}")]
    Ids {
        /// Bytes given.
        len: usize,
    },
    /// More than [`MAX_PARTS`].
    #[error("{count} parts, at most {MAX_PARTS} are possible")]
    TooManyParts {
        /// How many there are.
        count: usize,
    },
    /// More than [`MAX_STATE_BYTES`], so that it could not be sent as a whole.
    #[error("{len} bytes of state, at most {MAX_STATE_BYTES} are possible")]
    TooLong {
        /// How many there are.
        len: usize,
    },
    /// All of the state, and something to be taken out of it.
    #[error("the whole state comes with {count} parts to be removed")]
    RemovedFromNothing {
        /// How many.
        count: usize,
    },
    /// A part to be removed that is not held.
    #[error("a part is to be removed that is not there")]
    NotHeld,
    /// A part to be added that is held already, or comes twice.
    #[error("a part is to be added that is there already")]
    Twice,
    /// The control plane has another state in mind.
    #[error("what comes of the changes is not what the control plane has")]
    WrongDigest,
    /// A part that is no message, or one that says more than a part may.
    #[error("a part of the state is malformed: {0}")]
    Part(prost::DecodeError),
    /// A part with a generation of its own.
    #[error("a part of the state has a generation")]
    PartGeneration,
}

impl Part {
    /// One thing of a state, an encoded [`Snapshot`] that has no generation.
    #[must_use]
    pub fn new(encoded: Bytes) -> Self {
        Self {
            digest: Sha256::digest(&encoded).into(),
            encoded,
        }
    }

    fn id(&self) -> PartId {
        let [id @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = self.digest;
        id
    }
}

/// Both, each of which is sorted, in order.
fn merged<T: Ord>(
    one: impl IntoIterator<Item = T>,
    other: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = T> {
    let (mut one, mut other) = (one.into_iter().peekable(), other.into_iter().peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(a), Some(b)) if a <= b => one.next(),
        (Some(_), None) => one.next(),
        (_, _) => other.next(),
    })
}

/// Sorts parts as [`State::new`] wants them.
#[must_use]
pub fn sorted(mut parts: Vec<Part>) -> Vec<Part> {
    parts.sort_unstable_by_key(|part| part.digest);
    parts
}

impl Default for State {
    fn default() -> Self {
        Self::unchecked(0, Arc::default(), Vec::new())
    }
}

/// Two are the same that have the same parts, wherever they come from.
impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl State {
    /// The state of a node: what it has in common with others, made once with [`sorted`], and what is its own.
    ///
    /// # Errors
    /// It is too large for agents.
    pub fn new(generation: u64, common: Arc<[Part]>, own: Vec<Part>) -> Result<Self, StateError> {
        let state = Self::unchecked(generation, common, sorted(own));
        bounded(state.parts())?;
        Ok(state)
    }

    fn unchecked(generation: u64, common: Arc<[Part]>, own: Vec<Part>) -> Self {
        let mut state = Self {
            generation,
            common,
            own,
            digest: [0; 32],
        };
        let mut digest = Sha256::new();
        digest.update(STATE);
        state.parts().for_each(|part| digest.update(part.digest));
        state.digest = digest.finalize().into();
        state
    }

    /// Which generation of the control plane's configuration it is; 0: none.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.common.is_empty() && self.own.is_empty()
    }

    /// Sorted by digest.
    fn parts(&self) -> impl Iterator<Item = &Part> {
        merged(&*self.common, &self.own)
    }

    /// What an agent that holds this tells the control plane.
    #[must_use]
    pub fn held(&self) -> Held {
        let ids: Vec<PartId> = self.parts().map(Part::id).collect();
        Held {
            parts: ids.concat().into(),
        }
    }

    /// What leads an agent here that holds another state.
    #[must_use]
    pub fn since(&self, before: &Self) -> Delta {
        self.changes(before.parts().map(Part::id))
    }

    /// What leads an agent here that says what it holds. All of it, if nothing of that is of use.
    #[must_use]
    pub fn since_held(&self, held: &HeldParts) -> Delta {
        self.changes(held.ids())
    }

    /// All of it.
    #[must_use]
    pub fn whole(&self) -> Delta {
        self.changes(std::iter::empty())
    }

    /// Walks along what is held and what there is, both sorted.
    fn changes(&self, held: impl Iterator<Item = PartId>) -> Delta {
        let (mut removed, mut added) = (Vec::new(), Vec::new());
        let mut held = held.peekable();
        let mut kept = 0;
        for part in self.parts() {
            let id = part.id();
            while let Some(gone) = held.next_if(|held| *held < id) {
                removed.extend(gone);
            }
            match held.next_if_eq(&id) {
                Some(_) => kept += 1,
                None => added.push(part.encoded.clone()),
            }
        }
        held.for_each(|gone| removed.extend(gone));
        let whole = kept == 0;
        if whole {
            removed.clear();
        }
        Delta {
            generation: self.generation,
            whole,
            removed: removed.into(),
            added,
            digest: self.digest.to_vec().into(),
        }
    }

    /// What comes of these changes to it: all of them, or none.
    ///
    /// # Errors
    /// They are not changes to this state; ask for the whole of it.
    pub fn apply(&self, delta: &Delta) -> Result<Self, StateError> {
        if delta.generation == 0 {
            return Err(StateError::NoGeneration);
        }
        let mut removed = ids(&delta.removed)?;
        if delta.whole && !removed.is_empty() {
            let count = removed.len();
            return Err(StateError::RemovedFromNothing { count });
        }
        let count = delta.added.len();
        if count > MAX_PARTS {
            return Err(StateError::TooManyParts { count });
        }
        removed.sort_unstable();
        let mut not_met = removed.iter().peekable();
        let mut parts = Vec::new();
        for part in self.parts().filter(|_| !delta.whole) {
            match not_met.next_if_eq(&&part.id()) {
                Some(_) => {}
                None => parts.push(part.clone()),
            }
        }
        if not_met.next().is_some() {
            return Err(StateError::NotHeld);
        }
        // Copied, so that what is kept does not keep the message that it came with.
        let copied = |encoded: &Bytes| Part::new(Bytes::copy_from_slice(encoded));
        parts.extend(delta.added.iter().map(copied));
        let parts = sorted(parts);
        if parts
            .windows(2)
            .any(|two| matches!(two, [a, b] if a.digest == b.digest))
        {
            return Err(StateError::Twice);
        }
        bounded(parts.iter())?;
        let state = Self::unchecked(delta.generation, Arc::default(), parts);
        match state.digest == *delta.digest {
            true => Ok(state),
            false => Err(StateError::WrongDigest),
        }
    }

    /// All of it in one message, in the order that snapshots have.
    ///
    /// # Errors
    /// A part is malformed.
    pub fn snapshot(&self) -> Result<Snapshot, StateError> {
        let mut snapshot = Snapshot::default();
        for part in self.parts() {
            let merged = snapshot.merge(part.encoded.clone());
            merged.map_err(StateError::Part)?;
        }
        if snapshot.generation != 0 {
            return Err(StateError::PartGeneration);
        }
        snapshot.generation = self.generation;
        snapshot.entries.sort_by(|a, b| a.id.cmp(&b.id));
        snapshot.services.sort_by(|a, b| a.name.cmp(&b.name));
        snapshot.revoked_serials.sort_unstable();
        if let Some(policy) = &mut snapshot.policy {
            policy.sources.sort_by(|a, b| a.name.cmp(&b.name));
        }
        Ok(snapshot)
    }
}

fn ids(bytes: &[u8]) -> Result<Vec<PartId>, StateError> {
    let (ids, rest) = bytes.as_chunks::<PART_ID_BYTES>();
    match ids.len() {
        _ if !rest.is_empty() => Err(StateError::Ids { len: bytes.len() }),
        count if count > MAX_PARTS => Err(StateError::TooManyParts { count }),
        _ => Ok(ids.to_vec()),
    }
}

fn bounded<'a>(parts: impl Iterator<Item = &'a Part>) -> Result<(), StateError> {
    let (mut count, mut len) = (0, 0_usize);
    for part in parts {
        count += 1;
        len = len.saturating_add(part.encoded.len());
    }
    if count > MAX_PARTS {
        return Err(StateError::TooManyParts { count });
    }
    if len > MAX_STATE_BYTES {
        return Err(StateError::TooLong { len });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
