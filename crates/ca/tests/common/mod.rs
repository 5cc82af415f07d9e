//! An authority, keys and requests for tests.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses its own part"
)]

pub mod liar;

use rcgen::KeyPair;
use tidelock_ca::{Authority, Entry, Serial, Ttl};
use tidelock_spiffe_core::{SpiffeIdBuf, TrustDomainBuf};

pub const NOW: i64 = 1_770_000_000;
pub const DAY: i64 = 86_400;

pub fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

/// A serial of a repeated byte.
pub fn serial(byte: u8) -> Serial {
    Serial::from_random([byte; 16])
}

pub fn example_org() -> TrustDomainBuf {
    TrustDomainBuf::parse("example.org").unwrap()
}

pub fn authority() -> Authority<KeyPair> {
    Authority::self_signed(key(), &example_org(), NOW, NOW + DAY, serial(1)).unwrap()
}

pub fn entry(id: &str, ttl_secs: u64) -> Entry {
    let id = SpiffeIdBuf::parse(id).unwrap();
    Entry::workload(id, Ttl::from_secs(ttl_secs).unwrap()).unwrap()
}

pub fn web() -> Entry {
    entry("spiffe://example.org/web", 3600)
}

pub fn csr(key: &KeyPair) -> Vec<u8> {
    tidelock_ca::request(key).unwrap()
}
