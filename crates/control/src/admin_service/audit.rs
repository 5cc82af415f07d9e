//! Reading the audit log, and checking it.

use std::sync::Arc;

use tidelock_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::audit::{AuditHead, AuditRecord, Broken, Chain};
use crate::core::{Core, StoreFailure};

/// How many entries are read from the store at once: others wait for it meanwhile.
const PAGE: u32 = 1_000;

type Entries = ReceiverStream<Result<v1::AuditEntry, Status>>;

pub(super) async fn list(
    core: &Arc<Core>,
    request: v1::ListAuditRequest,
) -> Result<Entries, Status> {
    let head = core.with_store(|store| store.audit_head()).await?;
    let limit = match request.limit {
        0 => u64::MAX,
        limit => limit.into(),
    };
    let newest = head.seq.saturating_sub(limit);
    let after = match request.newest {
        true => newest.max(request.after_seq),
        false => request.after_seq,
    };
    let (sender, entries) = mpsc::channel(64);
    tokio::spawn(send(Arc::clone(core), sender, after, limit));
    Ok(ReceiverStream::new(entries))
}

async fn send(
    core: Arc<Core>,
    sender: mpsc::Sender<Result<v1::AuditEntry, Status>>,
    mut after: u64,
    mut left: u64,
) {
    while left > 0 {
        let page = u32::try_from(left).unwrap_or(u32::MAX).min(PAGE);
        let records = core.with_store(move |store| store.audit_after(after, page));
        let records = match records.await {
            Ok(records) => records,
            Err(error) => {
                let _ = sender.send(Err(error.into())).await;
                return;
            }
        };
        let Some(last) = records.last() else {
            return;
        };
        (after, left) = (last.seq, left.saturating_sub(records.len() as u64));
        for record in records {
            let sent = tokio::select! {
                sent = sender.send(Ok(message(record))) => sent.is_ok(),
                // Who does not read does not keep the control plane from stopping.
                () = core.stopping() => false,
            };
            if !sent {
                return;
            }
        }
    }
}

pub(super) async fn verify(
    core: &Arc<Core>,
    request: v1::VerifyAuditRequest,
) -> Result<v1::VerifyAuditResponse, Status> {
    let noted = noted(&request)?;
    // What is written while the log is read is behind its end, and not looked at.
    let end = core.with_store(|store| store.audit_head()).await?;
    let mut chain = Chain::new(end, noted);
    let whole = match follow(core, &mut chain, end).await? {
        Ok(()) => chain.finish(),
        Err(broken) => Err(broken),
    };
    let (seq, hash) = (end.seq, end.hash.to_vec());
    Ok(match whole {
        Ok(_) => v1::VerifyAuditResponse {
            seq,
            hash,
            ..Default::default()
        },
        Err(broken) => {
            tracing::error!(%broken, "the audit log is broken");
            v1::VerifyAuditResponse {
                broken_seq: broken.seq(),
                broken: broken.to_string(),
                seq,
                hash,
            }
        }
    })
}

async fn follow(
    core: &Arc<Core>,
    chain: &mut Chain,
    end: AuditHead,
) -> Result<Result<(), Broken>, StoreFailure> {
    let mut after = 0;
    loop {
        let records = core
            .with_store(move |store| store.audit_after(after, PAGE))
            .await?;
        let Some(last) = records.last() else {
            return Ok(Ok(()));
        };
        after = last.seq;
        for record in &records {
            if record.seq > end.seq && grown(core, end).await? {
                return Ok(Ok(()));
            }
            if let Err(broken) = chain.take(record) {
                return Ok(Err(broken));
            }
        }
    }
}

/// Whether the log has been written to since it ended there: then what is behind that end may well be.
async fn grown(core: &Arc<Core>, end: AuditHead) -> Result<bool, StoreFailure> {
    let head = core.with_store(|store| store.audit_head()).await?;
    Ok(head.seq > end.seq)
}

fn noted(request: &v1::VerifyAuditRequest) -> Result<Option<AuditHead>, Status> {
    if request.noted_seq == 0 && request.noted_hash.is_empty() {
        return Ok(None);
    }
    let hash = request.noted_hash.as_slice().try_into();
    let hash = hash.map_err(|_| Status::invalid_argument("a hash has 32 bytes"))?;
    let seq = request.noted_seq;
    Ok(Some(AuditHead { seq, hash }))
}

fn message(record: AuditRecord) -> v1::AuditEntry {
    let AuditRecord { seq, entry, hash } = record;
    v1::AuditEntry {
        seq,
        time_unix_ns: entry.time_unix_ns,
        actor: entry.actor,
        action: entry.action,
        subject: entry.subject,
        detail: entry.detail,
        hash: hash.to_vec(),
    }
}
