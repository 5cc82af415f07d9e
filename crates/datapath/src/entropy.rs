//! Where randomness comes from.

/// A source of cryptographic randomness without state of its own.
///
/// rustls holds its key exchange groups and its random source for `'static`; an associated function
/// lets them be zero-sized statics whatever the source is: the kernel's pool, the host's
/// `getrandom`, a fuzzer's fixed stream.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `out` with bytes nobody can predict.
    ///
    /// # Errors
    /// [`EntropyUnavailable`] if the source cannot serve; what was asked for then fails, never
    /// falls back.
    fn fill(out: &mut [u8]) -> Result<(), EntropyUnavailable>;
}

/// The source of randomness could not serve.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EntropyUnavailable;

impl core::fmt::Display for EntropyUnavailable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the source of randomness is unavailable")
    }
}

impl core::error::Error for EntropyUnavailable {}
