//! The scope table: which policies are filed under which entity, found by hash.

use crate::bounds::MAX_PROBES;
use crate::eval::meter::Meter;
use crate::image::layout::{NODES_HEADER_BYTES, SLOT_BYTES};
use crate::image::read;
use crate::request::EntityRef;

/// What kind of scope a slot stands for: `is` a kind, `==` an entity, `in` an entity. Zero marks an empty slot.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[repr(u32)]
pub(crate) enum Class {
    Is = 1,
    Eq = 2,
    In = 3,
}

impl Class {
    pub(crate) const fn code(self) -> u32 {
        match self {
            Self::Is => 1,
            Self::Eq => 2,
            Self::In => 3,
        }
    }

    pub(crate) const fn bit(self) -> u32 {
        match self {
            Self::Is => 2,
            Self::Eq => 4,
            Self::In => 8,
        }
    }

    pub(crate) const fn from_code(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::Is),
            2 => Some(Self::Eq),
            3 => Some(Self::In),
            _ => None,
        }
    }
}

/// What is looked up.
#[derive(Clone, Copy)]
pub(crate) struct Key<'k> {
    /// Where to look first.
    home: u32,
    /// What the slot must hold before its name is compared; independent of `home`.
    tag: u32,
    class: Class,
    kind: &'k [u8],
    id: &'k [u8],
}

impl<'k> Key<'k> {
    pub(crate) fn new(class: Class, entity: Hashed<'k>) -> Self {
        let hash = fold(fold(entity.hash ^ u64::from(class.code())));
        let [h0, h1, h2, h3, t0, t1, t2, t3] = hash.to_le_bytes();
        let (home, tag) = (
            u32::from_le_bytes([h0, h1, h2, h3]),
            u32::from_le_bytes([t0, t1, t2, t3]),
        );
        let EntityRef { kind, id } = entity.name;
        Self {
            home,
            tag,
            class,
            kind: kind.as_bytes(),
            id: id.as_bytes(),
        }
    }

    #[cfg(feature = "alloc")]
    pub(crate) fn home(&self) -> u32 {
        self.home
    }

    #[cfg(feature = "alloc")]
    pub(crate) fn tag(&self) -> u32 {
        self.tag
    }
}

/// An entity's name with its hash, so that looking it up as `==` and as `in` reads its bytes once.
#[derive(Clone, Copy)]
pub(crate) struct Hashed<'k> {
    hash: u64,
    name: EntityRef<'k>,
}

impl<'k> Hashed<'k> {
    pub(crate) fn new(seed: u32, name: EntityRef<'k>) -> Self {
        let hash = mix(
            mix(u64::from(seed), name.kind.as_bytes()),
            name.id.as_bytes(),
        );
        Self { hash, name }
    }
}

/// The odd constant of a multiplicative hash: 2^64 over the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

fn fold(state: u64) -> u64 {
    let state = state.wrapping_mul(MULTIPLIER);
    state ^ (state >> 32)
}

/// The halves of a product of 128 bits, one upon the other.
#[inline]
fn multiply(a: u64, b: u64) -> u64 {
    let product = u128::from(a).wrapping_mul(u128::from(b)).to_le_bytes();
    let (low, _) = product.split_at(8);
    let (_, high) = product.split_at(8);
    word(low) ^ word(high)
}

/// Up to eight bytes as a number.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    if let Some(first) = bytes.first_chunk::<8>() {
        return u64::from_le_bytes(*first);
    }
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            let high = u64::from(u32::from_le_bytes(*last)) << 32;
            high | u64::from(u32::from_le_bytes(*first))
        }
        _ => bytes
            .iter()
            .fold(0, |word, &byte| (word << 8) | u64::from(byte)),
    }
}

/// Mixes the bytes in by sixteen; the last sixteen may overlap those before. Colliding names are no danger: an image's
/// probes are bounded.
#[inline]
fn mix(state: u64, bytes: &[u8]) -> u64 {
    let len = u64::try_from(bytes.len()).unwrap_or_default();
    let state = fold(state ^ len);
    let (chunks, rest) = bytes.as_chunks::<16>();
    let state = chunks.iter().fold(state, |state, chunk| {
        let (low, high) = chunk.split_at(8);
        multiply(word(low) ^ state, word(high) ^ MULTIPLIER)
    });
    if rest.is_empty() {
        return state;
    }
    let (low, high) = match (bytes.last_chunk::<16>(), rest.last_chunk::<8>()) {
        (Some(last), _) => {
            let (low, high) = last.split_at(8);
            (word(low), word(high))
        }
        (None, Some(last)) => (word(rest), u64::from_le_bytes(*last)),
        (None, None) => (word(rest), len),
    };
    multiply(low ^ state, high ^ MULTIPLIER)
}

/// One slot as stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Slot {
    pub(crate) tag: u32,
    pub(crate) class: u32,
    pub(crate) kind: u32,
    pub(crate) id: u32,
    pub(crate) first: u32,
    pub(crate) count: u32,
}

/// The scope table of an image.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nodes<'a> {
    pub(crate) seed: u32,
    pub(crate) probes: u32,
    /// How many policies, the first ones, are filed under any principal.
    pub(crate) unscoped: u32,
    /// Which classes of slots there are: bit n is the class of code n.
    pub(crate) classes: u32,
    slots: &'a [u8],
    mask: u32,
}

impl<'a> Nodes<'a> {
    /// Reads the section's header; `None` unless the slots are a power of two and the probes within their bound.
    pub(crate) fn read(section: &'a [u8]) -> Option<Self> {
        let (header, slots) = section.split_first_chunk::<NODES_HEADER_BYTES>()?;
        let [seed, probes, unscoped, classes] = read::words(header)?;
        let count = slots.len().checked_div(SLOT_BYTES)?;
        if probes > MAX_PROBES
            || !count.is_power_of_two()
            || count.checked_mul(SLOT_BYTES)? != slots.len()
        {
            return None;
        }
        let mask = u32::try_from(count).ok()?.checked_sub(1)?;
        Some(Self {
            seed,
            probes,
            unscoped,
            classes,
            slots,
            mask,
        })
    }

    /// Whether there are slots of a class.
    #[inline]
    pub(crate) fn has(&self, class: Class) -> bool {
        self.classes & class.bit() != 0
    }

    /// The highest slot number.
    pub(crate) fn last(&self) -> u32 {
        self.mask
    }

    pub(crate) fn slot(&self, slot: u32) -> Option<Slot> {
        let [tag, class, kind, id, first, count] =
            read::words(read::record::<SLOT_BYTES>(self.slots, slot)?)?;
        Some(Slot {
            tag,
            class,
            kind,
            id,
            first,
            count,
        })
    }

    /// The slot of that name. Reads at most `probes + 1` slots and compares the name with one.
    pub(crate) fn find<M: Meter>(
        &self,
        heap: &[u8],
        key: &Key<'_>,
        meter: &mut M,
    ) -> Option<(u32, Slot)> {
        for probe in 0..=self.probes {
            let at = key.home.wrapping_add(probe) & self.mask;
            let slot = self.slot(at)?;
            meter.step();
            if slot.class == 0 {
                return None;
            }
            if slot.tag == key.tag && slot.class == key.class.code() {
                meter.bytes(key.kind.len());
                meter.bytes(key.id.len());
                let same = read::string(heap, slot.kind)? == key.kind
                    && read::string(heap, slot.id)? == key.id;
                return same.then_some((at, slot));
            }
        }
        None
    }
}
