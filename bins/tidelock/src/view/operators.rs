//! `get operators`.

use serde::Serialize;
use tidelock_proto::v1::GetOperatorsResponse;

use crate::table::Table;

/// An Operator: who may do what at the control plane.
#[derive(Debug, Serialize)]
pub(crate) struct OperatorRow {
    name: String,
    spiffe_id: String,
    roles: Vec<String>,
    prefixes: Vec<String>,
}

/// Rows in the order the control plane gave them.
pub(crate) fn rows(answer: GetOperatorsResponse) -> Vec<OperatorRow> {
    let row = |one: tidelock_proto::v1::OperatorView| OperatorRow {
        name: one.name,
        spiffe_id: one.spiffe_id,
        roles: one.roles,
        prefixes: one.prefixes,
    };
    answer.operators.into_iter().map(row).collect()
}

/// Name, roles, prefixes, SPIFFE ID.
pub(crate) fn table(rows: &[OperatorRow]) -> Table {
    let mut table = Table::new(&["NAME", "ROLES", "PREFIXES", "SPIFFE ID"]);
    for row in rows {
        table.row([
            row.name.clone(),
            row.roles.join(" "),
            row.prefixes.join(" "),
            row.spiffe_id.clone(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use tidelock_proto::v1::OperatorView;

    use super::*;

    #[test]
    fn the_table_shows_what_each_may_do_and_where() {
        let answer = GetOperatorsResponse {
            operators: vec![OperatorView {
                name: "bob".into(),
                spiffe_id: "spiffe://td/tidelock/operator/bob".into(),
                roles: vec!["editor".into(), "revoker".into()],
                prefixes: vec!["/payments".into()],
            }],
        };
        assert_eq!(
            table(&rows(answer)).to_string(),
            "NAME  ROLES           PREFIXES   SPIFFE ID\n\
             bob   editor revoker  /payments  spiffe://td/tidelock/operator/bob\n"
        );
    }
}
