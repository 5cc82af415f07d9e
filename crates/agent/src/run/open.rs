//! Opening the device and greeting the kernel.

use std::time::Duration;

use tidelock_kabi::{ABI_VERSION, RefusedReason, ToAgent, abi_version_of};

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
    /// Module and agent are of different releases.
    #[error(
        "the kernel module speaks version {theirs} of the contract and this agent version {ABI_VERSION}: upgrade the {}",
        if *theirs < ABI_VERSION { "module" } else { "agent" }
    )]
    Version {
        /// The module's version.
        theirs: u16,
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

/// Why the kernel refused a greeting, by the record in which it says so.
pub(super) async fn reason(device: &Device, error: std::io::Error) -> OpenError {
    let mut buf = [0; 256];
    let read = tokio::time::timeout(REASON_WAIT, device.read(&mut buf)).await;
    let record = match read {
        Ok(Ok(len)) => buf.get(..len),
        _ => None,
    };
    refused(record.unwrap_or_default()).unwrap_or(OpenError::Unsaid(error))
}

/// What the kernel's answer to a greeting says; a module of another version says so in a record that this agent cannot
/// read but for its version.
fn refused(record: &[u8]) -> Option<OpenError> {
    match (abi_version_of(record)?, ToAgent::decode(record)) {
        (theirs, _) if theirs != ABI_VERSION => Some(OpenError::Version { theirs }),
        (_, Ok((_, ToAgent::Refused(refused)))) => Some(OpenError::Refused { why: refused.why }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tidelock_kabi::Refused;

    use super::*;

    fn answer(version: u16) -> String {
        let refused_for = |why| Refused { why, seq: 1, at: 4 };
        let record = ToAgent::Refused(refused_for(RefusedReason::AbiVersion));
        let mut bytes = record.to_vec(1).expect("a record");
        bytes[4..6].copy_from_slice(&version.to_le_bytes());
        refused(&bytes).expect("an answer").to_string()
    }

    #[test]
    fn another_version_says_which_side_to_upgrade() {
        let older = answer(ABI_VERSION - 1);
        assert!(older.ends_with(": upgrade the module"), "{older}");
        let newer = answer(ABI_VERSION + 1);
        assert!(newer.ends_with(": upgrade the agent"), "{newer}");
        assert!(answer(ABI_VERSION).contains("refused this agent"));
        assert!(refused(b"noise").is_none());
    }
}
