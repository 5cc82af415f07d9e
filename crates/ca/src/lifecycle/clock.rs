//! What happens by itself as time passes.

use super::{Lifecycle, Notice, State};

impl<I: Clone + Eq> Lifecycle<I> {
    /// Does what is due at `now`, in seconds since 1970: forgets authorities whose SVIDs have all ended, lets a prepared
    /// one that everybody knows take over before the active one's SVIDs would be cut short, and asks for the next.
    /// Idempotent.
    pub fn handle_timeout(&mut self, now: i64) {
        self.forget(now);
        if let Some(id) = self.due_to_activate(now) {
            // It is prepared, known and not at its end; a refusal would leave all as it is.
            let _ = self.activate(now, &id);
        }
        if !self.asked && self.next_asked_at().is_some_and(|at| at <= now) {
            self.asked = true;
            self.notices.push_back(Notice::PrepareNext);
        }
    }

    /// When to call [`Lifecycle::handle_timeout`] next, in seconds since 1970; `None` if there is no authority.
    pub fn next_deadline(&self) -> Option<i64> {
        let forgotten = self.slots.iter().map(|slot| slot.until).min();
        let asked = self.next_asked_at().filter(|_| !self.asked);
        let activated = self.next_activated().map(|(at, _)| at);
        [forgotten, asked, activated].into_iter().flatten().min()
    }

    fn forget(&mut self, now: i64) {
        let (gone, kept) = std::mem::take(&mut self.slots)
            .into_iter()
            .partition(|slot| slot.until <= now);
        self.slots = kept;
        if gone.iter().any(|slot| slot.state != State::Revoked) {
            self.bundle_changed();
        }
        if gone.iter().any(|slot| slot.state == State::Active) {
            self.asked = false;
        }
        let forgotten = gone
            .into_iter()
            .map(|slot| Notice::Forgotten { id: slot.id });
        self.notices.extend(forgotten);
    }

    /// When the next authority is to be asked for: `None` without an active one, and while one that outlives it is
    /// prepared.
    fn next_asked_at(&self) -> Option<i64> {
        let active = self.slots.iter().find(|s| s.state == State::Active)?;
        if self.successor().is_some() {
            return None;
        }
        let before = i64::from(self.timing.prepare_before_secs);
        Some(active.until.saturating_sub(before))
    }

    /// Which prepared authority takes over: the one that lasts longest, if it outlives the active one.
    fn successor(&self) -> Option<usize> {
        let active = self.slots.iter().find(|s| s.state == State::Active);
        let ends = active.map_or(i64::MIN, |active| active.until);
        let better = |at: &usize| {
            let slot = &self.slots[*at];
            slot.state == State::Prepared && slot.until > ends
        };
        (0..self.slots.len())
            .filter(better)
            .max_by_key(|&at| self.slots[at].until)
    }

    /// When the successor takes over: once it is known, but not before the active one's SVIDs would be cut short.
    fn next_activated(&self) -> Option<(i64, usize)> {
        let at = self.successor()?;
        let active = self.slots.iter().find(|s| s.state == State::Active);
        let svid_secs = i64::from(self.timing.svid_secs);
        let due = active.map_or(i64::MIN, |active| active.until.saturating_sub(svid_secs));
        Some((due.max(self.known_at(at)), at))
    }

    fn due_to_activate(&self, now: i64) -> Option<I> {
        let (due, at) = self.next_activated()?;
        (due <= now).then(|| self.slots[at].id.clone())
    }
}
