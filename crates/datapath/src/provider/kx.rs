//! Key exchange: X25519 (RFC 7748) and ECDH on P-256 (FIPS 186-5), with fresh keys per handshake.

use alloc::boxed::Box;
use core::marker::PhantomData;

use p256::elliptic_curve::ecdh::diffie_hellman;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{PublicKey, SecretKey};
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
use zeroize::Zeroizing;

use crate::entropy::Entropy;
use crate::identity::p256_secret;

/// An uncompressed P-256 point: 0x04, x, y (SEC 1 §2.3.3).
const P256_POINT_BYTES: usize = 65;

/// An X25519 public key, secret key or shared secret (RFC 7748 §5).
pub(super) const X25519_BYTES: usize = 32;

/// The X25519 group, keys drawn from `E`.
pub(super) struct X25519<E>(PhantomData<E>);

/// The P-256 group, keys drawn from `E`.
pub(super) struct P256<E>(PhantomData<E>);

/// An X25519 key pair in use.
pub(super) struct X25519Active {
    secret: Zeroizing<[u8; X25519_BYTES]>,
    public: [u8; X25519_BYTES],
}

/// A P-256 key pair in use.
struct P256Active {
    secret: SecretKey,
    public: [u8; P256_POINT_BYTES],
}

impl<E: Entropy> X25519<E> {
    /// The one value.
    pub(super) const GROUP: &'static dyn SupportedKxGroup = &Self(PhantomData);
}

impl<E: Entropy> P256<E> {
    /// The one value.
    pub(super) const GROUP: &'static dyn SupportedKxGroup = &Self(PhantomData);
}

impl<E> core::fmt::Debug for X25519<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("X25519")
    }
}

impl<E> core::fmt::Debug for P256<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("P256")
    }
}

impl X25519Active {
    /// A new pair.
    ///
    /// # Errors
    /// When there is no randomness.
    pub(super) fn new<E: Entropy>() -> Result<Self, Error> {
        let mut secret = Zeroizing::new([0; X25519_BYTES]);
        E::fill(secret.as_mut_slice()).map_err(|_| Error::FailedToGetRandomBytes)?;
        let public = x25519(*secret, X25519_BASEPOINT_BYTES);
        Ok(Self { secret, public })
    }

    /// What the other side is sent.
    pub(super) fn public(&self) -> &[u8; X25519_BYTES] {
        &self.public
    }

    /// What both sides come to.
    ///
    /// # Errors
    /// When `peer` is no public key, or one of small order: that gives zero, which both sides must
    /// refuse (RFC 8446 §7.4.2).
    pub(super) fn shared(&self, peer: &[u8]) -> Result<Zeroizing<[u8; X25519_BYTES]>, Error> {
        let peer: [u8; X25519_BYTES] = peer
            .try_into()
            .map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        let shared = Zeroizing::new(x25519(*self.secret, peer));
        // The OR is constant time.
        if shared.iter().fold(0, |all, byte| all | byte) == 0 {
            return Err(PeerMisbehaved::InvalidKeyShare.into());
        }
        Ok(shared)
    }
}

impl<E: Entropy> SupportedKxGroup for X25519<E> {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(X25519Active::new::<E>()?))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for X25519Active {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        Ok(SharedSecret::from(self.shared(peer)?.as_slice()))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl<E: Entropy> SupportedKxGroup for P256<E> {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = p256_secret::<E>().map_err(|_| Error::FailedToGetRandomBytes)?;
        let public = secret.public_key().to_sec1_point(false);
        let public = public
            .as_bytes()
            .try_into()
            .map_err(|_| Error::FailedToGetRandomBytes)?;
        Ok(Box::new(P256Active { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp256r1
    }
}

impl ActiveKeyExchange for P256Active {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        // Uncompressed form only (RFC 8446 §4.2.8.2); decoding checks that the point is on the
        // curve.
        if peer.len() != P256_POINT_BYTES || peer.first() != Some(&0x04) {
            return Err(PeerMisbehaved::InvalidKeyShare.into());
        }
        let peer = PublicKey::from_sec1_bytes(peer).map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        let shared = diffie_hellman(self.secret.to_nonzero_scalar(), peer.as_affine());
        Ok(SharedSecret::from(shared.raw_secret_bytes().as_slice()))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp256r1
    }
}
