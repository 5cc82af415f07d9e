//! The rules of documents, authorities and the generation.

use std::thread;

use tidelock_ca::State;

use super::*;
use crate::store::Stored;

/// How many change the store at once.
const AT_ONCE: u8 = 8;

/// Nothing but its authorities can be asked of a store that is not set up.
///
/// # Panics
/// If the rule does not hold; so do all others here.
pub fn a_store_that_is_not_set_up_says_so<P: Place>() {
    let store = P::fresh().open().expect("open");
    assert_eq!(store.authorities().expect("read"), None);
    let not_set_up = |error| matches!(error, StoreError::SetUp { set_up: false });
    assert!(store.documents().is_err_and(not_set_up));
    assert!(store.audit_head().is_err_and(not_set_up));
    let commit = store.commit(0, b"f", &[document("a", "1")], &[], &[]);
    assert!(commit.is_err_and(not_set_up));
}

/// A second set-up is refused and changes nothing.
pub fn a_store_is_set_up_once<P: Place>() {
    let (_place, store) = set_up::<P>();
    let other = Authorities {
        trust_domain: "other.org".into(),
        ..authorities()
    };
    let again = store.set_up(&other, &[entry("a")]);
    assert!(matches!(again, Err(StoreError::SetUp { set_up: true })));
    assert_eq!(store.authorities().expect("read"), Some(authorities()));
    assert_eq!(store.documents().expect("read"), Stored::default());
    assert_eq!(whole(&store), AuditHead::default());
}

/// Documents, authorities and revocations move it, each by one, and from no other generation than it is at.
pub fn the_generation_moves_by_one_from_where_the_caller_thinks_it_is<P: Place>() {
    let (_place, store) = set_up::<P>();
    let one = [document("a", "1")];
    assert_eq!(store.commit(0, b"f", &one, &[], &[]).expect("commit"), 1);
    let put = store.put_authorities(1, Some(b"g"), &authorities(), &[]);
    assert_eq!(put.expect("put"), 2);
    let done = store.revoke(2, b"h", &[revoked(&[1], 9)], 0, &[]);
    assert_eq!(done.expect("revoke"), 3);
    let put = store.put_authorities(3, None, &authorities(), &[]);
    assert_eq!(put.expect("put"), 3, "without a fingerprint it stays");
    let stored = store.documents().expect("read");
    assert_eq!((stored.generation, &stored.fingerprint[..]), (3, &b"h"[..]));
    for from in [0, 2, 4, u64::from(u32::MAX)] {
        let stale = |error| matches!(error, StoreError::StaleGeneration { expected, found: 3 } if expected == from);
        assert!(store.commit(from, b"x", &one, &[], &[]).is_err_and(stale));
        let put = store.put_authorities(from, Some(b"x"), &authorities(), &[]);
        assert!(put.is_err_and(stale));
        let put = store.put_authorities(from, None, &authorities(), &[]);
        assert!(put.is_err_and(stale));
        let done = store.revoke(from, b"x", &[revoked(&[2], 9)], 0, &[]);
        assert!(done.is_err_and(stale));
    }
    assert_eq!(store.documents().expect("read"), stored);
}

/// A change of several documents of which one cannot be done does none of it.
pub fn a_change_that_fails_changes_nothing<P: Place>() {
    let (_place, store) = set_up::<P>();
    let one = [document("a", "1")];
    store.commit(0, b"f", &one, &[], &[]).expect("commit");
    let before = store.documents().expect("read");
    let missing = document("missing", "").key;
    let (puts, deletes) = (
        [document("a", "2"), document("b", "2")],
        [document("a", "").key, missing],
    );
    let refused = store.commit(1, b"g", &puts, &deletes, &[entry("a")]);
    assert!(matches!(refused, Err(StoreError::NoSuchRow)));
    assert_eq!(store.documents().expect("read"), before);
    assert_eq!(whole(&store), AuditHead::default());
}

/// By kind and name, byte for byte; texts of every kind and length.
pub fn documents_come_sorted_and_as_they_were_written<P: Place>() {
    let (_place, store) = set_up::<P>();
    let long = "\u{1f980}".repeat(300_000);
    let written = [
        document_of("Service", "a", ""),
        document_of("Policy", "b", "{\"x\": \"\\u0000'\\\\\"}"),
        document_of("Policy", "a-b", &long),
        document_of("Policy", "a.b", "1"),
        document_of("Policy", "B", "2"),
        document_of("Policy", "a", "3"),
    ];
    store.commit(0, b"f", &written, &[], &[]).expect("commit");
    let mut sorted = written.to_vec();
    sorted.sort_by(|one, other| one.key.cmp(&other.key));
    assert_eq!(store.documents().expect("read").documents, sorted);
    let (put, delete) = ([document("a", "4")], [document("B", "").key]);
    store.commit(1, b"g", &put, &delete, &[]).expect("commit");
    sorted.retain(|one| one.key != delete[0]);
    for one in sorted.iter_mut().filter(|one| one.key == put[0].key) {
        one.json = put[0].json.clone();
    }
    assert_eq!(store.documents().expect("read").documents, sorted);
}

/// All of them at once, in the order given.
pub fn authorities_are_replaced_together_with_the_generation_that_brings_them<P: Place>() {
    let (_place, store) = set_up::<P>();
    let rotated = Authorities {
        sequence: 2,
        x509: vec![
            authority(3, State::Revoked),
            authority(1, State::Retired),
            authority(4, State::Tainted),
            authority(2, State::Active),
            authority(0, State::Prepared),
        ],
        jwt: vec![
            jwt_authority(2, State::Tainted),
            jwt_authority(1, State::Retired),
            jwt_authority(3, State::Active),
            jwt_authority(5, State::Revoked),
            jwt_authority(4, State::Prepared),
        ],
        ..authorities()
    };
    let moved = store.put_authorities(0, Some(b"f"), &rotated, &[]);
    assert_eq!(moved.expect("put"), 1);
    assert_eq!(store.authorities().expect("read"), Some(rotated.clone()));
    assert_eq!(store.documents().expect("read").fingerprint, b"f");
    let fewer = Authorities {
        x509: vec![authority(2, State::Active)],
        jwt: vec![],
        ..rotated
    };
    store.put_authorities(1, None, &fewer, &[]).expect("put");
    assert_eq!(store.authorities().expect("read"), Some(fewer));
}

/// What would make two of them sign, or have the bundle's sequence go back, is refused.
pub fn one_authority_signs_and_the_bundle_never_goes_back<P: Place>() {
    let (_place, store) = set_up::<P>();
    let kept = Authorities {
        sequence: 5,
        ..authorities()
    };
    store.put_authorities(0, None, &kept, &[]).expect("put");
    let two = Authorities {
        x509: vec![authority(1, State::Active), authority(2, State::Active)],
        ..kept.clone()
    };
    let back = Authorities {
        sequence: 4,
        ..kept.clone()
    };
    let jwt = |one, other| Authorities {
        jwt: vec![one, other],
        ..kept.clone()
    };
    let active = |key| jwt_authority(key, State::Active);
    let two_jwt = jwt(active(1), active(2));
    let one_twice = jwt(active(1), jwt_authority(1, State::Retired));
    for wrong in [two, back, two_jwt, one_twice] {
        let refused = store.put_authorities(0, Some(b"x"), &wrong, &[entry("a")]);
        assert!(refused.is_err(), "{wrong:?}");
    }
    assert_eq!(store.authorities().expect("read"), Some(kept));
    assert_eq!(store.documents().expect("read"), Stored::default());
}

/// The others are told that they are late; nothing of theirs is there.
pub fn of_many_changes_at_one_generation_one_is_made<P: Place>() {
    let (_place, store) = set_up::<P>();
    for generation in 0..4 {
        let store = &store;
        let change = move |n: u8| {
            let (name, told) = (format!("{generation}-{n}"), [entry("a")]);
            let put = [document(&name, "1")];
            match store.commit(generation, &[n], &put, &[], &told) {
                Ok(to) => Some((to, n)),
                Err(StoreError::StaleGeneration { .. }) => None,
                Err(error) => panic!("{error}"),
            }
        };
        let made: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..AT_ONCE)
                .map(|n| scope.spawn(move || change(n)))
                .collect();
            let made = threads
                .into_iter()
                .filter_map(|one| one.join().expect("no panic"));
            made.collect()
        });
        let [(to, n)] = made[..] else {
            panic!("{made:?}");
        };
        let stored = store.documents().expect("read");
        assert_eq!((to, stored.generation), (generation + 1, generation + 1));
        assert_eq!(stored.fingerprint, [n]);
        let there = format!("{generation}-{n}");
        assert!(stored.documents.iter().any(|one| one.key.name == there));
        assert_eq!(stored.documents.len() as u64, to);
        assert_eq!(whole(store).seq, to);
    }
}
