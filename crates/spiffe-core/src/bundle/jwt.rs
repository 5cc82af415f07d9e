//! The keys that a trust domain's JWT-SVIDs are signed with.

use alloc::boxed::Box;

use super::{Bundle, BundleError, MAX_AUTHORITIES};
use crate::jwk::{JwkError, JwkProblem, MIN_RSA_BITS, PublicKey};

/// Longest key ID, in bytes. Ours: a SHA-512 in hexadecimal has 128.
pub const MAX_KEY_ID_BYTES: usize = 256;

/// A key of a bundle that JWT-SVIDs may be signed with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JwtAuthority {
    key_id: Box<str>,
    key: PublicKey,
}

impl JwtAuthority {
    /// Takes a key under the ID that the `kid` of its tokens will have.
    ///
    /// # Errors
    /// Names `kid` if the ID is empty (JWT-SVID §6.1 wants one) or longer than [`MAX_KEY_ID_BYTES`]; `n` if it is an
    /// RSA key of less than [`MIN_RSA_BITS`]; `kty` if it is an Ed25519 key, with which no JWT-SVID is signed (JWT-SVID
    /// §2.1).
    pub fn new(key_id: &str, key: PublicKey) -> Result<Self, JwkError> {
        let wrong = |member, problem| Err(JwkError::new(member, problem));
        match key_id.len() {
            0 => return wrong("kid", JwkProblem::Empty),
            len if len > MAX_KEY_ID_BYTES => return wrong("kid", JwkProblem::TooLong { len }),
            _ => {}
        }
        match key.rsa_bits() {
            Some(bits) if bits < MIN_RSA_BITS => return wrong("n", JwkProblem::Weak { bits }),
            _ if key.as_ed25519().is_some() => return wrong("kty", JwkProblem::Kind),
            _ => {}
        }
        let key_id = key_id.into();
        Ok(Self { key_id, key })
    }

    /// What the `kid` of its tokens says: 1 to [`MAX_KEY_ID_BYTES`] bytes.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }
}

impl Bundle {
    /// Adds a JWT authority; one that is already there is not added again.
    ///
    /// # Errors
    /// `KeyIdTaken` for another key under an ID that is there; `TooMany` beyond [`MAX_AUTHORITIES`].
    pub fn push_jwt(&mut self, authority: JwtAuthority) -> Result<(), BundleError> {
        let index = self.jwt_authorities.len();
        if let Some(same) = self.jwt_authority(&authority.key_id) {
            return if *same == authority {
                Ok(())
            } else {
                Err(BundleError::KeyIdTaken { index })
            };
        }
        if index >= MAX_AUTHORITIES {
            return Err(BundleError::TooMany);
        }
        self.jwt_authorities.push(authority);
        Ok(())
    }

    /// The JWT authorities, in order.
    pub fn jwt_authorities(&self) -> impl ExactSizeIterator<Item = &JwtAuthority> {
        self.jwt_authorities.iter()
    }

    /// The JWT authority of this key ID; IDs are compared byte for byte.
    pub fn jwt_authority(&self, key_id: &str) -> Option<&JwtAuthority> {
        self.jwt_authorities()
            .find(|authority| authority.key_id() == key_id)
    }
}
