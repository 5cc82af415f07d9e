//! What happened lately: numbered, kept in memory and in the store, and passed on to whoever follows.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prost::Message as _;
use tidelock_proto::v1::event::Kind;
use tidelock_proto::v1::{Event, EventsLost};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;

use crate::clock;
use crate::store::{EventRecord, Store, StoreError};

/// How many events are kept, in memory and in the store.
pub const MAX_KEPT_EVENTS: u32 = 10_000;

/// How many events may wait to be written before further ones are kept in memory only.
const MAX_UNWRITTEN_EVENTS: u32 = 4_096;

/// How many events are written in one transaction.
const MAX_BATCH_EVENTS: usize = 256;

/// How far a follower may fall behind before it loses events.
const MAX_FOLLOWER_LAG: usize = 4_096;

/// The log of events. Recording one neither waits nor fails.
#[derive(Debug)]
pub(crate) struct Events {
    ring: Mutex<Ring>,
    live: broadcast::Sender<Arc<Event>>,
    writer: mpsc::Sender<Arc<Event>>,
    unwritten: AtomicU64,
}

#[derive(Debug)]
struct Ring {
    next_seq: u64,
    events: VecDeque<Arc<Event>>,
}

/// Events so far, and those to come.
pub(crate) type Followed = (Vec<Arc<Event>>, broadcast::Receiver<Arc<Event>>);

impl Events {
    /// Takes up where the store ends, and starts the task that writes. It ends when the log is dropped and everything is
    /// written.
    pub(crate) fn start(store: Arc<dyn Store>) -> Result<(Arc<Self>, JoinHandle<()>), StoreError> {
        let records = store.recent_events(MAX_KEPT_EVENTS)?;
        // Events that were given a number but not written before a crash: their numbers are not used again.
        let next_seq = records
            .last()
            .map_or(1, |r| r.seq + 1 + u64::from(MAX_UNWRITTEN_EVENTS));
        let events = records
            .iter()
            .filter_map(|r| Event::decode(r.bytes.as_slice()).ok())
            .map(Arc::new)
            .collect();
        let (writer, jobs) = mpsc::channel(MAX_UNWRITTEN_EVENTS as usize);
        let log = Arc::new(Self {
            ring: Mutex::new(Ring { next_seq, events }),
            live: broadcast::Sender::new(MAX_FOLLOWER_LAG),
            writer,
            unwritten: AtomicU64::new(0),
        });
        let writer = tokio::spawn(write(store, jobs));
        Ok((log, writer))
    }

    /// Records an event that happens now. `node` is empty if none is concerned.
    pub(crate) fn record(&self, node: &str, kind: Kind) {
        self.record_at(clock::unix_nanos(), node, kind);
    }

    /// Records an event that happened at a given time.
    pub(crate) fn record_at(&self, time_unix_ns: u64, node: &str, kind: Kind) {
        let lost = self.unwritten.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(
                lost,
                "more events than the store takes: these are not kept over a restart"
            );
            self.push(
                clock::unix_nanos(),
                "",
                Kind::EventsLost(EventsLost { count: lost }),
            );
        }
        self.push(time_unix_ns, node, kind);
    }

    fn push(&self, time_unix_ns: u64, node: &str, kind: Kind) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let event = Arc::new(Event {
            seq: ring.next_seq,
            time_unix_ns,
            node: node.to_owned(),
            kind: Some(kind),
        });
        ring.next_seq += 1;
        if ring.events.len() >= MAX_KEPT_EVENTS as usize {
            ring.events.pop_front();
        }
        ring.events.push_back(Arc::clone(&event));
        // Under the lock, so that followers and the store see events in order. No receiver is no error.
        let _ = self.live.send(Arc::clone(&event));
        if self.writer.try_send(event).is_err() {
            self.unwritten.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The events kept with a number above `after`, and a receiver that misses none of those to come.
    pub(crate) fn follow(&self, after: u64) -> Followed {
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = ring
            .events
            .iter()
            .filter(|e| e.seq > after)
            .cloned()
            .collect();
        (kept, self.live.subscribe())
    }
}

async fn write(store: Arc<dyn Store>, mut events: mpsc::Receiver<Arc<Event>>) {
    let mut batch = Vec::with_capacity(MAX_BATCH_EVENTS);
    while events.recv_many(&mut batch, MAX_BATCH_EVENTS).await > 0 {
        let record = |event: Arc<Event>| EventRecord {
            seq: event.seq,
            bytes: event.encode_to_vec(),
        };
        let records: Vec<_> = batch.drain(..).map(record).collect();
        let store = Arc::clone(&store);
        let written =
            tokio::task::spawn_blocking(move || store.append_events(&records, MAX_KEPT_EVENTS));
        match written.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "events cannot be written"),
            Err(error) => tracing::error!(%error, "events cannot be written"),
        }
    }
}
