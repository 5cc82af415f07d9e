use super::*;
use crate::v1::Entry;

fn entry(id: &str) -> Snapshot {
    let entry = Entry {
        id: id.to_owned(),
        ..Entry::default()
    };
    Snapshot {
        entries: vec![entry],
        ..Snapshot::default()
    }
}

fn part(snapshot: &Snapshot) -> Part {
    Part::new(snapshot.encode_to_vec().into())
}

fn state(generation: u64, ids: &[&str]) -> State {
    let own = ids.iter().map(|id| part(&entry(id))).collect();
    State::new(generation, [].into(), own).expect("a small state")
}

fn refused(held: &State, delta: &Delta) -> StateError {
    held.apply(delta).expect_err("refused")
}

#[test]
fn only_what_changes_travels() {
    let (before, after) = (state(1, &["a", "b", "c"]), state(2, &["b", "c", "d"]));
    let delta = after.since(&before);
    assert_eq!((delta.generation, delta.whole), (2, false));
    assert_eq!(delta.added, [entry("d").encode_to_vec()]);
    assert_eq!(delta.removed.len(), PART_ID_BYTES);
    let said = HeldParts::parse(&before.held()).expect("what agents say");
    assert_eq!(after.since_held(&said), delta);
    assert_eq!(after.since_held(&before.remembered()), delta);
    assert_eq!(before.apply(&delta), Ok(after));
}

#[test]
fn nothing_travels_where_nothing_has_changed() {
    let delta = state(2, &["a"]).since(&state(1, &["a"]));
    assert_eq!((delta.added.len(), delta.removed.len()), (0, 0));
    let state = state(1, &["a"]).apply(&delta).expect("a state");
    assert_eq!(state.generation(), 2);
}

#[test]
fn all_of_it_comes_where_nothing_of_what_is_held_is_of_use() {
    let delta = state(2, &["c"]).since(&state(1, &["a", "b"]));
    assert_eq!((delta.whole, delta.removed.len()), (true, 0));
    for held in [state(1, &["a", "b"]), state(1, &["c"]), State::default()] {
        assert_eq!(held.apply(&delta), Ok(state(2, &["c"])));
    }
}

#[test]
fn what_is_shared_makes_no_difference() {
    let ids = ["a", "b", "c", "d"];
    let common = sorted(ids[..2].iter().map(|id| part(&entry(id))).collect());
    let own = ids[2..].iter().map(|id| part(&entry(id))).collect();
    let shared = State::new(1, common.into(), own).expect("a small state");
    assert_eq!(shared.held(), state(1, &ids).held());
    assert_eq!(shared, state(1, &ids));
}

#[test]
fn changes_to_another_state_are_refused() {
    let (held, other) = (state(1, &["a", "b"]), state(1, &["b", "x"]));
    let gone = state(2, &["b"]).since(&other);
    assert_eq!(refused(&held, &gone), StateError::NotHeld);
    let more = state(2, &["b", "x", "y"]).since(&other);
    assert_eq!(refused(&held, &more), StateError::WrongDigest);
    let known = state(2, &["a", "b", "x"]).since(&other);
    assert_eq!(refused(&held, &known), StateError::Twice);
}

#[test]
fn every_rule_that_changes_break_has_a_name() {
    let held = state(1, &["a", "b"]);
    let good = state(2, &["b", "c"]).since(&held);
    let with = |change: fn(&mut Delta)| {
        let mut delta = good.clone();
        change(&mut delta);
        refused(&held, &delta)
    };
    assert_eq!(with(|d| d.generation = 0), StateError::NoGeneration);
    assert_eq!(
        with(|d| d.removed = d.removed.slice(1..)),
        StateError::Ids { len: 15 }
    );
    assert_eq!(
        with(|d| d.whole = true),
        StateError::RemovedFromNothing { count: 1 }
    );
    let double = |d: &mut Delta| d.removed = [&d.removed[..], &d.removed].concat().into();
    assert_eq!(with(double), StateError::NotHeld);
    assert_eq!(
        with(|d| d.added.push(d.added[0].clone())),
        StateError::Twice
    );
    assert_eq!(with(|d| d.added.clear()), StateError::WrongDigest);
    assert_eq!(
        with(|d| d.digest = d.digest.slice(1..)),
        StateError::WrongDigest
    );
    assert_eq!(with(|d| d.digest = Bytes::new()), StateError::WrongDigest);
}

#[test]
fn a_state_is_bounded_in_parts_and_bytes() {
    let too_many = Delta {
        generation: 1,
        added: vec![Bytes::new(); MAX_PARTS + 1],
        ..Delta::default()
    };
    let count = MAX_PARTS + 1;
    assert_eq!(
        refused(&State::default(), &too_many),
        StateError::TooManyParts { count }
    );
    let removed = Delta {
        generation: 1,
        removed: vec![0; PART_ID_BYTES * count].into(),
        ..Delta::default()
    };
    assert_eq!(
        refused(&State::default(), &removed),
        StateError::TooManyParts { count }
    );
    let parts = (0..count).map(|n| Part::new(n.to_le_bytes().to_vec().into()));
    let made = State::new(1, [].into(), parts.collect());
    assert_eq!(
        made.expect_err("refused"),
        StateError::TooManyParts { count }
    );
    let long = vec![Part::new(vec![0; MAX_STATE_BYTES + 1].into())];
    let len = MAX_STATE_BYTES + 1;
    let made = State::new(1, [].into(), long);
    assert_eq!(made.expect_err("refused"), StateError::TooLong { len });
}

#[test]
fn what_fits_the_bounds_fits_a_message() {
    let each = MAX_STATE_BYTES / MAX_PARTS;
    let parts = (0..MAX_PARTS).map(|n| {
        let mut bytes = vec![0; each];
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        Part::new(bytes.into())
    });
    let state = State::new(u64::MAX, [].into(), parts.collect()).expect("just fits");
    assert!(state.whole().encoded_len() < crate::MAX_MESSAGE_BYTES);
}

#[test]
fn a_part_that_is_no_part_is_refused_though_its_digest_is_right() {
    let of = |part: Part| {
        let state = State::new(1, [].into(), vec![part]).expect("a small state");
        let taken = State::default().apply(&state.whole()).expect("its digest");
        taken.snapshot().expect_err("refused")
    };
    let cut_off = Part::new(vec![10, 200].into());
    assert!(matches!(of(cut_off), StateError::Part(_)));
    let generation = Snapshot {
        generation: 7,
        ..Snapshot::default()
    };
    assert_eq!(of(part(&generation)), StateError::PartGeneration);
}

#[test]
fn what_an_agent_was_sent_is_remembered_without_what_only_it_has() {
    let body = |id: &str| Bytes::from(entry(id).encode_to_vec());
    let (shared, own) = (body("shared"), body("own"));
    let common = vec![Part::new(shared.clone())].into();
    let state = State::new(1, common, vec![Part::new(own.clone())]).expect("a state");
    let remembered = state.remembered();
    drop(state);
    assert!(own.is_unique() && !shared.is_unique());
    assert_eq!(remembered.ids().count(), 2);
}
