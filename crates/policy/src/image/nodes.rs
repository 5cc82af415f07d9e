//! The scope table: which policies are filed under which entity, found by hash.

use crate::bounds::MAX_PROBES;
use crate::eval::meter::Meter;
use crate::image::layout::{NODES_HEADER_BYTES, SLOT_BYTES};
use crate::image::read::{self, Table};
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

    /// Its bit among the classes of a table.
    pub(crate) const fn bit(self, of: Side) -> u32 {
        match (of, self) {
            (Side::Principal, Self::Is) => 0x02,
            (Side::Principal, Self::Eq) => 0x04,
            (Side::Principal, Self::In) => 0x08,
            (Side::Resource, Self::Is) => 0x20,
            (Side::Resource, Self::Eq) => 0x40,
            (Side::Resource, Self::In) => 0x80,
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

/// Which of a request's entities a scope is of. A slot may be of both.
#[derive(Clone, Copy)]
pub(crate) enum Side {
    Principal,
    Resource,
}

/// Where a scope is looked up: by the hash of its name, and its class.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    /// Where to look first.
    home: u32,
    /// What the slot must hold before its name is compared; independent of `home`.
    tag: u32,
    class: Class,
}

impl Key {
    #[inline]
    pub(crate) fn new(class: Class, hash: u64) -> Self {
        let hash = fold(fold(hash ^ u64::from(class.code())));
        let [h0, h1, h2, h3, t0, t1, t2, t3] = hash.to_le_bytes();
        Self {
            home: u32::from_le_bytes([h0, h1, h2, h3]),
            tag: u32::from_le_bytes([t0, t1, t2, t3]),
            class,
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

/// The hash of an entity's name, of which keys of every class are made.
pub(crate) fn hash(seed: u32, name: &EntityRef<'_>) -> u64 {
    mix(
        mix(u64::from(seed), name.kind.as_bytes()),
        name.id.as_bytes(),
    )
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
    /// Which classes of scopes there are: of principals bit n is the class of code n, of resources bit n + 4.
    pub(crate) classes: u32,
    slots: Table<'a, SLOT_BYTES>,
    mask: u32,
}

impl<'a> Nodes<'a> {
    /// Reads the section's header; `None` unless the slots are a power of two and the probes within their bound.
    pub(crate) fn read(section: &'a [u8]) -> Option<Self> {
        let (header, slots) = section.split_first_chunk::<NODES_HEADER_BYTES>()?;
        let [seed, probes, unscoped, classes] = read::words(header)?;
        let (slots, []) = slots.as_chunks() else {
            return None;
        };
        if probes > MAX_PROBES || !slots.len().is_power_of_two() {
            return None;
        }
        let mask = u32::try_from(slots.len()).ok()?.checked_sub(1)?;
        Some(Self {
            seed,
            probes,
            unscoped,
            classes,
            slots,
            mask,
        })
    }

    /// Whether there are scopes of a class.
    #[inline]
    pub(crate) fn has(&self, of: Side, class: Class) -> bool {
        self.classes & class.bit(of) != 0
    }

    /// The highest slot number.
    pub(crate) fn last(&self) -> u32 {
        self.mask
    }

    #[inline]
    pub(crate) fn slot(&self, slot: u32) -> Option<Slot> {
        let [tag, class, kind, id, first, count] = read::words(read::record(self.slots, slot)?)?;
        Some(Slot {
            tag,
            class,
            kind,
            id,
            first,
            count,
        })
    }

    /// The slot of that name, of which `key` was made. Reads at most `probes + 1` slots and compares the name with one.
    pub(crate) fn find<M: Meter>(
        &self,
        heap: &[u8],
        key: Key,
        name: &EntityRef<'_>,
        meter: &mut M,
    ) -> Option<u32> {
        let mut at = key.home & self.mask;
        for _ in 0..self.probes.saturating_add(1) {
            let slot = self.slot(at)?;
            meter.step();
            if slot.class == 0 {
                return None;
            }
            if slot.tag == key.tag && slot.class == key.class.code() {
                meter.bytes(name.kind.len());
                meter.bytes(name.id.len());
                let same = read::string(heap, slot.kind)? == name.kind.as_bytes()
                    && read::string(heap, slot.id)? == name.id.as_bytes();
                return same.then_some(at);
            }
            at = at.wrapping_add(1) & self.mask;
        }
        None
    }
}
