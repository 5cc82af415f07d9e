//! A small world to run in: an authority, a policy, Services and identities, all made through the
//! same records and exports that agent and C use.

use core::net::{IpAddr, Ipv4Addr};
use core::ptr;
use std::vec;
use std::vec::Vec;

use tidelock_kabi::{
    Bundle, Cidr, Config, External, HEADER_BYTES, Limits, List, Mode, OnUnavailable, Posture,
    PrefilterEntry, Serial, Service, Svid, ToKernel,
};
use tidelock_policy::{EntityRef, ImageBuilder, Rule, Scope};
use tidelock_testkit::{Leaf, TestCa};

use super::{arena, lane};
use crate::config::{tl_rs_config_build, tl_rs_config_bytes};
use crate::ffi::{self, Addr, IDENTITY_ARENA, Question, Str, role};
use crate::identity::{tl_rs_key_new, tl_rs_svid_install};

pub(crate) const TD: &str = "example.org";
pub(crate) const CLIENT: &str = "spiffe://example.org/app/client";
pub(crate) const SERVER: &str = "spiffe://example.org/web";
pub(crate) const PORT: u16 = 8080;
/// What the agent of the usual configuration says of its node.
pub(crate) const POSTURE: Posture<'static> = Posture {
    node: "n1",
    attested_at_ms: Some(1_764_000_000_000),
};

/// What can go wrong at an export that takes a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) errno: i32,
    pub(crate) why: u32,
    pub(crate) at: u32,
}

/// A policy image of one permit, named `allow web`, for everything below `app`.
pub(crate) fn policy() -> Vec<u8> {
    let mut image = ImageBuilder::new();
    let app = EntityRef::new("Workload", "spiffe://example.org/app");
    let web = EntityRef::new("Service", "web");
    let rule = Rule::permit("allow web")
        .principal(Scope::In(app))
        .actions(&["connect"]);
    image.push(&rule.resource(Scope::Eq(web))).unwrap();
    image.build().unwrap()
}

/// A range of IPv4 addresses.
pub(crate) fn v4(ip: [u8; 4], prefix_len: u8) -> Cidr {
    Cidr::new(IpAddr::V4(Ipv4Addr::from(ip)), prefix_len).unwrap()
}

/// An IPv4 address in the initial network namespace.
pub(crate) fn addr(ip: [u8; 4], port: u16) -> Addr {
    Addr {
        ip: Ipv4Addr::from(ip).to_ipv6_mapped().octets(),
        port,
        pad: 0,
        netns: 0,
    }
}

/// The Service `web` on one address.
pub(crate) fn web() -> Service<'static> {
    Service {
        name: "web",
        cidr: v4([10, 0, 0, 2], 32),
        port: PORT,
        netns: None,
        transform: None,
        mode: Mode::Strict,
        on_unavailable: OnUnavailable::Deny,
        max_flow_age_s: None,
        servers: List::of(&[SERVER]),
    }
}

/// A configuration of these parts.
pub(crate) fn config<'a>(
    prefilter: &'a [PrefilterEntry<'a>],
    services: &'a [Service<'a>],
    bundles: &'a [Bundle<'a>],
    policy: &'a [u8],
) -> Config<'a> {
    Config {
        generation: 1,
        limits: Limits::default(),
        prefilter: List::of(prefilter),
        services: List::of(services),
        bundles: List::of(bundles),
        policy,
        observed: &[],
        revoked: List::default(),
        posture: None,
        externals: List::default(),
        system_roots: List::default(),
    }
}

/// Builds a configuration from a record's body, in an arena of the size that we ask C for.
pub(crate) fn build_body(body: &[u8]) -> Result<*mut u8, Refusal> {
    let bytes = usize::try_from(tl_rs_config_bytes(body.len() as u64)).unwrap();
    let arena = arena(bytes);
    let (mut why, mut at) = (0, 0);
    // SAFETY: all pointers are to live values.
    let errno = lane(arena, || unsafe {
        tl_rs_config_build(body.as_ptr(), body.len() as u64, &raw mut why, &raw mut at)
    });
    if errno == 0 {
        Ok(arena)
    } else {
        Err(Refusal { errno, why, at })
    }
}

/// Builds a configuration.
pub(crate) fn build(config: Config<'_>) -> Result<*mut u8, Refusal> {
    let record = ToKernel::Config(config).to_vec(2).unwrap();
    build_body(&record[HEADER_BYTES..])
}

/// The usual configuration, with this policy image.
pub(crate) fn build_usual(ca: &TestCa, policy: &[u8]) -> *mut u8 {
    build_observing(ca, policy, &[])
}

/// The usual configuration, with these images of enforced and of observed policies.
pub(crate) fn build_observing(ca: &TestCa, policy: &[u8], observed: &[u8]) -> *mut u8 {
    let authorities = [ca.authority()];
    let bundles = [Bundle {
        trust_domain: TD,
        authorities: List::of(&authorities),
    }];
    let services = [web()];
    let config = config(&[], &services, &bundles, policy);
    let posture = Some(POSTURE);
    build(Config {
        observed,
        posture,
        ..config
    })
    .unwrap()
}

/// A serial number.
pub(crate) fn serial(bytes: &[u8]) -> Serial {
    Serial::new(bytes).unwrap()
}

/// The usual configuration and policy, with these SVIDs revoked.
pub(crate) fn build_revoking(ca: &TestCa, revoked: &[&[u8]]) -> *mut u8 {
    let mut revoked: Vec<Serial> = revoked.iter().map(|bytes| serial(bytes)).collect();
    revoked.sort();
    let authorities = [ca.authority()];
    let bundles = [Bundle {
        trust_domain: TD,
        authorities: List::of(&authorities),
    }];
    let (services, policy) = ([web()], policy());
    let config = config(&[], &services, &bundles, &policy);
    let revoked = List::of(&revoked);
    build(Config { revoked, ..config }).unwrap()
}

/// The usual configuration where `web` is outside, this server, for which this authority vouches; or without saying so.
pub(crate) fn build_external(ca: &TestCa, policy: &[u8], server_name: Option<&str>) -> *mut u8 {
    let roots = [ca.authority()];
    let externals = server_name.map(|server_name| External {
        service: "web",
        server_name,
        roots: List::of(&roots),
    });
    let services = [Service {
        mode: Mode::Originate,
        servers: List::default(),
        ..web()
    }];
    let config = config(&[], &services, &[], policy);
    let externals = List::of(externals.as_slice());
    build(Config {
        externals,
        ..config
    })
    .unwrap()
}

/// What a client's end that knows both ends asks about `web` by a configuration.
pub(crate) fn question(cfg: *const u8) -> Question {
    Question {
        cfg,
        service: 0,
        role: role::CLIENT,
        client_id: Str::of(CLIENT.as_bytes()),
        server_id: Str::of(SERVER.as_bytes()),
        addr: addr([10, 0, 0, 2], PORT),
        client: Addr::default(),
        now_ms: 0,
        process: ptr::null(),
        exe_sha256: ptr::null(),
        own_serial: Str::EMPTY,
        peer_serial: Str::EMPTY,
        own_authority: Str::EMPTY,
        peer_authority: Str::EMPTY,
        plain: 0,
        refused: 0,
        carried: 0,
        age_ms: 0,
        memo: ptr::null_mut(),
    }
}

/// Makes a key; its arena and its certificate request.
pub(crate) fn key(id: &str) -> Result<(*mut u8, Vec<u8>), i32> {
    let arena = arena(IDENTITY_ARENA);
    let (mut csr, mut len) = (vec![0; 4096], 0);
    // SAFETY: all pointers are to live values.
    let errno = lane(arena, || unsafe {
        let cap = ffi::len_u64(&csr);
        tl_rs_key_new(Str::of(id.as_bytes()), csr.as_mut_ptr(), cap, &raw mut len)
    });
    csr.truncate(usize::try_from(len).unwrap());
    if errno == 0 {
        Ok((arena, csr))
    } else {
        Err(errno)
    }
}

/// Gives a key its chain.
pub(crate) fn install(arena: *mut u8, chain: &[Vec<u8>]) -> Result<ffi::Svid, Refusal> {
    let ders: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    let svid = Svid {
        identity: 1,
        key: 1,
        chain: List::of(&ders),
    };
    let record = ToKernel::Svid(svid).to_vec(3).unwrap();
    let body = &record[HEADER_BYTES..];
    let (mut out, mut why, mut at) = (ffi::Svid::default(), 0, 0);
    // SAFETY: all pointers are to live values.
    let errno = lane(arena, || unsafe {
        let (out, why, at) = (&raw mut out, &raw mut why, &raw mut at);
        tl_rs_svid_install(body.as_ptr(), body.len() as u64, out, why, at)
    });
    if errno == 0 {
        Ok(out)
    } else {
        Err(Refusal { errno, why, at })
    }
}

/// An identity with an SVID that says what `leaf` says.
pub(crate) fn identity_with(ca: &TestCa, id: &str, leaf: Leaf) -> *mut u8 {
    let (arena, csr) = key(id).unwrap();
    install(arena, &ca.sign(&csr, leaf)).unwrap();
    arena
}

/// An identity with an SVID that keeps every rule.
pub(crate) fn identity(ca: &TestCa, id: &str) -> *mut u8 {
    identity_with(ca, id, Leaf::for_id(id))
}
