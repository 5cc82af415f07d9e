//! The agent at work: device, control plane, hashing and clock around the core.

mod clocks;
mod drain;
mod driver;
mod notice;
mod open;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub use drain::{DrainError, drain, released};
pub use notice::Notice;
pub use open::OpenError;

use crate::control::{JoinError, JoinWith, Kept, Link, LinkError, Reports, Server, Signer};
use crate::core::Jitter;
use crate::node::{Store, StoreError};
use driver::Driver;

/// What is told to the operator goes here.
pub type Notify = Arc<dyn Fn(Notice) + Send + Sync>;

/// How an agent runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The control plane.
    pub server: Server,
    /// What to join with, if this node has not joined yet or is not known any more.
    pub join_with: Option<JoinWith>,
    /// Where to keep what has to survive a restart.
    pub data_dir: PathBuf,
    /// The kernel.
    pub device: DeviceSource,
}

/// Where the device comes from.
#[derive(Clone)]
pub enum DeviceSource {
    /// A path: `/dev/tidelock`.
    Path(PathBuf),
    /// Anything that opens one.
    Open(Arc<dyn Fn() -> Result<crate::device::Device, crate::device::DeviceError> + Send + Sync>),
}

/// Why the agent cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The device cannot be opened, went away, or speaks another version.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The device went away.
    #[error(transparent)]
    Device(#[from] crate::device::DeviceError),
    /// The kernel said something that it may not say.
    #[error("the kernel module does not keep to the contract: {0}")]
    Contract(tidelock_kabi::Refused),
    /// The node cannot join.
    #[error(transparent)]
    Join(JoinError),
    /// What has to survive a restart cannot be read or kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A part of the agent ended that should not.
    #[error("a part of the agent ended unexpectedly")]
    Ended,
}

/// Most messages from the control plane that wait for the core.
const MAX_UPDATES: usize = 16;

/// How long a part that ends because another does may be noticed before it.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(1);

/// Runs an agent until it cannot go on. Dropping the future stops it: the kernel goes on with what it was told.
///
/// # Errors
/// Why it cannot go on; it never ends otherwise.
pub async fn run(options: Options, notify: Notify) -> RunError {
    match start(options, notify).await {
        Ok(never) => never,
        Err(error) => error,
    }
}

async fn start(options: Options, notify: Notify) -> Result<RunError, RunError> {
    let store = Store::open(&options.data_dir)?;
    let seed = clocks::seed();
    let (client, clients) = watch::channel(None);
    let (generation, generations) = watch::channel(None);
    let (updates, from_control) = mpsc::channel(MAX_UPDATES);
    let (want_state, wanted_state) = mpsc::channel(1);
    let (reporter, reports) = Reports::new(clients.clone(), want_state);
    let link = Link {
        server: options.server,
        join_with: options.join_with,
        store: store.clone(),
        kept: Kept::load(store.clone()),
        generation: generations,
        client,
        core: updates,
        notify: Arc::clone(&notify),
        jitter: Jitter::new(seed),
        tried: None,
        said_away: false,
    };
    let driver = Driver::open(driver::Parts {
        device: options.device,
        store,
        signer: Signer::new(clients),
        from_control,
        wanted_state,
        generation,
        reporter,
        notify,
        seed,
    })
    .await?;
    // The tasks end when this future is dropped.
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { link.run().await.err() });
    tasks.spawn(async move {
        reports.run().await;
        None
    });
    tokio::select! {
        error = driver.run() => Ok(error),
        error = why(&mut tasks) => Ok(error),
    }
}

/// Waits until a part ends that should not. One's end brings the other's about, and either may be noticed first: the one that
/// knows why is waited for.
async fn why(tasks: &mut JoinSet<Option<LinkError>>) -> RunError {
    let mut ended = tasks.join_next().await;
    loop {
        match ended {
            Some(Ok(Some(LinkError::Join(error)))) => return RunError::Join(error),
            Some(Ok(Some(LinkError::Store(error)))) => return RunError::Store(error),
            Some(Ok(None)) => {
                let next = tokio::time::timeout(LAST_WORDS, tasks.join_next());
                ended = next.await.unwrap_or(None);
            }
            Some(Err(_)) | None => return RunError::Ended,
        }
    }
}

impl std::fmt::Debug for DeviceSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Open(_) => f.write_str("Open(..)"),
        }
    }
}
