//! Starting and stopping the control plane.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidelock_proto::v1::admin_server::AdminServer;
use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_proto::v1::node_server::NodeServer;
use tidelock_proto::{MAX_MESSAGE_BYTES, v1};
use tidelock_spiffe_core::TrustDomainBuf;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

use crate::admin_service::AdminService;
use crate::authority::Authority;
use crate::clock;
use crate::core::{Core, Parts};
use crate::data_dir::DataDir;
use crate::events::Events;
use crate::name::Name;
use crate::net::{self, AdminSocket, ServerCertificate};
use crate::node_service::NodeService;
use crate::nodes::Nodes;
use crate::start_error::StartError;
use crate::store::{SqliteStore, Store};
use crate::world::{World, fingerprint};

/// Name of the database in the data directory.
pub const DATABASE_FILE: &str = "control.db";

/// How long calls get to end when the control plane stops.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// How often an idle connection is probed, and how long the answer may take.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Most calls at once on one connection. An agent needs two streams and a few calls.
const MAX_CALLS_PER_CONNECTION: usize = 64;

/// How often the server's own certificate is looked at.
const CERTIFICATE_CHECK: Duration = Duration::from_secs(60);

/// What a control plane needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// The trust domain that it is the authority of.
    pub trust_domain: TrustDomainBuf,
    /// Where its database, key and bundle are; created if need be.
    pub data_dir: PathBuf,
    /// Where agents reach it. Port 0 takes any free one.
    pub listen: Vec<SocketAddr>,
    /// Where `tidelock` reaches it.
    pub admin_socket: PathBuf,
}

/// A running control plane. Dropped, it stops at once; [`ControlPlane::stop`] is the graceful way.
#[derive(Debug)]
pub struct ControlPlane {
    core: Arc<Core>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<(), tonic::transport::Error>>,
    writer: JoinHandle<()>,
    _data_dir: DataDir,
}

impl ControlPlane {
    /// Starts a control plane in the current tokio runtime. When this returns, it answers.
    ///
    /// # Errors
    /// Whatever keeps it from starting; see [`StartError`].
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let now = clock::unix_secs();
        let data_dir = DataDir::open(&options.data_dir)?;
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&data_dir.file(DATABASE_FILE))?);
        let authority = Authority::open(&data_dir, &*store, &options.trust_domain, now)?;
        let world = load_world(&*store, &authority, &options.trust_domain)?;
        let generation = world.generation;
        let nodes = load_nodes(&*store)?;
        let server = authority.issue_server(now)?;
        let certificate = Arc::new(ServerCertificate::new(server.chain, server.key_pkcs8)?);
        let tls = net::acceptor(&authority.certificates(), Arc::clone(&certificate))?;
        let admin_socket = AdminSocket::bind(&options.admin_socket)?;
        let (listeners, listening) = net::bind(&options.listen).await?;
        let (stop, stopping) = watch::channel(false);
        let (events, writer) = Events::start(Arc::clone(&store))?;
        let core = Core::new(Parts {
            trust_domain: options.trust_domain.clone(),
            events,
            store,
            authority,
            nodes,
            started: now,
            listening,
            world,
            stopping,
        });
        let agents = net::accept(listeners, tls, options.trust_domain);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_nodes(Arc::clone(&core), agents));
        tasks.spawn(serve_admins(Arc::clone(&core), admin_socket));
        let renew_at = now.midpoint(server.not_after);
        tasks.spawn(keep_certificate(Arc::clone(&core), certificate, renew_at));
        let version = env!("CARGO_PKG_VERSION").to_owned();
        core.events.record(
            "",
            EventKind::Started(v1::Started {
                version,
                generation,
            }),
        );
        tracing::info!(
            trust_domain = core.trust_domain.as_str(),
            generation,
            listening = ?core.listening,
            admin_socket = %options.admin_socket.display(),
            "the control plane runs"
        );
        Ok(Self {
            core,
            stop,
            tasks,
            writer,
            _data_dir: data_dir,
        })
    }

    /// Where it listens for agents, ports filled in.
    #[must_use]
    pub fn listening(&self) -> &[SocketAddr] {
        &self.core.listening
    }

    /// Waits until a part of it fails, which none should. [`ControlPlane::stop`] is still to be called.
    pub async fn failed(&mut self) {
        match self.tasks.join_next().await {
            Some(Ok(Ok(()))) | None => tracing::error!("a server ended by itself"),
            Some(Ok(Err(error))) => tracing::error!(%error, "a server failed"),
            Some(Err(error)) => tracing::error!(%error, "a server panicked"),
        }
    }

    /// Ends all streams, lets calls finish for a short while, writes what is not written, and closes the store.
    pub async fn stop(self) {
        tracing::info!("the control plane stops");
        let Self {
            core,
            stop,
            mut tasks,
            writer,
            _data_dir,
        } = self;
        stop.send_replace(true);
        let all = async {
            while tasks.join_next().await.is_some() {}
            // The last to know the core lets go of the log, and the log's writer of the store.
            drop(core);
            drop(writer.await);
        };
        if tokio::time::timeout(STOP_DEADLINE, all).await.is_err() {
            tracing::warn!("some calls did not end in time");
        }
    }
}

/// Takes up the documents; moves the generation if this version makes something else of them than the last one did.
fn load_world(
    store: &dyn Store,
    authority: &Authority,
    trust_domain: &TrustDomainBuf,
) -> Result<World, StartError> {
    let stored = store.documents()?;
    let mut world = World::load(
        stored.generation,
        &stored.documents,
        trust_domain.as_trust_domain(),
    )
    .map_err(StartError::Documents)?;
    let fingerprint = fingerprint(&world.compiled, &authority.bundle());
    if stored.fingerprint != fingerprint {
        world.generation = store.commit(stored.generation, &fingerprint, &[], &[])?;
    }
    Ok(world)
}

fn load_nodes(store: &dyn Store) -> Result<Nodes, StartError> {
    let named = |record: crate::store::NodeRecord| match Name::parse(&record.name) {
        Ok(name) => Ok((name, record)),
        Err(error) => Err(StartError::NodeName {
            name: record.name,
            error,
        }),
    };
    Ok(Nodes::new(
        store
            .nodes()?
            .into_iter()
            .map(named)
            .collect::<Result<_, _>>()?,
    ))
}

fn builder() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .concurrency_limit_per_connection(MAX_CALLS_PER_CONNECTION)
}

fn serve_nodes(
    core: Arc<Core>,
    agents: mpsc::Receiver<std::io::Result<net::Connection>>,
) -> impl Future<Output = Result<(), tonic::transport::Error>> + Send {
    let service = NodeServer::new(NodeService(Arc::clone(&core)))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let router = builder().add_service(service);
    async move {
        router
            .serve_with_incoming_shutdown(ReceiverStream::new(agents), core.stopping())
            .await
    }
}

fn serve_admins(
    core: Arc<Core>,
    socket: AdminSocket,
) -> impl Future<Output = Result<(), tonic::transport::Error>> + Send {
    let service = AdminServer::new(AdminService(Arc::clone(&core)))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let router = builder().add_service(service);
    let admins = socket.accept();
    async move {
        router
            .serve_with_incoming_shutdown(ReceiverStream::new(admins), core.stopping())
            .await
    }
}

/// Issues the server's certificate anew at half its life, by the wall clock, which may jump.
async fn keep_certificate(
    core: Arc<Core>,
    certificate: Arc<ServerCertificate>,
    mut renew_at: i64,
) -> Result<(), tonic::transport::Error> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(CERTIFICATE_CHECK) => {}
            () = core.stopping() => return Ok(()),
        }
        let now = clock::unix_secs();
        if now < renew_at {
            continue;
        }
        match core.authority.issue_server(now) {
            Err(error) => tracing::error!(%error, "the server's certificate cannot be renewed"),
            Ok(server) => match certificate.replace(server.chain, server.key_pkcs8) {
                Err(error) => tracing::error!(%error, "the server's certificate cannot be used"),
                Ok(()) => {
                    renew_at = now.midpoint(server.not_after);
                    tracing::info!("the server's certificate was renewed");
                }
            },
        }
    }
}
