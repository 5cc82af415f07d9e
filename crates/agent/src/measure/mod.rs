//! What takes looking at a process: SHA-256 of the file that it executes, and a cache of it; what it belongs to.

mod cache;
mod hash;
mod look;
mod pool;

pub use cache::DigestCache;
pub use hash::{CTIME_TICK, Digest, FileId, HashError, MAX_EXE_BYTES, digest_of};
pub use look::{Look, LookError, Surroundings, look};
pub use pool::{MAX_HASHING, MAX_LOOKING, Measurer};
