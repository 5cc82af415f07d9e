//! The service that `tidelock` calls.

mod apply;
mod audit;
mod authority;
mod certificate;
mod events;
mod jwt;
mod operators;
mod plan;
mod revoke;
mod token;
mod views;

use std::sync::Arc;

use tidelock_proto::v1;
use tidelock_proto::v1::admin_server::Admin;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::authority::Kind;
use crate::core::Core;
use crate::roles::Permit;
use crate::rotation::Step;

/// The service over the control plane's state.
#[derive(Clone, Debug)]
pub(crate) struct AdminService(pub(crate) Arc<Core>);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Admin for AdminService {
    type EventsStream = ReceiverStream<Result<v1::Event, Status>>;

    async fn apply(&self, request: Request<v1::ApplyRequest>) -> Answer<v1::ApplyResponse> {
        let permit = permit(&request)?;
        apply::apply(&self.0, permit, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn plan(&self, request: Request<v1::PlanRequest>) -> Answer<v1::PlanResponse> {
        let permit = permit(&request)?;
        plan::plan(&self.0, permit, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn delete(&self, request: Request<v1::DeleteRequest>) -> Answer<v1::DeleteResponse> {
        let permit = permit(&request)?;
        apply::delete(&self.0, permit, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn get_identities(
        &self,
        request: Request<v1::GetIdentitiesRequest>,
    ) -> Answer<v1::GetIdentitiesResponse> {
        Ok(Response::new(views::identities(
            &self.0,
            &permit(&request)?,
        )))
    }

    async fn get_services(
        &self,
        request: Request<v1::GetServicesRequest>,
    ) -> Answer<v1::GetServicesResponse> {
        Ok(Response::new(views::services(&self.0, &permit(&request)?)))
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

    async fn get_trust_domains(
        &self,
        _: Request<v1::GetTrustDomainsRequest>,
    ) -> Answer<v1::GetTrustDomainsResponse> {
        Ok(Response::new(views::trust_domains(&self.0)))
    }

    async fn get_node_groups(
        &self,
        _: Request<v1::GetNodeGroupsRequest>,
    ) -> Answer<v1::GetNodeGroupsResponse> {
        Ok(Response::new(views::node_groups(&self.0)))
    }

    async fn get_flows(
        &self,
        request: Request<v1::GetFlowsRequest>,
    ) -> Answer<v1::GetFlowsResponse> {
        Ok(Response::new(views::flows(&self.0, &permit(&request)?)))
    }

    async fn create_token(
        &self,
        request: Request<v1::CreateTokenRequest>,
    ) -> Answer<v1::CreateTokenResponse> {
        let permit = permit(&request)?;
        token::create(&self.0, &permit.actor(), &request.into_inner())
            .await
            .map(Response::new)
    }

    async fn allow_certificate(
        &self,
        request: Request<v1::AllowCertificateRequest>,
    ) -> Answer<v1::AllowCertificateResponse> {
        let permit = permit(&request)?;
        certificate::allow(&self.0, &permit.actor(), &request.into_inner().node)
            .await
            .map(Response::new)
    }

    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Answer<v1::GetStatusResponse> {
        Ok(Response::new(views::status(&self.0)))
    }

    async fn events(&self, request: Request<v1::EventsRequest>) -> Answer<Self::EventsStream> {
        let permit = permit(&request)?;
        let stream = events::stream(&self.0, permit, &request.into_inner());
        Ok(Response::new(stream))
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
        let (permit, kind) = (permit(&request)?, request.into_inner().kind);
        let kind = v1::AuthorityKind::try_from(kind).map_err(|_| {
            Status::invalid_argument("this control plane has no such kind of authority")
        })?;
        self.step(permit, Step::Prepare(Kind::of(kind))).await
    }

    async fn activate_authority(
        &self,
        request: Request<v1::ActivateAuthorityRequest>,
    ) -> Answer<v1::AuthorityResponse> {
        let permit = permit(&request)?;
        let v1::ActivateAuthorityRequest { id, despite_nodes } = request.into_inner();
        self.step(permit, Step::Activate { id, despite_nodes })
            .await
    }

    async fn taint_authority(
        &self,
        request: Request<v1::TaintAuthorityRequest>,
    ) -> Answer<v1::AuthorityResponse> {
        let permit = permit(&request)?;
        let id = request.into_inner().id;
        self.step(permit, Step::Taint { id }).await
    }

    async fn revoke_authority(
        &self,
        request: Request<v1::RevokeAuthorityRequest>,
    ) -> Answer<v1::AuthorityResponse> {
        let permit = permit(&request)?;
        let id = request.into_inner().id;
        self.step(permit, Step::Revoke { id }).await
    }

    async fn get_bundle(&self, _: Request<v1::GetBundleRequest>) -> Answer<v1::GetBundleResponse> {
        authority::bundle(&self.0).map(Response::new)
    }

    async fn mint_jwt(&self, request: Request<v1::MintJwtRequest>) -> Answer<v1::MintJwtResponse> {
        let permit = permit(&request)?;
        let minted = jwt::mint(&self.0, permit, request.into_inner());
        minted.await.map(Response::new)
    }

    async fn get_crl(&self, request: Request<v1::GetCrlRequest>) -> Answer<v1::GetCrlResponse> {
        let list = authority::crl(&self.0, &request.into_inner().id).await;
        list.map(Response::new)
    }

    async fn revoke(&self, request: Request<v1::RevokeRequest>) -> Answer<v1::RevokeResponse> {
        let permit = permit(&request)?;
        let revoked = revoke::revoke(&self.0, permit, request.into_inner());
        revoked.await.map(Response::new)
    }

    type GetRevokedStream = ReceiverStream<Result<v1::Revocation, Status>>;

    async fn get_revoked(
        &self,
        request: Request<v1::GetRevokedRequest>,
    ) -> Answer<Self::GetRevokedStream> {
        Ok(Response::new(revoke::list(&self.0, permit(&request)?)))
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

    async fn get_operators(
        &self,
        request: Request<v1::GetOperatorsRequest>,
    ) -> Answer<v1::GetOperatorsResponse> {
        Ok(Response::new(operators::list(&self.0, &permit(&request)?)))
    }

    async fn issue_operator(
        &self,
        request: Request<v1::IssueOperatorRequest>,
    ) -> Answer<v1::IssueOperatorResponse> {
        let permit = permit(&request)?;
        let issued = operators::issue(&self.0, permit, request.into_inner());
        issued.await.map(Response::new)
    }
}

impl AdminService {
    async fn step(&self, permit: Permit, step: Step) -> Answer<v1::AuthorityResponse> {
        let taken = authority::step(&self.0, permit, step);
        taken.await.map(Response::new)
    }
}

/// What the guard in front of the service let this call do.
fn permit<T>(request: &Request<T>) -> Result<Permit, Status> {
    let permit = request.extensions().get::<Permit>().cloned();
    permit.ok_or_else(|| Status::internal("the call did not come through its guard"))
}
