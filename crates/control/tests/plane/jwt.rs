//! Who may have which JWT-SVID signed, for whom and for how long.

use std::time::{SystemTime, UNIX_EPOCH};

use tidelock_control::ControlPlane;
use tidelock_proto::v1;
use tidelock_proto::{ERROR_CODE_METADATA, MAX_JWT_AUDIENCE_BYTES, MAX_JWT_AUDIENCES};
use tidelock_spiffe_core::jwt::{Audience, JwtError, JwtSvid, P256, UnverifiedJwt};
use tidelock_spiffe_core::{Bundle, BundleSet};
use tonic::{Code, Response, Status};

use crate::common::{NodeKeys, Plane, code, identity, options};
use crate::operators::{Admin, at, revoking};

/// Who is shown the tokens here.
pub(crate) const AUDIENCE: &str = "https://reports.example.com";

pub(crate) fn now() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(now.as_secs()).expect("in range")
}

/// A request for an entry whose SPIFFE ID has its name.
pub(crate) fn request(entry: &str, audience: &[&str], ttl_secs: u32) -> v1::SignJwtRequest {
    v1::SignJwtRequest {
        entry_id: entry.into(),
        spiffe_id: format!("spiffe://example.org/{entry}"),
        audience: audience.iter().map(|&name| name.to_owned()).collect(),
        ttl_secs,
    }
}

/// Validates as who is shown it would, from the bundle alone.
pub(crate) fn validated(
    token: &str,
    bundle: &Bundle,
    audience: &str,
    now: i64,
) -> Result<JwtSvid, JwtError> {
    let bundles = BundleSet::from(bundle.clone());
    JwtSvid::validate(token, &bundles, Audience::of(&[audience]), now, &P256)
}

impl Plane {
    pub(crate) async fn sign_jwt(
        &self,
        keys: &NodeKeys,
        request: v1::SignJwtRequest,
    ) -> Result<v1::SignJwtResponse, Status> {
        let answer = self.node(Some(keys)).await.sign_jwt(request).await;
        answer.map(Response::into_inner)
    }
}

pub(crate) async fn mint(
    admin: &mut Admin,
    path: &str,
    audience: &[&str],
    ttl_secs: u32,
) -> Result<v1::MintJwtResponse, Status> {
    let request = v1::MintJwtRequest {
        spiffe_id: format!("spiffe://example.org{path}"),
        audience: audience.iter().map(|&name| name.to_owned()).collect(),
        ttl_secs,
    };
    admin.mint_jwt(request).await.map(Response::into_inner)
}

fn borne<T>(refused: Result<T, Status>) -> String {
    let status = refused.err().expect("refused");
    let code = status.metadata().get(ERROR_CODE_METADATA);
    let code = code.and_then(|code| code.to_str().ok());
    code.unwrap_or_default().to_owned()
}

async fn plane() -> (Plane, NodeKeys) {
    let plane = Plane::start().await;
    let documents = [
        identity("curl", "  svid: {ttl: 60s}\n"),
        identity("wget", "  nodes: [n1]\n"),
        identity("apart", "  svid: {ttl: 10s, jwtTTL: 20m}\n"),
        identity("foreign", "  nodes: [n2]\n"),
        at("user", "/{{node.name}}/user/{{unix.uid}}"),
    ];
    plane.applied(&documents.concat()).await;
    let keys = plane.attested("n1").await;
    (plane, keys)
}

#[tokio::test]
async fn an_entry_of_the_node_gives_a_jwt_svid_that_its_audience_takes() {
    let (plane, keys) = plane().await;
    let mut user = request("user", &[AUDIENCE], 3_600);
    user.spiffe_id = "spiffe://example.org/n1/user/1000".into();
    for (request, lives) in [
        (request("curl", &[AUDIENCE], 0), 60),
        (request("curl", &[AUDIENCE], 10), 10),
        (request("wget", &["other", AUDIENCE], 0), 300),
        (request("apart", &[AUDIENCE], 1_200), 1_200),
        (user, 3_600),
    ] {
        let before = now();
        let asked = request.clone();
        let signed = plane.sign_jwt(&keys, request).await.expect("signed");
        let bundle = plane.jwks().await;
        let read = validated(&signed.token, &bundle, AUDIENCE, now()).expect("it is taken");
        assert_eq!(read.id().as_str(), asked.spiffe_id);
        assert!(read.audience().eq(&asked.audience));
        assert_eq!(read.expires_at(), signed.expires_unix_secs);
        let ends = before + lives..=now() + lives;
        assert!(ends.contains(&read.expires_at()), "{asked:?}");
        let key_id = UnverifiedJwt::parse(&signed.token).expect("a token");
        let active = plane.jwt_authorities().await.remove(0);
        assert_eq!(key_id.key_id(), Some(active.id.as_str()));
    }
}

#[tokio::test]
async fn what_is_not_the_nodes_gives_no_jwt_svid_and_is_told() {
    let (plane, keys) = plane().await;
    let mut changed = request("curl", &[AUDIENCE], 0);
    changed.spiffe_id = "spiffe://example.org/wget".into();
    let mut others = request("user", &[AUDIENCE], 0);
    others.spiffe_id = "spiffe://example.org/n2/user/1000".into();
    let many: Vec<String> = (0..=MAX_JWT_AUDIENCES).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = "x".repeat(MAX_JWT_AUDIENCE_BYTES + 1);
    let cases = [
        (request("foreign", &[AUDIENCE], 0), "NOT_PERMITTED"),
        (request("absent", &[AUDIENCE], 0), "NOT_FOUND"),
        (request("../wget", &[AUDIENCE], 0), "NOT_FOUND"),
        (changed, "NOT_POSSIBLE"),
        (others, "NOT_POSSIBLE"),
        (request("curl", &[], 0), "AUDIENCE_INVALID"),
        (request("curl", &[""], 0), "AUDIENCE_INVALID"),
        (request("curl", &["a", "a"], 0), "AUDIENCE_INVALID"),
        (request("curl", &["a\u{1b}[2J"], 0), "AUDIENCE_INVALID"),
        (request("curl", &[&long], 0), "AUDIENCE_INVALID"),
        (request("curl", &many, 0), "AUDIENCE_INVALID"),
        (request("curl", &[AUDIENCE], 61), "JWT_LIFE_INVALID"),
        (request("wget", &[AUDIENCE], 3_601), "JWT_LIFE_INVALID"),
        (request("curl", &[AUDIENCE], 9), "JWT_LIFE_INVALID"),
        (request("apart", &[AUDIENCE], 1_201), "JWT_LIFE_INVALID"),
    ];
    let count = cases.len();
    for (request, code) in cases {
        let told = format!("{request:?}");
        assert_eq!(borne(plane.sign_jwt(&keys, request).await), code, "{told}");
    }
    use tidelock_proto::v1::event::Kind;
    let refused = plane.events().await.into_iter().filter(|event| {
        matches!(&event.kind, Some(Kind::CallRefused(refused)) if refused.call == "SignJwt" && event.node == "n1")
    });
    assert_eq!(refused.count(), count);
    let issued = plane.audited().await.into_iter();
    assert_eq!(
        issued
            .filter(|(_, action, ..)| action == "jwt-svid-issued")
            .count(),
        0
    );
    let mut anonymous = plane.node(None).await;
    let refused = anonymous.sign_jwt(request("curl", &["a"], 0)).await;
    assert_eq!(code(refused), Code::Unauthenticated);
    // What the documents take away is gone at once.
    plane.applied(&identity("wget", "  nodes: [n2]\n")).await;
    let gone = plane.sign_jwt(&keys, request("wget", &["a"], 0)).await;
    assert_eq!(code(gone), Code::PermissionDenied);
}

#[tokio::test]
async fn a_node_that_is_revoked_or_asks_too_often_gets_no_jwt_svid() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut options = options(dir.path());
    // Certificates and tokens count alike: the node's own SVID is not asked for by it.
    (options.issuance.burst, options.issuance.per_second) = (2, 1);
    // A machine that is held up for a second between two of them gives one back: so many are asked for.
    const MANY: usize = 20;
    let plane = ControlPlane::start(options).await.expect("start");
    let plane = Plane { dir, plane };
    plane.applied(&identity("curl", "")).await;
    let keys = plane.attested("n1").await;
    let other = plane.attested("n2").await;
    let ask = || request("curl", &[AUDIENCE], 0);
    let mut answers = Vec::new();
    for _ in 0..MANY {
        answers.push(code(plane.sign_jwt(&keys, ask()).await));
    }
    assert_eq!(answers[..2], [Code::Ok, Code::Ok]);
    assert!(
        answers[2..].contains(&Code::ResourceExhausted),
        "{answers:?}"
    );
    let node = v1::revoke_request::What::Node("n2".into());
    let revoked = plane.admin().await.revoke(revoking(node)).await;
    revoked.expect("revoked");
    if let Ok(channel) = plane.connect(Some(&other)).await {
        let mut client = v1::node_client::NodeClient::new(channel);
        let refused = client.sign_jwt(ask()).await;
        assert_eq!(code(refused), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn each_jwt_svid_is_in_the_audit_log_and_its_token_is_not() {
    let (plane, keys) = plane().await;
    let mut admin = plane.admin().await;
    let signed = plane.sign_jwt(&keys, request("curl", &[AUDIENCE], 0));
    let signed = signed.await.expect("signed");
    let minted = mint(&mut admin, "/ci/build", &["a", "b"], 60).await;
    let minted = minted.expect("minted");
    let audited = plane.audited().await;
    let audited: Vec<_> = audited
        .iter()
        .filter(|(_, action, ..)| action == "jwt-svid-issued")
        .collect();
    let [(node, _, curl, first), (operator, _, build, second)] = audited[..] else {
        panic!("{audited:?}");
    };
    assert_eq!(
        (node.as_str(), curl.as_str()),
        ("node n1", "spiffe://example.org/curl")
    );
    assert!(operator.starts_with("uid "), "{operator}");
    assert_eq!(build, "spiffe://example.org/ci/build");
    let first: serde_json::Value = serde_json::from_str(first).expect("JSON");
    assert_eq!(first["entry"], "curl");
    assert_eq!(first["audience"], serde_json::json!([AUDIENCE]));
    assert_eq!(first["not_after"], signed.expires_unix_secs);
    let second: serde_json::Value = serde_json::from_str(second).expect("JSON");
    assert_eq!(second["audience"], serde_json::json!(["a", "b"]));
    assert_eq!(second["token_id"], minted.token_id.as_str());
    assert_eq!(second["key_id"], minted.key_id.as_str());
    assert_ne!(first["token_id"], second["token_id"]);
    let bundle = plane.jwks().await;
    let read = validated(&minted.token, &bundle, "b", now()).expect("it is taken");
    let jti = format!("\"jti\":\"{}\"", minted.token_id);
    assert!(read.claims().contains(&jti), "{}", read.claims());

    // Nowhere in what it keeps, that is: a token is a secret.
    let dir = plane.dir;
    plane.plane.stop().await;
    for entry in std::fs::read_dir(dir.path().join("ca")).expect("list") {
        let bytes = std::fs::read(entry.expect("entry").path()).expect("read");
        for token in [&signed.token, &minted.token] {
            let signature = token.rsplit('.').next().expect("a signature");
            let found = bytes
                .windows(signature.len())
                .any(|at| at == signature.as_bytes());
            assert!(!found, "a token is kept");
        }
    }
}

#[tokio::test]
async fn an_issuer_mints_under_its_prefixes_and_makes_no_nodes_there() {
    let plane = Plane::start().await;
    plane
        .applied(&identity("short", "  svid: {ttl: 30s}\n"))
        .await;
    let ivy = plane.operator("ivy", "issuer", "/ci, /short").await;
    let mut ivy = plane.by(&ivy).await;
    let minted = mint(&mut ivy, "/ci/build", &[AUDIENCE], 0).await;
    let minted = minted.expect("minted");
    let read = validated(&minted.token, &plane.jwks().await, AUDIENCE, now());
    assert_eq!(
        read.expect("taken").id().as_str(),
        "spiffe://example.org/ci/build"
    );
    for (path, audience, ttl_secs, code) in [
        ("/cia/build", AUDIENCE, 0, "NOT_PERMITTED"),
        ("/web", AUDIENCE, 0, "NOT_PERMITTED"),
        ("/tidelock/agent/n1", AUDIENCE, 0, "ARGUMENT_INVALID"),
        ("/Tidelock/operator/ivy", AUDIENCE, 0, "ARGUMENT_INVALID"),
        ("", AUDIENCE, 0, "ARGUMENT_INVALID"),
        ("/ci/../web", AUDIENCE, 0, "ARGUMENT_INVALID"),
        (".evil/ci/build", AUDIENCE, 0, "ARGUMENT_INVALID"),
        ("/ci/build", "", 0, "AUDIENCE_INVALID"),
        ("/ci/build", AUDIENCE, 3_601, "JWT_LIFE_INVALID"),
        // A document writes this one out, and says for how long.
        ("/short", AUDIENCE, 31, "JWT_LIFE_INVALID"),
    ] {
        let refused = mint(&mut ivy, path, &[audience], ttl_secs).await;
        assert_eq!(borne(refused), code, "{path} {ttl_secs}");
    }
    let node = "n9".to_owned();
    let token = v1::CreateTokenRequest { node, ttl_secs: 60 };
    assert_eq!(borne(ivy.create_token(token).await), "NOT_PERMITTED");
    let told = plane.audited().await;
    let refused = told.iter().filter(|(actor, action, subject, _)| {
        (actor.as_str(), action.as_str(), subject.as_str())
            == ("operator ivy", "call-refused", "MintJwt")
    });
    assert_eq!(refused.count(), 2);
}
