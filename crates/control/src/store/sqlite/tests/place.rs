//! Where the suite finds SQLite's stores, and what can happen to their files.

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;
use tidelock_ca::State;
use tidelock_proto::ErrorCode;

use super::*;
use crate::audit::{Actor, AuditEntry, AuditHead};
use crate::core::StoreFailure;
use crate::journal::{Journal, NotWritten};
use crate::store::suite::{Content, Old, Place};
use crate::store::{AuthorityRecord, JwtAuthorityRecord};
use crate::token::TokenHash;

/// Databases as the programs of their versions left them.
const OLD: [&str; 8] = [
    include_str!("old/v1.sql"),
    include_str!("old/v2.sql"),
    include_str!("old/v3.sql"),
    include_str!("old/v4.sql"),
    include_str!("old/v5.sql"),
    include_str!("old/v6.sql"),
    include_str!("old/v7.sql"),
    include_str!("old/v8.sql"),
];

/// SQLite's pages, in bytes, unless told otherwise.
const PAGE_BYTES: usize = 4_096;

pub(super) struct Folder(TempDir);

crate::store_suite!(Folder);

impl Folder {
    pub(super) fn path(&self) -> PathBuf {
        self.0.path().join("s.db")
    }

    /// A store with many documents that was closed, and then changed.
    fn changed(change: impl FnOnce(&mut Vec<u8>)) -> Self {
        let folder = Self::fresh();
        let store = folder.open().expect("open");
        store.set_up(&authorities(), &[]).expect("set up");
        let names = (0..500).map(|n| format!("a document of some length, number {n}"));
        let puts: Vec<_> = names.map(|name| document(&name, &name.repeat(9))).collect();
        store.commit(0, b"f", &puts, &[], &[]).expect("commit");
        drop(store);
        let mut bytes = std::fs::read(folder.path()).expect("read");
        change(&mut bytes);
        std::fs::write(folder.path(), bytes).expect("write");
        folder
    }

    fn sql(text: &str) -> Self {
        let folder = Self::fresh();
        let connection = Connection::open(folder.path()).expect("open");
        connection.execute_batch(text).expect("run");
        folder
    }
}

impl Place for Folder {
    type Store = SqliteStore;

    fn fresh() -> Self {
        Self(tempfile::tempdir().expect("temp dir"))
    }

    fn open(&self) -> Result<SqliteStore, StoreError> {
        SqliteStore::open(&self.path())
    }

    fn backed_up(&self) -> Self {
        let copy = Self::fresh();
        let to = copy.path().display().to_string();
        let connection = Connection::open(self.path()).expect("open");
        connection.execute("VACUUM INTO ?1", [to]).expect("back-up");
        copy
    }

    fn old() -> Vec<Old<Self>> {
        let versions = (1..).zip(OLD);
        let old = |(version, text)| Old {
            version,
            place: Self::sql(text),
            content: content(version),
        };
        versions.map(old).collect()
    }

    fn unusable() -> Vec<(Self, &'static str)> {
        vec![
            (
                Self::changed(|bytes| bytes[..16].fill(b'x')),
                "is damaged: file is not a database",
            ),
            (
                Self::changed(|bytes| bytes.truncate(PAGE_BYTES * 10)),
                "is damaged: ",
            ),
            (
                Self::changed(|bytes| bytes[PAGE_BYTES * 5..PAGE_BYTES * 40].fill(0)),
                "; put a back-up in its place",
            ),
            (Self::changed(|bytes| bytes.truncate(100)), "is damaged: "),
            (
                Self::sql("CREATE TABLE t (x)"),
                "is a database of another program",
            ),
            (
                Self::sql(&format!("{}; PRAGMA user_version = 99", OLD[7])),
                "has schema version 99, this control plane knows up to 8",
            ),
        ]
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).expect("read")
    }

    fn fill(&self, store: &SqliteStore) {
        let connection = store.lock();
        let pages: u32 = connection
            .query_row("PRAGMA page_count", [], |row| row.get(0))
            .expect("pages");
        pages_at_most(&connection, pages + 8);
    }

    fn make_room(&self, store: &SqliteStore) {
        pages_at_most(&store.lock(), u32::MAX - 1);
    }
}

/// The same error as of a disk that is full, at the same place: where the file is to grow.
fn pages_at_most(connection: &Connection, most: u32) {
    let sql = format!("PRAGMA max_page_count = {most}");
    let set: i64 = connection
        .query_row(&sql, [], |row| row.get(0))
        .expect("set");
    assert!(set > 0);
}

/// What `old/` holds, in every version what it could.
fn content(version: u32) -> Content {
    let authority = |certificate: u8, key: &str, state| AuthorityRecord {
        certificate: vec![certificate],
        key_file: key.into(),
        state,
        since: 0,
        until: None,
        generation: 0,
    };
    let first = authority(1, "k", State::Active);
    let retired = AuthorityRecord {
        since: 10,
        until: Some(500),
        generation: 1,
        ..authority(1, "k", State::Retired)
    };
    let second = AuthorityRecord {
        since: 20,
        until: Some(900),
        generation: 3,
        ..authority(2, "l", State::Active)
    };
    let (sequence, x509) = match version {
        1 => (1, vec![first]),
        _ => (2, vec![retired, second]),
    };
    let token = |id: u8, used| TokenRecord {
        id: TokenId([id; 8]),
        hash: TokenHash([id; 32]),
        node: format!("n{id}"),
        expires: 100,
        used,
    };
    let node = NodeRecord {
        name: "n1".into(),
        serial: vec![0x4b],
        previous_serial: Some(vec![0x4a]),
        not_after: 60,
        attested: 50,
        joined_by: JoinedBy::Token,
        certificate_allowed: false,
    };
    let document = |kind: &str, name: &str, json: &str| DocumentRecord {
        key: DocumentKey {
            kind: kind.into(),
            name: name.into(),
        },
        json: json.into(),
    };
    let revoked = RevokedRecord {
        serial: vec![0x41],
        spiffe_id: "spiffe://example.org/web".into(),
        node: "n1".into(),
        until: 90,
    };
    Content {
        authorities: Some(Authorities {
            trust_domain: "example.org".into(),
            sequence,
            x509,
            jwt: if version < 7 { vec![] } else { jwt() },
        }),
        generation: 4,
        fingerprint: vec![7],
        documents: [
            Some(document("Policy", "a", r#"{"a":1}"#)),
            (version > 7).then(|| document("TrustDomain", "example.org", r#"{"c":3}"#)),
            Some(document("WorkloadIdentity", "web", r#"{"b":2}"#)),
        ]
        .into_iter()
        .flatten()
        .collect(),
        tokens: vec![token(1, Some(50)), token(2, None)],
        nodes: vec![node],
        revoked: if version < 4 { vec![] } else { vec![revoked] },
        events: vec![(7, 1), (8, 2)]
            .into_iter()
            .map(|(seq, byte)| EventRecord {
                seq,
                bytes: vec![byte],
            })
            .collect(),
        audit: log(version),
    }
}

/// The keys that sign JWT-SVIDs.
fn jwt() -> Vec<JwtAuthorityRecord> {
    let tainted = JwtAuthorityRecord {
        key_id: "4a".into(),
        public_key: vec![3],
        key_file: "j".into(),
        state: State::Tainted,
        since: 30,
        until: 40,
        not_after: 50,
        generation: 1,
    };
    let active = JwtAuthorityRecord {
        key_id: "4b".into(),
        public_key: vec![4],
        key_file: "m".into(),
        state: State::Active,
        until: 80,
        not_after: 80,
        generation: 2,
        ..tainted.clone()
    };
    vec![tainted, active]
}

/// Where the audit log of each version ends.
fn log(version: u32) -> AuditHead {
    let entry =
        |(time, actor, action, subject, detail): (u64, &str, &str, &str, &str)| AuditEntry {
            time_unix_ns: time,
            actor: actor.into(),
            action: action.into(),
            subject: subject.into(),
            detail: detail.into(),
        };
    let web = "spiffe://example.org/web";
    let entries = [
        (
            1,
            "token 01",
            "node-attested",
            "n1",
            r#"{"not_after":50,"serial":"4a"}"#,
        ),
        (
            2,
            "node n1",
            "svid-issued",
            web,
            r#"{"entry":"web","not_after":40,"serial":"41"}"#,
        ),
        (
            3,
            "node n1",
            "node-renewed",
            "n1",
            r#"{"not_after":60,"serial":"4b"}"#,
        ),
        (
            4,
            "uid 0",
            "svid-revoked",
            web,
            r#"{"by":"svid 41","node":"n1","reason":"lost","serial":"41"}"#,
        ),
    ];
    let told = match version {
        1 | 2 => 0,
        3 => 3,
        _ => 4,
    };
    let entries = entries.into_iter().take(told).map(entry);
    entries.fold(AuditHead::default(), |head, entry| head.append(&entry))
}

/// What the schema of a database consists of, but for white space.
fn schema(connection: &Connection) -> Vec<String> {
    let sql = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type, name";
    let mut statement = connection.prepare(sql).expect("prepare");
    let texts = statement
        .query_map([], |row| row.get::<_, String>(0))
        .expect("read");
    let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    texts.map(|text| words(text.expect("text"))).collect()
}

#[test]
fn a_step_that_was_taken_somewhere_is_never_changed() {
    assert_eq!(
        OLD.len(),
        migrations::VERSION as usize,
        "`old/` has no database of the newest version"
    );
    for (version, text) in (1..).zip(OLD) {
        let (old, new) = (Connection::open_in_memory(), Connection::open_in_memory());
        let (old, new) = (old.expect("open"), new.expect("open"));
        old.execute_batch(text).expect("run");
        for step in migrations::STEPS.iter().take(version) {
            new.execute_batch(step).expect("step");
        }
        assert_eq!(schema(&old), schema(&new), "version {version}");
    }
}

#[test]
fn what_older_versions_issued_and_revoked_is_found() {
    for Old { version, place, .. } in Folder::old().into_iter().filter(|old| old.version > 2) {
        let store = place.open().expect("open");
        let web = IssuedTo::Identity("spiffe://example.org/web".into());
        let found = store.issued(&web, 0, 10).expect("read");
        assert_eq!(
            found
                .iter()
                .map(|one| one.serial.as_slice())
                .collect::<Vec<_>>(),
            [[0x41]]
        );
        let listed = store.revocations(&[], 0, 10).expect("read");
        let told = listed.into_iter().filter_map(|one| one.entry);
        assert_eq!(told.count(), usize::from(version > 3));
    }
}

/// Who asks is told so by a code of its own.
#[tokio::test]
async fn what_is_issued_without_room_is_refused_as_such() {
    let folder = Folder::fresh();
    let store = Arc::new(folder.open().expect("open"));
    store.set_up(&authorities(), &[]).expect("set up");
    pages_at_most(&store.lock(), 1);
    let (journal, writer) = Journal::start(store.clone());
    let entry = || {
        let detail = serde_json::json!({"long": "x".repeat(PAGE_BYTES)});
        AuditEntry::now(&Actor::Control, "svid-issued", "", &detail)
    };
    // What is left of the last page is not much.
    let mut written = journal.record(entry()).await;
    for _ in 0..100 {
        if written.is_err() {
            break;
        }
        written = journal.record(entry()).await;
    }
    assert_eq!(written, Err(NotWritten::Full));
    let status = tonic::Status::from(NotWritten::Full);
    assert_eq!(ErrorCode::from(&status), ErrorCode::StoreFull);
    let failure = StoreFailure::Store(StoreError::Full);
    let status = tonic::Status::from(failure);
    assert_eq!(ErrorCode::from(&status), ErrorCode::StoreFull);
    assert!(status.message().contains("no room"), "{status}");
    folder.make_room(&store);
    assert_eq!(journal.record(entry()).await, Ok(()));
    drop(journal);
    writer.await.expect("ends");
}
