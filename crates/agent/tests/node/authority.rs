//! The trust domain gets another authority, and the node notices nothing.

use tidelock_agent::{DeviceSource, JoinToken, JoinWith, Options, Server};
use tidelock_proto::v1::{self, event::Kind};

use super::kernel::Kernel;
use super::plane::{Plane, Running, soon};
use super::scenes::{SLEEPER, identity, program};

impl Plane {
    async fn authorities(&self) -> Vec<String> {
        let request = v1::ListAuthoritiesRequest {};
        let listed = self.admin().await.list_authorities(request).await;
        let listed = listed.unwrap().into_inner().x509;
        listed.into_iter().map(|authority| authority.id).collect()
    }

    async fn prepare(&self, kind: v1::AuthorityKind) -> (String, u64) {
        let kind = kind.into();
        let request = v1::PrepareAuthorityRequest { kind };
        let prepared = self.admin().await.prepare_authority(request).await;
        let prepared = prepared.unwrap().into_inner();
        let x509 = prepared.authority.map(|one| one.id);
        let jwt = prepared.jwt_authority.map(|one| one.id);
        (x509.or(jwt).unwrap(), prepared.generation)
    }

    /// Waits until the control plane knows that the node knows it.
    async fn activate(&self, id: &str) {
        let activated = async {
            loop {
                let request = v1::ActivateAuthorityRequest {
                    id: id.to_owned(),
                    despite_nodes: false,
                };
                if self.admin().await.activate_authority(request).await.is_ok() {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        soon("the activation", activated).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_authority_reaches_the_node_before_it_signs_and_takes_over_without_the_operator() {
    let (plane, kernel) = (Plane::start().await, Kernel::new());
    // What the operator once put there; nobody touches it again.
    let bundle = plane.dir.path().join("operators.pem");
    std::fs::copy(plane.server().bundle, &bundle).unwrap();
    let options = |token: Option<JoinToken>| Options {
        server: Server {
            bundle: bundle.clone(),
            ..plane.server()
        },
        join_with: token.map(JoinWith::Token),
        data_dir: plane.data_dir(),
        device: DeviceSource::Open(kernel.opener()),
    };
    let exe = program(plane.dir.path(), "sleeper", b"");
    let agent = Running::with(options(Some(plane.token().await)));
    agent
        .in_force(plane.apply(&identity(&exe, "1h")).await)
        .await;
    assert_eq!(kernel.serials(SLEEPER, 1).await.len(), 1);

    let first = plane.authorities().await.remove(0);
    let (second, generation) = plane.prepare(v1::AuthorityKind::X509).await;
    agent.in_force(generation).await;
    plane.activate(&second).await;
    assert_eq!(kernel.serials(SLEEPER, 1).await.len(), 1, "no haste yet");

    let id = first.clone();
    let tainted = plane
        .admin()
        .await
        .taint_authority(v1::TaintAuthorityRequest { id })
        .await;
    tainted.unwrap();
    kernel.serials(SLEEPER, 2).await;
    plane
        .event(|kind| matches!(kind, Kind::NodeRenewed(_)).then_some(()))
        .await;

    let id = first;
    let revoked = plane
        .admin()
        .await
        .revoke_authority(v1::RevokeAuthorityRequest { id })
        .await;
    revoked.unwrap();
    let shorter = identity(&exe, "30m");
    agent.in_force(plane.apply(&shorter).await).await;
    kernel.serials(SLEEPER, 3).await;

    agent.kill().await;
    let agent = Running::with(options(None));
    agent
        .in_force(plane.apply(&identity(&exe, "20m")).await)
        .await;
    agent.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_signs_jwt_svids_comes_and_goes_and_no_svid_of_the_node_is_renewed_for_it() {
    let (plane, kernel) = (Plane::start().await, Kernel::new());
    let exe = program(plane.dir.path(), "sleeper", b"");
    let agent = Running::with(Options {
        server: plane.server(),
        join_with: Some(JoinWith::Token(plane.token().await)),
        data_dir: plane.data_dir(),
        device: DeviceSource::Open(kernel.opener()),
    });
    agent
        .in_force(plane.apply(&identity(&exe, "1h")).await)
        .await;
    let mut admin = plane.admin().await;
    let listed = admin.list_authorities(v1::ListAuthoritiesRequest {}).await;
    let id = listed.unwrap().into_inner().jwt.remove(0).id;
    let (second, generation) = plane.prepare(v1::AuthorityKind::Jwt).await;
    agent.in_force(generation).await;
    plane.activate(&second).await;
    let request = v1::TaintAuthorityRequest { id: id.clone() };
    admin.taint_authority(request).await.unwrap();
    let request = v1::RevokeAuthorityRequest { id };
    let revoked = admin.revoke_authority(request).await;
    agent
        .in_force(revoked.unwrap().into_inner().generation)
        .await;
    assert_eq!(kernel.serials(SLEEPER, 1).await.len(), 1);
    agent.kill().await;
}
