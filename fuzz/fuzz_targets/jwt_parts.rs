//! Tokens by their parts, and tokens written for names that keep the rules.
#![cfg_attr(fuzzing, no_main)]

use tidelock_spiffe_core::SpiffeIdBuf;

#[path = "../../crates/spiffe-core/tests/bodies/mod.rs"]
mod bodies;

/// Header, claims, a name, an audience, and when the token begins and ends.
type Input<'a> = (&'a [u8], &'a [u8], SpiffeIdBuf, &'a str, i64, i64);

tidelock_fuzz::target!(|input: Input<'_>| {
    let (header, claims, id, audience, issued_at, expires_at) = input;
    bodies::jwt_parts(header, claims);
    bodies::jwt_written(&id, &[audience], issued_at, expires_at);
});
