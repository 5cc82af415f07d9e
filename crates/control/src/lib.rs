//! The control plane as a library: store, attestation, issuance, streams.
