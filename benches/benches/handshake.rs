//! A full mutual TLS 1.3 handshake in memory, both ends: ours beside rustls with ring.
//!
//! Each side does the same work: P-256 certificates of one leaf under one root, path validation at
//! both ends, one ticket from the server, no resumption. Ours adds ML-KEM-768 to X25519, which ring
//! does not have, and the X509-SVID rules, and makes its configuration anew per connection, as the
//! kernel does; rustls shares one per end, as its users do.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use rcgen::{KeyPair, SanType};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use tidelock_testkit::{Leaf, PairBuilder, TestCa, VirtualClock};

const CLIENT: &str = "spiffe://example.org/client";
const SERVER: &str = "spiffe://example.org/server";
const NAME: &str = "server.test";

fn ours(c: &mut Criterion) {
    let ca = TestCa::new("example.org");
    let ends = PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust());
    c.bench_function("handshake/tidelock", |b| {
        b.iter(|| {
            let mut pair = ends.start();
            pair.run();
            black_box(pair.verdicts().0.established().suite)
        });
    });
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

fn configs() -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let ca = TestCa::new("example.org");
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(ca.authority().to_vec()))
        .expect("a root");
    let roots = Arc::new(roots);
    let credentials = |id: &str| {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("a key");
        let name = SanType::DnsName(NAME.try_into().expect("a name"));
        let chain = ca.sign_key(
            &key,
            Leaf::for_id(id).with(|leaf| leaf.subject_alt_names.push(name)),
        );
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
        (chain, PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    };
    let (chain, key) = credentials(CLIENT);
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
    let mut client = ClientConfig::builder_with_details(Arc::clone(&provider), Arc::new(Fixed))
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_webpki_verifier(verifier.build().expect("a verifier"))
        .with_client_auth_cert(chain, key)
        .expect("a key for the chain");
    client.resumption = Resumption::disabled();
    let (chain, key) = credentials(SERVER);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
    let mut server = ServerConfig::builder_with_details(provider, Arc::new(Fixed))
        .with_protocol_versions(&[&TLS13])
        .expect("TLS 1.3")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(chain, key)
        .expect("a key for the chain");
    server.session_storage = Arc::new(NoServerSessionStorage {});
    (Arc::new(client), Arc::new(server))
}

fn rustls_ring(c: &mut Criterion) {
    let (client, server) = configs();
    let name = ServerName::try_from(NAME).expect("a name");
    c.bench_function("handshake/rustls+ring", |b| {
        b.iter(|| {
            let mut client =
                ClientConnection::new(Arc::clone(&client), name.clone()).expect("a client");
            let mut server = ServerConnection::new(Arc::clone(&server)).expect("a server");
            let mut wire = Vec::new();
            while client.is_handshaking() || server.is_handshaking() {
                client.write_tls(&mut wire).expect("memory");
                take(
                    &mut wire,
                    |bytes| server.read_tls(bytes),
                    "the server reads",
                );
                server.process_new_packets().expect("no alert");
                server.write_tls(&mut wire).expect("memory");
                take(
                    &mut wire,
                    |bytes| client.read_tls(bytes),
                    "the client reads",
                );
                client.process_new_packets().expect("no alert");
            }
            black_box(client.negotiated_cipher_suite())
        });
    });
}

/// Hands all of `wire` over.
fn take(
    wire: &mut Vec<u8>,
    mut read: impl FnMut(&mut &[u8]) -> std::io::Result<usize>,
    what: &str,
) {
    let bytes = std::mem::take(wire);
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        read(&mut rest).expect(what);
    }
}

criterion_group!(benches, ours, rustls_ring);
criterion_main!(benches);
