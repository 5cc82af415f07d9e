mod audit;
mod issued;

use std::os::unix::fs::PermissionsExt as _;

use tidelock_ca::State;

use super::super::{AuthorityRecord, JoinedBy};
use super::*;
use crate::token::TokenHash;

fn document(name: &str, json: &str) -> DocumentRecord {
    DocumentRecord {
        key: DocumentKey {
            kind: "Policy".into(),
            name: name.into(),
        },
        json: json.into(),
    }
}

fn authority(certificate: u8, state: State) -> AuthorityRecord {
    AuthorityRecord {
        certificate: vec![certificate],
        key_file: "k".into(),
        state,
        since: 1,
        until: Some(2),
        generation: 3,
    }
}

fn authorities() -> Authorities {
    Authorities {
        trust_domain: "example.org".into(),
        sequence: 1,
        x509: vec![authority(1, State::Active)],
    }
}

fn node(serial: u8) -> NodeRecord {
    NodeRecord {
        name: "n".into(),
        serial: vec![serial],
        previous_serial: None,
        not_after: 5,
        attested: 4,
        joined_by: JoinedBy::Token,
        certificate_allowed: false,
    }
}

fn store() -> (tempfile::TempDir, SqliteStore) {
    let dir = tempfile::tempdir().expect("temp dir");
    let store = SqliteStore::open(&dir.path().join("s.db")).expect("open");
    store.set_up(&authorities(), &[]).expect("set up");
    (dir, store)
}

#[test]
fn a_store_keeps_everything_over_a_restart() {
    let (dir, store) = store();
    assert_eq!(
        store
            .commit(0, b"f", &[document("a", "1"), document("b", "2")], &[], &[])
            .expect("commit"),
        1
    );
    assert_eq!(
        store
            .commit(
                1,
                b"g",
                &[document("a", "3")],
                &[document("b", "").key],
                &[]
            )
            .expect("commit"),
        2
    );
    drop(store);
    let store = SqliteStore::open(&dir.path().join("s.db")).expect("reopen");
    let stored = Stored {
        generation: 2,
        fingerprint: b"g".to_vec(),
        documents: vec![document("a", "3")],
    };
    assert_eq!(store.documents().expect("read"), stored);
    assert_eq!(store.authorities().expect("read"), Some(authorities()));
    assert!(matches!(
        store.set_up(&authorities(), &[]),
        Err(StoreError::SetUp { set_up: true })
    ));
}

#[test]
fn a_failed_commit_changes_nothing() {
    let (_dir, store) = store();
    let missing = document("missing", "").key;
    assert!(matches!(
        store.commit(0, b"f", &[document("a", "1")], &[missing], &[]),
        Err(StoreError::NoSuchRow)
    ));
    assert!(matches!(
        store.commit(7, b"f", &[document("a", "1")], &[], &[]),
        Err(StoreError::StaleGeneration {
            expected: 7,
            found: 0
        })
    ));
    assert_eq!(store.documents().expect("read"), Stored::default());
}

#[test]
fn the_generation_only_grows() {
    let (_dir, store) = store();
    let connection = store.lock();
    assert!(
        connection
            .execute("UPDATE control SET generation = 0", [])
            .is_err()
    );
    assert!(connection.execute("DELETE FROM control", []).is_err());
}

#[test]
fn a_certificate_takes_no_node_for_which_none_is_allowed() {
    let (_dir, store) = store();
    let by_certificate = |serial| NodeRecord {
        joined_by: JoinedBy::Certificate,
        certificate_allowed: true,
        ..node(serial)
    };
    let attest = |serial| {
        let attested = store.attest_node(&by_certificate(serial), &[]);
        attested.expect("attest")
    };
    let allow = |allowed| {
        let changed = store.set_certificate_allowed("n", allowed, &[]);
        changed.expect("allow")
    };
    let serial = || store.nodes().expect("nodes")[0].serial.clone();
    assert!(!allow(true), "there is no such node yet");
    assert!(attest(1) && attest(2), "a new name, and one's own");
    assert_eq!(store.nodes().expect("nodes"), [by_certificate(2)]);
    assert!(allow(false) && !allow(false));
    assert!(!attest(3));
    assert_eq!(serial(), [2]);
    // What it is given by its old SVID does not let a certificate in again.
    store.update_node(&by_certificate(4), &[]).expect("renew");
    assert!(!attest(5));
    assert!(allow(true) && attest(6));
    assert_eq!(serial(), [6]);
}

#[test]
fn a_token_is_redeemed_once_and_in_time() {
    let (_dir, store) = store();
    let token = |id: u8, expires| TokenRecord {
        id: TokenId([id; 8]),
        hash: TokenHash([id; 32]),
        node: "n".into(),
        expires,
        used: None,
    };
    store.add_token(&token(1, 100), 0, &[]).expect("add");
    store.add_token(&token(2, 100), 0, &[]).expect("add");
    assert!(
        !store
            .redeem(&TokenId([2; 8]), 100, &node(2), &[])
            .expect("redeem"),
        "expired"
    );
    assert!(
        !store
            .redeem(&TokenId([3; 8]), 1, &node(3), &[])
            .expect("redeem"),
        "unknown"
    );
    assert!(store.nodes().expect("nodes").is_empty());
    assert!(
        store
            .redeem(&TokenId([1; 8]), 99, &node(1), &[])
            .expect("redeem")
    );
    assert!(
        !store
            .redeem(&TokenId([1; 8]), 99, &node(9), &[])
            .expect("redeem"),
        "used"
    );
    assert_eq!(store.nodes().expect("nodes"), [node(1)]);
    assert_eq!(
        store
            .token(&TokenId([1; 8]))
            .expect("token")
            .and_then(|t| t.used),
        Some(99)
    );
    store
        .add_token(&token(4, i64::MAX), 101 + TOKEN_MEMORY_SECS, &[])
        .expect("add");
    assert_eq!(
        store.token(&TokenId([1; 8])).expect("token"),
        None,
        "long expired, forgotten"
    );
}

#[test]
fn events_are_bounded_and_in_order() {
    let (_dir, store) = store();
    let event = |seq| EventRecord {
        seq,
        bytes: vec![1],
    };
    for seq in 1..=7 {
        store.append_events(&[event(seq)], 5).expect("append");
    }
    assert_eq!(
        store.recent_events(100).expect("read"),
        [3, 4, 5, 6, 7].map(event)
    );
    assert_eq!(store.recent_events(2).expect("read"), [6, 7].map(event));
}

#[test]
fn files_that_are_not_ours_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("x.db");
    std::fs::write(&path, "no database at all, and longer than any header of SQLite's could be, well over a hundred bytes in sum")
        .expect("write");
    assert!(matches!(
        SqliteStore::open(&path),
        Err(StoreError::Corrupt { .. })
    ));
    std::fs::remove_file(&path).expect("remove");
    Connection::open(&path)
        .and_then(|c| c.execute_batch("CREATE TABLE t (x)"))
        .expect("create");
    assert!(matches!(
        SqliteStore::open(&path),
        Err(StoreError::Foreign { found: 0, .. })
    ));
    let (dir, store) = store();
    store
        .lock()
        .pragma_update(None, "user_version", 99)
        .expect("pragma");
    drop(store);
    assert!(matches!(
        SqliteStore::open(&dir.path().join("s.db")),
        Err(StoreError::TooNew { found: 99, .. })
    ));
    assert!(matches!(
        SqliteStore::open(dir.path()),
        Err(StoreError::Open { .. })
    ));
}

#[test]
fn the_file_is_its_owners_alone() {
    let (dir, _store) = store();
    for file in ["s.db", "s.db-wal"] {
        let mode = std::fs::metadata(dir.path().join(file))
            .expect(file)
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn authorities_are_written_together_with_the_generation_that_brings_them() {
    let (_dir, store) = store();
    let rotated = Authorities {
        sequence: 2,
        x509: vec![authority(1, State::Retired), authority(2, State::Active)],
        ..authorities()
    };
    let stale = store.put_authorities(7, Some(b"f"), &rotated, &[]);
    assert!(matches!(
        stale,
        Err(StoreError::StaleGeneration {
            expected: 7,
            found: 0
        })
    ));
    assert_eq!(store.authorities().expect("read"), Some(authorities()));
    let moved = store.put_authorities(0, Some(b"f"), &rotated, &[]);
    assert_eq!(moved.expect("put"), 1);
    assert_eq!(store.documents().expect("read").fingerprint, b"f");
    assert_eq!(
        store.put_authorities(1, None, &rotated, &[]).expect("put"),
        1
    );
    assert_eq!(store.authorities().expect("read"), Some(rotated.clone()));
    let two = Authorities {
        x509: vec![authority(1, State::Active), authority(2, State::Active)],
        ..rotated.clone()
    };
    assert!(
        store.put_authorities(1, None, &two, &[]).is_err(),
        "one signs"
    );
    let back = Authorities {
        sequence: 1,
        ..rotated.clone()
    };
    assert!(store.put_authorities(1, None, &back, &[]).is_err());
    assert_eq!(store.authorities().expect("read"), Some(rotated));
}

#[test]
fn the_authority_of_a_store_from_before_is_the_active_one() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("s.db");
    let connection = Connection::open(&path).expect("open");
    let before = "INSERT INTO control VALUES (1, 'example.org', 4, x'07');
         INSERT INTO authority (certificate, key_file) VALUES (x'01', 'k');";
    connection.execute_batch(migrations::V1).expect("schema");
    connection.execute_batch(before).expect("rows");
    configure(&connection).expect("configure");
    connection
        .pragma_update(None, "user_version", 1)
        .expect("pragma");
    drop(connection);
    let store = SqliteStore::open(&path).expect("open");
    let active = AuthorityRecord {
        since: 0,
        until: None,
        generation: 0,
        ..authority(1, State::Active)
    };
    let expected = Authorities {
        x509: vec![active],
        ..authorities()
    };
    assert_eq!(store.authorities().expect("read"), Some(expected));
    assert_eq!(store.documents().expect("read").generation, 4);
}
