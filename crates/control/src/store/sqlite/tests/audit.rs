//! The audit log as the store keeps it.

use super::*;
use crate::audit::{Broken, Chain};

pub(super) fn audit_entry(subject: &str) -> AuditEntry {
    AuditEntry {
        time_unix_ns: 1,
        actor: "uid 0".into(),
        action: "document-created".into(),
        subject: subject.into(),
        detail: "{}".into(),
    }
}

pub(super) fn verify(store: &SqliteStore) -> Result<AuditHead, Broken> {
    let mut chain = Chain::new(store.audit_head().expect("head"), None);
    let records = store.audit_after(0, 100).expect("read");
    records.iter().try_for_each(|record| chain.take(record))?;
    chain.finish()
}

#[test]
fn the_audit_log_refuses_to_be_changed() {
    let (_dir, store) = store();
    store.append_audit(&[audit_entry("a")]).expect("append");
    for sql in [
        "UPDATE audit SET actor = 'uid 7'",
        "DELETE FROM audit",
        "UPDATE control SET audit_seq = 0",
    ] {
        let refused = store.lock().execute(sql, []);
        let refused = refused.expect_err(sql).to_string();
        assert!(refused.contains("the audit log only grows"), "{refused}");
    }
}

#[test]
fn whoever_gets_around_that_is_found() {
    let tampering = [
        ("UPDATE audit SET actor = 'uid 7' WHERE seq = 2", 2),
        ("UPDATE audit SET time = time + 1 WHERE seq = 3", 3),
        ("UPDATE audit SET detail = '{ }' WHERE seq = 1", 1),
        ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 4", 4),
        ("DELETE FROM audit WHERE seq = 1", 1),
        ("DELETE FROM audit WHERE seq = 3", 3),
        ("DELETE FROM audit WHERE seq = 5", 5),
        ("DELETE FROM audit", 1),
        (
            "UPDATE audit SET seq = CASE seq WHEN 2 THEN -3 ELSE -2 END WHERE seq IN (2, 3);
          UPDATE audit SET seq = -seq WHERE seq < 0",
            2,
        ),
        (
            "INSERT INTO audit SELECT 6, time, actor, action, subject, detail, hash FROM audit WHERE seq = 5",
            6,
        ),
        ("UPDATE control SET audit_seq = 4", 5),
        ("UPDATE control SET audit_hash = zeroblob(32)", 5),
    ];
    for (sql, seq) in tampering {
        let (_dir, store) = store();
        let entries = ["a", "b", "c", "d", "e"].map(audit_entry);
        store.append_audit(&entries).expect("append");
        assert!(verify(&store).is_ok());
        let around = "DROP TRIGGER audit_is_not_altered; DROP TRIGGER audit_is_not_shortened;
                      DROP TRIGGER control_audit_grows;";
        let connection = store.lock();
        connection.execute_batch(around).expect("no triggers");
        connection.execute_batch(sql).expect(sql);
        drop(connection);
        assert_eq!(verify(&store).map_err(Broken::seq), Err(seq), "{sql}");
    }
}
