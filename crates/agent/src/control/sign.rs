//! Having certificate requests signed.

use std::sync::Arc;

use tidelock_proto::v1 as proto;
use tidelock_spiffe_core::x509::Leaf;
use tokio::sync::{Semaphore, watch};
use tonic::Code;

use super::{Client, REQUEST_TIMEOUT, words};
use crate::core::{SignFailure, SignRequest, SignedSvid};

/// Most requests on their way at once: a node that starts with a thousand identities must not swamp the control plane.
const MAX_SIGNING: usize = 16;

/// Asks the control plane for certificates. Clones share the bound.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    client: watch::Receiver<Option<Client>>,
    turns: Arc<Semaphore>,
}

impl Signer {
    pub(crate) fn new(client: watch::Receiver<Option<Client>>) -> Self {
        Self {
            client,
            turns: Arc::new(Semaphore::new(MAX_SIGNING)),
        }
    }

    /// Has a request signed. Always answers, within the time a request may take once it has its turn.
    pub(crate) async fn sign(&self, request: &SignRequest) -> Result<SignedSvid, SignFailure> {
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|_| SignFailure::Unreachable)?;
        let client = self.client.borrow().clone();
        let mut client = client.ok_or(SignFailure::Unreachable)?;
        let mut message = tonic::Request::new(proto::SignRequest {
            entry_id: request.entry.clone(),
            spiffe_id: request.spiffe_id.clone(),
            csr: request.csr.clone(),
        });
        message.set_timeout(REQUEST_TIMEOUT);
        let answer = tokio::time::timeout(REQUEST_TIMEOUT, client.sign(message)).await;
        let answer = answer.map_err(|_| SignFailure::Unreachable)?;
        read(
            answer
                .map_err(|status| failure(&status))?
                .into_inner()
                .chain,
        )
    }
}

fn failure(status: &tonic::Status) -> SignFailure {
    match status.code() {
        Code::Unavailable | Code::Cancelled | Code::DeadlineExceeded => SignFailure::Unreachable,
        _ => SignFailure::Refused { why: words(status) },
    }
}

/// Reads the leaf of a chain.
fn read(chain: Vec<Vec<u8>>) -> Result<SignedSvid, SignFailure> {
    let refuse = |why: String| SignFailure::Refused { why };
    let first = chain
        .first()
        .ok_or_else(|| refuse("the chain is empty".into()))?;
    let leaf =
        Leaf::parse(first).map_err(|why| refuse(format!("the leaf is no X509-SVID: {why}")))?;
    Ok(SignedSvid {
        spiffe_id: leaf.id.as_str().to_owned(),
        issuer: leaf.issuer.to_vec(),
        not_before: leaf.not_before,
        not_after: leaf.not_after,
        chain,
    })
}
