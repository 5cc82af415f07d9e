//! `audit`: what was changed and issued, and whether the log of it is whole.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;
use tidelock_proto::audit::{AuditHead, Broken, Chain};
use tidelock_proto::v1::{ListAuditRequest, VerifyAuditRequest, VerifyAuditResponse};

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

/// What is wrong with a log, and from which entry on.
struct Wrong {
    seq: u64,
    why: String,
}

async fn verify(
    admin: &mut Admin,
    noted: Option<Noted>,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let noted = noted.map(AuditHead::try_from).transpose()?;
    let request = VerifyAuditRequest {
        noted_seq: noted.map_or(0, |noted| noted.seq),
        noted_hash: noted.map_or_else(Vec::new, |noted| noted.hash.to_vec()),
    };
    let answer = admin.verify_audit(request).await;
    let answer = answer.map_err(refusal)?.into_inner();
    let wrong = match said(&answer)? {
        Ok(end) => follow(admin, end, noted).await?.err(),
        Err(wrong) => Some(wrong),
    };
    let head = format!("{}:{}", answer.seq, view::hash(&answer.hash));
    let mut out = std::io::stdout().lock();
    match (output, &wrong) {
        (Output::Json, _) => {
            let broken = wrong.as_ref();
            let broken = broken.map(|wrong| json!({"seq": wrong.seq, "why": wrong.why}));
            let json = json!({
                "whole": wrong.is_none(),
                "broken": broken,
                "entries": answer.seq,
                "head": head,
                "checked": span::rfc3339(span::now_secs()),
            });
            writeln!(out, "{json}")?;
        }
        (Output::Table, None) => {
            let entries = answer.seq;
            writeln!(out, "whole: {entries} entries\nhead {head}")?;
        }
        (Output::Table, Some(wrong)) => eprintln!("the audit log is broken: {}", wrong.why),
    }
    Ok(match wrong {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    })
}

/// What the control plane says of its log: where it ends, or what is wrong.
fn said(answer: &VerifyAuditResponse) -> anyhow::Result<Result<AuditHead, Wrong>> {
    let (seq, why) = (answer.broken_seq, answer.broken.clone());
    if seq != 0 || !why.is_empty() {
        return Ok(Err(Wrong { seq, why }));
    }
    let hash = answer.hash.as_slice().try_into();
    let hash = hash.context("the control plane does not say where its audit log ends")?;
    let seq = answer.seq;
    Ok(Ok(AuditHead { seq, hash }))
}

/// Makes the chain anew of what the control plane lists, up to where it says that the log ends: so it cannot say of a log that it
/// is whole, or the one that was noted, which is not.
async fn follow(
    admin: &mut Admin,
    end: AuditHead,
    noted: Option<AuditHead>,
) -> anyhow::Result<Result<(), Wrong>> {
    let mut chain = Chain::new(end, noted);
    let listed = admin.list_audit(ListAuditRequest::default()).await;
    let mut entries = listed.map_err(refusal)?.into_inner();
    // What was written meanwhile lies behind the end.
    while chain.seen() < end.seq {
        let Some(entry) = entries.message().await.map_err(refusal)? else {
            break;
        };
        if let Err(broken) = chain.take(&entry) {
            return Ok(Err(contradicted(broken)));
        }
    }
    Ok(chain.finish().map(drop).map_err(contradicted))
}

fn contradicted(broken: Broken) -> Wrong {
    Wrong {
        seq: broken.seq(),
        why: format!("{broken}; the control plane says that it is whole"),
    }
}

impl TryFrom<Noted> for AuditHead {
    type Error = anyhow::Error;

    fn try_from(noted: Noted) -> anyhow::Result<Self> {
        let hash = noted.hash.as_slice().try_into();
        let hash = hash.context("a hash has 32 bytes")?;
        let seq = noted.seq;
        Ok(Self { seq, hash })
    }
}
