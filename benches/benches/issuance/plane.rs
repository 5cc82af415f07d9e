//! A real control plane: SQLite on a disk, mutual TLS on loopback, and nodes in the same process that ask it for SVIDs.

use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput};
use rcgen::KeyPair;
use tidelock_control::{BUNDLE_FILE, ControlPlane, IssuanceLimit, Options};
use tidelock_proto::v1::admin_client::AdminClient;
use tidelock_proto::v1::node_client::NodeClient;
use tidelock_proto::{CONTROL_DNS_NAME, v1};
use tidelock_spiffe_core::{TrustDomainBuf, pem};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::{ID, TRUST_DOMAIN, directory};

/// How many nodes there are, each on a connection of its own: so many that none has more SVIDs by the end than one may.
const NODES: usize = 64;

/// The name of the control plane's threads, by which their time is told from the nodes'.
const THREAD: &str = "plane";

/// How many of these the kernel counts in a second (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

const IDENTITY: &str = "---
apiVersion: tidelock.dev/v1
kind: WorkloadIdentity
metadata: {name: web}
spec:
  spiffeID: spiffe://example.org/ns/production/sa/web-frontend
  selectors: ['unix:path:/usr/bin/web']
";

type Node = NodeClient<Channel>;

pub(crate) fn control_plane(c: &mut Criterion) {
    let dir = directory();
    let serving = runtime(THREAD);
    let asking = runtime("nodes");
    let plane = serving.block_on(start(dir.path()));
    let nodes = asking.block_on(nodes(dir.path(), &plane));
    let mut group = c.benchmark_group("control plane");
    group.sample_size(10);
    group.measurement_time(Duration::from_secs(10));
    group.throughput(Throughput::Elements(1));
    for at_once in [1, 16, 64, 256] {
        let (mut svids, before) = (0, on_cpu());
        group.bench_function(BenchmarkId::from_parameter(at_once), |b| {
            b.iter_custom(|count| {
                svids += count;
                asking.block_on(ask(&nodes, at_once, count))
            });
        });
        if svids > 0 {
            let spent = on_cpu().saturating_sub(before);
            let each = spent.as_secs_f64() * 1e6 / svids as f64;
            println!("control plane/{at_once}: {svids} SVIDs, {each:.0} µs on a CPU for each");
        }
    }
    group.finish();
    serving.block_on(plane.stop());
}

fn runtime(name: &str) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    let builder = builder.worker_threads(2).thread_name(name).enable_all();
    builder.build().expect("a runtime")
}

async fn start(dir: &Path) -> ControlPlane {
    let trust_domain = TrustDomainBuf::parse(TRUST_DOMAIN).expect("a name");
    let listen = vec![([127, 0, 0, 1], 0).into()];
    let mut options = Options::new(trust_domain, dir.join("ca"), listen, dir.join("ca.sock"));
    // So few nodes do not ask for so much.
    options.issuance = IssuanceLimit {
        burst: u32::MAX,
        per_second: u32::MAX,
        ..IssuanceLimit::default()
    };
    // What it starts runs on its own threads.
    let started = tokio::spawn(ControlPlane::start(options));
    started.await.expect("no panic").expect("started")
}

async fn nodes(dir: &Path, plane: &ControlPlane) -> Vec<Node> {
    let uri = format!("unix://{}", dir.join("ca.sock").display());
    let mut admin = AdminClient::connect(uri).await.expect("the socket");
    let file = v1::SourceFile {
        name: "web.yaml".into(),
        text: IDENTITY.into(),
        format: v1::SourceFormat::Yaml.into(),
    };
    let request = v1::ApplyRequest { files: vec![file] };
    admin.apply(request).await.expect("applied");
    let bundle = std::fs::read_to_string(dir.join("ca").join(BUNDLE_FILE)).expect("a bundle");
    let mut nodes = Vec::with_capacity(NODES);
    for n in 0..NODES {
        let request = v1::CreateTokenRequest {
            node: format!("node-{n}"),
            ttl_secs: 600,
        };
        let token = admin.create_token(request).await.expect("a token");
        let token = token.into_inner().token;
        let key = KeyPair::generate().expect("a key");
        let csr = tidelock_ca::request(&key).expect("a request");
        let mut stranger = NodeClient::new(connect(plane, &bundle, None).await);
        let attested = stranger.attest(v1::AttestRequest { token, csr }).await;
        let chain = attested.expect("attested").into_inner().chain;
        let chain: String = chain
            .iter()
            .map(|der| pem::encode("CERTIFICATE", der))
            .collect();
        let identity = Identity::from_pem(chain, key.serialize_pem());
        nodes.push(NodeClient::new(
            connect(plane, &bundle, Some(identity)).await,
        ));
    }
    nodes
}

async fn connect(plane: &ControlPlane, bundle: &str, identity: Option<Identity>) -> Channel {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(bundle))
        .domain_name(CONTROL_DNS_NAME);
    if let Some(identity) = identity {
        tls = tls.identity(identity);
    }
    let endpoint = Endpoint::from_shared(format!("https://{}", plane.listening()[0]));
    let endpoint = endpoint.expect("an address").tls_config(tls).expect("TLS");
    endpoint.connect().await.expect("connected")
}

/// Has so many SVIDs signed, so many of them at one time.
async fn ask(nodes: &[Node], at_once: usize, count: u64) -> Duration {
    let csr = tidelock_ca::request(&KeyPair::generate().expect("a key")).expect("a request");
    let mut asking = JoinSet::new();
    let begun = Instant::now();
    for (place, node) in (0_u64..).zip(nodes.iter().cycle()).take(at_once) {
        let all = at_once as u64;
        let mine = count / all + u64::from(place < count % all);
        let (mut node, csr) = (node.clone(), csr.clone());
        asking.spawn(async move {
            for _ in 0..mine {
                let request = v1::SignRequest {
                    entry_id: "web".into(),
                    spiffe_id: ID.into(),
                    csr: csr.clone(),
                };
                node.sign(request).await.expect("signed");
            }
        });
    }
    while let Some(done) = asking.join_next().await {
        done.expect("no panic");
    }
    begun.elapsed()
}

/// For how long the control plane's threads have been on a CPU.
fn on_cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc");
    let ticks: u64 = tasks.flatten().filter_map(|task| ticks(&task.path())).sum();
    Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND)
}

/// Of a thread of the control plane; `None`: it is none, or has ended.
fn ticks(task: &Path) -> Option<u64> {
    let stat = std::fs::read_to_string(task.join("stat")).ok()?;
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let mut numbers = rest.split_whitespace().skip(11);
    let mut next = || numbers.next()?.parse::<u64>().ok();
    (name == THREAD).then_some(next()? + next()?)
}
