//! Draining: nothing is governed any more, so that the module can be unloaded.

use std::path::Path;
use std::time::Duration;

use tidelock_kabi::{AgentEnd, ToKernel};

use super::open::{AGENT_VERSION, OpenError, reason};
use crate::device::{Device, DeviceError, WriteError};

/// How long the kernel's greeting may take.
const GREETING_WAIT: Duration = Duration::from_secs(5);

/// How often it is looked whether the module is still held.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Why the kernel was not drained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrainError {
    /// There is no session with the kernel.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The kernel did not greet.
    #[error("the kernel module does not answer")]
    Silent,
    /// The kernel refused.
    #[error("the kernel module did not drain: {0}")]
    Refused(std::io::Error),
}

/// Has the kernel close every flow and govern nothing any more. Processes lose their identities: connections
/// to Services are then plain, and refused by peers. Stop the agent first: only one can hold the device.
///
/// # Errors
/// Why the kernel was not drained.
pub async fn drain(device: &Path) -> Result<(), DrainError> {
    let device = Device::open(device).map_err(OpenError::from)?;
    over(&device).await
}

/// Waits until nothing holds the module any more, at most so long: a connection that was cut is there until its program closes
/// it. How many references are left; none too if there is no such module.
pub async fn released(module: &str, patience: Duration) -> u64 {
    let file = Path::new("/sys/module").join(module).join("refcnt");
    held(&file, patience).await
}

async fn held(file: &Path, patience: Duration) -> u64 {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        // No number is no module.
        let left = text.trim().parse().unwrap_or(0);
        if left == 0 || tokio::time::Instant::now() >= deadline {
            return left;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn over(device: &Device) -> Result<(), DrainError> {
    let mut end = AgentEnd::new();
    let hello = ToKernel::Hello {
        agent_version: AGENT_VERSION,
    };
    match send(device, &mut end, &hello).await {
        Err(DrainError::Refused(error)) => return Err(reason(device, error).await.into()),
        sent => sent?,
    }
    let mut buf = vec![0; tidelock_kabi::bounds::MAX_RECORD_BYTES];
    while !end.is_open() {
        let read = tokio::time::timeout(GREETING_WAIT, device.read(&mut buf)).await;
        let len = read
            .map_err(|_| DrainError::Silent)?
            .map_err(OpenError::from)?;
        let record = buf.get(..len).unwrap_or_default();
        end.handle(record)
            .map_err(|refused| OpenError::Refused { why: refused.why })?;
    }
    send(device, &mut end, &ToKernel::Drain).await
}

async fn send(
    device: &Device,
    end: &mut AgentEnd,
    record: &ToKernel<'_>,
) -> Result<(), DrainError> {
    let encoded = end.to_vec(record);
    let (pending, bytes) = encoded.map_err(|_| DrainError::Silent)?;
    match device.write(&bytes).await {
        Ok(()) => {
            end.accepted(pending);
            Ok(())
        }
        Err(WriteError::Refused(error)) => Err(DrainError::Refused(error)),
        Err(WriteError::Gone(error)) => Err(gone(error)),
    }
}

fn gone(error: DeviceError) -> DrainError {
    DrainError::Open(OpenError::Device(error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use tidelock_kabi::{KernelEnd, ToAgent};

    use super::*;

    #[tokio::test]
    async fn who_drained_waits_until_the_module_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("refcnt");
        assert_eq!(held(&file, Duration::from_secs(3600)).await, 0, "no module");
        std::fs::write(&file, "2\n").unwrap();
        assert_eq!(held(&file, LOOK_AGAIN * 2).await, 2, "it never is");
        let closing = async {
            tokio::time::sleep(LOOK_AGAIN).await;
            std::fs::write(&file, "0\n").unwrap();
        };
        let (left, ()) = tokio::join!(held(&file, Duration::from_secs(3600)), closing);
        assert_eq!(left, 0);
    }

    #[tokio::test]
    async fn draining_greets_waits_for_the_greeting_and_drains() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let device = Device::from_fd(ours.into()).unwrap();
        let kernel = std::thread::spawn(move || {
            let (mut end, mut buf) = (KernelEnd::new(3), [0; 512]);
            let len = theirs.recv(&mut buf).unwrap();
            end.handle(&buf[..len]).unwrap();
            let mut out = [0; 512];
            let hello = ToAgent::Hello {
                module_version: "m",
                generation: 3,
                net_ns: 1,
            };
            let len = end.encode(&hello, &mut out).unwrap();
            theirs.send(&out[..len]).unwrap();
            let len = theirs.recv(&mut buf).unwrap();
            assert_eq!(end.handle(&buf[..len]), Ok(ToKernel::Drain));
        });
        over(&device).await.unwrap();
        kernel.join().unwrap();
    }
}
