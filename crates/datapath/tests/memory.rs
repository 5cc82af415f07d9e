//! What one end of a handshake takes: heap, counted by the allocator, and stack, counted in touched
//! pages.
//!
//! The kernel gives each flow an arena of 128 KiB and runs each step on a stack of 64 KiB, of which
//! half is the budget. Each end runs in its own thread over a socket pair, so that nothing
//! allocated in one is freed in the other.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;

use rcgen::CustomExtension;
use support::Setup;
use tidelock_datapath::{
    Answer, Authorize, Engine, Identity, MAX_CHAIN_BYTES, MAX_CHAIN_CERTS, MAX_RECORD_BYTES,
    Output, Params, Peer, Role, TrustStore, record_body_len,
};
use tidelock_testkit::{Leaf, SeededEntropy, TestCa, VirtualClock, identity_without_svid, install};

/// The arena of a flow (`TL_FLOW_ARENA`). Its size classes may round blocks up by a half.
const ARENA_BYTES: usize = 128 * 1024;
/// Half of the private stack.
const STACK_BUDGET_BYTES: usize = 32 * 1024;

/// Starting points within a page, and the distance between them.
const ALIGNMENTS: usize = 8;
const FRAME_BYTES: usize = 4096 / ALIGNMENTS;

const CLIENT: &str = "spiffe://example.org/client";
const SERVER: &str = "spiffe://example.org/server";

struct Counting;

/// Allows everyone and remembers nothing.
struct Yes;

impl Authorize for Yes {
    fn authorize(&self, _role: Role, _peer: &Peer) -> Answer {
        Answer::Allow { detail: "".into() }
    }
}

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

fn grew(bytes: usize) {
    let live = LIVE.get().wrapping_add(bytes);
    LIVE.set(live);
    PEAK.set(PEAK.get().max(live));
    LARGEST.set(LARGEST.get().max(bytes));
}

// SAFETY: the system's allocator does the work; counting touches const-initialised thread locals
// only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grew(layout.size());
        // SAFETY: the caller's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get().wrapping_sub(layout.size()));
        // SAFETY: the caller's contract.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What one end took, in bytes.
#[derive(Clone, Copy)]
struct Taken {
    heap_peak: usize,
    heap_left: usize,
    largest_block: usize,
    stack: usize,
}

/// Runs one engine over `stream` and counts.
fn measure(
    role: Role,
    identity: &Identity,
    trust: &Arc<TrustStore>,
    mut stream: &UnixStream,
) -> Taken {
    // Kept here, so that the engine's own reference is not the last.
    let authorize = Arc::new(Yes);
    let params = Params {
        identity,
        trust: Arc::clone(trust),
        authorize: authorize.clone(),
        deadline: None,
    };
    let mut record = Box::new([0; MAX_RECORD_BYTES]);
    let mark = 0u8;
    let depth = stack_end(&mark) - std::ptr::from_ref(&mark).addr();
    LIVE.set(0);
    PEAK.set(0);
    LARGEST.set(0);
    let now = VirtualClock::new().now();
    let mut engine = match role {
        Role::Client => Engine::client::<SeededEntropy>(now, params),
        Role::Server => Engine::server::<SeededEntropy>(now, params),
    };
    let established = loop {
        match engine.poll() {
            Some(Output::Send(bytes)) => stream.write_all(&bytes).expect("the peer reads"),
            Some(Output::Established(end)) => break end,
            Some(Output::Failed(why)) => panic!("{role:?}: {why}"),
            None => {
                let (header, body) = record.split_first_chunk_mut::<5>().expect("room");
                stream.read_exact(header).expect("a header");
                let len = record_body_len(*header).expect("a record");
                stream.read_exact(&mut body[..len]).expect("a body");
                engine
                    .handle(now, &mut record[..5 + len])
                    .expect("one record");
            }
        }
    };
    drop(established);
    drop(engine);
    let (heap_peak, heap_left, largest_block) = (PEAK.get(), LIVE.get(), LARGEST.get());
    Taken {
        heap_peak,
        heap_left,
        largest_block,
        stack: stack_resident(&mark) - depth,
    }
}

/// Calls `run` from `frames` frames of [`FRAME_BYTES`] further down.
fn below(frames: usize, run: &mut dyn FnMut() -> Taken) -> Taken {
    if frames == 0 {
        return run();
    }
    let pad = std::hint::black_box([0u8; FRAME_BYTES]);
    let taken = below(frames - 1, run);
    std::hint::black_box(pad);
    taken
}

/// The mapping that holds `mark`, from /proc/self/smaps: its end and its resident bytes.
fn mapping(mark: &u8) -> (usize, usize) {
    let at = std::ptr::from_ref(mark).addr();
    let smaps = std::fs::read_to_string("/proc/self/smaps").expect("Linux");
    let mut end = None;
    for line in smaps.lines() {
        let range = line
            .split_whitespace()
            .next()
            .and_then(|range| range.split_once('-'));
        if let Some((from, to)) = range
            && let (Ok(from), Ok(to)) = (
                usize::from_str_radix(from, 16),
                usize::from_str_radix(to, 16),
            )
        {
            end = (from..to).contains(&at).then_some(to);
        }
        if let (Some(end), Some(rss)) = (end, line.strip_prefix("Rss:")) {
            let kib: usize = rss
                .trim()
                .trim_end_matches(" kB")
                .parse()
                .expect("a number");
            return (end, kib * 1024);
        }
    }
    panic!("no mapping holds {at:#x}")
}

fn stack_end(mark: &u8) -> usize {
    mapping(mark).0
}

fn stack_resident(mark: &u8) -> usize {
    mapping(mark).1
}

/// The longest chain that is accepted: every certificate padded to nearly a share of the bound.
fn longest_chain_ca() -> TestCa {
    let mut ca = TestCa::new("example.org");
    for _ in 0..MAX_CHAIN_CERTS - 1 {
        ca.add_intermediate(|params| params.custom_extensions.push(padding()));
    }
    ca
}

fn padding() -> CustomExtension {
    // Names, key, signature and the other extensions take less than 600 bytes.
    CustomExtension::from_oid_content(
        &[1, 3, 6, 1, 4, 1, 55555, 1],
        vec![4; MAX_CHAIN_BYTES / MAX_CHAIN_CERTS - 600],
    )
}

fn padded(leaf: Leaf) -> Leaf {
    leaf.with(|params| params.custom_extensions.push(padding()))
}

fn padded_identity(ca: &TestCa, id: &str) -> Identity {
    let mut identity = identity_without_svid(id);
    let leaf = padded(Leaf::for_id(id));
    let chain = ca.sign(&identity.csr().expect("a request"), leaf);
    install(&mut identity, &chain);
    identity
}

fn two_engines(frames: usize, make: impl Fn(&str) -> Identity, ca: &TestCa) -> [Taken; 2] {
    let (client, server) = (make(CLIENT), make(SERVER));
    let trust = Arc::new(ca.trust());
    let (near, far) = UnixStream::pair().expect("a socket pair");
    thread::scope(|scope| {
        let ends = [(Role::Client, &client, near), (Role::Server, &server, far)].map(
            |(role, identity, stream)| {
                let trust = Arc::clone(&trust);
                let run = move || below(frames, &mut || measure(role, identity, &trust, &stream));
                thread::Builder::new()
                    .stack_size(512 * 1024)
                    .spawn_scoped(scope, run)
                    .expect("a thread")
            },
        );
        ends.map(|end| end.join().expect("no panic"))
    })
}

/// Our engine against a peer that sends the longest chain in records of a fragment of it each.
fn against_fragments(frames: usize, role: Role, ca: &TestCa) -> Taken {
    let identity = padded_identity(ca, if role == Role::Client { CLIENT } else { SERVER });
    let setup = Setup {
        fragment: Some(600),
        leaf: padded,
        ..Setup::default()
    };
    let mut peer = match role {
        Role::Client => setup.server(ca, SERVER),
        Role::Server => setup.client(ca, CLIENT),
    };
    let trust = Arc::new(ca.trust());
    let (near, mut far) = UnixStream::pair().expect("a socket pair");
    thread::scope(|scope| {
        let run = || below(frames, &mut || measure(role, &identity, &trust, &near));
        let end = thread::Builder::new()
            .stack_size(512 * 1024)
            .spawn_scoped(scope, run)
            .expect("a thread");
        while peer.is_handshaking() {
            // The other end may be gone before the peer has sent its tickets.
            if peer.complete_io(&mut far).is_err() {
                break;
            }
        }
        end.join().expect("no panic")
    })
}

/// Runs `run` at each of eight alignments to the page and checks the whole: of the heap the most
/// counts; of the stack, which is seen in whole pages, the least.
fn assert_within(what: &str, run: impl Fn(usize) -> Taken) {
    let all: Vec<Taken> = (0..ALIGNMENTS).map(run).collect();
    let most = |of: fn(&Taken) -> usize| all.iter().map(of).max().expect("some runs");
    let stack = all
        .iter()
        .map(|taken| taken.stack)
        .min()
        .expect("some runs");
    let (heap, block) = (
        most(|taken| taken.heap_peak),
        most(|taken| taken.largest_block),
    );
    println!("{what}: heap {heap}, largest block {block}, stack {stack}");
    assert_eq!(
        most(|taken| taken.heap_left),
        0,
        "{what}: everything is given back"
    );
    assert!(heap * 3 / 2 <= ARENA_BYTES, "{what}: heap {heap}");
    // Without optimisation frames are several times larger than in the kernel.
    if cfg!(not(debug_assertions)) {
        assert!(stack <= STACK_BUDGET_BYTES, "{what}: stack {stack}");
    }
}

fn assert_ends_within(what: &str, run: impl Fn(usize) -> [Taken; 2]) {
    assert_within(&format!("client, {what}"), |frames| run(frames)[0]);
    assert_within(&format!("server, {what}"), |frames| run(frames)[1]);
}

#[test]
fn a_handshake_stays_within_arena_and_stack() {
    let ca = TestCa::new("example.org");
    assert_ends_within("one certificate", |frames| {
        two_engines(frames, |id| ca.identity(id), &ca)
    });
}

#[test]
fn the_longest_chain_stays_within_arena_and_stack() {
    let ca = longest_chain_ca();
    let run = |frames| two_engines(frames, |id| padded_identity(&ca, id), &ca);
    assert_ends_within("longest chains", run);
}

#[test]
fn the_longest_chain_in_fragments_stays_within_arena_and_stack() {
    let ca = longest_chain_ca();
    let run =
        |frames| [Role::Client, Role::Server].map(|role| against_fragments(frames, role, &ca));
    assert_ends_within("fragments", run);
}
