//! Who this node is: its key, made here, and its SVID, kept over restarts.

mod key;
mod store;
mod svid;

pub use key::{KeyError, NodeKey};
pub use store::{BundleDigest, Store, StoreError, digest};
pub use svid::{ChainError, NodeSvid};
