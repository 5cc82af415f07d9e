//! Arenas: blocks of memory that C lends and frees whole.
//!
//! C reserves an arena before the work that needs it begins, so that running out is a refusal and
//! never a wait. Inside, freed blocks return to a list of their size class; everything is zero
//! before it is handed out and is wiped when it is given back, so keys do not linger.
//!
//! An arena is changed only by the lane whose current arena it is. What was built in it may be read
//! from anywhere once that lane is done, for as long as C keeps the memory.
//!
//! ```text
//! +--------+------------------------------+---------------------+
//! | Header | blocks, handed out in order  | zero, never used    |
//! +--------+------------------------------+---------------------+
//! 0        size_of Header                 next                  size
//! ```

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use crate::classes::{CLASSES, class_bytes, class_of};
use crate::errno::EINVAL;

/// Smallest memory that can be an arena.
pub const MIN_BYTES: usize = size_of::<Header>() + 1024;
/// Largest memory that can be an arena: links are 32-bit offsets.
pub const MAX_BYTES: usize = 1 << 31;
/// Alignment of every block, and of the arena.
pub const ALIGN: usize = 16;

/// Marks memory as an arena: `TLarena1`.
const MAGIC: u64 = u64::from_le_bytes(*b"TLarena1");
/// End of a free list. Offset 0 is the header's, so no block has it.
const END: u32 = 0;

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
    /// Bytes, header included.
    size: u64,
    /// Offset of the first byte never handed out; the high-water mark.
    next: u64,
    /// What was built here, of the type that `kind` says; null before.
    root: *const (),
    /// Number of a [`Kind`], or 0 before there is a root.
    kind: u32,
    /// Offset of the first free block of each class, or [`END`].
    free: [u32; CLASSES],
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
        Some(arena) => unsafe { (*arena.header()).next },
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
        let fresh = Header {
            magic: MAGIC,
            size,
            next: u64::try_from(size_of::<Header>()).ok()?,
            root: ptr::null(),
            kind: 0,
            free: [END; CLASSES],
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
        let Some(class) = class_of(layout.size()) else {
            return ptr::null_mut();
        };
        // SAFETY: the caller's contract.
        match unsafe { self.pop(class, layout.align()) } {
            Some(block) => block,
            // SAFETY: the caller's contract.
            None => unsafe { self.bump(class, layout.align()) },
        }
    }

    /// Wipes a block and takes it back. A block of another arena is left alone: its own arena
    /// frees it.
    ///
    /// # Safety
    /// This is the current arena; `block` was handed out, for `layout`, by this or another arena,
    /// and nobody uses it any more.
    pub unsafe fn dealloc(self, block: *mut u8, layout: Layout) {
        let Some(offset) = self.offset_of(block) else {
            return;
        };
        let Some(class) = class_of(layout.size()) else {
            return;
        };
        // SAFETY: the block is ours and at least `layout.size()` long.
        unsafe { wipe(block, layout.size()) };
        // SAFETY: the block is ours, free, aligned and at least 16 bytes long.
        unsafe { self.push(class, block, offset) };
    }

    /// Resizes a block, in place when its size class stays the same; null when there is no room,
    /// and then the block is as it was.
    ///
    /// # Safety
    /// As for [`Arena::dealloc`], except that the block is in use; `size` rounded up to the
    /// alignment of `layout` is at most `isize::MAX`.
    pub unsafe fn realloc(self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let ours = self.offset_of(block).is_some();
        if ours && class_of(size).is_some() && class_of(size) == class_of(layout.size()) {
            if let Some(gone) = layout.size().checked_sub(size) {
                // SAFETY: the block is longer than `size`.
                let tail = unsafe { block.add(size) };
                // SAFETY: these are the last bytes of the block, no longer in use.
                unsafe { wipe(tail, gone) };
            }
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
        let offset = block.addr().checked_sub(self.start().addr())?;
        // SAFETY: the header is valid, and only this lane changes it.
        let next = unsafe { (*self.header()).next };
        let offset = u32::try_from(offset).ok()?;
        if u64::from(offset) < next {
            Some(offset)
        } else {
            None
        }
    }

    /// Takes the first free block of a class, if it is aligned as asked.
    ///
    /// # Safety
    /// As for [`Arena::alloc`].
    unsafe fn pop(self, class: usize, align: usize) -> Option<*mut u8> {
        // SAFETY: the header is valid, and only this lane changes it.
        let slot = unsafe { &mut (*self.header()).free }.get_mut(class)?;
        if *slot == END {
            return None;
        }
        // SAFETY: free lists hold offsets of blocks of this arena.
        let block = unsafe { self.start().add(usize::try_from(*slot).ok()?) };
        if block.addr() & align.checked_sub(1)? != 0 {
            return None;
        }
        let link = block.cast::<u32>();
        // SAFETY: a free block is aligned, and starts with a link.
        *slot = unsafe { link.read() };
        // SAFETY: as above; with the link gone the block is all zero.
        unsafe { link.write(0) };
        Some(block)
    }

    /// Puts a wiped block at the head of its class's list.
    ///
    /// # Safety
    /// `block` is a block of `class` at `offset` in this arena, and is not in use.
    unsafe fn push(self, class: usize, block: *mut u8, offset: u32) {
        // SAFETY: the header is valid, and only this lane changes it.
        let Some(slot) = (unsafe { &mut (*self.header()).free }).get_mut(class) else {
            return;
        };
        // SAFETY: a block is aligned to 16 and at least 16 bytes long.
        unsafe { block.cast::<u32>().write(*slot) };
        *slot = offset;
    }

    /// Cuts a new block off the unused end; null when it does not fit.
    ///
    /// # Safety
    /// As for [`Arena::alloc`].
    unsafe fn bump(self, class: usize, align: usize) -> *mut u8 {
        let header = self.header();
        // SAFETY: the header is valid, and only this lane changes it.
        let next = unsafe { (*header).next };
        // SAFETY: as above.
        let size = unsafe { (*header).size };
        let Some((from, to)) = fit(self.start().addr(), next, size, class, align) else {
            return ptr::null_mut();
        };
        // SAFETY: as above.
        unsafe { (*header).next = to };
        // SAFETY: `from` is less than `size`, so inside the arena.
        unsafe { self.start().add(from) }
    }
}

/// Where a block of `class` would lie in an arena at `start`: its offset, and the next `next`.
fn fit(start: usize, next: u64, size: u64, class: usize, align: usize) -> Option<(usize, u64)> {
    let unaligned = start.checked_add(usize::try_from(next).ok()?)?;
    let from = unaligned
        .checked_next_multiple_of(align.max(ALIGN))?
        .checked_sub(start)?;
    let to = u64::try_from(from.checked_add(class_bytes(class)?)?).ok()?;
    if to <= size { Some((from, to)) } else { None }
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
