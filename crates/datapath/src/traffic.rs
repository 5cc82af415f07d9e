//! Application traffic secrets after the handshake: what follows from one when its sender changes its key (RFC 8446 §4.6.3).
//!
//! Nothing here allocates or panics: a program's own context may run it.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::ktls::{Cipher, KtlsInfo};

/// Longest traffic secret, in bytes: a SHA-384 (RFC 8446 §7.1, `Hash.length`).
pub const MAX_TRAFFIC_SECRET_BYTES: usize = 48;

/// Longest key of a cipher suite, in bytes (RFC 8446 §B.4).
const MAX_KEY_BYTES: usize = 32;
/// Bytes of a nonce (RFC 8446 §5.3; all our suites have the least that an AEAD may have, RFC 5116 §5).
const IV_BYTES: usize = 12;
/// What every label begins with (RFC 8446 §7.1).
const LABEL_PREFIX: &[u8] = b"tls13 ";
/// The labels of §7.2 and §7.3.
const NEXT_SECRET: &[u8] = b"traffic upd";
const KEY: &[u8] = b"key";
const IV: &[u8] = b"iv";

/// The secret from which one direction's keys are made: `application_traffic_secret_N` (RFC 8446 §7.1). Wiped on drop; never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct TrafficSecret {
    #[zeroize(skip)]
    suite: Suite,
    bytes: [u8; MAX_TRAFFIC_SECRET_BYTES],
}

/// What a cipher suite makes of a secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Suite {
    cipher: Cipher,
    hash: Hash,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Hash {
    Sha256,
    Sha384,
}

impl Suite {
    /// By its number (RFC 8446 §B.4); `None` for one that the engine does not speak.
    const fn from_number(number: u16) -> Option<Self> {
        let (cipher, hash) = match number {
            0x1301 => (Cipher::Aes128Gcm, Hash::Sha256),
            0x1302 => (Cipher::Aes256Gcm, Hash::Sha384),
            0x1303 => (Cipher::Chacha20Poly1305, Hash::Sha256),
            _ => return None,
        };
        Some(Self { cipher, hash })
    }

    const fn secret_bytes(self) -> usize {
        match self.hash {
            Hash::Sha256 => 32,
            Hash::Sha384 => MAX_TRAFFIC_SECRET_BYTES,
        }
    }
}

impl TrafficSecret {
    /// The secret of a connection with this cipher suite (its number in RFC 8446 §B.4). `None` if the suite is none of ours, or makes
    /// secrets of another length.
    #[must_use]
    pub fn new(suite: u16, secret: &[u8]) -> Option<Self> {
        let suite = Suite::from_number(suite)?;
        if secret.len() != suite.secret_bytes() {
            return None;
        }
        let mut bytes = [0; MAX_TRAFFIC_SECRET_BYTES];
        bytes.get_mut(..secret.len())?.copy_from_slice(secret);
        Some(Self { suite, bytes })
    }

    /// The bytes. Secret.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes
            .get(..self.suite.secret_bytes())
            .unwrap_or_default()
    }

    /// The secret after this one, which is to be forgotten then: `application_traffic_secret_N+1` (RFC 8446 §7.2). `None` never comes.
    #[must_use]
    pub fn next(&self) -> Option<Self> {
        let mut next = Self {
            suite: self.suite,
            bytes: [0; MAX_TRAFFIC_SECRET_BYTES],
        };
        let room = next.bytes.get_mut(..self.suite.secret_bytes())?;
        self.expand_label(NEXT_SECRET, room)?;
        Some(next)
    }

    /// The key and nonce that this secret makes (RFC 8446 §7.3), for a record number 0 (§5.3). `None` never comes.
    #[must_use]
    pub fn keys(&self) -> Option<KtlsInfo> {
        let mut key = Wiped([0; MAX_KEY_BYTES]);
        let mut iv = Wiped([0; IV_BYTES]);
        let key = key.0.get_mut(..self.suite.cipher.key_bytes())?;
        self.expand_label(KEY, key)?;
        self.expand_label(IV, &mut iv.0)?;
        KtlsInfo::lay_out(self.suite.cipher, key, &iv.0, 0)
    }

    fn expand_label(&self, label: &[u8], out: &mut [u8]) -> Option<()> {
        let secret = self.as_bytes();
        match self.suite.hash {
            Hash::Sha256 => expand_label::<Hmac<Sha256>>(secret, label, out),
            Hash::Sha384 => expand_label::<Hmac<Sha384>>(secret, label, out),
        }
    }
}

/// `HKDF-Expand-Label(secret, label, "", out.len())` (RFC 8446 §7.1) of no more than the hash gives, so that HKDF-Expand has one block
/// (RFC 5869 §2.3). `None` if `out` is longer.
fn expand_label<M: Mac + KeyInit>(secret: &[u8], label: &[u8], out: &mut [u8]) -> Option<()> {
    const FIRST_BLOCK: u8 = 1;
    const NO_CONTEXT: u8 = 0;
    let label_bytes = LABEL_PREFIX.len().checked_add(label.len())?;
    let mut mac = <M as KeyInit>::new_from_slice(secret).ok()?;
    mac.update(&u16::try_from(out.len()).ok()?.to_be_bytes());
    mac.update(&[u8::try_from(label_bytes).ok()?]);
    mac.update(LABEL_PREFIX);
    mac.update(label);
    mac.update(&[NO_CONTEXT, FIRST_BLOCK]);
    let mut block = mac.finalize().into_bytes();
    let fits = block.get(..out.len()).map(|first| {
        for (to, from) in out.iter_mut().zip(first) {
            *to = *from;
        }
    });
    block.as_mut_slice().zeroize();
    fits
}

/// Bytes that are wiped when they go.
struct Wiped<const N: usize>([u8; N]);

impl<const N: usize> Drop for Wiped<N> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl core::fmt::Debug for TrafficSecret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TrafficSecret").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
