//! The audit log, in a table that refuses to be changed.

use rusqlite::{Connection, Row, Transaction, params};

use super::super::StoreError;
use crate::audit::{AuditEntry, AuditHead, AuditRecord};

/// Adds entries to the end of the log.
pub(super) fn append(
    transaction: &Transaction<'_>,
    entries: &[AuditEntry],
) -> Result<(), StoreError> {
    if entries.is_empty() {
        return Ok(());
    }
    let mut head = head(transaction)?;
    let mut insert = transaction.prepare_cached(
        "INSERT INTO audit (seq, time, actor, action, subject, detail, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for entry in entries {
        head = head.append(entry);
        insert.execute(params![
            head.seq,
            entry.time_unix_ns,
            entry.actor,
            entry.action,
            entry.subject,
            entry.detail,
            &head.hash[..]
        ])?;
    }
    let sql = "UPDATE control SET audit_seq = ?1, audit_hash = ?2";
    transaction
        .prepare_cached(sql)?
        .execute(params![head.seq, &head.hash[..]])?;
    Ok(())
}

/// Where the log ends, as it was written with the last entry.
pub(super) fn head(connection: &Connection) -> Result<AuditHead, StoreError> {
    let read = |row: &Row<'_>| {
        Ok(AuditHead {
            seq: row.get(0)?,
            hash: row.get(1)?,
        })
    };
    let sql = "SELECT audit_seq, audit_hash FROM control";
    let found = connection.prepare_cached(sql)?.query_row([], read);
    match found {
        Err(rusqlite::Error::QueryReturnedNoRows) => Err(StoreError::SetUp { set_up: false }),
        found => Ok(found?),
    }
}

/// Entries after this number, oldest first.
pub(super) fn after(
    connection: &Connection,
    seq: u64,
    limit: u32,
) -> Result<Vec<AuditRecord>, StoreError> {
    let read = |row: &Row<'_>| {
        Ok(AuditRecord {
            seq: row.get(0)?,
            entry: AuditEntry {
                time_unix_ns: row.get(1)?,
                actor: row.get(2)?,
                action: row.get(3)?,
                subject: row.get(4)?,
                detail: row.get(5)?,
            },
            hash: row.get(6)?,
        })
    };
    let mut statement = connection.prepare_cached(
        "SELECT seq, time, actor, action, subject, detail, hash FROM audit
         WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let records = statement.query_map(params![seq, limit], read)?;
    Ok(records.collect::<Result<_, _>>()?)
}
