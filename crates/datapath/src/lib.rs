//! The sans-IO TLS 1.3 engine of a governed connection.
#![no_std]
#![forbid(unsafe_code)]
