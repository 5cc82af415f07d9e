//! What this node holds of its state, in memory and on disk, so that it is sent only what has changed.

use prost::Message as _;
use tidelock_proto::state::{State, StateError};
use tidelock_proto::v1::sync_response::Update;
use tidelock_proto::v1::{Delta, Held, Snapshot};

use crate::node::Store;

/// The state as the control plane last told it. It decides nothing: only what the control plane confirms on a connection is
/// acted on.
#[derive(Debug)]
pub(crate) struct Kept {
    store: Store,
    state: State,
    /// It is not what lies on the disk.
    changed: bool,
}

/// Why an update was refused. Nothing is held then, so that the control plane is asked for everything.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum UpdateError {
    /// No message.
    #[error("the control plane sent a snapshot that is none: {0}")]
    Snapshot(prost::DecodeError),
    /// Changes to another state, or malformed ones.
    #[error("the control plane's changes are refused, and it is asked for everything: {0}")]
    Delta(StateError),
}

impl Kept {
    /// Reads what an agent before this one kept. What is of no use is not: everything comes anew then.
    pub(crate) fn load(store: Store) -> Self {
        let state = match store.state() {
            Ok(Some(bytes)) => read(&bytes),
            Ok(None) => Ok(State::default()),
            Err(error) => Err(error.to_string()),
        };
        let state = state.unwrap_or_else(|error| {
            tracing::warn!("the state that was kept is asked for anew: {error}");
            State::default()
        });
        Self {
            store,
            state,
            changed: false,
        }
    }

    /// What to tell the control plane.
    pub(crate) fn held(&self) -> Held {
        self.state.held()
    }

    /// Holds nothing any more.
    pub(crate) fn forget(&mut self) {
        self.state = State::default();
        self.changed = false;
    }

    /// Takes an update, all of it or nothing, and gives the state that it leads to. `None`: this agent is too old for it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn take(&mut self, update: Option<Update>) -> Result<Option<Snapshot>, UpdateError> {
        let taken = match update {
            None => return Ok(None),
            Some(Update::Snapshot(snapshot)) => {
                self.forget();
                Snapshot::decode(snapshot).map_err(UpdateError::Snapshot)
            }
            Some(Update::Delta(delta)) => self.apply(&delta).map_err(UpdateError::Delta),
        };
        taken.map(Some).inspect_err(|_| self.forget())
    }

    fn apply(&mut self, delta: &Delta) -> Result<Snapshot, StateError> {
        let state = self.state.apply(delta)?;
        let snapshot = state.snapshot()?;
        if state.generation() == self.state.generation() && state != self.state {
            tracing::warn!(
                "the control plane has another state at generation {}: if it was restored from a backup, the next change brings \
                 this node up to date",
                state.generation()
            );
        }
        self.changed |= state != self.state;
        self.state = state;
        Ok(snapshot)
    }

    /// Writes it down if it has changed. It may be lost: everything comes anew then.
    pub(crate) async fn keep(&mut self) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        let (store, bytes) = (self.store.clone(), self.state.whole().encode_to_vec());
        let kept = tokio::task::spawn_blocking(move || store.keep_state(&bytes)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(
                "the state is not kept, so it is asked for anew after a restart: {error}"
            );
        }
    }
}

/// The file holds what leads from nothing to the state.
fn read(bytes: &[u8]) -> Result<State, String> {
    let delta = Delta::decode(bytes).map_err(|error| error.to_string())?;
    let state = State::default().apply(&delta);
    state.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tidelock_proto::state::Part;
    use tidelock_proto::v1::Entry;

    use super::*;

    fn state(generation: u64, ids: &[&str]) -> State {
        let part = |id: &&str| {
            let entry = Entry {
                id: (*id).to_owned(),
                ..Entry::default()
            };
            let part = Snapshot {
                entries: vec![entry],
                ..Snapshot::default()
            };
            Part::new(part.encode_to_vec().into())
        };
        let own = ids.iter().map(part).collect();
        State::new(generation, [].into(), own).unwrap()
    }

    fn kept(dir: &Path) -> Kept {
        Kept::load(Store::open(dir).unwrap())
    }

    fn names(snapshot: &Snapshot) -> Vec<&str> {
        snapshot.entries.iter().map(|e| e.id.as_str()).collect()
    }

    #[tokio::test]
    async fn a_restarted_agent_tells_what_it_holds_and_is_sent_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        let (before, after) = (state(1, &["a", "b"]), state(2, &["b", "c"]));
        let mut first = kept(dir.path());
        first.take(Some(Update::Delta(before.whole()))).unwrap();
        first.keep().await;
        let mut again = kept(dir.path());
        assert_eq!(again.held(), before.held());
        let delta = after.since(&before);
        assert_eq!((delta.added.len(), delta.whole), (1, false));
        let taken = again.take(Some(Update::Delta(delta))).unwrap().unwrap();
        assert_eq!((taken.generation, names(&taken)), (2, vec!["b", "c"]));
    }

    #[tokio::test]
    async fn what_is_damaged_on_the_disk_is_not_held() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = kept(dir.path());
        first
            .take(Some(Update::Delta(state(1, &["a", "b"]).whole())))
            .unwrap();
        first.keep().await;
        let store = Store::open(dir.path()).unwrap();
        let mut bytes = store.state().unwrap().unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        store.keep_state(&bytes).unwrap();
        assert_eq!(kept(dir.path()).held(), Held::default());
        store.keep_state(b"gibberish").unwrap();
        assert_eq!(kept(dir.path()).held(), Held::default());
    }

    #[test]
    fn changes_to_another_state_are_refused_as_a_whole_and_everything_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = kept(dir.path());
        let (ours, theirs) = (state(1, &["a", "b"]), state(1, &["b", "x"]));
        kept.take(Some(Update::Delta(ours.whole()))).unwrap();
        let delta = state(2, &["b", "c"]).since(&theirs);
        let refused = kept.take(Some(Update::Delta(delta)));
        assert_eq!(refused, Err(UpdateError::Delta(StateError::NotHeld)));
        assert_eq!(kept.held(), Held::default());

        kept.take(Some(Update::Delta(ours.whole()))).unwrap();
        let delta = state(2, &["b", "x", "c"]).since(&theirs);
        let refused = kept.take(Some(Update::Delta(delta)));
        assert_eq!(refused, Err(UpdateError::Delta(StateError::WrongDigest)));
        assert_eq!(kept.held(), Held::default());
    }

    #[test]
    fn after_a_snapshot_no_parts_are_held() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = kept(dir.path());
        let one = state(1, &["a"]);
        kept.take(Some(Update::Delta(one.whole()))).unwrap();
        let snapshot = one.snapshot().unwrap();
        let update = Update::Snapshot(snapshot.encode_to_vec().into());
        assert_eq!(kept.take(Some(update)), Ok(Some(snapshot)));
        assert_eq!(kept.held(), Held::default());
        let cut_off = Update::Snapshot(vec![8].into());
        assert!(matches!(
            kept.take(Some(cut_off)),
            Err(UpdateError::Snapshot(_))
        ));
        assert_eq!(kept.take(None), Ok(None));
    }
}
