//! The Rust half of the Tidelock kernel module.
#![no_std]
