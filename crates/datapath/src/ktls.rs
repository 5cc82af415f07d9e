//! Traffic secrets in the form that Linux kernel TLS takes.

use rustls::ConnectionTrafficSecrets;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Longest [`KtlsInfo`], in bytes: `struct tls12_crypto_info_aes_gcm_256` of `<linux/tls.h>`.
pub const MAX_KTLS_INFO_BYTES: usize = 56;

/// `TLS_1_3_VERSION` of `<linux/tls.h>`.
const TLS_1_3_VERSION: u16 = 0x0304;
/// Bytes of the nonce that the kernel calls salt with AES-GCM (`TLS_CIPHER_AES_GCM_128_SALT_SIZE`).
const GCM_SALT_BYTES: usize = 4;

/// What protects records, of what both rustls and the kernel have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Cipher {
    /// AES-128-GCM.
    Aes128Gcm,
    /// AES-256-GCM.
    Aes256Gcm,
    /// ChaCha20-Poly1305.
    Chacha20Poly1305,
}

impl Cipher {
    /// `TLS_CIPHER_*` of `<linux/tls.h>`.
    const fn number(self) -> u16 {
        match self {
            Self::Aes128Gcm => 51,
            Self::Aes256Gcm => 52,
            Self::Chacha20Poly1305 => 54,
        }
    }

    /// Bytes of its key (RFC 5116 §5, RFC 8439 §2.8).
    pub(crate) const fn key_bytes(self) -> usize {
        match self {
            Self::Aes128Gcm => 16,
            Self::Aes256Gcm | Self::Chacha20Poly1305 => 32,
        }
    }

    /// How much of its nonce the kernel calls salt.
    const fn salt_bytes(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm => GCM_SALT_BYTES,
            Self::Chacha20Poly1305 => 0,
        }
    }
}

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
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (Cipher::Aes128Gcm, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (Cipher::Aes256Gcm, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => {
                (Cipher::Chacha20Poly1305, key, iv)
            }
            _ => return None,
        };
        Self::lay_out(cipher, key.as_ref(), iv.as_ref(), sequence)
    }

    /// `struct tls_crypto_info`, then iv, key, salt and sequence number, as every `struct
    /// tls12_crypto_info_*` has them. `None` if they do not fit.
    pub(crate) fn lay_out(cipher: Cipher, key: &[u8], iv: &[u8], sequence: u64) -> Option<Self> {
        let (salt, iv) = iv.split_at_checked(cipher.salt_bytes())?;
        let mut info = Self {
            bytes: [0; MAX_KTLS_INFO_BYTES],
            len: 0,
        };
        let fields: [&[u8]; 6] = [
            &TLS_1_3_VERSION.to_ne_bytes(),
            &cipher.number().to_ne_bytes(),
            iv,
            key,
            salt,
            &sequence.to_be_bytes(),
        ];
        for field in fields {
            let end = info.len.checked_add(field.len())?;
            for (to, from) in info.bytes.get_mut(info.len..end)?.iter_mut().zip(field) {
                *to = *from;
            }
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
