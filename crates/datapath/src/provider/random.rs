//! rustls' random source over [`Entropy`].

use core::marker::PhantomData;

use rustls::crypto::{GetRandomFailed, SecureRandom};

use crate::entropy::Entropy;

/// Draws from `E`.
pub(super) struct Random<E>(PhantomData<E>);

impl<E: Entropy> Random<E> {
    /// The one value.
    pub(super) const SOURCE: &'static dyn SecureRandom = &Self(PhantomData);
}

impl<E> core::fmt::Debug for Random<E> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Random")
    }
}

impl<E: Entropy> SecureRandom for Random<E> {
    fn fill(&self, buf: &mut [u8]) -> Result<(), GetRandomFailed> {
        E::fill(buf).map_err(|_| GetRandomFailed)
    }
}
