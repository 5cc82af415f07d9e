//! Signing of handshake transcripts with an identity's key.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use rustls::crypto::KeyProvider;
use rustls::sign::{Signer, SigningKey as TlsSigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use rustls_pki_types::PrivateKeyDer;

/// A P-256 key as rustls sees it. Holds the key by reference count; cannot be printed or
/// serialised.
#[derive(Clone)]
pub(crate) struct TranscriptKey(pub(crate) Arc<SigningKey>);

impl core::fmt::Debug for TranscriptKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TranscriptKey").finish_non_exhaustive()
    }
}

impl TlsSigningKey for TranscriptKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        if !offered.contains(&SignatureScheme::ECDSA_NISTP256_SHA256) {
            return None;
        }
        Some(Box::new(self.clone()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for TranscriptKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature: DerSignature = self
            .0
            .try_sign(message)
            .map_err(|_| Error::General("signing failed".into()))?;
        Ok(signature.as_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ECDSA_NISTP256_SHA256
    }
}

/// Loads nothing: keys are born in an [`Identity`](crate::Identity), never read from bytes.
#[derive(Debug)]
pub(super) struct NoStoredKeys;

impl KeyProvider for NoStoredKeys {
    fn load_private_key(
        &self,
        _key: PrivateKeyDer<'static>,
    ) -> Result<Arc<dyn TlsSigningKey>, Error> {
        Err(Error::General("private keys are never loaded".into()))
    }
}
