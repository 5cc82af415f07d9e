//! Leaf certificates (X509-SVID §3.1).

use super::certificate::Certificate;
use super::names::GeneralNames;
use super::{CertificateError, LeafError};
use crate::SpiffeId;

/// A certificate that satisfies the field rules of an X509-SVID leaf.
///
/// Signature, chain and clock are not looked at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Leaf<'a> {
    /// Whose certificate it is; never pathless.
    pub id: SpiffeId<'a>,
    /// The serial number: contents of the INTEGER, at most 20 bytes.
    pub serial: &'a [u8],
    /// First second of validity, in seconds since 1970.
    pub not_before: i64,
    /// Last second of validity, in seconds since 1970.
    pub not_after: i64,
    /// The whole SubjectPublicKeyInfo, in DER.
    pub spki: &'a [u8],
    /// The public key: contents of the bit string in `spki`.
    pub public_key: &'a [u8],
    /// The issuer's Name, in DER.
    pub issuer: &'a [u8],
    /// The subject's Name, in DER; empty in most SVIDs.
    pub subject: &'a [u8],
    names: GeneralNames<'a>,
}

impl<'a> Leaf<'a> {
    /// Reads a certificate and applies the leaf rules of X509-SVID §2 to §4 and §5.2.
    ///
    /// A SPIFFE ID with upper case in scheme or trust domain is refused here, although a reader of
    /// text must fold it: issuers always write lower case, and a name that policy compares byte for
    /// byte must be the very bytes that were signed.
    ///
    /// # Errors
    /// The first rule broken: structure first, then name, then usage.
    pub fn parse(der: &'a [u8]) -> Result<Self, LeafError> {
        let certificate = Certificate::parse(der)?;
        let extensions = &certificate.extensions;
        if let Some(at) = extensions.critical_name_constraints {
            return Err(CertificateError::UnknownCritical { at }.into());
        }
        let names = match &extensions.alt_names {
            Some(san) => san.names.clone(),
            None => GeneralNames::none(),
        };
        let uri = names
            .only_uri()
            .map_err(|count| LeafError::Uris { count })?;
        let id = SpiffeId::parse(uri).map_err(LeafError::Id)?;
        if id.is_pathless() {
            return Err(LeafError::Pathless);
        }
        check_usage(&certificate)?;
        let Certificate {
            serial,
            issuer,
            not_before,
            not_after,
            subject,
            ..
        } = certificate;
        let Certificate {
            spki, public_key, ..
        } = certificate;
        Ok(Self {
            id,
            serial,
            not_before,
            not_after,
            spki,
            public_key,
            issuer,
            subject,
            names,
        })
    }

    /// True from `not_before` to `not_after`, both included; `now` in seconds since 1970.
    pub fn is_current(&self, now: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// All subject alternative names, the SPIFFE ID's URI among them.
    pub fn names(&self) -> GeneralNames<'a> {
        self.names.clone()
    }
}

/// X509-SVID §4.1, §4.3 and §4.4.
fn check_usage(certificate: &Certificate<'_>) -> Result<(), LeafError> {
    let extensions = &certificate.extensions;
    if extensions.is_ca() {
        return Err(LeafError::Ca);
    }
    let key_usage = extensions
        .required_key_usage()
        .map_err(LeafError::KeyUsage)?;
    if key_usage.key_cert_sign() {
        return Err(LeafError::KeyCertSign);
    }
    if key_usage.crl_sign() {
        return Err(LeafError::CrlSign);
    }
    if !key_usage.digital_signature() {
        return Err(LeafError::NoDigitalSignature);
    }
    match &extensions.extended_key_usage {
        Some(usage) if !(usage.server_auth && usage.client_auth) => {
            Err(LeafError::ExtendedKeyUsage {
                server_auth: usage.server_auth,
                client_auth: usage.client_auth,
            })
        }
        _ => Ok(()),
    }
}
