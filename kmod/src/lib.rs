//! The Rust half of the Tidelock kernel module: every parser, protocol, decision and key.
//!
//! C calls the `tl_rs_*` functions declared in `kmod/shim.h` and owns all memory. Each of them
//! states its context: *lane* (a private stack and a current arena; may allocate and panic) or
//! *any* (neither). For the kernel the crate is built as a static library for
//! `x86_64-unknown-none`; on the host it is an ordinary library, so that its tests run the same
//! code against a fake of C's half.
#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]
#![cfg_attr(
    test,
    expect(
        clippy::multiple_unsafe_ops_per_block,
        reason = "a test makes several calls in a row"
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod admission;
pub mod arena;
pub mod config;
pub mod context;
pub mod control;
pub mod decide;
pub mod entropy;
pub mod errno;
pub mod executable;
pub mod facts;
#[cfg(test)]
mod fake;
pub mod ffi;
pub mod flow;
pub mod heap;
pub mod identity;
pub mod line;
pub mod mediation;
pub mod mode;
#[cfg(target_os = "none")]
mod panic;
pub mod queue;
pub mod records;
pub mod sending;
pub mod session;
pub mod socket;
pub mod sockopt;
pub mod text;
pub mod traffic;
