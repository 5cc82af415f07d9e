//! What every [`Store`] has to do, as tests that any implementation runs: with the feature `store-suite`, in its own tests.
//!
//! An implementation says by a [`Place`] how its stores come about and what can happen to them; [`store_suite!`] makes a test of
//! each rule. Ours for SQLite runs the same tests.
//!
//! ```no_run
//! use tidelock_control::store::suite::{Old, Place};
//! use tidelock_control::store::{SqliteStore, StoreError};
//!
//! struct Schema; // A database server's schema of its own, say.
//!
//! impl Place for Schema {
//!     type Store = SqliteStore; // Yours.
//!     fn fresh() -> Self { todo!() }
//!     fn open(&self) -> Result<SqliteStore, StoreError> { todo!() }
//!     fn backed_up(&self) -> Self { todo!() }
//!     fn old() -> Vec<Old<Self>> { todo!() }
//!     fn unusable() -> Vec<(Self, &'static str)> { todo!() }
//!     fn bytes(&self) -> Vec<u8> { todo!() }
//!     fn fill(&self, _: &SqliteStore) { todo!() }
//!     fn make_room(&self, _: &SqliteStore) { todo!() }
//! }
//!
//! tidelock_control::store_suite!(Schema);
//! # fn main() {}
//! ```
//!
//! [`store_suite!`]: crate::store_suite

mod documents;
mod joining;
mod life;
mod logs;
mod rows;

pub use documents::*;
pub use joining::*;
pub use life::*;
pub use logs::*;
use rows::*;

use super::{
    Authorities, DocumentRecord, EventRecord, NodeRecord, RevokedRecord, Store, StoreError,
    TokenRecord,
};
use crate::audit::{AuditHead, Chain};

/// Most entries of the audit log that a test writes.
const MOST: u32 = 100_000;

/// Where a store is kept, and what can happen to it there. Its values are of no other test.
pub trait Place: Sized + Sync {
    /// The implementation.
    type Store: Store;

    /// A place where no store has been.
    fn fresh() -> Self;

    /// Opens the store, makes it if there is none, and brings it to the current schema.
    ///
    /// # Errors
    /// Those that a program would be given.
    fn open(&self) -> Result<Self::Store, StoreError>;

    /// Another place, with what a back-up of this one gives that is made while the store may be open. It is made as
    /// operators are told to.
    fn backed_up(&self) -> Self;

    /// A place for each version of the schema that there has been, the current one included, as the program of that time left
    /// it.
    fn old() -> Vec<Old<Self>>;

    /// Places that hold no store that can be used, each with a part of what has to be said about it. Opening must not
    /// change them.
    fn unusable() -> Vec<(Self, &'static str)>;

    /// Everything that the place holds, to tell whether it was changed; asked of those that are unusable.
    fn bytes(&self) -> Vec<u8>;

    /// Leaves no room for what is written from now on.
    fn fill(&self, store: &Self::Store);

    /// Makes room again.
    fn make_room(&self, store: &Self::Store);
}

/// A place from before.
pub struct Old<P> {
    /// Its version, for messages.
    pub version: u32,
    /// Where it is.
    pub place: P,
    /// What has to be found there.
    pub content: Content,
}

/// What a store holds. What its version did not know yet is as for a store in which that never happened.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Content {
    /// See [`Store::authorities`].
    pub authorities: Option<Authorities>,
    /// See [`Store::documents`].
    pub generation: u64,
    /// See [`Store::documents`].
    pub fingerprint: Vec<u8>,
    /// See [`Store::documents`].
    pub documents: Vec<DocumentRecord>,
    /// Of those tokens that were looked for; see [`Store::token`].
    pub tokens: Vec<TokenRecord>,
    /// See [`Store::nodes`].
    pub nodes: Vec<NodeRecord>,
    /// See [`Store::revoked`].
    pub revoked: Vec<RevokedRecord>,
    /// See [`Store::recent_events`].
    pub events: Vec<EventRecord>,
    /// Where the audit log ends, which is whole.
    pub audit: AuditHead,
}

impl Content {
    /// Reads a store that is set up; of tokens, those with the same ids as these.
    ///
    /// # Panics
    /// If something cannot be read, or the audit log is not whole.
    #[must_use]
    pub fn read(store: &impl Store, tokens: &[TokenRecord]) -> Self {
        let stored = store.documents().expect("documents");
        let token = |token: &TokenRecord| store.token(&token.id).expect("token");
        Self {
            authorities: store.authorities().expect("authorities"),
            generation: stored.generation,
            fingerprint: stored.fingerprint,
            documents: stored.documents,
            tokens: tokens.iter().filter_map(token).collect(),
            nodes: store.nodes().expect("nodes"),
            revoked: store.revoked().expect("revoked"),
            events: store.recent_events(MOST).expect("events"),
            audit: whole(store),
        }
    }
}

/// Where the audit log ends, after reading all of it.
fn whole(store: &impl Store) -> AuditHead {
    let mut chain = Chain::new(store.audit_head().expect("head"), None);
    let records = store.audit_after(0, MOST).expect("records");
    for record in &records {
        chain.take(record).expect("it is whole");
    }
    chain.finish().expect("it is whole")
}

/// A store that is set up.
fn set_up<P: Place>() -> (P, P::Store) {
    let place = P::fresh();
    let store = place.open().expect("open");
    store.set_up(&authorities(), &[]).expect("set up");
    (place, store)
}

/// Makes a test of each rule, for a [`Place`].
///
/// [`Place`]: crate::store::suite::Place
#[macro_export]
macro_rules! store_suite {
    ($place:ty) => {
        $crate::store_suite! { $place:
            a_store_that_is_not_set_up_says_so
            a_store_is_set_up_once
            the_generation_moves_by_one_from_where_the_caller_thinks_it_is
            a_change_that_fails_changes_nothing
            documents_come_sorted_and_as_they_were_written
            authorities_are_replaced_together_with_the_generation_that_brings_them
            one_authority_signs_and_the_bundle_never_goes_back
            of_many_changes_at_one_generation_one_is_made
            a_token_is_redeemed_once_and_in_time
            a_certificate_takes_no_node_for_which_none_is_allowed
            a_barred_node_is_believed_by_nothing_it_has
            of_many_who_redeem_a_token_one_does
            tokens_that_expired_long_ago_are_forgotten
            a_node_is_updated_if_it_is_there
            each_change_writes_its_entries_and_a_failed_one_none
            entries_of_many_at_once_are_one_chain
            events_are_bounded_and_in_order
            what_was_issued_is_found_by_serial_identity_and_node
            what_is_revoked_is_kept_until_it_is_over
            what_is_revoked_is_listed_page_by_page_with_the_newest_entry_that_tells_of_it
            what_was_acknowledged_is_there_after_a_restart
            a_back_up_holds_what_was_acknowledged_and_goes_on_from_there
            a_store_of_each_older_version_is_taken_over
            what_is_no_store_is_told_and_left_alone
            without_room_nothing_is_half_written_and_what_there_is_can_be_read
        }
    };
    ($place:ty: $($rule:ident)*) => {
        $(
            #[test]
            fn $rule() {
                $crate::store::suite::$rule::<$place>();
            }
        )*
    };
}
