//! HMAC (RFC 2104) for rustls, which builds HKDF on it.

use alloc::boxed::Box;
use core::marker::PhantomData;

use hmac::digest::OutputSizeUser;
use hmac::{KeyInit, Mac};
use rustls::crypto::hmac::{Hmac, Key, Tag};
use sha2::{Sha256, Sha384};

/// HMAC-SHA-256.
pub(super) static HMAC_SHA256: Keyed<hmac::Hmac<Sha256>> = Keyed(PhantomData);
/// HMAC-SHA-384.
pub(super) static HMAC_SHA384: Keyed<hmac::Hmac<Sha384>> = Keyed(PhantomData);

/// One HMAC, not keyed yet.
pub(super) struct Keyed<M>(PhantomData<M>);

/// An HMAC with its key taken in.
struct Ready<M>(M);

impl<M: Mac + KeyInit + Clone + Send + Sync + 'static> Hmac for Keyed<M> {
    fn with_key(&self, key: &[u8]) -> Box<dyn Key> {
        #[expect(clippy::expect_used, reason = "no key can be refused")]
        let mac = <M as KeyInit>::new_from_slice(key)
            .expect("HMAC takes a key of any length (RFC 2104 §2)");
        Box::new(Ready(mac))
    }

    fn hash_output_len(&self) -> usize {
        <M as OutputSizeUser>::output_size()
    }
}

impl<M: Mac + Clone + Send + Sync + 'static> Key for Ready<M> {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> Tag {
        let mut mac = self.0.clone();
        mac.update(first);
        for part in middle {
            mac.update(part);
        }
        mac.update(last);
        Tag::new(&mac.finalize().into_bytes())
    }

    fn tag_len(&self) -> usize {
        <M as OutputSizeUser>::output_size()
    }
}
