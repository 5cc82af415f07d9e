//! The records that are thrown: well-formed ones of every kind, some that mean something to this kernel, and what can be
//! made of them.

use crate::common;
use crate::device::Device;
use crate::mutate::mutate;
use crate::rng::Rng;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config as Runs, RngAlgorithm, TestRng, TestRunner};
use std::time::SystemTime;
use tidelock_kabi::bounds::MAX_RECORD_BYTES;
use tidelock_kabi::{
    Bundle, Cidr, Config, Limits, List, Mode, OnUnavailable, PrefilterEntry, Service, Svid,
    ToKernel, ToKernelKind,
};
use tidelock_testkit::{Leaf, TestCa, VirtualClock};

/// How many well-formed records are made before the first is thrown.
const POOL: usize = 300;
/// How many identities are spoken of.
const IDENTITIES: u32 = 8;
/// Where a configuration has its generation, and an answer its subject and generation.
const GENERATION_AT: usize = 24;
const SUBJECT_AT: usize = 24;
const ANSWERED_AT: usize = 32;
/// The trust domain of what means something.
const TRUST_DOMAIN: &str = "example.org";

/// What records are made of.
pub(crate) struct Records {
    /// Every kind, encoded: what is thrown is patched, since an emulated machine has no time to encode.
    pool: Vec<(ToKernelKind, Vec<u8>)>,
    ca: TestCa,
    config: Config<'static>,
    /// Seconds between the test authority's clock and the real one.
    offset: i64,
}

impl Records {
    /// Makes the pool.
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let seed = rng.bytes(32);
        let mut runner = TestRunner::new_with_rng(
            Runs::default(),
            TestRng::from_seed(RngAlgorithm::ChaCha, &seed),
        );
        let strategy = common::to_kernel();
        let pool = (0..POOL)
            .filter_map(|_| strategy.new_tree(&mut runner).ok())
            .map(|tree| tree.current())
            .chain(common::samples::every_to_kernel())
            .map(|record| (record.kind(), encoded(&record)))
            .collect();
        let offset = unix_time() - VirtualClock::START;
        let ca = TestCa::with_root(TRUST_DOMAIN, |params| {
            params.not_before += time::Duration::seconds(offset);
            params.not_after += time::Duration::seconds(offset);
        });
        let config = governing(ca.authority());
        Self {
            pool,
            ca,
            config,
            offset,
        }
    }

    /// The bytes of the next record to throw.
    pub(crate) fn next(&self, device: &Device, rng: &mut Rng) -> Vec<u8> {
        let seq = device.next_seq();
        let mut bytes = self.meant(device, rng);
        let _ = tidelock_kabi::stamp(&mut bytes, seq);
        match rng.below(20) {
            0..8 => {}
            8..16 => {
                let other = rng.pick(&self.pool).map(|(_, other)| other.as_slice());
                mutate(&mut bytes, other.unwrap_or_default(), rng);
            }
            16 => {
                let far = rng.next() >> rng.below(64);
                let wrong = if rng.once_in(2) { far } else { seq + 1 };
                let _ = tidelock_kabi::stamp(&mut bytes, wrong);
            }
            17 => {
                let len = rng.below(200);
                bytes = rng.bytes(len);
            }
            18 if rng.once_in(30) => bytes.resize(MAX_RECORD_BYTES + rng.below(3) - 1, 7),
            _ => bytes.truncate(rng.below(bytes.len() + 1)),
        }
        bytes
    }

    /// A record that is well-formed and, most of the time, in order.
    fn meant(&self, device: &Device, rng: &mut Rng) -> Vec<u8> {
        let generation = device.generation();
        let newer = generation.saturating_add(1);
        let identity = 1 + u32::try_from(rng.below(IDENTITIES as usize)).unwrap_or(0);
        let subject = rng.pick(&device.heard.subjects).copied().unwrap_or(1);
        if rng.once_in(30) {
            return encoded(&self.governing(newer));
        }
        if rng.once_in(20)
            && let Some((identity, key, request)) = rng.pick(&device.heard.requests)
        {
            return encoded(&self.answer(*identity, *key, request));
        }
        let Some((kind, bytes)) = rng.pick(&self.pool) else {
            return Vec::new();
        };
        let mut bytes = bytes.clone();
        match kind {
            ToKernelKind::Config => put(&mut bytes, GENERATION_AT, newer),
            ToKernelKind::Grant | ToKernelKind::Refuse => {
                put(&mut bytes, SUBJECT_AT, subject);
                put(&mut bytes, ANSWERED_AT, generation);
            }
            // A new key takes a while under emulation.
            ToKernelKind::Identity if rng.once_in(8) => return encoded(&named(identity)),
            // Every session would soon be a drained one.
            ToKernelKind::Drain if rng.once_in(8) => {}
            ToKernelKind::Identity | ToKernelKind::Drain | ToKernelKind::Forget => {
                return encoded(&ToKernel::Forget { identity });
            }
            _ => {}
        }
        bytes
    }

    /// The certificate that a request asks for.
    pub(crate) fn answer(&self, identity: u32, key: u64, request: &[u8]) -> ToKernel<'static> {
        let leaf = Leaf::for_id(spiffe_id(identity)).valid(self.offset - 60, self.offset + 3600);
        let chain: Vec<&'static [u8]> = self
            .ca
            .sign(request, leaf)
            .into_iter()
            .map(|der| &*der.leak())
            .collect();
        ToKernel::Svid(Svid {
            identity,
            key,
            chain: List::of(common::leak(chain)),
        })
    }

    /// The configuration that governs the programs that run meanwhile.
    pub(crate) fn governing(&self, generation: u64) -> ToKernel<'static> {
        ToKernel::Config(Config {
            generation,
            ..self.config
        })
    }
}

/// An identity, always by the same name.
pub(crate) fn named(identity: u32) -> ToKernel<'static> {
    ToKernel::Identity {
        identity,
        spiffe_id: spiffe_id(identity),
    }
}

fn encoded(record: &ToKernel<'_>) -> Vec<u8> {
    record.to_vec(1).unwrap_or_default()
}

fn put(bytes: &mut [u8], at: usize, number: u64) {
    for (place, byte) in bytes.iter_mut().skip(at).zip(number.to_le_bytes()) {
        *place = byte;
    }
}

fn spiffe_id(identity: u32) -> &'static str {
    const NAMES: [&str; IDENTITIES as usize] = [
        "spiffe://example.org/0",
        "spiffe://example.org/1",
        "spiffe://example.org/2",
        "spiffe://example.org/3",
        "spiffe://example.org/4",
        "spiffe://example.org/5",
        "spiffe://example.org/6",
        "spiffe://example.org/7",
    ];
    NAMES[identity as usize % NAMES.len()]
}

/// What `device-fuzz.sh` runs meanwhile, and where it connects to.
fn governing(authority: &[u8]) -> Config<'static> {
    let loopback = Cidr::new("127.0.0.1".parse().expect("an address"), 32).expect("a prefix");
    let service = Service {
        name: "fuzzed",
        cidr: loopback,
        port: 8080,
        netns: None,
        transform: None,
        mode: Mode::Strict,
        on_unavailable: OnUnavailable::Deny,
        max_flow_age_s: None,
        servers: List::of(common::leak(vec!["spiffe://example.org/1"])),
    };
    let curl = PrefilterEntry {
        exe: Some("/usr/bin/curl"),
        uid: None,
    };
    let authorities = List::of(common::leak(vec![&*authority.to_vec().leak()]));
    let bundle = Bundle {
        trust_domain: TRUST_DOMAIN,
        authorities,
    };
    Config {
        generation: 1,
        limits: Limits {
            grant_wait_ms: 200,
            handshake_ms: 500,
            max_handshakes: 64,
            max_handshakes_per_listener: 16,
        },
        prefilter: List::of(common::leak(vec![curl])),
        services: List::of(common::leak(vec![service])),
        bundles: List::of(common::leak(vec![bundle])),
        policy: b"",
        observed: b"",
        revoked: List::default(),
        posture: None,
        externals: List::default(),
        system_roots: List::default(),
    }
}

fn unix_time() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs().cast_signed())
}
