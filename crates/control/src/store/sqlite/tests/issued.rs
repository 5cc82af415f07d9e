//! What was issued, and what of it is revoked.

use super::audit::{audit_entry, verify};
use super::*;

/// What the audit log says of an SVID.
fn issuance(action: &str, actor: &str, subject: &str, serial: &str, not_after: i64) -> AuditEntry {
    AuditEntry {
        actor: actor.into(),
        action: action.into(),
        detail: format!(r#"{{"entry":"e","not_after":{not_after},"serial":"{serial}"}}"#),
        ..audit_entry(subject)
    }
}

/// Three SVIDs of workloads, and two of node `n1` itself.
fn issuances() -> [AuditEntry; 5] {
    let (web, db) = ("spiffe://td/web", "spiffe://td/db");
    [
        issuance("node-attested", "token 1f", "n1", "4a", 50),
        issuance("svid-issued", "node n1", web, "41", 10),
        issuance("svid-issued", "node n2", web, "42", 30),
        issuance("svid-issued", "node n1", db, "43ff", 20),
        issuance("node-renewed", "node n1", "n1", "4b", 60),
    ]
}

fn found(store: &SqliteStore, to: &IssuedTo, now: i64) -> Vec<Vec<u8>> {
    let found = store.issued(to, now, 10).expect("read");
    found.into_iter().map(|one| one.serial).collect()
}

#[test]
fn what_was_issued_is_found_by_serial_identity_and_node() {
    let (_dir, store) = store();
    store.append_audit(&issuances()).expect("append");
    // What only looks like it.
    let others = ["svid-revoked", "server-renewed", "document-created"];
    for action in others {
        let entry = issuance(action, "node n1", "spiffe://td/web", "41", 99);
        store.append_audit(&[entry]).expect("append");
    }
    let web = || IssuedTo::Identity("spiffe://td/web".into());
    assert_eq!(found(&store, &web(), 9), [[0x42], [0x41]]);
    assert_eq!(found(&store, &web(), 10), [[0x42]], "one has expired");
    let node = |name: &str| IssuedTo::Node(name.into());
    let of_n1 = found(&store, &node("n1"), 0);
    assert_eq!(
        of_n1,
        [vec![0x4b], vec![0x43, 0xff], vec![0x41], vec![0x4a]]
    );
    assert_eq!(found(&store, &node("n2"), 0), [[0x42]]);
    assert_eq!(store.issued(&web(), 0, 1).expect("read").len(), 1);
    let by_serial = |serial: &[u8]| {
        let found = store.issued(&IssuedTo::Serial(serial.to_vec()), 1_000, 10);
        found.expect("read").pop()
    };
    let db = IssuedRecord {
        serial: vec![0x43, 0xff],
        spiffe_id: Some("spiffe://td/db".into()),
        node: "n1".into(),
        not_after: 20,
    };
    assert_eq!(
        by_serial(&[0x43, 0xff]),
        Some(db),
        "also when it has expired"
    );
    let own = by_serial(&[0x4a]).expect("the node's own");
    assert_eq!((own.spiffe_id, own.node.as_str()), (None, "n1"));
    assert_eq!(by_serial(&[0x43]), None);
    assert!(store.ever_issued("spiffe://td/db").expect("read"));
    assert!(!store.ever_issued("spiffe://td/nobody").expect("read"));
}

#[test]
fn finding_what_was_issued_does_not_read_the_whole_log() {
    let (_dir, store) = store();
    let connection = store.lock();
    let issued = "action IN ('svid-issued', 'node-attested', 'node-renewed')";
    for (by, index) in [
        (
            "json_extract(detail, '$.serial') = 'x'",
            "audit_issued_serial",
        ),
        ("subject = 'x'", "audit_issued_subject"),
        ("actor = 'x'", "audit_issued_actor"),
    ] {
        let sql = format!("EXPLAIN QUERY PLAN SELECT 1 FROM audit WHERE {issued} AND {by}");
        let plan: String = connection
            .query_row(&sql, [], |row| row.get(3))
            .expect("plan");
        assert!(plan.contains(index), "{plan}");
    }
}

fn revoked(serial: u8, until: i64) -> RevokedRecord {
    RevokedRecord {
        serial: vec![serial],
        spiffe_id: "spiffe://td/web".into(),
        node: "n1".into(),
        until,
    }
}

#[test]
fn what_is_revoked_is_kept_until_it_is_over_and_moves_the_generation() {
    let (dir, store) = store();
    let one = [audit_entry("a")];
    assert!(
        store.revoke(7, b"f", &[revoked(1, 9)], 0, &one).is_err(),
        "stale"
    );
    assert_eq!(store.revoked().expect("read"), []);
    let two = [revoked(2, 20), revoked(1, 9)];
    assert_eq!(store.revoke(0, b"f", &two, 0, &one).expect("revoke"), 1);
    drop(store);
    let store = SqliteStore::open(&dir.path().join("s.db")).expect("reopen");
    assert_eq!(
        store.revoked().expect("read"),
        [revoked(1, 9), revoked(2, 20)]
    );
    assert_eq!(store.documents().expect("read").fingerprint, b"f");
    assert_eq!(verify(&store).map(|head| head.seq), Ok(1));
    assert!(
        store.revoke(1, b"g", &[revoked(2, 30)], 1, &[]).is_err(),
        "it is there"
    );
    assert_eq!(
        store
            .revoke(1, b"g", &[revoked(3, 30)], 9, &[])
            .expect("revoke"),
        2
    );
    assert_eq!(
        store.revoked().expect("read"),
        [revoked(2, 20), revoked(3, 30)]
    );
}

/// What the audit log says of an SVID that is revoked.
fn told(serial: &str, why: &str) -> AuditEntry {
    let detail = format!(r#"{{"by":"svid {serial}","reason":"{why}","serial":"{serial}"}}"#);
    AuditEntry {
        action: "svid-revoked".into(),
        detail,
        ..audit_entry("spiffe://td/web")
    }
}

/// Serial numbers, and whatever the log tells.
fn listed(store: &SqliteStore, after: &[u8], at: i64, limit: u32) -> Vec<(Vec<u8>, String)> {
    let found = store.revocations(after, at, limit).expect("read");
    let detail = |one: &Revocation| one.entry.clone().map_or(String::new(), |e| e.detail);
    let pair = |one: Revocation| (one.revoked.serial.clone(), detail(&one));
    found.into_iter().map(pair).collect()
}

#[test]
fn what_is_revoked_is_listed_page_by_page_with_the_newest_entry_that_tells_of_it() {
    let (_dir, store) = store();
    let expect = |serial: u8, entry: AuditEntry| (vec![serial], entry.detail);
    let entries = [
        told("0a", "first"),
        told("02", "lost"),
        issuance("svid-issued", "node n1", "x", "0a", 9),
    ];
    let both = [revoked(10, 9), revoked(2, 20)];
    store.revoke(0, b"f", &both, 0, &entries).expect("revoke");
    let lost = [expect(2, told("02", "lost"))];
    let first = [expect(10, told("0a", "first"))];
    let all = [lost.clone(), first.clone()].concat();
    assert_eq!(listed(&store, &[], 0, 10), all);
    assert_eq!(listed(&store, &[], 0, 1), lost);
    assert_eq!(listed(&store, &[2], 0, 1), first);
    assert_eq!(listed(&store, &[10], 0, 1), []);
    assert_eq!(listed(&store, &[], 9, 10), lost, "one is over");
    // Revoked again after it was over.
    let again = [told("0a", "again")];
    store
        .revoke(1, b"g", &[revoked(10, 40)], 9, &again)
        .expect("revoke");
    assert_eq!(
        listed(&store, &[2], 9, 10),
        [expect(10, told("0a", "again"))]
    );
    // Nothing is hidden by a log that does not tell of it.
    store
        .revoke(2, b"h", &[revoked(11, 40)], 9, &[])
        .expect("revoke");
    assert_eq!(listed(&store, &[10], 9, 10), [(vec![11], String::new())]);
}

#[test]
fn who_revoked_what_is_found_without_reading_the_whole_log() {
    let (_dir, store) = store();
    let connection = store.lock();
    let sql = format!("EXPLAIN QUERY PLAN {}", crate::store::sqlite::revoked::TOLD);
    let mut statement = connection.prepare(&sql).expect("prepare");
    let steps = statement.query_map(params![[0u8; 1], 0, 1], |row| row.get::<_, String>(3));
    let steps: Vec<_> = steps
        .expect("plan")
        .map(|step| step.expect("step"))
        .collect();
    let scans = |step: &&String| step.contains("SCAN") && step.contains("audit");
    assert_eq!(steps.iter().find(scans), None, "{steps:?}");
    assert!(
        steps
            .iter()
            .any(|step| step.contains("audit_revoked_serial")),
        "{steps:?}"
    );
}

#[test]
fn what_a_store_from_before_revoked_is_told_of() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("s.db");
    let mut connection = Connection::open(&path).expect("open");
    for step in [
        migrations::V1,
        migrations::V2,
        migrations::V3,
        migrations::V4,
    ] {
        connection.execute_batch(step).expect("schema");
    }
    configure(&connection).expect("configure");
    connection
        .pragma_update(None, "user_version", 4)
        .expect("pragma");
    let transaction = connection.transaction().expect("transaction");
    authorities::set_up(&transaction, &super::authorities()).expect("set up");
    crate::store::sqlite::revoked::put(&transaction, &[revoked(2, 20)], 0).expect("put");
    let entry = told("02", "lost");
    crate::store::sqlite::audit::append(&transaction, std::slice::from_ref(&entry))
        .expect("append");
    transaction.commit().expect("commit");
    drop(connection);
    let store = SqliteStore::open(&path).expect("open");
    assert_eq!(listed(&store, &[], 0, 10), [(vec![2], entry.detail)]);
}

#[test]
fn what_a_store_from_before_issued_is_found_in_it() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("s.db");
    let mut connection = Connection::open(&path).expect("open");
    for step in [migrations::V1, migrations::V2, migrations::V3] {
        connection.execute_batch(step).expect("schema");
    }
    configure(&connection).expect("configure");
    connection
        .pragma_update(None, "user_version", 3)
        .expect("pragma");
    let transaction = connection.transaction().expect("transaction");
    authorities::set_up(&transaction, &super::authorities()).expect("set up");
    crate::store::sqlite::audit::append(&transaction, &issuances()).expect("append");
    transaction.commit().expect("commit");
    drop(connection);
    let store = SqliteStore::open(&path).expect("open");
    let web = IssuedTo::Identity("spiffe://td/web".into());
    assert_eq!(found(&store, &web, 0), [[0x42], [0x41]]);
    assert_eq!(
        verify(&store).map(|head| head.seq),
        Ok(5),
        "and the log is whole"
    );
}
