mod refusals;

use core::mem::MaybeUninit;
use std::collections::VecDeque;
use std::format;
use std::string::String;
use std::vec::Vec;

use rcgen::CustomExtension;
use tidelock_datapath::{MAX_CHAIN_BYTES, MAX_CHAIN_CERTS};
use tidelock_kabi::{Bundle, List, Service};
use tidelock_policy::{Expr, ImageBuilder, Rule};
use tidelock_testkit::{KernelTls, Leaf, TestCa, VirtualClock};

use super::*;
use crate::arena::tl_rs_arena_used;
use crate::decide::Memo;
use crate::errno::{EACCES, ECONNREFUSED};
use crate::fake::world::{self, CLIENT, PORT, SERVER, TD};
use crate::fake::{arena, holds, lane};
use crate::ffi::{FLOW_ARENA, role, verdict};

const NOW: i64 = VirtualClock::START;

/// One end, driven as C drives it: an arena, a lane, one record at a time.
struct End {
    arena: *mut u8,
    /// When it works, in milliseconds since 1970.
    now_ms: i64,
    last: Step,
}

impl End {
    fn new(cfg: *const u8, identity: *const u8, role: u32, now: i64) -> Self {
        let new = FlowNew {
            memo: Memo::NONE,
            cfg,
            identity,
            service: 0,
            role,
            addr: world::addr([10, 0, 0, 2], PORT),
            client: crate::ffi::Addr::default(),
            now_ms: now * 1_000,
            process: core::ptr::null(),
            exe_sha256: core::ptr::null(),
        };
        let arena = arena(FLOW_ARENA);
        let mut out = MaybeUninit::uninit();
        // SAFETY: configuration and identity are never freed; the rest is live.
        lane(arena, || unsafe {
            tl_rs_flow_start(&raw const new, out.as_mut_ptr())
        });
        // SAFETY: it was written.
        let last = unsafe { out.assume_init() };
        Self {
            arena,
            now_ms: NOW * 1_000,
            last,
        }
    }

    fn feed(&mut self, record: &mut [u8]) {
        let mut out = MaybeUninit::uninit();
        let (rec, len) = (record.as_mut_ptr(), record.len() as u64);
        // SAFETY: the arena is current, the rest is live.
        lane(self.arena, || unsafe {
            tl_rs_flow_record(self.arena, self.now_ms, rec, len, out.as_mut_ptr())
        });
        // SAFETY: it was written.
        self.last = unsafe { out.assume_init() };
    }

    fn end(&mut self) {
        // SAFETY: the arena is current; what the last step pointed at is not used any more.
        lane(self.arena, || unsafe { tl_rs_flow_end(self.arena) });
    }

    /// What the last step sends, cut into records as C cuts what it receives.
    fn records(&self) -> Vec<Vec<u8>> {
        // SAFETY: the arena is alive and no step came since.
        let mut rest = unsafe { ffi::bytes(self.last.tx, self.last.tx_len) }.unwrap();
        let mut records = Vec::new();
        while let Some(header) = rest.first_chunk::<5>() {
            // SAFETY: the header is live.
            let body = unsafe { tl_rs_record_len(header) };
            let (record, after) = rest.split_at(5 + usize::try_from(body).unwrap());
            records.push(record.to_vec());
            rest = after;
        }
        assert!(rest.is_empty());
        records
    }

    fn peer(&self) -> &str {
        // SAFETY: the arena is alive.
        unsafe { self.last.peer_id.text() }.unwrap()
    }

    fn detail(&self) -> &str {
        std::str::from_utf8(&self.last.detail[..usize::try_from(self.last.detail_len).unwrap()])
            .unwrap()
    }

    fn reason(&self) -> Option<DenyReason> {
        DenyReason::from_number(self.last.reason)
    }

    fn used(&self) -> u64 {
        // SAFETY: the arena is alive.
        unsafe { tl_rs_arena_used(self.arena) }
    }
}

/// Carries records between two ends until neither has one for the other.
fn run(client: &mut End, server: &mut End) {
    let mut to_server: VecDeque<_> = client.records().into();
    let mut to_client: VecDeque<_> = server.records().into();
    for _ in 0..64 {
        if let Some(mut record) = to_server.pop_front() {
            if server.last.verdict == verdict::WANT_RECORD {
                server.feed(&mut record);
                to_client.extend(server.records());
            }
        } else if let Some(mut record) = to_client.pop_front() {
            if client.last.verdict == verdict::WANT_RECORD {
                client.feed(&mut record);
                to_server.extend(client.records());
            }
        } else {
            return;
        }
    }
    panic!("the ends do not settle");
}

struct World {
    ca: TestCa,
    cfg: *mut u8,
}

impl World {
    fn new() -> Self {
        let ca = TestCa::new(TD);
        let cfg = world::build_usual(&ca, &world::policy());
        Self { ca, cfg }
    }

    fn client(&self, id: &str) -> End {
        End::new(self.cfg, world::identity(&self.ca, id), role::CLIENT, NOW)
    }

    fn server(&self, id: &str) -> End {
        End::new(self.cfg, world::identity(&self.ca, id), role::SERVER, NOW)
    }
}

fn info(step: &Step) -> [Vec<u8>; 2] {
    let cut = |bytes: &[u8], len| bytes[..usize::try_from(len).unwrap()].to_vec();
    [
        cut(&step.tx_info, step.tx_info_len),
        cut(&step.rx_info, step.rx_info_len),
    ]
}

#[test]
fn two_ends_establish_name_each_other_and_share_secrets() {
    let world = World::new();
    let (mut client, mut server) = (world.client(CLIENT), world.server(SERVER));
    run(&mut client, &mut server);
    assert_eq!(
        client.last.verdict,
        verdict::ESTABLISHED,
        "{}",
        client.detail()
    );
    assert_eq!(
        server.last.verdict,
        verdict::ESTABLISHED,
        "{}",
        server.detail()
    );
    assert_eq!((client.peer(), server.peer()), (SERVER, CLIENT));
    assert_eq!(
        (client.detail(), server.detail()),
        ("allow web", "allow web")
    );
    assert_eq!(client.last.suite, server.last.suite);
    assert_eq!(client.last.records_max, 1 << 24);
    assert!(client.last.peer_serial_len > 0 && server.last.peer_serial_len > 0);
    for (from, to) in [(&client, &server), (&server, &client)] {
        let mut seal = KernelTls::new(&info(&from.last)[0]);
        let mut open = KernelTls::new(&info(&to.last)[1]);
        let record = seal.seal(23, b"the request");
        assert_eq!(open.open(&record), Some((23, b"the request".to_vec())));
    }
}

#[test]
fn an_arena_has_room_to_spare() {
    let world = World::new();
    let (mut client, mut server) = (world.client(CLIENT), world.server(SERVER));
    run(&mut client, &mut server);
    for end in [&client, &server] {
        std::println!("arena used: {}", end.used());
        assert!(end.used() < FLOW_ARENA as u64 / 2, "{}", end.used());
    }
}

/// A chain of the most certificates, together as long as is accepted: the leaf has the longest
/// SPIFFE ID, the others are padded.
fn longest_chain_ca() -> TestCa {
    let mut ca = TestCa::new(TD);
    for _ in 1..MAX_CHAIN_CERTS {
        // Leaf, and names and keys of the others, take less than 4,600 bytes.
        let padding = std::vec![4; (MAX_CHAIN_BYTES - 4600) / (MAX_CHAIN_CERTS - 1)];
        let extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 55555, 1], padding);
        ca.add_intermediate(|params| params.custom_extensions.push(extension));
    }
    ca
}

fn longest_id(name: &str) -> String {
    let id = format!("spiffe://{TD}/app/{name}/");
    let rest = "x".repeat(2048 - id.len());
    id + &rest
}

#[test]
fn an_arena_holds_the_longest_chains() {
    let ca = longest_chain_ca();
    let (client_id, server_id) = (longest_id("client"), longest_id("server"));
    let mut image = ImageBuilder::new();
    image.push(&Rule::permit("all")).unwrap();
    let (image, servers) = (image.build().unwrap(), [server_id.as_str()]);
    let authorities = [ca.authority()];
    let bundles = [Bundle {
        trust_domain: TD,
        authorities: List::of(&authorities),
    }];
    let service = Service {
        servers: List::of(&servers),
        ..world::web()
    };
    let cfg = world::build(world::config(&[], &[service], &bundles, &image)).unwrap();
    let mut client = End::new(cfg, world::identity(&ca, &client_id), role::CLIENT, NOW);
    let mut server = End::new(cfg, world::identity(&ca, &server_id), role::SERVER, NOW);
    run(&mut client, &mut server);
    for end in [&client, &server] {
        assert_eq!(end.last.verdict, verdict::ESTABLISHED, "{}", end.detail());
        std::println!("arena used on the longest chains: {}", end.used());
        assert!(end.used() < FLOW_ARENA as u64 * 3 / 4, "{}", end.used());
    }
}

#[test]
fn the_time_is_that_of_the_decision_not_of_the_first_step() {
    let closing = NOW * 1_000 + 1;
    let late = Expr::LessOrEqual(
        std::boxed::Box::new(Expr::Datetime(closing)),
        std::boxed::Box::new(Expr::Attribute("time".into())),
    );
    let mut image = ImageBuilder::new();
    image.push(&Rule::permit("all")).unwrap();
    image.push(&Rule::forbid("late").when(&late)).unwrap();
    let ca = TestCa::new(TD);
    let cfg = world::build_usual(&ca, &image.build().unwrap());
    for (now_ms, expected) in [
        (closing - 1, verdict::ESTABLISHED),
        (closing, verdict::FAILED),
    ] {
        let mut client = End::new(cfg, world::identity(&ca, CLIENT), role::CLIENT, NOW);
        let mut server = End::new(cfg, world::identity(&ca, SERVER), role::SERVER, NOW);
        server.now_ms = now_ms;
        run(&mut client, &mut server);
        assert_eq!(server.last.verdict, expected, "{}", server.detail());
    }
}

/// The longest message that a stranger may send, in as many records as it may.
#[test]
fn an_arena_holds_what_a_stranger_may_send() {
    let world = World::new();
    let identity = world::identity(&world.ca, SERVER);
    for size in [250, 600, 4000, 16384] {
        let mut server = End::new(world.cfg, identity, role::SERVER, NOW);
        // A ClientHello of 65,000 bytes, of which the extensions never end.
        let mut hello = std::vec![1, 0, 0xfd, 0xe8, 3, 3];
        hello.resize(65_004, 0);
        for piece in hello.chunks(size) {
            if server.last.verdict != verdict::WANT_RECORD {
                break;
            }
            let len = u16::try_from(piece.len()).unwrap().to_be_bytes();
            let mut record = [&[22, 3, 1][..], &len, piece].concat();
            server.feed(&mut record);
        }
        assert_eq!(server.last.verdict, verdict::FAILED);
        std::println!("arena used by a stranger, {size}: {}", server.used());
        assert!(
            server.used() < FLOW_ARENA as u64 * 3 / 4,
            "{size}: {}",
            server.used()
        );
    }
}

#[test]
fn no_traffic_secret_stays_in_the_arena() {
    let world = World::new();
    let (mut client, mut server) = (world.client(CLIENT), world.server(SERVER));
    run(&mut client, &mut server);
    for end in [&mut client, &mut server] {
        end.end();
        for info in info(&end.last) {
            // Behind version, cipher and iv comes the key, 16 bytes or more in every suite.
            let key = &info[12..28];
            assert!(!holds(end.arena, FLOW_ARENA, key), "a key is left");
        }
    }
}

#[test]
fn without_a_current_svid_nothing_begins() {
    let world = World::new();
    let (bare, _) = world::key(CLIENT).unwrap();
    let (_, another_csr) = world::key(CLIENT).unwrap();
    let another = world.ca.sign(&another_csr, Leaf::for_id(CLIENT));
    world::install(bare, &another).unwrap_err();
    let end = End::new(world.cfg, bare, role::CLIENT, NOW);
    assert_eq!(
        (end.last.verdict, end.reason()),
        (verdict::FAILED, Some(DenyReason::NoSvid))
    );
    let short = world::identity_with(&world.ca, CLIENT, Leaf::for_id(CLIENT).valid(-10, 10));
    let end = End::new(world.cfg, short, role::CLIENT, NOW + 11);
    assert_eq!(
        (end.reason(), end.last.tx_len),
        (Some(DenyReason::SvidExpired), 0)
    );
}

#[test]
fn what_is_not_tls_is_a_protocol_failure() {
    let world = World::new();
    let mut plain = *b"HTTP/1.1 200 OK\r\n";
    let mut client = world.client(CLIENT);
    client.feed(&mut plain);
    assert_eq!(
        (client.reason(), client.last.err),
        (Some(DenyReason::Protocol), EACCES)
    );
    // SAFETY: the array is live.
    let len = unsafe { tl_rs_record_len(b"HTTP/") };
    assert_eq!(len, -EPROTO);
    let mut server = world.server(SERVER);
    server.feed(&mut [22, 3, 1, 0, 5, 1]);
    assert_eq!(server.reason(), Some(DenyReason::Protocol), "half a record");
}

#[test]
fn every_mutation_of_a_record_fails_closed() {
    let world = World::new();
    let hello = world.client(CLIENT).records().remove(0);
    let identity = world::identity(&world.ca, SERVER);
    for at in (0..hello.len()).step_by(7) {
        let mut record = hello.clone();
        record[at] ^= 0x41;
        let mut server = End::new(world.cfg, identity, role::SERVER, NOW);
        server.feed(&mut record);
        assert_ne!(server.last.verdict, verdict::ESTABLISHED);
        server.end();
    }
}

#[test]
fn a_flow_that_is_over_stays_over() {
    let world = World::new();
    let mut client = world.client(CLIENT);
    client.end();
    client.end();
    client.feed(&mut [22, 3, 3, 0, 1, 0]);
    assert_eq!(
        (client.last.verdict, client.reason()),
        (verdict::FAILED, Some(DenyReason::Internal))
    );
}

#[test]
fn what_c_cannot_mean_fails() {
    let world = World::new();
    let identity = world::identity(&world.ca, CLIENT);
    for (cfg, identity, role) in [
        (core::ptr::null(), identity.cast_const(), role::CLIENT),
        (world.cfg.cast_const(), core::ptr::null(), role::CLIENT),
        (identity, world.cfg, role::CLIENT),
        (world.cfg, identity, 2),
    ] {
        let end = End::new(cfg, identity, role, NOW);
        assert_eq!(
            (end.last.verdict, end.reason()),
            (verdict::FAILED, Some(DenyReason::Internal))
        );
    }
}

#[test]
fn an_identity_can_be_shared_and_outlives_its_flows() {
    let world = World::new();
    let identity = world::identity(&world.ca, CLIENT);
    let mut ends: Vec<End> = (0..4)
        .map(|_| End::new(world.cfg, identity, role::CLIENT, NOW))
        .collect();
    ends.iter_mut().for_each(End::end);
    let mut client = End::new(world.cfg, identity, role::CLIENT, NOW);
    let mut server = world.server(SERVER);
    run(&mut client, &mut server);
    assert_eq!(
        client.last.verdict,
        verdict::ESTABLISHED,
        "{}",
        client.detail()
    );
}

#[test]
fn a_client_of_a_server_outside_says_its_name_and_shows_nothing() {
    let ca = TestCa::new(TD);
    let identity = world::identity(&ca, CLIENT);
    let cfg = world::build_external(&ca, &world::policy(), Some("api.bank.example"));
    let client = End::new(cfg, identity, role::CLIENT, NOW);
    assert_eq!(
        client.last.verdict,
        verdict::WANT_RECORD,
        "{}",
        client.detail()
    );
    let hello = client.records().concat();
    let says = |what: &[u8]| hello.windows(what.len()).any(|window| window == what);
    assert!(says(b"api.bank.example"));
    assert!(!says(b"tidelock/1") && !says(b"spiffe"));
}

#[test]
fn nobody_is_outside_without_a_name_nor_as_a_server() {
    let ca = TestCa::new(TD);
    let identity = world::identity(&ca, CLIENT);
    let cfg = world::build_external(&ca, &world::policy(), None);
    let client = End::new(cfg, identity, role::CLIENT, NOW);
    assert_eq!(client.last.verdict, verdict::FAILED);
    assert_eq!(client.last.reason, DenyReason::Internal.number());
}
