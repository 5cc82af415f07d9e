//! Letting certificates attest as nodes.

use std::sync::Arc;

use serde_json::json;
use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_proto::{ErrorCode, v1};
use tonic::Status;

use crate::audit::{Actor, AuditEntry};
use crate::core::Core;
use crate::name::Name;

pub(super) async fn allow(
    core: &Arc<Core>,
    actor: &Actor,
    node: &str,
) -> Result<v1::AllowCertificateResponse, Status> {
    let node = Name::parse(node).map_err(|error| {
        let shown = crate::report::cleaned(node);
        Status::invalid_argument(format!("the node's name `{shown}` {error}"))
    })?;
    if core.nodes.record(&node).is_none() {
        let message =
            format!("node `{node}` has never joined: a certificate may, without being allowed");
        return Err(ErrorCode::NodeNotFound.status(message));
    }
    let audit = AuditEntry::now(actor, "node-certificate-allowed", node.as_str(), &json!({}));
    let changed = core.allow_certificate(node.clone(), audit).await?;
    if changed {
        tracing::info!(%node, "a certificate may attest as this node");
        let event = v1::CertificateAllowed {};
        core.events
            .record(node.as_str(), EventKind::CertificateAllowed(event));
    }
    Ok(v1::AllowCertificateResponse { changed })
}
