//! What programs are told of errors.

use tidelock_proto::{ADMIN_CALLS, ERROR_CODE_METADATA, ErrorCode, v1};
use tonic::Status;

use crate::common::{Plane, policy};
use crate::operators::{at, called};

/// The code that a refusal bears: that it bears one is the point.
fn borne(refused: Result<(), Status>) -> String {
    let status = refused.expect_err("refused");
    let code = status.metadata().get(ERROR_CODE_METADATA);
    let code = code.unwrap_or_else(|| panic!("no code: {status:?}"));
    code.to_str().expect("ASCII").to_owned()
}

#[tokio::test]
async fn every_refused_call_bears_a_code() {
    let plane = Plane::start().await;
    let anonymous = plane.connect(None).await.expect("connect");
    let keys = plane.operator("v", "viewer", "/a").await;
    let viewer = plane.connect(Some(&keys)).await.expect("connect");
    for call in ADMIN_CALLS.iter().chain(&["Later"]) {
        let path = format!("/tidelock.v1.Admin/{call}");
        assert_eq!(
            borne(called(&anonymous, &path).await),
            "CALLER_UNKNOWN",
            "{call}"
        );
        let refused = called(&viewer, &path).await;
        let permitted = |status: &Status| status.code() != tonic::Code::PermissionDenied;
        if refused.as_ref().err().is_none_or(permitted) {
            continue;
        }
        assert_eq!(borne(refused), "NOT_PERMITTED", "{call}");
    }
    let keys = plane.operator("a", "admin", "").await;
    let admin = plane.connect(Some(&keys)).await.expect("connect");
    for (path, code) in [
        ("Admin/CreateToken", "ARGUMENT_INVALID"),
        ("Admin/Revoke", "ARGUMENT_INVALID"),
        ("Admin/IssueOperator", "ARGUMENT_INVALID"),
        ("Admin/ActivateAuthority", "AUTHORITY_NOT_FOUND"),
        ("Admin/RevokeAuthority", "AUTHORITY_NOT_FOUND"),
        ("Node/Later", "CALL_UNKNOWN"),
        ("Node/Renew", "NOT_PERMITTED"),
    ] {
        let refused = called(&admin, &format!("/tidelock.v1.{path}")).await;
        assert_eq!(borne(refused), code, "{path}");
    }
    assert_eq!(
        borne(called(&anonymous, "/tidelock.v1.Node/Renew").await),
        "CALLER_UNKNOWN"
    );
}

#[tokio::test]
async fn what_is_not_there_is_told_by_what_it_would_have_been() {
    let plane = Plane::start().await;
    let mut admin = plane.admin().await;
    let document = v1::DocumentName {
        kind: v1::DocumentKind::Service.into(),
        name: "web".into(),
    };
    let request = v1::DeleteRequest {
        documents: vec![document],
        ..Default::default()
    };
    let deleted = admin.delete(request).await.map(drop);
    assert_eq!(borne(deleted), "DOCUMENT_NOT_FOUND");
    let uri = format!("unix://{}", plane.dir.path().join("ca.sock").display());
    let socket = tonic::transport::Endpoint::from_shared(uri).expect("a socket");
    let socket = socket.connect().await.expect("connect");
    let later = called(&socket, "/tidelock.v1.Admin/Later").await;
    assert_eq!(borne(later), "CALL_UNKNOWN");
    let issued = plane.issue(&mut admin, "nobody", 600).await.map(drop);
    assert_eq!(borne(issued), "OPERATOR_NOT_FOUND");
    use v1::revoke_request::What;
    for (what, code) in [
        (What::Serial(vec![1]), "SVID_NOT_FOUND"),
        (
            What::SpiffeId("spiffe://example.org/never".into()),
            "SVID_NOT_FOUND",
        ),
        (What::Node("n9".into()), "NODE_NOT_FOUND"),
    ] {
        let request = crate::operators::revoking(what);
        assert_eq!(borne(admin.revoke(request).await.map(drop)), code);
    }
}

#[tokio::test]
async fn every_error_of_a_document_has_a_code_that_is_known() {
    let plane = Plane::start().await;
    let wrong = at("x", "/x").replace("selectors", "selektors") + &at("y", "/tidelock/y");
    let errors = plane.refused(&wrong).await;
    let codes: Vec<_> = errors.iter().map(|error| error.code.as_str()).collect();
    assert_eq!(
        codes,
        ["FIELD_MISSING", "FIELD_UNKNOWN", "SPIFFE_ID_RESERVED"]
    );
    assert!(codes.iter().all(|code| ErrorCode::parse(code).is_some()));
    let odd = "permit(principal, action, resource) when { context has client && context.client.uid == 1 };";
    let warned = plane.apply(&policy("p", odd)).await.warnings;
    assert!(!warned.is_empty());
    assert!(
        warned.iter().all(|one| one.code == "POLICY_ODD"),
        "{warned:?}"
    );
}
