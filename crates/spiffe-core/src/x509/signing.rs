//! Signing certificates (X509-SVID §3.2): the anchors of a bundle.

use super::SigningCertError;
use super::certificate::Certificate;
use crate::SpiffeId;

/// A certificate that satisfies the field rules of an X509-SVID signing certificate.
///
/// It is validation material only and never names a peer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SigningCert<'a> {
    /// The trust domain's ID, if the certificate has one; always pathless.
    pub id: Option<SpiffeId<'a>>,
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
    /// The subject's Name, in DER.
    pub subject: &'a [u8],
    /// pathLenConstraint as its INTEGER's contents, if set.
    pub path_len: Option<&'a [u8]>,
}

impl<'a> SigningCert<'a> {
    /// Reads a certificate and applies the rules of X509-SVID §3.2, §4.1 and §4.3.
    ///
    /// # Errors
    /// The first rule broken: structure first, then usage, then name.
    pub fn parse(der: &'a [u8]) -> Result<Self, SigningCertError> {
        let certificate = Certificate::parse(der)?;
        let extensions = &certificate.extensions;
        if !extensions.is_ca() {
            return Err(SigningCertError::NotCa);
        }
        let key_usage = extensions
            .required_key_usage()
            .map_err(SigningCertError::KeyUsage)?;
        if !key_usage.key_cert_sign() {
            return Err(SigningCertError::NoKeyCertSign);
        }
        let id = pathless_id(&certificate)?;
        let path_len = extensions
            .basic_constraints
            .and_then(|constraints| constraints.path_len);
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
            path_len,
        })
    }

    /// True from `not_before` to `not_after`, both included; `now` in seconds since 1970.
    pub fn is_current(&self, now: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

fn pathless_id<'a>(
    certificate: &Certificate<'a>,
) -> Result<Option<SpiffeId<'a>>, SigningCertError> {
    let Some(san) = &certificate.extensions.alt_names else {
        return Ok(None);
    };
    let uri = match san.names.only_uri() {
        Ok(uri) => uri,
        Err(0) => return Ok(None),
        Err(count) => return Err(SigningCertError::Uris { count }),
    };
    let id = SpiffeId::parse(uri).map_err(SigningCertError::Id)?;
    if id.is_pathless() {
        Ok(Some(id))
    } else {
        Err(SigningCertError::Path)
    }
}
