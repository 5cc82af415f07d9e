//! Parsing a SPIFFE ID and walking its parts asks for no memory.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use tidelock_spiffe_core::{SpiffeId, SpiffeIdBuf, TrustDomain};

/// The system's allocator, counting what this thread asks for.
struct Counting;

thread_local! {
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.with(|asked| asked.set(asked.get() + 1));
        // SAFETY: the caller's contract is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: what comes back was the system allocator's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn asked(work: impl FnOnce()) -> usize {
    let before = ASKED.get();
    work();
    ASKED.get() - before
}

#[test]
fn parsing_an_id_allocates_nothing() {
    let longest = format!("spiffe://{}{}", "a".repeat(255), "/b".repeat(892));
    assert_eq!(longest.len(), 2048);
    for text in [
        "spiffe://example.org",
        "spiffe://example.org/ns/prod/sa/web",
        &longest,
        "spiffe://example.org/a//b",
        "SPIFFE://example.org",
        "spiffe://example.org/\u{e9}",
        "",
    ] {
        let count = asked(|| {
            let parsed = SpiffeId::parse(black_box(text));
            if let Ok(id) = black_box(parsed) {
                black_box((id.trust_domain(), id.path(), id.is_pathless()));
                black_box(id.ancestors().count());
            }
            let _ = black_box(TrustDomain::parse(text));
        });
        assert_eq!(count, 0, "{text}");
    }
    let owned = asked(|| drop(black_box(SpiffeIdBuf::parse("spiffe://example.org/a"))));
    assert_eq!(
        owned, 1,
        "the counter counts: an owned ID is one allocation"
    );
}
