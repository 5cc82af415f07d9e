//! `audit`: what was changed and issued, and whether the log of it is whole.

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::json;
use tidelock_proto::v1::{ListAuditRequest, VerifyAuditRequest};

use crate::args::{AuditCommand, Noted, Output};
use crate::connect::{Admin, refusal};
use crate::span;
use crate::view::audit as view;

/// Lists the log or checks it. A log that is broken is told, and an exit status of 1.
pub(crate) async fn audit(
    admin: &mut Admin,
    command: AuditCommand,
    output: Output,
) -> anyhow::Result<ExitCode> {
    match command {
        AuditCommand::List { after, limit, all } => {
            let request = ListAuditRequest {
                after_seq: after.unwrap_or(0),
                limit: if all { 0 } else { limit },
                newest: after.is_none(),
            };
            list(admin, request, output).await?;
            Ok(ExitCode::SUCCESS)
        }
        AuditCommand::Verify { noted } => verify(admin, noted, output).await,
    }
}

async fn list(admin: &mut Admin, request: ListAuditRequest, output: Output) -> anyhow::Result<()> {
    let answer = admin.list_audit(request).await;
    let mut entries = answer.map_err(refusal)?.into_inner();
    if output == Output::Table {
        write!(std::io::stdout(), "{}", view::HEADER)?;
    }
    while let Some(entry) = entries.message().await.map_err(refusal)? {
        let row = view::row(entry);
        let mut out = std::io::stdout().lock();
        match output {
            Output::Table => write!(out, "{}", view::line(&row))?,
            Output::Json => writeln!(out, "{}", serde_json::to_string(&row)?)?,
        }
    }
    Ok(())
}

async fn verify(
    admin: &mut Admin,
    noted: Option<Noted>,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let (noted_seq, noted_hash) = noted
        .map(|noted| (noted.seq, noted.hash))
        .unwrap_or_default();
    let request = VerifyAuditRequest {
        noted_seq,
        noted_hash,
    };
    let answer = admin.verify_audit(request).await;
    let answer = answer.map_err(refusal)?.into_inner();
    let whole = answer.broken_seq == 0 && answer.broken.is_empty();
    let head = format!("{}:{}", answer.seq, view::hash(&answer.hash));
    let mut out = std::io::stdout().lock();
    match output {
        Output::Json => {
            let broken = json!({"seq": answer.broken_seq, "why": answer.broken});
            let json = json!({
                "whole": whole,
                "broken": (!whole).then_some(broken),
                "entries": answer.seq,
                "head": head,
                "checked": span::rfc3339(span::now_secs()),
            });
            writeln!(out, "{json}")?;
        }
        Output::Table if whole => {
            let entries = answer.seq;
            writeln!(out, "whole: {entries} entries\nhead {head}")?;
        }
        Output::Table => eprintln!("the audit log is broken: {}", answer.broken),
    }
    Ok(if whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
