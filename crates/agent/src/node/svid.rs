//! The node's SVID: a chain for the node's key.

use tidelock_proto::AGENT_PATH_PREFIX;
use tidelock_spiffe_core::x509::{Leaf, LeafError};
use tidelock_spiffe_core::{SpiffeIdBuf, pem};

use super::key::NodeKey;

/// The node's key and the chain that names it.
#[derive(Debug)]
pub struct NodeSvid {
    key: NodeKey,
    chain: Vec<Vec<u8>>,
    id: SpiffeIdBuf,
    issuer: Vec<u8>,
    /// First second of validity, since 1970.
    pub not_before: i64,
    /// Last second of validity, since 1970.
    pub not_after: i64,
    /// When the control plane attested this node, by a join token, in milliseconds since 1970. A renewed SVID has that of the
    /// first; `None`: an agent from before did not keep it.
    pub attested_at_ms: Option<i64>,
}

/// Why a chain is not this node's SVID.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// No certificate.
    #[error("the chain is empty")]
    Empty,
    /// The first certificate is no X509-SVID.
    #[error("the leaf is no X509-SVID: {0}")]
    Leaf(LeafError),
    /// It was issued for another key.
    #[error("the leaf is for another key")]
    OtherKey,
    /// It names something that is not a node.
    #[error("`{id}` is not the name of a node")]
    NotANode {
        /// The name it bears.
        id: String,
    },
}

impl NodeSvid {
    /// Joins a key and the chain issued for it, leaf first. Whether a trusted authority signed it shows when it is used.
    ///
    /// # Errors
    /// They do not belong together, or it is not a node's.
    pub fn new(key: NodeKey, chain: Vec<Vec<u8>>) -> Result<Self, ChainError> {
        let first = chain.first().ok_or(ChainError::Empty)?;
        let leaf = Leaf::parse(first).map_err(ChainError::Leaf)?;
        if leaf.public_key != key.public_key() {
            return Err(ChainError::OtherKey);
        }
        if !leaf.id.path().starts_with(AGENT_PATH_PREFIX) {
            let id = leaf.id.as_str().to_owned();
            return Err(ChainError::NotANode { id });
        }
        let (id, not_before, not_after) = (leaf.id.to_buf(), leaf.not_before, leaf.not_after);
        let issuer = leaf.issuer.to_vec();
        Ok(Self {
            key,
            chain,
            id,
            issuer,
            not_before,
            not_after,
            attested_at_ms: None,
        })
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &NodeKey {
        &self.key
    }

    /// The SPIFFE ID: `spiffe://<trust domain>/tidelock/agent/<node>`.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// The node's name.
    #[must_use]
    pub fn node(&self) -> &str {
        let path = self.id.as_id().path();
        path.strip_prefix(AGENT_PATH_PREFIX).unwrap_or_default()
    }

    /// The SVID of a node that was attested then.
    #[must_use]
    pub fn attested_at(self, attested_at_ms: Option<i64>) -> Self {
        Self {
            attested_at_ms,
            ..self
        }
    }

    /// The Name of the authority that signed it, in DER.
    #[must_use]
    pub fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// The chain as PEM, leaf first.
    #[must_use]
    pub fn chain_pem(&self) -> String {
        self.chain
            .iter()
            .map(|der| pem::encode("CERTIFICATE", der))
            .collect()
    }

    /// Is it still valid? `now` in seconds since 1970.
    #[must_use]
    pub fn is_current(&self, now: i64) -> bool {
        now <= self.not_after
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, DistinguishedName, ExtendedKeyUsagePurpose, IsCa,
        KeyUsagePurpose, PublicKeyData, SanType, SignatureAlgorithm,
    };

    use super::*;

    struct Subject<'a>(&'a [u8]);

    impl PublicKeyData for Subject<'_> {
        fn der_bytes(&self) -> &[u8] {
            self.0
        }
        fn algorithm(&self) -> &'static SignatureAlgorithm {
            &rcgen::PKCS_ECDSA_P256_SHA256
        }
    }

    /// A leaf for a key, signed by a CA of its own.
    pub(crate) fn leaf(key: &NodeKey, id: &str) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let public = Subject(key.public_key());
        params.signed_by(&public, &issuer).unwrap().der().to_vec()
    }

    #[test]
    fn a_chain_for_this_key_that_names_a_node_is_taken() {
        let key = NodeKey::generate().unwrap();
        let der = leaf(&key, "spiffe://td/tidelock/agent/n1");
        let svid = NodeSvid::new(key, vec![der]).unwrap();
        assert_eq!(svid.id(), "spiffe://td/tidelock/agent/n1");
        assert_eq!(svid.node(), "n1");
        assert!(svid.is_current(svid.not_after) && !svid.is_current(svid.not_after + 1));
        assert!(
            svid.chain_pem()
                .starts_with("-----BEGIN CERTIFICATE-----\n")
        );
    }

    #[test]
    fn a_chain_for_another_key_is_refused() {
        let other = NodeKey::generate().unwrap();
        let der = leaf(&other, "spiffe://td/tidelock/agent/n1");
        let refused = NodeSvid::new(NodeKey::generate().unwrap(), vec![der]);
        assert_eq!(refused.unwrap_err(), ChainError::OtherKey);
    }

    #[test]
    fn a_name_that_is_not_a_nodes_is_refused() {
        let key = NodeKey::generate().unwrap();
        let der = leaf(&key, "spiffe://td/web");
        let refused = NodeSvid::new(key, vec![der]).unwrap_err();
        assert!(matches!(refused, ChainError::NotANode { .. }));
        let empty = NodeSvid::new(NodeKey::generate().unwrap(), vec![]);
        assert_eq!(empty.unwrap_err(), ChainError::Empty);
    }
}
