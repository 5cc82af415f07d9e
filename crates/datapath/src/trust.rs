//! Which authorities may sign for which trust domain.

use alloc::vec;
use alloc::vec::Vec;

use rustls_pki_types::{CertificateDer, TrustAnchor};
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
    validity: Vec<Validity>,
}

/// When an authority's certificate is valid, in seconds since 1970, both ends included.
#[derive(Clone, Copy, Debug)]
struct Validity {
    not_before: i64,
    not_after: i64,
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
        let validity = Validity {
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
            return domain.add(anchor, validity);
        }
        let (anchors, validity) = (vec![anchor], vec![validity]);
        self.domains.push(Domain {
            name: trust_domain.to_buf(),
            anchors,
            validity,
        });
        Ok(())
    }

    /// The domain of that name, if it has been given an authority.
    pub(crate) fn domain(&self, trust_domain: TrustDomain<'_>) -> Option<&Domain> {
        self.domains
            .iter()
            .find(|domain| domain.name() == trust_domain)
    }
}

impl Domain {
    fn add(
        &mut self,
        anchor: TrustAnchor<'static>,
        validity: Validity,
    ) -> Result<(), AuthorityError> {
        if self.anchors.len() >= MAX_AUTHORITIES {
            return Err(AuthorityError::TooMany);
        }
        self.anchors.push(anchor);
        self.validity.push(validity);
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
        let same = |known: &&TrustAnchor<'static>| {
            known.subject == anchor.subject
                && known.subject_public_key_info == anchor.subject_public_key_info
        };
        let mut known = self
            .anchors
            .iter()
            .zip(&self.validity)
            .filter(|(known, _)| same(known));
        known.any(|(_, validity)| (validity.not_before..=validity.not_after).contains(&unix))
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
