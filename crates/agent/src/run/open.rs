//! Opening the device and greeting the kernel.

use std::time::Duration;

use tidelock_kabi::{RefusedReason, ToAgent};

use super::DeviceSource;
use crate::device::{Device, DeviceError, Session, WriteError};

/// How the agent names itself.
pub(super) const AGENT_VERSION: &str = env!("CARGO_PKG_VERSION");
/// How long the kernel's reason for refusing a greeting may take.
const REASON_WAIT: Duration = Duration::from_secs(2);

/// Why there is no session with the kernel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The device cannot be used.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The kernel does not want to talk to this agent.
    #[error("the kernel module refused this agent: {why}")]
    Refused {
        /// Why.
        why: RefusedReason,
    },
    /// The kernel refused and did not say why.
    #[error("the kernel module refused this agent: {0}")]
    Unsaid(std::io::Error),
}

/// Opens the device and greets the kernel, whose own greeting is then the first record to read.
pub(super) async fn open(source: &DeviceSource) -> Result<(Device, Session), OpenError> {
    let device = match source {
        DeviceSource::Path(path) => Device::open(path),
        DeviceSource::Open(open) => open(),
    }?;
    let mut session = Session::default();
    let (pending, hello) = session
        .hello(AGENT_VERSION)
        .map_err(|unsent| OpenError::Refused { why: unsent.why })?;
    match device.write(&hello).await {
        Ok(()) => session.accepted(pending),
        Err(WriteError::Gone(error)) => return Err(error.into()),
        Err(WriteError::Refused(error)) => return Err(reason(&device, error).await),
    }
    Ok((device, session))
}

async fn reason(device: &Device, error: std::io::Error) -> OpenError {
    let mut buf = [0; 256];
    let read = tokio::time::timeout(REASON_WAIT, device.read(&mut buf)).await;
    let record = match read {
        Ok(Ok(len)) => buf.get(..len).map(ToAgent::decode),
        _ => None,
    };
    match record {
        Some(Ok((_, ToAgent::Refused(refused)))) => OpenError::Refused { why: refused.why },
        // A module of another version says so in a record that this agent cannot read.
        Some(Err(fault)) if fault.why == RefusedReason::AbiVersion => {
            OpenError::Refused { why: fault.why }
        }
        _ => OpenError::Unsaid(error),
    }
}
