//! `/dev/tidelock` on an async runtime.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use tokio::io::unix::AsyncFd;

use crate::sys;

/// An open device. Dropping it ends the session.
#[derive(Debug)]
pub struct Device {
    /// `None` once closed.
    fd: Option<AsyncFd<File>>,
}

/// Why the device cannot be used (any more).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No such file.
    #[error("there is no {}: is the kernel module loaded? (`modprobe tidelock`)", path.display())]
    Missing {
        /// The path tried.
        path: PathBuf,
    },
    /// Somebody has it open.
    #[error("{} is in use: another agent is running; only one can", path.display())]
    Busy {
        /// The path tried.
        path: PathBuf,
    },
    /// The caller may not open it.
    #[error("{}: permission denied: it opens only for CAP_SYS_ADMIN in the initial user namespace", path.display())]
    Forbidden {
        /// The path tried.
        path: PathBuf,
    },
    /// Anything else when opening it.
    #[error("cannot open {}: {source}", path.display())]
    Open {
        /// The path tried.
        path: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
    /// It was there and is no longer.
    #[error("the device went away: was the kernel module unloaded?")]
    Gone,
    /// Reading failed.
    #[error("cannot read from the device: {0}")]
    Read(io::Error),
}

/// What became of a write.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The kernel refused the record; nothing changed. The reason follows as a record.
    #[error("refused by the kernel: {0}")]
    Refused(io::Error),
    /// The device is of no more use.
    #[error(transparent)]
    Gone(DeviceError),
}

impl Device {
    /// Opens the device.
    ///
    /// # Errors
    /// Why not, in words that say what to do.
    pub fn open(path: &Path) -> Result<Self, DeviceError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
            .open(path)
            .map_err(|source| open_error(path, source))?;
        Self::over(file, path)
    }

    /// Takes any descriptor that keeps records apart, such as a datagram socket, as the device. It has to
    /// be non-blocking.
    ///
    /// # Errors
    /// It cannot be polled.
    pub fn from_fd(fd: OwnedFd) -> Result<Self, DeviceError> {
        Self::over(File::from(fd), Path::new("the given descriptor"))
    }

    fn over(file: File, path: &Path) -> Result<Self, DeviceError> {
        let fd = sys::watch(file).map_err(|source| open_error(path, source))?;
        Ok(Self { fd: Some(fd) })
    }

    /// Ends the session, so that another can be opened.
    pub fn close(&mut self) {
        self.fd = None;
    }

    /// Waits for a record and reads it; its length. Cancelling loses no record.
    ///
    /// # Errors
    /// The device is of no more use.
    pub async fn read(&self, buf: &mut [u8]) -> Result<usize, DeviceError> {
        let fd = self.fd.as_ref().ok_or(DeviceError::Gone)?;
        loop {
            let mut ready = fd.readable().await.map_err(DeviceError::Read)?;
            match ready.try_io(|fd| retried(|| fd.get_ref().read(buf))) {
                Ok(Ok(0)) => return Err(DeviceError::Gone),
                Ok(Ok(len)) => return Ok(len),
                Ok(Err(error)) => return Err(read_error(error)),
                Err(_would_block) => {}
            }
        }
    }

    /// Reads a record if there is one; its length. Never waits.
    ///
    /// # Errors
    /// The device is of no more use.
    pub fn try_read(&self, buf: &mut [u8]) -> Result<Option<usize>, DeviceError> {
        let fd = self.fd.as_ref().ok_or(DeviceError::Gone)?;
        match retried(|| fd.get_ref().read(buf)) {
            Ok(0) => Err(DeviceError::Gone),
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(read_error(error)),
        }
    }

    /// Writes one record.
    ///
    /// # Errors
    /// Refused by the kernel, or the device is of no more use.
    pub async fn write(&self, record: &[u8]) -> Result<(), WriteError> {
        let fd = self
            .fd
            .as_ref()
            .ok_or(WriteError::Gone(DeviceError::Gone))?;
        loop {
            let mut ready = fd
                .writable()
                .await
                .map_err(|error| WriteError::Gone(DeviceError::Read(error)))?;
            match ready.try_io(|fd| retried(|| fd.get_ref().write(record))) {
                Ok(Ok(len)) if len == record.len() => return Ok(()),
                Ok(Ok(_)) => {
                    let short = io::Error::from(ErrorKind::WriteZero);
                    return Err(WriteError::Refused(short));
                }
                Ok(Err(error)) if is_gone(&error) => {
                    return Err(WriteError::Gone(DeviceError::Gone));
                }
                Ok(Err(error)) => return Err(WriteError::Refused(error)),
                Err(_would_block) => {}
            }
        }
    }
}

fn retried(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// `ENXIO`, `ENODEV`, `ESHUTDOWN`, and what a socket in its place says.
fn is_gone(error: &io::Error) -> bool {
    const ENXIO: i32 = 6;
    const ENODEV: i32 = 19;
    const ESHUTDOWN: i32 = 108;
    matches!(error.raw_os_error(), Some(ENXIO | ENODEV | ESHUTDOWN))
        || matches!(
            error.kind(),
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
        )
}

fn read_error(error: io::Error) -> DeviceError {
    if is_gone(&error) {
        DeviceError::Gone
    } else {
        DeviceError::Read(error)
    }
}

fn open_error(path: &Path, source: io::Error) -> DeviceError {
    let path = path.to_owned();
    match source.kind() {
        ErrorKind::NotFound => DeviceError::Missing { path },
        ErrorKind::ResourceBusy => DeviceError::Busy { path },
        ErrorKind::PermissionDenied => DeviceError::Forbidden { path },
        _ if is_gone(&source) => DeviceError::Missing { path },
        _ => DeviceError::Open { path, source },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    fn pair() -> (Device, UnixDatagram) {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Device::from_fd(ours.into()).unwrap(), theirs)
    }

    #[tokio::test]
    async fn a_missing_device_says_to_load_the_module() {
        let error = Device::open(Path::new("/nonexistent/tidelock")).unwrap_err();
        assert!(error.to_string().contains("modprobe tidelock"), "{error}");
    }

    #[tokio::test]
    async fn records_stay_apart_both_ways() {
        let (device, kernel) = pair();
        kernel.send(b"one").unwrap();
        kernel.send(b"three").unwrap();
        let mut buf = [0; 16];
        assert_eq!(device.read(&mut buf).await.unwrap(), 3);
        assert_eq!(device.read(&mut buf).await.unwrap(), 5);
        device.write(b"four").await.unwrap();
        assert_eq!(kernel.recv(&mut buf).unwrap(), 4);
    }

    #[tokio::test]
    async fn a_read_that_is_cancelled_loses_nothing() {
        let (device, kernel) = pair();
        let mut buf = [0; 16];
        let soon = std::time::Duration::from_millis(10);
        assert!(
            tokio::time::timeout(soon, device.read(&mut buf))
                .await
                .is_err()
        );
        kernel.send(b"one").unwrap();
        assert_eq!(device.read(&mut buf).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_closed_device_is_gone() {
        let (mut device, _kernel) = pair();
        device.close();
        assert!(matches!(
            device.read(&mut [0; 4]).await,
            Err(DeviceError::Gone)
        ));
        assert!(matches!(device.write(b"x").await, Err(WriteError::Gone(_))));
    }

    #[tokio::test]
    async fn a_device_that_goes_away_is_said_to_have() {
        let (device, kernel) = pair();
        drop(kernel);
        assert!(matches!(
            device.write(b"x").await,
            Err(WriteError::Gone(DeviceError::Gone))
        ));
    }
}
