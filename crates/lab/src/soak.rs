//! `cargo lab soak`: tests that take longer the longer they run.

use crate::cmd::Cmd;
use crate::failure::{Failure, Result};
use crate::places::Places;

/// Requests that policy images and Cedar are both asked, unless told otherwise.
const CASES: u32 = 1_000_000;

/// How often the control plane is killed.
const KILLS: u32 = 200;

/// Runs it; the status is that of a program.
///
/// # Errors
/// When a case shows a difference, or an argument is wrong.
pub(crate) fn command(places: &Places, args: &[String]) -> Result<i32> {
    let cases = cases(args)?;
    Cmd::new("cargo")
        .args(["test", "--locked", "--package", "tidelock-policy"])
        .args(["--features", "compile", "--test", "differential"])
        .args(["--", "--nocapture", "the_image_decides_as_cedar_does"])
        .env("TIDELOCK_POLICY_CASES", cases.to_string())
        .dir(&places.repo)
        .run()?;
    Cmd::new("cargo")
        .args([
            "test",
            "--locked",
            "--package",
            "tidelock-ca-bin",
            "--test",
            "serve",
        ])
        .args(["--", "--nocapture", "survives_a_kill_at_any_instant"])
        .env("TIDELOCK_KILLS", KILLS.to_string())
        .dir(&places.repo)
        .run()?;
    Ok(0)
}

fn cases(args: &[String]) -> Result<u32> {
    let words: Vec<&str> = args.iter().flat_map(|word| word.split('=')).collect();
    match words.as_slice() {
        [] => Ok(CASES),
        ["--cases", count] => count.parse().map_err(|_| {
            Failure::new(format!("`--cases` needs a number, and `{count}` is none"))
                .fix(crate::USAGE)
        }),
        _ => {
            let what = format!("`cargo lab soak` has no option `{}`", args.join(" "));
            Err(Failure::new(what).fix(crate::USAGE))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<u32> {
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        cases(&words)
    }

    #[test]
    fn a_million_unless_told_otherwise() {
        assert_eq!(read("").expect("nothing is asked for"), CASES);
        assert_eq!(read("--cases 8").expect("a number"), 8);
        assert_eq!(read("--cases=9").expect("a number"), 9);
        for wrong in ["--cases", "--cases x", "--more"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
