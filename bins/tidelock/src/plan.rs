//! `plan` and `diff`: what a change would do, before it is made.
//!
//! Exit status, as `kubectl diff` has it: 0 nothing would change, 1 something would, 2 refused or failed.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use tidelock_proto::v1::{PlanRequest, plan_response};

use crate::apply::{NO_ANSWER, errors_json, read_all, tell_errors, tell_warnings};
use crate::args::Output;
use crate::connect::{Admin, refusal};
use crate::view::plan::{self as view, PlanView};

/// Something would change.
const DIFFERENT: u8 = 1;

/// Refused or failed: not to be taken for a difference.
pub(crate) const FAILED: u8 = 2;

/// How much is told of each document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Depth {
    /// What becomes of it.
    Summary,
    /// Each line that changes too.
    Lines,
}

/// Tells what applying these files, or deleting what they hold, would do.
pub(crate) async fn plan(
    admin: &mut Admin,
    files: &[impl AsRef<Path>],
    deletion: bool,
    depth: Depth,
    output: Output,
) -> anyhow::Result<ExitCode> {
    let files = read_all(files)?;
    let request = PlanRequest { files, deletion };
    let answer = admin.plan(request).await.map_err(refusal)?.into_inner();
    let planned = match answer.result {
        Some(plan_response::Result::Planned(planned)) => planned,
        Some(plan_response::Result::Refused(refused)) => {
            tell_errors(&refused.errors, output)?;
            return Ok(ExitCode::from(FAILED));
        }
        None => bail!(NO_ANSWER),
    };
    let plan = PlanView::new(planned);
    if output == Output::Table {
        tell_warnings(&answer.warnings);
    }
    let mut out = std::io::stdout().lock();
    match (output, depth) {
        (Output::Json, _) => {
            let mut told = serde_json::to_value(&plan)?;
            told["warnings"] = errors_json(&answer.warnings);
            writeln!(out, "{told}")?;
        }
        (Output::Table, Depth::Summary) => write!(out, "{}", view::summary(&plan))?,
        (Output::Table, Depth::Lines) => write!(out, "{}", view::lines(&plan))?,
    }
    Ok(if plan.changes() {
        ExitCode::from(DIFFERENT)
    } else {
        ExitCode::SUCCESS
    })
}
