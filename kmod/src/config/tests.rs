use core::net::{IpAddr, Ipv6Addr};
use core::ptr;
use std::format;
use std::string::String;
use std::vec::Vec;

use tidelock_kabi::{Bundle, Cidr, External, List, PrefilterEntry, Serial, Service, ToKernel};
use tidelock_testkit::TestCa;

use super::*;
use crate::arena::tl_rs_arena_used;
use crate::errno::EBADMSG;
use crate::fake::INIT_NET;
use crate::fake::world::{self, PORT, SERVER, TD, addr, v4, web};

fn services(services: &[Service<'_>]) -> *mut u8 {
    world::build(world::config(&[], services, &[], &[])).unwrap()
}

fn service_at(cfg: *const u8, addr: &Addr) -> i32 {
    // SAFETY: the arena and the address are alive.
    unsafe { tl_rs_service(cfg, addr) }
}

fn v6(ip: &str, port: u16) -> Addr {
    Addr {
        ip: ip.parse::<Ipv6Addr>().unwrap().octets(),
        port,
        pad: 0,
        netns: 0,
    }
}

#[test]
fn an_address_belongs_to_the_service_with_the_longest_prefix() {
    let cfg = services(&[
        Service {
            name: "net",
            cidr: v4([10, 0, 0, 0], 8),
            ..web()
        },
        Service {
            name: "other",
            port: 9,
            ..web()
        },
        Service {
            name: "host",
            cidr: v4([10, 1, 2, 3], 32),
            ..web()
        },
        Service {
            name: "six",
            cidr: Cidr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 128).unwrap(),
            ..web()
        },
    ]);
    assert_eq!(service_at(cfg, &addr([10, 9, 9, 9], PORT)), 0);
    assert_eq!(service_at(cfg, &addr([10, 1, 2, 3], PORT)), 2);
    assert_eq!(service_at(cfg, &addr([10, 0, 0, 2], 9)), 1);
    assert_eq!(service_at(cfg, &v6("::1", PORT)), 3);
    for outside in [
        addr([11, 0, 0, 1], PORT),
        addr([10, 0, 0, 2], 10),
        v6("::2", PORT),
    ] {
        assert_eq!(service_at(cfg, &outside), -1);
    }
}

#[test]
fn a_wildcard_listener_belongs_to_the_first_service_of_its_port() {
    let cfg = services(&[Service { port: 9, ..web() }, web(), web()]);
    assert_eq!(service_at(cfg, &addr([0, 0, 0, 0], PORT)), 1);
    assert_eq!(service_at(cfg, &v6("::", PORT)), 1);
    assert_eq!(service_at(cfg, &v6("::", 10)), -1);
}

#[test]
fn a_service_is_of_one_network_namespace() {
    let cfg = services(&[
        web(),
        Service {
            netns: Some(7),
            ..web()
        },
        Service {
            netns: Some(INIT_NET),
            port: 9,
            ..web()
        },
    ]);
    let at = |port, netns| {
        service_at(
            cfg,
            &Addr {
                netns,
                ..addr([10, 0, 0, 2], port)
            },
        )
    };
    assert_eq!(at(PORT, 0), 0);
    assert_eq!(at(PORT, 7), 1);
    assert_eq!(at(PORT, 8), -1);
    assert_eq!(at(9, 0), 2, "the initial one may also be named");
}

#[test]
fn a_service_has_a_name_as_long_as_its_configuration() {
    let cfg = services(&[web()]);
    // SAFETY: the arena is alive.
    let name = |number| unsafe { tl_rs_service_name(cfg, number).bytes() };
    assert_eq!(name(0), b"web");
    for number in [-1, 1, i32::MAX, i32::MIN] {
        assert_eq!(name(number), b"");
    }
}

fn governs(cfg: *const u8, exe: &str, uid: u32, flags: u32) -> bool {
    let ev = Evidence {
        uid,
        flags,
        exe: Str::of(exe.as_bytes()),
        ..crate::records::tests::EVIDENCE
    };
    // SAFETY: the arena and the evidence are alive.
    unsafe { tl_rs_prefilter(cfg, &raw const ev) }
}

#[test]
fn the_prefilter_governs_by_path_uid_or_both() {
    let entry = |exe, uid| PrefilterEntry { exe, uid };
    let entries = [
        entry(Some("/usr/bin/curl"), Some(1000)),
        entry(Some("/usr/bin/python3"), None),
        entry(None, Some(33)),
        entry(Some("/usr/bin/curl"), Some(1001)),
        entry(None, Some(5)),
    ];
    let cfg = world::build(world::config(&entries, &[], &[], &[])).unwrap();
    for (exe, uid, governed) in [
        ("/usr/bin/curl", 1000, true),
        ("/usr/bin/curl", 1001, true),
        ("/usr/bin/curl", 1002, false),
        ("/usr/bin/python3", 0, true),
        ("/usr/bin/python3.11", 0, false),
        ("/usr/bin/python", 0, false),
        ("/bin/sh", 33, true),
        ("", 5, true),
        ("", 6, false),
        ("/bin/sh", 34, false),
    ] {
        assert_eq!(
            governs(cfg, exe, uid, ffi::EV_HOST_MNT),
            governed,
            "{exe} {uid}"
        );
    }
}

#[test]
fn a_path_counts_only_in_the_host_mount_namespace() {
    let entries = [
        PrefilterEntry {
            exe: Some("/usr/bin/curl"),
            uid: None,
        },
        PrefilterEntry {
            exe: None,
            uid: Some(33),
        },
    ];
    let cfg = world::build(world::config(&entries, &[], &[], &[])).unwrap();
    assert!(governs(cfg, "/usr/bin/curl", 0, ffi::EV_HOST_MNT));
    assert!(!governs(cfg, "/usr/bin/curl", 0, 0));
    assert!(governs(cfg, "/usr/bin/curl", 33, 0));
}

#[test]
fn without_a_configuration_nothing_is_governed_and_nothing_breaks() {
    let empty = crate::fake::arena(4096);
    for cfg in [ptr::null(), empty.cast_const()] {
        assert!(!governs(cfg, "/usr/bin/curl", 0, ffi::EV_HOST_MNT));
        assert_eq!(service_at(cfg, &addr([10, 0, 0, 2], PORT)), -1);
        let mut limits = Limits {
            grant_wait_ms: 9,
            ..Limits::default()
        };
        // SAFETY: `cfg` is null or an arena.
        unsafe {
            tl_rs_config_limits(cfg, &raw mut limits);
            assert_eq!(tl_rs_service_name(cfg, 0).bytes(), b"");
        }
        assert_eq!(limits, Limits::default());
    }
}

#[test]
fn limits_are_those_of_the_record() {
    let cfg = services(&[web(), web()]);
    let mut limits = Limits::default();
    // SAFETY: the arena is alive.
    unsafe { tl_rs_config_limits(cfg, &raw mut limits) };
    assert_eq!(
        limits.grant_wait_ms,
        tidelock_kabi::Limits::default().grant_wait_ms
    );
    assert_eq!((limits.n_prefilter, limits.n_services), (0, 2));
}

/// What a record ends in that says nothing of the node: no name, and no time.
const NO_POSTURE: usize = 4 + 8;
/// Four counts of an empty section.
const NO_EXTERNALS: usize = 4 * 4;
/// Two of another.
const NO_SYSTEM_ROOTS: usize = 2 * 4;

/// What a refused configuration says, and what is at that place of the record, up to its last part.
fn refused(config: Config<'_>) -> (RefusedReason, Vec<u8>) {
    let record = ToKernel::Config(config).to_vec(2).unwrap();
    let refusal = world::build_body(&record[HEADER_BYTES..]).unwrap_err();
    assert_eq!(refusal.errno, -EBADMSG);
    let why = RefusedReason::from_number(refusal.why).unwrap();
    let end = record.len() - NO_EXTERNALS - NO_SYSTEM_ROOTS - NO_POSTURE;
    (
        why,
        record[usize::try_from(refusal.at).unwrap()..end].to_vec(),
    )
}

#[test]
fn a_malformed_policy_refuses_the_whole() {
    let (why, at) = refused(world::config(&[], &[web()], &[], b"not an image"));
    assert_eq!(why, RefusedReason::BadPolicy);
    assert_eq!(at, b"not an image");
    let usual = world::policy();
    let (why, at) = refused(Config {
        observed: b"nor this",
        ..world::config(&[], &[web()], &[], &usual)
    });
    assert_eq!((why, &at[..]), (RefusedReason::BadPolicy, &b"nor this"[..]));
}

#[test]
fn a_bad_authority_refuses_the_whole_and_is_pointed_at() {
    let ca = TestCa::new(TD);
    let authorities = [ca.authority(), b"not a certificate"];
    let bundles = [Bundle {
        trust_domain: TD,
        authorities: List::of(&authorities),
    }];
    let (why, at) = refused(world::config(&[], &[], &bundles, &[]));
    assert_eq!(why, RefusedReason::BadChain);
    assert_eq!(at, b"not a certificate");
}

#[test]
fn a_bad_root_of_a_server_outside_refuses_the_whole() {
    let roots = [&b"not a root"[..]];
    let externals = [External {
        service: "web",
        server_name: "api.bank.example",
        roots: List::of(&roots),
    }];
    let externals = List::of(&externals);
    let record = ToKernel::Config(Config {
        externals,
        ..world::config(&[], &[], &[], &[])
    });
    let record = record.to_vec(2).unwrap();
    let refusal = world::build_body(&record[HEADER_BYTES..]).unwrap_err();
    assert_eq!(refusal.why, RefusedReason::BadChain.number());
    let at = usize::try_from(refusal.at).unwrap();
    let end = record.len() - NO_SYSTEM_ROOTS - NO_POSTURE;
    assert_eq!(record[at..end], *b"not a root");
    let record = ToKernel::Config(Config {
        system_roots: List::of(&roots),
        ..world::config(&[], &[], &[], &[])
    });
    let record = record.to_vec(2).unwrap();
    let refusal = world::build_body(&record[HEADER_BYTES..]).unwrap_err();
    assert_eq!(refusal.why, RefusedReason::BadChain.number());
    let at = usize::try_from(refusal.at).unwrap();
    assert_eq!(record[at..record.len() - NO_POSTURE], *b"not a root");
}

#[test]
fn a_body_that_does_not_parse_is_refused() {
    for body in [&[][..], &[0; 7], &[1; 64]] {
        assert!(world::build_body(body).is_err());
    }
}

/// The greatest lists, with the least bytes in each row: the most bookkeeping per byte of record.
#[test]
fn the_arena_asked_for_is_enough_for_the_longest_lists() {
    let names: Vec<String> = (0..1024).map(|n| format!("{n:x}")).collect();
    let prefilter: Vec<_> = names
        .iter()
        .map(|exe| PrefilterEntry {
            exe: Some(exe),
            uid: None,
        })
        .collect();
    let services: Vec<_> = names
        .iter()
        .map(|name| Service {
            name,
            servers: List::of(&[]),
            ..web()
        })
        .collect();
    let externals: Vec<_> = names
        .iter()
        .map(|name| External {
            service: name,
            server_name: "a",
            roots: List::default(),
        })
        .collect();
    let externals = List::of(&externals);
    let config = world::config(&prefilter, &services, &[], &[]);
    let cfg = world::build(Config {
        externals,
        ..config
    })
    .unwrap();
    assert!(governs(cfg, "3ff", 0, ffi::EV_HOST_MNT));
}

/// The most and the shortest authorities that one record holds.
#[test]
fn the_arena_asked_for_is_enough_for_many_authorities() {
    let ca = TestCa::with_root(TD, |params| params.subject_alt_names.clear());
    let authorities = [ca.authority(); 16];
    let names: Vec<String> = (0..64).map(|n| format!("d{n}")).collect();
    let bundles: Vec<_> = names
        .iter()
        .map(|name| Bundle {
            trust_domain: name,
            authorities: List::of(&authorities),
        })
        .collect();
    let roots = [ca.authority(); 256];
    let external = External {
        service: "web",
        server_name: "a",
        roots: List::of(&roots),
    };
    let externals = [external; 4];
    let externals = List::of(&externals);
    let services = [web()];
    let config = world::config(&[], &services, &bundles, &[]);
    let cfg = world::build(Config {
        externals,
        ..config
    })
    .unwrap();
    // SAFETY: the arena is alive.
    let used = unsafe { tl_rs_arena_used(cfg) };
    let all = 16 * bundles.len() + roots.len() * externals.len();
    let body = all * ca.authority().len() + 100 * bundles.len();
    assert!(
        used < tl_rs_config_bytes(body as u64),
        "{used} bytes for about {body}"
    );
}

/// However many servers they vouch for.
#[test]
fn the_systems_roots_are_kept_once() {
    let ca = TestCa::with_root(TD, |params| params.subject_alt_names.clear());
    let roots = [ca.authority(); 256];
    let services = [web()];
    let used = |count: usize| {
        let external = External {
            service: "web",
            server_name: "a",
            roots: List::default(),
        };
        let externals = std::vec![external; count];
        let config = Config {
            externals: List::of(&externals),
            system_roots: List::of(&roots),
            ..world::config(&[], &services, &[], &[])
        };
        let record = ToKernel::Config(config).to_vec(2).unwrap();
        let cfg = world::build_body(&record[HEADER_BYTES..]).unwrap();
        // SAFETY: the arena is alive.
        (unsafe { tl_rs_arena_used(cfg) }, record.len())
    };
    let (few, few_bytes) = used(1);
    let (many, many_bytes) = used(1000);
    let grown = usize::try_from(many - few).unwrap();
    assert!(grown < 8 * (many_bytes - few_bytes), "{few}, {many}");
}

#[test]
fn a_serial_is_looked_up_among_the_most_that_there_can_be() {
    let serials: Vec<Serial> = (0..tidelock_kabi::bounds::MAX_REVOKED)
        .map(|n| world::serial(&u32::try_from(2 * n).unwrap().to_be_bytes()))
        .collect();
    let cfg = world::build(Config {
        revoked: List::of(&serials),
        ..world::config(&[], &[], &[], &[])
    })
    .unwrap();
    // SAFETY: the arena and the bytes are alive.
    let revoked = |cfg, bytes: &[u8]| unsafe { tl_rs_revoked(cfg, Str::of(bytes)) };
    for n in 0..2 * u32::try_from(serials.len()).unwrap() {
        assert_eq!(revoked(cfg, &n.to_be_bytes()), n % 2 == 0, "{n}");
    }
    assert!(!revoked(cfg, &[]) && !revoked(cfg, &[0; 21]));
    assert!(
        !revoked(ptr::null(), &[0; 4]),
        "nothing is permitted without a configuration anyway"
    );
}

#[test]
fn servers_are_compared_byte_for_byte() {
    let cfg = services(&[web()]);
    // SAFETY: the arena is alive.
    let service = unsafe { at(cfg) }.unwrap().service(0).unwrap();
    assert!(service.is_server(SERVER));
    assert!(!service.is_server("spiffe://example.org/web2"));
    assert!(!service.is_server("spiffe://example.org/WEB"));
}
