//! The stream that tells a node its state: all of it at once, or, to an agent that says what it
//! holds, what has changed since; and again at every change.

use std::sync::Arc;

use tidelock_proto::state::HeldParts;
use tidelock_proto::v1;
use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_proto::v1::sync_response::Update;
use tokio::sync::mpsc;
use tonic::Status;

use super::{Agent, refused};
use crate::core::Core;
use crate::name::Name;
use crate::nodes::{Ended, Open, StreamKind};
use crate::unbuffered::Messages;
use crate::world::World;

/// What a node is told whose SVID is revoked.
pub(super) const REVOKED: &str = "the node's SVID was revoked; join anew with another token";

/// What the agent at the other end of a stream holds.
enum Held {
    /// It does not say, and is sent snapshots.
    Unsaid,
    /// What it has kept, or was sent last.
    Parts(HeldParts),
}

impl Held {
    fn parse(request: &v1::SyncRequest) -> Result<Self, Status> {
        let Some(held) = &request.held else {
            return Ok(Self::Unsaid);
        };
        let refused = |error| {
            Status::invalid_argument(format!("what the agent says it holds cannot be: {error}"))
        };
        HeldParts::parse(held).map(Self::Parts).map_err(refused)
    }

    /// What leads from there to what is in force, which is what it holds then.
    fn update(&mut self, world: &World, node: &Name) -> Update {
        let Self::Parts(held) = self else {
            return Update::Snapshot(world.snapshot(node));
        };
        let Some(state) = world.state(node) else {
            // With a snapshot an agent holds no parts any more.
            *held = HeldParts::default();
            return Update::Snapshot(world.snapshot(node));
        };
        let delta = state.since_held(held);
        *held = state.remembered();
        Update::Delta(delta)
    }
}

pub(super) fn sync(
    core: &Arc<Core>,
    agent: &Agent,
    request: &v1::SyncRequest,
) -> Result<Messages<v1::SyncResponse>, Status> {
    let held = Held::parse(request)?;
    let held_generation = request.held_generation;
    let generation = core.world().generation;
    if held_generation > generation {
        let detail = format!(
            "the node holds generation {held_generation}, this control plane is at {generation}: was it restored from a backup?"
        );
        tracing::error!(node = %agent.node, detail, "Sync refused");
        refused(core, &agent.caller, agent.node.as_str(), "Sync", &detail);
        return Err(Status::failed_precondition(detail));
    }
    let Some(open) = core
        .nodes
        .open(&agent.node, StreamKind::Sync, agent.caller.remote)
    else {
        return Err(Status::unauthenticated("the node is gone"));
    };
    let remote = agent.caller.remote.to_string();
    tracing::info!(node = %agent.node, remote, "node connected");
    core.events.record(
        agent.node.as_str(),
        EventKind::NodeConnected(v1::NodeConnected { remote }),
    );
    let (sender, updates) = mpsc::channel(1);
    tokio::spawn(run(Arc::clone(core), open, held, sender));
    Ok(updates)
}

async fn run(
    core: Arc<Core>,
    mut open: Open,
    held: Held,
    sender: mpsc::Sender<Result<v1::SyncResponse, Status>>,
) {
    let reason = push(&core, &mut open, held, &sender).await;
    let closed = core.nodes.close(&open);
    tracing::info!(node = %open.node, reason, "node disconnected");
    if closed {
        let event = v1::NodeDisconnected {
            reason: reason.to_owned(),
        };
        core.events
            .record(open.node.as_str(), EventKind::NodeDisconnected(event));
    }
}

/// Pushes until the stream is over; gives the reason.
async fn push(
    core: &Arc<Core>,
    open: &mut Open,
    mut held: Held,
    sender: &mpsc::Sender<Result<v1::SyncResponse, Status>>,
) -> &'static str {
    let mut world = core.watch();
    loop {
        let current = Arc::clone(&world.borrow_and_update());
        let generation = current.generation;
        let update = v1::SyncResponse {
            update: Some(held.update(&current, &open.node)),
        };
        drop(current);
        if sender.send(Ok(update)).await.is_err() {
            return "closed by the node";
        }
        core.nodes
            .with_stream(open, |node| node.sent_generation = generation);
        let over = tokio::select! {
            changed = world.changed() => match changed {
                Ok(()) => continue,
                Err(_) => stopping(),
            },
            ended = open.ended() => ending(ended),
            () = core.stopping() => stopping(),
            () = sender.closed() => return "closed by the node",
        };
        let (reason, status) = over;
        // The node may be gone by now.
        let _ = sender.send(Err(status)).await;
        return reason;
    }
}

fn stopping() -> (&'static str, Status) {
    (
        "the control plane stops",
        Status::unavailable("the control plane stops"),
    )
}

pub(super) fn ending(ended: Ended) -> (&'static str, Status) {
    let reason = match ended {
        Ended::Superseded => "the node opened another stream",
        Ended::Reattested => "the node attested anew",
        Ended::Revoked => return (REVOKED, Status::unauthenticated(REVOKED)),
    };
    (reason, Status::aborted(reason))
}
