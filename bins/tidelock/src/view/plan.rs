//! `plan` and `diff`: what would become of documents, and of whom.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;
use tidelock_proto::v1::plan_response::Planned;
use tidelock_proto::v1::{Access, AccessKind, PlannedDocument, PlannedIdentity};

use super::documents::{change_name, kind_name};
use super::{diff, yaml};
use crate::table::clean;

/// What a change would do.
#[derive(Debug, Serialize)]
pub(crate) struct PlanView {
    generation: u64,
    documents: Vec<DocumentView>,
    lost: Vec<AccessView>,
    gained: Vec<AccessView>,
    identities: Vec<IdentityView>,
    flows_cut: u32,
    access_left_out: bool,
}

#[derive(Debug, Serialize)]
struct DocumentView {
    kind: &'static str,
    name: String,
    change: &'static str,
    before: Option<Value>,
    after: Option<Value>,
}

#[derive(Debug, Serialize)]
struct AccessView {
    spiffe_id: String,
    action: &'static str,
    service: String,
    ports: Vec<u32>,
}

#[derive(Debug, Serialize)]
struct IdentityView {
    identity: String,
    spiffe_id: String,
    node: String,
    processes: u32,
    appraised_anew: bool,
}

impl PlanView {
    pub(crate) fn new(planned: Planned) -> Self {
        Self {
            generation: planned.generation,
            documents: planned.documents.into_iter().map(document).collect(),
            lost: planned.lost.into_iter().map(access).collect(),
            gained: planned.gained.into_iter().map(access).collect(),
            identities: planned.identities.into_iter().map(identity).collect(),
            flows_cut: planned.flows_cut,
            access_left_out: planned.access_left_out,
        }
    }

    /// Whether anything would.
    pub(crate) fn changes(&self) -> bool {
        self.documents.iter().any(|one| one.change != "unchanged")
    }
}

fn document(planned: PlannedDocument) -> DocumentView {
    let change = planned.change.unwrap_or_default();
    let parse = |text: String| serde_json::from_str(&text).ok();
    DocumentView {
        kind: kind_name(change.kind),
        change: change_name(change.change),
        name: change.name,
        before: parse(planned.before),
        after: parse(planned.after),
    }
}

fn access(access: Access) -> AccessView {
    AccessView {
        action: match access.kind() {
            AccessKind::Serve => "serve",
            AccessKind::Connect | AccessKind::Unspecified => "connect to",
        },
        spiffe_id: access.spiffe_id,
        service: access.service,
        ports: access.ports,
    }
}

fn identity(planned: PlannedIdentity) -> IdentityView {
    IdentityView {
        identity: planned.entry_id,
        spiffe_id: planned.spiffe_id,
        node: planned.node,
        processes: planned.processes,
        appraised_anew: planned.appraised_anew,
    }
}

/// A line for each document, and who would be affected.
pub(crate) fn summary(plan: &PlanView) -> String {
    let mut text = String::new();
    for one in &plan.documents {
        let sign = match one.change {
            "created" => '+',
            "updated" => '~',
            "deleted" => '-',
            _ => ' ',
        };
        let change = match one.change {
            "unchanged" => "unchanged".to_owned(),
            change => format!("to be {change}"),
        };
        let _ = writeln!(text, "{sign} {} {} {change}", one.kind, one.name);
    }
    text + &affected(plan)
}

/// The lines of each document that would change, and who would be affected.
pub(crate) fn lines(plan: &PlanView) -> String {
    let mut text = String::new();
    for one in plan
        .documents
        .iter()
        .filter(|one| one.change != "unchanged")
    {
        let name = format!("{} {}", one.kind, one.name);
        let (before, after) = (
            yaml::text(one.before.as_ref()),
            yaml::text(one.after.as_ref()),
        );
        text.push_str(&diff::unified(&name, &before, &after));
    }
    // Kept apart from the lines, for who passes these on to a tool.
    affected(plan).lines().fold(text, |mut text, line| {
        let _ = writeln!(text, "# {line}");
        text
    })
}

fn affected(plan: &PlanView) -> String {
    let mut text = String::new();
    for (word, rights) in [("no longer", &plan.lost), ("from then on", &plan.gained)] {
        for one in rights {
            let ports: Vec<_> = one.ports.iter().map(u32::to_string).collect();
            let _ = writeln!(
                text,
                "{word}: {} may {} {} (port {})",
                clean(&one.spiffe_id),
                one.action,
                clean(&one.service),
                ports.join(", "),
            );
        }
    }
    for one in &plan.identities {
        let what = match one.appraised_anew {
            true => "are appraised anew for",
            false => "lose",
        };
        let (n, node) = (one.processes, clean(&one.node));
        let _ = writeln!(
            text,
            "live: {n} processes on {node} {what} {}",
            clean(&one.spiffe_id)
        );
    }
    if plan.flows_cut > 0 {
        let _ = writeln!(text, "live: {} flows are cut", plan.flows_cut);
    }
    if plan.access_left_out {
        text.push_str(
            "who may do what was not compared: there are too many identities and services\n",
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use tidelock_proto::v1::{Change, DocumentChange, DocumentKind};

    use super::*;

    fn planned(change: Change, before: &str, after: &str) -> PlannedDocument {
        PlannedDocument {
            change: Some(DocumentChange {
                kind: DocumentKind::Service.into(),
                name: "web".into(),
                change: change.into(),
            }),
            before: before.into(),
            after: after.into(),
        }
    }

    fn plan() -> PlanView {
        let (one, other) = (r#"{"spec":{"port":80}}"#, r#"{"spec":{"port":81}}"#);
        PlanView::new(Planned {
            generation: 4,
            documents: vec![
                planned(Change::Updated, one, other),
                planned(Change::Unchanged, one, one),
            ],
            lost: vec![Access {
                spiffe_id: "spiffe://td/a".into(),
                kind: AccessKind::Connect.into(),
                service: "web".into(),
                ports: vec![80, 82],
            }],
            identities: vec![PlannedIdentity {
                entry_id: "a".into(),
                spiffe_id: "spiffe://td/a".into(),
                node: "n1".into(),
                processes: 2,
                appraised_anew: false,
            }],
            flows_cut: 3,
            ..Planned::default()
        })
    }

    #[test]
    fn a_summary_names_documents_and_who_loses_what() {
        assert_eq!(
            summary(&plan()),
            "~ Service web to be updated\n  Service web unchanged\n\
             no longer: spiffe://td/a may connect to web (port 80, 82)\n\
             live: 2 processes on n1 lose spiffe://td/a\n\
             live: 3 flows are cut\n"
        );
        assert!(plan().changes());
    }

    #[test]
    fn lines_show_what_changes_in_a_document() {
        let lines = lines(&plan());
        assert!(lines.contains("-  port: 80\n+  port: 81\n"), "{lines}");
        assert!(lines.ends_with("# live: 3 flows are cut\n"), "{lines}");
        assert_eq!(lines.matches("@@").count(), 2, "{lines}");
    }

    #[test]
    fn nothing_changes_if_all_is_unchanged() {
        let plan = PlanView::new(Planned {
            documents: vec![planned(Change::Unchanged, "{}", "{}")],
            ..Planned::default()
        });
        assert!(!plan.changes());
        assert_eq!(lines(&plan), "");
    }
}
