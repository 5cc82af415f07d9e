//! The stream of events.

use std::sync::Arc;

use tidelock_proto::v1::event::Kind as EventKind;
use tidelock_proto::{ErrorCode, v1};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::clock;
use crate::core::Core;
use crate::roles::Permit;

/// How many events are on their way to a follower before the log's own buffer fills.
const STREAM_BUFFER: usize = 64;

type Sender = mpsc::Sender<Result<v1::Event, Status>>;

pub(super) fn stream(
    core: &Arc<Core>,
    permit: Permit,
    request: &v1::EventsRequest,
) -> ReceiverStream<Result<v1::Event, Status>> {
    let (sender, events) = mpsc::channel(STREAM_BUFFER);
    tokio::spawn(run(Arc::clone(core), permit, sender, *request));
    ReceiverStream::new(events)
}

async fn run(core: Arc<Core>, permit: Permit, sender: Sender, request: v1::EventsRequest) {
    let mut worlds = core.watch();
    let (kept, mut live) = core.events.follow(request.after_seq);
    let skipped = match request.tail {
        0 => 0,
        tail => kept.len().saturating_sub(tail as usize),
    };
    for event in kept.into_iter().skip(skipped) {
        if sender.send(Ok(v1::Event::clone(&event))).await.is_err() {
            return;
        }
    }
    if !request.follow {
        return;
    }
    loop {
        let next = tokio::select! {
            next = live.recv() => next,
            () = sender.closed() => return,
            // Who may not listen any more does not go on doing so.
            Ok(()) = worlds.changed() => match permit.again(&core.world()) {
                Ok(_) => continue,
                Err(refusal) => {
                    let status = core.tell_refusal(&permit, refusal).await;
                    let _ = sender.send(Err(status)).await;
                    return;
                }
            },
            () = core.stopping() => {
                let status = ErrorCode::Unavailable.status("the control plane stops");
                let _ = sender.send(Err(status)).await;
                return;
            }
        };
        let event = match next {
            Ok(event) => v1::Event::clone(&event),
            Err(RecvError::Lagged(count)) => lost(count),
            Err(RecvError::Closed) => return,
        };
        if sender.send(Ok(event)).await.is_err() {
            return;
        }
    }
}

/// What this follower missed. It is no event of the log, so it has no number.
fn lost(count: u64) -> v1::Event {
    let kind = Some(EventKind::EventsLost(v1::EventsLost { count }));
    v1::Event {
        seq: 0,
        time_unix_ns: clock::unix_nanos(),
        node: String::new(),
        kind,
    }
}
