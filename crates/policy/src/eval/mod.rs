//! Deciding: total, bounded, without allocation, recursion or panic.

mod entity;
mod equal;
pub(crate) mod instruction;
pub(crate) mod like;
pub(crate) mod meter;
mod program;
pub(crate) mod time;
mod value;

use crate::decision::{Decision, Determining, Outcome};
use crate::image::cost::MAX_HITS;
use crate::image::layout::{self, EFFECT_FORBID};
use crate::image::nodes::{Class, Hashed, Key, Nodes};
use crate::image::{Image, PolicyRecord, read};
use crate::request::{Entity, EntityRef, Request, Undecided};
use meter::{Meter, Steps, Unmetered};
use program::Machine;

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
            Ok(()) => tally.decision(*self),
            Err(why) => Decision::new(*self, Outcome::Undecided(why), Determining::default(), 0),
        }
    }

    fn tally<M: Meter>(
        &self,
        request: &Request<'_>,
        tally: &mut Tally,
        meter: &mut M,
    ) -> Result<(), Undecided> {
        request.bounded()?;
        let mut run = Run {
            machine: Machine::new(self, request, action_bit(self, request.action, meter)),
            image: self,
            tally,
            meter,
        };
        let Some(nodes) = &self.nodes else {
            let policies =
                u32::try_from(self.policy_count()).map_err(|_| Undecided::DamagedImage)?;
            return run
                .bucket(0, policies, &Hits::default())
                .ok_or(Undecided::DamagedImage);
        };
        let (principals, resources) = (
            Hits::of(nodes, self, &request.principal, run.meter),
            Hits::of(nodes, self, &request.resource, run.meter),
        );
        run.all(nodes, &principals, &resources)
            .ok_or(Undecided::DamagedImage)
    }
}

/// The bit of an action in action sets; none if no policy names it.
fn action_bit<M: Meter>(image: &Image<'_>, action: &str, meter: &mut M) -> u64 {
    let (names, _) = image.actions.as_chunks::<{ layout::REF_BYTES }>();
    let place = names.iter().position(|name| {
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
struct Hits {
    slots: [u32; MAX_HITS],
    len: usize,
}

impl Default for Hits {
    fn default() -> Self {
        Self {
            slots: [0; MAX_HITS],
            len: 0,
        }
    }
}

impl Hits {
    fn of<M: Meter>(
        nodes: &Nodes<'_>,
        image: &Image<'_>,
        entity: &Entity<'_>,
        meter: &mut M,
    ) -> Self {
        let mut hits = Self::default();
        let hashed = |name: EntityRef<'_>, meter: &mut M| {
            meter.bytes(name.kind.len());
            meter.bytes(name.id.len());
        };
        // What no policy asks for is not looked up.
        if nodes.has(Class::Is) {
            let kind = EntityRef::new(entity.kind, "");
            hashed(kind, meter);
            let key = Key::new(Class::Is, Hashed::new(nodes.seed, kind));
            hits.look_up(nodes, image, &key, meter);
        }
        let (eq, within) = (nodes.has(Class::Eq), nodes.has(Class::In));
        if eq || within {
            hashed(entity.name(), meter);
            let own = Hashed::new(nodes.seed, entity.name());
            if eq {
                hits.look_up(nodes, image, &Key::new(Class::Eq, own), meter);
            }
            if within {
                hits.look_up(nodes, image, &Key::new(Class::In, own), meter);
            }
        }
        for &ancestor in entity.ancestors.iter().filter(|_| within) {
            hashed(ancestor, meter);
            let key = Key::new(Class::In, Hashed::new(nodes.seed, ancestor));
            hits.look_up(nodes, image, &key, meter);
        }
        hits
    }

    fn look_up<M: Meter>(
        &mut self,
        nodes: &Nodes<'_>,
        image: &Image<'_>,
        key: &Key<'_>,
        meter: &mut M,
    ) {
        let Some((slot, _)) = nodes.find(image.strings, key, meter) else {
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

    fn iter(&self) -> impl Iterator<Item = u32> + use<'_> {
        self.slots.iter().copied().take(self.len)
    }
}

/// The policies that matched, and those that failed.
#[derive(Default)]
struct Tally {
    permits: Determining,
    forbids: Determining,
    errors: u32,
}

impl Tally {
    fn decision<'a>(self, image: Image<'a>) -> Decision<'a> {
        let (outcome, determining) = match (self.forbids.is_empty(), self.permits.is_empty()) {
            (false, _) => (Outcome::Forbidden, self.forbids),
            (true, false) => (Outcome::Permitted, self.permits),
            (true, true) => (Outcome::NoPermit, Determining::default()),
        };
        Decision::new(image, outcome, determining, self.errors)
    }

    fn count(&mut self, number: u32, policy: &PolicyRecord, matched: Result<bool, Fault>) {
        let forbids = policy.effect == EFFECT_FORBID;
        if matched.is_err() {
            self.errors = self.errors.saturating_add(1);
        }
        match (forbids, matched) {
            (true, Ok(true) | Err(_)) => self.forbids.push(number),
            (false, Ok(true)) => self.permits.push(number),
            (_, Ok(false)) | (false, Err(_)) => {}
        }
    }
}

/// One decision under way. Its methods return `None` only for an image that no check accepted.
struct Run<'x, 't, M> {
    image: &'x Image<'x>,
    machine: Machine<'x>,
    tally: &'t mut Tally,
    meter: &'t mut M,
}

impl<M: Meter> Run<'_, '_, M> {
    fn all(&mut self, nodes: &Nodes<'_>, principals: &Hits, resources: &Hits) -> Option<()> {
        self.bucket(0, nodes.unscoped, resources)?;
        for hit in principals.iter() {
            let slot = nodes.slot(hit)?;
            if slot.count != 0 {
                self.bucket(slot.first, slot.count, resources)?;
            }
        }
        Some(())
    }

    /// All policies of one principal scope whose resource scope matches.
    fn bucket(&mut self, first: u32, count: u32, resources: &Hits) -> Option<()> {
        let end = first.checked_add(count)?;
        self.run(first, end, 0)?;
        for hit in resources.iter() {
            let node = hit.checked_add(1)?;
            let start = self.lower_bound(first, end, node)?;
            self.run(start, end, node)?;
        }
        Some(())
    }

    /// The first policy of a sorted range that is filed under that resource node or a later one. At most 32 rounds.
    fn lower_bound(&mut self, first: u32, end: u32, node: u32) -> Option<u32> {
        let (mut low, mut high) = (first, end);
        while low < high {
            self.meter.step();
            let middle = low.midpoint(high);
            if self.image.policy(middle)?.resource < node {
                low = middle.checked_add(1)?;
            } else {
                high = middle;
            }
        }
        Some(low)
    }

    /// The policies from `start` on that are filed under that resource node.
    fn run(&mut self, start: u32, end: u32, node: u32) -> Option<()> {
        for number in start..end {
            self.meter.step();
            let policy = self.image.policy(number)?;
            if policy.resource != node {
                break;
            }
            let acts = match policy.actions.checked_sub(1) {
                None => true,
                Some(set) => self.machine.acts(u32::from(set))?,
            };
            if acts {
                let matched = self.condition(&policy);
                self.tally.count(number, &policy, matched);
            }
        }
        Some(())
    }

    fn condition(&mut self, policy: &PolicyRecord) -> Result<bool, Fault> {
        match policy.program.checked_sub(1) {
            None => Ok(true),
            Some(start) => program::run(&mut self.machine, start, self.meter),
        }
    }
}
