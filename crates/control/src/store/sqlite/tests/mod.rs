mod audit;
mod issued;
mod place;

use std::os::unix::fs::PermissionsExt as _;

use tidelock_ca::State;

use super::super::{AuthorityRecord, JoinedBy};
use super::*;

fn document(name: &str, json: &str) -> DocumentRecord {
    DocumentRecord {
        key: DocumentKey {
            kind: "Policy".into(),
            name: name.into(),
        },
        json: json.into(),
    }
}

fn authorities() -> Authorities {
    Authorities {
        trust_domain: "example.org".into(),
        sequence: 1,
        x509: vec![AuthorityRecord {
            certificate: vec![1],
            key_file: "k".into(),
            state: State::Active,
            since: 1,
            until: Some(2),
            generation: 3,
        }],
        jwt: Vec::new(),
    }
}

fn store() -> (tempfile::TempDir, SqliteStore) {
    let dir = tempfile::tempdir().expect("temp dir");
    let store = SqliteStore::open(&dir.path().join("s.db")).expect("open");
    store.set_up(&authorities(), &[]).expect("set up");
    (dir, store)
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
fn what_is_no_file_cannot_be_opened() {
    let dir = tempfile::tempdir().expect("temp dir");
    let refused = SqliteStore::open(dir.path());
    assert!(matches!(refused, Err(StoreError::Open { .. })));
}
