//! The cryptography that the engine gives rustls: RustCrypto, without SIMD requirements, getrandom
//! or globals.

mod aead;
mod hash;
mod hmac;
mod hybrid;
mod kx;
mod random;
pub(crate) mod sign;
mod suites;
mod verify;

use alloc::vec;

use rustls::crypto::CryptoProvider;

pub(crate) use verify::{EXTERNAL_SIGNATURES, SIGNATURES};

use crate::entropy::Entropy;

/// Everything rustls needs, drawing randomness from `E`.
pub(crate) fn provider<E: Entropy>() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            suites::AES_128_GCM,
            suites::AES_256_GCM,
            suites::CHACHA20_POLY1305,
        ],
        // In order of preference. What is recorded today must not be read by a quantum computer
        // later; a peer that knows no ML-KEM finds an X25519 share beside it and loses no round trip.
        kx_groups: vec![
            hybrid::X25519MlKem768::<E>::GROUP,
            kx::X25519::<E>::GROUP,
            kx::P256::<E>::GROUP,
        ],
        signature_verification_algorithms: SIGNATURES,
        secure_random: random::Random::<E>::SOURCE,
        key_provider: &sign::NoStoredKeys,
    }
}
