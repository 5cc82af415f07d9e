//! What outlives a restart, behind a trait: documents, generation, authority, tokens, nodes, recent events.

mod error;
mod migrations;
mod sqlite;

pub use error::StoreError;
pub use sqlite::SqliteStore;

use std::fmt;

use crate::token::{TokenHash, TokenId};

/// How long a token is remembered after it expired, in seconds, so that "used" and "expired" can be told from "unknown".
pub const TOKEN_MEMORY_SECS: i64 = 7 * 86_400;

/// Durable state. Calls block until what they wrote is on disk; each is atomic.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The trust domain and authorities, or `None` in a store where nothing has been set up.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn authority(&self) -> Result<Option<AuthorityRecord>, StoreError>;

    /// Sets up an empty store: its trust domain and first authority, at generation 0.
    ///
    /// # Errors
    /// If it is set up already, or cannot be written.
    fn set_up(&self, authority: &AuthorityRecord) -> Result<(), StoreError>;

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
    ) -> Result<u64, StoreError>;

    /// Remembers a token, and forgets those that expired more than [`TOKEN_MEMORY_SECS`] before `now`.
    ///
    /// # Errors
    /// If it cannot be written.
    fn add_token(&self, token: &TokenRecord, now: i64) -> Result<(), StoreError>;

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
    fn redeem(&self, id: &TokenId, now: i64, node: &NodeRecord) -> Result<bool, StoreError>;

    /// All nodes.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn nodes(&self) -> Result<Vec<NodeRecord>, StoreError>;

    /// Writes a node that is there already.
    ///
    /// # Errors
    /// If it is not there, or cannot be written.
    fn update_node(&self, node: &NodeRecord) -> Result<(), StoreError>;

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

/// The trust domain and its signing certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuthorityRecord {
    /// Name of the trust domain.
    pub trust_domain: String,
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// Name of the file within the data directory that holds the private key.
    pub key_file: String,
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

/// A node that has attested.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeRecord {
    /// Its name.
    pub name: String,
    /// Serial number of the newest SVID issued to it.
    pub serial: Vec<u8>,
    /// Serial number of the SVID that the newest one was asked for with, which still counts.
    pub previous_serial: Option<Vec<u8>>,
    /// When the newest SVID expires, in seconds since the Unix epoch.
    pub not_after: i64,
    /// When it attested with a token.
    pub attested: i64,
}

impl NodeRecord {
    /// Whether the SVID of this serial number is one that still counts.
    #[must_use]
    pub fn stands_by(&self, serial: &[u8]) -> bool {
        self.serial == serial || self.previous_serial.as_deref() == Some(serial)
    }
}

/// An event, encoded.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EventRecord {
    /// Its number.
    pub seq: u64,
    /// The protobuf message.
    pub bytes: Vec<u8>,
}
