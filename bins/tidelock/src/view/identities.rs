//! `get identities`.

use serde::Serialize;
use tidelock_proto::v1::selector_expression::Is;
use tidelock_proto::v1::{
    GetIdentitiesResponse, Grant, Identity, NodeGrant, NodeSvid, SelectorExpression,
    SelectorExpressions, Svid,
};

use super::process::{self, ProcessView};
use super::{hex, known, known_number};
use crate::span;
use crate::table::Table;

/// A WorkloadIdentity, where it has SVIDs, and which processes hold it.
#[derive(Debug, Serialize)]
pub(crate) struct IdentityView {
    name: String,
    spiffe_id: String,
    selectors: Vec<String>,
    ttl_secs: u32,
    /// Empty, as `node_groups` is: every node.
    nodes: Vec<String>,
    node_groups: Vec<String>,
    svids: Vec<SvidView>,
    grants: Vec<GrantView>,
}

/// An SVID that a node's kernel holds.
#[derive(Debug, Serialize)]
pub(crate) struct SvidView {
    node: Option<String>,
    identity: String,
    spiffe_id: String,
    serial: String,
    not_before: Option<String>,
    not_after: Option<String>,
}

impl SvidView {
    pub(crate) fn new(node: Option<String>, svid: Svid) -> Self {
        Self {
            node,
            identity: svid.entry_id,
            spiffe_id: svid.spiffe_id,
            serial: hex(&svid.serial),
            not_before: span::rfc3339(svid.not_before_unix_secs),
            not_after: span::rfc3339(svid.not_after_unix_secs),
        }
    }

    /// One line for `events`.
    pub(crate) fn text(&self) -> String {
        format!(
            "{} serial {} until {}",
            self.spiffe_id,
            self.serial,
            self.not_after.as_deref().unwrap_or("?")
        )
    }
}

/// A process that holds an identity.
#[derive(Debug, Serialize)]
pub(crate) struct GrantView {
    node: Option<String>,
    identity: String,
    spiffe_id: String,
    generation: u64,
    granted: Option<String>,
    /// From the evidence to the grant.
    took_ns: Option<u64>,
    process: ProcessView,
}

impl GrantView {
    pub(crate) fn new(node: Option<String>, grant: Grant) -> Self {
        Self {
            node,
            identity: grant.entry_id,
            spiffe_id: grant.spiffe_id,
            generation: grant.generation,
            granted: span::rfc3339_ns(grant.granted_unix_ns),
            took_ns: known_number(grant.took_ns),
            process: process::view(grant.process),
        }
    }

    /// One line for `events`.
    pub(crate) fn text(&self) -> String {
        format!(
            "{} is {} at generation {}",
            self.process.text(),
            self.spiffe_id,
            self.generation
        )
    }
}

/// Rows in the order the control plane gave them.
pub(crate) fn rows(answer: GetIdentitiesResponse) -> Vec<IdentityView> {
    answer.identities.into_iter().map(row).collect()
}

fn row(identity: Identity) -> IdentityView {
    let entry = identity.entry.unwrap_or_default();
    let svid = |held: NodeSvid| SvidView::new(known(held.node), held.svid.unwrap_or_default());
    let grant = |held: NodeGrant| GrantView::new(known(held.node), held.grant.unwrap_or_default());
    IdentityView {
        name: entry.id,
        spiffe_id: entry.spiffe_id,
        selectors: selectors(entry.selectors, entry.expression),
        ttl_secs: entry.x509_ttl_secs,
        nodes: identity.nodes,
        node_groups: identity.node_groups,
        svids: identity.svids.into_iter().map(svid).collect(),
        grants: identity.grants.into_iter().map(grant).collect(),
    }
}

/// All have to match: a list as it is, else the items of an expression.
fn selectors(list: Vec<String>, expression: Option<SelectorExpression>) -> Vec<String> {
    match expression.map(|of| of.is) {
        None => list,
        Some(Some(Is::AllOf(items))) => items.of.into_iter().map(text).collect(),
        Some(is) => vec![text(SelectorExpression { is })],
    }
}

/// `anyOf(unix:uid:1, not(unix:gid:2))`.
fn text(of: SelectorExpression) -> String {
    let each = |items: SelectorExpressions| {
        let texts: Vec<_> = items.of.into_iter().map(text).collect();
        texts.join(", ")
    };
    match of.is {
        None => "?".into(),
        Some(Is::Selector(selector)) => selector,
        Some(Is::AllOf(items)) => format!("allOf({})", each(items)),
        Some(Is::AnyOf(items)) => format!("anyOf({})", each(items)),
        Some(Is::Not(of)) => format!("not({})", text(*of)),
    }
}

/// Name, SPIFFE ID, life, scope, how many SVIDs and processes, selectors.
pub(crate) fn table(rows: &[IdentityView]) -> Table {
    let mut table = Table::new(&[
        "NAME",
        "SPIFFE ID",
        "TTL",
        "NODES",
        "SVIDS",
        "PROCESSES",
        "SELECTORS",
    ]);
    for row in rows {
        table.row([
            row.name.clone(),
            row.spiffe_id.clone(),
            span::short(row.ttl_secs.into()),
            nodes(row),
            row.svids.len().to_string(),
            row.grants.len().to_string(),
            row.selectors.join(" "),
        ]);
    }
    table
}

/// `n1,n2`, groups with an `@`: `@edge,n1`.
fn nodes(row: &IdentityView) -> String {
    let groups = row.node_groups.iter().map(|group| format!("@{group}"));
    let all: Vec<String> = groups.chain(row.nodes.iter().cloned()).collect();
    match all.is_empty() {
        true => "all".into(),
        false => all.join(","),
    }
}

#[cfg(test)]
mod tests {
    use tidelock_proto::v1::{Entry, Process};

    use super::*;

    fn answer() -> GetIdentitiesResponse {
        let entry = Entry {
            id: "curl".into(),
            spiffe_id: "spiffe://td/curl".into(),
            selectors: vec!["unix:path:/usr/bin/curl".into(), "unix:uid:1000".into()],
            x509_ttl_secs: 3600,
            ..Entry::default()
        };
        let grant = Grant {
            process: Some(Process {
                pid: 7,
                ..Process::default()
            }),
            entry_id: "curl".into(),
            ..Grant::default()
        };
        GetIdentitiesResponse {
            identities: vec![Identity {
                entry: Some(entry),
                nodes: vec![],
                node_groups: vec![],
                svids: vec![],
                grants: vec![NodeGrant {
                    node: "n1".into(),
                    grant: Some(grant),
                }],
            }],
        }
    }

    #[test]
    fn the_table_counts_svids_and_processes() {
        assert_eq!(
            table(&rows(answer())).to_string(),
            "NAME  SPIFFE ID         TTL    NODES  SVIDS  PROCESSES  SELECTORS\n\
             curl  spiffe://td/curl  1h00m  all    0      1          unix:path:/usr/bin/curl unix:uid:1000\n"
        );
    }

    #[test]
    fn groups_of_nodes_stand_out_from_nodes() {
        let mut answer = answer();
        answer.identities[0].nodes = vec!["n1".into()];
        answer.identities[0].node_groups = vec!["edge".into()];
        assert_eq!(nodes(&rows(answer)[0]), "@edge,n1");
    }

    #[test]
    fn operators_are_written_out() {
        let selector = |text: &str| SelectorExpression {
            is: Some(Is::Selector(text.into())),
        };
        let is = |is| SelectorExpression { is: Some(is) };
        let not = is(Is::Not(Box::new(selector("unix:gid:2"))));
        let of = vec![selector("unix:uid:1"), not];
        let any = is(Is::AnyOf(SelectorExpressions { of }));
        let of = vec![selector("unix:path:/a"), any];
        let all = is(Is::AllOf(SelectorExpressions { of }));
        assert_eq!(
            selectors(vec![], Some(all)),
            ["unix:path:/a", "anyOf(unix:uid:1, not(unix:gid:2))"]
        );
    }

    #[test]
    fn json_names_every_process() {
        let json = serde_json::to_value(rows(answer())).unwrap();
        assert_eq!(json[0]["grants"][0]["process"]["pid"], 7);
        assert_eq!(json[0]["grants"][0]["node"], "n1");
        assert!(json[0]["grants"][0]["took_ns"].is_null());
    }
}
