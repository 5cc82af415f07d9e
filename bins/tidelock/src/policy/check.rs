//! `policy check`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use tidelock_policy::compile::SCHEMA;
use tidelock_policy::tools;

use super::files;
use crate::args::Output;

/// Tells all that is wrong with the policies of files, and what is odd about them.
pub(super) fn check(paths: &[PathBuf], output: Output) -> anyhow::Result<ExitCode> {
    let read = files::cedar(paths)?;
    let sources = files::sources(&read);
    let checked = tools::check(SCHEMA, &sources);
    let mut out = std::io::stdout().lock();
    match output {
        Output::Json => writeln!(
            out,
            "{}",
            json!({
                "errors": files::errors_json(&checked.errors),
                "warnings": files::errors_json(&checked.warnings),
                "policies": checked.compiled.as_ref().map(|compiled| compiled.policies.len()),
                "image_bytes": checked.compiled.as_ref().map(|compiled| compiled.image.len()),
                "cost": checked.compiled.as_ref().map(|compiled| compiled.cost),
            })
        )?,
        Output::Table => {
            eprint!("{}", tools::show(&checked.errors, &sources));
            eprint!("{}", tools::show(&checked.warnings, &sources));
            match &checked.compiled {
                Some(compiled) => writeln!(
                    out,
                    "{} policies, an image of {} bytes, at most {} steps a decision",
                    compiled.policies.len(),
                    compiled.image.len(),
                    compiled.cost
                )?,
                None => eprintln!("{} errors", checked.errors.len()),
            }
        }
    }
    Ok(match checked.compiled {
        Some(_) => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    })
}
