//! What is answered.

use crate::bounds::MAX_DETERMINING;
use crate::image::{Image, Names};
use crate::request::Undecided;

/// How a decision came about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// At least one `permit` matched and no `forbid` did: allow.
    Permitted,
    /// At least one `forbid` matched, or could not be evaluated: deny.
    Forbidden,
    /// Nothing matched: deny.
    NoPermit,
    /// The question could not be decided, for a reason outside policy: deny.
    Undecided(Undecided),
}

/// The answer to one request. It denies unless its outcome is [`Outcome::Permitted`].
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a> {
    names: Names<'a>,
    outcome: Outcome,
    determining: Determining,
    errors: u32,
}

/// The matching policies of one effect: the first few by number, and how many there are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Determining {
    first: [u32; MAX_DETERMINING],
    count: u32,
}

impl Determining {
    pub(crate) fn push(&mut self, policy: u32) {
        let place = usize::try_from(self.count)
            .ok()
            .and_then(|at| self.first.get_mut(at));
        if let Some(place) = place {
            *place = policy;
        }
        self.count = self.count.saturating_add(1);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<'a> Decision<'a> {
    pub(crate) fn new(
        image: &Image<'a>,
        outcome: Outcome,
        determining: Determining,
        errors: u32,
    ) -> Self {
        Self {
            names: image.names(),
            outcome,
            determining,
            errors,
        }
    }

    /// Whether the action may be done.
    #[must_use]
    pub fn allow(&self) -> bool {
        self.outcome == Outcome::Permitted
    }

    /// How the decision came about.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The names of the policies that decided, at most [`MAX_DETERMINING`] of them, in no promised order:
    /// the permits that matched, or the forbids that matched or could not be evaluated. Empty if none did.
    pub fn policies(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let names = self.names;
        let named = usize::try_from(self.determining.count).unwrap_or(usize::MAX);
        self.determining
            .first
            .into_iter()
            .take(named)
            .filter_map(move |policy| names.of(policy))
    }

    /// How many policies decided, the unnamed ones included.
    #[must_use]
    pub fn policy_count(&self) -> u32 {
        self.determining.count
    }

    /// How many policies could not be evaluated. A `permit` among them did not count; a `forbid` counted as matching.
    #[must_use]
    pub fn errors(&self) -> u32 {
        self.errors
    }
}
