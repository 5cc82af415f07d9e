//! Certificates that nodes were given elsewhere, and attest with: the roots that they have to lead to, and the proof of their keys.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use tidelock_spiffe_core::pem::{self, PemError};
use tidelock_spiffe_core::x509::{AnyCert, CertificateError, GeneralName, MAX_CERTIFICATE_BYTES};
use webpki::ring as algorithms;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

/// Most certificates in a chain, the node's own among them. Ours: two or three are common, and each costs a signature to check.
pub const MAX_NODE_CHAIN: usize = 5;

/// Most roots that nodes' certificates may lead to. Ours: each may cost a signature to check for whoever connects.
pub const MAX_NODE_ROOTS: usize = 32;

/// How the certificates of a chain may be signed: every way that `webpki` verifies here, since whoever made them had no reason to
/// think of us. RSA has 2,048 bits or more.
static CHAIN: [&dyn SignatureVerificationAlgorithm; 11] = [
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// How a node's key signs its proof: one way for each kind of key.
static PROOF: [&dyn SignatureVerificationAlgorithm; 4] = [
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
];

/// The roots that nodes' certificates may lead to. Never empty.
#[derive(Clone, Debug)]
pub struct NodeRoots(Vec<Root>);

#[derive(Clone, Debug)]
struct Root {
    anchor: TrustAnchor<'static>,
    /// First and last second of validity: path validation does not look at a trust anchor's.
    validity: (i64, i64),
}

/// Why roots were refused. `number` counts from 1.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeRootsError {
    /// Not PEM.
    #[error("{0}")]
    Pem(#[from] PemError),
    /// No certificate at all.
    #[error("holds no certificate")]
    Empty,
    /// More than [`MAX_NODE_ROOTS`].
    #[error("holds {count} certificates, more than {MAX_NODE_ROOTS}")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// Not a certificate of version 3 that can be read.
    #[error("certificate {number}: {error}")]
    Certificate {
        /// Which one.
        number: usize,
        /// What is wrong.
        error: CertificateError,
    },
    /// Not a certificate that can be a trust anchor.
    #[error("certificate {number} is of no use as a root: {error}")]
    Anchor {
        /// Which one.
        number: usize,
        /// What is wrong.
        error: webpki::Error,
    },
    /// A certificate that may sign none.
    #[error("certificate {number} is not a CA's")]
    NotCa {
        /// Which one.
        number: usize,
    },
}

/// Why a node's chain was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NodeCertificateError {
    /// No certificate at all.
    #[error("there is no certificate")]
    Empty,
    /// More than [`MAX_NODE_CHAIN`].
    #[error("there are {count} certificates, more than {MAX_NODE_CHAIN}")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// Longer than [`MAX_CERTIFICATE_BYTES`].
    #[error("a certificate has {len} bytes, more than {MAX_CERTIFICATE_BYTES}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The node's own is not a certificate that can be read.
    #[error("{0}")]
    Certificate(#[from] CertificateError),
    /// The node's own is a CA's, whose key is not for proving to be a machine.
    #[error("it is a CA's")]
    Ca,
    /// The node's own says not that its key signs: keyUsage lacks digitalSignature, or is missing.
    #[error("its key usage is not digitalSignature")]
    NoDigitalSignature,
    /// No current root is reached by it at this time (RFC 5280 §6).
    #[error("it does not lead to a root that is configured here and current: {0}")]
    Path(webpki::Error),
    /// Not exactly one DNS name.
    #[error("it has {count} DNS names; the one that names the node has to be the only one")]
    Names {
        /// How many it has.
        count: usize,
    },
}

/// A node's certificate that leads to a root. That whoever showed it holds its key is for [`NodeCertificate::proves`] to say.
#[derive(Clone, Debug)]
pub struct NodeCertificate {
    der: Vec<u8>,
    dns_name: String,
    serial: Vec<u8>,
}

impl NodeRoots {
    /// Reads the certificates of a PEM file, which has nothing but CAs'. Whether they are current is asked when they are used.
    ///
    /// # Errors
    /// The first one that is of no use, or none at all.
    pub fn from_pem(text: &str) -> Result<Self, NodeRootsError> {
        let certificates = pem::decode("CERTIFICATE", text)?;
        match certificates.len() {
            0 => return Err(NodeRootsError::Empty),
            count if count > MAX_NODE_ROOTS => return Err(NodeRootsError::TooMany { count }),
            _ => {}
        }
        let roots = (1..).zip(&certificates);
        roots
            .map(|(number, der)| Root::read(der, number))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Follows a chain, leaf first, to a root that is current at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// The first rule broken; bounds are looked at before anything is read, and signatures last.
    pub fn verify(
        &self,
        chain: &[Vec<u8>],
        now: i64,
    ) -> Result<NodeCertificate, NodeCertificateError> {
        let (leaf, rest) = chain.split_first().ok_or(NodeCertificateError::Empty)?;
        if chain.len() > MAX_NODE_CHAIN {
            let count = chain.len();
            return Err(NodeCertificateError::TooMany { count });
        }
        if let Some(long) = chain.iter().find(|der| der.len() > MAX_CERTIFICATE_BYTES) {
            let len = long.len();
            return Err(NodeCertificateError::TooLong { len });
        }
        let read = AnyCert::parse(leaf)?;
        if read.is_ca {
            return Err(NodeCertificateError::Ca);
        }
        if !read.digital_signature {
            return Err(NodeCertificateError::NoDigitalSignature);
        }
        let dns_name = only_dns_name(&read)?;
        self.path(leaf, rest, now)
            .map_err(NodeCertificateError::Path)?;
        Ok(NodeCertificate {
            dns_name,
            serial: read.serial.to_vec(),
            der: leaf.clone(),
        })
    }

    fn path(&self, leaf: &[u8], rest: &[Vec<u8>], now: i64) -> Result<(), webpki::Error> {
        let seconds = u64::try_from(now).map_err(|_| webpki::Error::BadDerTime)?;
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let current = self
            .0
            .iter()
            .filter(|root| (root.validity.0..=root.validity.1).contains(&now));
        let anchors: Vec<_> = current.map(|root| root.anchor.clone()).collect();
        let rest: Vec<_> = rest
            .iter()
            .map(|der| CertificateDer::from(&**der))
            .collect();
        let leaf = CertificateDer::from(leaf);
        let leaf = EndEntityCert::try_from(&leaf)?;
        let usage = KeyUsage::client_auth();
        leaf.verify_for_usage(&CHAIN, &anchors, &rest, time, usage, None, None)?;
        Ok(())
    }
}

impl Root {
    fn read(der: &[u8], number: usize) -> Result<Self, NodeRootsError> {
        let read =
            AnyCert::parse(der).map_err(|error| NodeRootsError::Certificate { number, error })?;
        if !read.is_ca {
            return Err(NodeRootsError::NotCa { number });
        }
        let der = CertificateDer::from(der);
        let anchor = anchor_from_trusted_cert(&der)
            .map_err(|error| NodeRootsError::Anchor { number, error })?;
        Ok(Self {
            anchor: anchor.to_owned(),
            validity: (read.not_before, read.not_after),
        })
    }
}

/// The only DNS name, in lower case: DNS names are the same in either (RFC 4343).
fn only_dns_name(certificate: &AnyCert<'_>) -> Result<String, NodeCertificateError> {
    // Bounded by MAX_CERTIFICATE_BYTES: each name takes two bytes or more.
    let names = certificate.names().filter_map(|name| match name {
        GeneralName::Dns(name) => Some(name),
        _ => None,
    });
    let names: Vec<&str> = names.collect();
    match names[..] {
        [name] => Ok(name.to_ascii_lowercase()),
        _ => Err(NodeCertificateError::Names { count: names.len() }),
    }
}

impl NodeCertificate {
    /// The machine's name, in lower case: a DNS name as the certificate has it, else unchecked.
    #[must_use]
    pub fn dns_name(&self) -> &str {
        &self.dns_name
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its serial number.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// True if the signature is one of the certificate's key over the message, made as keys of its kind sign.
    #[must_use]
    pub fn proves(&self, message: &[u8], signature: &[u8]) -> bool {
        let der = CertificateDer::from(&*self.der);
        let Ok(certificate) = EndEntityCert::try_from(&der) else {
            return false;
        };
        PROOF.iter().any(|&algorithm| {
            certificate
                .verify_signature(algorithm, message, signature)
                .is_ok()
        })
    }
}
