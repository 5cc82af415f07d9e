//! C's half of the contract, for tests on the host: arenas, lanes, randomness.
//!
//! Memory of arenas comes from one region, so that the test allocator can tell an arena's block
//! from the host's, also when a test drops something of an arena off its lane.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::alloc::System;
use std::thread_local;

use crate::arena::{Arena, tl_rs_arena_init};

const REGION_BYTES: usize = 1 << 30;

static REGION: AtomicUsize = AtomicUsize::new(0);
static USED: AtomicUsize = AtomicUsize::new(0);
static RANDOM: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static CURRENT: Cell<*mut u8> = const { Cell::new(ptr::null_mut()) };
}

/// The inode number that the fake gives the initial network namespace.
pub(crate) const INIT_NET: u32 = 4_026_531_840;

/// The release of the kernel that the fake is.
pub(crate) const RELEASE: &str = "6.12.0-fake";

/// Memory that C would lend: zeroed, never returned.
pub(crate) fn memory(bytes: usize) -> *mut u8 {
    let mut region = REGION.load(Ordering::Acquire);
    if region == 0 {
        let layout = Layout::from_size_align(REGION_BYTES, 4096).unwrap();
        // SAFETY: the layout is not empty.
        let fresh = unsafe { System.alloc_zeroed(layout) };
        assert!(!fresh.is_null());
        let fresh = fresh.expose_provenance();
        region = match REGION.compare_exchange(0, fresh, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => fresh,
            Err(first) => first,
        };
    }
    let at = USED.fetch_add(bytes.next_multiple_of(4096), Ordering::Relaxed);
    assert!(at + bytes <= REGION_BYTES, "the test region is used up");
    ptr::with_exposed_provenance_mut(region + at)
}

/// A fresh arena, as C would make it.
pub(crate) fn arena(bytes: usize) -> *mut u8 {
    let mem = memory(bytes);
    // SAFETY: fresh zeroed memory of that size.
    assert_eq!(unsafe { tl_rs_arena_init(mem, bytes as u64) }, 0);
    mem
}

/// Runs a job as a lane would: with `arena` current.
pub(crate) fn lane<T>(arena: *mut u8, job: impl FnOnce() -> T) -> T {
    struct Restore(*mut u8);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(arena));
    job()
}

/// Whether `needle` occurs anywhere in an arena's memory.
pub(crate) fn holds(arena: *mut u8, bytes: usize, needle: &[u8]) -> bool {
    // SAFETY: the arena is that long, and no lane runs on it.
    let memory = unsafe { core::slice::from_raw_parts(arena, bytes) };
    memory.windows(needle.len()).any(|window| window == needle)
}

fn in_region(block: *mut u8) -> bool {
    let region = REGION.load(Ordering::Acquire);
    region != 0 && (region..region + REGION_BYTES).contains(&block.addr())
}

struct TestHeap;

// SAFETY: hands out blocks of the current arena or the host's, and returns each to where it is from.
unsafe impl GlobalAlloc for TestHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: what `CURRENT` holds is null or an arena.
        match unsafe { Arena::at(CURRENT.get()) } {
            // SAFETY: the arena is this thread's current one.
            Some(arena) => unsafe { arena.alloc(layout) },
            // SAFETY: the caller's contract.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !in_region(block) {
            // SAFETY: a block outside the region is the host's.
            return unsafe { System.dealloc(block, layout) };
        }
        // SAFETY: what `CURRENT` holds is null or an arena.
        if let Some(arena) = unsafe { Arena::at(CURRENT.get()) } {
            // SAFETY: the arena is this thread's current one.
            unsafe { arena.dealloc(block, layout) };
        }
    }
}

#[global_allocator]
static HEAP: TestHeap = TestHeap;

#[unsafe(no_mangle)]
extern "C" fn tl_c_arena() -> *mut u8 {
    CURRENT.get()
}

#[unsafe(no_mangle)]
extern "C" fn tl_c_init_net() -> u32 {
    INIT_NET
}

#[unsafe(no_mangle)]
extern "C" fn tl_c_release() -> crate::ffi::Str {
    crate::ffi::Str::of(RELEASE.as_bytes())
}

/// Distinct and repeatable, nothing more (splitmix64).
#[unsafe(no_mangle)]
unsafe extern "C" fn tl_c_random(buf: *mut u8, len: u64) {
    for at in 0..usize::try_from(len).unwrap() {
        let mut z = RANDOM.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // SAFETY: `buf` has `len` bytes.
        let slot = unsafe { buf.add(at) };
        // SAFETY: as above.
        unsafe { slot.write((z ^ (z >> 31)) as u8) };
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn tl_c_panic(_msg: *const u8, _len: u64) {
    std::process::abort();
}

pub(crate) mod world;
