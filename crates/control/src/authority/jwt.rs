//! JWT-SVIDs, by the JWT authority that is active.

use tidelock_ca::{Entry, JwtSvid, Ttl};
use tidelock_spiffe_core::SpiffeIdBuf;

use crate::traced;

use super::{Authority, IssueError, random_serial};

/// A JWT-SVID, and the ID of the key that signed it.
#[derive(Debug)]
pub(crate) struct IssuedJwt {
    pub(crate) svid: JwtSvid,
    pub(crate) key_id: String,
}

impl Authority {
    /// Longest life of a JWT-SVID, in seconds: a key that signs no more stays in the bundle for as long.
    pub(crate) fn max_jwt_ttl_secs(&self) -> u32 {
        self.timings.jwt.svid_secs
    }

    /// A JWT-SVID of a workload, which its audience would take.
    pub(crate) fn issue_jwt(
        &self,
        spiffe_id: SpiffeIdBuf,
        audience: &[&str],
        ttl_secs: u32,
        now: i64,
    ) -> Result<IssuedJwt, IssueError> {
        let ttl = Ttl::from_secs(ttl_secs.min(self.max_jwt_ttl_secs()).into())?;
        let entry = Entry::workload(spiffe_id, ttl)?;
        let _span = traced::issuing(&entry).entered();
        let ring = self.ring();
        let (key_id, signing) = ring.jwt.signing().ok_or(IssueError::NoJwtAuthority)?;
        let svid = signing.issue(&entry, audience, ttl, now, random_serial()?)?;
        Ok(IssuedJwt {
            svid,
            key_id: key_id.clone(),
        })
    }
}
