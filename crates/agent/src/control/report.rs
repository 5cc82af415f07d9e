//! Telling the control plane what happens, and again after it was away.

use std::collections::VecDeque;

use tidelock_proto::v1::report_request::Report;
use tidelock_proto::v1::{RecordsLost, ReportRequest};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::{Client, words};

/// Reports kept while the control plane is away; of more, the oldest are dropped and counted.
const MAX_KEPT: usize = 4096;
/// Reports on their way from the core to here.
const MAX_QUEUED: usize = 4096;
/// Reports handed to a stream that did not take them yet.
const MAX_STREAMED: usize = 16;

/// Where reports go in.
#[derive(Debug)]
pub(crate) struct Reporter {
    queue: mpsc::Sender<ReportRequest>,
    dropped: u64,
}

/// Where reports are kept and sent from.
#[derive(Debug)]
pub(crate) struct Reports {
    queue: mpsc::Receiver<ReportRequest>,
    client: watch::Receiver<Option<Client>>,
    /// Asks for a fresh state of the node, which then comes through the queue.
    want_state: mpsc::Sender<()>,
    kept: Kept,
}

/// A bounded memory of reports that could not be sent.
#[derive(Debug, Default)]
struct Kept {
    reports: VecDeque<ReportRequest>,
    dropped: u64,
}

impl Reporter {
    /// Takes a report. Never waits: what does not fit is counted, and told with the next that does.
    pub(crate) fn report(&mut self, report: ReportRequest) {
        if self.dropped > 0 && self.queue.try_send(lost(self.dropped)).is_ok() {
            self.dropped = 0;
        }
        if self.queue.try_send(report).is_err() {
            self.dropped += 1;
        }
    }
}

impl Reports {
    pub(crate) fn new(
        client: watch::Receiver<Option<Client>>,
        want_state: mpsc::Sender<()>,
    ) -> (Reporter, Self) {
        let (sender, queue) = mpsc::channel(MAX_QUEUED);
        let reporter = Reporter {
            queue: sender,
            dropped: 0,
        };
        let reports = Self {
            queue,
            client,
            want_state,
            kept: Kept::default(),
        };
        (reporter, reports)
    }

    /// Sends reports while there is a control plane, keeps them while there is none. Ends with the agent.
    pub(crate) async fn run(mut self) {
        while let Some(client) = self.wait_for_client().await {
            let ended = self.stream(client).await;
            if self.queue.is_closed() {
                return;
            }
            tracing::debug!("reports pause: {ended}");
            // The link finds out by itself that the connection is gone, and brings another.
            tokio::select! {
                _ = self.client.changed() => {}
                () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
            }
        }
    }

    async fn wait_for_client(&mut self) -> Option<Client> {
        loop {
            if let Some(client) = self.client.borrow_and_update().clone() {
                return Some(client);
            }
            tokio::select! {
                changed = self.client.changed() => changed.ok()?,
                report = self.queue.recv() => self.kept.keep(report?),
            }
        }
    }

    /// Streams until the stream or the connection ends; says why.
    async fn stream(&mut self, mut client: Client) -> String {
        let (stream, reports) = mpsc::channel(MAX_STREAMED);
        let call = client.report(ReceiverStream::new(reports));
        tokio::pin!(call);
        tokio::select! {
            ended = &mut call => match ended {
                Ok(_) => "the control plane ended the stream".into(),
                Err(status) => words(&status),
            },
            why = self.feed(&stream) => why.into(),
        }
    }

    async fn feed(&mut self, stream: &mpsc::Sender<ReportRequest>) -> &'static str {
        const ENDED: &str = "the stream ended";
        const AGENT_ENDS: &str = "the agent ends";
        let Some(state) = self.fresh_state().await else {
            return AGENT_ENDS;
        };
        // First what is; then what was meanwhile, in order; then, since that disturbed it, what is, again.
        let after = (!self.kept.is_empty()).then(|| state.clone());
        if stream.send(state).await.is_err() {
            return ENDED;
        }
        while let Some(report) = self.kept.next() {
            if stream.send(report).await.is_err() {
                return ENDED;
            }
        }
        if let Some(state) = after
            && stream.send(state).await.is_err()
        {
            return ENDED;
        }
        loop {
            tokio::select! {
                report = self.queue.recv() => {
                    let Some(report) = report else {
                        return AGENT_ENDS;
                    };
                    if let Err(unsent) = stream.send(report).await {
                        self.kept.keep(unsent.0);
                        return ENDED;
                    }
                }
                _ = self.client.changed() => return "there is a newer connection",
            }
        }
    }

    /// The node's state as of now; what came before it in the queue is kept.
    async fn fresh_state(&mut self) -> Option<ReportRequest> {
        self.want_state.send(()).await.ok()?;
        loop {
            let report = self.queue.recv().await?;
            if matches!(report.report, Some(Report::State(_))) {
                return Some(report);
            }
            self.kept.keep(report);
        }
    }
}

impl Kept {
    fn keep(&mut self, report: ReportRequest) {
        // States are told anew; keeping old ones is of no use.
        if matches!(report.report, Some(Report::State(_))) {
            return;
        }
        if self.reports.len() >= MAX_KEPT {
            self.reports.pop_front();
            self.dropped += 1;
        }
        self.reports.push_back(report);
    }

    fn next(&mut self) -> Option<ReportRequest> {
        match std::mem::take(&mut self.dropped) {
            0 => self.reports.pop_front(),
            count => Some(lost(count)),
        }
    }

    fn is_empty(&self) -> bool {
        self.reports.is_empty() && self.dropped == 0
    }
}

fn lost(count: u64) -> ReportRequest {
    ReportRequest {
        time_unix_ns: 0,
        report: Some(Report::RecordsLost(RecordsLost { count })),
    }
}

#[cfg(test)]
mod tests {
    use tidelock_proto::v1::{NodeState, SvidGone};

    use super::*;

    fn gone(number: usize) -> ReportRequest {
        let entry_id = number.to_string();
        ReportRequest {
            time_unix_ns: 1,
            report: Some(Report::SvidGone(SvidGone {
                entry_id,
                ..SvidGone::default()
            })),
        }
    }

    #[test]
    fn the_oldest_reports_are_dropped_and_their_number_is_told_first() {
        let mut kept = Kept::default();
        for number in 0..MAX_KEPT + 3 {
            kept.keep(gone(number));
        }
        assert_eq!(kept.next(), Some(lost(3)));
        assert_eq!(kept.next(), Some(gone(3)));
        let rest = std::iter::from_fn(|| kept.next()).last();
        assert_eq!(rest, Some(gone(MAX_KEPT + 2)));
        assert!(kept.is_empty());
    }

    #[test]
    fn old_states_are_not_kept() {
        let mut kept = Kept::default();
        kept.keep(ReportRequest {
            time_unix_ns: 0,
            report: Some(Report::State(NodeState::default())),
        });
        assert!(kept.is_empty());
    }

    #[tokio::test]
    async fn a_full_queue_never_blocks_the_core_and_what_is_lost_is_told() {
        let (_client, watch) = watch::channel(None);
        let (want_state, _wanted) = mpsc::channel(1);
        let (mut reporter, mut reports) = Reports::new(watch, want_state);
        for number in 0..MAX_QUEUED + 2 {
            reporter.report(gone(number));
        }
        for number in 0..MAX_QUEUED {
            assert_eq!(reports.queue.try_recv(), Ok(gone(number)));
        }
        reporter.report(gone(9));
        assert_eq!(reports.queue.try_recv(), Ok(lost(2)));
        assert_eq!(reports.queue.try_recv(), Ok(gone(9)));
    }
}
