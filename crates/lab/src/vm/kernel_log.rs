//! What a kernel log holds that a good run's does not.

/// What marks trouble.
const MARKS: [&str; 9] = [
    "Kernel panic",
    "BUG: ",
    "kernel BUG at",
    "WARNING: ",
    "Oops: ",
    "general protection fault",
    "Call Trace:",
    "rcu_sched self-detected stall",
    "possible recursive locking",
];

/// Lines of a report: its mark, the state of the machine and the calls that led there.
const REPORT_LINES: usize = 60;

/// Reports that are told of one log: what comes after them mostly follows from them.
const REPORTS: usize = 3;

/// Calls that a digest names.
const DIGEST_CALLS: usize = 12;

/// A report for each trouble: the line that marks it, a line with where in the kernel it was and by which calls, for who sees only
/// that much, then the log from before the mark on. Marks within a report are part of it.
pub(crate) fn trouble(log: &str) -> Vec<String> {
    let lines: Vec<&str> = log.lines().collect();
    let mut reports = Vec::new();
    let mut at = 0;
    while let Some(found) = lines[at..].iter().position(|line| is_trouble(line)) {
        let mark = at + found;
        at = (mark + REPORT_LINES).min(lines.len());
        if reports.len() < REPORTS {
            let report = &lines[mark.saturating_sub(1)..at];
            let digest = digest(report);
            reports.push(format!("{}\n{digest}\n{}", lines[mark], report.join("\n")));
        }
    }
    reports
}

fn is_trouble(line: &str) -> bool {
    MARKS.iter().any(|mark| line.contains(mark))
}

/// The place in the kernel and the calls of a report, innermost first. What the kernel is unsure of (`? call`) is left out.
fn digest(report: &[&str]) -> String {
    let text = |line: &&str| {
        line.split_once("] ")
            .map_or("", |(_, text)| text)
            .trim()
            .to_owned()
    };
    let texts: Vec<String> = report.iter().map(text).collect();
    let place = texts
        .iter()
        .find_map(|text| text.strip_prefix("RIP: 0010:"));
    let calls = texts.iter().filter(|text| is_call(text));
    let words: Vec<&str> = place
        .into_iter()
        .chain(calls.map(String::as_str).take(DIGEST_CALLS))
        .collect();
    format!("at {}", words.join(" < "))
}

/// `name+0xOFFSET/0xSIZE`, perhaps with a module's name after it.
fn is_call(text: &str) -> bool {
    let first = text.split(' ').next().unwrap_or_default();
    first.contains("+0x") && first.contains("/0x")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_log_holds_no_trouble() {
        assert!(trouble("").is_empty());
        assert!(trouble("[ 1.0] tidelock: loaded\n[ 2.0] EXT4-fs: mounted\n").is_empty());
    }

    #[test]
    fn a_report_is_its_mark_a_digest_and_the_log_from_before_it() {
        let log = "[ 1.0] fine\n\
                   [ 2.0] ------------[ cut here ]------------\n\
                   [ 2.0] WARNING: CPU: 0 PID: 7 at net/core/x.c:1\n\
                   [ 2.0] RIP: 0010:here+0x1/0x2\n\
                   [ 2.0] Call Trace:\n\
                   [ 2.0]  <TASK>\n\
                   [ 2.0]  ? unsure+0x1/0x2\n\
                   [ 2.0]  tl_caller+0x3/0x4 [tidelock]\n";
        let [report] = &trouble(log)[..] else {
            panic!("one report: {:?}", trouble(log));
        };
        let lines: Vec<&str> = report.lines().collect();
        assert!(lines[0].contains("WARNING: "));
        assert_eq!(lines[1], "at here+0x1/0x2 < tl_caller+0x3/0x4 [tidelock]");
        assert!(lines[2].contains("cut here"));
        assert_eq!(lines.len(), 2 + 7);
    }

    #[test]
    fn marks_further_apart_than_a_report_are_reports_of_their_own_up_to_a_bound() {
        let gap = "quiet\n".repeat(REPORT_LINES);
        let one = format!("BUG: here\n{gap}");
        assert_eq!(trouble(&one.repeat(2)).len(), 2);
        assert_eq!(trouble(&one.repeat(REPORTS + 2)).len(), REPORTS);
        assert_eq!(trouble("BUG: here\nOops: there\n").len(), 1);
    }
}
