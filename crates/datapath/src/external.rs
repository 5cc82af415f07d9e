//! Servers outside, which know nothing of SPIFFE: held to a DNS name by authorities that were configured for them.

use alloc::sync::Arc;
use alloc::vec::Vec;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::verify_tls13_signature;
use rustls::{DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme};
use rustls_pki_types::{CertificateDer, DnsName, ServerName, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::peer::PeerError;
use crate::provider::EXTERNAL_SIGNATURES;
use crate::record::MAX_CHAIN_BYTES;
use crate::verifier::{Findings, check_bounds};

/// Most authorities in one list: more than any list of public ones has.
pub const MAX_ROOTS: usize = 256;

/// Who may vouch for servers outside. One list may serve many of them.
#[derive(Debug, Default)]
pub struct Roots(Vec<TrustAnchor<'static>>);

impl Roots {
    /// Nobody.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Lets the authority whose certificate is `der` vouch. Its age does not matter (RFC 5280 §6.1.1 d).
    ///
    /// # Errors
    /// [`ExternalError`] says why it may not; nothing has changed then.
    pub fn add(&mut self, der: &[u8]) -> Result<(), ExternalError> {
        if self.0.len() >= MAX_ROOTS {
            return Err(ExternalError::TooMany);
        }
        if der.len() > MAX_CHAIN_BYTES {
            return Err(ExternalError::TooLong { len: der.len() });
        }
        let der = CertificateDer::from(der);
        let root = anchor_from_trusted_cert(&der).map_err(ExternalError::NotAnAnchor)?;
        self.0.push(root.to_owned());
        Ok(())
    }
}

/// Who a server outside has to be, and who may vouch for it.
#[derive(Debug)]
pub struct External {
    name: DnsName<'static>,
    roots: Arc<Roots>,
}

impl External {
    /// A server of this DNS name, for which these may vouch.
    ///
    /// # Errors
    /// It is no DNS name (RFC 1034 §3.5).
    pub fn new(name: &str, roots: Arc<Roots>) -> Result<Self, ExternalError> {
        let name = DnsName::try_from(name)
            .map_err(|_| ExternalError::NotAName)?
            .to_owned();
        Ok(Self { name, roots })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_ref()
    }

    /// Its name, as SNI says it (RFC 6066 §3).
    pub(crate) fn server_name(&self) -> ServerName<'static> {
        ServerName::DnsName(self.name.clone())
    }

    /// RFC 5280 §6, and RFC 6125 §6.4 for the name.
    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), webpki::Error> {
        let leaf = EndEntityCert::try_from(leaf)?;
        leaf.verify_for_usage(
            EXTERNAL_SIGNATURES.all,
            &self.roots.0,
            rest,
            now,
            KeyUsage::server_auth(),
            None,
            None,
        )?;
        leaf.verify_is_valid_for_subject_name(&self.server_name())
    }
}

/// Why something cannot be said of a server outside.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ExternalError {
    /// The name is no DNS name.
    NotAName,
    /// A certificate is longer than [`MAX_CHAIN_BYTES`].
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A certificate cannot be a trust anchor.
    NotAnAnchor(webpki::Error),
    /// It has [`MAX_ROOTS`] already.
    TooMany,
}

impl core::fmt::Display for ExternalError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotAName => f.write_str("not a DNS name"),
            Self::TooLong { len } => write!(
                f,
                "certificate of {len} bytes, at most {MAX_CHAIN_BYTES} allowed"
            ),
            Self::NotAnAnchor(why) => write!(f, "not usable as an authority: {why}"),
            Self::TooMany => write!(f, "more than {MAX_ROOTS} authorities"),
        }
    }
}

impl core::error::Error for ExternalError {}

/// Verifies the server of one connection.
pub(crate) struct ExternalVerifier {
    pub(crate) external: Arc<External>,
    pub(crate) findings: Arc<Findings>,
}

impl ServerCertVerifier for ExternalVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let checked = check_bounds(end_entity, intermediates).and_then(|()| {
            let checked = self.external.check(end_entity, intermediates, now);
            checked.map_err(|why| PeerError::External {
                name: self.external.name.as_ref().into(),
                why,
            })
        });
        match checked {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(why) => Err(self.findings.refuse(why)),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = verify_tls13_signature(message, cert, signed, &EXTERNAL_SIGNATURES)
            .map_err(|_| self.findings.refuse(PeerError::Signature))?;
        self.findings.external_proved()?;
        Ok(valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        EXTERNAL_SIGNATURES.supported_schemes()
    }
}

impl core::fmt::Debug for ExternalVerifier {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("ExternalVerifier")
            .field(&self.external.name)
            .finish()
    }
}
