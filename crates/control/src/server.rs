//! Starting and stopping the control plane.

mod held;

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tidelock_proto::v1::admin_server::{AdminServer, SERVICE_NAME as ADMIN};
use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_proto::v1::node_server::{NodeServer, SERVICE_NAME as NODE};
use tidelock_proto::{MAX_MESSAGE_BYTES, v1};
use tidelock_spiffe_core::TrustDomainBuf;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

use crate::admin_service::AdminService;
use crate::authority::{AuthorityTiming, Passphrase};
use crate::clock;
use crate::coded::Coded;
use crate::core::{Core, Parts};
use crate::data_dir::DataDir;
use crate::events::Events;
use crate::health;
use crate::journal::Journal;
use crate::keeping;
use crate::limit::IssuanceLimit;
use crate::net::{self, AdminSocket, ServerCertificate, Tls};
use crate::node_service::{NodeService, X509Pop};
use crate::reflection;
use crate::roles::Guarded;
use crate::start_error::StartError;
use crate::store::Store;
use crate::traced::Traced;
use crate::unbuffered::Unbuffered;
use held::Held;

/// Name of the database in the data directory.
pub const DATABASE_FILE: &str = "control.db";

/// How long calls get to end when the control plane stops.
const STOP_DEADLINE: Duration = Duration::from_secs(5);

/// How often an idle connection is probed, and how long the answer may take.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// Most calls at once on one connection. An agent needs two streams and a few calls.
const MAX_CALLS_PER_CONNECTION: usize = 64;

/// What a control plane needs to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The trust domain that it is the authority of.
    pub trust_domain: TrustDomainBuf,
    /// Where its database, key and bundle are; created if need be.
    pub data_dir: PathBuf,
    /// Where agents reach it. Port 0 takes any free one.
    pub listen: Vec<SocketAddr>,
    /// Where `tidelock` reaches it.
    pub admin_socket: PathBuf,
    /// What private keys on disk are encrypted with.
    pub passphrase: Passphrase,
    /// The times of authorities' lives.
    pub timing: AuthorityTiming,
    /// The same of those that sign JWT-SVIDs.
    pub jwt_timing: AuthorityTiming,
    /// Where `/livez`, `/readyz` and `/metrics` are answered over plain HTTP, to anyone who can connect; `None`: nowhere.
    pub http_listen: Option<SocketAddr>,
    /// How many SVIDs one node may ask for.
    pub issuance: IssuanceLimit,
    /// What nodes' certificates have to lead to; `None`: nodes attest with join tokens only.
    pub x509pop: Option<X509Pop>,
    /// Start although the clock is far ahead of the audit log, or behind it: it is right.
    pub accept_clock: bool,
}

impl Options {
    /// Says what has to be said; all else is as it is by default.
    #[must_use]
    pub fn new(
        trust_domain: TrustDomainBuf,
        data_dir: PathBuf,
        listen: Vec<SocketAddr>,
        admin_socket: PathBuf,
    ) -> Self {
        Self {
            trust_domain,
            data_dir,
            listen,
            admin_socket,
            passphrase: Passphrase::default(),
            timing: AuthorityTiming::default(),
            jwt_timing: AuthorityTiming::jwt(),
            http_listen: None,
            issuance: IssuanceLimit::default(),
            x509pop: None,
            accept_clock: false,
        }
    }
}

/// A running control plane. Dropped, it stops at once; [`ControlPlane::stop`] is the graceful way.
#[derive(Debug)]
pub struct ControlPlane {
    core: Arc<Core>,
    http: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<(), tonic::transport::Error>>,
    writers: [JoinHandle<()>; 2],
    _data_dir: Arc<DataDir>,
}

impl ControlPlane {
    /// Starts a control plane in the current tokio runtime. When this returns, it answers.
    ///
    /// # Errors
    /// Whatever keeps it from starting; see [`StartError`].
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let now = clock::unix_secs();
        let held = Held::open(&options, now)?;
        let server = held.authority.issue_server(now)?;
        held.store.append_audit(&[server.audit()])?;
        let certificate = Arc::new(ServerCertificate::new(server.chain, &server.key_pkcs8)?);
        let tls = Arc::new(Tls::new(
            &held.authority.ring().certificates(),
            certificate,
        )?);
        let admin_socket = AdminSocket::bind(&options.admin_socket)?;
        let (listeners, listening) = net::bind(&options.listen).await?;
        let (watchers, http) = net::bind(options.http_listen.as_slice()).await?;
        let (stop, stopping) = watch::channel(false);
        let store = || -> Arc<dyn Store> { held.store.clone() };
        let (events, writer) = Events::start(store())?;
        let (journal, journal_writer) = Journal::start(store());
        let core = Core::new(Parts {
            trust_domain: options.trust_domain.clone(),
            events,
            journal,
            store: store(),
            watched: Arc::clone(&held.store),
            authority: held.authority,
            tls: Arc::clone(&tls),
            nodes: held.nodes,
            started: now,
            listening,
            world: held.world,
            issuance: options.issuance,
            x509pop: options.x509pop,
            stopping,
        });
        core.metrics.server_certificates.count();
        let agents = net::accept(listeners, tls, options.trust_domain);
        let mut tasks = JoinSet::new();
        tasks.spawn(serve_nodes(Arc::clone(&core), agents)?);
        tasks.spawn(serve_admins(Arc::clone(&core), admin_socket)?);
        for listener in watchers {
            tasks.spawn(serve_http(Arc::clone(&core), listener));
        }
        let renew_at = now.midpoint(server.not_after);
        tasks.spawn(keeping::certificate(Arc::clone(&core), renew_at));
        tasks.spawn(keeping::authorities(Arc::clone(&core)));
        let http = http.first().copied();
        tell_started(&core, http, &options.admin_socket);
        Ok(Self {
            core,
            http,
            stop,
            tasks,
            writers: [writer, journal_writer],
            _data_dir: held.data_dir,
        })
    }

    /// Where it listens for agents, ports filled in.
    #[must_use]
    pub fn listening(&self) -> &[SocketAddr] {
        &self.core.listening
    }

    /// Where it answers `/livez`, `/readyz` and `/metrics`, port filled in.
    #[must_use]
    pub fn http_listening(&self) -> Option<SocketAddr> {
        self.http
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
            http: _,
            stop,
            mut tasks,
            writers,
            _data_dir,
        } = self;
        stop.send_replace(true);
        let all = async {
            while tasks.join_next().await.is_some() {}
            // The last to know the core lets go of the logs, and the logs' writers of the store.
            drop(core);
            for writer in writers {
                drop(writer.await);
            }
        };
        if tokio::time::timeout(STOP_DEADLINE, all).await.is_err() {
            tracing::warn!("some calls did not end in time");
        }
    }
}

fn tell_started(core: &Core, http: Option<SocketAddr>, admin_socket: &Path) {
    let generation = core.world().generation;
    let started = v1::Started {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        generation,
    };
    core.events.record("", EventKind::Started(started));
    tracing::info!(
        trust_domain = core.trust_domain.as_str(),
        generation,
        listening = ?core.listening,
        http_listening = ?http,
        admin_socket = %admin_socket.display(),
        "the control plane runs"
    );
}

fn builder() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .concurrency_limit_per_connection(MAX_CALLS_PER_CONNECTION)
}

/// What administrators and operators call.
fn admin(core: &Arc<Core>) -> Operators<AdminServer<AdminService>> {
    let service = AdminServer::new(AdminService(Arc::clone(core)))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    guarded(core, service)
}

/// A service for administrators and operators, behind the guard that tells them apart.
type Operators<S> = Traced<Coded<Guarded<S>>>;

pub(crate) fn guarded<S>(core: &Arc<Core>, service: S) -> Operators<S> {
    Traced::new(core, Coded(Guarded::new(Arc::clone(core), service)))
}

fn serve_nodes(
    core: Arc<Core>,
    agents: mpsc::Receiver<std::io::Result<net::Connection>>,
) -> Result<impl Future<Output = Result<(), tonic::transport::Error>> + Send, StartError> {
    let service = NodeServer::new(NodeService(Arc::clone(&core)))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let router = builder()
        .add_service(Traced::new(&core, Coded(Unbuffered(service))))
        .add_service(admin(&core));
    let router = reflection::add(router, &core, &[ADMIN, NODE])?;
    Ok(async move {
        router
            .serve_with_incoming_shutdown(ReceiverStream::new(agents), core.stopping())
            .await
    })
}

fn serve_admins(
    core: Arc<Core>,
    socket: AdminSocket,
) -> Result<impl Future<Output = Result<(), tonic::transport::Error>> + Send, StartError> {
    let router = builder().add_service(admin(&core));
    let router = reflection::add(router, &core, &[ADMIN])?;
    let admins = socket.accept();
    Ok(async move {
        router
            .serve_with_incoming_shutdown(ReceiverStream::new(admins), core.stopping())
            .await
    })
}

async fn serve_http(core: Arc<Core>, listener: TcpListener) -> Result<(), tonic::transport::Error> {
    health::serve(core, listener).await;
    Ok(())
}

#[cfg(test)]
mod tests;
