//! Verification of a peer: X509-SVID rules, path to its own trust domain's authorities, signature,
//! authorisation.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use once_cell::race::OnceBox;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::verify_tls13_signature;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};
use tidelock_spiffe_core::x509::{Leaf, SigningCert};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};

use crate::authorize::{Answer, Authorize, Role};
use crate::peer::{Peer, PeerError};
use crate::provider::SIGNATURES;
use crate::record::{MAX_CHAIN_BYTES, MAX_CHAIN_CERTS};
use crate::trust::{AuthorityDigest, Domain, TrustStore};

/// Verifies the one peer of one connection, and keeps what it found for the engine.
pub(crate) struct PeerVerifier {
    role: Role,
    trust: Arc<TrustStore>,
    authorize: Arc<dyn Authorize>,
    findings: Arc<Findings>,
}

/// What verification found. Each slot is written at most once; rustls' own errors cannot carry our
/// values.
#[derive(Default)]
pub(crate) struct Findings {
    /// Who the chain says the peer is. Not proved until `answer` is there.
    claimed: OnceBox<Peer>,
    /// Why the peer was not believed.
    error: OnceBox<PeerError>,
    /// What [`Authorize`] said of the peer once it was believed.
    answer: OnceBox<Answer>,
    /// A server outside has proved its name.
    external: OnceBox<()>,
}

impl Findings {
    /// The peer, if it has proved who it is.
    pub(crate) fn peer(&self) -> Option<&Peer> {
        self.answer.get().and_then(|_| self.claimed.get())
    }

    /// Has a server outside proved its name?
    pub(crate) fn is_external(&self) -> bool {
        self.external.get().is_some()
    }

    /// Notes that a server outside has proved its name.
    pub(crate) fn external_proved(&self) -> Result<(), Error> {
        self.external.set(Box::new(())).map_err(|_| repeated())
    }

    /// Notes why the peer is not believed: the error for rustls. A second one can only follow a second chain, and the first
    /// already ended the handshake.
    pub(crate) fn refuse(&self, why: PeerError) -> Error {
        let alert = alert_for(&why);
        let _ = self.error.set(Box::new(why));
        Error::InvalidCertificate(alert)
    }

    /// Why the peer was not believed, if it was not.
    pub(crate) fn error(&self) -> Option<&PeerError> {
        self.error.get()
    }

    /// What was answered about the peer, if it was asked.
    pub(crate) fn answer(&self) -> Option<&Answer> {
        self.answer.get()
    }
}

impl PeerVerifier {
    /// A verifier for the peer of a connection in which we are `role`.
    pub(crate) fn new(
        role: Role,
        trust: Arc<TrustStore>,
        authorize: Arc<dyn Authorize>,
        findings: Arc<Findings>,
    ) -> Self {
        Self {
            role,
            trust,
            authorize,
            findings,
        }
    }

    /// Steps before the signature: bounds, leaf rules, path. Remembers the claimed peer or the
    /// error.
    fn check_chain(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        match self.examine(leaf, rest, now) {
            Ok(peer) => self
                .findings
                .claimed
                .set(Box::new(peer))
                .map_err(|_| repeated()),
            Err(why) => Err(self.findings.refuse(why)),
        }
    }

    fn examine(
        &self,
        leaf_der: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Peer, PeerError> {
        check_bounds(leaf_der, rest)?;
        let mut peer = claim(leaf_der)?;
        let claimed = || peer.id.clone();
        let domain = self
            .trust
            .domain(peer.id().trust_domain())
            .ok_or_else(|| PeerError::UnknownTrustDomain { claimed: claimed() })?;
        let authority = self
            .check_path(leaf_der, rest, domain, now)
            .map_err(|why| PeerError::Path {
                claimed: claimed(),
                why,
            })?;
        peer.authority = authority;
        Ok(peer)
    }

    /// RFC 5280 §6, with `domain`'s authorities as the only anchors; gives the one that the path leads to.
    fn check_path(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        domain: &Domain,
        now: UnixTime,
    ) -> Result<AuthorityDigest, webpki::Error> {
        let unix = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let svid_rules = |path: &VerifiedPath<'_>| {
            if !domain.is_current(path.anchor(), unix) {
                return Err(webpki::Error::UnknownIssuer);
            }
            // webpki leaves keyUsage and SPIFFE's rules for signing certificates to us.
            for cert in path.intermediate_certificates() {
                let der = cert.der();
                let cert =
                    SigningCert::parse(&der).map_err(|_| webpki::Error::EndEntityUsedAsCa)?;
                if cert.id.is_some_and(|id| id.trust_domain() != domain.name()) {
                    return Err(webpki::Error::UnknownIssuer);
                }
            }
            Ok(())
        };
        let usage = match self.role {
            Role::Client => KeyUsage::server_auth(),
            Role::Server => KeyUsage::client_auth(),
        };
        let leaf = EndEntityCert::try_from(leaf)?;
        let path = leaf.verify_for_usage(
            SIGNATURES.all,
            domain.anchors(),
            rest,
            now,
            usage,
            None,
            Some(&svid_rules),
        )?;
        domain
            .digest(path.anchor())
            .ok_or(webpki::Error::UnknownIssuer)
    }

    /// The last steps: proof of possession, then the question whether this peer is welcome.
    fn check_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid =
            verify_tls13_signature(message, cert, signed, &SIGNATURES).inspect_err(|_| {
                let _ = self.findings.error.set(Box::new(PeerError::Signature));
            })?;
        let peer = self.findings.claimed.get().ok_or_else(repeated)?;
        let answer = self.authorize.authorize(self.role, peer);
        let denied = matches!(answer, Answer::Deny { .. });
        self.findings
            .answer
            .set(Box::new(answer))
            .map_err(|_| repeated())?;
        if denied {
            // Becomes the alert access_denied.
            return Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            ));
        }
        Ok(valid)
    }
}

/// rustls verifies one chain and one signature per handshake; anything else is a fault that must
/// end it.
fn repeated() -> Error {
    Error::General("peer verified out of order".into())
}

/// Who the leaf says it is, if it keeps the rules of X509-SVIDs. Kept out of its caller, which has
/// the deepest calls of all below it, to spare the stack.
#[inline(never)]
fn claim(certificate: &CertificateDer<'_>) -> Result<Peer, PeerError> {
    let leaf = Leaf::parse(certificate).map_err(PeerError::Leaf)?;
    Ok(Peer {
        id: leaf.id.to_buf(),
        serial: leaf.serial.into(),
        not_after: leaf.not_after,
        certificate_sha256: Sha256::digest(certificate).into(),
        // Known when its path is.
        authority: AuthorityDigest::default(),
    })
}

/// Our own bounds, before anything is parsed.
pub(crate) fn check_bounds(
    leaf: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
) -> Result<(), PeerError> {
    let count = rest.len().saturating_add(1);
    if count > MAX_CHAIN_CERTS {
        return Err(PeerError::TooManyCertificates { count });
    }
    let len = rest
        .iter()
        .fold(leaf.len(), |len, cert| len.saturating_add(cert.len()));
    if len > MAX_CHAIN_BYTES {
        return Err(PeerError::ChainTooLong { len });
    }
    Ok(())
}

/// The rustls error whose alert tells the peer as much as it should know (RFC 8446 §6.2).
fn alert_for(why: &PeerError) -> CertificateError {
    use webpki::Error as Path;
    match why {
        PeerError::UnknownTrustDomain { .. } => CertificateError::UnknownIssuer,
        PeerError::Signature => CertificateError::BadSignature,
        PeerError::Path { why, .. } | PeerError::External { why, .. } => match why {
            Path::UnknownIssuer => CertificateError::UnknownIssuer,
            Path::CertExpired { .. } => CertificateError::Expired,
            Path::CertNotValidYet { .. } => CertificateError::NotValidYet,
            _ => CertificateError::BadEncoding,
        },
        _ => CertificateError::BadEncoding,
    }
}

impl core::fmt::Debug for PeerVerifier {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PeerVerifier")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check_chain(end_entity, intermediates, now)?;
        Ok(ServerCertVerified::assertion())
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
        self.check_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SIGNATURES.supported_schemes()
    }
}

impl ClientCertVerifier for PeerVerifier {
    /// None: hints would name our authorities, and there is one kind of certificate to send.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check_chain(end_entity, intermediates, now)?;
        Ok(ClientCertVerified::assertion())
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
        self.check_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SIGNATURES.supported_schemes()
    }
}
