//! A real control plane on loopback, seen from outside: TLS, gRPC, SQLite, files.

mod attest;
mod common;
mod documents;
mod lifecycle;
mod sign;
mod sync;
