//! Operators over real mutual TLS: what their roles let them do, and what nobody may.

use rcgen::KeyPair;
use tidelock_proto::v1;
use tidelock_proto::v1::admin_client::AdminClient;
use tidelock_proto::v1::revoke_request::What;
use tidelock_proto::{ADMIN_CALLS, MAX_MESSAGE_BYTES};
use tidelock_spiffe_core::x509::Leaf;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::common::{NodeKeys, Plane, code, csr, next, node_keys, policy, service};

/// An Operator document.
pub(crate) fn operator(name: &str, roles: &str, prefixes: &str) -> String {
    let prefixes = match prefixes {
        "" => String::new(),
        some => format!("\n  prefixes: [{some}]"),
    };
    format!(
        "---\napiVersion: tidelock.dev/v1\nkind: Operator\nmetadata: {{name: {name}}}\nspec:\n  roles: [{roles}]{prefixes}\n"
    )
}

/// A WorkloadIdentity with this path.
pub(crate) fn at(name: &str, path: &str) -> String {
    format!(
        "---\napiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: {name}}}\nspec:\n  \
         spiffeID: 'spiffe://example.org{path}'\n  selectors: ['unix:path:/usr/bin/{name}']\n"
    )
}

fn files(text: &str) -> Vec<v1::SourceFile> {
    vec![v1::SourceFile {
        name: "test.yaml".into(),
        text: text.into(),
        format: v1::SourceFormat::Yaml.into(),
    }]
}

pub(crate) type Admin = AdminClient<Channel>;

impl Plane {
    pub(crate) async fn issue(
        &self,
        admin: &mut Admin,
        name: &str,
        ttl_secs: u32,
    ) -> Result<NodeKeys, Status> {
        let key = KeyPair::generate().expect("key");
        let request = v1::IssueOperatorRequest {
            operator: name.into(),
            csr: csr(&key),
            ttl_secs,
        };
        let issued = admin.issue_operator(request).await?.into_inner();
        Ok(node_keys(&key, issued.chain))
    }

    pub(crate) async fn operator(&self, name: &str, roles: &str, prefixes: &str) -> NodeKeys {
        self.applied(&operator(name, roles, prefixes)).await;
        let mut admin = self.admin().await;
        self.issue(&mut admin, name, 600).await.expect("issued")
    }

    pub(crate) async fn by(&self, keys: &NodeKeys) -> Admin {
        let channel = self.connect(Some(keys)).await.expect("connect");
        AdminClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) async fn audited(&self) -> Vec<(String, String, String, String)> {
        let request = v1::ListAuditRequest::default();
        let listed = self.admin().await.list_audit(request).await;
        let mut stream = listed.expect("audit").into_inner();
        let mut entries = Vec::new();
        while let Some(entry) = next(&mut stream).await {
            let one = entry.expect("entry");
            entries.push((one.actor, one.action, one.subject, one.detail));
        }
        entries
    }
}

pub(crate) async fn applies(admin: &mut Admin, text: &str) -> Result<(), Vec<String>> {
    let request = v1::ApplyRequest { files: files(text) };
    let answer = admin.apply(request).await.expect("heard").into_inner();
    match answer.result.expect("a result") {
        v1::apply_response::Result::Applied(_) => Ok(()),
        v1::apply_response::Result::Refused(refused) => Err(told(&refused)),
    }
}

pub(crate) async fn deletes(
    admin: &mut Admin,
    kind: v1::DocumentKind,
    name: &str,
) -> Result<(), Vec<String>> {
    let document = v1::DocumentName {
        kind: kind.into(),
        name: name.into(),
    };
    let request = v1::DeleteRequest {
        documents: vec![document],
        ..Default::default()
    };
    let answer = admin.delete(request).await.expect("heard").into_inner();
    match answer.result.expect("a result") {
        v1::delete_response::Result::Deleted(_) => Ok(()),
        v1::delete_response::Result::Refused(refused) => Err(told(&refused)),
    }
}

fn told(refused: &v1::apply_response::Refused) -> Vec<String> {
    let line =
        |error: &v1::DocumentError| format!("{}:{}: {}", error.file, error.line, error.reason);
    refused.errors.iter().map(line).collect()
}

/// Makes a call by its path, with an empty message.
pub(crate) async fn called(channel: &Channel, path: &str) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    grpc.ready().await.expect("ready");
    let path = path.parse().expect("path");
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    grpc.unary(Request::new(()), path, codec).await.map(drop)
}

async fn raw(admin: &Channel, call: &str) -> Code {
    code(called(admin, &format!("/tidelock.v1.Admin/{call}")).await)
}

/// Which calls are let through to whom: viewer, editor and revoker of `/a`, viewer of everything, issuer, admin.
const MATRIX: [(&str, &str); 28] = [
    ("Apply", "-e---a"),
    ("Plan", "-e---a"),
    ("Delete", "-e---a"),
    ("GetIdentities", "vervia"),
    ("GetServices", "vervia"),
    ("GetPolicies", "---via"),
    ("GetNodes", "---via"),
    ("GetNodeGroups", "---via"),
    ("GetTrustDomains", "vervia"),
    ("GetFlows", "vervia"),
    ("CreateToken", "----ia"),
    ("AllowCertificate", "----ia"),
    ("GetStatus", "vervia"),
    ("Events", "---via"),
    ("ListAuthorities", "---via"),
    ("PrepareAuthority", "-----a"),
    ("ActivateAuthority", "-----a"),
    ("TaintAuthority", "-----a"),
    ("RevokeAuthority", "-----a"),
    ("GetBundle", "vervia"),
    ("MintJwt", "----ia"),
    ("GetCrl", "---via"),
    ("Revoke", "--r--a"),
    ("GetRevoked", "vervia"),
    ("ListAudit", "---via"),
    ("VerifyAudit", "---via"),
    ("GetOperators", "vervia"),
    ("IssueOperator", "-----a"),
];

#[tokio::test]
async fn every_call_is_let_through_to_whom_the_table_says_and_to_nobody_else() {
    let plane = Plane::start().await;
    let mut callers = Vec::new();
    for (name, roles, prefixes) in [
        ("v", "viewer", "/a"),
        ("e", "editor", "/a"),
        ("r", "revoker", "/a"),
        ("w", "viewer", "/"),
        ("i", "issuer", "/"),
        ("a", "admin", ""),
    ] {
        let keys = plane.operator(name, roles, prefixes).await;
        callers.push(plane.connect(Some(&keys)).await.expect("connect"));
    }
    for call in ADMIN_CALLS {
        let line = MATRIX.iter().find(|(name, _)| name == call);
        let (_, expected) = line.unwrap_or_else(|| panic!("say who may call {call}"));
        for (caller, letter) in callers.iter().zip(expected.chars()) {
            let refused = raw(caller, call).await == Code::PermissionDenied;
            assert_eq!(refused, letter == '-', "{call} of {expected}");
        }
    }
    let admin = callers.last().expect("the admin");
    assert_eq!(raw(admin, "Later").await, Code::PermissionDenied);
}

#[tokio::test]
async fn who_is_no_operator_is_not_heard() {
    let plane = Plane::start().await;
    let node = plane.attested("n1").await;
    let mut channels = vec![plane.connect(None).await.expect("connect")];
    channels.push(plane.connect(Some(&node)).await.expect("connect"));
    for channel in &channels {
        for call in ADMIN_CALLS.iter().chain(&["Later"]) {
            assert_eq!(raw(channel, call).await, Code::Unauthenticated, "{call}");
        }
    }
    // Nor is an operator an agent.
    let alice = plane.operator("alice", "admin", "").await;
    let request = v1::SyncRequest::default();
    let synced = plane.node(Some(&alice)).await.sync(request).await;
    assert_eq!(code(synced), Code::PermissionDenied);
    // A certificate is worth nothing without its key.
    let bob = plane.operator("bob", "viewer", "/").await;
    let stolen = NodeKeys {
        chain_pem: alice.chain_pem.clone(),
        key_pem: bob.key_pem.clone(),
    };
    let heard = match plane.connect(Some(&stolen)).await {
        Ok(channel) => raw(&channel, "GetStatus").await == Code::Ok,
        Err(_) => false,
    };
    assert!(!heard);
}

#[tokio::test]
async fn an_editor_changes_identities_under_its_prefixes_and_no_others() {
    let plane = Plane::start().await;
    plane
        .applied(&(at("b", "/b/web") + &service("s", "10.0.0.1:80")))
        .await;
    let keys = plane.operator("eve", "editor", "/a, /c/d/").await;
    let mut eve = plane.by(&keys).await;
    for (name, path) in [
        ("a", "/a"),
        ("a1", "/a/x/y"),
        ("t", "/a/{{node.name}}"),
        ("c", "/c/d/e"),
    ] {
        assert_eq!(applies(&mut eve, &at(name, path)).await, Ok(()), "{path}");
    }
    let generation = plane.generation().await;
    for path in [
        "/ab",
        "/b/web",
        "/c",
        "/c/de",
        "/x/a",
        "/A",
        "/{{node.name}}/a",
        "/a{{unix.uid}}/x",
    ] {
        let refused = applies(&mut eve, &(at("a", "/a/ok") + &at("new", path))).await;
        let told = refused.expect_err(path);
        assert_eq!(told.len(), 1, "{told:?}");
        let start = "test.yaml:11: operator `eve` may not change WorkloadIdentity `new`: ";
        assert!(told[0].starts_with(start), "{told:?}");
        assert!(
            told[0].contains("does not lie under `/a`, `/c/d`"),
            "{told:?}"
        );
        assert!(told[0].contains("needed is the role `editor`"), "{told:?}");
    }
    // From inside to outside, and the other way round: another's is not taken over, not even as it is.
    assert!(applies(&mut eve, &at("a", "/b/a")).await.is_err());
    let taken = applies(&mut eve, &at("b", "/a/b")).await.expect_err("b");
    assert!(
        taken[0].contains("it gives `spiffe://example.org/b/web` now"),
        "{taken:?}"
    );
    assert!(applies(&mut eve, &at("b", "/b/web")).await.is_err());
    // What is of no path, and what makes operators.
    for other in [
        service("mine", "10.0.0.2:80"),
        policy("p", "permit(principal, action, resource);"),
        operator("eve", "admin", ""),
        operator("mallory", "viewer", "/a"),
    ] {
        assert!(applies(&mut eve, &other).await.is_err(), "{other}");
    }
    let kinds = [
        (v1::DocumentKind::WorkloadIdentity, "b"),
        (v1::DocumentKind::Service, "s"),
        (v1::DocumentKind::Operator, "eve"),
    ];
    for (kind, name) in kinds {
        assert!(deletes(&mut eve, kind, name).await.is_err(), "{name}");
    }
    let request = v1::PlanRequest {
        files: files(&at("b", "/a/b")),
        deletion: true,
    };
    let planned = eve.plan(request).await.expect("heard").into_inner();
    let refused = matches!(planned.result, Some(v1::plan_response::Result::Refused(_)));
    assert!(refused, "{planned:?}");
    assert_eq!(plane.generation().await, generation, "nothing was changed");
    let deleted = deletes(&mut eve, v1::DocumentKind::WorkloadIdentity, "a1").await;
    assert_eq!(deleted, Ok(()));
}

#[tokio::test]
async fn an_operator_sees_what_lies_under_its_prefixes_and_itself() {
    let plane = Plane::start().await;
    plane.applied(&(at("a", "/a/web") + &at("ab", "/ab"))).await;
    plane
        .applied(&(service("a", "10.0.0.1:80") + &service("b", "10.0.0.2:80")))
        .await;
    let vera = plane.operator("vera", "viewer", "/a").await;
    let walt = plane.operator("walt", "viewer", "/").await;
    let (mut vera, mut walt) = (plane.by(&vera).await, plane.by(&walt).await);
    for (admin, identities, services, operators) in [
        (&mut vera, vec!["a"], vec!["a"], vec!["vera"]),
        (
            &mut walt,
            vec!["a", "ab"],
            vec!["a", "b"],
            vec!["vera", "walt"],
        ),
    ] {
        let answer = admin.get_identities(v1::GetIdentitiesRequest {}).await;
        let found = answer.expect("answered").into_inner().identities;
        let found: Vec<_> = found
            .into_iter()
            .map(|one| one.entry.expect("entry").id)
            .collect();
        assert_eq!(found, identities);
        let answer = admin.get_services(v1::GetServicesRequest {}).await;
        let found = answer.expect("answered").into_inner().services;
        let found: Vec<_> = found.into_iter().map(|one| one.name).collect();
        assert_eq!(found, services);
        let answer = admin.get_operators(v1::GetOperatorsRequest {}).await;
        let found = answer.expect("answered").into_inner().operators;
        let found: Vec<_> = found.into_iter().map(|one| one.name).collect();
        assert_eq!(found, operators);
    }
}

#[tokio::test]
async fn nobody_gives_itself_what_only_an_admin_gives() {
    let plane = Plane::start().await;
    let root = plane.operator("root", "admin", "").await;
    let keys = plane.operator("mia", "editor, revoker, issuer", "/").await;
    let mut mia = plane.by(&keys).await;
    for text in [
        operator("mia", "admin", ""),
        operator("root", "viewer", "/"),
        operator("other", "viewer", "/"),
        at("x", "/tidelock/operator/root"),
        at("x", "/Tidelock/operator/root"),
    ] {
        assert!(applies(&mut mia, &text).await.is_err(), "{text}");
    }
    for name in ["mia", "root"] {
        assert!(
            deletes(&mut mia, v1::DocumentKind::Operator, name)
                .await
                .is_err()
        );
        let issued = plane.issue(&mut mia, name, 600).await;
        assert_eq!(code(issued), Code::PermissionDenied, "{name}");
    }
    // Nor does it take away an admin's credential, or that of the control plane.
    let serial = serial(&root);
    let ids =
        ["operator/root", "operator/mia"].map(|id| format!("spiffe://example.org/tidelock/{id}"));
    let mut targets: Vec<_> = ids.into_iter().map(What::SpiffeId).collect();
    targets.push(What::Serial(serial));
    let of_control = plane
        .audited()
        .await
        .into_iter()
        .find(|(_, action, subject, _)| {
            (action.as_str(), subject.as_str()) == ("svid-issued", "/tidelock/control")
        });
    let detail: serde_json::Value =
        serde_json::from_str(&of_control.expect("its own").3).expect("JSON");
    targets.push(What::Serial(bytes(
        detail["serial"].as_str().expect("serial"),
    )));
    for target in targets {
        let request = revoking(target.clone());
        let revoked = mia.revoke(request).await;
        assert_eq!(code(revoked), Code::PermissionDenied, "{target:?}");
    }
    let request = v1::GetStatusRequest {};
    assert_eq!(
        code(plane.by(&root).await.get_status(request).await),
        Code::Ok
    );
}

pub(crate) fn serial(keys: &NodeKeys) -> Vec<u8> {
    let chain = tidelock_spiffe_core::pem::decode("CERTIFICATE", &keys.chain_pem).expect("pem");
    Leaf::parse(&chain[0]).expect("leaf").serial.to_vec()
}

fn bytes(hex: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
    (0..hex.len()).step_by(2).map(pair).collect()
}

pub(crate) fn revoking(what: What) -> v1::RevokeRequest {
    v1::RevokeRequest {
        what: Some(what),
        reason: "lost".into(),
    }
}

#[tokio::test]
async fn a_revoker_revokes_under_its_prefixes_only() {
    let plane = Plane::start().await;
    plane
        .applied(&(at("a", "/a/web") + &at("b", "/b/web")))
        .await;
    let node = plane.attested("n1").await;
    let mut serials = Vec::new();
    for name in ["a", "b"] {
        let request = v1::SignRequest {
            entry_id: name.into(),
            spiffe_id: format!("spiffe://example.org/{name}/web"),
            csr: csr(&KeyPair::generate().expect("key")),
        };
        let signed = plane
            .node(Some(&node))
            .await
            .sign(request)
            .await
            .expect("signed");
        let chain = signed.into_inner().chain;
        serials.push(Leaf::parse(&chain[0]).expect("leaf").serial.to_vec());
    }
    let keys = plane.operator("rita", "revoker", "/a").await;
    let mut rita = plane.by(&keys).await;
    for what in [
        What::Serial(serials[1].clone()),
        What::Serial(serial(&node)),
        What::SpiffeId("spiffe://example.org/b/web".into()),
        What::SpiffeId("spiffe://example.org/ab".into()),
        What::Node("n1".into()),
    ] {
        let revoked = rita.revoke(revoking(what.clone())).await;
        assert_eq!(code(revoked), Code::PermissionDenied, "{what:?}");
    }
    let revoked = rita
        .revoke(revoking(What::Serial(serials[0].clone())))
        .await;
    assert_eq!(revoked.expect("revoked").into_inner().revoked.len(), 1);
    plane
        .admin()
        .await
        .revoke(revoking(What::Node("n1".into())))
        .await
        .expect("revoked");
    let listed = rita.get_revoked(v1::GetRevokedRequest {}).await;
    let mut listed = listed.expect("listed").into_inner();
    let first = next(&mut listed).await.expect("one").expect("a revocation");
    assert_eq!(first.svid.expect("svid").serial, serials[0]);
    assert_eq!(first.actor, "operator rita (revoker)");
    assert!(
        next(&mut listed).await.is_none(),
        "others' are not hers to see"
    );
}
