//! `status`.

use std::fmt::Write as _;

use serde::Serialize;
use tidelock_proto::v1::GetStatusResponse;

use crate::span;

/// The control plane at a glance.
#[derive(Debug, Serialize)]
pub(crate) struct StatusView {
    trust_domain: String,
    version: String,
    generation: u64,
    started: Option<String>,
    authority_not_after: Option<String>,
    listening: Vec<String>,
    identities: u32,
    services: u32,
    policies: u32,
    policies_observed: u32,
    nodes: u32,
    nodes_connected: u32,
    processes: u32,
    flows: u32,
    #[serde(skip)]
    started_secs: i64,
    #[serde(skip)]
    authority_not_after_secs: i64,
}

/// The JSON form.
pub(crate) fn view(status: GetStatusResponse) -> StatusView {
    StatusView {
        trust_domain: status.trust_domain,
        version: status.version,
        generation: status.generation,
        started: span::rfc3339(status.started_unix_secs),
        started_secs: status.started_unix_secs,
        authority_not_after: span::rfc3339(status.authority_not_after_unix_secs),
        authority_not_after_secs: status.authority_not_after_unix_secs,
        listening: status.listening,
        identities: status.identities,
        services: status.services,
        policies: status.policies,
        policies_observed: status.policies_observed,
        nodes: status.nodes,
        nodes_connected: status.nodes_connected,
        processes: status.grants,
        flows: status.flows,
    }
}

/// The form for people: a name and a value on each line.
pub(crate) fn text(status: &StatusView, now_secs: i64) -> String {
    let lines = [
        ("trust domain", status.trust_domain.clone()),
        ("version", status.version.clone()),
        ("generation", status.generation.to_string()),
        ("running for", span::age(status.started_secs, now_secs)),
        (
            "authority for",
            span::left(status.authority_not_after_secs, now_secs),
        ),
        ("listening", status.listening.join(" ")),
        (
            "nodes",
            format!("{} ({} connected)", status.nodes, status.nodes_connected),
        ),
        (
            "identities",
            format!("{} ({} processes)", status.identities, status.processes),
        ),
        ("services", status.services.to_string()),
        ("policies", policies(status)),
        ("flows", status.flows.to_string()),
    ];
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    lines.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name:<width$}  {value}");
        text
    })
}

/// How many there are, and how many of them only look on: an exception that nobody should forget.
fn policies(status: &StatusView) -> String {
    match status.policies_observed {
        0 => status.policies.to_string(),
        observed => format!("{} ({observed} observed)", status.policies),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_align() {
        let view = view(GetStatusResponse {
            trust_domain: "example.org".into(),
            generation: 3,
            started_unix_secs: 40,
            nodes: 2,
            nodes_connected: 1,
            policies: 3,
            policies_observed: 1,
            ..GetStatusResponse::default()
        });
        let text = text(&view, 100);
        assert!(text.starts_with("trust domain   example.org\n"), "{text}");
        assert!(text.contains("\nrunning for    1m00s\n"), "{text}");
        assert!(
            text.contains("\nnodes          2 (1 connected)\n"),
            "{text}"
        );
        assert!(text.contains("\npolicies       3 (1 observed)\n"), "{text}");
    }
}
