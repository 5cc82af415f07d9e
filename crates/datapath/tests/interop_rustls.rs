//! The engine against rustls with ring, both ways round, in every suite and group; and what kernel
//! TLS would then do with the secrets.

mod support;

use rustls::crypto::ring::{cipher_suite, kx_group};
use rustls::{CipherSuite, Error};
use support::run::{CLIENT, Run, SERVER};
use support::{Setup, received, send, turn};
use tidelock_datapath::{ALPN, Failure, Reason, Role};
use tidelock_testkit::{KernelTls, PairBuilder, TestCa};

fn run(our_role: Role, setup: &Setup) -> Run {
    let ca = TestCa::new("example.org");
    Run::new(
        our_role,
        setup,
        &ca,
        &PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust()),
    )
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
fn rfc7301_3_2_with_who_is_no_tidelock_end_a_server_agrees_on_no_protocol() {
    for offered in [vec![], vec![b"h2".to_vec(), b"http/1.1".to_vec()]] {
        let setup = Setup {
            alpn: offered,
            ..Setup::default()
        };
        let mut run = run(Role::Server, &setup);
        assert!(!run.established().confirmed);
        assert_eq!(run.peer.alpn_protocol(), None);
        run.exchange();
    }
}

#[test]
fn rfc7301_3_2_a_client_meets_servers_that_insist_on_http() {
    let setup = Setup {
        alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        ..Setup::default()
    };
    let mut run = run(Role::Client, &setup);
    assert!(!run.established().confirmed);
    assert_eq!(run.peer.alpn_protocol(), Some(&b"http/1.1"[..]));
    run.exchange();
}

#[test]
fn rfc7301_3_2_a_server_that_speaks_nothing_we_offer_refuses_us() {
    let setup = Setup {
        alpn: vec![b"h2".to_vec()],
        ..Setup::default()
    };
    assert_eq!(
        run(Role::Client, &setup).failure().reason(),
        Reason::PeerRefused
    );
}

#[test]
fn a_hello_in_more_than_one_record_is_taken_for_one_of_ours() {
    let setup = Setup {
        alpn: vec![b"h2".to_vec()],
        fragment: Some(64),
        ..Setup::default()
    };
    let run = run(Role::Server, &setup);
    assert_eq!(*run.failure(), Failure::Tls(Error::NoApplicationProtocol));
}

/// The peer derives by itself: ring's HKDF, and rustls' own labels.
#[test]
fn rfc8446_7_2_keys_go_on_from_the_secrets_in_step_with_the_peer() {
    const KEY_UPDATE_REQUESTED: [u8; 5] = [24, 0, 0, 1, 1];
    const KEY_UPDATE: [u8; 5] = [24, 0, 0, 1, 0];
    for suite in [
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ] {
        for role in [Role::Client, Role::Server] {
            let mut run = run(
                role,
                &Setup {
                    suites: vec![suite],
                    tickets: 0,
                    ..Setup::default()
                },
            );
            let end = run.established();
            let (mut tx_secret, mut rx_secret) = (end.tx_secret.clone(), end.rx_secret.clone());
            let mut tx = KernelTls::new(end.tx.as_bytes());
            let mut rx = KernelTls::new(end.rx.as_bytes());
            for _ in 0..3 {
                run.peer.refresh_traffic_keys().expect("established");
                send(&mut run.peer, b"by the new key");
                turn(&mut run.peer, &mut run.to_peer, &mut run.to_us).expect("nothing to refuse");
                run.to_us.deliver(usize::MAX);
                let update = run.to_us.record().expect("a record");
                assert_eq!(rx.open(&update), Some((22, KEY_UPDATE_REQUESTED.to_vec())));
                let data = run.to_us.record().expect("a record");
                assert_eq!(rx.open(&data), None, "by the old key");
                rx_secret = rx_secret.next().expect("a secret");
                rx = KernelTls::new(rx_secret.keys().expect("keys").as_bytes());
                assert_eq!(rx.open(&data), Some((23, b"by the new key".to_vec())));

                run.to_peer.send(&tx.seal(22, &KEY_UPDATE));
                tx_secret = tx_secret.next().expect("a secret");
                tx = KernelTls::new(tx_secret.keys().expect("keys").as_bytes());
                run.to_peer.send(&tx.seal(23, b"answered"));
                turn(&mut run.peer, &mut run.to_peer, &mut run.to_us).expect("authentic records");
                assert_eq!(received(&mut run.peer), b"answered");
            }
        }
    }
}
