//! What `cargo test` prints, read back: which tests failed, and how many did not.

use super::tally::Tally;

/// How many lines of a failed test's output are shown.
const SHOWN_LINES: usize = 30;

/// Counts the tests of a log. The names of those that failed carry the file that they are in.
pub(crate) fn read(log: &str) -> Tally {
    let mut tally = Tally::default();
    let (mut binary, mut ignored) = (String::new(), 0);
    for line in log.lines() {
        if let Some(name) = running(line) {
            binary = name;
        } else if let Some(rest) = line.strip_prefix("test result: ") {
            tally.passed += count(rest, "passed");
            ignored += count(rest, "ignored");
        } else if let Some(name) = failed(line) {
            tally.fail(format!("{binary}: {name}"), output_of(log, name));
        } else if let Some(what) = died(line) {
            tally.fail(binary.clone(), what);
        }
    }
    if ignored > 0 {
        tally.notes.push(format!("{ignored} tests are ignored"));
    }
    tally
}

/// `     Running tests/a.rs (target/…)` or `   Doc-tests crate`.
fn running(line: &str) -> Option<String> {
    let line = line.trim_start();
    if let Some(name) = line.strip_prefix("Doc-tests ") {
        return Some(format!("documentation of {name}"));
    }
    let (source, binary) = line.strip_prefix("Running ")?.rsplit_once(" (")?;
    let binary = binary.rsplit('/').next()?.trim_end_matches(')');
    // Cargo appends a hash to the name.
    let name = binary.rsplit_once('-').map_or(binary, |(name, _)| name);
    let source = source.trim_start_matches("unittests ");
    Some(format!("{name} ({source})"))
}

/// `12 passed; 0 failed; …`
fn count(rest: &str, word: &str) -> usize {
    rest.split([';', '.'])
        .find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
        .unwrap_or(0)
}

/// `test NAME ... FAILED`
fn failed(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("test ")?;
    let name = rest.strip_suffix("FAILED")?.trim_end();
    Some(name.strip_suffix("...")?.trim_end())
}

/// A test program that a signal ended has no result line.
fn died(line: &str) -> Option<&str> {
    let line = line.trim_start();
    (line.starts_with("process didn't exit successfully") && line.contains("signal:"))
        .then_some(line)
}

/// What a failed test printed: between `---- NAME stdout ----` and the next such line.
fn output_of(log: &str, name: &str) -> String {
    let start = format!("---- {name} stdout ----");
    log.lines()
        .skip_while(|line| *line != start)
        .skip(1)
        .take_while(|line| !line.starts_with("---- ") && *line != "failures:")
        .filter(|line| !line.is_empty())
        .take(SHOWN_LINES)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
   Compiling tidelock-kabi v0.1.0
     Running unittests src/lib.rs (target/debug/deps/tidelock_kabi-0123456789abcdef)

running 3 tests
test a::works ... ok
test a::breaks ... FAILED
test a::later ... ignored

failures:

---- a::breaks stdout ----

thread 'a::breaks' panicked at src/lib.rs:1:
left is not right

failures:
    a::breaks

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s

     Running tests/spec.rs (target/debug/deps/spec-0123456789abcdef)
error: test failed, to rerun pass `-p x --test spec`

Caused by:
  process didn't exit successfully: `target/debug/deps/spec` (signal: 6, SIGABRT: process abort signal)
   Doc-tests tidelock_kabi
test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.50s
";

    #[test]
    fn tests_are_counted_and_failures_named_with_their_output() {
        let tally = read(LOG);
        assert_eq!(tally.passed, 5);
        assert_eq!(tally.notes, ["1 tests are ignored"]);
        assert_eq!(tally.failed.len(), 2, "{:?}", tally.failed);
        assert_eq!(
            tally.failed[0].name,
            "tidelock_kabi (src/lib.rs): a::breaks"
        );
        assert!(tally.failed[0].why.contains("left is not right"));
        assert_eq!(tally.failed[1].name, "spec (tests/spec.rs)");
        assert!(tally.failed[1].why.contains("SIGABRT"));
    }

    #[test]
    fn a_log_without_tests_counts_none() {
        assert_eq!(read("error[E0433]: cannot find x\n"), Tally::default());
    }
}
