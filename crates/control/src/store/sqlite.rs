//! The store in one SQLite file: write-ahead log, every commit synced, one connection.

mod audit;
mod authorities;
mod check;
mod events;
mod nodes;
mod revoked;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};

use super::migrations;
use super::{
    Authorities, DocumentKey, DocumentRecord, EventRecord, IssuedRecord, IssuedTo, NodeRecord,
    Revocation, RevokedRecord, Store, StoreError, Stored, TOKEN_MEMORY_SECS, TokenRecord,
};
use crate::audit::{AuditEntry, AuditHead, AuditRecord};
use crate::token::TokenId;
use crate::traced;

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
        let version = check::check(&connection, path)?;
        check::configure(&connection)?;
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

    /// Does some work and puts down who did what, both or neither.
    fn write<T>(
        &self,
        audit: &[AuditEntry],
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let done = |transaction: &Transaction<'_>| work(transaction).map(Some);
        match self.write_if(audit, done)? {
            Some(value) => Ok(value),
            None => Err(StoreError::NoSuchRow),
        }
    }

    /// As [`SqliteStore::write`], for work that may find nothing to do: then nothing was, and nothing is put down.
    fn write_if<T>(
        &self,
        audit: &[AuditEntry],
        work: impl FnOnce(&Transaction<'_>) -> Result<Option<T>, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let _span = traced::storing().entered();
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        crash_point!(if !audit.is_empty(), StoreBegun);
        let Some(value) = work(&transaction)? else {
            return Ok(None);
        };
        crash_point!(if !audit.is_empty(), StoreChanged);
        audit::append(&transaction, audit)?;
        crash_point!(if !audit.is_empty(), StoreAudited);
        transaction.commit()?;
        crash_point!(if !audit.is_empty(), StoreCommitted);
        Ok(Some(value))
    }
}

impl Store for SqliteStore {
    fn authorities(&self) -> Result<Option<Authorities>, StoreError> {
        authorities::read(&self.lock())
    }

    fn set_up(&self, first: &Authorities, audit: &[AuditEntry]) -> Result<(), StoreError> {
        self.write(audit, |transaction| authorities::set_up(transaction, first))
    }

    fn put_authorities(
        &self,
        from: u64,
        fingerprint: Option<&[u8]>,
        all: &Authorities,
        audit: &[AuditEntry],
    ) -> Result<u64, StoreError> {
        self.write(audit, |transaction| {
            let to = match fingerprint {
                Some(fingerprint) => advance(transaction, from, fingerprint)?,
                None => at_generation(transaction, from)?,
            };
            authorities::put(transaction, all)?;
            Ok(to)
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
        audit: &[AuditEntry],
    ) -> Result<u64, StoreError> {
        self.write(audit, |transaction| {
            let to = advance(transaction, from, fingerprint)?;
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

    fn add_token(
        &self,
        token: &TokenRecord,
        now: i64,
        audit: &[AuditEntry],
    ) -> Result<(), StoreError> {
        self.write(audit, |transaction| {
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

    fn redeem(
        &self,
        id: &TokenId,
        now: i64,
        node: &NodeRecord,
        audit: &[AuditEntry],
    ) -> Result<bool, StoreError> {
        let redeemed = self.write_if(audit, |transaction| {
            let sql = "UPDATE token SET used = ?2 WHERE id = ?1 AND used IS NULL AND expires > ?2";
            if transaction.execute(sql, params![id, now])? == 0 {
                return Ok(None);
            }
            nodes::put(transaction, node)?;
            Ok(Some(()))
        });
        Ok(redeemed?.is_some())
    }

    fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        nodes::all(&self.lock())
    }

    fn attest_node(&self, node: &NodeRecord, audit: &[AuditEntry]) -> Result<bool, StoreError> {
        let work = |transaction: &Transaction<'_>| nodes::attest(transaction, node);
        Ok(self.write_if(audit, work)?.is_some())
    }

    fn set_certificate_allowed(
        &self,
        node: &str,
        allowed: bool,
        audit: &[AuditEntry],
    ) -> Result<bool, StoreError> {
        let work = |transaction: &Transaction<'_>| nodes::allow(transaction, node, allowed);
        Ok(self.write_if(audit, work)?.is_some())
    }

    fn bar_node(&self, node: &str, audit: &[AuditEntry]) -> Result<bool, StoreError> {
        let work = |transaction: &Transaction<'_>| nodes::bar(transaction, node);
        Ok(self.write_if(audit, work)?.is_some())
    }

    fn append_audit(&self, entries: &[AuditEntry]) -> Result<(), StoreError> {
        self.write(entries, |_| Ok(()))
    }

    fn audit_after(&self, seq: u64, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        audit::after(&self.lock(), seq, limit)
    }

    fn audit_head(&self) -> Result<AuditHead, StoreError> {
        audit::head(&self.lock())
    }

    fn update_node(&self, node: &NodeRecord, audit: &[AuditEntry]) -> Result<(), StoreError> {
        self.write(audit, |transaction| nodes::renew(transaction, node))
    }

    fn append_events(&self, events: &[EventRecord], keep: u32) -> Result<(), StoreError> {
        self.write(&[], |transaction| events::append(transaction, events, keep))
    }

    fn recent_events(&self, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        events::recent(&self.lock(), limit)
    }

    fn issued(
        &self,
        to: &IssuedTo,
        now: i64,
        limit: usize,
    ) -> Result<Vec<IssuedRecord>, StoreError> {
        revoked::issued(&self.lock(), to, now, limit)
    }

    fn ever_issued(&self, spiffe_id: &str) -> Result<bool, StoreError> {
        revoked::ever_issued(&self.lock(), spiffe_id)
    }

    fn revoked(&self) -> Result<Vec<RevokedRecord>, StoreError> {
        revoked::all(&self.lock())
    }

    fn revocations(&self, after: &[u8], at: i64, most: u32) -> Result<Vec<Revocation>, StoreError> {
        revoked::after(&self.lock(), after, at, most)
    }

    fn revoke(
        &self,
        from: u64,
        fingerprint: &[u8],
        records: &[RevokedRecord],
        now: i64,
        audit: &[AuditEntry],
    ) -> Result<u64, StoreError> {
        self.write(audit, |transaction| {
            revoked::put(transaction, records, now)?;
            advance(transaction, from, fingerprint)
        })
    }
}

/// The generation, if it is the expected one.
fn at_generation(connection: &Connection, expected: u64) -> Result<u64, StoreError> {
    match head(connection)? {
        (found, _) if found == expected => Ok(found),
        (found, _) => Err(StoreError::StaleGeneration { expected, found }),
    }
}

/// Moves from this generation to the next.
fn advance(
    transaction: &Transaction<'_>,
    from: u64,
    fingerprint: &[u8],
) -> Result<u64, StoreError> {
    let to = at_generation(transaction, from)? + 1;
    let sql = "UPDATE control SET generation = ?1, fingerprint = ?2";
    transaction.execute(sql, params![to, fingerprint])?;
    Ok(to)
}

/// Generation and fingerprint.
fn head(connection: &Connection) -> Result<(u64, Vec<u8>), StoreError> {
    let sql = "SELECT generation, fingerprint FROM control";
    let found = connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
    found.optional()?.ok_or(StoreError::SetUp { set_up: false })
}

#[cfg(test)]
mod tests;
