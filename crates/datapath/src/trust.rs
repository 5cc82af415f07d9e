//! Which authorities may sign for which trust domain.

use alloc::vec;
use alloc::vec::Vec;

use rustls_pki_types::{CertificateDer, TrustAnchor};
use sha2::{Digest, Sha256};
use tidelock_spiffe_core::x509::{SigningCert, SigningCertError};
use tidelock_spiffe_core::{TrustDomain, TrustDomainBuf};
use webpki::anchor_from_trusted_cert;

use crate::record::MAX_CHAIN_BYTES;

/// Most authorities of one trust domain: a few overlapping rotations.
pub const MAX_AUTHORITIES: usize = 16;

/// The X.509 authorities of every trust domain we know. Domains are never merged: an SVID is
/// checked against the authorities of its own trust domain and no others (SPIFFE X509-SVID §5).
#[derive(Debug, Default)]
pub struct TrustStore {
    domains: Vec<Domain>,
}

/// One trust domain's authorities; the two lists run in parallel, because webpki takes anchors as a
/// slice.
#[derive(Debug)]
pub(crate) struct Domain {
    name: TrustDomainBuf,
    anchors: Vec<TrustAnchor<'static>>,
    known: Vec<Known>,
}

/// What webpki does not keep of an authority's certificate.
#[derive(Clone, Copy, Debug)]
struct Known {
    digest: AuthorityDigest,
    /// When it is valid, in seconds since 1970, both ends included.
    not_before: i64,
    not_after: i64,
}

/// An authority, as what it signed remembers it: the beginning of the SHA-256 of its Name in DER. Within a trust domain no two
/// authorities have the same Name.
pub type AuthorityDigest = [u8; AUTHORITY_DIGEST_BYTES];

/// Bytes of an [`AuthorityDigest`]: nobody can make two Names with the same.
pub const AUTHORITY_DIGEST_BYTES: usize = 16;

/// The digest of a Name in DER.
pub(crate) fn authority_digest(name: &[u8]) -> AuthorityDigest {
    let full: [u8; 32] = Sha256::digest(name).into();
    let mut digest = [0; AUTHORITY_DIGEST_BYTES];
    for (to, from) in digest.iter_mut().zip(full) {
        *to = from;
    }
    digest
}

impl TrustStore {
    /// A store that trusts nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the authority whose certificate is `der` sign for `trust_domain`.
    ///
    /// # Errors
    /// [`AuthorityError`] says why it may not; the store is unchanged then.
    pub fn add(&mut self, trust_domain: TrustDomain<'_>, der: &[u8]) -> Result<(), AuthorityError> {
        if der.len() > MAX_CHAIN_BYTES {
            return Err(AuthorityError::TooLong { len: der.len() });
        }
        let cert = SigningCert::parse(der).map_err(AuthorityError::NotSigning)?;
        if cert.id.is_some_and(|id| id.trust_domain() != trust_domain) {
            return Err(AuthorityError::OtherDomain);
        }
        let known = Known {
            digest: authority_digest(cert.subject),
            not_before: cert.not_before,
            not_after: cert.not_after,
        };
        let der = CertificateDer::from(der);
        let anchor = anchor_from_trusted_cert(&der)
            .map_err(AuthorityError::NotAnAnchor)?
            .to_owned();
        if let Some(domain) = self
            .domains
            .iter_mut()
            .find(|domain| domain.name() == trust_domain)
        {
            return domain.add(anchor, known);
        }
        let (anchors, known) = (vec![anchor], vec![known]);
        self.domains.push(Domain {
            name: trust_domain.to_buf(),
            anchors,
            known,
        });
        Ok(())
    }

    /// Is the authority still one of those of the trust domain that this SPIFFE ID is in? It neither allocates nor panics, and takes
    /// time by how many authorities there are.
    #[must_use]
    pub fn vouches(&self, authority: &AuthorityDigest, spiffe_id: &str) -> bool {
        let is_of = |domain: &Domain| {
            let path = spiffe_id.strip_prefix("spiffe://");
            let path = path.and_then(|rest| rest.strip_prefix(domain.name.as_str()));
            path.is_some_and(|path| path.is_empty() || path.starts_with('/'))
        };
        let mut domains = self.domains.iter();
        domains.any(|domain| {
            is_of(domain) && domain.known.iter().any(|known| known.digest == *authority)
        })
    }

    /// The domain of that name, if it has been given an authority.
    pub(crate) fn domain(&self, trust_domain: TrustDomain<'_>) -> Option<&Domain> {
        self.domains
            .iter()
            .find(|domain| domain.name() == trust_domain)
    }
}

impl Domain {
    fn add(&mut self, anchor: TrustAnchor<'static>, known: Known) -> Result<(), AuthorityError> {
        if self.anchors.len() >= MAX_AUTHORITIES {
            return Err(AuthorityError::TooMany);
        }
        self.anchors.push(anchor);
        self.known.push(known);
        Ok(())
    }

    /// Its name.
    pub(crate) fn name(&self) -> TrustDomain<'_> {
        self.name.as_trust_domain()
    }

    /// The authorities, for path validation.
    pub(crate) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// Is `anchor`, one of [`Self::anchors`], valid at `unix`? RFC 5280 leaves the age of anchors
    /// to us: we hold them to their dates.
    pub(crate) fn is_current(&self, anchor: &TrustAnchor<'_>, unix: i64) -> bool {
        let mut known = self.known(anchor);
        known.any(|known| (known.not_before..=known.not_after).contains(&unix))
    }

    /// How `anchor`, one of [`Self::anchors`], is remembered.
    pub(crate) fn digest(&self, anchor: &TrustAnchor<'_>) -> Option<AuthorityDigest> {
        self.known(anchor).next().map(|known| known.digest)
    }

    fn known(&self, anchor: &TrustAnchor<'_>) -> impl Iterator<Item = &Known> {
        let all = self.anchors.iter().zip(&self.known);
        let same = all.filter(|(known, _)| {
            known.subject == anchor.subject
                && known.subject_public_key_info == anchor.subject_public_key_info
        });
        same.map(|(_, known)| known)
    }
}

/// Why a certificate was refused as an authority.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AuthorityError {
    /// Longer than [`MAX_CHAIN_BYTES`].
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// It breaks a rule of signing certificates.
    NotSigning(SigningCertError),
    /// It names another trust domain.
    OtherDomain,
    /// It cannot be a trust anchor.
    NotAnAnchor(webpki::Error),
    /// The trust domain has [`MAX_AUTHORITIES`] already.
    TooMany,
}

impl core::fmt::Display for AuthorityError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooLong { len } => write!(
                f,
                "certificate of {len} bytes, at most {MAX_CHAIN_BYTES} allowed"
            ),
            Self::NotSigning(why) => write!(f, "{why}"),
            Self::OtherDomain => f.write_str("it names another trust domain"),
            Self::NotAnAnchor(why) => write!(f, "not usable as an authority: {why}"),
            Self::TooMany => write!(f, "more than {MAX_AUTHORITIES} authorities"),
        }
    }
}

impl core::error::Error for AuthorityError {}
