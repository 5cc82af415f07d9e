//! SPIFFE IDs within documents.

use tidelock_ca::RESERVED_SEGMENT;
use tidelock_spiffe_core::{SpiffeIdBuf, TrustDomain};

use super::Reason;
use crate::yaml::{Cursor, Reader};

/// Reads the SPIFFE ID of a workload of our trust domain.
pub(crate) fn workload_id(
    reader: &mut Reader<'_>,
    at: &Cursor<'_>,
    ours: TrustDomain<'_>,
) -> Option<SpiffeIdBuf> {
    let text = &reader.text(at)?.text;
    check(text, ours)
        .map_err(|reason| reader.refuse(at, reason))
        .ok()
}

fn check(text: &str, ours: TrustDomain<'_>) -> Result<SpiffeIdBuf, Reason> {
    let owned = || text.to_owned();
    let id = SpiffeIdBuf::parse(text).map_err(|error| Reason::SpiffeId {
        text: owned(),
        error,
    })?;
    if id.trust_domain() != ours {
        return Err(Reason::ForeignTrustDomain {
            text: owned(),
            trust_domain: ours.as_str().to_owned(),
        });
    }
    if id.path().is_empty() {
        return Err(Reason::NoPath { text: owned() });
    }
    // Without regard to case, as the authority does: nothing may even look like ours.
    let first = id.path().split('/').nth(1).unwrap_or_default();
    if first.eq_ignore_ascii_case(RESERVED_SEGMENT) {
        return Err(Reason::ReservedPath { text: owned() });
    }
    Ok(id)
}
