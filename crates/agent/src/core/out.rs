//! What the core wants done, oldest first.

use std::collections::VecDeque;

use tidelock_proto::v1::report_request::Report;

use super::clock::Now;
use super::io::Output;

/// A queue of outputs.
#[derive(Debug, Default)]
pub(super) struct Out(VecDeque<Output>);

impl Out {
    pub(super) fn push(&mut self, output: Output) {
        self.0.push_back(output);
    }

    pub(super) fn extend(&mut self, outputs: impl IntoIterator<Item = Output>) {
        self.0.extend(outputs);
    }

    /// Tells the control plane something that happens now.
    pub(super) fn report(&mut self, now: Now, report: Report) {
        self.report_at(now.wall_unix_ns, report);
    }

    /// Tells the control plane something that happened at `time_unix_ns`.
    pub(super) fn report_at(&mut self, time_unix_ns: u64, report: Report) {
        self.push(Output::Report {
            time_unix_ns,
            report: Box::new(report),
        });
    }

    pub(super) fn pop(&mut self) -> Option<Output> {
        self.0.pop_front()
    }

    /// Drops what was meant for a session that is over.
    pub(super) fn drop_session(&mut self) {
        self.0.retain(|output| {
            !matches!(
                output,
                Output::Write(_) | Output::Measure { .. } | Output::Look { .. } | Output::Reopen(_)
            )
        });
    }
}
