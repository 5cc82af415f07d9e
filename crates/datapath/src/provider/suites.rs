//! The TLS 1.3 cipher suites (RFC 8446 §B.4), each of which Linux kernel TLS can carry.

use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;
use rustls::crypto::CipherSuiteCommon;
use rustls::crypto::tls13::HkdfUsingHmac;
use rustls::{CipherSuite, ConnectionTrafficSecrets, SupportedCipherSuite, Tls13CipherSuite};

use super::{aead, hash, hmac};

/// Records one key may protect with AES-GCM (RFC 8446 §5.5: 2^24.5, rounded down).
const AES_GCM_RECORDS: u64 = 1 << 24;

/// `TLS_AES_128_GCM_SHA256`.
pub(super) const AES_128_GCM: SupportedCipherSuite =
    SupportedCipherSuite::Tls13(&TLS_AES_128_GCM_SHA256);
/// `TLS_AES_256_GCM_SHA384`.
pub(super) const AES_256_GCM: SupportedCipherSuite =
    SupportedCipherSuite::Tls13(&TLS_AES_256_GCM_SHA384);
/// `TLS_CHACHA20_POLY1305_SHA256`.
pub(super) const CHACHA20_POLY1305: SupportedCipherSuite =
    SupportedCipherSuite::Tls13(&TLS_CHACHA20_POLY1305_SHA256);

static TLS_AES_128_GCM_SHA256: Tls13CipherSuite = Tls13CipherSuite {
    common: CipherSuiteCommon {
        suite: CipherSuite::TLS13_AES_128_GCM_SHA256,
        hash_provider: &hash::SHA256,
        confidentiality_limit: AES_GCM_RECORDS,
    },
    hkdf_provider: &HkdfUsingHmac(&hmac::HMAC_SHA256),
    aead_alg: &aead::Algorithm::<Aes128Gcm>::new(|key, iv| ConnectionTrafficSecrets::Aes128Gcm {
        key,
        iv,
    }),
    quic: None,
};

static TLS_AES_256_GCM_SHA384: Tls13CipherSuite = Tls13CipherSuite {
    common: CipherSuiteCommon {
        suite: CipherSuite::TLS13_AES_256_GCM_SHA384,
        hash_provider: &hash::SHA384,
        confidentiality_limit: AES_GCM_RECORDS,
    },
    hkdf_provider: &HkdfUsingHmac(&hmac::HMAC_SHA384),
    aead_alg: &aead::Algorithm::<Aes256Gcm>::new(|key, iv| ConnectionTrafficSecrets::Aes256Gcm {
        key,
        iv,
    }),
    quic: None,
};

static TLS_CHACHA20_POLY1305_SHA256: Tls13CipherSuite = Tls13CipherSuite {
    common: CipherSuiteCommon {
        suite: CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        hash_provider: &hash::SHA256,
        confidentiality_limit: u64::MAX,
    },
    hkdf_provider: &HkdfUsingHmac(&hmac::HMAC_SHA256),
    aead_alg: &aead::Algorithm::<ChaCha20Poly1305>::new(|key, iv| {
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }
    }),
    quic: None,
};
