//! What was issued, which the audit log tells, and what of it is revoked.

use rusqlite::{Connection, Row, Transaction, params};

use super::super::{IssuedRecord, IssuedTo, Revocation, RevokedRecord, StoreError};
use crate::audit::{AuditEntry, hex};

/// What an entry of the audit log tells of an SVID. The names and the condition are those of the indexes.
const SELECT: &str = "SELECT unhex(json_extract(detail, '$.serial')), subject, actor, action,
        json_extract(detail, '$.not_after')
    FROM audit WHERE action IN ('svid-issued', 'node-attested', 'node-renewed')";

/// How the audit log names a node that does something.
const NODE_ACTOR: &str = "node ";

/// The SVIDs of one serial number, SPIFFE ID or node that had not expired at `now`; of a serial number, whenever. At most
/// `limit`, those that expire last first.
pub(super) fn issued(
    connection: &Connection,
    to: &IssuedTo,
    now: i64,
    limit: usize,
) -> Result<Vec<IssuedRecord>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let live = "json_extract(detail, '$.not_after') > ?2 ORDER BY json_extract(detail, '$.not_after') DESC LIMIT ?3";
    let all = |what: &str, value: &str| -> Result<Vec<IssuedRecord>, StoreError> {
        let sql = format!("{SELECT} AND {what} = ?1 AND {live}");
        let mut statement = connection.prepare_cached(&sql)?;
        let found = statement.query_map(params![value, now, limit], record)?;
        Ok(found.collect::<Result<_, _>>()?)
    };
    match to {
        IssuedTo::Serial(serial) => {
            let sql = format!("{SELECT} AND json_extract(detail, '$.serial') = ?1 LIMIT 1");
            let mut statement = connection.prepare_cached(&sql)?;
            let found = statement.query_map([hex(serial)], record)?;
            Ok(found.collect::<Result<_, _>>()?)
        }
        IssuedTo::Identity(id) => all("subject", id),
        IssuedTo::Node(name) => {
            // What it was given for workloads, and its own: of that, nodes' names are the subject.
            let mut found = all("actor", &format!("{NODE_ACTOR}{name}"))?;
            let own = all("subject", name)?;
            let attested = own.into_iter().filter(|own| !found.contains(own));
            let attested: Vec<_> = attested.collect();
            found.extend(attested);
            Ok(found)
        }
    }
}

/// Whether an SVID was ever issued for this SPIFFE ID.
pub(super) fn ever_issued(connection: &Connection, id: &str) -> Result<bool, StoreError> {
    let sql = format!("SELECT EXISTS ({SELECT} AND subject = ?1)");
    Ok(connection.query_row(&sql, [id], |row| row.get(0))?)
}

fn record(row: &Row<'_>) -> rusqlite::Result<IssuedRecord> {
    let (subject, actor, action): (String, String, String) =
        (row.get(1)?, row.get(2)?, row.get(3)?);
    let (spiffe_id, node) = match action.as_str() {
        "svid-issued" => {
            let node = actor
                .strip_prefix(NODE_ACTOR)
                .unwrap_or_default()
                .to_owned();
            (Some(subject), node)
        }
        _ => (None, subject),
    };
    Ok(IssuedRecord {
        serial: row.get(0)?,
        spiffe_id,
        node,
        not_after: row.get(4)?,
    })
}

/// Everything that is revoked.
pub(super) fn all(connection: &Connection) -> Result<Vec<RevokedRecord>, StoreError> {
    let sql = "SELECT serial, spiffe_id, node, until FROM revoked ORDER BY serial";
    let mut statement = connection.prepare(sql)?;
    Ok(statement
        .query_map([], revoked)?
        .collect::<Result<_, _>>()?)
}

/// The newest entry of the audit log that tells of each. Expression and condition are those of the index.
pub(super) const TOLD: &str =
    "SELECT revoked.serial, spiffe_id, node, until, time, actor, action, subject, detail
    FROM revoked LEFT JOIN audit ON seq = (
        SELECT max(seq) FROM audit WHERE action = 'svid-revoked'
        AND json_extract(detail, '$.serial') = lower(hex(revoked.serial))
    )
    WHERE revoked.serial > ?1 AND until > ?2 ORDER BY revoked.serial LIMIT ?3";

/// What is revoked at this time and the audit log tells of it, after this serial number.
pub(super) fn after(
    connection: &Connection,
    serial: &[u8],
    at: i64,
    limit: u32,
) -> Result<Vec<Revocation>, StoreError> {
    let mut statement = connection.prepare_cached(TOLD)?;
    let read = |row: &Row<'_>| {
        let time: Option<u64> = row.get(4)?;
        let entry = |time_unix_ns| {
            Ok::<_, rusqlite::Error>(AuditEntry {
                time_unix_ns,
                actor: row.get(5)?,
                action: row.get(6)?,
                subject: row.get(7)?,
                detail: row.get(8)?,
            })
        };
        Ok(Revocation {
            revoked: revoked(row)?,
            entry: time.map(entry).transpose()?,
        })
    };
    let found = statement.query_map(params![serial, at, limit], read)?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn revoked(row: &Row<'_>) -> rusqlite::Result<RevokedRecord> {
    Ok(RevokedRecord {
        serial: row.get(0)?,
        spiffe_id: row.get(1)?,
        node: row.get(2)?,
        until: row.get(3)?,
    })
}

/// Writes these, and forgets those that are over at `now`.
pub(super) fn put(
    transaction: &Transaction<'_>,
    records: &[RevokedRecord],
    now: i64,
) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM revoked WHERE until <= ?1", [now])?;
    let mut insert = transaction
        .prepare("INSERT INTO revoked (serial, spiffe_id, node, until) VALUES (?1, ?2, ?3, ?4)")?;
    for one in records {
        insert.execute(params![one.serial, one.spiffe_id, one.node, one.until])?;
    }
    Ok(())
}
