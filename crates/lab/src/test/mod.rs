//! `cargo lab test`: everything that is checked, tier after tier, and a table of what came of it.

mod features;
mod filter;
mod harness;
mod host;
mod interop;
mod lane;
mod machines;
mod options;
mod plan;
mod side_by_side;
mod tally;
mod workspace;

pub(crate) use options::Options;

use crate::failure::Result;
use crate::places::Places;
use crate::say::{named, say, seconds};
use filter::Filter;
use plan::Tier;
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use tally::Tally;

/// How many minutes it may take to install what virtual machines need.
const TOOLS_MINUTES: f64 = 2.0;

/// Lines of a finding that the summary repeats: of a long run, its end may be all that one has.
const SUMMARY_LINES: usize = 3;

/// A tier that ran.
struct Ran {
    name: String,
    tally: Tally,
    took: Duration,
    budget: Duration,
}

/// Runs what is asked for, whatever fails on the way; prints the table and the closing line. `true` if nothing failed.
///
/// # Errors
/// When nothing can be run at all.
pub(crate) fn run(places: &Places, options: &Options) -> Result<bool> {
    let tiers = plan::plan(options)?;
    let filter = Filter(options.filter.clone());
    let start = Instant::now();
    let mut ran = Vec::new();
    if tiers.iter().any(Tier::needs_machine) {
        // First, so that who cannot install what is missing hears of it at once.
        let mut tally = Tally::default();
        let start = Instant::now();
        tally.result("tools", machines::ensure_tools(places));
        ran.push(Ran::new("tools", tally, start.elapsed(), TOOLS_MINUTES));
    }
    let run = |tier: &Tier| run_tier(places, tier, &filter);
    let (booting, rest): (Vec<Tier>, Vec<Tier>) = tiers.into_iter().partition(Tier::boots);
    // What is downloaded, what is built for kernels and what takes crates apart goes on beside what this machine checks by itself.
    let (beside, host): (Vec<Tier>, Vec<Tier>) = rest.into_iter().partition(Tier::goes_beside);
    let in_order = |tiers: &Vec<Tier>| tiers.iter().map(run).collect::<Vec<Ran>>();
    for done in side_by_side::map(&[host, beside], 2, in_order) {
        ran.extend(done);
    }
    ran.extend(side_by_side::map(&booting, plan::AT_ONCE, run));
    println!("{}", table(&ran, start.elapsed()));
    let (passed, failed) = sums(&ran);
    println!("{passed} passed, {failed} failed");
    Ok(failed == 0)
}

fn run_tier(places: &Places, tier: &Tier, filter: &Filter) -> Ran {
    let name = tier.name();
    named(&name, || run_named(places, tier, &name, filter))
}

fn run_named(places: &Places, tier: &Tier, name: &str, filter: &Filter) -> Ran {
    say(format!("budget {}", minutes(tier.budget_minutes())));
    let start = Instant::now();
    let tally = tier.run(places, filter);
    let tally = tally.unwrap_or_else(|failure| {
        let mut tally = Tally::default();
        tally.fail(name, failure.to_string());
        tally
    });
    let ran = Ran::new(name, tally, start.elapsed(), tier.budget_minutes());
    for finding in &ran.tally.failed {
        say(format!("FAILED: {}\n{}", finding.name, finding.why));
    }
    for note in &ran.tally.notes {
        say(note);
    }
    let over = if ran.over() { ", OVER BUDGET" } else { "" };
    say(format!(
        "{} passed, {} failed in {}{over}",
        ran.tally.passed,
        ran.tally.failed.len(),
        seconds(ran.took),
    ));
    ran
}

impl Ran {
    fn new(name: &str, tally: Tally, took: Duration, budget_minutes: f64) -> Self {
        Self {
            name: name.to_owned(),
            tally,
            took,
            budget: Duration::from_secs_f64(budget_minutes * 60.0),
        }
    }

    fn over(&self) -> bool {
        self.took > self.budget
    }
}

fn sums(ran: &[Ran]) -> (usize, usize) {
    let passed = ran.iter().map(|tier| tier.tally.passed).sum();
    let failed = ran.iter().map(|tier| tier.tally.failed.len()).sum();
    (passed, failed)
}

/// One line for each tier, one for all, then what failed. Tiers that boot run side by side: all of them together took
/// less than their sum.
fn table(ran: &[Ran], took: Duration) -> String {
    let mut text = format!(
        "\n{:20} {:>7} {:>7} {:>13} {:>9}\n",
        "tier", "passed", "failed", "took", "budget"
    );
    let mut line =
        |name: &str, passed: usize, failed: usize, took: Duration, budget: Duration, over: bool| {
            // Writing to a `String` cannot fail.
            let _ = writeln!(
                text,
                "{name:20} {passed:>7} {failed:>7} {:>13} {:>9}{}",
                seconds(took),
                minutes(budget.as_secs_f64() / 60.0),
                if over { "  over" } else { "" }
            );
        };
    for tier in ran {
        let Tally { passed, failed, .. } = &tier.tally;
        line(
            &tier.name,
            *passed,
            failed.len(),
            tier.took,
            tier.budget,
            tier.over(),
        );
    }
    let (passed, failed) = sums(ran);
    let budget = Duration::from_secs_f64(plan::BUDGET_MINUTES * 60.0);
    line("all", passed, failed, took, budget, took > budget);
    for tier in ran {
        for finding in &tier.tally.failed {
            let why: Vec<&str> = finding.why.lines().take(SUMMARY_LINES).collect();
            let why = why.join("\n    ");
            let _ = write!(text, "\nFAILED {}: {}: {why}", tier.name, finding.name);
        }
    }
    if failed > 0 {
        text.push('\n');
    }
    text
}

fn minutes(minutes: f64) -> String {
    format!("{minutes} min")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran() -> Vec<Ran> {
        let mut bad = Tally {
            passed: 2,
            ..Tally::default()
        };
        bad.fail("b-mtls", "no page\nmore");
        let good = Tally {
            passed: 40,
            ..Tally::default()
        };
        vec![
            Ran::new("tests", good, Duration::from_secs(30), 1.0),
            Ran::new("e2e-6.1", bad, Duration::from_secs(100), 1.5),
        ]
    }

    #[test]
    fn the_table_sums_up_and_says_what_is_over() {
        let table = table(&ran(), Duration::from_secs(120));
        let row = |name: &str| {
            let line = table.lines().find(|line| line.starts_with(name));
            line.expect("every tier has a row")
                .split_whitespace()
                .collect::<Vec<_>>()
        };
        assert_eq!(row("tests"), ["tests", "40", "0", "30", "s", "1", "min"]);
        assert_eq!(row("e2e-6.1").last(), Some(&"over"));
        assert_eq!(row("all")[1..5], ["42", "1", "2", "min"]);
        assert!(table.contains("FAILED e2e-6.1: b-mtls: no page\n"));
        assert_eq!(sums(&ran()), (42, 1));
    }
}
