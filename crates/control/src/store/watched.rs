//! A store that is watched: no entry of a time that cannot be comes into its audit log, and it is known whether it can be written.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{
    Authorities, DocumentKey, DocumentRecord, EventRecord, IssuedRecord, IssuedTo, NodeRecord,
    Revocation, RevokedRecord, Store, StoreError, Stored, TokenRecord,
};
use crate::audit::{AuditEntry, AuditHead, AuditRecord};
use crate::clock::{self, ClockError};
use crate::token::TokenId;

/// A store, and what is known of it.
#[derive(Debug)]
pub(crate) struct Watched {
    inner: Arc<dyn Store>,
    /// The latest time that was believed, in seconds since the Unix epoch.
    latest: AtomicI64,
    /// Why the last change was not written, if it was not.
    failing: Mutex<Option<String>>,
}

impl Watched {
    /// Watches a store from `now` on, which is believed.
    pub(crate) fn new(inner: Arc<dyn Store>, now: i64) -> Self {
        Self {
            inner,
            latest: AtomicI64::new(now),
            failing: Mutex::default(),
        }
    }

    /// Whether the clock can be believed that says this.
    pub(crate) fn believes(&self, now: i64) -> Result<(), ClockError> {
        clock::not_ahead(now, self.latest.load(Ordering::Relaxed))
    }

    /// Why nothing can be written, as far as the last change tells.
    pub(crate) fn failing(&self) -> Option<String> {
        self.last().clone()
    }

    fn last(&self) -> MutexGuard<'_, Option<String>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change; `wrote` tells whether there was one to be made.
    fn write<T>(
        &self,
        audit: &[AuditEntry],
        change: impl FnOnce(&dyn Store) -> Result<T, StoreError>,
        wrote: impl FnOnce(&T) -> bool,
    ) -> Result<T, StoreError> {
        let times = audit.iter().map(|entry| clock::secs(entry.time_unix_ns));
        if let Some(now) = times.max() {
            self.believes(now)?;
            self.latest.fetch_max(now, Ordering::Relaxed);
        }
        let changed = change(&*self.inner);
        match &changed {
            Ok(value) if wrote(value) => *self.last() = None,
            Err(error) if error.is_outage() => *self.last() = Some(error.to_string()),
            Ok(_) | Err(_) => {}
        }
        changed
    }
}

impl Store for Watched {
    fn authorities(&self) -> Result<Option<Authorities>, StoreError> {
        self.inner.authorities()
    }

    fn set_up(&self, authorities: &Authorities, audit: &[AuditEntry]) -> Result<(), StoreError> {
        self.write(audit, |store| store.set_up(authorities, audit), |_| true)
    }

    fn put_authorities(
        &self,
        from: u64,
        fingerprint: Option<&[u8]>,
        authorities: &Authorities,
        audit: &[AuditEntry],
    ) -> Result<u64, StoreError> {
        self.write(
            audit,
            |store| store.put_authorities(from, fingerprint, authorities, audit),
            |_| true,
        )
    }

    fn documents(&self) -> Result<Stored, StoreError> {
        self.inner.documents()
    }

    fn commit(
        &self,
        from: u64,
        fingerprint: &[u8],
        puts: &[DocumentRecord],
        deletes: &[DocumentKey],
        audit: &[AuditEntry],
    ) -> Result<u64, StoreError> {
        self.write(
            audit,
            |store| store.commit(from, fingerprint, puts, deletes, audit),
            |_| true,
        )
    }

    fn add_token(
        &self,
        token: &TokenRecord,
        now: i64,
        audit: &[AuditEntry],
    ) -> Result<(), StoreError> {
        self.write(audit, |store| store.add_token(token, now, audit), |_| true)
    }

    fn token(&self, id: &TokenId) -> Result<Option<TokenRecord>, StoreError> {
        self.inner.token(id)
    }

    fn redeem(
        &self,
        id: &TokenId,
        now: i64,
        node: &NodeRecord,
        audit: &[AuditEntry],
    ) -> Result<bool, StoreError> {
        self.write(
            audit,
            |store| store.redeem(id, now, node, audit),
            |&written| written,
        )
    }

    fn attest_node(&self, node: &NodeRecord, audit: &[AuditEntry]) -> Result<bool, StoreError> {
        self.write(
            audit,
            |store| store.attest_node(node, audit),
            |&written| written,
        )
    }

    fn set_certificate_allowed(
        &self,
        node: &str,
        allowed: bool,
        audit: &[AuditEntry],
    ) -> Result<bool, StoreError> {
        self.write(
            audit,
            |store| store.set_certificate_allowed(node, allowed, audit),
            |&written| written,
        )
    }

    fn bar_node(&self, node: &str, audit: &[AuditEntry]) -> Result<bool, StoreError> {
        self.write(
            audit,
            |store| store.bar_node(node, audit),
            |&written| written,
        )
    }

    fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError> {
        self.inner.nodes()
    }

    fn update_node(&self, node: &NodeRecord, audit: &[AuditEntry]) -> Result<(), StoreError> {
        self.write(audit, |store| store.update_node(node, audit), |_| true)
    }

    fn issued(
        &self,
        to: &IssuedTo,
        now: i64,
        limit: usize,
    ) -> Result<Vec<IssuedRecord>, StoreError> {
        self.inner.issued(to, now, limit)
    }

    fn ever_issued(&self, spiffe_id: &str) -> Result<bool, StoreError> {
        self.inner.ever_issued(spiffe_id)
    }

    fn revoked(&self) -> Result<Vec<RevokedRecord>, StoreError> {
        self.inner.revoked()
    }

    fn revocations(&self, after: &[u8], at: i64, most: u32) -> Result<Vec<Revocation>, StoreError> {
        self.inner.revocations(after, at, most)
    }

    fn revoke(
        &self,
        from: u64,
        fingerprint: &[u8],
        records: &[RevokedRecord],
        now: i64,
        audit: &[AuditEntry],
    ) -> Result<u64, StoreError> {
        self.write(
            audit,
            |store| store.revoke(from, fingerprint, records, now, audit),
            |_| true,
        )
    }

    fn append_audit(&self, audit: &[AuditEntry]) -> Result<(), StoreError> {
        self.write(audit, |store| store.append_audit(audit), |_| true)
    }

    fn audit_after(&self, seq: u64, limit: u32) -> Result<Vec<AuditRecord>, StoreError> {
        self.inner.audit_after(seq, limit)
    }

    fn audit_head(&self) -> Result<AuditHead, StoreError> {
        self.inner.audit_head()
    }

    fn append_events(&self, events: &[EventRecord], keep: u32) -> Result<(), StoreError> {
        self.write(&[], |store| store.append_events(events, keep), |_| true)
    }

    fn recent_events(&self, limit: u32) -> Result<Vec<EventRecord>, StoreError> {
        self.inner.recent_events(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SqliteStore;

    const DAY: i64 = 86_400;

    fn entry(at: i64) -> AuditEntry {
        AuditEntry {
            time_unix_ns: at.unsigned_abs() * 1_000_000_000,
            actor: "control".into(),
            action: "test".into(),
            subject: String::new(),
            detail: "{}".into(),
        }
    }

    fn watched(now: i64) -> (tempfile::TempDir, Watched) {
        let dir = tempfile::tempdir().expect("temp dir");
        let store = SqliteStore::open(&dir.path().join("s.db")).expect("open");
        let none = Authorities {
            trust_domain: "td".into(),
            sequence: 1,
            x509: Vec::new(),
            jwt: Vec::new(),
        };
        store.set_up(&none, &[]).expect("set up");
        (dir, Watched::new(Arc::new(store), now))
    }

    #[test]
    fn nothing_is_written_by_a_clock_that_jumped_until_it_is_back() {
        let now = 1_800_000_000;
        let (_dir, store) = watched(now);
        let append = |at| store.append_audit(&[entry(at)]);
        append(now + DAY).expect("time goes on");
        for jump in [9 * DAY, 32 * DAY, 11 * 365 * DAY] {
            let refused = append(now + jump).expect_err("the clock jumped");
            assert!(matches!(refused, StoreError::Clock(_)), "{refused}");
            assert!(store.believes(now + jump).is_err());
        }
        assert_eq!(store.audit_head().expect("head").seq, 1);
        append(now + 2 * DAY).expect("it is back");
        append(now + 9 * DAY).expect("a week on");
        append(now - 365 * DAY).expect("nothing is lost by one that is set back");
        append(now + 10 * DAY).expect("nor when it is right again");
        assert_eq!(store.failing(), None, "the store is not to blame");
    }

    #[test]
    fn it_is_known_whether_the_last_change_was_written() {
        let now = 1_800_000_000;
        let (_dir, store) = watched(now);
        let fail = |error| store.write(&[], |_| Err::<(), _>(error), |()| true);
        assert!(fail(StoreError::NoSuchRow).is_err());
        assert_eq!(store.failing(), None, "what was asked for is to blame");
        assert!(fail(StoreError::Full).is_err());
        let full = store.failing().expect("it is full");
        assert!(full.contains("no room"), "{full}");
        assert!(!store.bar_node("nobody", &[]).expect("nothing to do"));
        assert_eq!(store.failing(), Some(full), "nothing was written");
        store.append_audit(&[entry(now)]).expect("there is room");
        assert_eq!(store.failing(), None);
    }
}
