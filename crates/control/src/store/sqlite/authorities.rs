//! The trust domain's authorities, in one table that is written as a whole.

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use tidelock_ca::State;

use super::super::{Authorities, AuthorityRecord, StoreError};

/// How the table writes states.
const STATES: [(State, &str); 5] = [
    (State::Prepared, "prepared"),
    (State::Active, "active"),
    (State::Retired, "retired"),
    (State::Tainted, "tainted"),
    (State::Revoked, "revoked"),
];

/// Everything, or nothing if the store is not set up.
pub(super) fn read(connection: &Connection) -> Result<Option<Authorities>, StoreError> {
    let sql = "SELECT trust_domain, bundle_sequence FROM control";
    let found = connection
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((trust_domain, sequence)) = found else {
        return Ok(None);
    };
    let mut statement = connection.prepare(
        "SELECT certificate, key_file, state, since, until, generation FROM authority ORDER BY id",
    )?;
    let x509 = statement.query_map([], record)?.collect::<Result<_, _>>()?;
    Ok(Some(Authorities {
        trust_domain,
        sequence,
        x509,
    }))
}

/// Sets up an empty store.
pub(super) fn set_up(transaction: &Transaction<'_>, first: &Authorities) -> Result<(), StoreError> {
    let sql = "INSERT INTO control (one, trust_domain, generation, fingerprint, bundle_sequence) VALUES (1, ?1, 0, x'', ?2) ON CONFLICT DO NOTHING";
    if transaction.execute(sql, params![first.trust_domain, first.sequence])? == 0 {
        return Err(StoreError::SetUp { set_up: true });
    }
    insert(transaction, first)
}

/// Writes these in the place of all others.
pub(super) fn put(transaction: &Transaction<'_>, all: &Authorities) -> Result<(), StoreError> {
    transaction.execute("UPDATE control SET bundle_sequence = ?1", [all.sequence])?;
    transaction.execute("DELETE FROM authority", [])?;
    insert(transaction, all)
}

fn insert(transaction: &Transaction<'_>, all: &Authorities) -> Result<(), StoreError> {
    let mut insert = transaction.prepare(
        "INSERT INTO authority (certificate, key_file, state, since, until, generation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for one in &all.x509 {
        let state = STATES.iter().find(|(state, _)| *state == one.state);
        let state = state.map(|(_, text)| *text);
        insert.execute(params![
            one.certificate,
            one.key_file,
            state,
            one.since,
            one.until,
            one.generation
        ])?;
    }
    Ok(())
}

fn record(row: &Row<'_>) -> rusqlite::Result<AuthorityRecord> {
    let text: String = row.get(2)?;
    let state = STATES.iter().find(|(_, known)| *known == text);
    let unknown = || {
        rusqlite::Error::FromSqlConversionFailure(2, Type::Text, FromSqlError::InvalidType.into())
    };
    Ok(AuthorityRecord {
        certificate: row.get(0)?,
        key_file: row.get(1)?,
        state: state.map(|(state, _)| *state).ok_or_else(unknown)?,
        since: row.get(3)?,
        until: row.get(4)?,
        generation: row.get(5)?,
    })
}
