//! Revoking SVIDs: which those are, who hears of it, and who is not let in any more.

use crate::common::{NodeKeys, Plane, code, csr, identity, next, snapshot};
use crate::sync::{report, reporting};
use rcgen::KeyPair;
use tidelock_proto::v1;
use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_proto::v1::report_request::Report;
use tidelock_proto::v1::revoke_request::What;
use tidelock_spiffe_core::pem;
use tidelock_spiffe_core::x509::Leaf;
use tonic::{Code, Status};

pub(crate) type Answer = Result<v1::RevokeResponse, Status>;

impl Plane {
    pub(crate) async fn revoked(&self, what: What) -> Answer {
        self.revoke_for(what, "the laptop is gone").await
    }

    async fn revoke_for(&self, what: What, reason: &str) -> Answer {
        let request = v1::RevokeRequest {
            what: Some(what),
            reason: reason.into(),
        };
        let revoked = self.admin().await.revoke(request).await;
        revoked.map(tonic::Response::into_inner)
    }

    /// An SVID for this entry; its serial number.
    pub(crate) async fn signed(&self, keys: &NodeKeys, entry: &str) -> Result<Vec<u8>, Status> {
        let request = v1::SignRequest {
            entry_id: entry.into(),
            spiffe_id: format!("spiffe://example.org/{entry}"),
            csr: csr(&KeyPair::generate().expect("key")),
        };
        let signed = self.node(Some(keys)).await.sign(request).await?;
        Ok(serial(&signed.into_inner().chain[0]))
    }

    /// What is revoked now, as `tidelock get revoked` asks.
    async fn listed(&self) -> Vec<v1::Revocation> {
        let mut admin = self.admin().await;
        let listed = admin.get_revoked(v1::GetRevokedRequest {}).await;
        let mut stream = listed.expect("listed").into_inner();
        let mut all = Vec::new();
        while let Some(one) = next(&mut stream).await {
            all.push(one.expect("a revocation"));
        }
        all
    }

    /// The audit log's entries of what was revoked.
    async fn revocations(&self) -> Vec<v1::AuditEntry> {
        let request = v1::ListAuditRequest::default();
        let listed = self.admin().await.list_audit(request).await;
        let mut stream = listed.expect("audit").into_inner();
        let mut entries = Vec::new();
        while let Some(entry) = next(&mut stream).await {
            entries.push(entry.expect("entry"));
        }
        entries.retain(|entry| entry.action == "svid-revoked");
        entries
    }
}

fn serial(leaf: &[u8]) -> Vec<u8> {
    Leaf::parse(leaf).expect("leaf").serial.to_vec()
}

fn own_serial(keys: &NodeKeys) -> Vec<u8> {
    serial(&pem::decode("CERTIFICATE", &keys.chain_pem).expect("pem")[0])
}

fn sorted(mut serials: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    serials.sort();
    serials
}

fn serials(answer: &v1::RevokeResponse) -> Vec<Vec<u8>> {
    sorted(
        answer
            .revoked
            .iter()
            .map(|one| one.serial.clone())
            .collect(),
    )
}

fn id(name: &str) -> What {
    What::SpiffeId(format!("spiffe://example.org/{name}"))
}

async fn plane() -> (Plane, NodeKeys, NodeKeys) {
    let plane = Plane::start().await;
    plane
        .applied(&(identity("curl", "") + &identity("wget", "")))
        .await;
    let (n1, n2) = (plane.attested("n1").await, plane.attested("n2").await);
    (plane, n1, n2)
}

#[tokio::test]
async fn every_svid_of_an_identity_is_revoked_on_all_nodes_and_told_to_each() {
    let (plane, n1, n2) = plane().await;
    let (mut stream, first) = plane.synced(&n2).await;
    assert_eq!(first.revoked_serials, [[0; 0]; 0]);
    let curl = [
        plane.signed(&n1, "curl").await.expect("signed"),
        plane.signed(&n2, "curl").await.expect("signed"),
    ];
    let wget = plane.signed(&n1, "wget").await.expect("signed");
    let answer = plane.revoked(id("curl")).await.expect("revoked");
    let curl = sorted(curl.to_vec());
    assert_eq!((serials(&answer), answer.already), (curl.clone(), 0));
    assert!(!curl.contains(&wget));
    let pushed = snapshot(&mut stream).await.expect("snapshot");
    assert_eq!(pushed.generation, answer.generation);
    assert_eq!(pushed.revoked_serials, curl);
    let entries = plane.revocations().await;
    assert_eq!(entries.len(), 2);
    for entry in entries {
        assert_eq!(entry.subject, "spiffe://example.org/curl");
        assert!(entry.actor.starts_with("uid "), "{}", entry.actor);
        assert!(
            entry.detail.contains("the laptop is gone"),
            "{}",
            entry.detail
        );
    }
    let told = |e: &v1::Event| matches!(&e.kind, Some(EventKind::SvidsRevoked(r)) if r.count == 2 && r.what == "identity spiffe://example.org/curl");
    plane.event(told).await;

    // Another one is issued, and is none of those; that is said again as often as it is asked.
    let new = plane.signed(&n1, "curl").await.expect("signed anew");
    assert!(!curl.contains(&new));
    let again = plane.revoked(id("curl")).await.expect("revoked");
    assert_eq!((serials(&again), again.already), (vec![new], 2));
    let nothing = plane.revoked(id("curl")).await.expect("revoked");
    assert_eq!((nothing.revoked.len(), nothing.already), (0, 3));
    assert_eq!(nothing.generation, again.generation, "no news");
    assert_eq!(plane.revocations().await.len(), 3);
}

#[tokio::test]
async fn what_is_revoked_stays_so_over_a_restart() {
    let (plane, n1, _) = plane().await;
    let curl = plane.signed(&n1, "curl").await.expect("signed");
    let answer = plane
        .revoked(What::Serial(curl.clone()))
        .await
        .expect("revoked");
    assert_eq!(serials(&answer), std::slice::from_ref(&curl));
    let one = &answer.revoked[0];
    assert_eq!(
        (one.spiffe_id.as_str(), one.node.as_str()),
        ("spiffe://example.org/curl", "n1")
    );
    let plane = plane.restart().await;
    assert_eq!(
        plane.generation().await,
        answer.generation,
        "nothing else has changed"
    );
    let (_stream, first) = plane.synced(&n1).await;
    assert_eq!(first.revoked_serials, std::slice::from_ref(&curl));
    let again = plane.revoked(What::Serial(curl)).await.expect("revoked");
    assert_eq!((again.revoked.len(), again.already), (0, 1));
}

#[tokio::test]
async fn what_is_revoked_is_listed_with_what_was_asked_for_by_whom_and_why() {
    let (plane, n1, n2) = plane().await;
    assert_eq!(plane.listed().await, []);
    let curl = plane.signed(&n1, "curl").await.expect("signed");
    let wget = plane.signed(&n2, "wget").await.expect("signed");
    let svid = plane.revoke_for(What::Serial(curl.clone()), "leaked").await;
    let identity = plane.revoke_for(id("wget"), "gone").await;
    let node = plane.revoke_for(What::Node("n1".into()), "stolen").await;
    let answers = [svid, identity, node].map(|answer| answer.expect("revoked"));
    let listed = plane.listed().await;
    let told = |serial: &[u8]| {
        let is =
            |one: &&v1::Revocation| one.svid.as_ref().is_some_and(|svid| svid.serial == serial);
        let one = listed.iter().find(is).expect("it is listed");
        assert!(
            one.actor.starts_with("uid ") && one.time_unix_ns > 0,
            "{one:?}"
        );
        (one.what.clone(), one.reason.clone())
    };
    let hex = curl.iter().map(|byte| format!("{byte:02x}"));
    let hex: String = hex.collect();
    let pair = |what: &str, reason: &str| (what.to_owned(), reason.to_owned());
    assert_eq!(told(&curl), pair(&format!("svid {hex}"), "leaked"));
    let asked = pair("identity spiffe://example.org/wget", "gone");
    assert_eq!(told(&wget), asked);
    // Of what the node was given one was revoked already: that is told as it was.
    assert_eq!(told(&own_serial(&n1)), pair("node n1", "stolen"));
    // Each as it was revoked, and in order.
    let mut all: Vec<_> = answers.iter().flat_map(|a| a.revoked.clone()).collect();
    all.sort_by(|a, b| a.serial.cmp(&b.serial));
    let svids: Vec<_> = listed.iter().filter_map(|one| one.svid.clone()).collect();
    assert_eq!(svids, all);
    let plane = plane.restart().await;
    assert_eq!(plane.listed().await, listed);
}

#[tokio::test]
async fn a_revoked_node_is_cut_off_with_all_it_was_given_until_it_joins_anew() {
    let (plane, n1, n2) = plane().await;
    let curl = plane.signed(&n1, "curl").await.expect("signed");
    let other = plane.signed(&n2, "curl").await.expect("signed");
    let (mut stream, _) = plane.synced(&n1).await;
    let (_reports, answer) = reporting(&plane, &n1).await;
    let (mut others, _) = plane.synced(&n2).await;

    let revoked = plane
        .revoked(What::Node("n1".into()))
        .await
        .expect("revoked");
    assert_eq!(serials(&revoked), sorted(vec![curl, own_serial(&n1)]));
    assert!(!serials(&revoked).contains(&other));
    let own = "spiffe://example.org/tidelock/agent/n1";
    assert!(revoked.revoked.iter().any(|one| one.spiffe_id == own));
    let pushed = snapshot(&mut others).await.expect("snapshot");
    assert_eq!(pushed.revoked_serials, serials(&revoked));

    let ended = loop {
        match snapshot(&mut stream).await {
            Ok(_) => {}
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), Code::Unauthenticated, "{ended}");
    assert_eq!(code(answer.await.expect("answered")), Code::Unauthenticated);
    let status = plane.signed(&n1, "curl").await.expect_err("revoked");
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(
        status.message().contains("revoked") && status.message().contains("join"),
        "{status}"
    );
    let mut client = plane.node(Some(&n1)).await;
    let renew = v1::RenewRequest {
        csr: csr(&KeyPair::generate().expect("key")),
    };
    assert_eq!(code(client.renew(renew).await), Code::Unauthenticated);
    plane
        .signed(&n2, "curl")
        .await
        .expect("the other node goes on");

    let anew = plane.attested("n1").await;
    plane.signed(&anew, "curl").await.expect("signed");
    assert_eq!(code(plane.signed(&n1, "curl").await), Code::Unauthenticated);
}

#[tokio::test]
async fn an_svid_that_has_expired_is_revoked_where_a_connection_lives_on_it() {
    let plane = Plane::start().await;
    plane
        .applied(&identity("curl", "  svid: {ttl: 10s}\n"))
        .await;
    let (n1, n2) = (plane.attested("n1").await, plane.attested("n2").await);
    let used = plane.signed(&n1, "curl").await.expect("signed");
    let unused = plane.signed(&n1, "curl").await.expect("signed");
    let (sender, _answer) = reporting(&plane, &n2).await;
    let flow = |id, peer_serial: &[u8]| v1::Flow {
        id,
        peer_id: "spiffe://example.org/curl".into(),
        peer_serial: peer_serial.to_vec(),
        ..v1::Flow::default()
    };
    // What a node makes up is not revoked.
    for flow in [flow(1, &used), flow(2, &[7; 16]), flow(3, &own_serial(&n2))] {
        sender
            .send(report(Report::FlowOpened(flow)))
            .await
            .expect("sent");
    }
    plane
        .event(|e| matches!(&e.kind, Some(EventKind::FlowOpened(flow)) if flow.id == 3))
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(11)).await;
    let answer = plane.revoked(id("curl")).await.expect("revoked");
    assert_eq!(serials(&answer), [used]);
    assert!(!serials(&answer).contains(&unused));
}

#[tokio::test]
async fn what_was_never_issued_here_is_refused_and_changes_nothing() {
    let (plane, n1, _) = plane().await;
    plane.signed(&n1, "curl").await.expect("signed");
    let generation = plane.generation().await;
    for (what, expected, says) in [
        (
            What::Serial(vec![7; 16]),
            Code::NotFound,
            "no SVID of this serial number",
        ),
        (What::Serial(vec![]), Code::InvalidArgument, "1 to 20 bytes"),
        (
            What::Serial(vec![1; 21]),
            Code::InvalidArgument,
            "1 to 20 bytes",
        ),
        (id("nobody"), Code::NotFound, "no SVID was ever issued for"),
        (id("wget"), Code::NotFound, "no SVID was ever issued for"),
        (
            id("tidelock/agent/n1"),
            Code::InvalidArgument,
            "revoke node",
        ),
        (
            What::SpiffeId("spiffe://other.org/curl".into()),
            Code::InvalidArgument,
            "another trust domain",
        ),
        (
            What::SpiffeId("curl".into()),
            Code::InvalidArgument,
            "`curl`",
        ),
        (What::Node("n9".into()), Code::NotFound, "never joined"),
        (What::Node("N 9".into()), Code::InvalidArgument, "name"),
    ] {
        let status = plane.revoked(what).await.expect_err("refused");
        assert_eq!(status.code(), expected, "{status}");
        assert!(status.message().contains(says), "{status}");
    }
    for reason in ["", "a\nb", &"x".repeat(257)] {
        let refused = plane.revoke_for(id("curl"), reason).await;
        assert_eq!(code(refused), Code::InvalidArgument);
    }
    let nothing = v1::RevokeRequest {
        what: None,
        reason: "why".into(),
    };
    assert_eq!(
        code(plane.admin().await.revoke(nothing).await),
        Code::InvalidArgument
    );
    assert_eq!(plane.generation().await, generation);
    assert!(plane.revocations().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_is_given_while_it_is_revoked_is_revoked_too() {
    let (plane, n1, _) = plane().await;
    let client = plane.node(Some(&n1)).await;
    // Prepared before, so that they meet the revocation and not each other.
    let request = v1::SignRequest {
        entry_id: "curl".into(),
        spiffe_id: "spiffe://example.org/curl".into(),
        csr: csr(&KeyPair::generate().expect("key")),
    };
    let signing: Vec<_> = (0..200)
        .map(|_| {
            let (mut client, request) = (client.clone(), request.clone());
            tokio::spawn(async move { client.sign(request).await })
        })
        .collect();
    let revoked = plane.revoked(What::Node("n1".into())).await;
    let revoked = serials(&revoked.expect("revoked"));
    for signed in signing {
        match signed.await.expect("ran") {
            Ok(signed) => {
                let serial = serial(&signed.into_inner().chain[0]);
                assert!(
                    revoked.contains(&serial),
                    "{serial:02x?} was given and not revoked"
                );
            }
            Err(status) => assert_eq!(status.code(), Code::Unauthenticated, "{status}"),
        }
    }
}
