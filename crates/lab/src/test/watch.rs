//! A long command, its log, and a sign of life now and then.

use crate::cmd::Cmd;
use crate::failure::Result;
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
/// When it does not succeed; the end of the log is in the message.
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
        result
    })
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
        fs::remove_file(log).expect("it exists");
    }
}
