//! Running other programs, with messages that a person can act on.

use crate::failure::{Doing, Failure, Result};
use std::ffi::OsStr;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How many lines of a failed program's output are shown.
const TAIL_LINES: usize = 40;

/// A program to run. Its output goes to a log file, is captured, or is passed through.
pub(crate) struct Cmd {
    command: Command,
    log: Option<PathBuf>,
}

impl Cmd {
    /// A program found on `PATH` (and in the `sbin` folders, which an ordinary user's `PATH` lacks).
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        // Tools are asked for English, so that their messages and versions can be read.
        command.env("LC_ALL", "C.UTF-8").env("PATH", search_path());
        Self { command, log: None }
    }

    /// Adds one argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs in this folder.
    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Sends standard output and error to this file; [`Cmd::run`] shows its tail on failure.
    pub(crate) fn log(mut self, path: &Path) -> Self {
        self.log = Some(path.to_owned());
        self
    }

    /// Runs to the end; anything but success is a failure.
    pub(crate) fn run(mut self) -> Result<()> {
        if let Some(path) = &self.log {
            let out = File::create(path).doing("create", path)?;
            let err = out.try_clone().doing("open", path)?;
            self.command.stdout(out).stderr(err);
        }
        let status = self
            .command
            .status()
            .map_err(|error| self.cannot_start(&error))?;
        if status.success() {
            return Ok(());
        }
        let tail = self.log.as_deref().map(tail_of).unwrap_or_default();
        let failure = Failure::new(format!("`{}` failed ({status})", self.name()));
        Err(if tail.is_empty() {
            failure
        } else {
            failure.fix(tail)
        })
    }

    /// Runs to the end with the terminal's own output; `true` if it succeeded.
    pub(crate) fn succeeds(mut self) -> Result<bool> {
        let status = self
            .command
            .status()
            .map_err(|error| self.cannot_start(&error))?;
        Ok(status.success())
    }

    /// Runs to the end and gives its standard output.
    pub(crate) fn output(mut self) -> Result<String> {
        let output = self
            .command
            .output()
            .map_err(|error| self.cannot_start(&error))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            let what = format!("`{}` failed ({})", self.name(), output.status);
            return Err(Failure::new(what).fix(last_lines(&stderr)));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The command for callers that stream its output themselves.
    pub(crate) fn into_inner(self) -> Command {
        self.command
    }

    fn name(&self) -> String {
        let args = self.command.get_args().take(3).map(OsStr::to_string_lossy);
        std::iter::once(self.command.get_program().to_string_lossy())
            .chain(args)
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn cannot_start(&self, error: &std::io::Error) -> Failure {
        let program = self.command.get_program().to_string_lossy().into_owned();
        match error.kind() {
            ErrorKind::NotFound => Failure::new(format!("`{program}` is not installed"))
                .fix("`cargo lab setup` installs what the lab needs, or says how to"),
            _ => Failure::new(format!("cannot run `{program}`: {error}")),
        }
    }
}

/// The last lines of a log file, with its path.
fn tail_of(path: &Path) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    format!(
        "{}\n(all of it: {})",
        last_lines(&String::from_utf8_lossy(&text)),
        path.display()
    )
}

/// The last [`TAIL_LINES`] lines of a text.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// `PATH` with the system folders that an ordinary user's may lack.
fn search_path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin")
}

/// Whether a program of this name is installed.
pub(crate) fn installed(program: &str) -> bool {
    search_path()
        .split(':')
        .any(|dir| Path::new(dir).join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_a_clear_message() {
        let failure = Cmd::new("no-such-program-here")
            .run()
            .expect_err("it does not exist");
        assert!(
            failure
                .to_string()
                .starts_with("`no-such-program-here` is not installed")
        );
    }

    #[test]
    fn only_the_tail_of_a_long_output_is_shown() {
        let text: String = (0..100).map(|n| format!("{n}\n")).collect();
        assert_eq!(last_lines(&text).lines().count(), TAIL_LINES);
        assert!(last_lines(&text).ends_with("99"));
    }
}
