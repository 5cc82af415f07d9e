//! `get nodes`.

use serde::Serialize;
use tidelock_proto::v1::{GetNodesResponse, NodeView};

use super::{joined_by, known, known_number};
use crate::span;
use crate::table::Table;

/// A node that joined.
#[derive(Debug, Serialize)]
pub(crate) struct NodeRow {
    name: String,
    spiffe_id: String,
    connected: bool,
    remote: Option<String>,
    attested: Option<String>,
    joined_by: Option<&'static str>,
    certificate_allowed: bool,
    svid_not_after: Option<String>,
    sent_generation: Option<u64>,
    applied_generation: Option<u64>,
    agent_version: Option<String>,
    module_version: Option<String>,
    kernel_release: Option<String>,
    grants: u32,
    flows: u32,
    #[serde(skip)]
    svid_not_after_secs: i64,
}

/// Rows in the order the control plane gave them.
pub(crate) fn rows(answer: GetNodesResponse) -> Vec<NodeRow> {
    answer.nodes.into_iter().map(row).collect()
}

fn row(node: NodeView) -> NodeRow {
    NodeRow {
        name: node.name,
        spiffe_id: node.spiffe_id,
        connected: node.connected,
        remote: known(node.remote),
        attested: span::rfc3339(node.attested_unix_secs),
        joined_by: joined_by(node.joined_by),
        certificate_allowed: node.certificate_allowed,
        svid_not_after: span::rfc3339(node.svid_not_after_unix_secs),
        svid_not_after_secs: node.svid_not_after_unix_secs,
        sent_generation: known_number(node.sent_generation),
        applied_generation: known_number(node.applied_generation),
        agent_version: known(node.agent_version),
        module_version: known(node.module_version),
        kernel_release: known(node.kernel_release),
        grants: node.grants,
        flows: node.flows,
    }
}

/// Name, whether connected, generation in force, what is live, versions.
pub(crate) fn table(rows: &[NodeRow], now_secs: i64) -> Table {
    let mut table = Table::new(&[
        "NAME",
        "STATE",
        "GENERATION",
        "PROCESSES",
        "FLOWS",
        "SVID FOR",
        "AGENT",
        "MODULE",
        "KERNEL",
        "FROM",
        "JOINED BY",
    ]);
    for row in rows {
        table.row([
            row.name.clone(),
            if row.connected { "connected" } else { "away" }.into(),
            generation(row),
            row.grants.to_string(),
            row.flows.to_string(),
            span::left(row.svid_not_after_secs, now_secs),
            row.agent_version.clone().unwrap_or_default(),
            row.module_version.clone().unwrap_or_default(),
            row.kernel_release.clone().unwrap_or_default(),
            row.remote.clone().unwrap_or_default(),
            row.joined_by.unwrap_or_default().into(),
        ]);
    }
    table
}

/// `7` once enforced, `6 (7 sent)` until then.
fn generation(row: &NodeRow) -> String {
    match (row.applied_generation, row.sent_generation) {
        (applied, Some(sent)) if applied != Some(sent) => {
            format!("{} ({sent} sent)", applied.unwrap_or(0))
        }
        (Some(applied), _) => applied.to_string(),
        (None, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use tidelock_proto::v1::JoinedBy;

    use super::*;

    fn node(sent: u64, applied: u64) -> NodeView {
        NodeView {
            name: "n1".into(),
            connected: true,
            sent_generation: sent,
            applied_generation: applied,
            svid_not_after_unix_secs: 160,
            grants: 2,
            joined_by: JoinedBy::X509pop.into(),
            ..NodeView::default()
        }
    }

    #[test]
    fn a_generation_not_yet_enforced_is_shown_beside_the_one_that_is() {
        assert_eq!(generation(&row(node(7, 7))), "7");
        assert_eq!(generation(&row(node(7, 6))), "6 (7 sent)");
        assert_eq!(generation(&row(node(7, 0))), "0 (7 sent)");
        assert_eq!(generation(&row(node(0, 6))), "6");
        assert_eq!(generation(&row(node(0, 0))), "");
    }

    #[test]
    fn the_table_shows_state_and_what_is_live() {
        let rows = rows(GetNodesResponse {
            nodes: vec![node(7, 7)],
        });
        assert_eq!(
            table(&rows, 100).to_string(),
            "NAME  STATE      GENERATION  PROCESSES  FLOWS  SVID FOR  AGENT  MODULE  KERNEL  FROM  JOINED BY\n\
             n1    connected  7           2          0      1m00s     -      -       -       -     x509pop\n"
        );
    }
}
