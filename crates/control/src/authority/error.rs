//! What can go wrong with authorities.

use tidelock_ca::{
    CsrError, EntryError, JwtAuthorityError, JwtIssueError, LifecycleError, SignError, TimingError,
    TtlError,
};
use tidelock_spiffe_core::bundle::BundleError;
use tidelock_spiffe_core::x509::SigningCertError;

use super::keys::KeyError;
use crate::data_dir::DataDirError;
use crate::store::StoreError;

/// Why authorities cannot be taken up, or another be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// Its files.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system has no randomness.
    #[error("no randomness: {0}")]
    Random(#[from] getrandom::Error),
    /// Its key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The data directory belongs to another trust domain.
    #[error("the data directory belongs to the trust domain `{stored}`, not `{wanted}`")]
    TrustDomain {
        /// Whose it is.
        stored: String,
        /// Whose it was to be.
        wanted: String,
    },
    /// Key and certificate do not belong together, or cannot be made.
    #[error("the authority cannot be used: {0}")]
    Signing(#[from] tidelock_ca::AuthorityError<rcgen::Error>),
    /// A key that cannot sign JWT-SVIDs.
    #[error("the authority cannot be used: {0}")]
    Jwt(#[from] JwtAuthorityError),
    /// A key that signs JWT-SVIDs is not the one that was published.
    #[error(
        "the authority cannot be used: the key in `{file}` is not the one that the database names"
    )]
    OtherKey {
        /// The file's name in the data directory.
        file: String,
    },
    /// What relying parties are to be given cannot be written.
    #[error("the bundle cannot be published: {0}")]
    Bundle(#[from] BundleError),
    /// The store holds what is no signing certificate.
    #[error("the database holds an authority whose certificate is refused: {0}")]
    Certificate(SigningCertError),
    /// Times that do not fit together.
    #[error("the authorities' times do not fit together: {0}")]
    Timing(#[from] TimingError),
    /// The authorities are not where such a step leads on from.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
}

/// Why nothing is issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The request is refused.
    #[error(transparent)]
    Csr(#[from] CsrError),
    /// The entry is no entry.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// The entry's lifetime is out of bounds.
    #[error(transparent)]
    Ttl(#[from] TtlError),
    /// The system has no randomness.
    #[error("no randomness: {0}")]
    Random(#[from] getrandom::Error),
    /// No authority signs.
    #[error("no authority is active: `tidelock authority prepare`, then `activate`")]
    NoAuthority,
    /// No authority signs JWT-SVIDs.
    #[error("no JWT authority is active: `tidelock authority prepare --kind jwt`, then `activate`")]
    NoJwtAuthority,
    /// The authority signed no JWT-SVID.
    #[error(transparent)]
    Jwt(#[from] JwtIssueError<rcgen::Error>),
    /// The authority did not sign.
    #[error(transparent)]
    Signing(#[from] tidelock_ca::IssueError<rcgen::Error>),
    /// No key could be made.
    #[error("no key can be made: {0}")]
    Key(rcgen::Error),
    /// The request for the control plane's own certificate.
    #[error("no request can be made: {0}")]
    Request(#[from] SignError<rcgen::Error>),
}

impl IssueError {
    /// Whether the request is to blame, and not the authority.
    pub(crate) fn is_callers_fault(&self) -> bool {
        matches!(
            self,
            Self::Csr(_) | Self::Signing(tidelock_ca::IssueError::AuthorityKey)
        )
    }
}
