//! The buffer of one direction of a mediated flow: where in it lies what, and how much more it takes.
//!
//! C holds the lock, allocates the buffer, and copies into it and out of it; where, and how much, it asks here.

use crate::ffi::{self, Marks, QUEUE_BYTES, QUEUE_LOW};
use tidelock_datapath::transform::MAX_ADDED_BYTES;

/// What may come in, all told: behind it a transform finds room for what it adds.
const CAPACITY: usize = QUEUE_BYTES - MAX_ADDED_BYTES;

/// Most data of a TLS record (RFC 8446 §5.1).
const RECORD_DATA: u64 = 16_384;

impl Marks {
    /// Bytes that may be taken.
    #[must_use]
    pub fn available(&self) -> u32 {
        self.ready.saturating_sub(self.head)
    }

    /// How much more may come in.
    #[must_use]
    pub fn room(&self) -> u32 {
        number(CAPACITY).saturating_sub(self.held())
    }

    /// How much of that lies behind what is held, in one piece at `end`. Where that is little, what is held is moved to
    /// the front first; `buf` is the whole buffer, or empty as long as there is none.
    pub fn behind(&mut self, buf: &mut [u8]) -> u32 {
        let behind = |marks: &Self| number(CAPACITY).saturating_sub(marks.end);
        if behind(self) < QUEUE_LOW {
            self.compact(buf);
        }
        behind(self)
    }

    /// Moves what is held to the front of the buffer.
    pub fn compact(&mut self, buf: &mut [u8]) {
        let (Ok(head), Ok(end)) = (usize::try_from(self.head), usize::try_from(self.end)) else {
            return;
        };
        if buf.get(head..end).is_none() {
            return;
        }
        buf.copy_within(head..end, 0);
        self.ready = self.ready.saturating_sub(self.head);
        self.end = self.held();
        self.head = 0;
    }

    /// `n` bytes were put at `end`.
    pub fn put(&mut self, n: u32) {
        self.end = self.end.saturating_add(n).min(number(QUEUE_BYTES));
    }

    /// `n` bytes were taken from `head`.
    pub fn took(&mut self, n: u32) {
        self.head = self.head.saturating_add(n).min(self.ready);
        if self.head == self.end {
            *self = Self::default();
        }
    }

    /// Where the next bytes to be taken begin, if `skip` of them are left where they are, and how many of `left` there are.
    #[must_use]
    pub fn next(&self, skip: u64, left: u64) -> (u32, u32) {
        let skip = u32::try_from(skip).map_or(self.ready, |skip| skip.saturating_add(self.head));
        let at = skip.min(self.ready);
        let there = self.ready.saturating_sub(at);
        (
            at,
            u32::try_from(left).map_or(there, |left| left.min(there)),
        )
    }

    /// Everything that is held.
    #[must_use]
    pub fn held(&self) -> u32 {
        self.end.saturating_sub(self.head)
    }
}

/// How many of `left` bytes a program's call puts into so much room: whole records, if there is that much.
#[must_use]
pub fn piece(room: u32, left: u64) -> u32 {
    let room = u64::from(room);
    let piece = match room < left && room > RECORD_DATA {
        true => room.saturating_sub(room.checked_rem(RECORD_DATA).unwrap_or(0)),
        false => room.min(left),
    };
    u32::try_from(piece).unwrap_or(0)
}

/// The bounds above are far below 2³².
fn number(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// See [`Marks::room`]. Context: any.
///
/// # Safety
/// `marks` is null or points to marks that nobody else touches during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_queue_room(marks: *const Marks) -> u32 {
    // SAFETY: the caller's contract.
    unsafe { marks.as_ref() }.map_or(0, Marks::room)
}

/// See [`Marks::behind`]. Context: any.
///
/// # Safety
/// `marks` is null or points to marks, `buf` is null or points to `QUEUE_BYTES` initialised bytes; nobody else touches them during
/// the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_queue_behind(marks: *mut Marks, buf: *mut u8) -> u32 {
    // SAFETY: the caller's contract.
    let buf = unsafe { ffi::bytes_mut(buf, u64::from(number(QUEUE_BYTES))) };
    // SAFETY: the caller's contract.
    unsafe { marks.as_mut() }.map_or(0, |marks| marks.behind(buf.unwrap_or_default()))
}

/// See [`piece`]. Context: any.
#[unsafe(no_mangle)]
pub extern "C" fn tl_rs_queue_piece(room: u32, left: u64) -> u32 {
    piece(room, left)
}

/// See [`Marks::put`]. Context: any.
///
/// # Safety
/// As for [`tl_rs_queue_room`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_queue_put(marks: *mut Marks, n: u32) {
    // SAFETY: the caller's contract.
    if let Some(marks) = unsafe { marks.as_mut() } {
        marks.put(n);
    }
}

/// See [`Marks::took`]. Context: any.
///
/// # Safety
/// As for [`tl_rs_queue_room`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_queue_took(marks: *mut Marks, n: u32) {
    // SAFETY: the caller's contract.
    if let Some(marks) = unsafe { marks.as_mut() } {
        marks.took(n);
    }
}

/// See [`Marks::next`]; writes where to `at` and gives how many. Context: any.
///
/// # Safety
/// As for [`tl_rs_queue_room`]; `at` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_queue_next(
    marks: *const Marks,
    skip: u64,
    left: u64,
    at: *mut u32,
) -> u32 {
    // SAFETY: the caller's contract.
    let (Some(marks), Some(at)) = (unsafe { marks.as_ref() }, unsafe { at.as_mut() }) else {
        return 0;
    };
    let (begin, there) = marks.next(skip, left);
    *at = begin;
    there
}

#[cfg(test)]
mod tests;
