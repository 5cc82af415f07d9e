//! What callers of the service `Admin` may do: [`need`] is the table, [`permit`] holds a caller to it, [`guard`] stands before the
//! service, [`documents`] judges changes and [`revoking`]
//! what is to be believed no more.

mod documents;
mod guard;
mod need;
mod permit;
mod revoking;

pub(crate) use documents::{no_admin_left, not_applicable, not_deletable};
pub(crate) use guard::Guarded;
pub(crate) use permit::{Permit, Refusal};
pub(crate) use revoking::{may_revoke, may_revoke_issued};
