//! What a tier found.

use crate::failure::Failure;

/// How many checks passed, and which did not.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    /// How many passed.
    pub passed: usize,
    /// Those that did not.
    pub failed: Vec<Finding>,
    /// What a reader should know and is no failure.
    pub notes: Vec<String>,
}

/// A check that failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Finding {
    /// Its name.
    pub name: String,
    /// What is wrong, in a line or a few.
    pub why: String,
}

impl Tally {
    /// Counts one check by what it found wrong: nothing is a pass.
    pub(crate) fn check(&mut self, name: &str, wrong: &[String]) {
        if wrong.is_empty() {
            self.passed += 1;
        } else {
            self.fail(name, wrong.join("\n"));
        }
    }

    /// Counts a check that failed.
    pub(crate) fn fail(&mut self, name: impl Into<String>, why: impl Into<String>) {
        self.failed.push(Finding {
            name: name.into(),
            why: why.into(),
        });
    }

    /// Counts one check that could fail as a whole.
    pub(crate) fn result(&mut self, name: &str, result: Result<(), Failure>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(failure) => self.fail(name, failure.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_counts_once_however_much_it_found() {
        let mut tally = Tally::default();
        tally.check("fine", &[]);
        tally.check("bad", &["one".to_owned(), "two".to_owned()]);
        tally.result("worse", Err(Failure::new("three")));
        assert_eq!((tally.passed, tally.failed.len()), (1, 2));
        assert_eq!(tally.failed[0].why, "one\ntwo");
    }
}
