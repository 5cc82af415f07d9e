//! Deciding: total, bounded, without allocation, recursion or panic.

mod entity;
mod equal;
pub(crate) mod instruction;
pub(crate) mod like;
pub(crate) mod meter;
#[cfg(feature = "compile")]
pub(crate) mod partial;
mod program;
mod run;
pub(crate) mod time;
mod value;

use crate::decision::{Decision, Determining, Outcome};
use crate::image::cost::MAX_HITS;
use crate::image::layout::EFFECT_FORBID;
use crate::image::nodes::{self, Class, Key, Nodes, Side};
use crate::image::{Image, PolicyRecord, read};
use crate::request::{Entity, EntityRef, Request, Undecided};
use meter::{Meter, Steps, Unmetered};
use run::Run;

/// Why a condition has no truth value. Cedar calls the first three evaluation errors, and knows no bounds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// There is no such attribute, tag or entity.
    Missing,
    /// A value is not of the type that the operation takes.
    Type,
    /// The result is none of its type's values.
    Overflow,
    /// It takes more than [`MAX_INSTRUCTION_STEPS`](crate::bounds::MAX_INSTRUCTION_STEPS) steps.
    TooDear,
    /// Sets or records are nested deeper than [`MAX_VALUE_DEPTH`](crate::bounds::MAX_VALUE_DEPTH).
    TooDeep,
    /// A string or record within the request's values passes its bound.
    TooLarge,
    /// Not a program that a check accepted.
    Malformed,
}

impl<'a> Image<'a> {
    /// Answers a request. Deny is the default; a matching `forbid` beats every `permit`; a `permit` that cannot be evaluated
    /// does not count, and a `forbid` that cannot be evaluated denies, where Cedar would skip it.
    #[must_use]
    pub fn decide(&self, request: &Request<'_>) -> Decision<'a> {
        self.answer(request, &mut Unmetered)
    }

    /// Answers a request as [`Image::decide`] does, and says how many steps it took: never more than [`Image::cost`].
    #[must_use]
    pub fn decide_counted(&self, request: &Request<'_>) -> (Decision<'a>, u64) {
        let mut steps = Steps::default();
        (self.answer(request, &mut steps), steps.0)
    }

    fn answer<M: Meter>(&self, request: &Request<'_>, meter: &mut M) -> Decision<'a> {
        let mut tally = Tally::default();
        match self.tally(request, &mut tally, meter) {
            Ok(()) => tally.decision(self),
            Err(why) => Decision::new(self, Outcome::Undecided(why), Determining::default(), 0),
        }
    }

    fn tally<M: Meter>(
        &self,
        request: &Request<'_>,
        tally: &mut Tally,
        meter: &mut M,
    ) -> Result<(), Undecided> {
        request.bounded()?;
        let action = action_bit(self, request.action, meter);
        let run = Run {
            image: self,
            request,
            action,
            machine: None,
            port: None,
            tally,
            meter,
        };
        let done = match &self.nodes {
            None => run.unscoped(),
            Some(nodes) if nodes.has(Side::Resource, Class::In) => {
                run.scoped::<MAX_HITS, MAX_HITS>(nodes)
            }
            Some(nodes) if nodes.has(Side::Principal, Class::In) => {
                run.scoped::<MAX_HITS, FEW_HITS>(nodes)
            }
            Some(nodes) => run.scoped::<FEW_HITS, FEW_HITS>(nodes),
        };
        done.ok_or(Undecided::DamagedImage)
    }
}

/// The scopes that can match where none is `in`: one by kind, one by name.
const FEW_HITS: usize = 2;

/// The bit of an action in action sets; none if no policy names it.
pub(crate) fn action_bit<M: Meter>(image: &Image<'_>, action: &str, meter: &mut M) -> u64 {
    let place = image.actions.iter().position(|name| {
        let name = read::string(image.strings, u32::from_le_bytes(*name)).unwrap_or_default();
        meter.bytes(name.len());
        name == action.as_bytes()
    });
    place
        .and_then(|place| u32::try_from(place).ok())
        .and_then(|place| 1u64.checked_shl(place))
        .unwrap_or_default()
}

/// The slots of the scope table that match an entity, each once.
struct Hits<const MOST: usize> {
    slots: [u32; MOST],
    len: usize,
}

impl<const MOST: usize> Hits<MOST> {
    const NONE: Self = Self {
        slots: [0; MOST],
        len: 0,
    };

    fn of<M: Meter>(
        nodes: &Nodes<'_>,
        image: &Image<'_>,
        (side, entity): (Side, &Entity<'_>),
        meter: &mut M,
    ) -> Self {
        let mut hits = Self::NONE;
        let hashed = |name: &EntityRef<'_>, meter: &mut M| {
            meter.bytes(name.kind.len());
            meter.bytes(name.id.len());
            nodes::hash(nodes.seed, name)
        };
        // What no policy asks for is not looked up.
        if nodes.has(side, Class::Is) {
            let kind = EntityRef::new(entity.kind, "");
            let key = Key::new(Class::Is, hashed(&kind, meter));
            hits.add(nodes.find(image.strings, key, &kind, meter), meter);
        }
        let (eq, within) = (nodes.has(side, Class::Eq), nodes.has(side, Class::In));
        if eq || within {
            let own = entity.name();
            let hash = hashed(&own, meter);
            for (class, wanted) in [(Class::Eq, eq), (Class::In, within)] {
                if wanted {
                    let key = Key::new(class, hash);
                    hits.add(nodes.find(image.strings, key, &own, meter), meter);
                }
            }
        }
        if within {
            for ancestor in entity.ancestors {
                let key = Key::new(Class::In, hashed(ancestor, meter));
                hits.add(nodes.find(image.strings, key, ancestor, meter), meter);
            }
        }
        hits
    }

    fn add<M: Meter>(&mut self, found: Option<u32>, meter: &mut M) {
        let Some(slot) = found else {
            return;
        };
        let repeated = self.iter().any(|hit| {
            meter.step();
            hit == slot
        });
        if let (false, Some(place)) = (repeated, self.slots.get_mut(self.len)) {
            *place = slot;
            self.len = self.len.saturating_add(1);
        }
    }

    fn iter(&self) -> impl Iterator<Item = u32> + use<'_, MOST> {
        self.slots.iter().copied().take(self.len)
    }
}

/// The policies that matched, and how many failed.
#[derive(Default)]
struct Tally {
    /// Those of the effect that decides: permits until the first `forbid`.
    determining: Determining,
    forbidden: bool,
    errors: u32,
}

impl Tally {
    fn decision<'a>(self, image: &Image<'a>) -> Decision<'a> {
        let outcome = match (self.forbidden, self.determining.is_empty()) {
            (true, _) => Outcome::Forbidden,
            (false, false) => Outcome::Permitted,
            (false, true) => Outcome::NoPermit,
        };
        Decision::new(image, outcome, self.determining, self.errors)
    }

    fn count(&mut self, number: u32, policy: &PolicyRecord, matched: Result<bool, Fault>) {
        let forbids = policy.effect == EFFECT_FORBID;
        if matched.is_err() {
            self.errors = self.errors.saturating_add(1);
        }
        if !matched.unwrap_or(forbids) {
            return;
        }
        if forbids && !self.forbidden {
            self.forbidden = true;
            self.determining = Determining::default();
        }
        if forbids == self.forbidden {
            self.determining.push(number);
        }
    }
}
