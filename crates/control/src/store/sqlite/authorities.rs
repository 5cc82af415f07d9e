//! The trust domain's authorities, in a table for each kind. Both are written as a whole.

use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};
use tidelock_ca::State;

use super::super::{Authorities, AuthorityRecord, JwtAuthorityRecord, StoreError};

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
    let mut statement = connection.prepare(
        "SELECT key_id, public_key, state, key_file, since, until, not_after, generation
         FROM jwt_authority ORDER BY id",
    )?;
    let jwt = statement.query_map([], jwt_record)?;
    Ok(Some(Authorities {
        trust_domain,
        sequence,
        x509,
        jwt: jwt.collect::<Result<_, _>>()?,
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
    transaction.execute("DELETE FROM jwt_authority", [])?;
    insert(transaction, all)
}

fn insert(transaction: &Transaction<'_>, all: &Authorities) -> Result<(), StoreError> {
    let mut insert = transaction.prepare(
        "INSERT INTO authority (certificate, key_file, state, since, until, generation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for one in &all.x509 {
        insert.execute(params![
            one.certificate,
            one.key_file,
            text(one.state),
            one.since,
            one.until,
            one.generation
        ])?;
    }
    let mut insert = transaction.prepare(
        "INSERT INTO jwt_authority
         (key_id, public_key, key_file, state, since, until, not_after, generation)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    for one in &all.jwt {
        insert.execute(params![
            one.key_id,
            one.public_key,
            one.key_file,
            text(one.state),
            one.since,
            one.until,
            one.not_after,
            one.generation
        ])?;
    }
    Ok(())
}

fn text(state: State) -> Option<&'static str> {
    let found = STATES.iter().find(|(known, _)| *known == state);
    found.map(|(_, text)| *text)
}

/// The state in the third column, in both tables.
fn state(row: &Row<'_>) -> rusqlite::Result<State> {
    let text: String = row.get(2)?;
    let state = STATES.iter().find(|(_, known)| *known == text);
    let unknown = || {
        rusqlite::Error::FromSqlConversionFailure(2, Type::Text, FromSqlError::InvalidType.into())
    };
    state.map(|(state, _)| *state).ok_or_else(unknown)
}

fn record(row: &Row<'_>) -> rusqlite::Result<AuthorityRecord> {
    Ok(AuthorityRecord {
        certificate: row.get(0)?,
        key_file: row.get(1)?,
        state: state(row)?,
        since: row.get(3)?,
        until: row.get(4)?,
        generation: row.get(5)?,
    })
}

fn jwt_record(row: &Row<'_>) -> rusqlite::Result<JwtAuthorityRecord> {
    Ok(JwtAuthorityRecord {
        key_id: row.get(0)?,
        public_key: row.get(1)?,
        state: state(row)?,
        key_file: row.get(3)?,
        since: row.get(4)?,
        until: row.get(5)?,
        not_after: row.get(6)?,
        generation: row.get(7)?,
    })
}
