//! Looking at a file before it is used.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::super::{StoreError, migrations};

/// `TIDK`, SQLite's `application_id` of our files.
const APPLICATION_ID: u32 = 0x5449_444b;

/// How long to wait for another program that reads the file (a backup, a curious administrator).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Looks at a file before anything is written to it; gives its schema version.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<u32, StoreError> {
    let corrupt = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
            StoreError::Corrupt {
                path: path.to_owned(),
                detail: error.to_string(),
            }
        }
        _ => StoreError::Sql(error),
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let tables: u32 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(corrupt)?;
    if tables == 0 {
        return Ok(0);
    }
    let found: u32 = connection
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .map_err(corrupt)?;
    if found != APPLICATION_ID {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
            found,
        });
    }
    let version: u32 = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(corrupt)?;
    if version > migrations::VERSION {
        return Err(StoreError::TooNew {
            path: path.to_owned(),
            found: version,
            known: migrations::VERSION,
        });
    }
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(corrupt)?;
    if verdict != "ok" {
        return Err(StoreError::Corrupt {
            path: path.to_owned(),
            detail: verdict,
        });
    }
    let missing = missing(connection, version)?;
    match missing.is_empty() {
        true => Ok(version),
        false => Err(StoreError::Incomplete {
            path: path.to_owned(),
            missing: missing.join(", "),
        }),
    }
}

/// What the file of a schema version has to hold and does not: tables, indexes and triggers.
fn missing(connection: &Connection, version: u32) -> rusqlite::Result<Vec<String>> {
    let whole = Connection::open_in_memory()?;
    for (_, step) in (1..=version).zip(migrations::STEPS) {
        whole.execute_batch(step)?;
    }
    let found = names(connection)?;
    Ok(names(&whole)?.difference(&found).cloned().collect())
}

/// Of each thing in a schema what it is, and its name.
fn names(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let sql = "SELECT type || ' ' || name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'";
    let mut statement = connection.prepare(sql)?;
    statement.query_map([], |row| row.get(0))?.collect()
}

pub(super) fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    Ok(())
}
