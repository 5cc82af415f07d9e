//! Virtual clock, test CA and two-ended simulation for Tidelock tests.
//!
//! Nothing here touches a socket, a clock or the system's randomness: a run is a function of its
//! inputs, except for the keys of the [`TestCa`]. Everything panics on misuse, as tests should.
#![forbid(unsafe_code)]

mod ca;
mod clock;
mod entropy;
mod kernel_tls;
mod pair;
mod wire;

pub use ca::{Leaf, TestCa, identity_without_svid, install, uri};
pub use clock::VirtualClock;
pub use entropy::SeededEntropy;
pub use kernel_tls::KernelTls;
pub use pair::{Allowing, End, Pair, PairBuilder, Verdict};
pub use wire::Wire;
