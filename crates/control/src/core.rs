//! What both services share: one value that outlives every call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use sha2::{Digest as _, Sha256};
use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_proto::{ErrorCode, v1};
use tidelock_spiffe_core::TrustDomainBuf;
use tokio::sync::{Mutex, Notify, RwLock, watch};
use tonic::Status;

use crate::audit::{Actor, AuditEntry, hex};
use crate::authority::Authority;
use crate::budget::Budgets;
use crate::crl::Lists;
use crate::document::{DocumentError, Key};
use crate::events::Events;
use crate::journal::Journal;
use crate::limit::{IssuanceLimit, Limiter};
use crate::metrics::Metrics;
use crate::net::Tls;
use crate::node_service::{Challenges, X509Pop};
use crate::nodes::Nodes;
use crate::roles::{Permit, Refusal};
use crate::shared::Made;
use crate::store::{DocumentKey, DocumentRecord, Store, StoreError, Watched};
use crate::throttle::{Throttle, Throttles};
use crate::traced;
use crate::world::{Plan, World, fingerprint};

/// The control plane's state.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) trust_domain: TrustDomainBuf,
    pub(crate) store: Arc<dyn Store>,
    /// The same, for what is known of it.
    pub(crate) watched: Arc<Watched>,
    pub(crate) authority: Authority,
    pub(crate) tls: Arc<Tls>,
    pub(crate) nodes: Nodes,
    pub(crate) events: Arc<Events>,
    pub(crate) journal: Journal,
    pub(crate) started: i64,
    pub(crate) listening: Vec<SocketAddr>,
    /// What is in force. Changes only while `changing` is held.
    pub(crate) world: watch::Sender<Arc<World>>,
    pub(crate) changing: Mutex<()>,
    /// The server's certificate is to be renewed before its time.
    pub(crate) renew_certificate: Notify,
    /// Held while a node's record changes.
    pub(crate) joining: Mutex<()>,
    /// Read from where a node is believed to where what it was given is written down; written while SVIDs are revoked.
    pub(crate) issuing: RwLock<()>,
    /// Refusals of tokens that nobody knows, which anyone can bring about.
    pub(crate) unknown_tokens: Throttle,
    /// What nodes' certificates are held to.
    pub(crate) challenges: Challenges,
    /// Refusals of nodes' certificates, which anyone can bring about.
    pub(crate) refused_certificates: Throttle,
    /// Refusals of nodes that ask for too many SVIDs, each of which would be told otherwise.
    pub(crate) limited: Throttle,
    pub(crate) limiter: Limiter,
    /// What each node has that has not expired.
    pub(crate) budgets: Budgets,
    pub(crate) lists: Lists,
    /// Refusals of callers with a certificate of ours who are no operators, or are not believed.
    pub(crate) unknown_callers: Throttle,
    /// Refusals of operators, by operator.
    pub(crate) refused_operators: Throttles,
    pub(crate) metrics: Metrics,
    stopping: watch::Receiver<bool>,
}

/// What came of a change.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) generation: u64,
    pub(crate) documents: Vec<v1::DocumentChange>,
    pub(crate) warnings: Vec<DocumentError>,
}

/// Why a change did not happen.
#[derive(Debug)]
pub(crate) enum ChangeError {
    Refused(Vec<DocumentError>),
    /// The caller may not change these.
    NotPermitted(Vec<DocumentError>),
    /// The caller may change nothing any more.
    Permit(Refusal),
    /// These documents were to be deleted and do not exist.
    NotFound(Vec<Key>),
    Store(StoreError),
    /// A fault of ours; nothing is in force that the store does not have.
    Broken,
}

/// What a [`Core`] is made of.
pub(crate) struct Parts {
    pub(crate) trust_domain: TrustDomainBuf,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) watched: Arc<Watched>,
    pub(crate) authority: Authority,
    pub(crate) tls: Arc<Tls>,
    pub(crate) nodes: Nodes,
    pub(crate) events: Arc<Events>,
    pub(crate) journal: Journal,
    pub(crate) started: i64,
    pub(crate) listening: Vec<SocketAddr>,
    pub(crate) world: World,
    pub(crate) issuance: IssuanceLimit,
    pub(crate) x509pop: Option<X509Pop>,
    pub(crate) stopping: watch::Receiver<bool>,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        let Parts {
            trust_domain,
            store,
            watched,
            authority,
            tls,
            nodes,
            events,
            journal,
            started,
            listening,
            world,
            issuance,
            x509pop,
            stopping,
        } = parts;
        let world = watch::Sender::new(Arc::new(world));
        let (changing, joining) = (Mutex::new(()), Mutex::new(()));
        let throttle = || Throttle::new(Instant::now());
        Arc::new(Self {
            trust_domain,
            store,
            watched,
            authority,
            tls,
            nodes,
            events,
            journal,
            started,
            listening,
            world,
            changing,
            renew_certificate: Notify::new(),
            joining,
            issuing: RwLock::new(()),
            unknown_tokens: throttle(),
            challenges: Challenges::new(x509pop),
            refused_certificates: throttle(),
            limited: throttle(),
            unknown_callers: throttle(),
            refused_operators: Throttles::default(),
            limiter: Limiter::new(issuance),
            budgets: Budgets::new(issuance.unexpired),
            lists: Lists::default(),
            metrics: Metrics::default(),
            stopping,
        })
    }

    /// What is in force now.
    pub(crate) fn world(&self) -> Arc<World> {
        Arc::clone(&self.world.borrow())
    }

    /// What is in force, as it changes.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<World>> {
        self.world.subscribe()
    }

    /// Waits until the control plane stops.
    pub(crate) async fn stopping(&self) {
        let mut stopping = self.stopping.clone();
        // A dropped sender means the same.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Whether it has been told to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Calls the store where it may block.
    pub(crate) async fn with_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreFailure> {
        let store = Arc::clone(&self.store);
        let result = match traced::spawn_blocking(move || work(&*store)).await {
            Ok(result) => result.map_err(StoreFailure::Store),
            Err(_) => Err(StoreFailure::Panicked),
        };
        result.inspect_err(|_| self.metrics.store_failures.count())
    }

    /// One change at a time. It runs to its end even if the caller goes away, so that the store and what is in force agree.
    pub(crate) async fn change(
        self: &Arc<Self>,
        permit: Permit,
        plan: impl FnOnce(&Self, &World, &Permit) -> Result<Plan, ChangeError> + Send + 'static,
    ) -> Result<Changed, ChangeError> {
        let core = Arc::clone(self);
        let task = traced::spawn(async move {
            let _alone = core.changing.lock().await;
            let world = core.world();
            let worker = Arc::clone(&core);
            let changed = traced::spawn_blocking(move || {
                // What the caller may do can have changed while it waited.
                let permit = permit.again(&world).map_err(ChangeError::Permit)?;
                let plan = plan(&worker, &world, &permit)?;
                worker.commit(&permit.actor(), &world, plan)
            });
            let changed = changed.await.unwrap_or(Err(ChangeError::Broken));
            changed.inspect_err(|error| match error {
                ChangeError::Refused(_)
                | ChangeError::NotPermitted(_)
                | ChangeError::Permit(_)
                | ChangeError::NotFound(_) => {
                    core.metrics.changes_refused.count();
                }
                ChangeError::Store(_) | ChangeError::Broken => core.metrics.store_failures.count(),
            })
        });
        task.await.unwrap_or(Err(ChangeError::Broken))
    }

    fn commit(&self, actor: &Actor, world: &World, plan: Plan) -> Result<Changed, ChangeError> {
        let warnings = plan.compiled.warnings.clone();
        let all = plan.changes.iter();
        let documents: Vec<_> = all
            .map(|(key, change)| document_change(key, *change))
            .collect();
        let (puts, deletes) = writes(&plan);
        let changed = puts.len() + deletes.len();
        let audit = audit(actor, world, &plan, &puts);
        if changed == 0 {
            return Ok(Changed {
                generation: world.generation,
                documents,
                warnings,
            });
        }
        let fingerprint = fingerprint(&plan.compiled, &world.bundle, &world.revoked);
        crash_point!(ApplyPlanned);
        let generation = self
            .store
            .commit(world.generation, &fingerprint, &puts, &deletes, &audit)
            .map_err(ChangeError::Store)?;
        crash_point!(ApplyStored);
        let (compiled, in_force) = (plan.compiled, plan.documents);
        self.world.send_replace(Arc::new(World {
            generation,
            documents: in_force,
            compiled,
            bundle: Arc::clone(&world.bundle),
            revoked: Arc::clone(&world.revoked),
            shared: Made::default(),
        }));
        crash_point!(ApplyInForce);
        tracing::info!(generation, changed, "documents changed");
        let unchanged = i32::from(v1::Change::Unchanged);
        let listed = documents
            .iter()
            .filter(|d| d.change != unchanged)
            .cloned()
            .collect();
        let event = v1::DocumentsChanged {
            generation,
            documents: listed,
        };
        self.events.record("", EventKind::DocumentsChanged(event));
        Ok(Changed {
            generation,
            documents,
            warnings,
        })
    }
}

/// What is to be written and deleted.
fn writes(plan: &Plan) -> (Vec<DocumentRecord>, Vec<DocumentKey>) {
    let (mut puts, mut deletes) = (Vec::new(), Vec::new());
    for (key, change) in &plan.changes {
        let stored = DocumentKey {
            kind: key.0.as_str().to_owned(),
            name: key.1.as_str().to_owned(),
        };
        match plan.documents.get(key) {
            _ if *change == v1::Change::Unchanged => {}
            Some(document) => {
                puts.push(DocumentRecord {
                    key: stored,
                    json: document.to_json().to_string(),
                });
            }
            None => deletes.push(stored),
        }
    }
    (puts, deletes)
}

/// An entry for each document that changes.
fn audit(actor: &Actor, world: &World, plan: &Plan, puts: &[DocumentRecord]) -> Vec<AuditEntry> {
    let changed = |(_, change): &&(Key, v1::Change)| *change != v1::Change::Unchanged;
    let entry = |((kind, name), change): &(Key, v1::Change)| {
        let action = match change {
            v1::Change::Created => "document-created",
            v1::Change::Deleted => "document-deleted",
            _ => "document-updated",
        };
        let is = |put: &&DocumentRecord| {
            (put.key.kind.as_str(), put.key.name.as_str()) == (kind.as_str(), name.as_str())
        };
        let digest = puts
            .iter()
            .find(is)
            .map(|put| hex(&Sha256::digest(&put.json)));
        let detail = json!({"generation": world.generation + 1, "sha256": digest});
        AuditEntry::now(actor, action, &format!("{kind}/{name}"), &detail)
    };
    plan.changes.iter().filter(changed).map(entry).collect()
}

pub(crate) fn document_change(key: &Key, change: v1::Change) -> v1::DocumentChange {
    v1::DocumentChange {
        kind: crate::convert::kind(key.0).into(),
        name: key.1.as_str().to_owned(),
        change: change.into(),
    }
}

/// A call to the store that gave nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreFailure {
    #[error(transparent)]
    Store(StoreError),
    #[error("a call to the store panicked")]
    Panicked,
}

/// Callers learn that the store failed; the log says how.
impl From<StoreFailure> for Status {
    fn from(failure: StoreFailure) -> Self {
        tracing::error!(error = %failure, "the store failed");
        if matches!(failure, StoreFailure::Store(StoreError::Full)) {
            return ErrorCode::StoreFull.status(format!("nothing was changed: {failure}"));
        }
        ErrorCode::Internal.status("the control plane's store failed; see its log")
    }
}
