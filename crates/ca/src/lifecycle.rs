//! The life of a trust domain's authorities: prepared → active → tainted → revoked, on a clock that is given.
//!
//! One engine per kind of SVID: one for X.509 authorities, one for JWT authorities. It holds no keys and no
//! certificates, only their names and times; its owner does what [`Lifecycle::poll`] says.
//!
//! A rotation that loses no flow goes: *prepare* puts the new authority into the bundle; once the bundle has reached
//! everyone, *activate* lets it sign, and the old one, *retired*, stays in the bundle until the last of what it signed
//! has ended. A key that may be in other hands is *tainted*: what it signed is renewed at once, while it is still
//! believed; *revoked*, it is believed no more, and what still rests on it is cut.
//!
//! ```
//! use tidelock_ca::{Command, Lifecycle, Notice, Timing};
//!
//! let timing = Timing::new(60, 3600, 86_400)?; // bundles arrive in 60 s, SVIDs live an hour, prepare a day ahead
//! let mut x509 = Lifecycle::new(timing);
//! let now = 1_770_000_000; // seconds since 1970
//! x509.handle(now, Command::Prepare { id: "a", not_after: now + 864_000 })?;
//! x509.handle(now, Command::Activate { id: "a" })?;
//! assert_eq!(x509.poll(), Some(Notice::Bundle { sequence: 1 }));
//! assert_eq!(x509.poll(), Some(Notice::Sign { id: "a" }));
//! assert_eq!(x509.signer(), Some(&"a"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod clock;
mod error;

use std::collections::VecDeque;

pub use error::{LifecycleError, TimingError};

/// Most authorities of one kind that are remembered, those revoked included: as many as a bundle holds.
pub const MAX_REMEMBERED: usize = tidelock_spiffe_core::bundle::MAX_AUTHORITIES;

/// Where an authority is in its life.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum State {
    /// In the bundle, to become known. It signs nothing yet.
    Prepared,
    /// In the bundle, and the one that signs.
    Active,
    /// In the bundle, for what it signed while it was active. It signs no more.
    Retired,
    /// As retired, and what it signed is being renewed before its time.
    Tainted,
    /// Out of the bundle; remembered so that it cannot come back.
    Revoked,
}

/// One authority. Times are in seconds since 1970.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Slot<I> {
    /// Its name: a certificate's serial number, a key ID.
    pub id: I,
    /// Where it is in its life.
    pub state: State,
    /// When it came to where it is.
    pub since: i64,
    /// When nothing that it signed is valid any more, at the latest: from then on it is forgotten.
    pub until: i64,
}

/// How long things take, in seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timing {
    propagation_secs: u32,
    svid_secs: u32,
    prepare_before_secs: u32,
}

/// What an owner, or an operator through it, wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command<I> {
    /// Puts a new authority into the bundle.
    Prepare {
        /// Its name, which none has had.
        id: I,
        /// Its last second, in seconds since 1970.
        not_after: i64,
    },
    /// Lets a prepared authority sign, in the place of the one that does.
    Activate {
        /// Its name.
        id: I,
    },
    /// Has everything renewed that a retired authority signed.
    Taint {
        /// Its name.
        id: I,
    },
    /// Takes a tainted authority, or a prepared one, out of the bundle.
    Revoke {
        /// Its name.
        id: I,
    },
}

/// What the owner is to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Notice<I> {
    /// Publish the bundle: [`Lifecycle::trusted`] has changed.
    Bundle {
        /// How often it has changed so far.
        sequence: u64,
    },
    /// Sign with this one from now on.
    Sign {
        /// Its name.
        id: I,
    },
    /// Renew everything that this one signed, now.
    Renew {
        /// Its name.
        id: I,
    },
    /// Cut what still rests on this one, and refuse it from now on.
    Cut {
        /// Its name.
        id: I,
    },
    /// Make a key and [`Command::Prepare`] it: the active authority's end is near and none is prepared.
    PrepareNext,
    /// Destroy the key: nothing that it signed is valid any more.
    Forgotten {
        /// Its name.
        id: I,
    },
}

/// The authorities of one kind. Its memory is bounded by [`MAX_REMEMBERED`], and by how many notices its owner leaves
/// unread.
#[derive(Clone, Debug)]
pub struct Lifecycle<I> {
    timing: Timing,
    slots: Vec<Slot<I>>,
    sequence: u64,
    /// Whether the next one was asked for already.
    asked: bool,
    notices: VecDeque<Notice<I>>,
}

impl Timing {
    /// Takes how long a bundle takes to reach everyone, how long an SVID lives at most, and how long before the active
    /// authority's end the next is to be prepared.
    ///
    /// # Errors
    /// `TooLate`, if the next would not be known before the active one can no longer sign SVIDs that live in full.
    pub fn new(
        propagation_secs: u32,
        svid_secs: u32,
        prepare_before_secs: u32,
    ) -> Result<Self, TimingError> {
        let least = u64::from(propagation_secs).saturating_add(u64::from(svid_secs));
        if u64::from(prepare_before_secs) < least {
            return Err(TimingError::TooLate {
                prepare_before_secs,
                least,
            });
        }
        Ok(Self {
            propagation_secs,
            svid_secs,
            prepare_before_secs,
        })
    }
}

impl<I: Clone + Eq> Lifecycle<I> {
    /// Starts without any authority.
    pub fn new(timing: Timing) -> Self {
        Self {
            timing,
            slots: Vec::new(),
            sequence: 0,
            asked: false,
            notices: VecDeque::new(),
        }
    }

    /// Takes up what [`Lifecycle::slots`] and [`Lifecycle::sequence`] said before a restart. Notices that were not
    /// acted on then are lost: publish the bundle and sign with [`Lifecycle::signer`].
    ///
    /// # Errors
    /// `TooMany`; `Known`, for a name that is there twice; `TwoActive`.
    pub fn restore(
        timing: Timing,
        slots: Vec<Slot<I>>,
        sequence: u64,
    ) -> Result<Self, LifecycleError> {
        if slots.len() > MAX_REMEMBERED {
            return Err(LifecycleError::TooMany);
        }
        let names = |n: usize| slots.iter().skip(n).map(|slot| &slot.id);
        if (0..slots.len()).any(|n| names(n + 1).any(|id| *id == slots[n].id)) {
            return Err(LifecycleError::Known);
        }
        if slots.iter().filter(|s| s.state == State::Active).count() > 1 {
            return Err(LifecycleError::TwoActive);
        }
        Ok(Self {
            slots,
            sequence,
            ..Self::new(timing)
        })
    }

    /// Does what was asked for, at `now` in seconds since 1970.
    ///
    /// # Errors
    /// What keeps it from being done; nothing has changed then.
    pub fn handle(&mut self, now: i64, command: Command<I>) -> Result<(), LifecycleError> {
        match command {
            Command::Prepare { id, not_after } => self.prepare(now, id, not_after),
            Command::Activate { id } => self.activate(now, &id),
            Command::Taint { id } => self.taint(now, &id),
            Command::Revoke { id } => self.revoke(now, &id),
        }
    }

    /// Takes the next notice, oldest first. Call until `None` after each `handle*`.
    pub fn poll(&mut self) -> Option<Notice<I>> {
        self.notices.pop_front()
    }

    /// The one that signs.
    pub fn signer(&self) -> Option<&I> {
        self.slots
            .iter()
            .find(|slot| slot.state == State::Active)
            .map(|slot| &slot.id)
    }

    /// Those in the bundle, oldest first.
    pub fn trusted(&self) -> impl Iterator<Item = &I> {
        self.slots
            .iter()
            .filter(|slot| slot.state != State::Revoked)
            .map(|slot| &slot.id)
    }

    /// Every one that is remembered, oldest first.
    pub fn slots(&self) -> &[Slot<I>] {
        &self.slots
    }

    /// How often the bundle has changed.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    fn prepare(&mut self, now: i64, id: I, not_after: i64) -> Result<(), LifecycleError> {
        if self.slots.iter().any(|slot| slot.id == id) {
            return Err(LifecycleError::Known);
        }
        if self.slots.len() >= MAX_REMEMBERED {
            return Err(LifecycleError::TooMany);
        }
        let least = now.saturating_add(i64::from(self.timing.propagation_secs));
        if not_after <= least {
            return Err(LifecycleError::TooShort { not_after, least });
        }
        self.slots.push(Slot {
            id,
            state: State::Prepared,
            since: now,
            until: not_after,
        });
        self.asked = false;
        self.bundle_changed();
        Ok(())
    }

    fn activate(&mut self, now: i64, id: &I) -> Result<(), LifecycleError> {
        let at = self.find(id, &[State::Prepared])?;
        let known = self.known_at(at);
        let active = self.slots.iter().position(|s| s.state == State::Active);
        // Where none signs, there is nothing to lose by beginning before everybody knows.
        if active.is_some() && now < known {
            return Err(LifecycleError::TooSoon { at: known });
        }
        if now >= self.slots[at].until {
            let (not_after, least) = (self.slots[at].until, now);
            return Err(LifecycleError::TooShort { not_after, least });
        }
        if let Some(old) = active {
            let svids_end = now.saturating_add(i64::from(self.timing.svid_secs));
            let until = self.slots[old].until.min(svids_end);
            self.moved(old, State::Retired, now, until);
        }
        let until = self.slots[at].until;
        self.moved(at, State::Active, now, until);
        self.asked = false;
        self.notices.push_back(Notice::Sign { id: id.clone() });
        Ok(())
    }

    fn taint(&mut self, now: i64, id: &I) -> Result<(), LifecycleError> {
        let at = self.find(id, &[State::Retired])?;
        let until = self.slots[at].until;
        self.moved(at, State::Tainted, now, until);
        self.notices.push_back(Notice::Renew { id: id.clone() });
        Ok(())
    }

    fn revoke(&mut self, now: i64, id: &I) -> Result<(), LifecycleError> {
        let at = self.find(id, &[State::Prepared, State::Tainted])?;
        let until = self.slots[at].until;
        self.moved(at, State::Revoked, now, until);
        self.bundle_changed();
        self.notices.push_back(Notice::Cut { id: id.clone() });
        Ok(())
    }

    /// When everyone knows a prepared authority.
    fn known_at(&self, at: usize) -> i64 {
        let propagation = i64::from(self.timing.propagation_secs);
        self.slots[at].since.saturating_add(propagation)
    }

    fn find(&self, id: &I, wanted: &[State]) -> Result<usize, LifecycleError> {
        let at = self.slots.iter().position(|slot| slot.id == *id);
        let at = at.ok_or(LifecycleError::Unknown)?;
        match self.slots[at].state {
            state if wanted.contains(&state) => Ok(at),
            state => Err(LifecycleError::State { state }),
        }
    }

    fn moved(&mut self, at: usize, state: State, since: i64, until: i64) {
        let slot = &mut self.slots[at];
        (slot.state, slot.since, slot.until) = (state, since, until);
    }

    fn bundle_changed(&mut self) {
        self.sequence = self.sequence.saturating_add(1);
        let sequence = self.sequence;
        self.notices.push_back(Notice::Bundle { sequence });
    }
}
