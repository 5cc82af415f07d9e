//! Which configuration is in force, which is on its way, and which comes next.

use std::sync::Arc;
use std::time::Duration;

use super::clock::{Mono, Now};
use super::desired::Desired;

/// How long the kernel may take to say that a configuration is in force: it walks all processes.
const APPLY_WAIT: Duration = Duration::from_secs(30);
/// How long to wait before a configuration that the kernel had no memory for is tried again.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// The configurations of one kernel.
#[derive(Debug, Default)]
pub(super) struct Configs {
    /// What the kernel enforces, as it says; `None` while no session is open.
    kernel: Option<u64>,
    /// The newest that the control plane gave.
    latest: Option<Arc<Desired>>,
    /// Enforced by the kernel, and known to us.
    in_force: Option<Arc<Desired>>,
    /// Written; its answer is awaited until then.
    sent: Option<(Arc<Desired>, Mono)>,
    /// Refused: not to be tried before then, or ever.
    refused: Option<(u64, Option<Mono>)>,
}

/// What to do about configurations.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Nothing, or not yet.
    None,
    /// Write this one.
    Send(Arc<Desired>),
    /// The kernel enforces this one already.
    InForce(Arc<Desired>),
    /// The kernel enforces a newer one.
    WouldRollBack { offered: u64, in_force: u64 },
}

impl Configs {
    /// Takes what the control plane wants; `false` if that is no news.
    pub(super) fn offer(&mut self, desired: Arc<Desired>) -> bool {
        let known = self.latest.as_ref().map_or(0, |latest| latest.generation);
        if desired.generation <= known {
            return false;
        }
        self.latest = Some(desired);
        true
    }

    /// The device was opened: what the kernel enforces is not known until it says so.
    pub(super) fn opened(&mut self) {
        (self.kernel, self.sent) = (None, None);
    }

    /// The kernel says what it enforces. `true` if it holds nothing of what it held before.
    pub(super) fn hello(&mut self, generation: u64) -> bool {
        let held = self.in_force.as_ref().map_or(0, |held| held.generation);
        self.kernel = Some(generation);
        if held != generation {
            self.in_force = None;
        }
        generation == 0 && held != 0
    }

    /// What to do now.
    pub(super) fn step(&mut self, now: Now) -> Step {
        let (Some(kernel), Some(latest), None) = (self.kernel, &self.latest, &self.sent) else {
            return Step::None;
        };
        let (offered, latest) = (latest.generation, Arc::clone(latest));
        if let Some((refused, again)) = self.refused
            && refused == offered
            && again.is_none_or(|again| again > now.mono)
        {
            return Step::None;
        }
        if kernel == offered {
            if self.in_force.is_some() {
                return Step::None;
            }
            self.in_force = Some(Arc::clone(&latest));
            return Step::InForce(latest);
        }
        if kernel > offered {
            self.refused = Some((offered, None));
            return Step::WouldRollBack {
                offered,
                in_force: kernel,
            };
        }
        self.refused = None;
        self.sent = Some((Arc::clone(&latest), now.mono.after(APPLY_WAIT)));
        Step::Send(latest)
    }

    /// The kernel enforces a generation; the configuration, if it is the one we sent.
    pub(super) fn applied(&mut self, generation: u64) -> Option<Arc<Desired>> {
        self.kernel = Some(generation);
        match self.sent.take() {
            Some((sent, _)) if sent.generation == generation => {
                self.in_force = Some(sent);
                self.in_force.clone()
            }
            other => {
                self.sent = other;
                None
            }
        }
    }

    /// The kernel refused a configuration. `again`: it may take it later.
    pub(super) fn refused(&mut self, generation: u64, again: bool, now: Now) {
        if self
            .sent
            .as_ref()
            .is_some_and(|(sent, _)| sent.generation == generation)
        {
            self.sent = None;
        }
        self.refused = Some((generation, again.then(|| now.mono.after(TRY_AGAIN))));
    }

    /// The configuration in force, if we know it and no other is on its way: answers have to be for one
    /// the kernel enforces when they arrive.
    pub(super) fn settled(&self) -> Option<&Arc<Desired>> {
        match self.sent {
            None if self.kernel.is_some() => self.in_force.as_ref(),
            _ => None,
        }
    }

    /// The configuration in force, if we know it.
    pub(super) fn in_force(&self) -> Option<&Arc<Desired>> {
        self.in_force.as_ref()
    }

    /// What the kernel enforces; 0: nothing, or not known.
    pub(super) fn generation(&self) -> u64 {
        self.kernel.unwrap_or(0)
    }

    /// The generation whose answer is overdue.
    pub(super) fn overdue(&self, now: Now) -> Option<u64> {
        match &self.sent {
            Some((sent, until)) if *until <= now.mono => Some(sent.generation),
            _ => None,
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Mono> {
        let sent = self.sent.as_ref().map(|(_, until)| *until);
        sent.or(self.refused.and_then(|(_, again)| again))
    }
}
