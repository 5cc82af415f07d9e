//! `get policies`.

use serde::Serialize;
use tidelock_proto::v1::GetPoliciesResponse;

use crate::table::Table;

/// A Policy document and its text.
#[derive(Debug, Serialize)]
pub(crate) struct PolicyView {
    name: String,
    cedar: String,
}

/// Rows in the order the control plane gave them.
pub(crate) fn rows(answer: GetPoliciesResponse) -> Vec<PolicyView> {
    answer
        .policies
        .into_iter()
        .map(|policy| PolicyView {
            name: policy.name,
            cedar: policy.cedar,
        })
        .collect()
}

/// Longest excerpt of a policy's text in a table, in characters.
const EXCERPT_CHARS: usize = 100;

/// Name, size, and the first words; JSON has the whole text.
pub(crate) fn table(rows: &[PolicyView]) -> Table {
    let mut table = Table::new(&["NAME", "LINES", "BEGINS"]);
    for row in rows {
        table.row([
            row.name.clone(),
            row.cedar.lines().count().to_string(),
            excerpt(&row.cedar),
        ]);
    }
    table
}

fn excerpt(cedar: &str) -> String {
    let words: Vec<_> = cedar
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(str::split_whitespace)
        .collect();
    let text = words.join(" ");
    match text.char_indices().nth(EXCERPT_CHARS) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_shows_how_a_policy_begins_without_comments() {
        let rows = [PolicyView {
            name: "web".into(),
            cedar: "// who may\npermit (principal,\n  action, resource);\n".into(),
        }];
        assert_eq!(
            table(&rows).to_string(),
            "NAME  LINES  BEGINS\nweb   3      permit (principal, action, resource);\n"
        );
    }

    #[test]
    fn long_policies_are_cut_between_characters() {
        let text = excerpt(&"é".repeat(300));
        assert_eq!(text.chars().count(), EXCERPT_CHARS + 1);
    }
}
