//! `get policies`.

use serde::Serialize;
use tidelock_proto::v1::{GetPoliciesResponse, PolicyMode};

use crate::table::Table;

/// A Policy document and its text.
#[derive(Debug, Serialize)]
pub(crate) struct PolicyView {
    name: String,
    mode: &'static str,
    cedar: String,
}

/// Rows in the order the control plane gave them.
pub(crate) fn rows(answer: GetPoliciesResponse) -> Vec<PolicyView> {
    answer
        .policies
        .into_iter()
        .map(|policy| PolicyView {
            mode: mode(policy.mode),
            name: policy.name,
            cedar: policy.cedar,
        })
        .collect()
}

/// As documents write it.
fn mode(mode: i32) -> &'static str {
    match PolicyMode::try_from(mode) {
        Ok(PolicyMode::Observe) => "observe",
        // A control plane that says nothing knows of nothing else.
        Ok(PolicyMode::Enforce | PolicyMode::Unspecified) => "enforce",
        Err(_) => "unknown",
    }
}

/// Longest excerpt of a policy's text in a table, in characters.
const EXCERPT_CHARS: usize = 100;

/// Name, mode, size, and the first words; JSON has the whole text.
pub(crate) fn table(rows: &[PolicyView]) -> Table {
    let mut table = Table::new(&["NAME", "MODE", "LINES", "BEGINS"]);
    for row in rows {
        table.row([
            row.name.clone(),
            row.mode.to_owned(),
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
            mode: mode(PolicyMode::Observe.into()),
            cedar: "// who may\npermit (principal,\n  action, resource);\n".into(),
        }];
        assert_eq!(
            table(&rows).to_string(),
            "NAME  MODE     LINES  BEGINS\nweb   observe  3      permit (principal, action, resource);\n"
        );
    }

    #[test]
    fn what_an_older_control_plane_has_is_enforced_and_what_a_newer_has_is_unknown() {
        assert_eq!(
            (mode(0), mode(1), mode(9)),
            ("enforce", "enforce", "unknown")
        );
    }

    #[test]
    fn long_policies_are_cut_between_characters() {
        let text = excerpt(&"é".repeat(300));
        assert_eq!(text.chars().count(), EXCERPT_CHARS + 1);
    }
}
