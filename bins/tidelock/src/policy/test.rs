//! `policy test`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use tidelock_policy::tools::{self, Tested};

use super::files;
use crate::args::Output;
use crate::table::clean;

/// Asks the policies what test files ask, and tells where the answer is not the expected one.
pub(super) fn test(
    paths: &[PathBuf],
    tests: &[PathBuf],
    output: Output,
) -> anyhow::Result<ExitCode> {
    let policies = match files::compile(paths, output)? {
        Ok(policies) => policies,
        Err(status) => return Ok(status),
    };
    let (facts, mut cases, mut errors) = (files::facts(), Vec::new(), Vec::new());
    for path in tests {
        let (name, text, _) = files::read(path)?;
        match tools::read_tests(&name, &text, &facts) {
            Ok(read) => cases.extend(read),
            Err(wrong) => errors.extend(wrong),
        }
    }
    if !errors.is_empty() {
        return Ok(files::tell_file_errors(&errors, output));
    }
    let tested = tools::run_tests(&policies, &cases)?;
    let failed = tested.iter().filter(|one| !one.wrong.is_empty()).count();
    let mut out = std::io::stdout().lock();
    match output {
        Output::Table => {
            for one in &tested {
                write!(out, "{}", text(one))?;
            }
            writeln!(out, "{} passed, {failed} failed", tested.len() - failed)?;
        }
        Output::Json => {
            let cases: Vec<_> = tested.iter().map(row).collect();
            writeln!(
                out,
                "{}",
                json!({"cases": cases, "passed": tested.len() - failed, "failed": failed})
            )?;
        }
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn text(one: &Tested<'_>) -> String {
    let case = one.case;
    let word = if one.wrong.is_empty() { "ok  " } else { "FAIL" };
    let mut text = format!(
        "{word}  {}:{}: {}\n",
        case.file,
        case.line,
        clean(&case.name)
    );
    for wrong in &one.wrong {
        text.push_str(&format!("      {}\n", clean(wrong)));
    }
    if !one.wrong.is_empty() {
        for change in one.found.changes() {
            text.push_str(&format!("        {}\n", clean(&change)));
        }
    }
    text
}

fn row(one: &Tested<'_>) -> serde_json::Value {
    json!({
        "file": one.case.file,
        "line": one.case.line,
        "name": one.case.name,
        "decision": if one.found.allow() { "allow" } else { "deny" },
        "policies": one.found.determining,
        "wrong": one.wrong,
    })
}
