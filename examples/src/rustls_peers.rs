//! Mutual TLS of an ordinary program with peers that it names by SPIFFE ID, where no kernel does it.
//!
//! [`Peers`] is the part to copy, with `verify_svid`: a verifier for either end of a `rustls` connection that believes a trust domain's
//! bundle and accepts the IDs it was given. Host names play no part.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rcgen::KeyPair;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, DistinguishedName,
    Error, OtherError, PeerIncompatible, ServerConfig, ServerConnection, SignatureScheme,
    StreamOwned,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use tidelock_spiffe_core::{BundleSet, SpiffeIdBuf, TrustDomainBuf};

use crate::issue::{Failure, Issuer, entry};
use crate::verify_svid::{Peer, Refused, SvidVerifier, unix_now};

/// Whom a program talks to.
#[derive(Debug)]
pub struct Peers {
    verifier: SvidVerifier,
    accepted: Vec<SpiffeIdBuf>,
    provider: Arc<CryptoProvider>,
}

/// A certificate chain, leaf first, and its key.
#[derive(Debug)]
pub struct Credentials {
    /// The chain.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key.
    pub key: PrivateKeyDer<'static>,
}

/// Why a peer is not talked to; what `rustls` reports holds it.
#[derive(Debug, thiserror::Error)]
pub enum PeerRefused {
    /// It did not prove who it is.
    #[error(transparent)]
    Unproved(#[from] Refused),
    /// It is none of those that are accepted.
    #[error("`{id}` is none of the peers that are accepted")]
    NotAccepted {
        /// Who it is.
        id: SpiffeIdBuf,
    },
}

impl Peers {
    /// Accepts these IDs and no others. Bundles change: make another, and configurations of it, when one does.
    #[must_use]
    pub fn new(bundles: BundleSet, accepted: Vec<SpiffeIdBuf>) -> Arc<Self> {
        Arc::new(Self {
            verifier: SvidVerifier::new(bundles),
            accepted,
            provider: Arc::new(ring::default_provider()),
        })
    }

    /// How to be a client of such peers.
    ///
    /// # Errors
    /// The key is not the certificate's.
    pub fn client_config(self: &Arc<Self>, mine: Credentials) -> Result<ClientConfig, Error> {
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous() // What is dangerous is a verifier that verifies too little: see below.
            .with_custom_certificate_verifier(Arc::clone(self) as Arc<dyn ServerCertVerifier>)
            .with_client_auth_cert(mine.chain, mine.key)?;
        // A resumed session would outlive the SVIDs that it was opened with.
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        Ok(config)
    }

    /// How to be a server of such peers.
    ///
    /// # Errors
    /// The key is not the certificate's.
    pub fn server_config(self: &Arc<Self>, mine: Credentials) -> Result<ServerConfig, Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::clone(self) as Arc<dyn ClientCertVerifier>)
            .with_single_cert(mine.chain, mine.key)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    fn check(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        peer: Peer,
        now: UnixTime,
    ) -> Result<(), PeerRefused> {
        let chain: Vec<_> = [leaf].into_iter().chain(rest).cloned().collect();
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let id = self.verifier.x509(&chain, peer, now)?;
        if self.accepted.contains(&id) {
            Ok(())
        } else {
            Err(PeerRefused::NotAccepted { id })
        }
    }

    /// Proof that the peer has the key of its certificate.
    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }
}

/// Who is at the other end of a connection whose handshake is done.
#[must_use]
pub fn peer_id(chain: Option<&[CertificateDer<'_>]>) -> Option<SpiffeIdBuf> {
    let leaf = tidelock_spiffe_core::x509::Leaf::parse(chain?.first()?).ok()?;
    Some(leaf.id.to_buf())
}

fn to_rustls(why: PeerRefused) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why))))
}

impl ServerCertVerifier for Peers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity, intermediates, Peer::Server, now)
            .map(|()| ServerCertVerified::assertion())
            .map_err(to_rustls)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Peers {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity, intermediates, Peer::Client, now)
            .map(|()| ClientCertVerified::assertion())
            .map_err(to_rustls)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// Longest that an end waits for the other, so that a peer that says nothing is an error.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longest message that the program reads, in bytes.
const MAX_MESSAGE_BYTES: u64 = 4_096;

/// Serves one connection: answers `hello, ID` to the ID that was proved.
///
/// # Errors
/// The peer was refused, or went away.
pub fn serve_one(listener: &TcpListener, config: Arc<ServerConfig>) -> io::Result<SpiffeIdBuf> {
    let (stream, _) = listener.accept()?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    let mut tls = StreamOwned::new(connection, stream);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    let id = peer_id(tls.conn.peer_certificates()).ok_or(io::ErrorKind::InvalidData)?;
    tls.write_all(format!("hello, {id}").as_bytes())?;
    tls.conn.send_close_notify();
    tls.flush()?;
    Ok(id)
}

/// Shakes hands over a stream, and reads what the server says.
///
/// # Errors
/// The server was refused, or refused us: it may say so only after the client's part of the handshake is done.
pub fn call(stream: TcpStream, config: Arc<ClientConfig>) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    // Sent to nobody, compared with nothing: the verifier goes by SPIFFE IDs.
    let name = ServerName::IpAddress(stream.peer_addr()?.ip().into());
    let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
    let tls = StreamOwned::new(connection, stream);
    let mut said = String::new();
    tls.take(MAX_MESSAGE_BYTES).read_to_string(&mut said)?;
    Ok(said)
}

/// What the refusal behind an error of [`serve_one`] or [`call`] is, if this end refused the other.
#[must_use]
pub fn refusal(error: &io::Error) -> Option<&PeerRefused> {
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::InvalidCertificate(CertificateError::Other(OtherError(why))) => why.downcast_ref(),
        _ => None,
    }
}

/// Has an SVID made for an ID. A real program gets its own from whoever issues them.
///
/// # Errors
/// Nothing was issued.
pub fn credentials(issuer: &Issuer, id: &str) -> Result<Credentials, Failure> {
    let key = KeyPair::generate()?;
    let csr = tidelock_ca::request(&key)?;
    let svid = issuer.x509_svid(&entry(id)?, &csr, unix_now())?;
    Ok(Credentials {
        chain: svid.chain.into_iter().map(CertificateDer::from).collect(),
        key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
    })
}

/// The two ends of one connection: what the server learned, and what the client did.
#[derive(Debug)]
pub struct Meeting {
    /// Whom the server proved its client to be, or why there was no connection.
    pub at_server: io::Result<SpiffeIdBuf>,
    /// What the server said, or why nothing.
    pub at_client: io::Result<String>,
}

/// One end of a connection, by SPIFFE IDs.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// Who it is.
    pub is: &'a str,
    /// Whom it talks to.
    pub accepts: &'a str,
}

/// Lets a client call a server over loopback TCP, each with an SVID of the issuer beside it. Both believe `trusted`.
///
/// # Errors
/// The meeting could not be set up. That it ends in a refusal is in the [`Meeting`].
pub fn meet(
    trusted: &Issuer,
    (clients, client): (&Issuer, End<'_>),
    (servers, server): (&Issuer, End<'_>),
) -> Result<Meeting, Failure> {
    let bundle = trusted.bundle()?;
    let peers = |end: End<'_>| -> Result<_, Failure> {
        let accepted = vec![SpiffeIdBuf::parse(end.accepts)?];
        Ok(Peers::new(bundle.clone().into(), accepted))
    };
    let client = peers(client)?.client_config(credentials(clients, client.is)?)?;
    let server = peers(server)?.server_config(credentials(servers, server.is)?)?;

    let listener = TcpListener::bind("127.0.0.1:0")?;
    // Waits in the listener's queue, so that there is something to accept.
    let stream = TcpStream::connect(listener.local_addr()?)?;
    let serving = std::thread::spawn(move || serve_one(&listener, Arc::new(server)));
    let at_client = call(stream, Arc::new(client));
    let at_server = serving.join().map_err(|_| "the server panicked")?;
    Ok(Meeting {
        at_server,
        at_client,
    })
}

/// The program: a connection that both ends want, one that the server refuses, and one that the client refuses.
///
/// # Errors
/// Loopback TCP does not work here.
pub fn run() -> Result<[Meeting; 3], Failure> {
    let issuer = Issuer::new(&TrustDomainBuf::parse("example.org")?, unix_now())?;
    let [shop, db, other] = [
        "spiffe://example.org/shop",
        "spiffe://example.org/db",
        "spiffe://example.org/other",
    ];
    let client = |is| (&issuer, End { is, accepts: db });
    let server = |is| (&issuer, End { is, accepts: shop });
    Ok([
        meet(&issuer, client(shop), server(db))?,
        meet(&issuer, client(other), server(db))?,
        meet(&issuer, client(shop), server(other))?,
    ])
}
