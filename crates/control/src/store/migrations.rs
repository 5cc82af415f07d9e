//! The schema, as the steps that lead to it. Steps are only ever added.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// Each step leads from its index to the next version.
pub(super) const STEPS: [&str; 8] = [V1, V2, V3, V4, V5, V6, V7, V8];

/// The schema version that this code works with.
pub(super) const VERSION: u32 = {
    assert!(STEPS.len() < 1000, "fits a u32");
    STEPS.len() as u32
};

const V1: &str = "
    CREATE TABLE control (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        trust_domain TEXT NOT NULL,
        generation INTEGER NOT NULL,
        fingerprint BLOB NOT NULL
    ) STRICT;
    CREATE TRIGGER control_generation_grows BEFORE UPDATE OF generation ON control
    WHEN new.generation <= old.generation BEGIN
        SELECT raise(ABORT, 'the generation only grows');
    END;
    CREATE TRIGGER control_stays BEFORE DELETE ON control BEGIN
        SELECT raise(ABORT, 'the generation only grows');
    END;

    CREATE TABLE authority (
        id INTEGER PRIMARY KEY,
        certificate BLOB NOT NULL,
        key_file TEXT NOT NULL
    ) STRICT;

    CREATE TABLE document (
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        json TEXT NOT NULL,
        generation INTEGER NOT NULL,
        PRIMARY KEY (kind, name)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE token (
        id BLOB PRIMARY KEY,
        hash BLOB NOT NULL,
        node TEXT NOT NULL,
        expires INTEGER NOT NULL,
        used INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX token_by_expiry ON token (expires);

    CREATE TABLE node (
        name TEXT PRIMARY KEY,
        serial BLOB NOT NULL,
        previous_serial BLOB,
        not_after INTEGER NOT NULL,
        attested INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE event (
        seq INTEGER PRIMARY KEY,
        bytes BLOB NOT NULL
    ) STRICT;
";

/// Authorities come and go. The one of a store from before is active, for as long as its certificate lasts.
const V2: &str = "
    ALTER TABLE authority ADD COLUMN state TEXT NOT NULL DEFAULT 'active'
        CHECK (state IN ('prepared', 'active', 'retired', 'tainted', 'revoked'));
    ALTER TABLE authority ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE authority ADD COLUMN until INTEGER;
    ALTER TABLE authority ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
    CREATE UNIQUE INDEX authority_certificate ON authority (certificate);
    CREATE UNIQUE INDEX authority_one_signs ON authority (state) WHERE state = 'active';

    ALTER TABLE control ADD COLUMN bundle_sequence INTEGER NOT NULL DEFAULT 1;
    CREATE TRIGGER control_bundle_grows BEFORE UPDATE OF bundle_sequence ON control
    WHEN new.bundle_sequence < old.bundle_sequence BEGIN
        SELECT raise(ABORT, 'the sequence of the bundle only grows');
    END;
";

/// The audit log, which only grows, and beside it where it ends.
const V3: &str = "
    CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        time INTEGER NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        detail TEXT NOT NULL,
        hash BLOB NOT NULL CHECK (length(hash) = 32)
    ) STRICT;
    CREATE TRIGGER audit_is_not_altered BEFORE UPDATE ON audit BEGIN
        SELECT raise(ABORT, 'the audit log only grows');
    END;
    CREATE TRIGGER audit_is_not_shortened BEFORE DELETE ON audit BEGIN
        SELECT raise(ABORT, 'the audit log only grows');
    END;

    ALTER TABLE control ADD COLUMN audit_seq INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE control ADD COLUMN audit_hash BLOB NOT NULL
        DEFAULT x'0000000000000000000000000000000000000000000000000000000000000000';
    CREATE TRIGGER control_audit_grows BEFORE UPDATE OF audit_seq ON control
    WHEN new.audit_seq <= old.audit_seq BEGIN
        SELECT raise(ABORT, 'the audit log only grows');
    END;
";

/// SVIDs that are believed no more. What was issued is in the audit log; the indexes find it there.
const V4: &str = "
    CREATE TABLE revoked (
        serial BLOB PRIMARY KEY CHECK (length(serial) BETWEEN 1 AND 20),
        spiffe_id TEXT NOT NULL,
        node TEXT NOT NULL,
        until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE INDEX audit_issued_serial ON audit (json_extract(detail, '$.serial'))
    WHERE action IN ('svid-issued', 'node-attested', 'node-renewed');
    CREATE INDEX audit_issued_subject ON audit (subject, json_extract(detail, '$.not_after'))
    WHERE action IN ('svid-issued', 'node-attested', 'node-renewed');
    CREATE INDEX audit_issued_actor ON audit (actor, json_extract(detail, '$.not_after'))
    WHERE action IN ('svid-issued', 'node-attested', 'node-renewed');
";

/// Who revoked an SVID, when and why is in the audit log too; the index finds it there.
const V5: &str = "
    CREATE INDEX audit_revoked_serial ON audit (json_extract(detail, '$.serial'))
    WHERE action = 'svid-revoked';
";

/// Nodes attest with certificates too. Those of before have joined by a token, and no certificate takes their names.
const V6: &str = "
    ALTER TABLE node ADD COLUMN joined_by TEXT NOT NULL DEFAULT 'token'
        CHECK (joined_by IN ('token', 'x509pop'));
    ALTER TABLE node ADD COLUMN certificate_allowed INTEGER NOT NULL DEFAULT 0
        CHECK (certificate_allowed IN (0, 1));
";

/// Keys that sign JWT-SVIDs, beside certificates that sign X509-SVIDs. One is made where there is none.
const V7: &str = "
    CREATE TABLE jwt_authority (
        id INTEGER PRIMARY KEY,
        key_id TEXT NOT NULL UNIQUE CHECK (length(key_id) BETWEEN 1 AND 256),
        public_key BLOB NOT NULL UNIQUE,
        key_file TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('prepared', 'active', 'retired', 'tainted', 'revoked')),
        since INTEGER NOT NULL,
        until INTEGER NOT NULL,
        not_after INTEGER NOT NULL,
        generation INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX jwt_authority_one_signs ON jwt_authority (state) WHERE state = 'active';
";

/// From here on a WorkloadIdentity without `svid.ttl` has the life that the trust domain gives. Tables are as they were; what changes is
/// what they may hold, which a program from before would take for an hour. What it wrote down stays as it is: it put an hour
/// where a file said nothing, and nobody can tell that from an hour that a file said.
const V8: &str = "";

/// Takes the missing steps, one transaction each.
pub(super) fn run(connection: &mut Connection, from: u32) -> Result<(), StoreError> {
    for (to, step) in (1u32..).zip(STEPS).filter(|&(to, _)| to > from) {
        take(connection, to, step).map_err(|source| StoreError::Migration { to, source })?;
    }
    Ok(())
}

fn take(connection: &mut Connection, to: u32, step: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(step)?;
    transaction.pragma_update(None, "user_version", to)?;
    crash_point!(MigrationTaken);
    transaction.commit()?;
    crash_point!(MigrationCommitted);
    Ok(())
}
