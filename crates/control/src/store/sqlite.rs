//! The store in one SQLite file: write-ahead log, every commit synced, one connection.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};

use super::migrations;
use super::{
    AuthorityRecord, DocumentKey, DocumentRecord, EventRecord, NodeRecord, Store, StoreError,
    Stored, TOKEN_MEMORY_SECS, TokenRecord,
};
use crate::token::TokenId;

/// `TIDK`, SQLite's `application_id` of our files.
const APPLICATION_ID: u32 = 0x5449_444b;

/// How long to wait for another program that reads the file (a backup, a curious administrator).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The mode of the file, and so of SQLite's own files beside it: it holds hashes of tokens.
const FILE_MODE: u32 = 0o600;

/// A [`Store`] in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Mutex<Connection>,
}

impl SqliteStore {
    /// Opens or creates the file, checks it, and brings it to the current schema.
    ///
    /// # Errors
    /// If it cannot be opened, is damaged, another program's, or a newer Tidelock's.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let open = |source: Box<dyn std::error::Error + Send + Sync>| StoreError::Open {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(FILE_MODE)
            .open(path);
        drop(file.map_err(|e| open(e.into()))?);
        let mut connection = Connection::open(path).map_err(|e| open(e.into()))?;
        let version = check(&connection, path)?;
        configure(&connection)?;
        migrations::run(&mut connection, version)?;
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    /// A panic in another call rolled its transaction back, so the connection is as good as before.
    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let value = work(&transaction)?;
        transaction.commit()?;
        Ok(value)
    }
}

/// Looks at a file before anything is written to it; gives its schema version.
fn check(connection: &Connection, path: &Path) -> Result<u32, StoreError> {
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
    Ok(version)
}

fn configure(connection: &Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    Ok(())
}

impl Store for SqliteStore {
    fn authority(&self) -> Result<Option<AuthorityRecord>, StoreError> {
        let sql = "SELECT trust_domain, certificate, key_file FROM control, authority ORDER BY id LIMIT 1";
        let read = |row: &Row<'_>| {
            Ok(AuthorityRecord {
                trust_domain: row.get(0)?,
                certificate: row.get(1)?,
                key_file: row.get(2)?,
            })
        };
        Ok(self.lock().query_row(sql, [], read).optional()?)
    }

    fn set_up(&self, authority: &AuthorityRecord) -> Result<(), StoreError> {
        self.write(|transaction| {
            let sql = "INSERT INTO control (one, trust_domain, generation, fingerprint) VALUES (1, ?1, 0, x'') ON CONFLICT DO NOTHING";
            if transaction.execute(sql, params![authority.trust_domain])? == 0 {
                return Err(StoreError::SetUp { set_up: true });
            }
            let sql = "INSERT INTO authority (certificate, key_file) VALUES (?1, ?2)";
            transaction.execute(sql, params![authority.certificate, authority.key_file])?;
            Ok(())
        })
    }

    fn documents(&self) -> Result<Stored, StoreError> {
        let connection = self.lock();
        let (generation, fingerprint) = head(&connection)?;
        let mut statement =
            connection.prepare("SELECT kind, name, json FROM document ORDER BY kind, name")?;
        let read = |row: &Row<'_>| {
            let key = DocumentKey {
                kind: row.get(0)?,
                name: row.get(1)?,
            };
            Ok(DocumentRecord {
                key,
                json: row.get(2)?,
            })
        };
        let documents = statement.query_map([], read)?.collect::<Result<_, _>>()?;
        Ok(Stored {
            generation,
            fingerprint,
            documents,
        })
    }

    fn commit(
        &self,
        from: u64,
        fingerprint: &[u8],
        puts: &[DocumentRecord],
        deletes: &[DocumentKey],
    ) -> Result<u64, StoreError> {
        self.write(|transaction| {
            let (found, _) = head(transaction)?;
            if found != from {
                return Err(StoreError::StaleGeneration { expected: from, found });
            }
            let to = found + 1;
            let sql = "UPDATE control SET generation = ?1, fingerprint = ?2";
            transaction.execute(sql, params![to, fingerprint])?;
            let mut put = transaction.prepare(
                "INSERT INTO document (kind, name, json, generation) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (kind, name) DO UPDATE SET json = excluded.json, generation = excluded.generation",
            )?;
            for record in puts {
                put.execute(params![record.key.kind, record.key.name, record.json, to])?;
            }
            let mut delete = transaction.prepare("DELETE FROM document WHERE kind = ?1 AND name = ?2")?;
            for key in deletes {
                if delete.execute(params![key.kind, key.name])? == 0 {
                    return Err(StoreError::NoSuchRow);
                }
            }
            Ok(to)
        })
    }

    fn add_token(&self, token: &TokenRecord, now: i64) -> Result<(), StoreError> {
        self.write(|transaction| {
            let forgotten = now.saturating_sub(TOKEN_MEMORY_SECS);
            transaction.execute("DELETE FROM token WHERE expires < ?1", [forgotten])?;
            let sql =
                "INSERT INTO token (id, hash, node, expires, used) VALUES (?1, ?2, ?3, ?4, ?5)";
            transaction.execute(
                sql,
                params![token.id, token.hash, token.node, token.expires, token.used],
            )?;
            Ok(())
        })
    }

    fn token(&self, id: &TokenId) -> Result<Option<TokenRecord>, StoreError> {
        let sql = "SELECT id, hash, node, expires, used FROM token WHERE id = ?1";
        let read = |row: &Row<'_>| {
            Ok(TokenRecord {
                id: row.get(0)?,
                hash: row.get(1)?,
                node: row.get(2)?,
                expires: row.get(3)?,
                used: row.get(4)?,
            })
        };
        Ok(self.lock().query_row(sql, [id], read).optional()?)
    }

    fn redeem(&self, id: &TokenId, now: i64, node: &NodeRecord) -> Result<bool, StoreError> {
        self.write(|transaction| {
            let sql = "UPDATE token SET used = ?2 WHERE id = ?1 AND used IS NULL AND expires > ?2";
            if transaction.execute(sql, params![id, now])? == 0 {
                return Ok(false);
            }
            let sql = "INSERT OR REPLACE INTO node (name, serial, previous_serial, not_after, attested) VALUES (?1, ?2, ?3, ?4, ?5)";
            transaction.execute(sql, params![node.name, node.serial, node.previous_serial, node.not_after, node.attested])?;
            Ok(true)
        })
    }

    fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        let connection = self.lock();
        let mut statement = connection.prepare(
            "SELECT name, serial, previous_serial, not_after, attested FROM node ORDER BY name",
        )?;
        let read = |row: &Row<'_>| {
            Ok(NodeRecord {
                name: row.get(0)?,
                serial: row.get(1)?,
                previous_serial: row.get(2)?,
                not_after: row.get(3)?,
                attested: row.get(4)?,
            })
        };
        Ok(statement.query_map([], read)?.collect::<Result<_, _>>()?)
    }

    fn update_node(&self, node: &NodeRecord) -> Result<(), StoreError> {
        self.write(|transaction| {
            let sql = "UPDATE node SET serial = ?2, previous_serial = ?3, not_after = ?4, attested = ?5 WHERE name = ?1";
            let values = params![node.name, node.serial, node.previous_serial, node.not_after, node.attested];
            if transaction.execute(sql, values)? == 0 { Err(StoreError::NoSuchRow) } else { Ok(()) }
        })
    }

    fn append_events(&self, events: &[EventRecord], keep: u32) -> Result<(), StoreError> {
        self.write(|transaction| {
            let mut insert = transaction
                .prepare_cached("INSERT OR REPLACE INTO event (seq, bytes) VALUES (?1, ?2)")?;
            for event in events {
                insert.execute(params![event.seq, event.bytes])?;
            }
            let oldest = "SELECT seq FROM event ORDER BY seq DESC LIMIT 1 OFFSET ?1";
            transaction
                .prepare_cached(&format!("DELETE FROM event WHERE seq <= ({oldest})"))?
                .execute([keep])?;
            Ok(())
        })
    }

    fn recent_events(&self, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        let connection = self.lock();
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
}

/// Generation and fingerprint.
fn head(connection: &Connection) -> Result<(u64, Vec<u8>), StoreError> {
    let sql = "SELECT generation, fingerprint FROM control";
    let found = connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
    found.optional()?.ok_or(StoreError::SetUp { set_up: false })
}

#[cfg(test)]
mod tests;
