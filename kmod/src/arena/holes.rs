//! Blocks given back: a list of holes in the order of their addresses, no two of them adjacent.
//!
//! ```text
//! +-----+------+----------------+
//! | len | next | zero           |   at least one granule
//! +-----+------+----------------+
//! ```

use super::{Arena, Header};

/// End of the list. Offset 0 is the header's, so no hole has it.
pub(super) const END: u32 = 0;

/// The start of a hole.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Hole {
    /// Bytes, this included: whole granules.
    len: u32,
    /// Offset of the next hole, or [`END`].
    next: u32,
}

/// No hole: how its first bytes are when it is handed out.
const NONE: Hole = Hole { len: 0, next: END };

/// A place in the list: the holes before it, nearest first, and the hole there, or [`END`].
#[derive(Clone, Copy, Debug)]
struct Spot {
    before: u32,
    before_that: u32,
    here: u32,
}

impl Arena {
    /// Takes `len` bytes out of the first hole that has them, aligned; their offset.
    ///
    /// # Safety
    /// As for [`Arena::alloc`].
    pub(super) unsafe fn take_hole(self, len: u32, align: usize) -> Option<u32> {
        // SAFETY: the caller's contract.
        let mut spot = unsafe { self.first() };
        while spot.here != END {
            // SAFETY: a spot's `here` is a hole or the end, which it is not.
            let hole = unsafe { self.hole(spot.here) };
            let end = spot.here.checked_add(hole.len)?;
            let at = self.aligned_up(spot.here, align)?;
            let behind = at.checked_add(len).and_then(|used| end.checked_sub(used));
            if let Some(behind) = behind {
                // SAFETY: `at` and what is behind lie in the hole.
                unsafe { self.split(spot, hole, at, behind) };
                return Some(at);
            }
            spot = Spot {
                before: spot.here,
                before_that: spot.before,
                here: hole.next,
            };
        }
        None
    }

    /// Makes a hole of memory that is zero and not in use, joined with those beside it. At the end
    /// of the arena it is no hole but unused.
    ///
    /// # Safety
    /// As for [`Arena::alloc`]; the `len` bytes at `at` are below `next`, zero, and in no hole.
    pub(super) unsafe fn make_hole(self, at: u32, len: u32) {
        // SAFETY: the caller's contract.
        let spot = unsafe { self.spot_behind(at) };
        let (mut from, mut to) = (at, at.saturating_add(len));
        let (mut before, mut after) = (spot.before, spot.here);
        if after == to {
            // SAFETY: `after` is a hole: nothing in use ends at `END`.
            let next = unsafe { self.hole(after) };
            // SAFETY: as above.
            unsafe { self.set_hole(after, NONE) };
            (to, after) = (to.saturating_add(next.len), next.next);
        }
        if before != END {
            // SAFETY: `before` is a hole.
            let last = unsafe { self.hole(before) };
            if before.saturating_add(last.len) == from {
                // SAFETY: as above.
                unsafe { self.set_hole(before, NONE) };
                (from, before) = (before, spot.before_that);
            }
        }
        // SAFETY: the header is valid, and only this lane changes it.
        let header = unsafe { &mut *self.header() };
        let link = if to == header.next {
            header.next = from;
            END
        } else {
            // SAFETY: the memory from `from` to `to` is not in use.
            unsafe {
                self.set_hole(
                    from,
                    Hole {
                        len: to.saturating_sub(from),
                        next: after,
                    },
                )
            };
            from
        };
        // SAFETY: `before` is a hole or the end.
        unsafe { self.set_link(before, link) };
    }

    /// Leaves of a hole what is before `at` and the last `behind` bytes.
    ///
    /// # Safety
    /// As for [`Arena::alloc`]; both lie in the hole at `spot`.
    unsafe fn split(self, spot: Spot, hole: Hole, at: u32, behind: u32) {
        // SAFETY: the hole is ours to change.
        unsafe { self.set_hole(spot.here, NONE) };
        let mut link = hole.next;
        if behind > 0 {
            let rest = spot.here.saturating_add(hole.len).saturating_sub(behind);
            // SAFETY: the rest is not in use.
            unsafe {
                self.set_hole(
                    rest,
                    Hole {
                        len: behind,
                        next: link,
                    },
                )
            };
            link = rest;
        }
        let gap = at.saturating_sub(spot.here);
        if gap > 0 {
            // SAFETY: what is before `at` is not in use.
            unsafe {
                self.set_hole(
                    spot.here,
                    Hole {
                        len: gap,
                        next: link,
                    },
                )
            };
            link = spot.here;
        }
        // SAFETY: `before` is a hole or the end.
        unsafe { self.set_link(spot.before, link) };
    }

    /// # Safety
    /// As for [`Arena::alloc`].
    unsafe fn first(self) -> Spot {
        // SAFETY: the header is valid, and only this lane changes it.
        let here = unsafe { (*self.header()).first };
        Spot {
            before: END,
            before_that: END,
            here,
        }
    }

    /// The first spot whose hole is behind `at`. The list is no longer than the arena has granules.
    ///
    /// # Safety
    /// As for [`Arena::alloc`].
    unsafe fn spot_behind(self, at: u32) -> Spot {
        // SAFETY: the caller's contract.
        let mut spot = unsafe { self.first() };
        while spot.here != END && spot.here < at {
            // SAFETY: a spot's `here` is a hole or the end, which it is not.
            let next = unsafe { self.hole(spot.here) }.next;
            spot = Spot {
                before: spot.here,
                before_that: spot.before,
                here: next,
            };
        }
        spot
    }

    /// # Safety
    /// There is a hole at `at`.
    unsafe fn hole(self, at: u32) -> Hole {
        // SAFETY: granules are aligned, in the arena, and long enough for a hole.
        unsafe { self.at_offset(at).cast::<Hole>().read() }
    }

    /// # Safety
    /// The granule at `at` is not in use.
    unsafe fn set_hole(self, at: u32, hole: Hole) {
        // SAFETY: granules are aligned, in the arena, and long enough for a hole.
        unsafe { self.at_offset(at).cast::<Hole>().write(hole) };
    }

    /// Makes `to` what follows the hole at `before`, or the first if that is the end.
    ///
    /// # Safety
    /// As for [`Arena::alloc`]; `before` is a hole or the end.
    unsafe fn set_link(self, before: u32, to: u32) {
        if before == END {
            // SAFETY: the header is valid, and only this lane changes it.
            let header: &mut Header = unsafe { &mut *self.header() };
            header.first = to;
            return;
        }
        // SAFETY: `before` is a hole.
        let hole = unsafe { self.hole(before) };
        // SAFETY: as above.
        unsafe { self.set_hole(before, Hole { next: to, ..hole }) };
    }
}
