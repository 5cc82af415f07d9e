//! Why a certificate was refused.

use core::fmt;

use super::{MAX_CERTIFICATE_BYTES, MAX_EXTENSIONS, MAX_SERIAL_BYTES};
use crate::SpiffeIdError;
use crate::der::DerError;

/// Why bytes are not a certificate that any rule can be applied to (RFC 5280 §4). `at` counts bytes
/// from the start of the certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CertificateError {
    /// Longer than [`MAX_CERTIFICATE_BYTES`].
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Not the DER of a certificate.
    Der(DerError),
    /// Not version 3, which extensions need (RFC 5280 §4.1.2.1).
    Version,
    /// A serial number longer than [`MAX_SERIAL_BYTES`].
    SerialTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The signed and the outer signature algorithm differ (RFC 5280 §4.1.1.2).
    SignatureAlgorithms,
    /// The certificate ends before it begins, so it is never valid.
    Validity {
        /// First second of validity, in seconds since 1970.
        not_before: i64,
        /// Last second of validity, in seconds since 1970.
        not_after: i64,
    },
    /// No extensions at all.
    NoExtensions,
    /// More extensions than [`MAX_EXTENSIONS`].
    TooManyExtensions,
    /// An extension that is there twice (RFC 5280 §4.2).
    DuplicateExtension {
        /// Where the second begins.
        at: usize,
    },
    /// An extension marked critical that has no meaning here (RFC 5280 §4.2).
    UnknownCritical {
        /// Where it begins.
        at: usize,
    },
    /// A subjectAltName without any name (RFC 5280 §4.2.1.6).
    NoNames {
        /// Where the list begins.
        at: usize,
    },
    /// A subject alternative name of no known kind, or not in ASCII.
    Name {
        /// Where it begins.
        at: usize,
    },
    /// The subject is empty and the subjectAltName missing or not critical (RFC 5280 §4.1.2.6).
    SanNotCritical,
}

/// Why keyUsage was refused (X509-SVID §4.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyUsageError {
    /// The extension is missing.
    Missing,
    /// The extension is not marked critical.
    NotCritical,
}

/// Why a certificate is no X509-SVID leaf.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum LeafError {
    /// Not a certificate.
    Certificate(CertificateError),
    /// Not exactly one URI SAN (X509-SVID §2).
    Uris {
        /// How many there are.
        count: usize,
    },
    /// The URI SAN is not a SPIFFE ID.
    Id(SpiffeIdError),
    /// The SPIFFE ID has no path (X509-SVID §3.1).
    Pathless,
    /// basicConstraints says CA (X509-SVID §4.1).
    Ca,
    /// keyUsage is missing or not critical.
    KeyUsage(KeyUsageError),
    /// keyUsage has keyCertSign (X509-SVID §4.3).
    KeyCertSign,
    /// keyUsage has cRLSign (X509-SVID §4.3).
    CrlSign,
    /// keyUsage lacks digitalSignature (X509-SVID §4.3).
    NoDigitalSignature,
    /// extKeyUsage is there but lacks one of the two purposes (X509-SVID §4.4).
    ExtendedKeyUsage {
        /// It has id-kp-serverAuth.
        server_auth: bool,
        /// It has id-kp-clientAuth.
        client_auth: bool,
    },
}

/// Why a certificate is no X509-SVID signing certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SigningCertError {
    /// Not a certificate.
    Certificate(CertificateError),
    /// basicConstraints does not say CA (X509-SVID §4.1).
    NotCa,
    /// keyUsage is missing or not critical.
    KeyUsage(KeyUsageError),
    /// keyUsage lacks keyCertSign (X509-SVID §4.3).
    NoKeyCertSign,
    /// More than one URI SAN (X509-SVID §2).
    Uris {
        /// How many there are.
        count: usize,
    },
    /// The URI SAN is not a SPIFFE ID.
    Id(SpiffeIdError),
    /// The SPIFFE ID has a path (X509-SVID §3.2).
    Path,
}

impl From<DerError> for CertificateError {
    fn from(error: DerError) -> Self {
        Self::Der(error)
    }
}

impl From<CertificateError> for LeafError {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(error)
    }
}

impl From<CertificateError> for SigningCertError {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(error)
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::TooLong { len } => {
                write!(
                    f,
                    "certificate has {len} bytes, more than {MAX_CERTIFICATE_BYTES}"
                )
            }
            Self::Der(error) => write!(f, "certificate: {error}"),
            Self::Version => f.write_str("certificate is not version 3"),
            Self::SerialTooLong { len } => {
                write!(
                    f,
                    "certificate serial has {len} bytes, more than {MAX_SERIAL_BYTES}"
                )
            }
            Self::SignatureAlgorithms => {
                f.write_str("certificate names two different signature algorithms")
            }
            Self::Validity {
                not_before,
                not_after,
            } => {
                write!(
                    f,
                    "certificate is valid from {not_before} to the earlier {not_after}"
                )
            }
            Self::NoExtensions => f.write_str("certificate has no extensions"),
            Self::TooManyExtensions => {
                write!(f, "certificate has more than {MAX_EXTENSIONS} extensions")
            }
            Self::DuplicateExtension { at } => {
                write!(f, "certificate repeats an extension at byte {at}")
            }
            Self::UnknownCritical { at } => {
                write!(
                    f,
                    "certificate has an unknown critical extension at byte {at}"
                )
            }
            Self::NoNames { at } => {
                write!(
                    f,
                    "certificate has an empty list of alternative names at byte {at}"
                )
            }
            Self::Name { at } => {
                write!(
                    f,
                    "certificate has a malformed alternative name at byte {at}"
                )
            }
            Self::SanNotCritical => f.write_str(
                "certificate has an empty subject and no critical subject alternative name",
            ),
        }
    }
}

impl fmt::Display for KeyUsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "keyUsage is missing",
            Self::NotCritical => "keyUsage is not critical",
        })
    }
}

impl fmt::Display for LeafError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Certificate(error) => error.fmt(f),
            Self::Uris { count } => write!(f, "leaf has {count} URI names instead of one"),
            Self::Id(error) => write!(f, "leaf: {error}"),
            Self::Pathless => f.write_str("leaf has a SPIFFE ID without a path"),
            Self::Ca => f.write_str("leaf is a certificate authority"),
            Self::KeyUsage(error) => write!(f, "leaf: {error}"),
            Self::KeyCertSign => f.write_str("leaf may sign certificates (keyCertSign)"),
            Self::CrlSign => f.write_str("leaf may sign revocation lists (cRLSign)"),
            Self::NoDigitalSignature => f.write_str("leaf may not sign (digitalSignature)"),
            Self::ExtendedKeyUsage {
                server_auth,
                client_auth,
            } => write!(
                f,
                "leaf limits its key: serverAuth {server_auth}, clientAuth {client_auth}"
            ),
        }
    }
}

impl fmt::Display for SigningCertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Certificate(error) => error.fmt(f),
            Self::NotCa => f.write_str("signing certificate is no certificate authority"),
            Self::KeyUsage(error) => write!(f, "signing certificate: {error}"),
            Self::NoKeyCertSign => f.write_str("signing certificate lacks keyCertSign"),
            Self::Uris { count } => write!(f, "signing certificate has {count} URI names"),
            Self::Id(error) => write!(f, "signing certificate: {error}"),
            Self::Path => f.write_str("signing certificate has a SPIFFE ID with a path"),
        }
    }
}

impl core::error::Error for CertificateError {}
impl core::error::Error for KeyUsageError {}
impl core::error::Error for LeafError {}
impl core::error::Error for SigningCertError {}
