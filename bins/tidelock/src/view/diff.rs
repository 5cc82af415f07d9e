//! Lines that differ, in the form that `diff -u` made familiar.

use std::fmt::Write as _;

/// Lines shown around those that differ.
const CONTEXT: usize = 3;

/// Most lines of a document that are compared one by one; longer ones are shown as a whole, taken out and put in.
const MAX_LINES: usize = 2_000;

/// What becomes of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    Keep,
    Remove,
    Add,
}

/// What has to be done to one text to make the other; nothing if they are the same.
pub(crate) fn unified(name: &str, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let (old, new): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let steps = steps(&old, &new);
    let file = |prefix: &str, text: &str| match text {
        "" => "/dev/null".to_owned(),
        _ => format!("{prefix}/{name}"),
    };
    let mut text = format!("--- {}\n+++ {}\n", file("now", before), file("then", after));
    for (from, to) in hunks(&steps) {
        hunk(&mut text, (&old, &new), &steps, from..to);
    }
    text
}

fn hunk(
    text: &mut String,
    (old, new): (&[&str], &[&str]),
    steps: &[Step],
    range: std::ops::Range<usize>,
) {
    let count = |steps: &[Step], other: Step| steps.iter().filter(|&&s| s != other).count();
    let (before, inside) = (&steps[..range.start], &steps[range]);
    let (mut at, mut to) = (count(before, Step::Add), count(before, Step::Remove));
    let (lines, gains) = (count(inside, Step::Add), count(inside, Step::Remove));
    // A range without lines is named by the line before it.
    let start = |at: usize, lines: usize| if lines == 0 { at } else { at + 1 };
    let (first, then) = (start(at, lines), start(to, gains));
    let _ = writeln!(text, "@@ -{first},{lines} +{then},{gains} @@");
    for step in inside {
        let (sign, line) = match step {
            Step::Keep => (' ', old[at]),
            Step::Remove => ('-', old[at]),
            Step::Add => ('+', new[to]),
        };
        at += usize::from(*step != Step::Add);
        to += usize::from(*step != Step::Remove);
        let _ = writeln!(text, "{sign}{line}");
    }
}

/// Where steps that change something are, with their surroundings; those that touch are one.
fn hunks(steps: &[Step]) -> Vec<(usize, usize)> {
    let mut hunks: Vec<(usize, usize)> = Vec::new();
    let changes = steps
        .iter()
        .enumerate()
        .filter(|(_, step)| **step != Step::Keep);
    for (at, _) in changes {
        let (from, to) = (
            at.saturating_sub(CONTEXT),
            (at + 1 + CONTEXT).min(steps.len()),
        );
        match hunks.last_mut() {
            Some((_, end)) if *end >= from => *end = to,
            _ => hunks.push((from, to)),
        }
    }
    hunks
}

/// The fewest steps, by the longest common subsequence.
fn steps(old: &[&str], new: &[&str]) -> Vec<Step> {
    if old.len() > MAX_LINES || new.len() > MAX_LINES {
        let removed = old.iter().map(|_| Step::Remove);
        return removed.chain(new.iter().map(|_| Step::Add)).collect();
    }
    // How long the common subsequence of what is left is, by how many lines of each are done.
    let width = new.len() + 1;
    let mut common = vec![0_u16; (old.len() + 1) * width];
    for at in (0..old.len()).rev() {
        for to in (0..new.len()).rev() {
            let here = at * width + to;
            common[here] = match old[at] == new[to] {
                true => common[here + width + 1] + 1,
                false => common[here + width].max(common[here + 1]),
            };
        }
    }
    let (mut at, mut to, mut steps) = (0, 0, Vec::new());
    while at < old.len() || to < new.len() {
        let step = match (old.get(at), new.get(to)) {
            (Some(one), Some(other)) if one == other => Step::Keep,
            (Some(_), Some(_)) => {
                let here = at * width + to;
                match common[here + width] >= common[here + 1] {
                    true => Step::Remove,
                    false => Step::Add,
                }
            }
            (Some(_), None) => Step::Remove,
            _ => Step::Add,
        };
        at += usize::from(step != Step::Add);
        to += usize::from(step != Step::Remove);
        steps.push(step);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_shown_with_its_surroundings() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let after = "1\n2\n3\n4\nfive\n6\n7\n8\n9\nten\n";
        assert_eq!(
            unified("web", before, after),
            "--- now/web\n+++ then/web\n@@ -2,8 +2,9 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n 9\n+ten\n"
        );
    }

    #[test]
    fn changes_far_apart_are_apart() {
        let before: String = (0..40).map(|n| format!("{n}\n")).collect();
        let after = before.replace("\n3\n", "\nx\n").replace("\n30\n", "\ny\n");
        let text = unified("web", &before, &after);
        assert_eq!(text.matches("\n@@ ").count(), 2, "{text}");
        assert!(text.contains("@@ -28,7 +28,7 @@\n 27\n"), "{text}");
    }

    #[test]
    fn what_comes_and_goes_has_no_other_side() {
        assert_eq!(
            unified("web", "", "a\n"),
            "--- /dev/null\n+++ then/web\n@@ -0,0 +1,1 @@\n+a\n"
        );
        let gone = unified("web", "a\nb\n", "");
        assert!(gone.starts_with("--- now/web\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-a\n"));
        assert_eq!(unified("web", "a\n", "a\n"), "");
    }

    #[test]
    fn long_texts_are_shown_whole() {
        let long: String = (0..MAX_LINES + 1).map(|n| format!("{n}\n")).collect();
        let text = unified("web", &long, "0\n");
        assert_eq!(text.lines().count(), 3 + MAX_LINES + 2);
    }
}
