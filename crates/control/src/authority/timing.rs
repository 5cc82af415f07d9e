//! The times of authorities' lives.

use tidelock_ca::{MAX_SVID_TTL_SECS, Timing, TimingError};
use tidelock_proto::MAX_JWT_TTL_SECS;

use super::{Kind, REFRESH_HINT_SECS};

const DAY_SECS: u32 = 86_400;

/// Shortest and longest life that a document may give an authority which signs X509-SVIDs, in seconds: thrice the longest of those, since the next is
/// prepared when two of them are left; twenty years.
pub(crate) const X509_AUTHORITY_SECS: (u32, u32) = (3 * MAX_SVID_TTL_SECS, 20 * 365 * DAY_SECS);

/// Shortest and longest life that a document may give an authority which signs JWT-SVIDs, in seconds: three days, since the next is prepared when
/// two of them are left; a year.
pub(crate) const JWT_AUTHORITY_SECS: (u32, u32) = (3 * DAY_SECS, 365 * DAY_SECS);

/// The times of an authority's life, in seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AuthorityTiming {
    /// How long an authority lasts: ten years, or thirty days if it signs JWT-SVIDs. A TrustDomain document comes before it.
    pub life_secs: u32,
    /// How long a bundle takes to reach every relying party, those that ask for it now and then included: as long as they
    /// are told to wait in between.
    pub propagation_secs: u32,
    /// Longest life of what it signs: as long as documents, or those who ask for a JWT-SVID, may ask for.
    pub svid_secs: u32,
    /// How long before its end the next is prepared.
    pub prepare_before_secs: u32,
}

impl Default for AuthorityTiming {
    fn default() -> Self {
        Self {
            life_secs: 10 * 365 * DAY_SECS,
            propagation_secs: REFRESH_HINT_SECS,
            svid_secs: MAX_SVID_TTL_SECS,
            prepare_before_secs: 2 * MAX_SVID_TTL_SECS,
        }
    }
}

impl AuthorityTiming {
    /// Of those that sign JWT-SVIDs. Nothing rests on such a key for long, so it is replaced often.
    #[must_use]
    pub fn jwt() -> Self {
        Self {
            life_secs: 30 * DAY_SECS,
            propagation_secs: REFRESH_HINT_SECS,
            svid_secs: MAX_JWT_TTL_SECS,
            prepare_before_secs: 2 * DAY_SECS,
        }
    }

    pub(super) fn engine(self) -> Result<Timing, TimingError> {
        Timing::new(
            self.propagation_secs,
            self.svid_secs,
            self.prepare_before_secs,
        )
    }
}

/// Those of either kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timings {
    pub(crate) x509: AuthorityTiming,
    pub(crate) jwt: AuthorityTiming,
}

impl Timings {
    pub(super) fn of(self, kind: Kind) -> AuthorityTiming {
        match kind {
            Kind::X509 => self.x509,
            Kind::Jwt => self.jwt,
        }
    }
}
