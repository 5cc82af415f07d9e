//! `get flows`.

use serde::Serialize;
use tidelock_proto::v1::{Flow, GetFlowsResponse, Role};

use super::process::{self, ProcessView};
use super::{hex, known, reason};
use crate::span;
use crate::table::Table;

/// A flow on one node. Both ends of a flow between two nodes are each a row.
#[derive(Debug, Serialize)]
pub(crate) struct FlowView {
    node: Option<String>,
    id: u64,
    role: &'static str,
    service: Option<String>,
    client_id: Option<String>,
    server_id: Option<String>,
    local: String,
    remote: String,
    local_serial: String,
    peer_serial: String,
    suite: Option<String>,
    /// Nothing is proved on the wire, as the mode of the Service permits.
    plain: bool,
    opened: Option<String>,
    process: ProcessView,
    #[serde(skip)]
    opened_secs: i64,
}

impl FlowView {
    pub(crate) fn new(node: Option<String>, flow: Flow) -> Self {
        let (client_id, server_id) = if flow.role == i32::from(Role::Server) {
            (flow.peer_id, flow.local_id)
        } else {
            (flow.local_id, flow.peer_id)
        };
        Self {
            node,
            id: flow.id,
            role: reason::role(flow.role),
            service: known(flow.service),
            client_id: known(client_id),
            server_id: known(server_id),
            local: flow.local,
            remote: flow.remote,
            local_serial: hex(&flow.local_serial),
            peer_serial: hex(&flow.peer_serial),
            plain: flow.suite.is_empty(),
            suite: known(flow.suite),
            opened: span::rfc3339_ns(flow.opened_unix_ns),
            opened_secs: span::secs(flow.opened_unix_ns),
            process: process::view(flow.process),
        }
    }

    /// Whom a table shows at one end. In a flow in plain the other end has proved nothing.
    fn id(&self, id: Option<&String>, unknown: &str) -> String {
        match id {
            Some(id) => id.clone(),
            None if self.plain => "(plain)".into(),
            None => unknown.into(),
        }
    }

    /// One line for `events`.
    pub(crate) fn text(&self) -> String {
        let shown = |id: &Option<String>| self.id(id.as_ref(), "?");
        format!(
            "{} -> {} ({}) as {}, {} to {}",
            shown(&self.client_id),
            shown(&self.server_id),
            self.service.as_deref().unwrap_or("?"),
            self.role,
            self.local,
            self.remote,
        )
    }
}

/// Rows in the order the control plane gave them.
pub(crate) fn rows(answer: GetFlowsResponse) -> Vec<FlowView> {
    answer
        .flows
        .into_iter()
        .map(|flow| FlowView::new(known(flow.node), flow.flow.unwrap_or_default()))
        .collect()
}

/// Node, service, both identities, both ends, process, age.
pub(crate) fn table(rows: &[FlowView], now_secs: i64) -> Table {
    let mut table = Table::new(&[
        "NODE", "SERVICE", "CLIENT", "SERVER", "LOCAL", "REMOTE", "ROLE", "AGE", "PROCESS",
    ]);
    for row in rows {
        table.row([
            row.node.clone().unwrap_or_default(),
            row.service.clone().unwrap_or_default(),
            row.id(row.client_id.as_ref(), ""),
            row.id(row.server_id.as_ref(), ""),
            row.local.clone(),
            row.remote.clone(),
            row.role.into(),
            span::age(row.opened_secs, now_secs),
            row.process.text(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use tidelock_proto::v1::{NodeFlow, Process};

    use super::*;

    fn answer(role: Role) -> GetFlowsResponse {
        let flow = Flow {
            id: 9,
            process: Some(Process {
                pid: 12,
                exe: "/usr/bin/curl".into(),
                ..Process::default()
            }),
            role: role.into(),
            local: "10.0.0.2:40000".into(),
            remote: "10.0.0.1:80".into(),
            service: "web".into(),
            local_id: "spiffe://td/me".into(),
            peer_id: "spiffe://td/peer".into(),
            local_serial: vec![0x0a, 0xff],
            suite: "TLS13_AES_128_GCM_SHA256".into(),
            opened_unix_ns: 100_000_000_000,
            ..Flow::default()
        };
        GetFlowsResponse {
            flows: vec![NodeFlow {
                node: "n1".into(),
                flow: Some(flow),
            }],
        }
    }

    #[test]
    fn the_role_decides_which_id_is_the_clients() {
        let client = rows(answer(Role::Client));
        assert_eq!(client[0].client_id.as_deref(), Some("spiffe://td/me"));
        assert_eq!(client[0].server_id.as_deref(), Some("spiffe://td/peer"));
        let server = rows(answer(Role::Server));
        assert_eq!(server[0].client_id.as_deref(), Some("spiffe://td/peer"));
        assert_eq!(server[0].server_id.as_deref(), Some("spiffe://td/me"));
    }

    #[test]
    fn the_table_shows_both_ids_both_ends_and_age() {
        let text = table(&rows(answer(Role::Client)), 165).to_string();
        assert_eq!(
            text,
            "NODE  SERVICE  CLIENT          SERVER            LOCAL           REMOTE       ROLE    AGE    PROCESS\n\
             n1    web      spiffe://td/me  spiffe://td/peer  10.0.0.2:40000  10.0.0.1:80  client  1m05s  /usr/bin/curl[12]\n"
        );
    }

    #[test]
    fn who_proved_nothing_is_shown_as_plain() {
        let mut answer = answer(Role::Server);
        let flow = answer.flows[0].flow.as_mut().unwrap();
        (flow.suite, flow.peer_id) = (String::new(), String::new());
        let rows = rows(answer);
        assert!(rows[0].plain && rows[0].suite.is_none());
        assert!(
            table(&rows, 165)
                .to_string()
                .contains("web      (plain)  spiffe://td/me")
        );
    }

    #[test]
    fn json_has_stable_names_and_null_for_not_known() {
        let json = serde_json::to_value(&rows(answer(Role::Client))[0]).unwrap();
        assert_eq!(json["client_id"], "spiffe://td/me");
        assert_eq!(json["local_serial"], "0AFF");
        assert_eq!(json["opened"], "1970-01-01T00:01:40Z");
        assert_eq!(json["process"]["pid"], 12);
        assert_eq!(json["suite"], "TLS13_AES_128_GCM_SHA256");
        assert_eq!(json["plain"], false);
        assert!(json["opened"].is_string());
        assert!(json.get("opened_secs").is_none());
    }
}
