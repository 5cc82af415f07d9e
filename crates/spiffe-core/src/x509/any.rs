//! Certificates that need not be SVIDs, such as those that machines were given elsewhere (RFC 5280).

use super::CertificateError;
use super::certificate::Certificate;
use super::names::GeneralNames;

/// What a certificate of whatever kind says, read with the same bounds as an SVID's and without any rule of SPIFFE.
///
/// Signature, chain and clock are not looked at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AnyCert<'a> {
    /// The serial number: contents of the INTEGER, at most 20 bytes.
    pub serial: &'a [u8],
    /// First second of validity, in seconds since 1970.
    pub not_before: i64,
    /// Last second of validity, in seconds since 1970.
    pub not_after: i64,
    /// The public key: contents of the bit string.
    pub public_key: &'a [u8],
    /// The issuer's Name, in DER.
    pub issuer: &'a [u8],
    /// The subject's Name, in DER.
    pub subject: &'a [u8],
    /// Its key may sign certificates: basicConstraints says CA.
    pub is_ca: bool,
    /// keyUsage is there and has digitalSignature (RFC 5280 §4.2.1.3).
    pub digital_signature: bool,
    names: GeneralNames<'a>,
}

impl<'a> AnyCert<'a> {
    /// Reads a certificate of version 3.
    ///
    /// # Errors
    /// The first thing that is malformed, out of bounds, or critical and not known here.
    pub fn parse(der: &'a [u8]) -> Result<Self, CertificateError> {
        let certificate = Certificate::parse(der)?;
        let extensions = &certificate.extensions;
        Ok(Self {
            serial: certificate.serial,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            public_key: certificate.public_key,
            issuer: certificate.issuer,
            subject: certificate.subject,
            is_ca: extensions.is_ca(),
            digital_signature: extensions
                .key_usage
                .is_some_and(|usage| usage.digital_signature()),
            names: match &extensions.alt_names {
                Some(san) => san.names.clone(),
                None => GeneralNames::none(),
            },
        })
    }

    /// True from `not_before` to `not_after`, both included; `now` in seconds since 1970.
    pub fn is_current(&self, now: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// All subject alternative names.
    pub fn names(&self) -> GeneralNames<'a> {
        self.names.clone()
    }
}
