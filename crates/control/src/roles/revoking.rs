//! Whose SVIDs a caller may revoke: those of SPIFFE IDs under its prefixes; a node's only with `/`, and those of operators and of the
//! control plane itself only as an admin, since that takes away what only an admin can give.

use tidelock_proto::{AGENT_PATH_PREFIX, RESERVED_PATH_PREFIX};
use tidelock_spiffe_core::SpiffeIdBuf;

use super::permit::{Permit, Refusal};
use crate::revocation::Target;
use crate::store::IssuedRecord;

/// Whether the caller may revoke what it names.
pub(crate) fn may_revoke(permit: &Permit, target: &Target) -> Result<(), Refusal> {
    let why = match target {
        // Whose it is has to be looked up.
        Target::Svid(_) => return Ok(()),
        Target::Node(_) if permit.is_everywhere() => return Ok(()),
        Target::Node(_) => {
            "a node's SVIDs are revoked with the role `revoker` and the prefix `/`".into()
        }
        Target::Identity(id) if is_covered(permit, id) => return Ok(()),
        Target::Identity(id) if !permit.is_everywhere() => format!(
            "`{id}` does not lie under {}; needed is the role `revoker` with a prefix that holds it",
            permit.prefixes_told()
        ),
        Target::Identity(id) => format!("`{id}` is no workload's; needed is the role `admin`"),
    };
    Err(permit.refuse(why))
}

/// Whether the caller may revoke this one. If not, it is not told whose it is.
pub(crate) fn may_revoke_issued(permit: &Permit, issued: &IssuedRecord) -> Result<(), Refusal> {
    let may = match &issued.spiffe_id {
        Some(id) => is_covered(permit, id),
        None => permit.is_everywhere(),
    };
    match may {
        true => Ok(()),
        false => Err(permit.refuse(format!(
            "the SVID is of no workload under {}; needed is the role `revoker` with a prefix that holds its SPIFFE ID, or `admin`",
            permit.prefixes_told()
        ))),
    }
}

fn is_covered(permit: &Permit, id: &str) -> bool {
    let path = SpiffeIdBuf::parse(id).map(|id| id.path().to_owned());
    let workload =
        |path: &str| path.starts_with(AGENT_PATH_PREFIX) || !path.starts_with(RESERVED_PATH_PREFIX);
    permit.is_admin() || (path.is_ok_and(|path| workload(&path)) && permit.covers(id))
}
