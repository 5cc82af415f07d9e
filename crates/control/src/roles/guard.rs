//! What stands before the service `Admin` and before server reflection: nobody is heard, and no message read, who may not make the call at all.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use serde_json::json;
use tidelock_proto::v1;
use tidelock_proto::v1::event::Kind as EventKind;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::http::{Extensions, Request, Response};
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;
use tonic::transport::server::UdsConnectInfo;

use crate::audit::{Actor, AuditEntry};
use crate::core::Core;
use crate::name::Name;
use crate::net::{Caller, Peer};

use super::need;
use super::permit::{Permit, Refusal, Who};

/// The service behind its guard.
#[derive(Clone, Debug)]
pub(crate) struct Guarded<S> {
    core: Arc<Core>,
    inner: S,
}

impl<S> Guarded<S> {
    pub(crate) fn new(core: Arc<Core>, inner: S) -> Self {
        Self { core, inner }
    }
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        match admit(&self.core, request.uri().path(), request.extensions()) {
            Ok(permit) => {
                request.extensions_mut().insert(permit);
                Box::pin(self.inner.call(request))
            }
            Err(refused) => {
                let core = Arc::clone(&self.core);
                Box::pin(async move { Ok(refused.tell(&core).await.into_http()) })
            }
        }
    }
}

/// A call that was not let through.
struct Refused {
    call: String,
    /// Where it came from, if not from the socket.
    remote: String,
    /// Does the caller hold a key of an SVID of ours?
    ours: bool,
    why: Refusal,
}

/// Looks the caller up and holds it to the table.
fn admit(core: &Core, path: &str, extensions: &Extensions) -> Result<Permit, Refused> {
    let caller = extensions.get::<Caller>();
    let asked = need::of(path);
    let refused = |why| Refused {
        call: match asked {
            Some((call, _)) => call.to_owned(),
            None => crate::report::cleaned(path),
        },
        remote: caller.map_or_else(String::new, |caller| caller.remote.to_string()),
        ours: caller.is_some_and(|caller| caller.peer != Peer::Anonymous),
        why,
    };
    let who = who(caller, extensions.get::<UdsConnectInfo>()).map_err(refused)?;
    let Some(asked) = asked else {
        let why = "nobody may: it is not known what this call needs".to_owned();
        return Err(refused(match who {
            Who::Operator { name, .. } => Refusal::NotPermitted {
                operator: name,
                why,
            },
            Who::Local { .. } => Refusal::NoSuchCall,
        }));
    };
    core.permit(who, asked).map_err(refused)
}

/// Who calls, as TLS or the kernel says.
fn who(caller: Option<&Caller>, local: Option<&UdsConnectInfo>) -> Result<Who, Refusal> {
    let unknown = |why: &str| Err(Refusal::Unknown(why.to_owned()));
    match (caller, local) {
        (None, Some(local)) => {
            // Nobody gets here whose user the kernel does not tell.
            let user = local.peer_cred.map(|user| user.uid());
            Ok(Who::Local {
                uid: user.unwrap_or(u32::MAX),
            })
        }
        (Some(Caller { remote, peer }), None) => match peer {
            Peer::Operator {
                name,
                serial,
                not_after,
                ..
            } => Ok(Who::Operator {
                name: name.clone(),
                serial: serial.clone(),
                not_after: *not_after,
                remote: *remote,
            }),
            Peer::Anonymous => unknown("an operator's client certificate is needed"),
            Peer::Agent { node, .. } => {
                unknown(&format!("node `{node}` is no operator; the call is theirs"))
            }
            Peer::Stranger { why } => unknown(why),
        },
        _ => unknown("the connection does not tell who calls"),
    }
}

impl Refused {
    /// Says so, where that is worth something: of operators, in the audit log.
    async fn tell(self, core: &Core) -> Status {
        let Self {
            call,
            remote,
            ours,
            why,
        } = self;
        let status = Status::from(why.clone());
        let detail = why.to_string();
        tracing::warn!(remote, call, why = detail, "call refused");
        match why {
            Refusal::NotPermitted { operator, why } => {
                core.tell_refused(&operator, remote, &call, &why).await
            }
            // Anyone can bring it about who can connect.
            Refusal::Unknown(_) if ours => {
                if core.unknown_callers.take(Instant::now()).is_some() {
                    core.tell_call(call, remote, detail);
                }
            }
            Refusal::Unknown(_) | Refusal::NoSuchCall => {}
        }
        status
    }
}

impl Core {
    /// Writes down that an operator asked for what it may not have. Not each time: the log must not be for it to grow.
    pub(crate) async fn tell_refused(
        &self,
        operator: &Name,
        remote: String,
        call: &str,
        why: &str,
    ) {
        let Some(untold) = self.refused_operators.take(operator, Instant::now()) else {
            self.metrics.calls_refused.count();
            return;
        };
        let detail = json!({"why": why, "remote": remote, "untold_before": untold});
        let actor = Actor::Operator(operator.clone(), None);
        let entry = AuditEntry::now(&actor, "call-refused", call, &detail);
        if self.journal.record(entry).await.is_err() {
            self.metrics.store_failures.count();
        }
        self.tell_call(call.to_owned(), remote, format!("{actor}: {why}"));
    }

    /// Says that a caller who had been let through is not any more, or may not do just this.
    pub(crate) async fn tell_refusal(&self, permit: &Permit, refusal: Refusal) -> Status {
        if let Some(operator) = permit.operator() {
            let why = refusal.to_string();
            self.tell_refused(operator, permit.remote(), permit.call(), &why)
                .await;
        }
        refusal.into()
    }

    fn tell_call(&self, call: String, remote: String, detail: String) {
        self.metrics.calls_refused.count();
        let refused = v1::CallRefused {
            call,
            remote,
            detail,
        };
        self.events.record("", EventKind::CallRefused(refused));
    }
}
