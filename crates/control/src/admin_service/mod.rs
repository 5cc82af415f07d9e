//! The service that `tidelock` calls.

mod apply;
mod events;
mod token;
mod views;

use std::sync::Arc;

use tidelock_proto::v1;
use tidelock_proto::v1::admin_server::Admin;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::core::Core;

/// The service over the control plane's state.
#[derive(Clone, Debug)]
pub(crate) struct AdminService(pub(crate) Arc<Core>);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Admin for AdminService {
    type EventsStream = ReceiverStream<Result<v1::Event, Status>>;

    async fn apply(&self, request: Request<v1::ApplyRequest>) -> Answer<v1::ApplyResponse> {
        apply::apply(&self.0, request.into_inner())
            .await
            .map(Response::new)
    }

    async fn delete(&self, request: Request<v1::DeleteRequest>) -> Answer<v1::DeleteResponse> {
        apply::delete(&self.0, request.into_inner())
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
        token::create(&self.0, &request.into_inner())
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
}
