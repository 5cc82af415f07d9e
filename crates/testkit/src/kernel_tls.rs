//! What kernel TLS does with a `struct tls12_crypto_info_*`, in userspace.

use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;

/// `TLS_1_3_VERSION`, `TLS_CIPHER_*` and sizes of `<linux/tls.h>`, read from the bytes as the
/// kernel reads them: this side shares no code with the engine that wrote them.
pub struct KernelTls {
    cipher: Cipher,
    nonce: [u8; 12],
    /// The number of the next record.
    pub sequence: u64,
}

enum Cipher {
    Aes128(Box<Aes128Gcm>),
    Aes256(Box<Aes256Gcm>),
    ChaCha20(Box<ChaCha20Poly1305>),
}

impl KernelTls {
    /// Reads what would be given to `setsockopt`.
    ///
    /// # Panics
    /// If the kernel would refuse it.
    #[must_use]
    pub fn new(info: &[u8]) -> Self {
        let (version, rest) = info.split_first_chunk().expect("a version");
        assert_eq!(u16::from_ne_bytes(*version), 0x0304, "TLS 1.3");
        let (cipher, rest) = rest.split_first_chunk().expect("a cipher type");
        let (key_len, iv_len, salt_len) = match u16::from_ne_bytes(*cipher) {
            51 => (16, 8, 4),
            52 => (32, 8, 4),
            54 => (32, 12, 0),
            other => panic!("cipher type {other}"),
        };
        assert_eq!(
            rest.len(),
            iv_len + key_len + salt_len + 8,
            "the size of the structure"
        );
        let (iv, rest) = rest.split_at(iv_len);
        let (key, rest) = rest.split_at(key_len);
        let (salt, sequence) = rest.split_at(salt_len);
        let cipher = match u16::from_ne_bytes(*cipher) {
            51 => Cipher::Aes128(Box::new(KeyInit::new_from_slice(key).expect("16 bytes"))),
            52 => Cipher::Aes256(Box::new(KeyInit::new_from_slice(key).expect("32 bytes"))),
            _ => Cipher::ChaCha20(Box::new(KeyInit::new_from_slice(key).expect("32 bytes"))),
        };
        let nonce = [salt, iv].concat().try_into().expect("12 bytes");
        Self {
            cipher,
            nonce,
            sequence: u64::from_be_bytes(sequence.try_into().expect("8 bytes")),
        }
    }

    /// Protects one record of `content_type`, header included.
    #[must_use]
    pub fn seal(&mut self, content_type: u8, text: &[u8]) -> Vec<u8> {
        let plain = [text, &[content_type]].concat();
        let header = header(plain.len() + 16);
        let body = self.crypt(|cipher, nonce| {
            cipher.seal(
                nonce,
                Payload {
                    msg: &plain,
                    aad: &header,
                },
            )
        });
        [&header[..], &body.expect("sealing never fails")].concat()
    }

    /// Opens one record, header included: content type and text, or `None` if it is not authentic.
    #[must_use]
    pub fn open(&mut self, record: &[u8]) -> Option<(u8, Vec<u8>)> {
        let (aad, msg) = record.split_at_checked(5)?;
        let mut plain = self.crypt(|cipher, nonce| cipher.open(nonce, Payload { msg, aad }))?;
        while plain.pop_if(|last| *last == 0).is_some() {}
        Some((plain.pop()?, plain))
    }

    fn crypt(&mut self, run: impl FnOnce(&Cipher, [u8; 12]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        let mut nonce = self.nonce;
        for (byte, sequence) in nonce.iter_mut().skip(4).zip(self.sequence.to_be_bytes()) {
            *byte ^= sequence;
        }
        let out = run(&self.cipher, nonce)?;
        self.sequence += 1;
        Some(out)
    }
}

impl Cipher {
    fn seal(&self, nonce: [u8; 12], payload: Payload<'_, '_>) -> Option<Vec<u8>> {
        match self {
            Self::Aes128(aead) => seal(&**aead, nonce, payload),
            Self::Aes256(aead) => seal(&**aead, nonce, payload),
            Self::ChaCha20(aead) => seal(&**aead, nonce, payload),
        }
    }

    fn open(&self, nonce: [u8; 12], payload: Payload<'_, '_>) -> Option<Vec<u8>> {
        match self {
            Self::Aes128(aead) => open(&**aead, nonce, payload),
            Self::Aes256(aead) => open(&**aead, nonce, payload),
            Self::ChaCha20(aead) => open(&**aead, nonce, payload),
        }
    }
}

fn seal(
    aead: &impl Aead<NonceSize = U12, TagSize = U16>,
    nonce: [u8; 12],
    payload: Payload<'_, '_>,
) -> Option<Vec<u8>> {
    aead.encrypt(&nonce.into(), payload).ok()
}

fn open(
    aead: &impl Aead<NonceSize = U12, TagSize = U16>,
    nonce: [u8; 12],
    payload: Payload<'_, '_>,
) -> Option<Vec<u8>> {
    aead.decrypt(&nonce.into(), payload).ok()
}

/// The header of a protected record (RFC 8446 §5.2), which is also its additional data.
fn header(len: usize) -> [u8; 5] {
    let [high, low] = u16::try_from(len).expect("a record's length").to_be_bytes();
    [23, 3, 3, high, low]
}
