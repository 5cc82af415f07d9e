//! What may be issued, decided before anyone asks.

use tidelock_spiffe_core::{SpiffeIdBuf, SpiffeIdError, TrustDomain};

use crate::names::{MAX_SERVER_NAMES, ServerName};

/// Shortest life of an SVID, in seconds. Ours: a renewal at half-life still has five of them.
pub const MIN_SVID_TTL_SECS: u32 = 10;

/// Longest life of an SVID, in seconds: 30 days. Ours: whoever is not told of a revocation believes an SVID for so long.
pub const MAX_SVID_TTL_SECS: u32 = 30 * 24 * 3600;

/// Longest hint, in bytes. Ours: a word, not a text.
pub const MAX_HINT_BYTES: usize = 256;

/// First path segment of the names that Tidelock gives to itself; no workload may have one.
pub const RESERVED_SEGMENT: &str = "tidelock";

/// How long an SVID lives, from now on.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Ttl(u32);

/// A life shorter than [`MIN_SVID_TTL_SECS`] or longer than [`MAX_SVID_TTL_SECS`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("ttl of {secs} s is not between {MIN_SVID_TTL_SECS} s and {MAX_SVID_TTL_SECS} s")]
pub struct TtlError {
    /// The life asked for, in seconds.
    pub secs: u64,
}

impl Ttl {
    /// Takes a life in seconds.
    ///
    /// # Errors
    /// One that is out of bounds.
    pub fn from_secs(secs: u64) -> Result<Self, TtlError> {
        match u32::try_from(secs) {
            Ok(short) if (MIN_SVID_TTL_SECS..=MAX_SVID_TTL_SECS).contains(&short) => {
                Ok(Self(short))
            }
            _ => Err(TtlError { secs }),
        }
    }

    /// The life in seconds.
    pub fn as_secs(self) -> u32 {
        self.0
    }
}

/// What the CA may issue to whoever proves to be the entry's: a name, its lifetime, more names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    id: SpiffeIdBuf,
    ttl: Ttl,
    server_names: Vec<ServerName>,
    hint: Option<Box<str>>,
}

/// Why no entry was made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// The ID of a whole trust domain, which no leaf may have (X509-SVID §3.1).
    #[error("an SVID needs a SPIFFE ID with a path")]
    Pathless,
    /// A workload's ID under `/tidelock`.
    #[error("SPIFFE IDs under `/{RESERVED_SEGMENT}` are reserved for Tidelock")]
    Reserved,
    /// The node's name makes no SPIFFE ID.
    #[error("the node's name makes no SPIFFE ID")]
    Node(#[source] SpiffeIdError),
    /// The operator's name makes no SPIFFE ID.
    #[error("the operator's name makes no SPIFFE ID")]
    Operator(#[source] SpiffeIdError),
    /// More server names than [`MAX_SERVER_NAMES`].
    #[error("{count} server names, more than {MAX_SERVER_NAMES}")]
    ServerNames {
        /// How many there are.
        count: usize,
    },
    /// A hint that is empty or longer than [`MAX_HINT_BYTES`].
    #[error("hint has {len} bytes, not 1 to {MAX_HINT_BYTES}")]
    Hint {
        /// Its length in bytes.
        len: usize,
    },
}

impl Entry {
    /// A workload's entry.
    ///
    /// # Errors
    /// `Pathless`; `Reserved`, so that no document can make a workload of the control plane or an agent.
    pub fn workload(id: SpiffeIdBuf, ttl: Ttl) -> Result<Self, EntryError> {
        match id.path().split('/').nth(1) {
            None => Err(EntryError::Pathless),
            // Compared without case, so that nothing can even look like ours.
            Some(first) if first.eq_ignore_ascii_case(RESERVED_SEGMENT) => {
                Err(EntryError::Reserved)
            }
            Some(_) => Ok(Self {
                id,
                ttl,
                server_names: Vec::new(),
                hint: None,
            }),
        }
    }

    /// An agent's entry: `spiffe://<trust domain>/tidelock/agent/<node>`.
    ///
    /// # Errors
    /// `Node`, for a name that is no path segment.
    pub fn node(trust_domain: TrustDomain<'_>, node: &str, ttl: Ttl) -> Result<Self, EntryError> {
        let segments = [RESERVED_SEGMENT, "agent", node];
        let id = SpiffeIdBuf::from_segments(trust_domain, &segments).map_err(EntryError::Node)?;
        Ok(Self {
            id,
            ttl,
            server_names: Vec::new(),
            hint: None,
        })
    }

    /// An operator's entry: `spiffe://<trust domain>/tidelock/operator/<name>`.
    ///
    /// # Errors
    /// `Operator`, for a name that is no path segment.
    pub fn operator(
        trust_domain: TrustDomain<'_>,
        name: &str,
        ttl: Ttl,
    ) -> Result<Self, EntryError> {
        let segments = [RESERVED_SEGMENT, "operator", name];
        let id =
            SpiffeIdBuf::from_segments(trust_domain, &segments).map_err(EntryError::Operator)?;
        Ok(Self {
            id,
            ttl,
            server_names: Vec::new(),
            hint: None,
        })
    }

    /// The control plane's own entry, for its listeners: `spiffe://<trust domain>/tidelock/control`
    /// and the names that agents dial.
    ///
    /// # Errors
    /// `ServerNames`.
    pub fn control(
        trust_domain: TrustDomain<'_>,
        server_names: Vec<ServerName>,
        ttl: Ttl,
    ) -> Result<Self, EntryError> {
        if server_names.len() > MAX_SERVER_NAMES {
            return Err(EntryError::ServerNames {
                count: server_names.len(),
            });
        }
        let id = SpiffeIdBuf::from_segments(trust_domain, &[RESERVED_SEGMENT, "control"])
            .map_err(EntryError::Node)?;
        Ok(Self {
            id,
            ttl,
            server_names,
            hint: None,
        })
    }

    /// The same with names that clients may dial it by, in the place of those it has.
    ///
    /// # Errors
    /// `ServerNames`.
    pub fn with_server_names(self, server_names: Vec<ServerName>) -> Result<Self, EntryError> {
        match server_names.len() {
            count if count > MAX_SERVER_NAMES => Err(EntryError::ServerNames { count }),
            _ => Ok(Self {
                server_names,
                ..self
            }),
        }
    }

    /// The same with a hint: what a workload with several SVIDs tells them apart by (SPIFFE Workload API §5.2.1).
    ///
    /// # Errors
    /// `Hint`, for one that is empty or longer than [`MAX_HINT_BYTES`].
    pub fn with_hint(self, hint: &str) -> Result<Self, EntryError> {
        match hint.len() {
            len if !(1..=MAX_HINT_BYTES).contains(&len) => Err(EntryError::Hint { len }),
            _ => Ok(Self {
                hint: Some(hint.into()),
                ..self
            }),
        }
    }

    /// The name to be issued; never pathless.
    pub fn id(&self) -> &SpiffeIdBuf {
        &self.id
    }

    /// How long an SVID of this entry lives.
    pub fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// What its SVIDs are told from others by, if anything.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// DNS names and addresses to be issued with it.
    pub fn server_names(&self) -> &[ServerName] {
        &self.server_names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ttl() -> Ttl {
        Ttl::from_secs(60).unwrap()
    }

    fn workload(id: &str) -> Result<Entry, EntryError> {
        Entry::workload(SpiffeIdBuf::parse(id).unwrap(), ttl())
    }

    #[test]
    fn ttl_is_bounded() {
        for secs in [10, 3600, 2_592_000] {
            assert_eq!(Ttl::from_secs(secs).map(Ttl::as_secs), Ok(secs as u32));
        }
        for secs in [0, 9, 2_592_001, u64::from(u32::MAX) + 11, u64::MAX] {
            assert_eq!(Ttl::from_secs(secs), Err(TtlError { secs }));
        }
    }

    #[test]
    fn x509_svid_3_1_workloads_have_a_path() {
        assert!(workload("spiffe://td/a").is_ok());
        assert_eq!(workload("spiffe://td"), Err(EntryError::Pathless));
    }

    #[test]
    fn workloads_cannot_take_reserved_names() {
        for id in [
            "spiffe://td/tidelock",
            "spiffe://td/tidelock/control",
            "spiffe://td/Tidelock/x",
        ] {
            assert_eq!(workload(id), Err(EntryError::Reserved), "{id}");
        }
        for id in [
            "spiffe://td/tidelocks",
            "spiffe://td/a/tidelock",
            "spiffe://tidelock/a",
        ] {
            assert!(workload(id).is_ok(), "{id}");
        }
    }

    #[test]
    fn nodes_are_named_by_one_segment() {
        let td = TrustDomain::parse("td").unwrap();
        let entry = Entry::node(td, "node-1", ttl()).unwrap();
        assert_eq!(entry.id().as_str(), "spiffe://td/tidelock/agent/node-1");
        for name in ["", "..", "a/b", "a b", "../control"] {
            let error = Entry::node(td, name, ttl()).unwrap_err();
            assert!(matches!(error, EntryError::Node(_)), "{name:?}");
        }
    }

    #[test]
    fn operators_are_named_by_one_segment() {
        let td = TrustDomain::parse("td").unwrap();
        let entry = Entry::operator(td, "alice", ttl()).unwrap();
        assert_eq!(entry.id().as_str(), "spiffe://td/tidelock/operator/alice");
        for name in ["", "..", "a/b", "a b", "../control"] {
            let error = Entry::operator(td, name, ttl()).unwrap_err();
            assert!(matches!(error, EntryError::Operator(_)), "{name:?}");
        }
    }

    #[test]
    fn control_names_are_bounded() {
        let td = TrustDomain::parse("td").unwrap();
        let name = ServerName::parse("127.0.0.1").unwrap();
        let entry = Entry::control(td, vec![name.clone(); MAX_SERVER_NAMES], ttl()).unwrap();
        assert_eq!(entry.id().as_str(), "spiffe://td/tidelock/control");
        let count = MAX_SERVER_NAMES + 1;
        let refused = Entry::control(td, vec![name; count], ttl());
        assert_eq!(refused, Err(EntryError::ServerNames { count }));
    }
}
