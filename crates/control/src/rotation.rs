//! Moving authorities through their lives: one change at a time, in the store first, then in force.

use std::sync::Arc;

use tidelock_ca::{Command, LifecycleError, State};
use tidelock_proto::v1;
use tidelock_proto::v1::event::Kind as EventKind;

use crate::audit::Actor;
use crate::authority::{self, AuthorityError, Draft, Kind, Moved};
use crate::clock;
use crate::core::Core;
use crate::roles::{Permit, Refusal};
use crate::store::StoreError;
use crate::traced;
use crate::world::{World, fingerprint};

/// What is to be done with the authorities.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// What time brings.
    PassTime,
    Prepare(Kind),
    /// `despite_nodes`: even if some that are connected do not say that they know it.
    Activate {
        id: String,
        despite_nodes: bool,
    },
    Taint {
        id: String,
    },
    Revoke {
        id: String,
    },
}

/// What became of the authority that a step was about; `None` for the step that is about none.
#[derive(Debug)]
pub(crate) struct Stepped {
    pub(crate) authority: Option<v1::X509Authority>,
    pub(crate) jwt_authority: Option<v1::JwtAuthority>,
    pub(crate) generation: u64,
}

/// Why a step was not taken. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    NotPermitted(Refusal),
    /// Some nodes would refuse what it signs.
    #[error("{} enforce{} a configuration without it: {}", count(.0), if .0.len() == 1 { "s" } else { "" }, .0.join(", "))]
    Nodes(Vec<String>),
    #[error("the change failed; see the control plane's log")]
    Broken,
}

impl From<LifecycleError> for StepError {
    fn from(error: LifecycleError) -> Self {
        Self::Authority(error.into())
    }
}

fn count(nodes: &[String]) -> String {
    match nodes.len() {
        1 => "one node that is connected still".to_owned(),
        n => format!("{n} nodes that are connected still"),
    }
}

impl Core {
    /// Takes one step, to its end even if the caller goes away; `None`: nobody calls, time has passed.
    pub(crate) async fn step(
        self: &Arc<Self>,
        caller: Option<Permit>,
        step: Step,
    ) -> Result<Stepped, StepError> {
        let core = Arc::clone(self);
        let task = traced::spawn(async move {
            let _alone = core.changing.lock().await;
            let worker = Arc::clone(&core);
            let taken = traced::spawn_blocking(move || {
                let _span = traced::rotating(&step).entered();
                worker.take(caller.as_ref(), &step)
            });
            taken.await.unwrap_or(Err(StepError::Broken))
        });
        task.await.unwrap_or(Err(StepError::Broken))
    }

    fn take(&self, caller: Option<&Permit>, step: &Step) -> Result<Stepped, StepError> {
        let world = self.world();
        let actor = match caller {
            None => Actor::Control,
            // What the caller may do can have changed while it waited.
            Some(permit) => permit
                .again(&world)
                .map_err(StepError::NotPermitted)?
                .actor(),
        };
        let (now, said) = (clock::unix_secs(), world.compiled.lives.authorities);
        // Before a key is made, or one destroyed.
        self.watched.believes(now).map_err(StoreError::from)?;
        let mut draft = Draft::new(&self.authority, now, world.generation, said);
        let id = self.draft(&mut draft, step)?;
        let generation = self.put_in_force(&world, &actor, draft)?;
        let (x509, jwt) = (self.authority.views(), self.authority.jwt_views());
        let this = |view: &str| id.as_deref() == Some(view);
        Ok(Stepped {
            authority: x509.into_iter().find(|view| this(&view.id)),
            jwt_authority: jwt.into_iter().find(|view| this(&view.id)),
            generation,
        })
    }

    fn draft(&self, draft: &mut Draft<'_>, step: &Step) -> Result<Option<String>, StepError> {
        let (id, command) = match step {
            Step::PassTime => return Ok(draft.pass_time().map(|()| None)?),
            Step::Prepare(kind) => return Ok(Some(draft.prepare(*kind)?)),
            Step::Activate { id, despite_nodes } => {
                if !despite_nodes {
                    self.nodes_know(id)?;
                }
                (id, Command::Activate { id: id.clone() })
            }
            Step::Taint { id } => (id, Command::Taint { id: id.clone() }),
            Step::Revoke { id } => (id, Command::Revoke { id: id.clone() }),
        };
        draft.handle(self.authority.ring().kind(id), command)?;
        Ok(Some(id.clone()))
    }

    /// Time alone does not make a node know an authority: each that is connected has to have said that it enforces a
    /// configuration with it.
    fn nodes_know(&self, id: &str) -> Result<(), StepError> {
        let Some(generation) = self.authority.ring().generation(id) else {
            return Ok(());
        };
        let mut behind = Vec::new();
        self.nodes.visit(|name, node| {
            if node.connected() && node.reported.applied_generation < generation {
                behind.push(name.to_string());
            }
        });
        match behind.is_empty() {
            true => Ok(()),
            false => Err(StepError::Nodes(behind)),
        }
    }

    /// Into the store, then to where connections are believed, then to nodes: nobody meets what is signed with a new key
    /// before being told of it.
    fn put_in_force(
        &self,
        world: &World,
        actor: &Actor,
        draft: Draft<'_>,
    ) -> Result<u64, StepError> {
        let moved = draft.moved();
        if moved.is_empty() {
            return Ok(world.generation);
        }
        let bundle = draft.bundle();
        let news = bundle != *world.bundle;
        let fingerprint = news.then(|| fingerprint(&world.compiled, &bundle, &world.revoked));
        let fingerprint = fingerprint.as_ref().map(|digest| &digest[..]);
        let (stored, audit) = (draft.stored(), draft.audit(actor));
        crash_point!(RotateDrafted);
        let generation =
            self.store
                .put_authorities(world.generation, fingerprint, &stored, &audit)?;
        crash_point!(RotateStored);
        draft.put_in_force();
        crash_point!(RotateInForce);
        // Before the news are pushed: whoever is believed no more hears nothing of them.
        if news {
            self.believe();
        }
        crash_point!(RotateBelieved);
        if news {
            self.world.send_replace(Arc::new(World {
                generation,
                bundle: Arc::new(bundle),
                ..world.clone()
            }));
        }
        crash_point!(RotateTold);
        self.tell(&moved);
        Ok(generation)
    }

    /// Believes from now on what the bundle says.
    fn believe(&self) {
        let certificates = self.authority.ring().certificates();
        if let Err(error) = self.tls.trust(&certificates) {
            tracing::error!(%error, "TLS does not take the authorities");
        }
        if let Err(error) = self.authority.publish() {
            tracing::error!(%error, "the bundle's file is not what the bundle is");
        }
    }

    fn tell(&self, moved: &[Moved]) {
        // What the server shows is renewed like everything else that a tainted authority signed.
        if any_to(moved, State::Tainted) || any_to(moved, State::Revoked) {
            self.renew_certificate.notify_one();
        }
        for Moved { kind, id, state } in moved {
            tracing::info!(id, kind = kind.as_str(), ?state, "an authority's life");
            let state = state.map_or(v1::AuthorityState::Unspecified, authority::state);
            let event = v1::AuthorityMoved {
                id: id.clone(),
                state: state.into(),
                kind: kind.message().into(),
            };
            self.events.record("", EventKind::AuthorityMoved(event));
        }
    }
}

/// Whether a certificate came to this state: TLS rests on no key of the other kind.
fn any_to(moved: &[Moved], wanted: State) -> bool {
    let is_to = |one: &Moved| one.kind == Kind::X509 && one.state == Some(wanted);
    moved.iter().any(is_to)
}
