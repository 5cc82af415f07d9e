//! `policy suggest`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use tidelock_policy::tools;

use super::files;
use crate::args::Output;

/// Prints the least policy that permits the flows that were seen.
pub(super) fn suggest(paths: &[PathBuf], denied: bool, output: Output) -> anyhow::Result<ExitCode> {
    let (mut seen, mut incomplete) = (Vec::new(), 0);
    for path in paths {
        let (name, text, _) = files::read(path)?;
        match tools::read_flows(&name, &text, denied) {
            Ok(flows) => {
                seen.extend(flows.seen);
                incomplete += flows.incomplete;
            }
            Err(error) => return Ok(files::tell_file_errors(&[error], output)),
        }
    }
    let cedar = tools::suggest(&seen);
    let mut out = std::io::stdout().lock();
    match output {
        Output::Table => {
            write!(out, "{cedar}")?;
            let left_out = match incomplete {
                0 => String::new(),
                some => format!(", {some} left out that lack an identity, a Service or an address"),
            };
            eprintln!("of {} flows{left_out}", seen.len());
        }
        Output::Json => writeln!(
            out,
            "{}",
            json!({"cedar": cedar, "flows": seen.len(), "incomplete": incomplete})
        )?,
    }
    Ok(ExitCode::SUCCESS)
}
