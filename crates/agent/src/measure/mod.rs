//! SHA-256 of the file that a process executes, and a cache of it.

mod cache;
mod hash;
mod pool;

pub use cache::DigestCache;
pub use hash::{CTIME_TICK, Digest, FileId, HashError, MAX_EXE_BYTES, digest_of};
pub use pool::{MAX_HASHING, Measurer};
