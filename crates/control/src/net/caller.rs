//! Who is at the other end of a connection.

use std::net::SocketAddr;

use tidelock_proto::{AGENT_PATH_PREFIX, OPERATOR_PATH_PREFIX};
use tidelock_spiffe_core::TrustDomain;
use tidelock_spiffe_core::x509::Leaf;

use crate::name::Name;

/// The other end of a connection: where it is, and what its certificate proves.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) remote: SocketAddr,
    pub(crate) peer: Peer,
}

/// What a caller's certificate proves. Path validation has been done: it leads to our own authority.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Peer {
    /// No certificate was shown.
    Anonymous,
    /// An agent, by its node's SVID.
    Agent {
        node: Name,
        serial: Vec<u8>,
        not_after: i64,
        /// The Name, in DER, of the authority that signed it.
        issuer: Vec<u8>,
    },
    /// An operator, by its SVID. Whether there is a document of it is another question.
    Operator {
        name: Name,
        serial: Vec<u8>,
        not_after: i64,
        /// As an agent's.
        issuer: Vec<u8>,
    },
    /// A certificate of ours that is neither an agent's nor an operator's.
    Stranger { why: String },
}

impl Peer {
    /// Reads the end-entity certificate that a caller showed.
    pub(crate) fn from_certificate(der: Option<&[u8]>, ours: TrustDomain<'_>) -> Self {
        let Some(der) = der else {
            return Self::Anonymous;
        };
        let leaf = match Leaf::parse(der) {
            Ok(leaf) => leaf,
            Err(error) => {
                return Self::Stranger {
                    why: format!("the client certificate is not an X509-SVID: {error}"),
                };
            }
        };
        let stranger = || Self::Stranger {
            why: format!(
                "`{}` is not the SPIFFE ID of an agent or operator of this trust domain",
                leaf.id.as_str()
            ),
        };
        if leaf.id.trust_domain() != ours {
            return stranger();
        }
        let (path, serial, not_after) = (leaf.id.path(), leaf.serial.to_vec(), leaf.not_after);
        let issuer = leaf.issuer.to_vec();
        let named = |prefix| {
            path.strip_prefix(prefix)
                .and_then(|name| Name::parse(name).ok())
        };
        match (named(AGENT_PATH_PREFIX), named(OPERATOR_PATH_PREFIX)) {
            (Some(node), _) => Self::Agent {
                node,
                serial,
                not_after,
                issuer,
            },
            (None, Some(name)) => Self::Operator {
                name,
                serial,
                not_after,
                issuer,
            },
            (None, None) => stranger(),
        }
    }
}
