//! Joining: what a token opens, and what it does not.

use crate::common::{Plane, code, csr, forged_csr, node_keys, snapshot};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rcgen::{KeyPair, PublicKeyData as _};
use tidelock_proto::v1;
use tidelock_proto::v1::AttestRefusal;
use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_spiffe_core::pem;
use tidelock_spiffe_core::x509::Leaf;
use tonic::Code;

#[tokio::test]
async fn a_token_gives_a_node_its_svid() {
    let plane = Plane::start().await;
    let token = plane.token("n1", 60).await;
    let key = KeyPair::generate().expect("key");
    let request = v1::AttestRequest {
        token,
        csr: csr(&key),
    };
    let mut client = plane.node(None).await;
    let response = client.attest(request).await.expect("attest").into_inner();

    let leaf = Leaf::parse(&response.chain[0]).expect("an X509-SVID");
    assert_eq!(leaf.id.as_str(), "spiffe://example.org/tidelock/agent/n1");
    assert_eq!(leaf.spki, key.subject_public_key_info());
    let bundle = response.bundle.expect("bundle");
    assert_eq!(bundle.trust_domain, "example.org");
    let published = pem::decode("CERTIFICATE", &plane.bundle()).expect("PEM");
    assert_eq!(bundle.x509_authorities, published);

    let keys = node_keys(&key, response.chain);
    plane.synced(&keys).await;
    let attested = plane
        .event(|e| matches!(e.kind, Some(EventKind::NodeAttested(_))))
        .await;
    assert_eq!(attested.node, "n1");
}

#[tokio::test]
async fn a_token_that_is_wrong_used_or_expired_is_refused_and_told() {
    let plane = Plane::start().await;
    let key = KeyPair::generate().expect("key");
    let mut client = plane.node(None).await;
    let mut attest = async |token: &str| {
        let request = v1::AttestRequest {
            token: token.into(),
            csr: csr(&key),
        };
        client.attest(request).await.map(|_| ())
    };
    let (used, expired) = (plane.token("n1", 60).await, plane.token("n2", 1).await);
    attest(&used).await.expect("the first time");

    // The right id with another secret: not even the node's name is known then.
    let other = plane.token("n3", 60).await;
    let mixed = format!("{}{}", &used[..15], &other[15..]);
    for (token, reason) in [
        ("", "not known"),
        ("tlj1.nonsense", "not known"),
        (&mixed, "not known"),
    ] {
        let status = attest(token).await.expect_err("refused");
        assert_eq!(status.code(), Code::Unauthenticated);
        assert!(status.message().contains(reason), "{status:?}");
    }
    let status = attest(&used).await.expect_err("used");
    assert_eq!(
        (status.code(), status.message()),
        (
            Code::Unauthenticated,
            "the join token has been used already"
        )
    );
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    let status = attest(&expired).await.expect_err("expired");
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unauthenticated, "the join token has expired")
    );

    let told = plane.attest_refusals().await;
    let unknown = (String::new(), AttestRefusal::UnknownToken);
    let expected = [
        unknown.clone(),
        unknown.clone(),
        unknown,
        ("n1".to_owned(), AttestRefusal::UsedToken),
        ("n2".to_owned(), AttestRefusal::ExpiredToken),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_request_without_proof_of_possession_does_not_use_the_token_up() {
    let plane = Plane::start().await;
    let token = plane.token("n1", 60).await;
    let key = KeyPair::generate().expect("key");
    let mut client = plane.node(None).await;
    for bad in [forged_csr(&key), vec![], vec![0x30; 100], vec![0; 10_000]] {
        let request = v1::AttestRequest {
            token: token.clone(),
            csr: bad,
        };
        assert_eq!(code(client.attest(request).await), Code::InvalidArgument);
    }
    let expected = vec![("n1".to_owned(), AttestRefusal::BadCsr); 4];
    assert_eq!(plane.attest_refusals().await, expected);
    let request = v1::AttestRequest {
        token,
        csr: csr(&key),
    };
    assert_eq!(code(client.attest(request).await), Code::Ok);
}

#[tokio::test]
async fn one_of_many_callers_with_one_token_gets_in() {
    let plane = Plane::start().await;
    let token = plane.token("n1", 60).await;
    let client = plane.node(None).await;
    let calls = (0..16).map(|_| {
        let (mut client, token) = (client.clone(), token.clone());
        tokio::spawn(async move {
            let key = KeyPair::generate().expect("key");
            code(
                client
                    .attest(v1::AttestRequest {
                        token,
                        csr: csr(&key),
                    })
                    .await,
            )
        })
    });
    let mut codes = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        codes.push(call.await.expect("no panic"));
    }
    assert_eq!(
        codes.iter().filter(|&&c| c == Code::Ok).count(),
        1,
        "{codes:?}"
    );
    assert_eq!(
        codes
            .iter()
            .filter(|&&c| c == Code::Unauthenticated)
            .count(),
        15,
        "{codes:?}"
    );
}

#[tokio::test]
async fn tokens_are_for_nodes_with_proper_names_and_bounded_lives() {
    let plane = Plane::start().await;
    let mut admin = plane.admin().await;
    for (node, ttl_secs) in [
        ("", 60),
        ("N1", 60),
        ("../control", 60),
        ("n1", 0),
        ("n1", 604_801),
    ] {
        let request = v1::CreateTokenRequest {
            node: node.into(),
            ttl_secs,
        };
        assert_eq!(
            code(admin.create_token(request).await),
            Code::InvalidArgument,
            "{node} {ttl_secs}"
        );
    }
}

#[tokio::test]
async fn attesting_anew_shuts_the_old_svid_out() {
    let plane = Plane::start().await;
    let old = plane.attested("n1").await;
    let (mut stream, _) = plane.synced(&old).await;
    let new = plane.attested("n1").await;
    let ended = snapshot(&mut stream).await.expect_err("ended");
    assert_eq!(
        (ended.code(), ended.message()),
        (Code::Aborted, "the node attested anew")
    );
    let request = || v1::SyncRequest::default();
    assert_eq!(
        code(plane.node(Some(&old)).await.sync(request()).await),
        Code::Unauthenticated
    );
    assert_eq!(
        code(plane.node(Some(&new)).await.sync(request()).await),
        Code::Ok
    );
}

#[tokio::test]
async fn a_renewed_svid_and_the_one_before_it_count() {
    let plane = Plane::start().await;
    let first = plane.attested("n1").await;
    let mut held = vec![first];
    for _ in 0..2 {
        let key = KeyPair::generate().expect("key");
        let mut client = plane.node(held.last()).await;
        let response = client
            .renew(v1::RenewRequest { csr: csr(&key) })
            .await
            .expect("renew");
        held.push(node_keys(&key, response.into_inner().chain));
    }
    let expected = [Code::Unauthenticated, Code::Ok, Code::Ok];
    for (keys, expected) in held.iter().zip(expected) {
        let request = v1::SyncRequest::default();
        assert_eq!(
            code(plane.node(Some(keys)).await.sync(request).await),
            expected
        );
    }
    let key = KeyPair::generate().expect("key");
    let mut client = plane.node(held.last()).await;
    let request = v1::RenewRequest {
        csr: forged_csr(&key),
    };
    assert_eq!(code(client.renew(request).await), Code::InvalidArgument);
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_written_down_or_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
    let _logging =
        tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());

    let plane = Plane::start().await;
    let token = plane.token("n1", 60).await;
    let key = KeyPair::generate().expect("key");
    for _ in 0..2 {
        let request = v1::AttestRequest {
            token: token.clone(),
            csr: csr(&key),
        };
        let _ = plane.node(None).await.attest(request).await;
    }
    let dir = plane.dir;
    plane.plane.stop().await;

    let logged = String::from_utf8(log.0.lock().expect("not poisoned").clone()).expect("UTF-8");
    assert!(
        logged.contains("node attested") && logged.contains("has been used already"),
        "{logged}"
    );
    let mut written = vec![(PathBuf::from("the log"), logged)];
    for entry in std::fs::read_dir(dir.path().join("ca")).expect("list") {
        let path = entry.expect("entry").path();
        let bytes = std::fs::read(&path).expect("read");
        written.push((path, String::from_utf8_lossy(&bytes).into_owned()));
    }
    let is_key = |path: &Path| path.extension().is_some_and(|e| e == "key");
    let keys = written.iter().filter(|(path, _)| is_key(path));
    // The third line: the second may be of what they are encrypted with, which is the same.
    let secret = |key: &str| key.lines().nth(2).expect("PEM").to_owned();
    let keys: Vec<_> = keys.map(|(path, key)| (path, secret(key))).collect();
    assert_eq!(keys.len(), 2, "of certificates, and of JWT-SVIDs");
    for (path, text) in &written {
        assert!(
            !text.contains(&token[20..]),
            "the token is in {}",
            path.display()
        );
        for (own, secret) in &keys {
            assert_eq!(text.contains(secret), path == *own, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn guessing_tokens_does_not_flood_the_events() {
    let plane = Plane::start().await;
    let mut client = plane.node(None).await;
    for _ in 0..100 {
        let request = v1::AttestRequest {
            token: "tlj1.guess".into(),
            csr: vec![],
        };
        assert_eq!(code(client.attest(request).await), Code::Unauthenticated);
    }
    let told = plane.attest_refusals().await.len();
    assert!((20..40).contains(&told), "{told}");
}
