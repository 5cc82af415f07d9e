//! `policy check`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use tidelock_kabi::bounds::MAX_POLICY_BYTES;
use tidelock_policy::compile::{Compiled, SCHEMA};
use tidelock_policy::tools;

use super::files::{self, CedarFiles};
use crate::args::Output;
use crate::table::clean;

/// Tells all that is wrong with the policies of files, and what is odd about them.
pub(super) fn check(paths: &[PathBuf], output: Output) -> anyhow::Result<ExitCode> {
    let read = files::cedar(paths)?;
    let sources = files::sources(&read.files);
    let mut checked = tools::check(SCHEMA, &sources);
    if !read.errors.is_empty() {
        // What the files lack would be missing from an image.
        checked.compiled = None;
    }
    let notes = notes(&read, checked.compiled.as_ref());
    let mut out = std::io::stdout().lock();
    match output {
        Output::Json => {
            let mut errors = files::file_errors_json(&read.errors);
            errors.extend(files::errors_json(&checked.errors));
            let mut warnings = files::errors_json(&checked.warnings);
            warnings.extend(notes.iter().map(|note| json!({ "reason": note })));
            let compiled = checked.compiled.as_ref();
            writeln!(
                out,
                "{}",
                json!({
                    "errors": errors,
                    "warnings": warnings,
                    "policies": compiled.map(|compiled| compiled.policies.len()),
                    "image_bytes": compiled.map(|compiled| compiled.image.len()),
                    "cost": compiled.map(|compiled| compiled.cost),
                })
            )?;
        }
        Output::Table => {
            if !read.errors.is_empty() {
                files::tell_file_errors(&read.errors, output);
            }
            eprint!("{}", tools::show(&checked.errors, &sources));
            eprint!("{}", tools::show(&checked.warnings, &sources));
            notes.iter().for_each(|note| eprintln!("warning: {note}"));
            match &checked.compiled {
                Some(compiled) => writeln!(
                    out,
                    "{} policies, an image of {} bytes, at most {} steps a decision",
                    compiled.policies.len(),
                    compiled.image.len(),
                    compiled.cost
                )?,
                None => eprintln!("{} errors", checked.errors.len() + read.errors.len()),
            }
        }
    }
    Ok(match checked.compiled {
        Some(_) => ExitCode::SUCCESS,
        None => ExitCode::FAILURE,
    })
}

/// What is odd, and not about one policy.
fn notes(read: &CedarFiles, compiled: Option<&Compiled>) -> Vec<String> {
    let without = read.without.iter();
    let mut notes: Vec<String> = without
        .map(|name| format!("{}: has no document of kind Policy", clean(name)))
        .collect();
    let bytes = compiled.map_or(0, |compiled| compiled.image.len());
    if bytes > MAX_POLICY_BYTES {
        notes.push(format!(
            "an image of {bytes} bytes is more than kernels take, {MAX_POLICY_BYTES}: the control plane will refuse these policies \
             together"
        ));
    }
    notes
}
