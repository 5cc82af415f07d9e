//! TLS 1.3 record protection (RFC 8446 §5.2) over RustCrypto AEADs.

use alloc::boxed::Box;
use core::marker::PhantomData;

use aes_gcm::aead::consts::{U12, U16};
use aes_gcm::aead::{AeadInOut, KeyInit, KeySizeUser, Nonce as AeadNonce, Tag};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter,
    Nonce, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls13AeadAlgorithm,
    UnsupportedOperationError, make_tls13_aad,
};
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion};

/// Authentication tag, in bytes, of all three AEADs (RFC 8446 §5.2, RFC 5116 §5).
const TAG_BYTES: usize = 16;

/// How rustls hands the secrets of one AEAD out.
type Extract = fn(AeadKey, Iv) -> ConnectionTrafficSecrets;

/// One AEAD algorithm.
pub(super) struct Algorithm<A> {
    extract: Extract,
    aead: PhantomData<A>,
}

impl<A> Algorithm<A> {
    /// The algorithm whose secrets `extract` wraps.
    pub(super) const fn new(extract: Extract) -> Self {
        Self {
            extract,
            aead: PhantomData,
        }
    }
}

/// One direction of a connection.
struct Protection<A> {
    /// `None` if the key had the wrong length; rustls cuts keys to `key_len()`.
    aead: Option<A>,
    iv: Iv,
}

/// The AEADs of TLS 1.3: 12-byte nonces, 16-byte tags.
pub(super) trait Tls13Aead:
    AeadInOut<NonceSize = U12, TagSize = U16> + KeyInit + Send + Sync + 'static
{
}

impl<A> Tls13Aead for A where
    A: AeadInOut<NonceSize = U12, TagSize = U16> + KeyInit + Send + Sync + 'static
{
}

impl<A: Tls13Aead> Protection<A> {
    fn new(key: &AeadKey, iv: Iv) -> Self {
        Self {
            aead: A::new_from_slice(key.as_ref()).ok(),
            iv,
        }
    }

    fn nonce(&self, seq: u64) -> AeadNonce<A> {
        Nonce::new(&self.iv, seq).0.into()
    }
}

impl<A: Tls13Aead> Tls13AeadAlgorithm for Algorithm<A> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Protection::<A>::new(&key, iv))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Protection::<A>::new(&key, iv))
    }

    fn key_len(&self) -> usize {
        <A as KeySizeUser>::key_size()
    }

    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Ok((self.extract)(key, iv))
    }
}

impl<A: Tls13Aead> MessageEncrypter for Protection<A> {
    fn encrypt(
        &mut self,
        msg: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let total = self.encrypted_payload_len(msg.payload.len());
        let mut payload = PrefixedPayload::with_capacity(total);
        payload.extend_from_chunks(&msg.payload);
        payload.extend_from_slice(&[u8::from(msg.typ)]);
        let aead = self.aead.as_ref().ok_or(Error::EncryptError)?;
        let tag = aead
            .encrypt_inout_detached(
                &self.nonce(seq),
                &make_tls13_aad(total),
                payload.as_mut().into(),
            )
            .map_err(|_| Error::EncryptError)?;
        payload.extend_from_slice(&tag);
        Ok(OutboundOpaqueMessage::new(
            ContentType::ApplicationData,
            ProtocolVersion::TLSv1_2,
            payload,
        ))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        // The content type is one byte (RFC 8446 §5.2, TLSInnerPlaintext).
        payload_len.saturating_add(1 + TAG_BYTES)
    }
}

impl<A: Tls13Aead> MessageDecrypter for Protection<A> {
    fn decrypt<'a>(
        &mut self,
        mut msg: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let total = msg.payload.len();
        let text_len = total.checked_sub(TAG_BYTES).ok_or(Error::DecryptError)?;
        let (text, tag) = msg
            .payload
            .split_at_mut_checked(text_len)
            .ok_or(Error::DecryptError)?;
        let tag = Tag::<A>::try_from(&*tag).map_err(|_| Error::DecryptError)?;
        let aead = self.aead.as_ref().ok_or(Error::DecryptError)?;
        aead.decrypt_inout_detached(&self.nonce(seq), &make_tls13_aad(total), text.into(), &tag)
            .map_err(|_| Error::DecryptError)?;
        msg.payload.truncate(text_len);
        msg.into_tls13_unpadded_message()
    }
}
