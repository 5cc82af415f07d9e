//! The engine against rustls with ring, both ways round, in every suite and group; and what kernel TLS would then do
//! with the secrets.

mod support;

use rustls::crypto::ring::{cipher_suite, kx_group};
use rustls::{CipherSuite, Connection, Error};
use support::{Setup, received, send, turn};
use tidelock_datapath::{ALPN, Engine, Established, Failure, Reason, Role};
use tidelock_testkit::{
    End, KernelTls, PairBuilder, SeededEntropy, TestCa, Verdict, VirtualClock, Wire,
};

const CLIENT: &str = "spiffe://example.org/client";
const SERVER: &str = "spiffe://example.org/server";

/// Our end, the peer, and the wire between.
struct Run {
    end: End,
    peer: Connection,
    to_us: Wire,
    to_peer: Wire,
    peer_said: Result<(), Error>,
}

fn run(our_role: Role, setup: &Setup) -> Run {
    let ca = TestCa::new("example.org");
    let ours = PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust());
    let now = VirtualClock::new().now();
    let (engine, peer) = match our_role {
        Role::Client => (
            Engine::client::<SeededEntropy>(now, ours.client_params()),
            setup.server(&ca, SERVER),
        ),
        Role::Server => (
            Engine::server::<SeededEntropy>(now, ours.server_params()),
            setup.client(&ca, CLIENT),
        ),
    };
    let (to_us, to_peer) = (Wire::default(), Wire::default());
    let mut run = Run {
        end: End::new(engine),
        peer,
        to_us,
        to_peer,
        peer_said: Ok(()),
    };
    run.end.poll(&mut run.to_peer);
    while run.step() {}
    run
}

impl Run {
    fn step(&mut self) -> bool {
        if self.peer_said.is_ok() {
            self.peer_said = turn(&mut self.peer, &mut self.to_peer, &mut self.to_us);
        }
        let moved = self.to_us.deliver(usize::MAX) > 0;
        while self.end.verdict.is_none()
            && let Some(mut record) = self.to_us.record()
        {
            let now = VirtualClock::new().now();
            self.end
                .engine
                .handle(now, &mut record)
                .expect("a whole record");
            self.end.poll(&mut self.to_peer);
        }
        moved || !self.to_peer.in_flight.is_empty() && self.peer_said.is_ok()
    }

    fn established(&self) -> &Established {
        self.end.verdict.as_ref().expect("a verdict").established()
    }

    fn failure(&self) -> &Failure {
        self.end.verdict.as_ref().expect("a verdict").failure()
    }

    /// Records both ways by kernel TLS on our side: they must carry what was sent.
    fn exchange(&mut self) {
        let (tx, rx) = match self.end.verdict.as_ref().expect("a verdict") {
            Verdict::Established(end) => (end.tx.as_bytes().to_vec(), end.rx.as_bytes().to_vec()),
            Verdict::Failed(why) => panic!("{why}"),
        };
        let (mut tx, mut rx) = (KernelTls::new(&tx), KernelTls::new(&rx));
        for text in [&b"first"[..], b"second"] {
            self.to_peer.send(&tx.seal(23, text));
            turn(&mut self.peer, &mut self.to_peer, &mut self.to_us).expect("authentic records");
            assert_eq!(received(&mut self.peer), text);
        }
        send(&mut self.peer, b"answer");
        turn(&mut self.peer, &mut self.to_peer, &mut self.to_us).expect("nothing to refuse");
        self.to_us.deliver(usize::MAX);
        let mut answer = Vec::new();
        while let Some(record) = self.to_us.record() {
            let (content_type, text) = rx.open(&record).expect("an authentic record");
            // Tickets of a peer that is not Tidelock come after the handshake, for kernel TLS to hand over.
            assert!(matches!(content_type, 22 | 23));
            if content_type == 23 {
                answer.extend(text);
            }
        }
        assert_eq!(answer, b"answer");
    }
}

#[test]
fn every_suite_and_group_as_client_and_server() {
    let suites = [
        (
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            CipherSuite::TLS13_AES_128_GCM_SHA256,
        ),
        (
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            CipherSuite::TLS13_AES_256_GCM_SHA384,
        ),
        (
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        ),
    ];
    for (suite, number) in suites {
        for group in [kx_group::X25519, kx_group::SECP256R1] {
            for role in [Role::Client, Role::Server] {
                let setup = Setup {
                    suites: vec![suite],
                    groups: vec![group],
                    ..Setup::default()
                };
                let mut run = run(role, &setup);
                assert_eq!(
                    run.established().suite,
                    u16::from(number),
                    "{role:?} {group:?}"
                );
                assert!(!run.established().confirmed);
                run.exchange();
            }
        }
    }
}

#[test]
fn a_group_we_offer_no_share_for_takes_a_hello_retry() {
    let mut run = run(
        Role::Client,
        &Setup {
            groups: vec![kx_group::SECP256R1],
            ..Setup::default()
        },
    );
    run.established();
    run.exchange();
}

#[test]
fn a_peer_that_knows_our_protocol_is_held_to_its_confirmation() {
    let setup = Setup {
        alpn: vec![ALPN.to_vec()],
        tickets: 1,
        ..Setup::default()
    };
    for role in [Role::Client, Role::Server] {
        let mut run = run(role, &setup);
        assert!(run.established().confirmed);
        run.exchange();
    }
}

#[test]
fn two_confirmations_are_one_too_many_for_the_handshake_and_left_to_kernel_tls() {
    let setup = Setup {
        alpn: vec![ALPN.to_vec()],
        tickets: 2,
        ..Setup::default()
    };
    let mut run = run(Role::Client, &setup);
    assert!(run.established().confirmed);
    run.exchange();
}

#[test]
fn a_server_that_agrees_on_our_protocol_but_never_confirms_is_waited_for() {
    let setup = Setup {
        alpn: vec![ALPN.to_vec()],
        tickets: 0,
        ..Setup::default()
    };
    let run = run(Role::Client, &setup);
    assert!(run.end.verdict.is_none());
}

#[test]
fn data_in_place_of_the_confirmation_is_refused() {
    let setup = Setup {
        alpn: vec![ALPN.to_vec()],
        tickets: 0,
        ..Setup::default()
    };
    let mut run = run(Role::Client, &setup);
    send(&mut run.peer, b"too early");
    while run.step() {}
    assert_eq!(*run.failure(), Failure::Unconfirmed);
}

#[test]
fn close_notify_in_place_of_the_confirmation_is_a_close() {
    let setup = Setup {
        alpn: vec![ALPN.to_vec()],
        tickets: 0,
        ..Setup::default()
    };
    let mut run = run(Role::Client, &setup);
    run.peer.send_close_notify();
    while run.step() {}
    assert_eq!(*run.failure(), Failure::PeerClosed);
}

#[test]
fn rfc8446_4_2_1_tls_1_2_peers_are_refused_with_an_alert() {
    let setup = Setup {
        tls12: true,
        ..Setup::default()
    };
    let protocol_version = rustls::AlertDescription::ProtocolVersion;
    let server = run(Role::Server, &setup);
    assert_eq!(server.failure().reason(), Reason::Protocol);
    assert_eq!(
        server.peer_said,
        Err(Error::AlertReceived(protocol_version))
    );
    // A server that knows 1.2 only finds no version it could choose, and says so itself.
    let client = run(Role::Client, &setup);
    assert_eq!(
        *client.failure(),
        Failure::PeerRefused {
            alert: protocol_version.into()
        }
    );
}

#[test]
fn rfc8446_4_4_2_4_a_client_without_a_certificate_is_refused() {
    let run = run(
        Role::Server,
        &Setup {
            with_certificate: false,
            ..Setup::default()
        },
    );
    assert_eq!(*run.failure(), Failure::NoCertificate);
    assert_eq!(
        run.peer_said,
        Err(Error::AlertReceived(
            rustls::AlertDescription::CertificateRequired
        ))
    );
}

#[test]
fn rfc7301_3_2_no_common_protocol_is_refused() {
    let run = run(
        Role::Server,
        &Setup {
            alpn: vec![b"h2".to_vec()],
            ..Setup::default()
        },
    );
    assert_eq!(*run.failure(), Failure::Tls(Error::NoApplicationProtocol));
}
