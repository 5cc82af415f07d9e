//! Who may have which SVID signed.

use crate::common::{NodeKeys, Plane, code, csr, forged_csr, identity, node_keys};
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _, SanType};
use tidelock_proto::v1;
use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_spiffe_core::x509::Leaf;
use tonic::Code;

fn request(entry: &str, csr: Vec<u8>) -> v1::SignRequest {
    let spiffe_id = format!("spiffe://example.org/{entry}");
    v1::SignRequest {
        entry_id: entry.into(),
        spiffe_id,
        csr,
    }
}

/// The chain of an SVID for `curl`.
async fn signed(plane: &Plane, keys: &NodeKeys, key: &KeyPair) -> Vec<Vec<u8>> {
    let mut client = plane.node(Some(keys)).await;
    let signed = client.sign(request("curl", csr(key))).await;
    signed.expect("signed").into_inner().chain
}

async fn plane() -> (Plane, NodeKeys) {
    let plane = Plane::start().await;
    let documents = [
        identity("curl", "  svid: {ttl: 10s}\n"),
        identity("wget", "  nodes: [n1]\n"),
        identity("foreign", "  nodes: [n2]\n"),
    ];
    plane.applied(&documents.concat()).await;
    let keys = plane.attested("n1").await;
    (plane, keys)
}

#[tokio::test]
async fn an_entry_of_the_node_gives_an_svid() {
    let (plane, keys) = plane().await;
    let mut client = plane.node(Some(&keys)).await;
    for (entry, ttl) in [("curl", 10), ("wget", 3_600)] {
        let key = KeyPair::generate().expect("key");
        let before = now();
        let response = client
            .sign(request(entry, csr(&key)))
            .await
            .expect("signed")
            .into_inner();
        let leaf = Leaf::parse(&response.chain[0]).expect("an X509-SVID");
        assert_eq!(leaf.id.as_str(), format!("spiffe://example.org/{entry}"));
        assert_eq!(leaf.spki, key.subject_public_key_info());
        assert!(
            (before + ttl..=now() + ttl).contains(&leaf.not_after),
            "{entry}"
        );
        let issued = plane
            .event(|e| matches!(&e.kind, Some(EventKind::SvidIssued(i)) if i.entry_id == entry))
            .await;
        let Some(EventKind::SvidIssued(issued)) = issued.kind else {
            panic!()
        };
        assert_eq!(issued.serial, leaf.serial);
    }
}

fn now() -> i64 {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(now.as_secs()).expect("in range")
}

#[tokio::test]
async fn the_spiffe_id_comes_from_the_entry_and_never_from_the_request() {
    let (plane, keys) = plane().await;
    let key = KeyPair::generate().expect("key");
    let mut params = CertificateParams::default();
    let uri = "spiffe://example.org/tidelock/control"
        .try_into()
        .expect("IA5");
    params.subject_alt_names = vec![SanType::URI(uri)];
    let csr = params.serialize_request(&key).expect("csr").der().to_vec();
    let mut client = plane.node(Some(&keys)).await;
    let response = client
        .sign(request("curl", csr))
        .await
        .expect("signed")
        .into_inner();
    let leaf = Leaf::parse(&response.chain[0]).expect("an X509-SVID");
    assert_eq!(leaf.id.as_str(), "spiffe://example.org/curl");
    assert!(leaf.names().count() == 1);
}

#[tokio::test]
async fn what_is_not_the_nodes_is_refused_and_told() {
    let (plane, keys) = plane().await;
    let mut client = plane.node(Some(&keys)).await;
    let key = KeyPair::generate().expect("key");
    let mut changed = request("curl", csr(&key));
    changed.spiffe_id = "spiffe://example.org/wget".into();
    let cases = [
        (request("foreign", csr(&key)), Code::PermissionDenied),
        (request("absent", csr(&key)), Code::NotFound),
        (request("../wget", csr(&key)), Code::NotFound),
        (changed, Code::FailedPrecondition),
        (request("curl", forged_csr(&key)), Code::InvalidArgument),
        (request("curl", vec![]), Code::InvalidArgument),
    ];
    let count = cases.len();
    for (request, expected) in cases {
        let entry = request.entry_id.clone();
        assert_eq!(code(client.sign(request).await), expected, "{entry}");
    }
    let refused =
        |e: &v1::Event| matches!(&e.kind, Some(EventKind::CallRefused(r)) if r.call == "Sign");
    let told: Vec<_> = plane.events().await.into_iter().filter(refused).collect();
    assert_eq!(told.len(), count);
    assert!(told.iter().all(|e| e.node == "n1"));
}

#[tokio::test]
async fn of_a_template_a_node_gets_its_own_id_and_no_other() {
    let plane = Plane::start().await;
    let of_node =
        identity("web", "").replace("example.org/web", "{{trustDomain}}/{{node.name}}/web");
    plane.applied(&of_node).await;
    let keys = plane.attested("n1").await;
    let (_stream, snapshot) = plane.synced(&keys).await;
    let entry = &snapshot.entries[0];
    assert_eq!(entry.spiffe_id, "spiffe://example.org/n1/web");
    let mut client = plane.node(Some(&keys)).await;
    let key = KeyPair::generate().expect("key");
    let ask = |spiffe_id: &str| v1::SignRequest {
        entry_id: "web".into(),
        spiffe_id: spiffe_id.into(),
        csr: csr(&key),
    };
    let signed = client.sign(ask("spiffe://example.org/n1/web")).await;
    let leaf = Leaf::parse(&signed.expect("signed").into_inner().chain[0])
        .map(|leaf| leaf.id.as_str().to_owned());
    assert_eq!(leaf.expect("an X509-SVID"), "spiffe://example.org/n1/web");
    for other in [
        "spiffe://example.org/n2/web",
        "spiffe://example.org/n1/web/x",
        "spiffe://example.org/{{node.name}}/web",
        "spiffe://{{trustDomain}}/{{node.name}}/web",
        "",
    ] {
        assert_eq!(
            code(client.sign(ask(other)).await),
            Code::FailedPrecondition,
            "{other}"
        );
    }
}

#[tokio::test]
async fn of_a_template_of_processes_a_node_gets_what_comes_of_it_there_and_no_more() {
    let plane = Plane::start().await;
    let of_users = identity("web", "").replace(
        "example.org/web",
        "{{trustDomain}}/{{node.name}}/user/{{unix.uid}}",
    );
    plane.applied(&of_users).await;
    let keys = plane.attested("n1").await;
    let (_stream, snapshot) = plane.synced(&keys).await;
    let entry = &snapshot.entries[0];
    let told = (entry.spiffe_id.as_str(), entry.version);
    assert_eq!(told, ("spiffe://example.org/n1/user/{{unix.uid}}", 2));
    let mut client = plane.node(Some(&keys)).await;
    let key = KeyPair::generate().expect("key");
    let ask = |spiffe_id: &str| v1::SignRequest {
        entry_id: "web".into(),
        spiffe_id: spiffe_id.into(),
        csr: csr(&key),
    };
    for id in [
        "spiffe://example.org/n1/user/0",
        "spiffe://example.org/n1/user/1000",
    ] {
        let chain = client
            .sign(ask(id))
            .await
            .expect("signed")
            .into_inner()
            .chain;
        let leaf = Leaf::parse(&chain[0]).expect("an X509-SVID");
        assert_eq!(leaf.id.as_str(), id);
    }
    for other in [
        "spiffe://example.org/n2/user/1000",
        "spiffe://example.org/n1/user/ada",
        "spiffe://example.org/n1/user/01",
        "spiffe://example.org/n1/user/1000/x",
        "spiffe://example.org/n1/user/{{unix.uid}}",
        "spiffe://example.org/n1/users/1000",
        "spiffe://example.org/tidelock/agent/n1",
        "",
    ] {
        let refused = client.sign(ask(other)).await.expect_err(other);
        assert_eq!(refused.code(), Code::FailedPrecondition, "{other}");
        let why = "does not come of `spiffe://{{trustDomain}}/{{node.name}}/user/{{unix.uid}}` on this node";
        assert!(refused.message().contains(why), "{refused}");
    }
}

#[tokio::test]
async fn nothing_but_attest_is_for_callers_without_a_nodes_svid() {
    let (plane, keys) = plane().await;
    let key = KeyPair::generate().expect("key");
    let workload = node_keys(&key, signed(&plane, &keys, &key).await);
    for (who, keys, expected) in [
        ("anonymous", None, Code::Unauthenticated),
        ("a workload", Some(&workload), Code::PermissionDenied),
    ] {
        let mut client = plane.node(keys).await;
        let reports = tokio_stream::iter([v1::ReportRequest::default()]);
        assert_eq!(
            code(client.sign(request("curl", csr(&key))).await),
            expected,
            "{who}"
        );
        assert_eq!(
            code(client.renew(v1::RenewRequest { csr: csr(&key) }).await),
            expected,
            "{who}"
        );
        assert_eq!(
            code(client.sync(v1::SyncRequest::default()).await),
            expected,
            "{who}"
        );
        assert_eq!(code(client.report(reports).await), expected, "{who}");
    }
}

#[tokio::test]
async fn certificates_of_another_authority_do_not_get_through_tls() {
    let (plane, _) = plane().await;
    let other = Plane::start().await;
    let foreign = other.attested("n1").await;
    // In TLS 1.3 the refusal arrives with the first read.
    let refused = match plane.connect(Some(&foreign)).await {
        Err(_) => true,
        Ok(channel) => {
            let mut client = tidelock_proto::v1::node_client::NodeClient::new(channel);
            let answer = client.sync(v1::SyncRequest::default()).await;
            !matches!(
                code(answer),
                Code::Ok | Code::PermissionDenied | Code::Unauthenticated
            )
        }
    };
    assert!(refused);
}

#[tokio::test]
async fn what_is_issued_is_in_the_audit_log_when_it_is_handed_over() {
    let (plane, keys) = plane().await;
    let key = KeyPair::generate().expect("key");
    let chain = signed(&plane, &keys, &key).await;
    let leaf = Leaf::parse(&chain[0]).expect("an X509-SVID");
    let serial: String = leaf.serial.iter().map(|b| format!("{b:02x}")).collect();
    let database = plane
        .dir
        .path()
        .join("ca")
        .join(tidelock_control::DATABASE_FILE);
    let connection = rusqlite::Connection::open(database).expect("open");
    let sql = "SELECT actor, action, subject FROM audit WHERE detail LIKE ?1";
    let like = [format!("%{serial}%")];
    let row: (String, String, String) = connection
        .query_row(sql, like, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .expect("one");
    let expected = ["node n1", "svid-issued", "spiffe://example.org/curl"];
    assert_eq!([row.0, row.1, row.2], expected);
    let attested = "SELECT actor FROM audit WHERE action = 'node-attested' AND subject = 'n1'";
    let actor: String = connection
        .query_row(attested, [], |row| row.get(0))
        .expect("one");
    assert!(actor.starts_with("token "), "{actor}");
}

#[tokio::test]
async fn what_cannot_be_written_down_is_not_issued() {
    let (plane, keys) = plane().await;
    let mut client = plane.node(Some(&keys)).await;
    let database = plane
        .dir
        .path()
        .join("ca")
        .join(tidelock_control::DATABASE_FILE);
    let connection = rusqlite::Connection::open(database).expect("open");
    let full = "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'full'); END";
    connection.execute_batch(full).expect("trigger");
    let key = KeyPair::generate().expect("key");
    let refused = client.sign(request("curl", csr(&key))).await;
    let refused = refused.expect_err("refused");
    assert_eq!(refused.code(), Code::Internal);
    assert!(
        refused.message().starts_with("nothing was issued"),
        "{refused}"
    );
    let renew = v1::RenewRequest { csr: csr(&key) };
    assert_eq!(code(client.renew(renew).await), Code::Internal);
    connection.execute_batch("DROP TRIGGER full").expect("room");
    assert_eq!(
        code(client.sign(request("curl", csr(&key))).await),
        Code::Ok
    );
}
