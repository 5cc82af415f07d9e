//! Live flows of this node, as the kernel tells of them.

use std::collections::BTreeMap;

use tidelock_kabi::{Denial, FlowClosed, FlowInfo, Role};
use tidelock_proto::v1 as proto;
use tidelock_proto::v1::report_request::Report;

use super::out::Out;
use super::subjects::Subjects;

/// Every live flow that the kernel told of in this session. The kernel bounds how many there are.
#[derive(Debug, Default)]
pub(super) struct Flows(BTreeMap<u64, proto::Flow>);

impl Flows {
    /// A flow is established.
    pub(super) fn opened(&mut self, flow: &FlowInfo<'_>, subjects: &Subjects, out: &mut Out) {
        let process = flow
            .subject
            .and_then(|subject| subjects.describe(subject))
            .unwrap_or_else(|| proto::Process {
                subject: flow.subject.unwrap_or(0),
                pid: flow.pid,
                ..proto::Process::default()
            });
        let report = proto::Flow {
            id: flow.flow,
            process: Some(process),
            role: role(flow.role).into(),
            local: flow.local.to_string(),
            remote: flow.remote.to_string(),
            service: text(flow.service),
            local_id: text(flow.local_id),
            peer_id: text(flow.peer_id),
            local_serial: flow.local_serial.to_vec(),
            peer_serial: flow.peer_serial.to_vec(),
            suite: suite(flow.suite),
            opened_unix_ns: flow.time_ns,
        };
        self.0.insert(flow.flow, report.clone());
        out.report_at(flow.time_ns, Report::FlowOpened(report));
    }

    /// A flow ended.
    pub(super) fn closed(&mut self, closed: &FlowClosed, out: &mut Out) {
        self.0.remove(&closed.flow);
        let report = proto::FlowClosed {
            flow: closed.flow,
            subject: closed.subject.unwrap_or(0),
            reason: reason(closed.reason.number()),
        };
        out.report_at(closed.time_ns, Report::FlowClosed(report));
    }

    /// Every live flow.
    pub(super) fn report(&self) -> Vec<proto::Flow> {
        self.0.values().cloned().collect()
    }
}

/// Tells of a flow that was refused.
pub(super) fn denied(denial: &Denial<'_>, subjects: &Subjects, out: &mut Out) {
    let known = denial
        .subject
        .and_then(|subject| subjects.describe(subject));
    let process = proto::Process {
        subject: denial.subject.unwrap_or(0),
        pid: denial.pid,
        uid: denial.uid,
        ..known.unwrap_or_default()
    };
    let report = proto::Denied {
        process: Some(process),
        role: role(denial.role).into(),
        local: denial.local.to_string(),
        remote: denial.remote.to_string(),
        service: text(denial.service),
        local_id: text(denial.local_id),
        peer_id: text(denial.peer_id),
        reason: reason(denial.reason.number()),
        detail: denial.detail.to_owned(),
    };
    out.report_at(denial.time_ns, Report::Denied(report));
}

fn role(role: Role) -> proto::Role {
    match role {
        Role::Client => proto::Role::Client,
        Role::Server => proto::Role::Server,
    }
}

fn text(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

/// The numbers of both contracts are the same; see the test.
fn reason(number: u32) -> i32 {
    i32::try_from(number).unwrap_or_default()
}

/// The name of a TLS 1.3 cipher suite (RFC 8446 §B.4).
fn suite(number: u32) -> String {
    match number {
        0x1301 => "TLS13_AES_128_GCM_SHA256".into(),
        0x1302 => "TLS13_AES_256_GCM_SHA384".into(),
        0x1303 => "TLS13_CHACHA20_POLY1305_SHA256".into(),
        0 => String::new(),
        other => format!("0x{other:04x}"),
    }
}

#[cfg(test)]
mod tests {
    use tidelock_kabi::DenyReason;

    use super::*;

    #[test]
    fn both_contracts_number_reasons_alike() {
        let name = |reason: proto::DenyReason| {
            let name = reason.as_str_name().trim_start_matches("DENY_REASON_");
            name.replace('_', "").to_lowercase()
        };
        for number in 1..=64 {
            let theirs = DenyReason::from_number(number);
            let ours = proto::DenyReason::try_from(reason(number)).ok();
            let (theirs, ours) = (
                theirs.map(|r| format!("{r:?}").to_lowercase()),
                ours.map(name),
            );
            assert_eq!(theirs, ours, "{number}");
        }
    }

    #[test]
    fn suites_have_their_names() {
        assert_eq!(suite(0x1301), "TLS13_AES_128_GCM_SHA256");
        assert_eq!(suite(0x1399), "0x1399");
    }
}
