//! A real control plane on loopback, seen from outside: TLS, gRPC, SQLite, files.

mod attest;
mod authority;
mod codes;
mod common;
mod crl;
mod deltas;
mod documents;
mod events;
mod groups;
mod health;
mod jwt;
mod jwt_authority;
mod jwt_strangers;
mod lifecycle;
mod machines;
mod observe;
mod operators;
mod operators_life;
mod plan;
mod reflection;
mod revoke;
mod sign;
mod sync;
mod templates;
mod x509pop;
