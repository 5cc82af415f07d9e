//! The schema, as the steps that lead to it. Steps are only ever added.

use rusqlite::{Connection, TransactionBehavior};

use super::StoreError;

/// Each step leads from its index to the next version.
const STEPS: [&str; 1] = [V1];

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
    transaction.commit()
}
