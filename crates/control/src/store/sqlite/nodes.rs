//! Nodes: what they attested with, and the SVIDs that count.

use rusqlite::{Connection, Row, Transaction, params};

use super::super::{JoinedBy, NodeRecord, StoreError};

const COLUMNS: &str =
    "name, serial, previous_serial, not_after, attested, joined_by, certificate_allowed";

/// How the table names what a node attested with.
fn name_of(by: JoinedBy) -> &'static str {
    match by {
        JoinedBy::Token => "token",
        JoinedBy::Certificate => "x509pop",
    }
}

pub(super) fn all(connection: &Connection) -> Result<Vec<NodeRecord>, StoreError> {
    let mut statement = connection.prepare(&format!("SELECT {COLUMNS} FROM node ORDER BY name"))?;
    Ok(statement.query_map([], read)?.collect::<Result<_, _>>()?)
}

fn read(row: &Row<'_>) -> rusqlite::Result<NodeRecord> {
    let joined_by: String = row.get(5)?;
    Ok(NodeRecord {
        name: row.get(0)?,
        serial: row.get(1)?,
        previous_serial: row.get(2)?,
        not_after: row.get(3)?,
        attested: row.get(4)?,
        // The table has no third.
        joined_by: match joined_by == name_of(JoinedBy::Token) {
            true => JoinedBy::Token,
            false => JoinedBy::Certificate,
        },
        certificate_allowed: row.get(6)?,
    })
}

/// Writes a node, whatever was there.
pub(super) fn put(transaction: &Transaction<'_>, node: &NodeRecord) -> Result<(), StoreError> {
    let sql =
        format!("INSERT OR REPLACE INTO node ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
    transaction.execute(&sql, values(node))?;
    Ok(())
}

/// Writes a node that attested by its certificate, if there is none of this name, or one for which that is allowed.
pub(super) fn attest(
    transaction: &Transaction<'_>,
    node: &NodeRecord,
) -> Result<Option<()>, StoreError> {
    let sql = format!(
        "INSERT INTO node ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (name) DO UPDATE SET serial = excluded.serial, previous_serial = excluded.previous_serial,
             not_after = excluded.not_after, attested = excluded.attested, joined_by = excluded.joined_by
         WHERE certificate_allowed = 1"
    );
    let written = transaction.execute(&sql, values(node))?;
    Ok((written > 0).then_some(()))
}

/// Says whether a certificate may attest as a node; nothing if that is so already.
pub(super) fn allow(
    transaction: &Transaction<'_>,
    name: &str,
    allowed: bool,
) -> Result<Option<()>, StoreError> {
    let sql =
        "UPDATE node SET certificate_allowed = ?2 WHERE name = ?1 AND certificate_allowed <> ?2";
    let written = transaction.execute(sql, params![name, allowed])?;
    Ok((written > 0).then_some(()))
}

/// Takes from a node the SVIDs that count, and its certificate; nothing if it has neither.
pub(super) fn bar(transaction: &Transaction<'_>, name: &str) -> Result<Option<()>, StoreError> {
    let sql = "UPDATE node SET serial = x'', previous_serial = NULL, certificate_allowed = 0
        WHERE name = ?1 AND (serial <> x'' OR previous_serial IS NOT NULL OR certificate_allowed <> 0)";
    let written = transaction.execute(sql, [name])?;
    Ok((written > 0).then_some(()))
}

/// Writes the SVIDs of a node that is there already.
pub(super) fn renew(transaction: &Transaction<'_>, node: &NodeRecord) -> Result<(), StoreError> {
    let sql = "UPDATE node SET serial = ?2, previous_serial = ?3, not_after = ?4, attested = ?5 WHERE name = ?1";
    let values = params![
        node.name,
        node.serial,
        node.previous_serial,
        node.not_after,
        node.attested
    ];
    match transaction.execute(sql, values)? {
        0 => Err(StoreError::NoSuchRow),
        _ => Ok(()),
    }
}

fn values(node: &NodeRecord) -> impl rusqlite::Params + '_ {
    (
        &node.name,
        &node.serial,
        &node.previous_serial,
        node.not_after,
        node.attested,
        name_of(node.joined_by),
        node.certificate_allowed,
    )
}
