//! Recent events, in a table that forgets the oldest.

use rusqlite::{Connection, Row, Transaction, params};

use super::super::{EventRecord, StoreError};

/// Adds events, and forgets all but the newest `keep`.
pub(super) fn append(
    transaction: &Transaction<'_>,
    events: &[EventRecord],
    keep: u32,
) -> Result<(), StoreError> {
    let mut insert =
        transaction.prepare_cached("INSERT OR REPLACE INTO event (seq, bytes) VALUES (?1, ?2)")?;
    for event in events {
        insert.execute(params![event.seq, event.bytes])?;
    }
    let oldest = "SELECT seq FROM event ORDER BY seq DESC LIMIT 1 OFFSET ?1";
    transaction
        .prepare_cached(&format!("DELETE FROM event WHERE seq <= ({oldest})"))?
        .execute([keep])?;
    Ok(())
}

/// The newest, at most `limit`, oldest first.
pub(super) fn recent(connection: &Connection, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
    let mut statement =
        connection.prepare("SELECT seq, bytes FROM event ORDER BY seq DESC LIMIT ?1")?;
    let read = |row: &Row<'_>| {
        Ok(EventRecord {
            seq: row.get(0)?,
            bytes: row.get(1)?,
        })
    };
    let mut events = statement
        .query_map([limit], read)?
        .collect::<Result<Vec<_>, _>>()?;
    events.reverse();
    Ok(events)
}
