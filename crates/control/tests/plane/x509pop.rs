//! Joining with a certificate: what one that the machine was given elsewhere opens, and what it does not.

use std::collections::BTreeSet;
use std::time::Duration;

use rcgen::{
    BasicConstraints, IsCa, KeyPair, KeyUsagePurpose, PublicKeyData as _, SigningKey as _,
};
use tidelock_proto::v1::AttestRefusal;
use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_proto::{ErrorCode, POP_NONCE_BYTES, v1};
use tidelock_spiffe_core::pem;
use tidelock_spiffe_core::x509::Leaf;
use tonic::{Code, Status};

use crate::common::{NodeKeys, Plane, code, csr, forged_csr, next, node_keys, snapshot};
use crate::machines::{
    Ca, Machine, Talk, attest, ca_params, expired, offer, plane, plane_within, proof,
};

/// The code of a refusal, and its words.
async fn refused(plane: &Plane, machine: &Machine) -> (ErrorCode, String) {
    told(&attest(plane, machine).await.err().expect("refused"))
}

fn told(status: &Status) -> (ErrorCode, String) {
    (ErrorCode::from(status), status.message().to_owned())
}

async fn allow(plane: &Plane, node: &str) -> Result<bool, Status> {
    let request = v1::AllowCertificateRequest { node: node.into() };
    let answer = plane.admin().await.allow_certificate(request).await?;
    Ok(answer.into_inner().changed)
}

async fn revoke_node(plane: &Plane, node: &str) {
    let request = v1::RevokeRequest {
        what: Some(v1::revoke_request::What::Node(node.into())),
        reason: "a test".into(),
    };
    plane.admin().await.revoke(request).await.expect("revoked");
}

async fn syncs(plane: &Plane, keys: &NodeKeys) -> Code {
    let request = v1::SyncRequest::default();
    code(plane.node(Some(keys)).await.sync(request).await)
}

async fn node_view(plane: &Plane, name: &str) -> v1::NodeView {
    let nodes = plane.admin().await.get_nodes(v1::GetNodesRequest {}).await;
    let mut nodes = nodes.expect("nodes").into_inner().nodes.into_iter();
    nodes.find(|node| node.name == name).expect("the node")
}

#[tokio::test]
async fn a_certificate_and_its_key_give_the_node_that_it_names_its_svid() {
    let ca = Ca::root();
    let plane = plane(&[&ca]).await;
    let machine = ca.machine("Web-1.Example.org");
    let key = KeyPair::generate().expect("key");
    let offer = offer(&machine, &csr(&key));
    let mut talk = Talk::open(&plane).await;
    let challenge = talk.challenge(&offer).await.expect("a challenge");
    let answer = talk.prove(proof(&machine, &offer, &challenge)).await;
    let answer = answer.expect("attested");

    let leaf = Leaf::parse(&answer.chain[0]).expect("an X509-SVID");
    let id = "spiffe://example.org/tidelock/agent/web-1.example.org";
    assert_eq!(leaf.id.as_str(), id);
    assert_eq!(leaf.spki, key.subject_public_key_info());
    assert_eq!(answer.bundle.expect("bundle").trust_domain, "example.org");
    assert!(next(&mut talk.answers).await.is_none(), "the stream ends");
    plane.synced(&node_keys(&key, answer.chain)).await;

    let event = plane
        .event(|e| matches!(e.kind, Some(EventKind::NodeAttested(_))))
        .await;
    let Some(EventKind::NodeAttested(attested)) = event.kind else {
        panic!("another event");
    };
    assert_eq!(event.node, "web-1.example.org");
    assert_eq!(attested.by(), v1::JoinedBy::X509pop);
    let view = node_view(&plane, "web-1.example.org").await;
    assert!(view.certificate_allowed);
    assert_eq!(view.joined_by(), v1::JoinedBy::X509pop);

    let log = plane.audited().await;
    let entry = log.iter().find(|entry| entry.1 == "node-attested");
    let (actor, _, subject, detail) = entry.expect("an entry");
    assert!(actor.starts_with("certificate "), "{actor}");
    assert_eq!(subject, "web-1.example.org");
    assert!(detail.contains("\"certificate\":"), "{detail}");
}

#[tokio::test]
async fn without_roots_the_method_is_refused_with_a_reason() {
    let plane = Plane::start().await;
    let (code, message) = refused(&plane, &Ca::root().machine("n1")).await;
    assert_eq!(code, ErrorCode::X509popOff);
    assert!(message.contains("--x509pop-ca-bundle"), "{message}");
}

#[tokio::test]
async fn intermediates_lead_to_a_root_and_another_root_does_not() {
    let (ca, other) = (Ca::root(), Ca::root());
    let plane = plane(&[&ca]).await;
    let middle = ca.below();
    let mut machine = middle.machine("n1");
    let (code, message) = refused(&plane, &machine).await;
    assert_eq!(code, ErrorCode::NodeCertificateRefused);
    assert!(message.contains("does not lead to a root"), "{message}");
    machine.chain.push(middle.der);
    attest(&plane, &machine).await.expect("attested");

    let mut stranger = other.machine("n1");
    stranger.chain.push(other.der);
    let (code, _) = refused(&plane, &stranger).await;
    assert_eq!(code, ErrorCode::NodeCertificateRefused);
    let told = plane.attest_refusals().await;
    let expected = (String::new(), AttestRefusal::BadCertificate);
    assert_eq!(told, [expected.clone(), expected]);
}

#[tokio::test]
async fn what_expired_and_what_is_no_machines_is_refused() {
    let ca = Ca::root();
    let mut old = ca_params("an old root");
    expired(&mut old);
    let old = Ca::of(old);
    let plane = plane(&[&ca, &old]).await;
    let cases = [
        ("expired", ca.machine_as("n1", expired)),
        ("expired root", old.machine("n1")),
        (
            "CA",
            ca.machine_as("n1", |params| {
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            }),
        ),
        (
            "usage",
            ca.machine_as("n1", |params| {
                params.key_usages = vec![KeyUsagePurpose::KeyAgreement];
            }),
        ),
        ("name", ca.machine("a_name/../control")),
        ("long name", ca.machine(&"a".repeat(64))),
    ];
    for (what, machine) in &cases {
        let (code, message) = refused(&plane, machine).await;
        assert_eq!(code, ErrorCode::NodeCertificateRefused, "{what}: {message}");
    }
    let told = plane.attest_refusals().await;
    assert_eq!(told.len(), cases.len());
}

#[tokio::test]
async fn a_proof_is_of_the_certificates_key_over_all_that_was_said() {
    let ca = Ca::root();
    let plane = plane(&[&ca]).await;
    let (machine, other) = (ca.machine("n1"), ca.machine("n2"));
    let own = offer(&machine, &csr(&KeyPair::generate().expect("key")));
    let swapped = offer(&machine, &csr(&KeyPair::generate().expect("key")));
    let another_nonce = v1::X509PopOffer {
        nonce: vec![8; POP_NONCE_BYTES],
        ..own.clone()
    };
    type Proof<'a> = Box<dyn Fn(&[u8]) -> Vec<u8> + 'a>;
    let wrong: [(&str, Proof<'_>); 7] = [
        ("nothing", Box::new(|_| Vec::new())),
        ("another key", Box::new(|nonce| proof(&other, &own, nonce))),
        (
            "another request",
            Box::new(|nonce| proof(&machine, &swapped, nonce)),
        ),
        (
            "another nonce",
            Box::new(|nonce| proof(&machine, &another_nonce, nonce)),
        ),
        (
            "another challenge",
            Box::new(|_| proof(&machine, &own, &[0; 32])),
        ),
        (
            "the bare nonce",
            Box::new(|nonce| machine.key.sign(nonce).expect("signs")),
        ),
        (
            "an altered signature",
            Box::new(|nonce| {
                let mut signature = proof(&machine, &own, nonce);
                let at = signature.len() - 8;
                signature[at] ^= 1;
                signature
            }),
        ),
    ];
    for (what, wrong) in &wrong {
        let mut talk = Talk::open(&plane).await;
        let challenge = talk.challenge(&own).await.expect("a challenge");
        let status = talk.prove(wrong(&challenge)).await.expect_err("refused");
        assert_eq!(told(&status).0, ErrorCode::NodeCertificateRefused, "{what}");
        // There is no second try on one challenge.
        assert!(next(&mut talk.answers).await.is_none(), "{what}");
    }
    let told = plane.attest_refusals().await;
    assert_eq!(told, vec![(String::new(), AttestRefusal::BadProof); 7]);
    let nodes = plane.admin().await.get_nodes(v1::GetNodesRequest {}).await;
    assert!(nodes.expect("nodes").into_inner().nodes.is_empty());
}

#[tokio::test]
async fn a_proof_is_good_on_its_own_stream_alone_and_once() {
    let ca = Ca::root();
    let plane = plane(&[&ca]).await;
    let machine = ca.machine("n1");
    let offer = offer(&machine, &csr(&KeyPair::generate().expect("key")));
    let (mut first, mut second) = (Talk::open(&plane).await, Talk::open(&plane).await);
    let challenge = first.challenge(&offer).await.expect("a challenge");
    let other = second.challenge(&offer).await.expect("a challenge");
    assert_ne!(challenge, other, "the same offer is challenged anew");
    let good = proof(&machine, &offer, &challenge);
    let replayed = second.prove(good.clone()).await.expect_err("refused");
    assert_eq!(told(&replayed).0, ErrorCode::NodeCertificateRefused);
    first.prove(good.clone()).await.expect("attested");
    assert!(next(&mut first.answers).await.is_none(), "used up");
    let mut third = Talk::open(&plane).await;
    third.challenge(&offer).await.expect("a challenge");
    third.prove(good).await.expect_err("refused");
}

#[tokio::test]
async fn a_challenge_expires() {
    let ca = Ca::root();
    let dir = tempfile::tempdir().expect("temp dir");
    // A proof cannot be there before its challenge is.
    let plane = plane_within(&[&ca], dir, Some(Duration::ZERO)).await;
    let (code, message) = refused(&plane, &ca.machine("n1")).await;
    assert_eq!(code, ErrorCode::NodeCertificateRefused);
    assert!(message.contains("no proof came in time"), "{message}");
}

#[tokio::test]
async fn offers_have_bounds_and_an_order() {
    let ca = Ca::root();
    let plane = plane(&[&ca]).await;
    let machine = ca.machine("n1");
    let request = csr(&KeyPair::generate().expect("key"));
    let good = offer(&machine, &request);
    let with = |chain: Vec<Vec<u8>>| v1::X509PopOffer {
        chain,
        ..good.clone()
    };
    let leaf = &machine.chain[0];
    let cases = [
        (with(vec![]), ErrorCode::NodeCertificateRefused),
        (
            with(vec![leaf.clone(); 6]),
            ErrorCode::NodeCertificateRefused,
        ),
        (
            with(vec![leaf.clone(), vec![0x30; 20_000]]),
            ErrorCode::NodeCertificateRefused,
        ),
        (
            with(vec![b"noise".to_vec()]),
            ErrorCode::NodeCertificateRefused,
        ),
        (
            v1::X509PopOffer {
                nonce: vec![7; 31],
                ..good.clone()
            },
            ErrorCode::ArgumentInvalid,
        ),
        (
            v1::X509PopOffer {
                csr: vec![0; 10_000],
                ..good.clone()
            },
            ErrorCode::ArgumentInvalid,
        ),
    ];
    for (number, (offer, code)) in cases.iter().enumerate() {
        let mut talk = Talk::open(&plane).await;
        let status = talk.challenge(offer).await.expect_err("refused");
        assert_eq!(told(&status).0, *code, "{number}");
    }
    let mut talk = Talk::open(&plane).await;
    let early = talk.prove(vec![1]).await.expect_err("refused");
    assert_eq!(told(&early).0, ErrorCode::ArgumentInvalid);
    let mut talk = Talk::open(&plane).await;
    talk.challenge(&good).await.expect("a challenge");
    let twice = talk.challenge(&good).await.expect_err("refused");
    assert_eq!(told(&twice).0, ErrorCode::ArgumentInvalid);
    attest(&plane, &machine).await.expect("attested");
}

#[tokio::test]
async fn a_request_without_proof_of_its_own_key_is_refused() {
    let ca = Ca::root();
    let plane = plane(&[&ca]).await;
    let machine = ca.machine("n1");
    let offer = offer(&machine, &forged_csr(&KeyPair::generate().expect("key")));
    let mut talk = Talk::open(&plane).await;
    let challenge = talk.challenge(&offer).await.expect("a challenge");
    let proof = proof(&machine, &offer, &challenge);
    let status = talk.prove(proof).await.expect_err("refused");
    assert_eq!(status.code(), Code::InvalidArgument);
    let expected = vec![("n1".to_owned(), AttestRefusal::BadCsr)];
    assert_eq!(plane.attest_refusals().await, expected);
}

#[tokio::test]
async fn a_node_that_lost_all_attests_again_and_its_old_svid_is_shut_out() {
    let ca = Ca::root();
    let plane = plane(&[&ca]).await;
    let machine = ca.machine("n1");
    let old = attest(&plane, &machine).await.expect("attested");
    let (mut stream, _) = plane.synced(&old).await;
    // Its certificate was replaced meanwhile: it names the same node.
    let new = attest(&plane, &ca.machine("n1")).await.expect("attested");
    let ended = snapshot(&mut stream).await.expect_err("ended");
    assert_eq!(ended.message(), "the node attested anew");
    assert_eq!(syncs(&plane, &old).await, Code::Unauthenticated);
    assert_eq!(syncs(&plane, &new).await, Code::Ok);
}

#[tokio::test]
async fn a_certificate_takes_no_node_that_joined_by_a_token_unless_it_is_allowed() {
    let ca = Ca::root();
    let plane = plane(&[&ca]).await;
    let by_token = plane.attested("n1").await;
    let machine = ca.machine("n1");
    let (code, message) = refused(&plane, &machine).await;
    assert_eq!(code, ErrorCode::NodeCertificateNotAllowed);
    assert!(message.contains("node allow-certificate n1"), "{message}");
    assert_eq!(syncs(&plane, &by_token).await, Code::Ok);
    let expected = vec![("n1".to_owned(), AttestRefusal::NotAllowed)];
    assert_eq!(plane.attest_refusals().await, expected);

    assert!(allow(&plane, "n1").await.expect("allowed"));
    assert!(!allow(&plane, "n1").await.expect("allowed already"));
    attest(&plane, &machine).await.expect("attested");
    // A token is an operator's word again, for this node and no certificate.
    plane.attested("n1").await;
    let (code, _) = refused(&plane, &machine).await;
    assert_eq!(code, ErrorCode::NodeCertificateNotAllowed);

    let status = allow(&plane, "n2").await.expect_err("never joined");
    assert_eq!(told(&status).0, ErrorCode::NodeNotFound);
    let status = allow(&plane, "N2").await.expect_err("no name");
    assert_eq!(told(&status).0, ErrorCode::ArgumentInvalid);
}

#[tokio::test]
async fn a_revoked_node_does_not_come_back_by_its_certificate_until_it_is_allowed() {
    let ca = Ca::root();
    let plane = plane(&[&ca]).await;
    let machine = ca.machine("n1");
    let old = attest(&plane, &machine).await.expect("attested");
    revoke_node(&plane, "n1").await;
    assert_eq!(syncs(&plane, &old).await, Code::Unauthenticated);
    for machine in [&machine, &ca.machine("n1")] {
        let (code, _) = refused(&plane, machine).await;
        assert_eq!(code, ErrorCode::NodeCertificateNotAllowed);
    }
    assert!(!node_view(&plane, "n1").await.certificate_allowed);
    // Neither does a restart let it in, and other nodes are not concerned.
    let Plane {
        dir,
        plane: running,
    } = plane;
    running.stop().await;
    let plane = plane_within(&[&ca], dir, None).await;
    let (code, _) = refused(&plane, &machine).await;
    assert_eq!(code, ErrorCode::NodeCertificateNotAllowed);
    attest(&plane, &ca.machine("n2")).await.expect("attested");

    assert!(allow(&plane, "n1").await.expect("allowed"));
    let new = attest(&plane, &machine).await.expect("attested");
    assert_eq!(syncs(&plane, &new).await, Code::Ok);
    let log = plane.audited().await;
    let of_it = log.iter().filter(|(_, _, subject, _)| subject == "n1");
    let actions: BTreeSet<_> = of_it.map(|(_, action, ..)| action.as_str()).collect();
    for action in ["node-barred", "node-certificate-allowed"] {
        assert!(actions.contains(action), "{actions:?}");
    }
}

#[tokio::test]
async fn a_node_of_which_all_is_revoked_already_is_barred_all_the_same() {
    let ca = Ca::root();
    let plane = plane(&[&ca]).await;
    let machine = ca.machine("n1");
    let keys = attest(&plane, &machine).await.expect("attested");
    let der = pem::decode("CERTIFICATE", &keys.chain_pem).expect("PEM");
    let serial = Leaf::parse(&der[0]).expect("an SVID").serial.to_vec();
    let request = v1::RevokeRequest {
        what: Some(v1::revoke_request::What::Serial(serial)),
        reason: "a test".into(),
    };
    plane.admin().await.revoke(request).await.expect("revoked");
    // One SVID that is revoked says nothing of the machine.
    assert!(node_view(&plane, "n1").await.certificate_allowed);
    revoke_node(&plane, "n1").await;
    let (code, _) = refused(&plane, &machine).await;
    assert_eq!(code, ErrorCode::NodeCertificateNotAllowed);
}

#[tokio::test]
async fn a_rack_that_is_switched_on_gets_in() {
    let ca = Ca::root();
    let plane = plane(&[&ca]).await;
    let machines: Vec<_> = (0..24).map(|n| ca.machine(&format!("n{n}"))).collect();
    // All of them are challenged before the first one proves anything.
    let mut talks = Vec::new();
    for machine in &machines {
        let offer = offer(machine, &csr(&KeyPair::generate().expect("key")));
        let mut talk = Talk::open(&plane).await;
        let challenge = talk.challenge(&offer).await.expect("a challenge");
        talks.push((talk, proof(machine, &offer, &challenge)));
    }
    for (talk, proof) in &mut talks {
        talk.prove(proof.clone()).await.expect("attested");
    }
    let nodes = plane.admin().await.get_nodes(v1::GetNodesRequest {}).await;
    assert_eq!(nodes.expect("nodes").into_inner().nodes.len(), 24);
}

#[tokio::test]
async fn refused_certificates_do_not_flood_the_events() {
    let ca = Ca::root();
    let plane = plane(&[&ca]).await;
    let stranger = Ca::root().machine("n1");
    for _ in 0..60 {
        let (code, _) = refused(&plane, &stranger).await;
        assert_eq!(code, ErrorCode::NodeCertificateRefused);
    }
    let told = plane.attest_refusals().await.len();
    assert!((20..50).contains(&told), "{told}");
}
