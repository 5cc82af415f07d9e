//! The service that `tidelock` calls.

mod apply;
mod audit;
mod authority;
mod events;
mod plan;
mod revoke;
mod token;
mod views;

use std::sync::Arc;

use tidelock_proto::v1;
use tidelock_proto::v1::admin_server::Admin;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Response, Status};

use crate::audit::Actor;
use crate::core::Core;
use crate::rotation::Step;

/// The service over the control plane's state.
#[derive(Clone, Debug)]
pub(crate) struct AdminService(pub(crate) Arc<Core>);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Admin for AdminService {
    type EventsStream = ReceiverStream<Result<v1::Event, Status>>;

    async fn apply(&self, request: Request<v1::ApplyRequest>) -> Answer<v1::ApplyResponse> {
        let actor = actor(&request);
        apply::apply(&self.0, actor, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn plan(&self, request: Request<v1::PlanRequest>) -> Answer<v1::PlanResponse> {
        plan::plan(&self.0, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn delete(&self, request: Request<v1::DeleteRequest>) -> Answer<v1::DeleteResponse> {
        let actor = actor(&request);
        apply::delete(&self.0, actor, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_identities(
        &self,
        _: Request<v1::GetIdentitiesRequest>,
    ) -> Answer<v1::GetIdentitiesResponse> {
        Ok(Response::new(views::identities(&self.0)))
    }

    async fn get_services(
        &self,
        _: Request<v1::GetServicesRequest>,
    ) -> Answer<v1::GetServicesResponse> {
        Ok(Response::new(views::services(&self.0)))
    }

    async fn get_policies(
        &self,
        _: Request<v1::GetPoliciesRequest>,
    ) -> Answer<v1::GetPoliciesResponse> {
        Ok(Response::new(views::policies(&self.0)))
    }

    async fn get_nodes(&self, _: Request<v1::GetNodesRequest>) -> Answer<v1::GetNodesResponse> {
        Ok(Response::new(views::nodes(&self.0)))
    }

    async fn get_flows(&self, _: Request<v1::GetFlowsRequest>) -> Answer<v1::GetFlowsResponse> {
        Ok(Response::new(views::flows(&self.0)))
    }

    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Answer<v1::CreateTokenResponse> {
        let actor = actor(&request);
        token::create(&self.0, &actor, &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Answer<v1::GetStatusResponse> {
        Ok(Response::new(views::status(&self.0)))
    }

    async fn events(&self, request: Request<v1::EventsRequest>) -> Answer<Self::EventsStream> {
        Ok(Response::new(events::stream(
            &self.0,
            &request.into_inner(),
        )))
    }

    async fn list_authorities(
        &self,
        _: Request<v1::ListAuthoritiesRequest>,
    ) -> Answer<v1::ListAuthoritiesResponse> {
        Ok(Response::new(authority::list(&self.0)))
    }

    async fn prepare_authority(
        &self,
        request: Request<v1::PrepareAuthorityRequest>,
    ) -> Answer<v1::AuthorityResponse> {
        self.step(actor(&request), Step::Prepare).await
    }

    async fn activate_authority(
        &self,
        request: Request<v1::ActivateAuthorityRequest>,
    ) -> Answer<v1::AuthorityResponse> {
        let actor = actor(&request);
        let v1::ActivateAuthorityRequest { id, despite_nodes } = request.into_inner();
        self.step(actor, Step::Activate { id, despite_nodes }).await
    }

    async fn taint_authority(
        &self,
        request: Request<v1::TaintAuthorityRequest>,
    ) -> Answer<v1::AuthorityResponse> {
        let actor = actor(&request);
        let id = request.into_inner().id;
        self.step(actor, Step::Taint { id }).await
    }

    async fn revoke_authority(
        &self,
        request: Request<v1::RevokeAuthorityRequest>,
    ) -> Answer<v1::AuthorityResponse> {
        let actor = actor(&request);
        let id = request.into_inner().id;
        self.step(actor, Step::Revoke { id }).await
    }

    async fn revoke(&self, request: Request<v1::RevokeRequest>) -> Answer<v1::RevokeResponse> {
        let actor = actor(&request);
        let revoked = revoke::revoke(&self.0, actor, request.into_inner());
        revoked.await.map(Response::new)
    }

    type GetRevokedStream = ReceiverStream<Result<v1::Revocation, Status>>;

    async fn get_revoked(
        &self,
        _: Request<v1::GetRevokedRequest>,
    ) -> Answer<Self::GetRevokedStream> {
        Ok(Response::new(revoke::list(&self.0)))
    }

    type ListAuditStream = ReceiverStream<Result<v1::AuditEntry, Status>>;

    async fn list_audit(
        &self,
        request: Request<v1::ListAuditRequest>,
    ) -> Answer<Self::ListAuditStream> {
        let listed = audit::list(&self.0, request.into_inner());
        listed.await.map(Response::new)
    }

    async fn verify_audit(
        &self,
        request: Request<v1::VerifyAuditRequest>,
    ) -> Answer<v1::VerifyAuditResponse> {
        let verified = audit::verify(&self.0, request.into_inner());
        verified.await.map(Response::new)
    }
}

impl AdminService {
    async fn step(&self, actor: Actor, step: Step) -> Answer<v1::AuthorityResponse> {
        let taken = authority::step(&self.0, actor, step);
        taken.await.map(Response::new)
    }
}

/// Who calls, as the kernel says. Nobody gets here whose user it does not tell.
fn actor<T>(request: &Request<T>) -> Actor {
    let info = request.extensions().get::<UdsConnectInfo>();
    let user = info.and_then(|info| info.peer_cred).map(|user| user.uid());
    Actor::User(user.unwrap_or(u32::MAX))
}
