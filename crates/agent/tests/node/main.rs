//! A whole agent against a real control plane, over TLS, and a kernel in memory that speaks the real contract.

mod authority;
mod kernel;
mod liar;
mod plane;
mod resume;
mod scenes;
mod x509pop;
