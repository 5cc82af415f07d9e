//! The contract between the Tidelock kernel module and its agent.
#![no_std]
#![forbid(unsafe_code)]
