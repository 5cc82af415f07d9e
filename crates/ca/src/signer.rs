//! The key of an authority, wherever it is kept.

use std::cell::RefCell;
use std::error::Error;

use rcgen::{PublicKeyData, SignatureAlgorithm, SigningKey};

use crate::{Csr, KeyAlgorithm};

/// A key that signs.
///
/// The key may be on disk, in an HSM or in a service: this crate sees the public half and
/// signatures, and checks every signature before it releases what was signed.
pub trait Signer {
    /// Why a signature could not be made.
    type Error: Error + Send + Sync + 'static;

    /// What kind of key it is; P-256 unless a signer says otherwise.
    fn algorithm(&self) -> KeyAlgorithm {
        KeyAlgorithm::P256
    }

    /// The public key: an uncompressed point (SEC 1 §2.3.3) of 65 bytes for P-256 and 97 for P-384, or Ed25519's 32
    /// bytes.
    fn public_key(&self) -> &[u8];

    /// Signs `message` with the algorithm's own hash: an `Ecdsa-Sig-Value` in DER (RFC 3279 §2.2.3), or Ed25519's 64
    /// bytes.
    ///
    /// # Errors
    /// Whatever keeps the key from signing.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Self::Error>;
}

/// A key of rcgen in memory. One of a kind that [`KeyAlgorithm`] does not have passes for P-256, so that nothing signed
/// with it is released.
impl Signer for rcgen::KeyPair {
    type Error = rcgen::Error;

    fn algorithm(&self) -> KeyAlgorithm {
        let written = PublicKeyData::algorithm(self);
        let known = |kind: &KeyAlgorithm| kind.written() == written;
        KeyAlgorithm::ALL
            .into_iter()
            .find(known)
            .unwrap_or_default()
    }

    fn public_key(&self) -> &[u8] {
        self.public_key_raw()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        SigningKey::sign(self, message)
    }
}

impl<S: Signer + ?Sized> Signer for &S {
    type Error = S::Error;

    fn algorithm(&self) -> KeyAlgorithm {
        (**self).algorithm()
    }

    fn public_key(&self) -> &[u8] {
        (**self).public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, S::Error> {
        (**self).sign(message)
    }
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignError<E> {
    /// The key did not sign.
    #[error("the key did not sign")]
    Signer(#[source] E),
    /// What was to be signed cannot be encoded.
    #[error("what was to be signed cannot be encoded")]
    Encode(#[source] rcgen::Error),
}

/// Lends a [`Signer`] to rcgen and keeps the error that rcgen's own type cannot hold.
pub(crate) struct Adaptor<'s, S: Signer> {
    signer: &'s S,
    error: RefCell<Option<S::Error>>,
}

impl<'s, S: Signer> Adaptor<'s, S> {
    /// Runs `write`, which signs with `signer`.
    pub(crate) fn run<T>(
        signer: &'s S,
        write: impl FnOnce(&Self) -> Result<T, rcgen::Error>,
    ) -> Result<T, SignError<S::Error>> {
        let adaptor = Self {
            signer,
            error: RefCell::new(None),
        };
        write(&adaptor).map_err(|error| match adaptor.error.take() {
            Some(error) => SignError::Signer(error),
            None => SignError::Encode(error),
        })
    }
}

impl<S: Signer> PublicKeyData for Adaptor<'_, S> {
    fn der_bytes(&self) -> &[u8] {
        self.signer.public_key()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.signer.algorithm().written()
    }
}

impl<S: Signer> SigningKey for Adaptor<'_, S> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.signer.sign(message).map_err(|error| {
            *self.error.borrow_mut() = Some(error);
            rcgen::Error::RemoteKeyError
        })
    }
}

/// The public half of a key, which signs nothing: what it is asked to sign is signed elsewhere.
pub(crate) struct Unsigned {
    algorithm: KeyAlgorithm,
    public_key: Vec<u8>,
}

impl Unsigned {
    pub(crate) fn of(key: &impl Signer) -> Self {
        Self {
            algorithm: key.algorithm(),
            public_key: key.public_key().to_vec(),
        }
    }
}

impl PublicKeyData for Unsigned {
    fn der_bytes(&self) -> &[u8] {
        &self.public_key
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm.written()
    }
}

impl SigningKey for Unsigned {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(Vec::new())
    }
}

/// A public key that someone else holds the private half of.
pub(crate) struct SubjectKey<'k>(pub(crate) &'k Csr<'k>);

impl PublicKeyData for SubjectKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.0.algorithm().written()
    }
}
