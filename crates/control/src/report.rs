//! What a node reports of itself: kept as long as the node reports, bounded, and cleaned of what a terminal would act on.

use std::collections::BTreeMap;

use tidelock_proto::v1;
use tidelock_proto::v1::event::Kind;
use tidelock_proto::v1::report_request::Report;

/// How many live flows of one node are kept. More are counted as lost.
pub(crate) const MAX_FLOWS_PER_NODE: usize = 65_536;

/// How many live grants of one node are kept.
pub(crate) const MAX_GRANTS_PER_NODE: usize = 65_536;

/// How many SVIDs of one node are kept: one for each entry, and those of templates.
pub(crate) const MAX_SVIDS_PER_NODE: usize =
    crate::document::MAX_IDENTITIES_PER_NODE + tidelock_proto::MAX_FILLED_IDS_PER_NODE;

/// Longest text that a node may report, in bytes: a path's length.
const MAX_TEXT_BYTES: usize = 4_096;

/// The state of a node as it last reported it.
#[derive(Debug, Default)]
pub(crate) struct Reported {
    pub(crate) agent_version: String,
    pub(crate) module_version: String,
    pub(crate) kernel_release: String,
    pub(crate) applied_generation: u64,
    /// By subject and entry.
    pub(crate) grants: BTreeMap<(u64, String), v1::Grant>,
    /// By entry and SPIFFE ID.
    pub(crate) svids: BTreeMap<(String, String), v1::Svid>,
    /// By flow.
    pub(crate) flows: BTreeMap<u64, v1::Flow>,
    state_seen: bool,
}

/// A report that cannot be taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ReportError {
    #[error("the message holds no report")]
    Empty,
    #[error("the first report of a stream has to be a NodeState")]
    StateFirst,
}

impl Reported {
    /// Forgets what is only true while the node reports.
    pub(crate) fn forget_live(&mut self) {
        self.grants.clear();
        self.svids.clear();
        self.flows.clear();
        self.state_seen = false;
    }

    /// Takes one report in; gives the event that it makes.
    pub(crate) fn take(&mut self, report: Option<Report>) -> Result<Option<Kind>, ReportError> {
        let report = report.ok_or(ReportError::Empty)?;
        if !self.state_seen && !matches!(report, Report::State(_)) {
            return Err(ReportError::StateFirst);
        }
        Ok(Some(match report {
            Report::State(state) => {
                self.replace(state);
                return Ok(None);
            }
            Report::Granted(mut grant) => {
                clean_grant(&mut grant);
                self.keep_grant(grant.clone());
                Kind::Granted(grant)
            }
            Report::GrantEnded(mut ended) => {
                clean(&mut [&mut ended.entry_id, &mut ended.reason]);
                self.grants.remove(&(ended.subject, ended.entry_id.clone()));
                Kind::GrantEnded(ended)
            }
            Report::GrantRefused(mut refused) => {
                clean_process(refused.process.as_mut());
                clean(&mut [&mut refused.entry_id, &mut refused.reason]);
                Kind::GrantRefused(refused)
            }
            Report::SvidInstalled(mut svid) => {
                clean_svid(&mut svid);
                self.keep_svid(svid.clone());
                Kind::SvidInstalled(svid)
            }
            Report::SvidGone(gone) => {
                let is = |entry: &str, id: &str| {
                    entry == gone.entry_id && (gone.spiffe_id.is_empty() || id == gone.spiffe_id)
                };
                self.svids.retain(|(entry, id), _| !is(entry, id));
                return Ok(None);
            }
            Report::FlowOpened(mut flow) => {
                clean_flow(&mut flow);
                self.keep_flow(flow.clone());
                Kind::FlowOpened(flow)
            }
            Report::FlowClosed(closed) => {
                self.flows.remove(&closed.flow);
                Kind::FlowClosed(closed)
            }
            Report::Denied(mut denied) => {
                clean_denied(&mut denied);
                Kind::Denied(denied)
            }
            Report::ConfigApplied(applied) => {
                self.applied_generation = applied.generation;
                Kind::ConfigApplied(applied)
            }
            Report::RecordRefused(mut refused) => {
                clean(&mut [&mut refused.reason]);
                Kind::RecordRefused(refused)
            }
            Report::RecordsLost(lost) => Kind::RecordsLost(lost),
        }))
    }

    fn replace(&mut self, mut state: v1::NodeState) {
        clean(&mut [
            &mut state.agent_version,
            &mut state.module_version,
            &mut state.kernel_release,
        ]);
        self.forget_live();
        self.state_seen = true;
        self.agent_version = state.agent_version;
        self.module_version = state.module_version;
        self.kernel_release = state.kernel_release;
        self.applied_generation = state.applied_generation;
        for mut grant in state.grants {
            clean_grant(&mut grant);
            self.keep_grant(grant);
        }
        for mut svid in state.svids {
            clean_svid(&mut svid);
            self.keep_svid(svid);
        }
        for mut flow in state.flows {
            clean_flow(&mut flow);
            self.keep_flow(flow);
        }
    }

    fn keep_grant(&mut self, grant: v1::Grant) {
        let subject = grant.process.as_ref().map_or(0, |p| p.subject);
        let key = (subject, grant.entry_id.clone());
        if self.grants.len() < MAX_GRANTS_PER_NODE || self.grants.contains_key(&key) {
            self.grants.insert(key, grant);
        }
    }

    fn keep_svid(&mut self, svid: v1::Svid) {
        let key = (svid.entry_id.clone(), svid.spiffe_id.clone());
        if self.svids.len() < MAX_SVIDS_PER_NODE || self.svids.contains_key(&key) {
            self.svids.insert(key, svid);
        }
    }

    fn keep_flow(&mut self, flow: v1::Flow) {
        if self.flows.len() < MAX_FLOWS_PER_NODE || self.flows.contains_key(&flow.id) {
            self.flows.insert(flow.id, flow);
        }
    }
}

fn clean_process(process: Option<&mut v1::Process>) {
    if let Some(process) = process {
        clean(&mut [&mut process.exe, &mut process.script]);
    }
}

fn clean_grant(grant: &mut v1::Grant) {
    clean_process(grant.process.as_mut());
    clean(&mut [&mut grant.entry_id, &mut grant.spiffe_id]);
}

fn clean_svid(svid: &mut v1::Svid) {
    clean(&mut [&mut svid.entry_id, &mut svid.spiffe_id]);
    clean_serial(&mut svid.serial);
}

fn clean_flow(flow: &mut v1::Flow) {
    clean_process(flow.process.as_mut());
    let v1::Flow {
        local,
        remote,
        service,
        local_id,
        peer_id,
        suite,
        ..
    } = flow;
    clean(&mut [local, remote, service, local_id, peer_id, suite]);
    clean_serial(&mut flow.local_serial);
    clean_serial(&mut flow.peer_serial);
}

fn clean_denied(denied: &mut v1::Denied) {
    clean_process(denied.process.as_mut());
    let v1::Denied {
        local,
        remote,
        service,
        local_id,
        peer_id,
        detail,
        ..
    } = denied;
    clean(&mut [local, remote, service, local_id, peer_id, detail]);
}

fn clean_serial(serial: &mut Vec<u8>) {
    serial.truncate(tidelock_spiffe_core::x509::MAX_SERIAL_BYTES);
}

/// A text as [`Reported`] would keep it.
pub(crate) fn cleaned(text: &str) -> String {
    let mut text = text.to_owned();
    clean(&mut [&mut text]);
    text
}

/// Cuts texts to size and takes control characters out: they end up on administrators' terminals, and file names on a node
/// are chosen by whoever may write there.
fn clean(texts: &mut [&mut String]) {
    for text in texts {
        if text.len() > MAX_TEXT_BYTES {
            let end = (0..=MAX_TEXT_BYTES)
                .rev()
                .find(|&at| text.is_char_boundary(at))
                .unwrap_or(0);
            text.truncate(end);
        }
        if text.contains(char::is_control) {
            **text = text.replace(char::is_control, "\u{fffd}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported() -> Reported {
        let mut reported = Reported::default();
        let state = v1::NodeState {
            agent_version: "1".into(),
            ..Default::default()
        };
        assert_eq!(reported.take(Some(Report::State(state))), Ok(None));
        reported
    }

    #[test]
    fn the_first_report_is_the_state() {
        let closed = || Some(Report::FlowClosed(v1::FlowClosed::default()));
        assert_eq!(
            Reported::default().take(closed()),
            Err(ReportError::StateFirst)
        );
        assert_eq!(Reported::default().take(None), Err(ReportError::Empty));
        assert!(reported().take(closed()).is_ok());
        let mut forgotten = reported();
        forgotten.forget_live();
        assert_eq!(forgotten.take(closed()), Err(ReportError::StateFirst));
    }

    #[test]
    fn flows_live_from_opened_to_closed() {
        let mut reported = reported();
        let flow = |id| v1::Flow {
            id,
            ..Default::default()
        };
        for id in [1, 2] {
            reported
                .take(Some(Report::FlowOpened(flow(id))))
                .expect("taken");
        }
        reported
            .take(Some(Report::FlowClosed(v1::FlowClosed {
                flow: 1,
                ..Default::default()
            })))
            .expect("taken");
        assert_eq!(reported.flows.keys().copied().collect::<Vec<_>>(), [2]);
        let state = v1::NodeState {
            flows: vec![flow(9)],
            ..Default::default()
        };
        reported.take(Some(Report::State(state))).expect("taken");
        assert_eq!(reported.flows.keys().copied().collect::<Vec<_>>(), [9]);
    }

    #[test]
    fn what_a_node_reports_is_bounded() {
        let mut reported = reported();
        for id in 0..MAX_FLOWS_PER_NODE as u64 + 5 {
            reported.keep_flow(v1::Flow {
                id,
                ..Default::default()
            });
        }
        assert_eq!(reported.flows.len(), MAX_FLOWS_PER_NODE);
    }

    #[test]
    fn each_id_of_an_entry_has_its_svid_and_goes_by_itself() {
        let mut reported = reported();
        let svid = |id: &str| v1::Svid {
            entry_id: "e".into(),
            spiffe_id: id.into(),
            ..Default::default()
        };
        let gone = |id: &str| {
            let (entry_id, spiffe_id) = ("e".into(), id.into());
            Some(Report::SvidGone(v1::SvidGone {
                entry_id,
                spiffe_id,
            }))
        };
        for id in ["a", "b", "c"] {
            let installed = Report::SvidInstalled(svid(id));
            reported.take(Some(installed)).expect("taken");
        }
        reported.take(gone("b")).expect("taken");
        let left: Vec<_> = reported.svids.values().cloned().collect();
        assert_eq!(left, [svid("a"), svid("c")]);
        reported.take(gone("")).expect("taken");
        assert!(reported.svids.is_empty());
    }

    #[test]
    fn texts_are_cut_and_cleaned() {
        let mut long = "é".repeat(MAX_TEXT_BYTES);
        let mut escape = "/tmp/\u{1b}[2Jx\n".to_owned();
        clean(&mut [&mut long, &mut escape]);
        assert_eq!(long.len(), MAX_TEXT_BYTES);
        assert_eq!(escape, "/tmp/\u{fffd}[2Jx\u{fffd}");
    }
}
