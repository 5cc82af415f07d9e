use core::alloc::Layout;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::fake;

const BYTES: usize = 32 * 1024;

fn fresh(bytes: usize) -> Arena {
    // SAFETY: the fake made an arena there.
    unsafe { Arena::at(fake::arena(bytes)) }.unwrap()
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn contents<'a>(block: *mut u8, len: usize) -> &'a [u8] {
    // SAFETY: the tests ask only for blocks that were handed out with that length.
    unsafe { core::slice::from_raw_parts(block, len) }
}

fn fill(block: *mut u8, len: usize, byte: u8) {
    // SAFETY: as above.
    unsafe { block.write_bytes(byte, len) };
}

#[derive(Clone, Debug)]
enum Op {
    Alloc { size: usize, align_log: u32 },
    Free { which: usize },
    Resize { which: usize, size: usize },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (1..3000_usize, 0..8_u32).prop_map(|(size, align_log)| Op::Alloc { size, align_log }),
        2 => any::<usize>().prop_map(|which| Op::Free { which }),
        1 => (any::<usize>(), 1..3000_usize).prop_map(|(which, size)| Op::Resize { which, size }),
    ]
}

/// A live block and the byte that fills it.
#[derive(Clone, Copy)]
struct Live {
    block: *mut u8,
    layout: Layout,
    byte: u8,
}

impl Live {
    fn intact(&self) -> bool {
        contents(self.block, self.layout.size())
            .iter()
            .all(|&b| b == self.byte)
    }
}

fn run(arena: Arena, ops: &[Op]) -> Vec<Live> {
    let mut live: Vec<Live> = Vec::new();
    for (turn, op) in ops.iter().enumerate() {
        let byte = (turn % 255) as u8 + 1;
        match *op {
            Op::Alloc { size, align_log } => {
                let layout = layout(size, 1 << align_log);
                // SAFETY: nobody else uses the arena.
                let block = unsafe { arena.alloc(layout) };
                if !block.is_null() {
                    assert_eq!(block.addr() % layout.align(), 0);
                    assert!(contents(block, size).iter().all(|&b| b == 0), "not zeroed");
                    fill(block, size, byte);
                    live.push(Live {
                        block,
                        layout,
                        byte,
                    });
                }
            }
            Op::Free { which } if !live.is_empty() => {
                let gone = live.swap_remove(which % live.len());
                // SAFETY: the block is live.
                unsafe { arena.dealloc(gone.block, gone.layout) };
            }
            Op::Resize { which, size } if !live.is_empty() => {
                let at = which % live.len();
                let old = live[at];
                // SAFETY: the block is live.
                let block = unsafe { arena.realloc(old.block, old.layout, size) };
                if !block.is_null() {
                    let kept = old.layout.size().min(size);
                    assert!(contents(block, kept).iter().all(|&b| b == old.byte));
                    assert!(contents(block, size)[kept..].iter().all(|&b| b == 0));
                    fill(block, size, byte);
                    let layout = layout(size, old.layout.align());
                    live[at] = Live {
                        block,
                        layout,
                        byte,
                    };
                }
            }
            Op::Free { .. } | Op::Resize { .. } => {}
        }
        assert!(live.iter().all(Live::intact), "a block was overwritten");
    }
    live
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn blocks_are_zeroed_aligned_and_overlap_nothing(ops in prop::collection::vec(op(), 1..120)) {
        let arena = fresh(BYTES);
        let live = run(arena, &ops);
        for gone in &live {
            // SAFETY: the block is live.
            unsafe { arena.dealloc(gone.block, gone.layout) };
        }
        // All holes were joined and given up, and nothing at all is left in them.
        // SAFETY: nobody else uses the arena.
        let (next, first) = unsafe { ((*arena.header()).next, (*arena.header()).first) };
        prop_assert_eq!((next, first), (u32::try_from(size_of::<Header>()).unwrap(), holes::END));
        let after = contents(arena.start(), BYTES);
        prop_assert!(after[size_of::<Header>()..].iter().all(|&byte| byte == 0));
    }
}

#[test]
fn exhaustion_is_null_and_passes() {
    let arena = fresh(BYTES);
    let big = layout(1024, 16);
    let mut blocks = Vec::new();
    loop {
        // SAFETY: nobody else uses the arena.
        let block = unsafe { arena.alloc(big) };
        if block.is_null() {
            break;
        }
        blocks.push(block);
    }
    assert!(blocks.len() >= BYTES / 1024 - 2);
    // SAFETY: the block is live.
    unsafe { arena.dealloc(blocks[0], big) };
    // SAFETY: nobody else uses the arena.
    assert_eq!(unsafe { arena.alloc(big) }, blocks[0]);
    // SAFETY: as above.
    assert!(unsafe { arena.alloc(layout(isize::MAX.unsigned_abs() - 15, 16)) }.is_null());
}

#[test]
fn blocks_end_before_the_arena_does() {
    let mem = fake::memory(BYTES + 4096);
    // SAFETY: the memory is fresh.
    let arena = unsafe { Arena::init(mem, BYTES as u64) }.unwrap();
    // SAFETY: nobody else uses the arena.
    while let block = unsafe { arena.alloc(layout(16, 16)) }
        && !block.is_null()
    {
        fill(block, 16, 0xaa);
    }
    // SAFETY: the memory goes 4096 bytes on.
    let behind = unsafe { mem.add(BYTES) };
    assert!(contents(behind, 4096).iter().all(|&b| b == 0));
}

#[test]
fn a_block_of_another_arena_is_left_alone() {
    let (one, other) = (fresh(BYTES), fresh(BYTES));
    let l = layout(64, 16);
    // SAFETY: nobody else uses the arena.
    let block = unsafe { one.alloc(l) };
    fill(block, 64, 7);
    // SAFETY: the block is live.
    unsafe { other.dealloc(block, l) };
    assert!(contents(block, 64).iter().all(|&b| b == 7));
    // SAFETY: nobody else uses the arena.
    assert_ne!(unsafe { other.alloc(l) }, block);
    // SAFETY: the block is live.
    let moved = unsafe { other.realloc(block, l, 200) };
    assert!(contents(moved, 64).iter().all(|&b| b == 7));
    assert!(contents(block, 64).iter().all(|&b| b == 7));
}

#[test]
fn freed_memory_is_wiped() {
    let arena = fresh(BYTES);
    let l = layout(300, 1);
    // SAFETY: nobody else uses the arena.
    let block = unsafe { arena.alloc(l) };
    fill(block, 300, 0x5a);
    // SAFETY: the block is live.
    unsafe { arena.dealloc(block, l) };
    assert!(!fake::holds(arena.start(), BYTES, &[0x5a; 4]));
}

#[test]
fn high_water_never_falls() {
    let arena = fresh(BYTES);
    // SAFETY: no lane runs.
    let used = || unsafe { tl_rs_arena_used(arena.start()) };
    let before = used();
    assert_eq!(before, size_of::<Header>() as u64);
    let l = layout(1000, 16);
    // SAFETY: nobody else uses the arena.
    let block = unsafe { arena.alloc(l) };
    assert_eq!(used(), before + 1008);
    // SAFETY: the block is live.
    unsafe { arena.dealloc(block, l) };
    assert_eq!(used(), before + 1008);
}

#[test]
fn holes_are_used_again_and_joined() {
    let arena = fresh(BYTES);
    let l = layout(96, 16);
    // SAFETY: nobody else uses the arena.
    let blocks: Vec<_> = (0..4).map(|_| unsafe { arena.alloc(l) }).collect();
    // SAFETY: the block is live.
    unsafe { arena.dealloc(blocks[0], l) };
    // SAFETY: the block is live.
    unsafe { arena.dealloc(blocks[2], l) };
    // SAFETY: the block is live.
    unsafe { arena.dealloc(blocks[1], l) };
    // SAFETY: nobody else uses the arena.
    assert_eq!(unsafe { arena.alloc(layout(96 * 3, 16)) }, blocks[0]);
    // SAFETY: the block is live.
    unsafe { arena.dealloc(blocks[0], layout(96 * 3, 16)) };
    // SAFETY: nobody else uses the arena.
    let aligned = unsafe { arena.alloc(layout(16, 128)) };
    assert!((blocks[0]..blocks[3]).contains(&aligned));
    // SAFETY: nobody else uses the arena.
    let next = unsafe { arena.alloc(layout(16, 16)) };
    assert_eq!(next == blocks[0], aligned != blocks[0]);
}

#[test]
fn the_last_block_grows_and_shrinks_in_place() {
    let arena = fresh(BYTES);
    // SAFETY: nobody else uses the arena.
    let block = unsafe { arena.alloc(layout(32, 8)) };
    fill(block, 32, 7);
    // SAFETY: the block is live.
    assert_eq!(unsafe { arena.realloc(block, layout(32, 8), 1000) }, block);
    assert!(contents(block, 1000)[32..].iter().all(|&byte| byte == 0));
    // SAFETY: the block is live.
    assert_eq!(unsafe { arena.realloc(block, layout(1000, 8), 10) }, block);
    // SAFETY: nobody else uses the arena.
    let next = unsafe { arena.alloc(layout(16, 8)) };
    assert_eq!(next, block.wrapping_add(16));
    // SAFETY: the block is live.
    assert!(unsafe { arena.realloc(block, layout(10, 8), BYTES) }.is_null());
    assert!(
        contents(block, 10).iter().all(|&byte| byte == 7),
        "as it was"
    );
}

#[test]
fn memory_that_cannot_be_an_arena_is_refused() {
    let mem = fake::memory(BYTES);
    // SAFETY: the memory is fresh.
    unsafe {
        assert_eq!(tl_rs_arena_init(ptr::null_mut(), BYTES as u64), -EINVAL);
        assert_eq!(tl_rs_arena_init(mem.add(8), BYTES as u64 - 8), -EINVAL);
        assert_eq!(tl_rs_arena_init(mem, 100), -EINVAL);
        assert_eq!(tl_rs_arena_init(mem, u64::MAX), -EINVAL);
        assert_eq!(tl_rs_arena_used(ptr::null()), 0);
        assert_eq!(tl_rs_arena_used(mem), 0);
        assert!(Arena::at(mem).is_none());
    }
}

#[test]
fn a_root_is_found_by_its_kind_only_and_set_once() {
    let arena = fresh(BYTES);
    let (one, two) = (1_u64, 2_u64);
    // SAFETY: the roots outlive the reads, and `Config` is a `u64` in this test.
    unsafe {
        assert!(arena.root::<u64>(Kind::Config).is_none());
        arena.set_root(Kind::Config, &raw const one);
        arena.set_root(Kind::Flow, &raw const two);
        assert!(arena.root::<u64>(Kind::Flow).is_none());
        assert_eq!(*arena.root::<u64>(Kind::Config).unwrap().as_ptr(), 1);
    }
}
