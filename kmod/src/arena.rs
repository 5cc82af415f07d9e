//! Arenas: blocks of memory that C lends and frees whole.
//!
//! C reserves an arena before the work that needs it begins, so that running out is a refusal and
//! never a wait. Everything is zero before it is handed out and is wiped when it is given back, so
//! keys do not linger. Blocks given back become holes, which are joined and used again first: what
//! an arena ever holds stays close to what was in use at once.
//!
//! An arena is changed only by the lane whose current arena it is. What was built in it may be read
//! from anywhere once that lane is done, for as long as C keeps the memory.
//!
//! ```text
//! +--------+-------+------+-------+------+----------------------+
//! | Header | block | hole | block | …    | zero, not in use     |
//! +--------+-------+------+-------+------+----------------------+
//! 0        size_of Header                next                   size
//! ```

mod holes;

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use crate::errno::EINVAL;

/// Smallest memory that can be an arena.
pub const MIN_BYTES: usize = size_of::<Header>() + 1024;
/// Largest memory that can be an arena: places in it are 32-bit offsets.
pub const MAX_BYTES: usize = 1 << 31;
/// Alignment and granule of every block, and alignment of the arena.
pub const ALIGN: usize = 16;

/// Marks memory as an arena: `TLarena1`.
const MAGIC: u64 = u64::from_le_bytes(*b"TLarena1");

/// What an arena was made to hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// A configuration.
    Config,
    /// A key and, later, its SVID.
    Identity,
    /// A handshake.
    Flow,
}

impl Kind {
    /// The number in an arena's header; 0 is for an arena without a root.
    const fn number(self) -> u32 {
        match self {
            Self::Config => 1,
            Self::Identity => 2,
            Self::Flow => 3,
        }
    }
}

/// The start of every arena.
#[repr(C, align(16))]
struct Header {
    magic: u64,
    /// What was built here, of the type that `kind` says; null before.
    root: *const (),
    /// Number of a [`Kind`], or 0 before there is a root.
    kind: u32,
    /// Bytes, header included.
    size: u32,
    /// Offset of the first byte behind every block and hole.
    next: u32,
    /// The furthest that `next` ever was.
    peak: u32,
    /// Offset of the first hole, or [`holes::END`].
    first: u32,
}

/// An arena in memory that C owns. A copyable handle, not an owner.
#[derive(Clone, Copy, Debug)]
pub struct Arena(NonNull<Header>);

/// Prepares `size` zeroed bytes as an arena; 0, or `-EINVAL` when they are too few, too many or
/// misaligned. Context: any.
///
/// # Safety
/// `mem` is null or points to `size` zeroed bytes that nobody else touches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_arena_init(mem: *mut u8, size: u64) -> i32 {
    // SAFETY: the caller's contract is that of `init`.
    match unsafe { Arena::init(mem, size) } {
        Some(_) => 0,
        None => -EINVAL,
    }
}

/// The high-water mark of an arena in bytes, header included; 0 if it is none. Context: any.
///
/// # Safety
/// `mem` is null or points to an arena that no lane is changing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_arena_used(mem: *const u8) -> u64 {
    // SAFETY: the caller's contract is that of `at`.
    match unsafe { Arena::at(mem) } {
        // SAFETY: `at` found an arena, which nobody writes to now.
        Some(arena) => u64::from(unsafe { (*arena.header()).peak }),
        None => 0,
    }
}

impl Arena {
    /// Prepares zeroed memory as an arena; `None` when it is too small, too large or misaligned.
    ///
    /// # Safety
    /// `mem` is null or points to `size` zeroed bytes that nobody else touches.
    pub unsafe fn init(mem: *mut u8, size: u64) -> Option<Self> {
        let header = Self::aligned(mem)?;
        let bytes = usize::try_from(size).ok()?;
        if !(MIN_BYTES..=MAX_BYTES).contains(&bytes) {
            return None;
        }
        let next = u32::try_from(size_of::<Header>()).ok()?;
        let fresh = Header {
            magic: MAGIC,
            root: ptr::null(),
            kind: 0,
            size: u32::try_from(size).ok()?,
            next,
            peak: next,
            first: holes::END,
        };
        // SAFETY: aligned, large enough, and ours by the caller's contract.
        unsafe { header.write(fresh) };
        Some(Self(header))
    }

    /// The arena at `mem`; `None` when there is none.
    ///
    /// # Safety
    /// `mem` is null or points to readable memory the size of a header.
    #[must_use]
    pub unsafe fn at(mem: *const u8) -> Option<Self> {
        let header = Self::aligned(mem.cast_mut())?;
        // SAFETY: not null, aligned, and readable by the caller's contract.
        let magic = unsafe { (*header.as_ptr()).magic };
        if magic == MAGIC {
            Some(Self(header))
        } else {
            None
        }
    }

    /// The arena of the lane that runs us; `None` off a lane.
    #[must_use]
    pub fn current() -> Option<Self> {
        // SAFETY: the function has no conditions.
        let mem = unsafe { crate::ffi::tl_c_arena() };
        // SAFETY: C keeps a current arena alive for as long as it is current.
        unsafe { Self::at(mem) }
    }

    /// Where the arena starts.
    #[must_use]
    pub fn start(self) -> *mut u8 {
        self.0.as_ptr().cast()
    }

    /// Records what was built here. The first root stays.
    ///
    /// # Safety
    /// This is the current arena; `root` points to a `T` inside it that stays until C frees the
    /// arena, and `kind` belongs to `T` alone.
    pub unsafe fn set_root<T>(self, kind: Kind, root: *const T) {
        let header = self.header();
        // SAFETY: the header is valid, and only this lane changes it.
        if unsafe { (*header).kind } != 0 {
            return;
        }
        // SAFETY: as above.
        unsafe { (*header).root = root.cast() };
        // SAFETY: as above.
        unsafe { (*header).kind = kind.number() };
    }

    /// What was built here, if it is a `kind`.
    ///
    /// # Safety
    /// `T` is the type that `kind` belongs to.
    #[must_use]
    pub unsafe fn root<T>(self, kind: Kind) -> Option<NonNull<T>> {
        let header = self.header();
        // SAFETY: the header is valid; C orders the building lane before every reader.
        let found = unsafe { (*header).kind };
        if found != kind.number() {
            return None;
        }
        // SAFETY: as above.
        let root = unsafe { (*header).root };
        NonNull::new(root.cast_mut().cast())
    }

    /// Hands out a zeroed block; null when the arena has no room.
    ///
    /// # Safety
    /// This is the current arena, and its lane is the only one to change it.
    pub unsafe fn alloc(self, layout: Layout) -> *mut u8 {
        let Some(len) = granules(layout.size()) else {
            return ptr::null_mut();
        };
        // SAFETY: the caller's contract.
        let place = match unsafe { self.take_hole(len, layout.align()) } {
            Some(place) => Some(place),
            // SAFETY: the caller's contract.
            None => unsafe { self.extend(len, layout.align()) },
        };
        place.map_or(ptr::null_mut(), |place| self.at_offset(place))
    }

    /// Wipes a block and takes it back. A block of another arena is left alone: its own arena
    /// frees it.
    ///
    /// # Safety
    /// This is the current arena; `block` was handed out, for `layout`, by this or another arena,
    /// and nobody uses it any more.
    pub unsafe fn dealloc(self, block: *mut u8, layout: Layout) {
        let (Some(at), Some(len)) = (self.offset_of(block), granules(layout.size())) else {
            return;
        };
        // SAFETY: the block is ours and at least `layout.size()` long.
        unsafe { wipe(block, layout.size()) };
        // SAFETY: the block is ours, given up and wiped.
        unsafe { self.make_hole(at, len) };
    }

    /// Resizes a block, in place if it shrinks, is the last, or was rounded up; null when there is
    /// no room, and then the block is as it was.
    ///
    /// # Safety
    /// As for [`Arena::dealloc`], except that the block is in use; `size` rounded up to the
    /// alignment of `layout` is at most `isize::MAX`.
    pub unsafe fn realloc(self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's contract.
        if unsafe { self.resize_in_place(block, layout, size) }.is_some() {
            return block;
        }
        let Ok(grown) = Layout::from_size_align(size, layout.align()) else {
            return ptr::null_mut();
        };
        // SAFETY: the caller's contract.
        let moved = unsafe { self.alloc(grown) };
        if moved.is_null() {
            return moved;
        }
        // SAFETY: both blocks have that many bytes, and a new block overlaps nothing in use.
        unsafe { ptr::copy_nonoverlapping(block, moved, layout.size().min(size)) };
        // SAFETY: the caller gave the old block up.
        unsafe { self.dealloc(block, layout) };
        moved
    }

    /// # Safety
    /// As for [`Arena::realloc`].
    unsafe fn resize_in_place(self, block: *mut u8, layout: Layout, size: usize) -> Option<()> {
        let at = self.offset_of(block)?;
        let (old, new) = (granules(layout.size())?, granules(size)?);
        if let Some(gone) = layout.size().checked_sub(size) {
            // SAFETY: the block is longer than `size`.
            let tail = unsafe { block.add(size) };
            // SAFETY: these are the last bytes of the block, no longer in use.
            unsafe { wipe(tail, gone) };
        }
        match old.checked_sub(new) {
            Some(0) => Some(()),
            Some(gone) => {
                // SAFETY: what is behind the first `new` bytes is wiped and no longer in use.
                unsafe { self.make_hole(at.checked_add(new)?, gone) };
                Some(())
            }
            // SAFETY: the block is in use, and the caller's contract.
            None => unsafe { self.extend_last(at, old, new) },
        }
    }

    fn header(self) -> *mut Header {
        self.0.as_ptr()
    }

    fn aligned(mem: *mut u8) -> Option<NonNull<Header>> {
        let header = NonNull::new(mem.cast::<Header>())?;
        if header.is_aligned() {
            Some(header)
        } else {
            None
        }
    }

    /// The offset of a block of this arena.
    fn offset_of(self, block: *mut u8) -> Option<u32> {
        let offset = u32::try_from(block.addr().checked_sub(self.start().addr())?).ok()?;
        // SAFETY: the header is valid, and only this lane changes it.
        let next = unsafe { (*self.header()).next };
        if offset < next { Some(offset) } else { None }
    }

    /// The place at an offset, which is less than the arena's size.
    fn at_offset(self, offset: u32) -> *mut u8 {
        self.start()
            .wrapping_add(usize::try_from(offset).unwrap_or(0))
    }

    /// Cuts a new block off the unused end; its offset.
    ///
    /// # Safety
    /// As for [`Arena::alloc`].
    unsafe fn extend(self, len: u32, align: usize) -> Option<u32> {
        // SAFETY: the header is valid, and only this lane changes it.
        let from = unsafe { (*self.header()).next };
        let at = self.aligned_up(from, align)?;
        // SAFETY: the caller's contract.
        unsafe { self.set_next(at.checked_add(len)?) }?;
        if at > from {
            // SAFETY: what was skipped is zero and not in use.
            unsafe { self.make_hole(from, at.saturating_sub(from)) };
        }
        Some(at)
    }

    /// Grows the block of `old` bytes at `at`, if it is the last, to `new`.
    ///
    /// # Safety
    /// As for [`Arena::alloc`].
    unsafe fn extend_last(self, at: u32, old: u32, new: u32) -> Option<()> {
        // SAFETY: the header is valid, and only this lane changes it.
        let next = unsafe { (*self.header()).next };
        if at.checked_add(old)? != next {
            return None;
        }
        // SAFETY: the caller's contract.
        unsafe { self.set_next(at.checked_add(new)?) }
    }

    /// Moves the end of what is in use, if there is room.
    ///
    /// # Safety
    /// As for [`Arena::alloc`]; what is between the old end and the new is zero.
    unsafe fn set_next(self, next: u32) -> Option<()> {
        // SAFETY: the header is valid, and only this lane changes it.
        let header = unsafe { &mut *self.header() };
        if next > header.size {
            return None;
        }
        header.next = next;
        header.peak = header.peak.max(next);
        Some(())
    }

    /// The first offset from `from` on whose address is aligned.
    fn aligned_up(self, from: u32, align: usize) -> Option<u32> {
        let start = self.start().addr();
        let unaligned = start.checked_add(usize::try_from(from).ok()?)?;
        let aligned = unaligned.checked_next_multiple_of(align.max(ALIGN))?;
        u32::try_from(aligned.checked_sub(start)?).ok()
    }
}

/// A length rounded up to whole granules; not 0, so that every block has an end of its own.
fn granules(size: usize) -> Option<u32> {
    u32::try_from(size.max(1).checked_next_multiple_of(ALIGN)?).ok()
}

/// Overwrites memory with zeros, also when nobody will read it again.
///
/// # Safety
/// `from` points to `len` bytes that are ours to write.
unsafe fn wipe(from: *mut u8, len: usize) {
    // SAFETY: the caller's contract.
    unsafe { ptr::write_bytes(from, 0, len) };
    // The zeros must reach memory although the block is given up: nothing that may alias
    // this pointer can be moved or dropped across the barrier.
    // SAFETY: an empty instruction.
    unsafe { core::arch::asm!("/* {0} */", in(reg) from, options(nostack, preserves_flags)) };
}

#[cfg(test)]
mod tests;
