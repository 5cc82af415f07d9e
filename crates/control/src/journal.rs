//! Writing down what was issued before it is handed over: many entries in one transaction, so that each does not have to
//! wait for the disk alone.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::audit::AuditEntry;
use crate::store::{Store, StoreError};
use crate::traced;

/// How many entries may wait to be written before further ones wait for their turn.
const MAX_WAITING: usize = 4_096;

/// How many entries are written in one transaction.
const MAX_BATCH: usize = 512;

/// The way to the audit log for what changes nothing else.
#[derive(Debug)]
pub(crate) struct Journal(mpsc::Sender<Job>);

#[derive(Debug)]
struct Job {
    entry: AuditEntry,
    written: oneshot::Sender<Result<(), NotWritten>>,
}

/// An entry that is not known to be written; the log says more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum NotWritten {
    #[error("{}", StoreError::Full)]
    Full,
    #[error("the control plane's clock has jumped; see its log")]
    Clock,
    #[error("the audit log cannot be written; see the control plane's log")]
    Failed,
}

impl Journal {
    /// Starts the task that writes. It ends when the journal is dropped and everything is written.
    pub(crate) fn start(store: Arc<dyn Store>) -> (Self, JoinHandle<()>) {
        let (sender, jobs) = mpsc::channel(MAX_WAITING);
        (Self(sender), tokio::spawn(write(store, jobs)))
    }

    /// Returns when the entry is on disk.
    pub(crate) async fn record(&self, entry: AuditEntry) -> Result<(), NotWritten> {
        let (written, done) = oneshot::channel();
        let job = Job { entry, written };
        self.0.send(job).await.map_err(|_| NotWritten::Failed)?;
        // With others', in a transaction that is in no trace.
        let written = done.instrument(traced::storing());
        written.await.unwrap_or(Err(NotWritten::Failed))
    }
}

async fn write(store: Arc<dyn Store>, mut jobs: mpsc::Receiver<Job>) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while jobs.recv_many(&mut batch, MAX_BATCH).await > 0 {
        let split = batch.drain(..).map(|job| (job.entry, job.written));
        let (entries, waiting): (Vec<_>, Vec<_>) = split.unzip();
        let store = Arc::clone(&store);
        let written = tokio::task::spawn_blocking(move || store.append_audit(&entries)).await;
        let told = match written {
            Ok(Ok(())) => {
                crash_point!(IssueWritten);
                Ok(())
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "the audit log cannot be written");
                Err(match error {
                    StoreError::Full => NotWritten::Full,
                    StoreError::Clock(_) => NotWritten::Clock,
                    _ => NotWritten::Failed,
                })
            }
            Err(error) => {
                tracing::error!(%error, "the audit log cannot be written");
                Err(NotWritten::Failed)
            }
        };
        for done in waiting {
            // Who does not wait any more does not need to know.
            let _ = done.send(told);
        }
    }
}
