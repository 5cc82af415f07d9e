//! Who is refused, why, what the other end is told, and what it has learnt by then.

mod support;

use std::sync::Arc;

use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use rustls::{AlertDescription, Error};
use support::Setup;
use support::run::{CLIENT, Run, SERVER};
use tidelock_datapath::{
    Engine, Failure, MAX_CHAIN_BYTES, MAX_CHAIN_CERTS, Mono, Output, PeerError, Reason, Role,
    TrustStore,
};
use tidelock_spiffe_core::SpiffeIdBuf;
use tidelock_spiffe_core::x509::{KeyUsageError, LeafError};
use tidelock_testkit::{
    Allowing, Leaf, PairBuilder, SeededEntropy, TestCa, VirtualClock, identity_without_svid,
    install, uri,
};

const BOTH: [Role; 2] = [Role::Client, Role::Server];

/// Our end as `role`, believing `trust`, against a peer whose certificates are `ca`'s and `leaf`'s
/// doing.
fn against(role: Role, ca: &TestCa, trust: TrustStore, setup: &Setup) -> Run {
    let own = TestCa::new("example.org");
    let ours = PairBuilder::new(own.identity(CLIENT), own.identity(SERVER), trust);
    // The peer's own opinion of us does not matter here, as long as ours comes first or it has
    // none.
    Run::new(role, setup, ca, &ours)
}

/// The error that our end, as `role`, finds in a peer's chain.
fn peer_error(role: Role, ca: &TestCa, setup: &Setup) -> PeerError {
    let run = against(role, ca, ca.trust(), setup);
    assert_eq!(
        run.failure().reason(),
        Reason::PeerUnauthenticated,
        "{}",
        run.failure()
    );
    match run.failure() {
        Failure::Peer(why) => why.clone(),
        other => panic!("{other}"),
    }
}

fn alert(run: &Run) -> AlertDescription {
    match run.peer_said {
        Err(Error::AlertReceived(alert)) => alert,
        ref other => panic!("{other:?}"),
    }
}

fn path_error(why: &PeerError) -> &webpki::Error {
    match why {
        PeerError::Path { why, .. } => why,
        other => panic!("{other}"),
    }
}

#[test]
fn an_unknown_trust_domain_is_refused() {
    for role in BOTH {
        let run = against(
            role,
            &TestCa::new("example.org"),
            TestCa::new("elsewhere.org").trust(),
            &Setup::default(),
        );
        let id = if role == Role::Client { SERVER } else { CLIENT };
        let claimed = SpiffeIdBuf::parse(id).expect("an ID");
        assert_eq!(
            *run.failure(),
            Failure::Peer(PeerError::UnknownTrustDomain { claimed })
        );
        assert_eq!(alert(&run), AlertDescription::UnknownCA);
        assert!(run.end.engine.peer().is_none(), "a claim is no proof");
    }
}

#[test]
fn x509_svid_5_another_trust_domains_authority_does_not_count() {
    // elsewhere.org's authority is believed for elsewhere.org, and signs an ID of example.org.
    let (elsewhere, example) = (TestCa::new("elsewhere.org"), TestCa::new("example.org"));
    for role in BOTH {
        let mut trust = example.trust();
        elsewhere.add_to(&mut trust);
        let run = against(role, &elsewhere, trust, &Setup::default());
        let Failure::Peer(why) = run.failure() else {
            panic!("{}", run.failure())
        };
        assert_eq!(*path_error(why), webpki::Error::UnknownIssuer);
        assert_eq!(alert(&run), AlertDescription::UnknownCA);
    }
}

#[test]
fn rfc5280_6_validity_dates_hold_to_the_second() {
    type Dates = (fn(Leaf) -> Leaf, Option<fn(&webpki::Error) -> bool>);
    let cases: [Dates; 6] = [
        (
            |leaf| leaf.valid(-10, -1),
            Some(|why| matches!(why, webpki::Error::CertExpired { .. })),
        ),
        (
            |leaf| leaf.valid(1, 10),
            Some(|why| matches!(why, webpki::Error::CertNotValidYet { .. })),
        ),
        (|leaf| leaf.valid(-10, 0), None),
        (|leaf| leaf.valid(0, 10), None),
        (|leaf| leaf.valid(-10, 10), None),
        (
            |leaf| leaf.valid(-100_000, -50_000),
            Some(|why| matches!(why, webpki::Error::CertExpired { .. })),
        ),
    ];
    let ca = TestCa::new("example.org");
    for role in BOTH {
        for (at, (leaf, refused)) in cases.into_iter().enumerate() {
            let setup = Setup {
                leaf,
                ..Setup::default()
            };
            match refused {
                None => assert!(
                    against(role, &ca, ca.trust(), &setup)
                        .end
                        .engine
                        .peer()
                        .is_some(),
                    "case {at}"
                ),
                Some(expected) => {
                    let why = peer_error(role, &ca, &setup);
                    assert!(expected(path_error(&why)), "case {at}: {why}");
                }
            }
        }
    }
}

#[test]
fn x509_svid_leaf_rules_hold_on_the_tls_path() {
    type Case = (fn(Leaf) -> Leaf, LeafError);
    let cases: [Case; 8] = [
        (
            |leaf| leaf.with(|p| p.subject_alt_names.push(uri("spiffe://example.org/b"))),
            LeafError::Uris { count: 2 },
        ),
        (
            |leaf| leaf.with(|p| p.subject_alt_names = vec![uri("spiffe://example.org")]),
            LeafError::Pathless,
        ),
        (
            |leaf| leaf.with(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            LeafError::Ca,
        ),
        (
            |leaf| leaf.with(|p| p.key_usages.clear()),
            LeafError::KeyUsage(KeyUsageError::Missing),
        ),
        (
            |leaf| leaf.with(|p| p.key_usages.push(KeyUsagePurpose::KeyCertSign)),
            LeafError::KeyCertSign,
        ),
        (
            |leaf| leaf.with(|p| p.key_usages.push(KeyUsagePurpose::CrlSign)),
            LeafError::CrlSign,
        ),
        (
            |leaf| leaf.with(|p| p.key_usages = vec![KeyUsagePurpose::KeyAgreement]),
            LeafError::NoDigitalSignature,
        ),
        (
            |leaf| leaf.with(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
            LeafError::ExtendedKeyUsage {
                server_auth: true,
                client_auth: false,
            },
        ),
    ];
    let ca = TestCa::new("example.org");
    for role in BOTH {
        for (leaf, expected) in cases {
            let why = peer_error(
                role,
                &ca,
                &Setup {
                    leaf,
                    ..Setup::default()
                },
            );
            assert_eq!(why, PeerError::Leaf(expected), "{role:?}");
        }
    }
}

#[test]
fn x509_svid_4_4_extended_key_usage_is_optional() {
    let ca = TestCa::new("example.org");
    let leaf = |leaf: Leaf| leaf.with(|params| params.extended_key_usages.clear());
    for role in BOTH {
        let run = against(
            role,
            &ca,
            ca.trust(),
            &Setup {
                leaf,
                ..Setup::default()
            },
        );
        assert!(run.end.engine.peer().is_some());
    }
}

#[test]
fn intermediates_that_may_sign_are_accepted() {
    let mut ca = TestCa::new("example.org");
    ca.add_intermediate(|_| {});
    ca.add_intermediate(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    for role in BOTH {
        assert!(
            against(role, &ca, ca.trust(), &Setup::default())
                .end
                .engine
                .peer()
                .is_some()
        );
    }
}

#[test]
fn intermediates_that_may_not_sign_are_refused() {
    let cases: [fn(&mut rcgen::CertificateParams); 5] = [
        // webpki itself ignores keyUsage.
        |params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature],
        |params| params.is_ca = IsCa::ExplicitNoCa,
        // X509-SVID §3.2: a signing certificate's ID has no path.
        |params| params.subject_alt_names = vec![uri("spiffe://example.org/workload")],
        |params| params.subject_alt_names = vec![uri("spiffe://elsewhere.org")],
        |params| params.not_after = params.not_before,
    ];
    for role in BOTH {
        for (at, change) in cases.into_iter().enumerate() {
            let mut ca = TestCa::new("example.org");
            ca.add_intermediate(change);
            let why = peer_error(role, &ca, &Setup::default());
            assert!(matches!(why, PeerError::Path { .. }), "case {at}: {why}");
        }
    }
}

#[test]
fn rfc5280_6_1_4_path_length_holds() {
    let mut ca = TestCa::new("example.org");
    ca.add_intermediate(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    ca.add_intermediate(|_| {});
    for role in BOTH {
        let why = peer_error(role, &ca, &Setup::default());
        assert_eq!(*path_error(&why), webpki::Error::PathLenConstraintViolated);
    }
}

#[test]
fn an_authority_is_held_to_its_dates() {
    for change in [
        |params: &mut rcgen::CertificateParams| params.not_after = params.not_before,
        |params: &mut rcgen::CertificateParams| params.not_before = params.not_after,
    ] {
        let ca = TestCa::with_root("example.org", change);
        for role in BOTH {
            let why = peer_error(role, &ca, &Setup::default());
            assert_eq!(*path_error(&why), webpki::Error::UnknownIssuer);
        }
    }
}

#[test]
fn chains_are_bounded_in_number_and_bytes() {
    let mut ca = TestCa::new("example.org");
    for _ in 0..MAX_CHAIN_CERTS {
        ca.add_intermediate(|_| {});
    }
    let count = MAX_CHAIN_CERTS + 1;
    for role in BOTH {
        assert_eq!(
            peer_error(role, &ca, &Setup::default()),
            PeerError::TooManyCertificates { count }
        );
    }
    let ca = TestCa::new("example.org");
    let leaf = |leaf: Leaf| {
        leaf.with(|params| {
            let long = vec![4; MAX_CHAIN_BYTES];
            params
                .custom_extensions
                .push(rcgen::CustomExtension::from_oid_content(
                    &[1, 3, 6, 1, 4, 1, 55555, 1],
                    long,
                ));
        })
    };
    for role in BOTH {
        let why = peer_error(
            role,
            &ca,
            &Setup {
                leaf,
                ..Setup::default()
            },
        );
        assert!(
            matches!(why, PeerError::ChainTooLong { len } if len > MAX_CHAIN_BYTES),
            "{why}"
        );
    }
}

#[test]
fn rfc8446_4_4_3_a_signature_by_another_key_is_refused_before_anyone_is_asked() {
    let ca = TestCa::new("example.org");
    for role in BOTH {
        let ours = PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust());
        let run = Run::new(
            role,
            &Setup {
                other_key: true,
                ..Setup::default()
            },
            &ca,
            &ours,
        );
        assert_eq!(*run.failure(), Failure::Peer(PeerError::Signature));
        assert_eq!(alert(&run), AlertDescription::DecryptError);
        assert!(run.end.engine.peer().is_none());
        assert!(ours.client_allows.asked().is_empty() && ours.server_allows.asked().is_empty());
    }
}

#[test]
fn a_server_that_the_client_does_not_allow_learns_nothing_of_it() {
    let ca = TestCa::new("example.org");
    let mut ends = PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust());
    ends.client_allows = Allowing::nobody(6);
    let mut pair = ends.start();
    let hello_len = pair.to_server.captured.len();
    pair.run();
    let (client, server) = pair.verdicts();
    let expected = Failure::Denied {
        code: 6,
        detail: "no permit matched".into(),
    };
    assert_eq!(*client.failure(), expected);
    assert_eq!(client.failure().reason(), Reason::Denied(6));
    assert_eq!(
        *server.failure(),
        Failure::PeerRefused {
            alert: AlertDescription::AccessDenied.into()
        }
    );
    assert_eq!(ends.client_allows.asked(), [(Role::Client, SERVER.into())]);
    assert_eq!(
        pair.client.engine.peer().expect("proved").id().as_str(),
        SERVER
    );
    assert!(ends.server_allows.asked().is_empty());
    assert!(pair.server.engine.peer().is_none());
    // Beyond the hello there is a change_cipher_spec and one alert: far too little for a
    // certificate.
    assert!(pair.to_server.captured.len() - hello_len < 64);
}

#[test]
fn a_client_that_the_server_does_not_allow_is_never_established() {
    let ca = TestCa::new("example.org");
    let mut ends = PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust());
    ends.server_allows = Allowing::nobody(5);
    let mut pair = ends.start();
    pair.run();
    let (client, server) = pair.verdicts();
    assert_eq!(server.failure().reason(), Reason::Denied(5));
    assert_eq!(
        *client.failure(),
        Failure::PeerRefused {
            alert: AlertDescription::AccessDenied.into()
        }
    );
    assert_eq!(client.failure().reason(), Reason::PeerRefused);
    assert_eq!(ends.server_allows.asked(), [(Role::Server, CLIENT.into())]);
}

#[test]
fn each_end_is_asked_once() {
    let ca = TestCa::new("example.org");
    let ends = PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust());
    let mut pair = ends.start();
    pair.run();
    assert_eq!(ends.client_allows.asked(), [(Role::Client, SERVER.into())]);
    assert_eq!(ends.server_allows.asked(), [(Role::Server, CLIENT.into())]);
    assert_eq!(&*pair.verdicts().0.established().detail, "policy0");
}

#[test]
fn without_a_current_svid_nothing_is_sent() {
    let ca = TestCa::new("example.org");
    let mut expired = identity_without_svid(CLIENT);
    let ends = PairBuilder::new(
        identity_without_svid(CLIENT),
        ca.identity(SERVER),
        ca.trust(),
    );
    let now = VirtualClock::new().now();
    let mut engine = Engine::client::<SeededEntropy>(now, ends.client_params());
    assert!(matches!(
        engine.poll(),
        Some(Output::Failed(Failure::NoSvid))
    ));
    assert!(engine.poll().is_none());

    for (from, to) in [(-10, -1), (1, 10)] {
        let chain = ca.sign(
            &expired.csr().expect("a request"),
            Leaf::for_id(CLIENT).valid(from, to),
        );
        install(&mut expired, &chain);
        let params = tidelock_datapath::Params {
            identity: &expired,
            ..ends.client_params()
        };
        let mut engine = Engine::client::<SeededEntropy>(now, params);
        let Some(Output::Failed(why)) = engine.poll() else {
            panic!("must fail")
        };
        assert_eq!(why.reason(), Reason::SvidExpired);
    }
}

#[test]
fn without_entropy_nothing_is_sent() {
    let ca = TestCa::new("example.org");
    let ends = PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust());
    SeededEntropy::break_source();
    let mut engine =
        Engine::client::<SeededEntropy>(VirtualClock::new().now(), ends.client_params());
    assert!(matches!(
        engine.poll(),
        Some(Output::Failed(Failure::Entropy))
    ));
    SeededEntropy::seed(0);
}

#[test]
fn a_handshake_that_is_late_fails_at_its_deadline_and_not_before() {
    let ca = TestCa::new("example.org");
    let mut ends = PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust());
    ends.deadline = Some(Mono(1000));
    let mut pair = ends.start();
    assert_eq!(pair.client.engine.next_deadline(), Some(Mono(1000)));
    pair.wait_nanos(999);
    assert!(pair.client.verdict.is_none() && pair.server.verdict.is_none());
    pair.wait_nanos(1);
    let (client, server) = pair.verdicts();
    assert_eq!(
        (client.failure(), server.failure()),
        (&Failure::Deadline, &Failure::Deadline)
    );
    assert_eq!(pair.client.engine.next_deadline(), None);
    pair.wait_nanos(1000);
}

#[test]
fn a_record_after_the_deadline_does_not_save_the_handshake() {
    let ca = TestCa::new("example.org");
    let mut ends = PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust());
    ends.deadline = Some(Mono(1000));
    let mut pair = ends.start();
    pair.clock.advance_nanos(1000);
    pair.deliver(Role::Server, usize::MAX);
    assert_eq!(
        *pair.server.verdict.as_ref().expect("a verdict").failure(),
        Failure::Deadline
    );
}

#[test]
fn an_svid_that_expires_during_the_handshake_is_refused_by_the_peer() {
    let ca = TestCa::new("example.org");
    let mut server = identity_without_svid(SERVER);
    let chain = ca.sign(
        &server.csr().expect("a request"),
        Leaf::for_id(SERVER).valid(-10, 5),
    );
    install(&mut server, &chain);
    let ends = PairBuilder::new(ca.identity(CLIENT), server, ca.trust());
    let mut pair = ends.start();
    pair.deliver(Role::Server, usize::MAX);
    pair.clock.advance_secs(6);
    pair.run();
    let (client, _) = pair.verdicts();
    assert_eq!(client.failure().reason(), Reason::PeerUnauthenticated);
}

#[test]
fn dropping_an_engine_gives_back_what_it_shares() {
    let ca = TestCa::new("example.org");
    let ends = PairBuilder::new(ca.identity(CLIENT), ca.identity(SERVER), ca.trust());
    let before = Arc::strong_count(&ends.client_trust);
    let mut pair = ends.start();
    assert!(Arc::strong_count(&ends.client_trust) > before);
    pair.run();
    drop(pair);
    assert_eq!(Arc::strong_count(&ends.client_trust), before);
    assert_eq!(Arc::strong_count(&ends.client_allows), 1);
}
