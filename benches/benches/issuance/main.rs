//! X509-SVIDs from requests for them, per core: proof of possession, checks, signature and re-reading included.
//!
//! `issued` is the library alone, in time on a CPU, and so per core on however busy a machine. `stored` writes the audit log as
//! the control plane does before it hands anything over: SQLite on a disk, each transaction synced, with so many entries in one.
//! `control plane` is a real one on loopback, asked by nodes over mutual TLS. Both are in time on a clock.

#[path = "../cpu_time/mod.rs"]
mod cpu_time;
mod plane;

use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cpu_time::CpuTime;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rcgen::KeyPair;
use rustix::fs::statfs;
use tempfile::TempDir;
use tidelock_ca::{Authority, Csr, Entry, KeyAlgorithm, Serial, Svid, Ttl};
use tidelock_control::audit::AuditEntry;
use tidelock_control::store::{Authorities, SqliteStore, Store};
use tidelock_spiffe_core::{SpiffeIdBuf, TrustDomainBuf};

const TRUST_DOMAIN: &str = "example.org";
const ID: &str = "spiffe://example.org/ns/production/sa/web-frontend";

/// Type of a file system that is in memory (`TMPFS_MAGIC` in Linux's `magic.h`).
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// An authority, an entry and a request for it.
struct Issuing {
    authority: Authority<KeyPair>,
    entry: Entry,
    request: Vec<u8>,
    kind: KeyAlgorithm,
    now: i64,
}

impl Issuing {
    fn new(by: KeyAlgorithm, of: KeyAlgorithm) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("later");
        let now = i64::try_from(now.as_secs()).expect("a time");
        let trust_domain = TrustDomainBuf::parse(TRUST_DOMAIN).expect("a name");
        let ends = now + 30 * 86_400;
        let authority =
            Authority::self_signed(key(by), &trust_domain, now, ends, serial()).expect("made");
        let ttl = Ttl::from_secs(3_600).expect("a life");
        let id = SpiffeIdBuf::parse(ID).expect("an ID");
        Self {
            authority,
            entry: Entry::workload(id, ttl).expect("an entry"),
            request: tidelock_ca::request(&key(of)).expect("a request"),
            kind: of,
            now,
        }
    }

    fn issue(&self) -> Svid {
        let csr = Csr::parse_for(black_box(&self.request), &[self.kind]).expect("a request");
        let svid = self.authority.issue(&self.entry, &csr, self.now, serial());
        svid.expect("issued")
    }
}

fn key(kind: KeyAlgorithm) -> KeyPair {
    let written = match kind {
        KeyAlgorithm::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        KeyAlgorithm::Ed25519 => &rcgen::PKCS_ED25519,
        _ => &rcgen::PKCS_ECDSA_P256_SHA256,
    };
    KeyPair::generate_for(written).expect("a key")
}

fn serial() -> Serial {
    let mut bytes = [0; tidelock_ca::SERIAL_BYTES];
    getrandom::fill(&mut bytes).expect("randomness");
    Serial::from_random(bytes)
}

fn issued(c: &mut Criterion<CpuTime>) {
    use KeyAlgorithm::{Ed25519, P256, P384};
    let mut group = c.benchmark_group("issued");
    group.throughput(Throughput::Elements(1));
    for (name, by, of) in [
        ("P-256 by P-256", P256, P256),
        ("P-384 by P-384", P384, P384),
        ("P-256 by P-384", P384, P256),
        ("Ed25519 by Ed25519", Ed25519, Ed25519),
    ] {
        let issuing = Issuing::new(by, of);
        group.bench_function(name, |b| b.iter(|| issuing.issue()));
    }
    group.finish();
}

/// A directory on a disk, where temporary files are.
fn directory() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let kind = statfs(dir.path()).expect("a file system").f_type;
    assert_ne!(
        kind, TMPFS_MAGIC,
        "temporary files are in memory here: name a directory on a disk with TMPDIR"
    );
    dir
}

fn store(dir: &Path) -> SqliteStore {
    let store = SqliteStore::open(&dir.join("control.db")).expect("a store");
    let first = Authorities {
        trust_domain: TRUST_DOMAIN.into(),
        sequence: 1,
        x509: vec![],
        jwt: vec![],
    };
    store.set_up(&first, &[]).expect("set up");
    store
}

/// What the control plane writes down of an SVID.
fn audit(svid: &Svid, node: usize) -> AuditEntry {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("later");
    let (serial, not_after) = (svid.serial, svid.not_after);
    AuditEntry {
        time_unix_ns: u64::try_from(now.as_nanos()).expect("a time"),
        actor: format!("node node-{node}"),
        action: "svid-issued".into(),
        subject: svid.id.as_str().into(),
        detail: format!("{{\"entry\":\"web\",\"not_after\":{not_after},\"serial\":\"{serial}\"}}"),
    }
}

fn stored(c: &mut Criterion) {
    let issuing = Issuing::new(KeyAlgorithm::P256, KeyAlgorithm::P256);
    let mut group = c.benchmark_group("stored");
    group.sample_size(20);
    group.measurement_time(Duration::from_secs(10));
    for at_once in [1, 16, 64, 512] {
        let dir = directory();
        let store = store(dir.path());
        group.throughput(Throughput::Elements(at_once));
        group.bench_function(BenchmarkId::from_parameter(at_once), |b| {
            b.iter(|| {
                let nodes = 0..usize::try_from(at_once).expect("few");
                let entries: Vec<_> = nodes.map(|node| audit(&issuing.issue(), node)).collect();
                store.append_audit(&entries).expect("written");
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = cpu;
    config = Criterion::default().with_measurement(CpuTime);
    targets = issued
}
criterion_group!(disk, stored, plane::control_plane);
criterion_main!(cpu, disk);
