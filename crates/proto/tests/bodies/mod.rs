//! What fuzzers and property tests do with untrusted input. Panics on a broken promise.
#![allow(unreachable_pub, reason = "shared by test binaries and fuzz targets")]

use std::collections::BTreeSet;

use prost::Message as _;
use tidelock_proto::state::{Part, State};
use tidelock_proto::v1::Delta;

/// A state of these parts, each once.
pub fn state(generation: u64, parts: &[Vec<u8>]) -> State {
    let parts: BTreeSet<&Vec<u8>> = parts.iter().collect();
    let parts = parts.into_iter().map(|part| Part::new(part.clone().into()));
    State::new(generation, [].into(), parts.collect()).expect("a small state")
}

/// Changes that lead from one state to another, and what becomes of them when some of their bytes are other ones.
pub fn delta(before: &[Vec<u8>], after: &[Vec<u8>], damage: &[(u16, u8)]) {
    let (before, after) = (state(1, before), state(2, after));
    let mut bytes = after.since(&before).encode_to_vec();
    for &(at, other) in damage {
        let at = usize::from(at) % bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= other;
        }
    }
    let damaged = damage.iter().any(|(_, other)| *other != 0);
    let Ok(delta) = Delta::decode(&*bytes) else {
        assert!(damaged, "what was encoded is decoded");
        return;
    };
    match before.apply(&delta) {
        // All of it, as the control plane has it, or nothing.
        Ok(state) => {
            assert_eq!(delta.digest == after.whole().digest, state == after);
            let _ = state.snapshot();
            assert_eq!(State::default().apply(&state.whole()), Ok(state));
        }
        Err(error) => assert!(damaged, "{error}"),
    }
}

/// Changes of anyone's making.
pub fn any_bytes(before: &[Vec<u8>], bytes: &[u8]) {
    let Ok(delta) = Delta::decode(bytes) else {
        return;
    };
    if let Ok(state) = state(1, before).apply(&delta) {
        let whole = state.whole();
        assert_eq!(
            (whole.generation, &whole.digest),
            (delta.generation, &delta.digest)
        );
        assert_eq!(State::default().apply(&whole), Ok(state));
    }
}
