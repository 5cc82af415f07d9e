//! A peer that shares no code with the engine above the record layer: rustls with ring.

#![allow(dead_code, reason = "each test binary uses a part")]

pub(crate) mod openssl;
pub(crate) mod run;

use std::io::{Read, Write};
use std::sync::Arc;

use rcgen::KeyPair;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{
    ClientConfig, ClientConnection, Connection, DigitallySignedStruct, Error, RootCertStore,
    ServerConfig, ServerConnection, SignatureScheme, SupportedCipherSuite,
};
use tidelock_testkit::{Leaf, TestCa, VirtualClock, Wire};

static TLS12_ONLY: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];
static TLS13_ONLY: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// How the peer is set up.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) suites: Vec<SupportedCipherSuite>,
    pub(crate) groups: Vec<&'static dyn SupportedKxGroup>,
    pub(crate) alpn: Vec<Vec<u8>>,
    pub(crate) tls12: bool,
    pub(crate) tickets: usize,
    pub(crate) with_certificate: bool,
    /// Longest record sent, headers included.
    pub(crate) fragment: Option<usize>,
    /// A change to the leaf before it is signed.
    pub(crate) leaf: fn(Leaf) -> Leaf,
    /// Signs with a key that is not the certificate's.
    pub(crate) other_key: bool,
}

impl Default for Setup {
    fn default() -> Self {
        let ring = ring::default_provider();
        Self {
            suites: ring.cipher_suites,
            groups: ring.kx_groups,
            alpn: Vec::new(),
            tls12: false,
            tickets: 2,
            with_certificate: true,
            fragment: None,
            leaf: |leaf| leaf,
            other_key: false,
        }
    }
}

impl Setup {
    fn provider(&self) -> Arc<CryptoProvider> {
        Arc::new(CryptoProvider {
            cipher_suites: self.suites.clone(),
            kx_groups: self.groups.clone(),
            ..ring::default_provider()
        })
    }

    fn versions(&self) -> &'static [&'static rustls::SupportedProtocolVersion] {
        match self.tls12 {
            true => TLS12_ONLY,
            false => TLS13_ONLY,
        }
    }

    fn credentials(&self, ca: &TestCa, id: &str) -> Arc<SingleCertAndKey> {
        let key = new_key();
        let chain = ca.sign_key(&key, (self.leaf)(Leaf::for_id(id)));
        let chain = chain.into_iter().map(CertificateDer::from).collect();
        let key = if self.other_key { new_key() } else { key };
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let key = ring::sign::any_supported_type(&key).expect("a key");
        Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)))
    }

    /// A client that checks the server's signature, and its chain as far as rustls can without a
    /// DNS name.
    pub(crate) fn client(&self, ca: &TestCa, id: &str) -> Connection {
        let credentials = self.credentials(ca, id);
        let builder = ClientConfig::builder_with_details(self.provider(), Arc::new(Fixed))
            .with_protocol_versions(self.versions())
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer(self.provider())));
        let mut config = match self.with_certificate {
            true => builder.with_client_cert_resolver(credentials),
            false => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        config.max_fragment_size = self.fragment;
        let name = ServerName::try_from("server.test").expect("a name");
        ClientConnection::new(Arc::new(config), name)
            .expect("a client")
            .into()
    }

    /// A server that demands a client certificate and validates its path with webpki and ring.
    pub(crate) fn server(&self, ca: &TestCa, id: &str) -> Connection {
        let credentials = self.credentials(ca, id);
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from(ca.authority().to_vec()))
            .expect("a root");
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), self.provider())
                .build()
                .expect("a verifier");
        let mut config = ServerConfig::builder_with_details(self.provider(), Arc::new(Fixed))
            .with_protocol_versions(self.versions())
            .expect("versions")
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(credentials);
        config.alpn_protocols.clone_from(&self.alpn);
        config.max_fragment_size = self.fragment;
        config.send_tls13_tickets = self.tickets;
        ServerConnection::new(Arc::new(config))
            .expect("a server")
            .into()
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key")
}

/// Gives the peer what the wire delivered and puts its answer on the other wire.
pub(crate) fn turn(peer: &mut Connection, from: &mut Wire, to: &mut Wire) -> Result<(), Error> {
    let bytes = std::mem::take(&mut from.in_flight);
    let mut rest = &bytes[..];
    let mut outcome = Ok(());
    while !rest.is_empty() && outcome.is_ok() {
        peer.read_tls(&mut rest).expect("reading from memory");
        outcome = peer.process_new_packets().map(|_| ());
    }
    let mut out = Vec::new();
    while peer.wants_write() {
        peer.write_tls(&mut out).expect("writing to memory");
    }
    to.send(&out);
    outcome
}

/// What the peer's application has received.
pub(crate) fn received(peer: &mut Connection) -> Vec<u8> {
    let mut buffer = vec![0; 1 << 16];
    let count = peer.reader().read(&mut buffer).unwrap_or(0);
    buffer.truncate(count);
    buffer
}

/// Lets the peer's application send.
pub(crate) fn send(peer: &mut Connection, bytes: &[u8]) {
    peer.writer().write_all(bytes).expect("room");
}

#[derive(Debug)]
struct Fixed;

impl TimeProvider for Fixed {
    fn current_time(&self) -> Option<UnixTime> {
        let secs = VirtualClock::START.unsigned_abs();
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(
            secs,
        )))
    }
}

#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
