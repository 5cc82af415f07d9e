//! Lists of revoked SVIDs (CRLs) for relying parties that nodes do not tell: made when somebody asks, and kept while they are
//! good. Every list has all SVIDs that are revoked, whichever authority signed them: serial numbers are random, so one of
//! another's says nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidelock_ca::{BACKDATE_SECS, CrlEntry, CrlTimes, MAX_CRL_ENTRIES, State};
use tidelock_proto::MAX_REVOKED_SVIDS;
use tokio::sync::Mutex;

use crate::authority::Kind;
use crate::clock;
use crate::core::Core;
use crate::revoked::Revoked;
use crate::store::{Revocation, Store, StoreError};

/// How long a list is believed, in seconds. Relying parties that ask seldom hear of a revocation as late as that.
const LIFE_SECS: i64 = 3_600;

/// When a list is made anew though nothing else was revoked, in seconds: well before it ends.
const FRESH_SECS: i64 = LIFE_SECS / 4;

/// Bits of a list's number for the time, in seconds, at which it was made; those above are the generation.
const TIME_BITS: u32 = 40;

const _: () = assert!(
    FRESH_SECS * 2 < LIFE_SECS,
    "it is made anew well before it ends"
);
const _: () = assert!(MAX_REVOKED_SVIDS <= MAX_CRL_ENTRIES, "what is revoked fits");

/// The lists that are good, by authority.
#[derive(Debug, Default)]
pub(crate) struct Lists(Mutex<BTreeMap<String, List>>);

/// A list, and what it was made of.
#[derive(Clone, Debug)]
struct List {
    der: Arc<[u8]>,
    revoked: Arc<Revoked>,
    made: i64,
    number: u128,
}

/// Why there is no list.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum CrlRefusal {
    #[error("there is no authority of this name")]
    Unknown,
    #[error("what JWT-SVIDs are signed with signs no list: none of them is taken back by itself")]
    Jwt,
    #[error("nothing that a {0:?} authority signed is believed: there is no list of it")]
    State(State),
    #[error("the list cannot be made; see the control plane's log")]
    Failed,
}

impl List {
    /// Whether nothing was revoked since it was made, which is not long ago; nor to come, as a clock that was set back has it.
    fn is_good(&self, revoked: &Arc<Revoked>, now: i64) -> bool {
        let fresh = self.made..self.made.saturating_add(FRESH_SECS);
        Arc::ptr_eq(&self.revoked, revoked) && fresh.contains(&now)
    }
}

impl Core {
    /// What is revoked of what an authority signed, in DER.
    pub(crate) async fn crl(self: &Arc<Self>, id: &str) -> Result<Arc<[u8]>, CrlRefusal> {
        let ring = self.authority.ring();
        match ring.state(Kind::X509, id) {
            None if ring.state(Kind::Jwt, id).is_some() => return Err(CrlRefusal::Jwt),
            None => return Err(CrlRefusal::Unknown),
            Some(state @ (State::Prepared | State::Revoked)) => {
                return Err(CrlRefusal::State(state));
            }
            Some(State::Active | State::Retired | State::Tainted) => {}
        }
        // One at a time: however many ask, each list is signed once.
        let mut lists = self.lists.0.lock().await;
        let (now, world) = (clock::unix_secs(), self.world());
        if let Some(list) = lists
            .get(id)
            .filter(|list| list.is_good(&world.revoked, now))
        {
            return Ok(Arc::clone(&list.der));
        }
        let last = lists.get(id).map_or(0, |list| list.number);
        let number = number(world.generation, now).max(last.saturating_add(1));
        let (core, name) = (Arc::clone(self), id.to_owned());
        let made = tokio::task::spawn_blocking(move || core.make(&name, number, now)).await;
        let made = made.unwrap_or(Err(CrlRefusal::Failed));
        let der =
            made.inspect_err(|_| tracing::error!(id, "there is no list of what is revoked"))?;
        let ring = self.authority.ring();
        lists.retain(|id, _| ring.state(Kind::X509, id).is_some());
        let list = List {
            der: Arc::clone(&der),
            revoked: Arc::clone(&world.revoked),
            made: now,
            number,
        };
        lists.insert(id.to_owned(), list);
        Ok(der)
    }

    fn make(&self, id: &str, number: u128, now: i64) -> Result<Arc<[u8]>, CrlRefusal> {
        let entries = entries(&*self.store, now).map_err(|error| {
            tracing::error!(%error, "what is revoked cannot be read");
            CrlRefusal::Failed
        })?;
        let times = CrlTimes {
            number,
            this_update: now.saturating_sub(BACKDATE_SECS).max(0),
            next_update: now.saturating_add(LIFE_SECS),
        };
        match self.authority.crl(id, &entries, times) {
            Some(Ok(der)) => Ok(der.into()),
            Some(Err(error)) => {
                tracing::error!(%error, id, "a list cannot be signed");
                Err(CrlRefusal::Failed)
            }
            None => Err(CrlRefusal::Failed),
        }
    }
}

/// Grows with each generation, and in each with time; generations outlive a restart.
fn number(generation: u64, now: i64) -> u128 {
    let secs = u128::from(u64::try_from(now).unwrap_or(0));
    u128::from(generation) << TIME_BITS | secs & ((1 << TIME_BITS) - 1)
}

/// What is revoked at this time. An SVID stays on the list for a day at least, so that each is on one after it has expired
/// (RFC 5280 §3.3).
fn entries(store: &dyn Store, now: i64) -> Result<Vec<CrlEntry>, StoreError> {
    let most = u32::try_from(MAX_CRL_ENTRIES).unwrap_or(u32::MAX);
    let entry = |one: Revocation| {
        let told = one.entry.map(|entry| entry.time_unix_ns / 1_000_000_000);
        let told = told.and_then(|secs| i64::try_from(secs).ok());
        CrlEntry {
            serial: one.revoked.serial,
            revoked: told.unwrap_or(now),
        }
    };
    let found = store.revocations(&[], now, most)?;
    Ok(found.into_iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_made_anew_when_something_is_revoked_and_well_before_it_ends() {
        let (revoked, other) = (Arc::default(), Arc::default());
        let list = List {
            der: Arc::new([]),
            revoked: Arc::clone(&revoked),
            made: 1_000,
            number: 1,
        };
        assert!(list.is_good(&revoked, 1_000));
        assert!(!list.is_good(&other, 1_000), "something else is revoked");
        assert!(list.is_good(&revoked, 1_000 + FRESH_SECS - 1));
        assert!(!list.is_good(&revoked, 1_000 + FRESH_SECS));
        assert!(!list.is_good(&revoked, 999), "the clock was set back");
    }

    #[test]
    fn rfc_5280_5_2_3_the_number_grows_with_the_generation_and_with_time() {
        let numbers = [(0, 1), (0, 2), (1, 1), (1, 1_800_000_000), (2, 0)];
        assert!(numbers.is_sorted_by(|a, b| number(a.0, a.1) < number(b.0, b.1)));
        let highest = number(u64::MAX, i64::MAX);
        assert!(highest < 1 << (64 + TIME_BITS), "20 bytes are enough");
    }
}
