//! What outlives a restart, behind a trait: documents, generation, authorities, tokens, nodes, recent events.

mod error;
mod migrations;
mod node;
mod sqlite;
#[cfg(any(test, feature = "store-suite"))]
pub mod suite;
mod watched;

pub use error::StoreError;
pub use node::{JoinedBy, NodeRecord};
pub use sqlite::SqliteStore;
pub(crate) use watched::Watched;

use std::fmt;

use tidelock_ca::State;

use crate::audit::{AuditEntry, AuditHead, AuditRecord};
use crate::token::{TokenHash, TokenId};

/// How long a token is remembered after it expired, in seconds, so that "used" and "expired" can be told from "unknown".
pub const TOKEN_MEMORY_SECS: i64 = 7 * 86_400;

/// Durable state. Calls block until what they wrote is on disk; each is atomic, and so is what it puts into the audit log:
/// the entries given as `audit` are there if and only if the change is. Calls may come from several threads at once, and are
/// as if they came one after the other. A change for which there is no room fails with [`StoreError::Full`]; what there is can
/// be read then.
///
/// The feature `store-suite` has tests of all of this for whoever implements it.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The trust domain and its authorities, or `None` in a store where nothing has been set up.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn authorities(&self) -> Result<Option<Authorities>, StoreError>;

    /// Sets up an empty store: its trust domain and first authority, at generation 0.
    ///
    /// # Errors
    /// If it is set up already, or cannot be written.
    fn set_up(&self, authorities: &Authorities, audit: &[AuditEntry]) -> Result<(), StoreError>;

    /// Puts these authorities in the place of those that there are. With a `fingerprint`, of all that nodes are sent from
    /// now on, it moves from generation `from` to the next; the generation it is at then is returned.
    ///
    /// # Errors
    /// [`StoreError::StaleGeneration`] if the store is at another generation than `from`; nothing is changed then.
    fn put_authorities(
        &self,
        from: u64,
        fingerprint: Option<&[u8]>,
        authorities: &Authorities,
        audit: &[AuditEntry],
    ) -> Result<u64, StoreError>;

    /// The generation and all documents.
    ///
    /// # Errors
    /// If the store cannot be read, or is not set up.
    fn documents(&self) -> Result<Stored, StoreError>;

    /// Writes and deletes documents and moves from generation `from` to the next, which is returned. `fingerprint` is of all
    /// that nodes are sent at that generation.
    ///
    /// # Errors
    /// [`StoreError::StaleGeneration`] if the store is at another generation; nothing is changed then.
    fn commit(
        &self,
        from: u64,
        fingerprint: &[u8],
        puts: &[DocumentRecord],
        deletes: &[DocumentKey],
        audit: &[AuditEntry],
    ) -> Result<u64, StoreError>;

    /// Remembers a token, and forgets those that expired more than [`TOKEN_MEMORY_SECS`] before `now`.
    ///
    /// # Errors
    /// If it cannot be written.
    fn add_token(
        &self,
        token: &TokenRecord,
        now: i64,
        audit: &[AuditEntry],
    ) -> Result<(), StoreError>;

    /// Looks a token up by the part of it that is no secret.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn token(&self, id: &TokenId) -> Result<Option<TokenRecord>, StoreError>;

    /// Uses a token up and writes the node that it is for, both or neither. `false`, and nothing written, if the token is
    /// not there, used, or expired at `now`.
    ///
    /// # Errors
    /// If it cannot be written.
    fn redeem(
        &self,
        id: &TokenId,
        now: i64,
        node: &NodeRecord,
        audit: &[AuditEntry],
    ) -> Result<bool, StoreError>;

    /// Writes a node that attested by its certificate. `false`, and nothing written, if there is a node of this name for which
    /// no certificate is allowed.
    ///
    /// # Errors
    /// If it cannot be written.
    fn attest_node(&self, node: &NodeRecord, audit: &[AuditEntry]) -> Result<bool, StoreError>;

    /// Whether a certificate may attest as this node from now on. `false`, and nothing written, if that is so already, or there
    /// is no such node.
    ///
    /// # Errors
    /// If it cannot be written.
    fn set_certificate_allowed(
        &self,
        node: &str,
        allowed: bool,
        audit: &[AuditEntry],
    ) -> Result<bool, StoreError>;

    /// Takes from a node what it is believed by, so that it [`NodeRecord::is_barred`]: the SVIDs that count, and its certificate.
    /// `false`, and nothing written, if that is so already, or there is no such node.
    ///
    /// # Errors
    /// If it cannot be written.
    fn bar_node(&self, node: &str, audit: &[AuditEntry]) -> Result<bool, StoreError>;

    /// All nodes.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError>;

    /// Writes a node that is there already.
    ///
    /// # Errors
    /// If it is not there, or cannot be written.
    fn update_node(&self, node: &NodeRecord, audit: &[AuditEntry]) -> Result<(), StoreError>;

    /// What the audit log tells of SVIDs that were issued: of one serial number, or those of a SPIFFE ID or node that have not
    /// expired at `now`. At most `limit` of each kind.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn issued(
        &self,
        to: &IssuedTo,
        now: i64,
        limit: usize,
    ) -> Result<Vec<IssuedRecord>, StoreError>;

    /// Whether an SVID was ever issued for this SPIFFE ID of a workload.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn ever_issued(&self, spiffe_id: &str) -> Result<bool, StoreError>;

    /// Every SVID that is revoked, sorted by serial number.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn revoked(&self) -> Result<Vec<RevokedRecord>, StoreError>;

    /// What is revoked at this time, and what the audit log tells of it: those of serial numbers after this one, sorted by
    /// serial number, at most `most`.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn revocations(&self, after: &[u8], at: i64, most: u32) -> Result<Vec<Revocation>, StoreError>;

    /// Revokes these, none of which is revoked yet, forgets those that are over at `now`, and moves from generation `from` to
    /// the next, which is returned. `fingerprint` is as for [`Store::commit`].
    ///
    /// # Errors
    /// [`StoreError::StaleGeneration`] if the store is at another generation; nothing is changed then.
    fn revoke(
        &self,
        from: u64,
        fingerprint: &[u8],
        records: &[RevokedRecord],
        now: i64,
        audit: &[AuditEntry],
    ) -> Result<u64, StoreError>;

    /// Adds to the audit log what changes nothing else.
    ///
    /// # Errors
    /// If it cannot be written.
    fn append_audit(&self, audit: &[AuditEntry]) -> Result<(), StoreError>;

    /// The audit log's entries after this number, oldest first, at most `limit`, as they lie there.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn audit_after(&self, seq: u64, limit: u32) -> Result<Vec<AuditRecord>, StoreError>;

    /// Where the audit log ends, as was noted with its last entry.
    ///
    /// # Errors
    /// If the store cannot be read, or is not set up.
    fn audit_head(&self) -> Result<AuditHead, StoreError>;

    /// Adds events, and forgets all but the newest `keep`.
    ///
    /// # Errors
    /// If they cannot be written.
    fn append_events(&self, events: &[EventRecord], keep: u32) -> Result<(), StoreError>;

    /// The newest events, at most `limit`, oldest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn recent_events(&self, limit: u32) -> Result<Vec<EventRecord>, StoreError>;
}

/// The trust domain and all authorities that are remembered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authorities {
    /// Name of the trust domain.
    pub trust_domain: String,
    /// How often the bundle has changed.
    pub sequence: u64,
    /// Those that sign X509-SVIDs, oldest first.
    pub x509: Vec<AuthorityRecord>,
    /// Those that sign JWT-SVIDs, oldest first.
    pub jwt: Vec<JwtAuthorityRecord>,
}

/// An X.509 authority. Times are in seconds since the Unix epoch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuthorityRecord {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// Name of the file within the data directory that holds the private key.
    pub key_file: String,
    /// Where it is in its life.
    pub state: State,
    /// When it came there.
    pub since: i64,
    /// When nothing that it signed is valid any more; `None`: when its certificate ends.
    pub until: Option<i64>,
    /// The generation that brought it to nodes.
    pub generation: u64,
}

/// A JWT authority. Times are in seconds since the Unix epoch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JwtAuthorityRecord {
    /// What the `kid` of its tokens says.
    pub key_id: String,
    /// The public key: a SubjectPublicKeyInfo in DER.
    pub public_key: Vec<u8>,
    /// Name of the file within the data directory that holds the private key.
    pub key_file: String,
    /// Where it is in its life.
    pub state: State,
    /// When it came there.
    pub since: i64,
    /// When nothing that it signed is valid any more.
    pub until: i64,
    /// Its last second.
    pub not_after: i64,
    /// The generation that brought it to nodes.
    pub generation: u64,
}

/// Kind and name of a document, as documents write them.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct DocumentKey {
    /// The kind.
    pub kind: String,
    /// The name.
    pub name: String,
}

/// All documents at one generation.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stored {
    /// 0 before the first commit.
    pub generation: u64,
    /// What was given with the last commit; empty before the first.
    pub fingerprint: Vec<u8>,
    /// Sorted by kind and name.
    pub documents: Vec<DocumentRecord>,
}

/// A document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DocumentRecord {
    /// Kind and name.
    pub key: DocumentKey,
    /// The whole document as JSON.
    pub json: String,
}

/// A join token: everything but its secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenRecord {
    /// The part that is no secret.
    pub id: TokenId,
    /// Hash of the secret.
    pub hash: TokenHash,
    /// Name of the node it is for.
    pub node: String,
    /// When it expires, in seconds since the Unix epoch.
    pub expires: i64,
    /// When it was used.
    pub used: Option<i64>,
}

/// Which of the SVIDs that were issued.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum IssuedTo {
    /// The one of this serial number.
    Serial(Vec<u8>),
    /// Those of this SPIFFE ID of a workload.
    Identity(String),
    /// Those that this node was given, for itself and for workloads.
    Node(String),
}

/// An SVID that was issued.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct IssuedRecord {
    /// Its serial number.
    pub serial: Vec<u8>,
    /// The SPIFFE ID of the workload; `None`: it is the node's own.
    pub spiffe_id: Option<String>,
    /// The node that it was issued to.
    pub node: String,
    /// When it expires, in seconds since the Unix epoch.
    pub not_after: i64,
}

/// An SVID that is believed no more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RevokedRecord {
    /// Its serial number.
    pub serial: Vec<u8>,
    /// The SPIFFE ID that it bears.
    pub spiffe_id: String,
    /// The node that it was issued to.
    pub node: String,
    /// Until when that has to be told, in seconds since the Unix epoch: it has expired then.
    pub until: i64,
}

/// An SVID that is believed no more, and how that came about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Revocation {
    /// Which it is.
    pub revoked: RevokedRecord,
    /// The newest entry of the audit log that says so; `None` only if that has been tampered with.
    pub entry: Option<AuditEntry>,
}

/// An event, encoded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventRecord {
    /// Its number.
    pub seq: u64,
    /// The protobuf message.
    pub bytes: Vec<u8>,
}
