//! Making join tokens.

use std::sync::Arc;

use serde_json::json;
use tidelock_proto::v1;
use tidelock_proto::v1::event::Kind as EventKind;
use tonic::Status;

use crate::audit::{Actor, AuditEntry, hex};
use crate::clock;
use crate::core::Core;
use crate::name::Name;
use crate::store::TokenRecord;
use crate::token::{MAX_TOKEN_TTL_SECS, MIN_TOKEN_TTL_SECS, Token};

pub(super) async fn create(
    core: &Arc<Core>,
    actor: &Actor,
    request: &v1::CreateTokenRequest,
) -> Result<v1::CreateTokenResponse, Status> {
    let node = Name::parse(&request.node).map_err(|error| {
        Status::invalid_argument(format!("the node's name `{}` {error}", request.node))
    })?;
    if !(MIN_TOKEN_TTL_SECS..=MAX_TOKEN_TTL_SECS).contains(&request.ttl_secs) {
        let message = format!(
            "a token lives {MIN_TOKEN_TTL_SECS} to {MAX_TOKEN_TTL_SECS} s, not {} s",
            request.ttl_secs
        );
        return Err(Status::invalid_argument(message));
    }
    let token =
        Token::generate().map_err(|error| Status::internal(format!("no randomness: {error}")))?;
    let now = clock::unix_secs();
    let expires = now.saturating_add(request.ttl_secs.into());
    let record = TokenRecord {
        id: token.id(),
        hash: token.hash(),
        node: node.as_str().to_owned(),
        expires,
        used: None,
    };
    let detail = json!({"token": hex(&token.id().0), "expires": expires});
    let audit = AuditEntry::now(actor, "token-created", node.as_str(), &detail);
    core.with_store(move |store| store.add_token(&record, now, &[audit]))
        .await?;
    crash_point!(TokenStored);
    tracing::info!(%node, expires, "join token created");
    core.events.record(
        node.as_str(),
        EventKind::TokenCreated(v1::TokenCreated {
            expires_unix_secs: expires,
        }),
    );
    Ok(v1::CreateTokenResponse {
        token: token.reveal(),
        expires_unix_secs: expires,
    })
}
