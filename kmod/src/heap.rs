//! The global allocator: every allocation comes from the current lane's arena.
//!
//! Off a lane there is no arena and every allocation fails: what runs there does not allocate.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;

use crate::arena::Arena;

/// Allocates from the arena of the lane that runs us.
#[derive(Debug)]
pub struct LaneHeap;

// SAFETY: an arena hands out blocks that fit their layout and overlap nothing in use; `alloc` and
// `realloc` answer null when there is none.
unsafe impl GlobalAlloc for LaneHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match Arena::current() {
            // SAFETY: the arena is current, and one lane runs on it at a time.
            Some(arena) => unsafe { arena.alloc(layout) },
            None => ptr::null_mut(),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // Arena blocks are always handed out zeroed.
        // SAFETY: the caller's contract.
        unsafe { self.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(arena) = Arena::current() {
            // SAFETY: the arena is current; the rest is the caller's contract.
            unsafe { arena.dealloc(block, layout) };
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match Arena::current() {
            // SAFETY: the arena is current; the rest is the caller's contract.
            Some(arena) => unsafe { arena.realloc(block, layout, size) },
            None => ptr::null_mut(),
        }
    }
}

#[cfg(target_os = "none")]
#[global_allocator]
static HEAP: LaneHeap = LaneHeap;
