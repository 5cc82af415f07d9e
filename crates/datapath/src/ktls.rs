//! Traffic secrets in the form that Linux kernel TLS takes.

use rustls::ConnectionTrafficSecrets;
use rustls::crypto::cipher::{AeadKey, Iv};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Longest [`KtlsInfo`], in bytes: `struct tls12_crypto_info_aes_gcm_256` of `<linux/tls.h>`.
pub const MAX_KTLS_INFO_BYTES: usize = 56;

/// `TLS_1_3_VERSION` of `<linux/tls.h>`.
const TLS_1_3_VERSION: u16 = 0x0304;
/// `TLS_CIPHER_AES_GCM_128` of `<linux/tls.h>`.
const AES_GCM_128: u16 = 51;
/// `TLS_CIPHER_AES_GCM_256` of `<linux/tls.h>`.
const AES_GCM_256: u16 = 52;
/// `TLS_CIPHER_CHACHA20_POLY1305` of `<linux/tls.h>`.
const CHACHA20_POLY1305: u16 = 54;
/// Bytes of the nonce that the kernel calls salt with AES-GCM (`TLS_CIPHER_AES_GCM_128_SALT_SIZE`).
const GCM_SALT_BYTES: usize = 4;

/// One direction's key, nonce and next sequence number: the bytes of a `struct
/// tls12_crypto_info_*`, ready for `setsockopt(SOL_TLS, TLS_TX or TLS_RX)`. Wiped on drop; never
/// printed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct KtlsInfo {
    bytes: [u8; MAX_KTLS_INFO_BYTES],
    len: usize,
}

impl KtlsInfo {
    /// The bytes for `setsockopt`. Secret.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Lays out `secrets` with `sequence` as the number of the next record. `None` for a cipher the
    /// kernel lacks.
    pub(crate) fn new(sequence: u64, secrets: &ConnectionTrafficSecrets) -> Option<Self> {
        let (cipher, key, iv) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (AES_GCM_128, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (AES_GCM_256, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (CHACHA20_POLY1305, key, iv),
            _ => return None,
        };
        Self::lay_out(cipher, key, iv, sequence)
    }

    /// `struct tls_crypto_info`, then iv, key, salt and sequence number, as every `struct
    /// tls12_crypto_info_*` has them.
    fn lay_out(cipher: u16, key: &AeadKey, iv: &Iv, sequence: u64) -> Option<Self> {
        let salt_bytes = if cipher == CHACHA20_POLY1305 {
            0
        } else {
            GCM_SALT_BYTES
        };
        let (salt, iv) = iv.as_ref().split_at_checked(salt_bytes)?;
        let mut info = Self {
            bytes: [0; MAX_KTLS_INFO_BYTES],
            len: 0,
        };
        let fields: [&[u8]; 6] = [
            &TLS_1_3_VERSION.to_ne_bytes(),
            &cipher.to_ne_bytes(),
            iv,
            key.as_ref(),
            salt,
            &sequence.to_be_bytes(),
        ];
        for field in fields {
            let end = info.len.checked_add(field.len())?;
            info.bytes.get_mut(info.len..end)?.copy_from_slice(field);
            info.len = end;
        }
        Some(info)
    }
}

impl core::fmt::Debug for KtlsInfo {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("KtlsInfo").finish_non_exhaustive()
    }
}
