//! The field rules of X509-SVID: what a leaf and a signing certificate must say.
//!
//! [`Leaf::parse`] and [`SigningCert::parse`] read a DER certificate and refuse it unless it keeps
//! the rules. Neither looks at the signature, the chain or the clock: that is path validation
//! (RFC 5280 §6), done against one trust domain's bundle before or after.

mod any;
mod certificate;
mod error;
mod extensions;
mod leaf;
mod names;
mod signing;

pub use any::AnyCert;
pub use error::{CertificateError, KeyUsageError, LeafError, SigningCertError};
pub use leaf::Leaf;
pub use names::{GeneralName, GeneralNames};
pub use signing::SigningCert;

/// Largest certificate read, in bytes. Ours: a 2048-byte SPIFFE ID, an RSA-4096 key and signature
/// and many more names fit, and a TLS handshake message of rustls (64 KiB) holds several.
pub const MAX_CERTIFICATE_BYTES: usize = 16_384;

/// Most extensions read in a certificate. Ours: RFC 5280 §4.2 defines seventeen.
pub const MAX_EXTENSIONS: usize = 32;

/// Longest serial number, in bytes of its INTEGER (RFC 5280 §4.1.2.2).
pub const MAX_SERIAL_BYTES: usize = 20;
