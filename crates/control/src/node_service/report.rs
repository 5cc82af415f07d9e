//! The stream on which a node tells what happens on it.

use std::sync::Arc;

use tidelock_proto::v1;
use tonic::{Status, Streaming};

use super::Agent;
use super::sync::ending;
use crate::core::Core;
use crate::nodes::{Open, StreamKind};

pub(super) async fn report(
    core: &Arc<Core>,
    agent: &Agent,
    mut reports: Streaming<v1::ReportRequest>,
) -> Result<v1::ReportResponse, Status> {
    let Some(mut open) = core
        .nodes
        .open(&agent.node, StreamKind::Report, agent.caller.remote)
    else {
        return Err(Status::unauthenticated("the node is gone"));
    };
    let guard = CloseOnDrop {
        core,
        open: open.clone(),
    };
    let result = loop {
        let message = tokio::select! {
            message = reports.message() => message,
            ended = open.ended() => break Err(ending(ended).1),
            () = core.stopping() => break Err(Status::unavailable("the control plane stops")),
        };
        match message {
            Ok(Some(report)) => {
                if let Err(status) = take(core, &open, report) {
                    break Err(status);
                }
            }
            Ok(None) => break Ok(v1::ReportResponse {}),
            Err(status) => break Err(status),
        }
    };
    drop(guard);
    result
}

/// The handler is dropped where it waits when the connection breaks.
struct CloseOnDrop<'a> {
    core: &'a Arc<Core>,
    open: Open,
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.core.nodes.close(&self.open);
    }
}

fn take(core: &Core, open: &Open, message: v1::ReportRequest) -> Result<(), Status> {
    let taken = core
        .nodes
        .with_stream(open, |node| node.reported.take(message.report));
    let Some(taken) = taken else {
        return Err(Status::aborted("the node opened another stream"));
    };
    match taken {
        Ok(Some(event)) if message.time_unix_ns == 0 => {
            core.events.record(open.node.as_str(), event)
        }
        Ok(Some(event)) => core
            .events
            .record_at(message.time_unix_ns, open.node.as_str(), event),
        Ok(None) => {}
        Err(error) => return Err(Status::invalid_argument(error.to_string())),
    }
    Ok(())
}
