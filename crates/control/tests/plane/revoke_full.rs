//! Revoking where nodes are told of as many SVIDs as they take already, and what keeps one node from bringing that about.

use std::collections::BTreeSet;

use rusqlite::params;
use tidelock_control::ControlPlane;
use tidelock_proto::v1::revoke_request::What;
use tidelock_proto::{ErrorCode, MAX_REVOKED_SVIDS, v1};
use tonic::Code;

use crate::common::{NodeKeys, Plane, code, csr, identity, next, options};

/// When what fills the list is over: in a hundred years.
const FAR: i64 = 4_900_000_000;

impl Plane {
    /// The same, begun anew with so many SVIDs on the list that nothing here has issued.
    async fn with_revoked(self, count: usize) -> Self {
        let Self { dir, plane } = self;
        plane.stop().await;
        let path = dir.path().join("ca").join("control.db");
        let mut database = rusqlite::Connection::open(path).expect("open");
        let all = database.transaction().expect("begin");
        for n in 0..u32::try_from(count).expect("few") {
            let sql = "INSERT INTO revoked (serial, spiffe_id, node, until) VALUES (?1, 'spiffe://example.org/x', 'x', ?2)";
            all.execute(sql, params![&n.to_be_bytes()[..], FAR])
                .expect("insert");
        }
        all.commit().expect("commit");
        drop(database);
        Self::start_in(dir).await
    }

    /// The audit log's entries of this kind.
    async fn audit_of(&self, action: &str) -> Vec<v1::AuditEntry> {
        let request = v1::ListAuditRequest::default();
        let listed = self.admin().await.list_audit(request).await;
        let mut stream = listed.expect("audit").into_inner();
        let mut entries = Vec::new();
        while let Some(entry) = next(&mut stream).await {
            entries.push(entry.expect("entry"));
        }
        entries.retain(|entry| entry.action == action);
        entries
    }

    /// Whether a node is let in: to Sign, to Sync, and to Renew.
    async fn let_in(&self, keys: &NodeKeys) -> [Code; 3] {
        let signed = code(self.signed(keys, "curl").await);
        let mut client = self.node(Some(keys)).await;
        let synced = code(client.sync(v1::SyncRequest::default()).await);
        let renew = v1::RenewRequest {
            csr: csr(&rcgen::KeyPair::generate().expect("key")),
        };
        [signed, synced, code(client.renew(renew).await)]
    }
}

async fn plane() -> (Plane, NodeKeys) {
    let plane = Plane::start().await;
    plane.applied(&identity("curl", "")).await;
    let n1 = plane.attested("n1").await;
    (plane, n1)
}

#[tokio::test]
async fn a_node_is_barred_though_nodes_can_be_told_of_no_further_svid() {
    let (plane, n1) = plane().await;
    plane.signed(&n1, "curl").await.expect("signed");
    let plane = plane.with_revoked(MAX_REVOKED_SVIDS).await;
    plane.signed(&n1, "curl").await.expect("signed");
    let answer = plane.revoked(What::Node("n1".into())).await;
    let answer = answer.expect("it is barred");
    assert_eq!(answer.revoked, []);
    let out = [Code::Unauthenticated; 3];
    assert_eq!(plane.let_in(&n1).await, out);
    let plane = plane.restart().await;
    assert_eq!(plane.let_in(&n1).await, out, "after a restart, too");
    let barred = plane.audit_of("node-barred").await;
    assert_eq!((barred.len(), barred[0].subject.as_str()), (1, "n1"));
    let anew = plane.attested("n1").await;
    plane.signed(&anew, "curl").await.expect("joined anew");
    assert_eq!(plane.let_in(&n1).await, out);
}

/// Of a node that is revoked where there is little room: what goes first, and what is told of the rest.
#[tokio::test]
async fn what_nodes_cannot_be_told_of_is_in_the_answer_and_in_the_audit_log() {
    let (plane, n1) = plane().await;
    let plane = plane.with_revoked(MAX_REVOKED_SVIDS - 2).await;
    let mut signed = Vec::new();
    for _ in 0..3 {
        signed.push(plane.signed(&n1, "curl").await.expect("signed"));
    }
    let answer = plane.revoked(What::Node("n1".into())).await;
    let answer = answer.expect("revoked");
    assert_eq!((answer.revoked.len(), answer.left_out.len()), (2, 2));
    let agent = "spiffe://example.org/tidelock/agent/n1";
    let is_own = |one: &v1::RevokedSvid| one.spiffe_id == agent;
    assert!(answer.revoked.iter().any(is_own), "its own goes first");
    let all = answer.revoked.iter().chain(&answer.left_out);
    let all: BTreeSet<_> = all.map(|one| one.serial.clone()).collect();
    assert!(signed.iter().all(|serial| all.contains(serial)));
    assert_eq!(plane.let_in(&n1).await, [Code::Unauthenticated; 3]);
    let entries = plane.audit_of("revocation-incomplete").await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].subject, "node n1");
    for part in ["\"left_out\":2", "\"revoked\":2", "the laptop is gone"] {
        assert!(entries[0].detail.contains(part), "{}", entries[0].detail);
    }
    assert_eq!(plane.audit_of("svid-revoked").await.len(), 2);

    // Where nothing has room, nothing else is to be done for an identity.
    let what = What::SpiffeId("spiffe://example.org/curl".into());
    let status = plane.revoked(what).await.expect_err("no room");
    assert_eq!(ErrorCode::from(&status), ErrorCode::RevokedTooMany);
    assert!(status.message().contains("tidelock authority"), "{status}");
    let entries = plane.audit_of("revocation-incomplete").await;
    assert_eq!(entries.len(), 2, "what was refused is put down, too");
    assert!(entries[1].detail.contains("\"revoked\":0"), "{entries:?}");
}

#[tokio::test]
async fn a_node_is_given_no_more_than_can_be_revoked_before_and_after_a_restart() {
    let (plane, n1) = plane().await;
    let Plane { mut dir, plane } = plane;
    plane.stop().await;
    let mut options = options(dir.path());
    options.issuance.unexpired = 2;
    let begin = || ControlPlane::start(options.clone());
    let mut plane = begin().await.expect("start");
    for _ in 0..2 {
        let this = Plane { dir, plane };
        this.signed(&n1, "curl").await.ok();
        this.signed(&n1, "curl").await.ok();
        let status = this.signed(&n1, "curl").await.expect_err("too many");
        assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
        assert!(status.message().contains("svid.ttl"), "{status}");
        assert_eq!(
            this.audit_of("svid-issued")
                .await
                .iter()
                .filter(|e| e.actor == "node n1")
                .count(),
            2
        );
        (dir, plane) = (this.dir, this.plane);
        plane.stop().await;
        plane = begin().await.expect("start");
    }
    let this = Plane { dir, plane };
    // Both are on the list. Others beside them would take the room of what other nodes have.
    this.signed(&n1, "curl").await.expect_err("too many");
    let what = What::SpiffeId("spiffe://example.org/curl".into());
    this.revoked(what).await.expect("revoked");
    this.signed(&n1, "curl").await.expect_err("too many still");
    this.revoked(What::Node("n1".into()))
        .await
        .expect("revoked");
    let anew = this.attested("n1").await;
    this.signed(&anew, "curl").await.expect("let in anew");
}
