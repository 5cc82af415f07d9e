//! The times of authorities' lives.

use tidelock_ca::{MAX_SVID_TTL_SECS, Timing, TimingError};
use tidelock_proto::MAX_JWT_TTL_SECS;

use super::{Kind, REFRESH_HINT_SECS};

const DAY_SECS: u32 = 86_400;

/// The times of an authority's life, in seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct AuthorityTiming {
    /// How long an authority lasts: ten years, or thirty days if it signs JWT-SVIDs.
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
