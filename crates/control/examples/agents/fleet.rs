//! Agents that hold what an agent holds, a stream of configuration and one of reports, each on a connection of its own. They
//! grant nothing: what is measured is the way to them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rcgen::KeyPair;
use tidelock_proto::state::State;
use tidelock_proto::v1::admin_client::AdminClient;
use tidelock_proto::v1::node_client::NodeClient;
use tidelock_proto::v1::report_request::Report;
use tidelock_proto::{CONTROL_DNS_NAME, MAX_MESSAGE_BYTES, v1};
use tidelock_spiffe_core::pem;
use tidelock_spiffe_core::x509::Leaf;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::Failure;
use super::numbers::Delays;
use super::plane::{Place, TRUST_DOMAIN};
use super::updates::{News, Updates};

/// How many nodes attest or connect at once: a control plane takes 256 that are not attested.
const AT_ONCE: usize = 32;

/// How long a round may take until every agent has heard.
const PATIENCE: Duration = Duration::from_secs(60);

/// The identity that SVIDs are revoked of and that changes.
const IDENTITY: &str = "fleet";

/// How long its SVIDs live when the rounds begin; each round adds a second.
const FIRST_TTL_SECS: u32 = 3_600;

/// A node's key and SVID.
#[derive(Clone, Debug)]
pub(crate) struct NodeKeys {
    pub(crate) key_pem: String,
    pub(crate) chain_pem: String,
}

/// What is to be heard of in this round.
#[derive(Clone, Debug)]
enum Awaited {
    Revoked(Vec<u8>),
    Ttl(u32),
}

impl Awaited {
    fn is_in(&self, snapshot: &v1::Snapshot) -> bool {
        match self {
            Self::Revoked(serial) => snapshot.revoked_serials.contains(serial),
            Self::Ttl(ttl) => {
                let of_it = |entry: &v1::Entry| entry.id == IDENTITY && entry.x509_ttl_secs == *ttl;
                snapshot.entries.iter().any(of_it)
            }
        }
    }
}

/// What agents look out for, and the number of the round.
type Lookout = Arc<Mutex<(usize, Option<Awaited>)>>;

/// Agents that are connected.
#[derive(Debug)]
pub(crate) struct Fleet {
    place: Place,
    lookout: Lookout,
    heard: mpsc::Receiver<(Instant, usize)>,
    /// Agents; they end only if something is wrong.
    tasks: JoinSet<Failure>,
    /// Of what an agent got first.
    pub(crate) snapshot_bytes: usize,
    clients: Vec<NodeClient<Channel>>,
    round: usize,
    ttl_secs: u32,
}

pub(crate) async fn admin(place: &Place) -> Result<AdminClient<Channel>, Failure> {
    let uri = format!("unix://{}", place.admin_socket.display());
    Ok(AdminClient::connect(uri).await?)
}

/// Applies so many documents of each kind, the identity that changes among them. With `own`, each node has entries of its own by
/// the others.
pub(crate) async fn furnish(place: &Place, documents: usize, own: bool) -> Result<(), Failure> {
    let of_node = if own { "{{node.name}}/" } else { "" };
    let of_each = |n: usize| {
        let meta = |kind: &str| {
            format!(
                "---\napiVersion: tidelock.dev/v1\nkind: {kind}\nmetadata: {{name: w{n}}}\nspec:\n"
            )
        };
        let (identity, service, policy) =
            (meta("WorkloadIdentity"), meta("Service"), meta("Policy"));
        let (high, low) = (n / 256, n % 256);
        format!(
            "{identity}  spiffeID: 'spiffe://{TRUST_DOMAIN}/{of_node}w{n}'\n  selectors: ['unix:path:/usr/bin/w{n}']\n\
             {service}  addresses: ['10.0.{high}.{low}:443']\n  servers: ['spiffe://{TRUST_DOMAIN}/w{n}']\n\
             {policy}  cedar: |\n    permit(principal == Workload::\"spiffe://{TRUST_DOMAIN}/{IDENTITY}\", \
             action == Action::\"connect\", resource == Service::\"w{n}\");\n"
        )
    };
    let text: String = (1..documents).map(of_each).collect();
    apply(&mut admin(place).await?, text + &changing(FIRST_TTL_SECS)).await
}

/// The identity that changes, as a document.
pub(crate) fn changing(ttl_secs: u32) -> String {
    format!(
        "---\napiVersion: tidelock.dev/v1\nkind: WorkloadIdentity\nmetadata: {{name: {IDENTITY}}}\nspec:\n  \
         spiffeID: spiffe://{TRUST_DOMAIN}/{IDENTITY}\n  selectors: ['unix:path:/usr/bin/{IDENTITY}']\n  \
         svid: {{ttl: {ttl_secs}s}}\n"
    )
}

pub(crate) async fn apply(admin: &mut AdminClient<Channel>, text: String) -> Result<(), Failure> {
    let file = v1::SourceFile {
        name: "fleet.yaml".into(),
        text,
        format: v1::SourceFormat::Yaml.into(),
    };
    let request = v1::ApplyRequest { files: vec![file] };
    match admin.apply(request).await?.into_inner().result {
        Some(v1::apply_response::Result::Applied(_)) => Ok(()),
        other => Err(format!("the documents were not applied: {other:?}").into()),
    }
}

/// Does this for each number below `count`, a few at once; the results in order.
pub(crate) async fn for_each<T, W>(
    count: usize,
    work: impl Fn(usize) -> W,
) -> Result<Vec<T>, Failure>
where
    T: Send + 'static,
    W: Future<Output = Result<T, Failure>> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for n in 0..count {
        let slot = Arc::clone(&slots).acquire_owned().await?;
        let work = work(n);
        tasks.spawn(async move {
            let done = work.await;
            drop(slot);
            done.map(|done| (n, done))
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(done) = tasks.join_next().await {
        all.push(done??);
    }
    all.sort_by_key(|(n, _)| *n);
    Ok(all.into_iter().map(|(_, done)| done).collect())
}

/// Has so many nodes join, each with a token of its own.
pub(crate) async fn attest(place: &Place, agents: usize) -> Result<Vec<NodeKeys>, Failure> {
    let admin = admin(place).await?;
    for_each(agents, |n| {
        join(admin.clone(), place.clone(), format!("node-{n}"))
    })
    .await
}

pub(crate) async fn join(
    mut admin: AdminClient<Channel>,
    place: Place,
    node: String,
) -> Result<NodeKeys, Failure> {
    let ttl_secs = 600;
    let request = v1::CreateTokenRequest { node, ttl_secs };
    let token = admin.create_token(request).await?.into_inner().token;
    let key = KeyPair::generate()?;
    let csr = tidelock_ca::request(&key)?;
    let request = v1::AttestRequest { token, csr };
    let mut client = NodeClient::new(connect(&place, None).await?);
    let chain = client.attest(request).await?.into_inner().chain;
    Ok(NodeKeys::new(&key, &chain))
}

impl NodeKeys {
    pub(crate) fn new(key: &KeyPair, chain: &[Vec<u8>]) -> Self {
        let certificates = chain.iter().map(|der| pem::encode("CERTIFICATE", der));
        Self {
            key_pem: key.serialize_pem(),
            chain_pem: certificates.collect(),
        }
    }
}

pub(crate) async fn connect(place: &Place, keys: Option<&NodeKeys>) -> Result<Channel, Failure> {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&place.bundle_pem))
        .domain_name(CONTROL_DNS_NAME);
    if let Some(keys) = keys {
        tls = tls.identity(Identity::from_pem(&keys.chain_pem, &keys.key_pem));
    }
    let endpoint = Endpoint::from_shared(format!("https://{}", place.address))?;
    Ok(endpoint.tls_config(tls)?.connect().await?)
}

impl Fleet {
    /// Connects an agent for each of these nodes; each has its first snapshot when this returns.
    pub(crate) async fn connect(
        place: Place,
        nodes: &[NodeKeys],
        deltas: bool,
    ) -> Result<Self, Failure> {
        let nodes: Arc<[NodeKeys]> = nodes.into();
        let open = |n: usize| {
            let (place, nodes) = (place.clone(), Arc::clone(&nodes));
            async move {
                let state = deltas.then(State::default);
                Agent::open(&place, &nodes[n], state).await
            }
        };
        let agents = for_each(nodes.len(), open).await?;
        let lookout = Lookout::default();
        let (sender, heard) = mpsc::channel(nodes.len().max(1));
        let mut fleet = Self {
            place,
            lookout: Arc::clone(&lookout),
            heard,
            tasks: JoinSet::new(),
            snapshot_bytes: agents.first().map_or(0, |agent| agent.first_bytes),
            clients: Vec::with_capacity(agents.len()),
            round: 0,
            ttl_secs: FIRST_TTL_SECS,
        };
        for agent in agents {
            fleet.clients.push(agent.client.clone());
            fleet
                .tasks
                .spawn(agent.run(Arc::clone(&lookout), sender.clone()));
        }
        Ok(fleet)
    }

    /// Has an SVID issued and revoked, as often as there are rounds.
    pub(crate) async fn revoke(&mut self, rounds: usize) -> Result<Delays, Failure> {
        let mut admin = admin(&self.place).await?;
        let mut delays = Delays::default();
        for _ in 0..rounds {
            let serial = self.issued().await?;
            let request = v1::RevokeRequest {
                what: Some(v1::revoke_request::What::Serial(serial.clone())),
                reason: "measured".into(),
            };
            let begun = self.look_out(Awaited::Revoked(serial));
            admin.revoke(request).await?;
            delays.answered.push(begun.elapsed());
            self.hear(begun, &mut delays).await?;
        }
        Ok(delays)
    }

    /// Changes the identity, as often as there are rounds.
    pub(crate) async fn change(&mut self, rounds: usize) -> Result<Delays, Failure> {
        let mut admin = admin(&self.place).await?;
        let mut delays = Delays::default();
        for _ in 0..rounds {
            self.ttl_secs += 1;
            let begun = self.look_out(Awaited::Ttl(self.ttl_secs));
            apply(&mut admin, changing(self.ttl_secs)).await?;
            delays.answered.push(begun.elapsed());
            self.hear(begun, &mut delays).await?;
        }
        Ok(delays)
    }

    /// The serial number of a new SVID of a workload.
    async fn issued(&self) -> Result<Vec<u8>, Failure> {
        let request = v1::SignRequest {
            entry_id: IDENTITY.into(),
            spiffe_id: format!("spiffe://{TRUST_DOMAIN}/{IDENTITY}"),
            csr: tidelock_ca::request(&KeyPair::generate()?)?,
        };
        let mut client = self.clients.first().ok_or("there are no agents")?.clone();
        let chain = client.sign(request).await?.into_inner().chain;
        let leaf = chain.first().ok_or("the chain is empty")?;
        let leaf = Leaf::parse(leaf).map_err(|error| error.to_string())?;
        Ok(leaf.serial.to_vec())
    }

    /// Begins a round.
    fn look_out(&mut self, awaited: Awaited) -> Instant {
        self.round += 1;
        let mut lookout = self.lookout.lock().unwrap_or_else(PoisonError::into_inner);
        *lookout = (self.round, Some(awaited));
        Instant::now()
    }

    /// Ends a round: every agent has heard.
    async fn hear(&mut self, begun: Instant, delays: &mut Delays) -> Result<(), Failure> {
        let all = self.clients.len();
        for count in 0..all {
            let next = tokio::select! {
                next = timeout(PATIENCE, self.heard.recv()) => next.ok().flatten(),
                Some(ended) = self.tasks.join_next() => return Err(ended?),
            };
            let (at, len_bytes) =
                next.ok_or_else(|| format!("{count} of {all} agents heard within {PATIENCE:?}"))?;
            delays.heard.push(at.duration_since(begun));
            delays.most_bytes = delays.most_bytes.max(len_bytes);
        }
        Ok(())
    }
}

/// An agent with both streams open.
pub(crate) struct Agent {
    pub(crate) client: NodeClient<Channel>,
    pub(crate) updates: Updates,
    reports: mpsc::Sender<v1::ReportRequest>,
    /// What it was sent when it opened its stream.
    pub(crate) first: v1::Snapshot,
    first_bytes: usize,
}

impl Agent {
    pub(crate) async fn open(
        place: &Place,
        keys: &NodeKeys,
        state: Option<State>,
    ) -> Result<Self, Failure> {
        let channel = connect(place, Some(keys)).await?;
        let mut client = NodeClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let mut updates = Updates::open(&mut client, state).await?;
        let first = updates.next().await?;
        let (reports, reported) = mpsc::channel(8);
        let state = v1::NodeState {
            applied_generation: first.snapshot.generation,
            ..Default::default()
        };
        reports.send(report(Report::State(state))).await?;
        let mut reporting = client.clone();
        // It is answered when the stream ends; a control plane that ends it ends the other one too.
        tokio::spawn(async move { reporting.report(ReceiverStream::new(reported)).await });
        Ok(Self {
            client,
            updates,
            reports,
            first_bytes: first.len_bytes,
            first: first.snapshot,
        })
    }

    /// Tells that it enforces this configuration, as a real one does when its kernel has it.
    pub(crate) async fn applied(&self, generation: u64) -> Result<(), Failure> {
        let applied = v1::ConfigApplied {
            generation,
            flows_cut: 0,
        };
        let sent = self.reports.send(report(Report::ConfigApplied(applied)));
        sent.await.map_err(|_| "the stream of reports ended".into())
    }

    /// Tells when it has heard of what is looked out for, once in each round; ends with what is wrong.
    async fn run(mut self, lookout: Lookout, sender: mpsc::Sender<(Instant, usize)>) -> Failure {
        let mut told = 0;
        loop {
            let News {
                snapshot,
                len_bytes,
            } = match self.updates.next().await {
                Ok(news) => news,
                Err(failure) => return failure,
            };
            let at = Instant::now();
            let (round, awaited) = lookout
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            if round > told && awaited.is_some_and(|awaited| awaited.is_in(&snapshot)) {
                told = round;
                if sender.send((at, len_bytes)).await.is_err() {
                    return "nobody listens".into();
                }
            }
            if let Err(failure) = self.applied(snapshot.generation).await {
                return failure;
            }
        }
    }
}

fn report(report: Report) -> v1::ReportRequest {
    v1::ReportRequest {
        time_unix_ns: 0,
        report: Some(report),
    }
}
