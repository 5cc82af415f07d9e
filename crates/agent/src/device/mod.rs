//! The device: one `read()` is one record, one `write()` is one record.

mod file;
mod session;

pub use file::{Device, DeviceError, WriteError};
pub use session::{Heard, Session, Unsent};
