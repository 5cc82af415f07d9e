//! An authority: a key that signs for one trust domain, and what it issues.

use std::fmt;

use rcgen::Issuer;
use rustls_pki_types::CertificateDer;
use tidelock_spiffe_core::bundle::{Bundle, BundleError};
use tidelock_spiffe_core::x509::SigningCert;
use tidelock_spiffe_core::{SpiffeIdBuf, TrustDomain, TrustDomainBuf};

use crate::csr::Signed;
use crate::reread::{self, RereadError};
use crate::signer::{Adaptor, SignError, SubjectKey, Unsigned};
use crate::template::{BACKDATE_SECS, MAX_NOT_AFTER, Template};
use crate::{Csr, Entry, MIN_SVID_TTL_SECS, Serial, Signer};

/// A signing certificate that is its own root, and the key for it.
pub struct Authority<S> {
    key: S,
    certificate: Vec<u8>,
    /// What it says as an issuer, read once. It writes what is to be signed; the key signs it.
    issuer: Issuer<'static, Unsigned>,
    trust_domain: TrustDomainBuf,
    not_before: i64,
    not_after: i64,
}

/// An X509-SVID, signed and re-read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Svid {
    /// Whose it is.
    pub id: SpiffeIdBuf,
    /// What its owner tells it from others by, if the entry says so.
    pub hint: Option<Box<str>>,
    /// Certificates in DER, leaf first, without the authority of the bundle.
    pub chain: Vec<Vec<u8>>,
    /// The leaf's serial number.
    pub serial: Serial,
    /// First second of validity, in seconds since 1970.
    pub not_before: i64,
    /// Last second of validity, in seconds since 1970.
    pub not_after: i64,
}

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError<E> {
    /// An end that is not after `now`, or beyond what a certificate can name.
    #[error("authority cannot last from {now} to {not_after}")]
    NotAfter {
        /// The time now, in seconds since 1970.
        now: i64,
        /// The end asked for, in seconds since 1970.
        not_after: i64,
    },
    /// Nothing was signed.
    #[error(transparent)]
    Sign(#[from] SignError<E>),
    /// The certificate is not this key's, or not a signing certificate.
    #[error("the authority's certificate was refused")]
    Reread(#[from] RereadError),
    /// The certificate carries no trust domain's ID.
    #[error("the authority's certificate has no SPIFFE ID")]
    NoId,
}

/// Why no SVID was released.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError<E> {
    /// The entry's ID belongs to another trust domain than the authority.
    #[error("`{id}` is not of trust domain `{trust_domain}`")]
    OtherTrustDomain {
        /// The entry's ID.
        id: SpiffeIdBuf,
        /// The authority's trust domain.
        trust_domain: TrustDomainBuf,
    },
    /// The request is for the authority's own key.
    #[error("the request is for the authority's own key")]
    AuthorityKey,
    /// The authority is not yet or no longer valid, or for less than the shortest SVID's life.
    #[error("authority lasts from {not_before} to {not_after}, too short at {now}")]
    AuthorityNotCurrent {
        /// The time now, in seconds since 1970.
        now: i64,
        /// The authority's first second, in seconds since 1970.
        not_before: i64,
        /// The authority's last second, in seconds since 1970.
        not_after: i64,
    },
    /// Nothing was signed.
    #[error(transparent)]
    Sign(#[from] SignError<E>),
    /// What was signed is not what was to be signed.
    #[error("the signed certificate was not released")]
    Reread(#[from] RereadError),
}

impl<S: Signer> Authority<S> {
    /// Makes an authority with a certificate signed by its own key: CA, keyCertSign, and the pathless
    /// ID of the trust domain (X509-SVID §3.2). It begins [`BACKDATE_SECS`] before `now` and ends
    /// with `not_after`; both are in seconds since 1970.
    ///
    /// # Errors
    /// `NotAfter`; `Sign`; `Reread`, if the key is not what it claims to be.
    pub fn self_signed(
        key: S,
        trust_domain: &TrustDomainBuf,
        now: i64,
        not_after: i64,
        serial: Serial,
    ) -> Result<Self, AuthorityError<S::Error>> {
        if now < 0 || not_after <= now || not_after > MAX_NOT_AFTER {
            return Err(AuthorityError::NotAfter { now, not_after });
        }
        let not_before = now.saturating_sub(BACKDATE_SECS).max(0);
        let template = Template::authority(trust_domain, serial, not_before, not_after);
        let certificate = Adaptor::run(&key, |key| template.authority_params()?.self_signed(key))?
            .der()
            .to_vec();
        reread::authority(&certificate, &template, &key)?;
        Ok(Self {
            issuer: issuer(&certificate, &key)?,
            key,
            certificate,
            trust_domain: trust_domain.clone(),
            not_before,
            not_after,
        })
    }

    /// Takes up an authority made before: its key, and its certificate in DER.
    ///
    /// # Errors
    /// `Reread` for a certificate that is no signing certificate, not this key's or not signed by it;
    /// `NoId`; `Sign` for one with a subject that cannot be written as an issuer. Whether it is still valid is asked with each SVID.
    pub fn open(key: S, certificate: Vec<u8>) -> Result<Self, AuthorityError<S::Error>> {
        let SigningCert {
            id,
            not_before,
            not_after,
            ..
        } = reread::self_signed(&certificate, &key)?;
        let trust_domain = id.ok_or(AuthorityError::NoId)?.trust_domain().to_buf();
        Ok(Self {
            issuer: issuer(&certificate, &key)?,
            key,
            certificate,
            trust_domain,
            not_before,
            not_after,
        })
    }

    /// Issues an SVID: the names and lifetime of `entry`, the key of `csr`.
    ///
    /// It begins [`BACKDATE_SECS`] before `now` and ends `entry`'s ttl after it (both in seconds
    /// since 1970), but never begins before the authority or outlives it.
    ///
    /// # Errors
    /// See [`IssueError`]. Nothing that failed its re-reading is returned.
    pub fn issue(
        &self,
        entry: &Entry,
        csr: &Csr<'_>,
        now: i64,
        serial: Serial,
    ) -> Result<Svid, IssueError<S::Error>> {
        if entry.id().trust_domain() != self.trust_domain() {
            let (id, trust_domain) = (entry.id().clone(), self.trust_domain.clone());
            return Err(IssueError::OtherTrustDomain { id, trust_domain });
        }
        if csr.public_key() == self.key.public_key() {
            return Err(IssueError::AuthorityKey);
        }
        let (not_before, not_after) = self.validity(entry, now)?;
        let template = Template::leaf(entry, serial, not_before, not_after);
        let leaf = self.sign(&template, csr)?;
        let authority = (&*self.certificate, self.key.algorithm());
        reread::leaf(&leaf, &template, csr.spki(), authority, now)?;
        Ok(Svid {
            id: entry.id().clone(),
            hint: entry.hint().map(Box::from),
            chain: vec![leaf],
            serial,
            not_before,
            not_after,
        })
    }

    fn sign(&self, template: &Template, csr: &Csr<'_>) -> Result<Vec<u8>, SignError<S::Error>> {
        let unsigned = template
            .leaf_params()
            .and_then(|params| params.signed_by(&SubjectKey(csr), &self.issuer))
            .map_err(SignError::Encode)?;
        let unsigned = Signed::parse(unsigned.der())
            .map_err(|_| SignError::Encode(rcgen::Error::CouldNotParseCertificate))?;
        let signature = self.key.sign(unsigned.message).map_err(SignError::Signer)?;
        Ok(unsigned.with_signature(&signature))
    }

    fn validity(&self, entry: &Entry, now: i64) -> Result<(i64, i64), IssueError<S::Error>> {
        let ends = |secs: u32| now.saturating_add(i64::from(secs));
        if now < self.not_before || ends(MIN_SVID_TTL_SECS) > self.not_after {
            let (not_before, not_after) = (self.not_before, self.not_after);
            return Err(IssueError::AuthorityNotCurrent {
                now,
                not_before,
                not_after,
            });
        }
        let not_before = now.saturating_sub(BACKDATE_SECS).max(self.not_before);
        Ok((not_before, ends(entry.ttl().as_secs()).min(self.not_after)))
    }
}

impl<S> Authority<S> {
    pub(crate) fn key(&self) -> &S {
        &self.key
    }

    /// The trust domain it signs for.
    pub fn trust_domain(&self) -> TrustDomain<'_> {
        self.trust_domain.as_trust_domain()
    }

    /// Its own certificate, in DER: an authority of the trust domain's bundle.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Its last second of validity, in seconds since 1970.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// A bundle with this authority alone.
    ///
    /// # Errors
    /// None for an authority that exists; passed on so that nothing here can panic.
    pub fn bundle(&self) -> Result<Bundle, BundleError> {
        let mut bundle = Bundle::new(self.trust_domain.clone());
        bundle.push(self.certificate.clone())?;
        Ok(bundle)
    }
}

/// Reads an authority's certificate as that of an issuer.
fn issuer<S: Signer>(
    certificate: &[u8],
    key: &S,
) -> Result<Issuer<'static, Unsigned>, SignError<S::Error>> {
    let certificate = CertificateDer::from(certificate);
    Issuer::from_ca_cert_der(&certificate, Unsigned::of(key)).map_err(SignError::Encode)
}

/// Shows everything but the key.
impl<S> fmt::Debug for Authority<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("trust_domain", &self.trust_domain)
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}
