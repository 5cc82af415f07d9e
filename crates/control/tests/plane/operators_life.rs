//! The life of operators: made, demoted, revoked, the last of them, and what the audit log says of it.

use tidelock_proto::v1;
use tidelock_proto::v1::revoke_request::What;
use tonic::Code;

use crate::common::{Plane, code, csr, next};
use crate::operators::{applies, at, deletes, operator, revoking, serial};
use rcgen::KeyPair;

#[tokio::test]
async fn the_last_admin_stays_unless_the_socket_says_otherwise() {
    let plane = Plane::start().await;
    let keys = plane.operator("one", "admin", "").await;
    plane.operator("two", "admin", "").await;
    let mut one = plane.by(&keys).await;
    assert_eq!(
        deletes(&mut one, v1::DocumentKind::Operator, "two").await,
        Ok(())
    );
    for last in [
        applies(&mut one, &operator("one", "viewer", "/")).await,
        deletes(&mut one, v1::DocumentKind::Operator, "one").await,
    ] {
        let told = last.expect_err("the last admin");
        assert!(
            told[0].contains("Operator `one` is the last one"),
            "{told:?}"
        );
    }
    let both = operator("one", "viewer", "/") + &operator("three", "admin", "");
    assert_eq!(applies(&mut one, &both).await, Ok(()));
    // Whoever is at the socket cannot be locked out, and may.
    for name in ["one", "three"] {
        let mut local = plane.admin().await;
        assert_eq!(
            deletes(&mut local, v1::DocumentKind::Operator, name).await,
            Ok(())
        );
    }
    let status = one.get_status(v1::GetStatusRequest {}).await;
    assert_eq!(code(status), Code::Unauthenticated);
    plane.applied(&at("a", "/a")).await;
}

#[tokio::test]
async fn who_is_revoked_or_demoted_is_refused_at_once_on_open_connections_too() {
    let plane = Plane::start().await;
    let keys = plane.operator("walt", "viewer, editor", "/").await;
    let mut walt = plane.by(&keys).await;
    let follow = v1::EventsRequest {
        follow: true,
        ..Default::default()
    };
    let mut events = walt.events(follow).await.expect("events").into_inner();
    assert!(next(&mut events).await.expect("an event").is_ok());
    assert_eq!(applies(&mut walt, &at("a", "/a")).await, Ok(()));

    plane.applied(&operator("walt", "viewer", "/b")).await;
    let ended = loop {
        match next(&mut events).await.expect("not the end") {
            Ok(_) => {}
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), Code::PermissionDenied);
    let apply = v1::ApplyRequest { files: vec![] };
    assert_eq!(code(walt.apply(apply).await), Code::PermissionDenied);

    let other = plane.issue(&mut plane.admin().await, "walt", 600).await;
    let what = What::Serial(serial(&keys));
    plane
        .admin()
        .await
        .revoke(revoking(what))
        .await
        .expect("revoked");
    let request = v1::GetStatusRequest {};
    let again = plane.by(&keys).await.get_status(request).await;
    for refused in [walt.get_status(request).await, again] {
        let status = refused.expect_err("revoked");
        assert_eq!(status.code(), Code::Unauthenticated);
        assert!(status.message().contains("revoked"), "{status:?}");
    }
    // Another credential of the same operator is another matter, until all are revoked.
    let other = other.expect("issued");
    assert_eq!(
        code(plane.by(&other).await.get_status(request).await),
        Code::Ok
    );
    let all = What::SpiffeId("spiffe://example.org/tidelock/operator/walt".into());
    plane
        .admin()
        .await
        .revoke(revoking(all))
        .await
        .expect("revoked");
    let status = plane.by(&other).await.get_status(request).await;
    assert_eq!(code(status), Code::Unauthenticated);
}

#[tokio::test]
async fn a_credential_is_issued_for_an_operator_that_there_is_and_a_key_that_is_held() {
    let plane = Plane::start().await;
    let mut local = plane.admin().await;
    assert_eq!(
        code(plane.issue(&mut local, "nobody", 600).await),
        Code::NotFound
    );
    plane.applied(&operator("amy", "admin", "")).await;
    for ttl_secs in [0, 59, 30 * 86_400 + 1, u32::MAX] {
        let issued = plane.issue(&mut local, "amy", ttl_secs).await;
        assert_eq!(code(issued), Code::InvalidArgument, "{ttl_secs}");
    }
    for name in ["", "../control", "a/b", "AMY"] {
        let issued = plane.issue(&mut local, name, 600).await;
        assert_eq!(code(issued), Code::InvalidArgument, "{name}");
    }
    let key = KeyPair::generate().expect("key");
    for csr in [vec![], crate::common::forged_csr(&key)] {
        let request = v1::IssueOperatorRequest {
            operator: "amy".into(),
            csr,
            ttl_secs: 600,
        };
        assert_eq!(
            code(local.issue_operator(request).await),
            Code::InvalidArgument
        );
    }
    // An admin makes another's over the network.
    let amy = plane.issue(&mut local, "amy", 600).await.expect("issued");
    let mut amy = plane.by(&amy).await;
    plane.applied(&operator("bob", "viewer", "/b")).await;
    let request = v1::IssueOperatorRequest {
        operator: "bob".into(),
        csr: csr(&key),
        ttl_secs: 60,
    };
    let issued = amy
        .issue_operator(request)
        .await
        .expect("issued")
        .into_inner();
    assert_eq!(issued.bundle.expect("bundle").x509_authorities.len(), 1);
    let found = plane
        .audited()
        .await
        .into_iter()
        .any(|(actor, action, subject, _)| {
            let id = "spiffe://example.org/tidelock/operator/bob";
            (actor.as_str(), action.as_str(), subject.as_str())
                == ("operator amy (admin)", "svid-issued", id)
        });
    assert!(found);
}

#[tokio::test]
async fn the_audit_log_says_who_by_which_role_and_what_was_refused() {
    let plane = Plane::start().await;
    let keys = plane.operator("eve", "viewer, editor", "/a").await;
    let mut eve = plane.by(&keys).await;
    assert_eq!(applies(&mut eve, &at("a", "/a")).await, Ok(()));
    assert!(applies(&mut eve, &at("b", "/b")).await.is_err());
    assert_eq!(
        code(eve.get_nodes(v1::GetNodesRequest {}).await),
        Code::PermissionDenied
    );
    let request = v1::ListAuditRequest::default();
    assert_eq!(code(eve.list_audit(request).await), Code::PermissionDenied);
    let entries = plane.audited().await;
    let of_eve: Vec<_> = entries.iter().filter(|one| one.0.contains("eve")).collect();
    let short: Vec<_> = of_eve
        .iter()
        .map(|one| (one.0.as_str(), one.1.as_str(), one.2.as_str()))
        .collect();
    assert_eq!(
        short,
        [
            (
                "operator eve (editor)",
                "document-created",
                "WorkloadIdentity/a"
            ),
            ("operator eve", "call-refused", "Apply"),
            ("operator eve", "call-refused", "GetNodes"),
            ("operator eve", "call-refused", "ListAudit"),
        ]
    );
    assert!(
        of_eve[1].3.contains("test.yaml:4:18: operator `eve`"),
        "{of_eve:?}"
    );
    assert!(
        of_eve[2]
            .3
            .contains("GetNodes needs any role with the prefix `/`"),
        "{of_eve:?}"
    );
    // What only grows is not for a hostile operator to grow.
    for _ in 0..100 {
        assert_eq!(
            code(eve.get_nodes(v1::GetNodesRequest {}).await),
            Code::PermissionDenied
        );
    }
    let more = plane.audited().await.len() - entries.len();
    assert!((1..60).contains(&more), "{more}");
    let verified = plane
        .admin()
        .await
        .verify_audit(v1::VerifyAuditRequest::default())
        .await;
    assert_eq!(verified.expect("verified").into_inner().broken, "");
}
