//! The one place with unsafe code.
#![expect(
    unsafe_code,
    reason = "tokio cannot check that a descriptor stays what it was"
)]

use std::fs::File;
use std::io;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Has the runtime poll a file for reading and writing.
pub(crate) fn watch(file: File) -> io::Result<AsyncFd<File>> {
    // SAFETY: a `File` owns its descriptor and `as_raw_fd` always returns that one; it stays open until
    // the `AsyncFd`, which owns the file, deregisters it and drops it.
    let watched =
        unsafe { AsyncFd::register_with_interest(file, Interest::READABLE | Interest::WRITABLE) };
    watched.map_err(io::Error::from)
}
