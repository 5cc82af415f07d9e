//! Names that keep the rules, made of a fuzzer's bytes.

use alloc::string::String;

use arbitrary::{Arbitrary, Result, Unstructured};

use crate::{MAX_TRUST_DOMAIN_BYTES, SpiffeIdBuf, TrustDomainBuf};

/// Bytes of a trust domain name (SPIFFE-ID §2.1).
const NAME: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789.-_";
/// Bytes of a path segment (SPIFFE-ID §2.2).
const SEGMENT: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
/// Most segments made. Ours: enough to see what depth does.
const MAX_SEGMENTS: usize = 16;
/// Longest segment made, in bytes; with as many as there may be, an ID is as long as one may be.
const MAX_SEGMENT_BYTES: usize = 110;

impl<'a> Arbitrary<'a> for TrustDomainBuf {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let name = word(u, NAME, MAX_TRUST_DOMAIN_BYTES)?;
        Self::parse(&name).map_err(|_| arbitrary::Error::IncorrectFormat)
    }
}

impl<'a> Arbitrary<'a> for SpiffeIdBuf {
    /// An ID with a path or without one.
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut text = String::from(TrustDomainBuf::arbitrary(u)?.id().as_str());
        for _ in 0..u.int_in_range(0..=MAX_SEGMENTS)? {
            text.push('/');
            match word(u, SEGMENT, MAX_SEGMENT_BYTES)?.as_str() {
                "." | ".." => text.push_str("..."),
                segment => text.push_str(segment),
            }
        }
        Self::parse(&text).map_err(|_| arbitrary::Error::IncorrectFormat)
    }
}

fn word(u: &mut Unstructured<'_>, alphabet: &[u8], max_bytes: usize) -> Result<String> {
    let len = u.int_in_range(1..=max_bytes)?;
    (0..len)
        .map(|_| u.choose(alphabet).map(|&byte| char::from(byte)))
        .collect()
}
