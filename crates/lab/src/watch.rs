//! A long command, its log, and a sign of life now and then.

use crate::cmd::{Cmd, last_lines};
use crate::failure::{Failure, Result};
use crate::say::{say, seconds};
use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How often a reader hears what a long command is at.
const SIGN_OF_LIFE: Duration = Duration::from_secs(30);

/// Runs a command with its output in `log`, and says every so often what the last line there is.
///
/// # Errors
/// When it does not succeed; what the log says of that is in the message.
pub(crate) fn run(cmd: Cmd, log: &Path) -> Result<()> {
    let start = Instant::now();
    let (done, waiting) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            while waiting.recv_timeout(SIGN_OF_LIFE) == Err(mpsc::RecvTimeoutError::Timeout) {
                if let Some(line) = last_line(log) {
                    say(format!("   {}: {line}", seconds(start.elapsed())));
                }
            }
        });
        let result = cmd.log(log).run();
        drop(done);
        result.map_err(|failure| told(log).unwrap_or(failure))
    })
}

/// The first error of a log, then the log without what cargo says of its progress.
fn told(log: &Path) -> Option<Failure> {
    let bytes = fs::read(log).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !is_progress(line)).collect();
    let error = |line: &&&str| line.starts_with("error") || line.starts_with("warning");
    let first = lines.iter().find(error)?;
    let shown = format!(
        "{}\n(all of it: {})",
        last_lines(&lines.join("\n")),
        log.display()
    );
    Some(Failure::new(*first).fix(shown))
}

/// `   Compiling x v1`: cargo aligns its verbs to the right.
fn is_progress(line: &str) -> bool {
    const VERBS: [&str; 9] = [
        "Checking",
        "Compiling",
        "Documenting",
        "Downloaded",
        "Downloading",
        "Finished",
        "Blocking",
        "Updating",
        "Locking",
    ];
    line.starts_with(' ') && VERBS.iter().any(|verb| line.trim_start().starts_with(verb))
}

/// The last line of a log that says something.
fn last_line(log: &Path) -> Option<String> {
    let bytes = fs::read(log).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.trim().chars().take(100).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_is_kept_and_the_verdict_passed_on() {
        let log = std::env::temp_dir().join(format!("tidelock-lab-watch-{}", std::process::id()));
        assert!(run(Cmd::new("echo").arg("one\ntwo\n\n"), &log).is_ok());
        assert_eq!(last_line(&log).as_deref(), Some("two"));
        let failure = run(Cmd::new("sh").args(["-c", "echo why; exit 3"]), &log);
        assert!(failure.expect_err("it fails").to_string().contains("why"));
        let cargo = "echo '   Checking x v1'; echo 'error: what'; echo ' --> where'; exit 1";
        let failure = run(Cmd::new("sh").args(["-c", cargo]), &log).expect_err("it fails");
        assert!(failure.to_string().starts_with("error: what\n"));
        assert!(!failure.to_string().contains("Checking"));
        fs::remove_file(log).expect("it exists");
    }
}
