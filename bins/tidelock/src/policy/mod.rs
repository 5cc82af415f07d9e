//! `policy`: tools for those who write policies. They need no control plane.

mod check;
mod explain;
mod files;
mod suggest;
mod test;

use std::process::ExitCode;

use crate::args::{Output, PolicyCommand};

/// Runs one of the tools.
pub(crate) fn run(command: PolicyCommand, output: Output) -> anyhow::Result<ExitCode> {
    match command {
        PolicyCommand::Check { files } => check::check(&files, output),
        PolicyCommand::Test { files, tests } => test::test(&files, &tests, output),
        PolicyCommand::Explain { files, asked } => explain::explain(&files, &asked, output),
        PolicyCommand::Suggest { files, denied } => suggest::suggest(&files, denied, output),
    }
}
