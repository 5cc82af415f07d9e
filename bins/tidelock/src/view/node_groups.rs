//! `get nodegroups`.

use serde::Serialize;
use tidelock_proto::v1::{GetNodeGroupsResponse, NodeGroupView};

use crate::table::Table;

/// A NodeGroup, and which identities are for it.
#[derive(Debug, Serialize)]
pub(crate) struct NodeGroupRow {
    name: String,
    nodes: Vec<String>,
    identities: Vec<String>,
}

/// Rows in the order the control plane gave them.
pub(crate) fn rows(answer: GetNodeGroupsResponse) -> Vec<NodeGroupRow> {
    answer.groups.into_iter().map(row).collect()
}

fn row(group: NodeGroupView) -> NodeGroupRow {
    NodeGroupRow {
        name: group.name,
        nodes: group.nodes,
        identities: group.identities,
    }
}

/// Name, nodes, identities.
pub(crate) fn table(rows: &[NodeGroupRow]) -> Table {
    let mut table = Table::new(&["NAME", "NODES", "IDENTITIES"]);
    for row in rows {
        table.row([
            row.name.clone(),
            row.nodes.join(" "),
            row.identities.join(" "),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_nodes_and_who_names_the_group() {
        let answer = GetNodeGroupsResponse {
            groups: vec![NodeGroupView {
                name: "edge".into(),
                nodes: vec!["n1".into(), "n2".into()],
                identities: vec![],
            }],
        };
        assert_eq!(
            table(&rows(answer)).to_string(),
            "NAME  NODES  IDENTITIES\nedge  n1 n2  -\n"
        );
    }
}
