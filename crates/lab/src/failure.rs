//! What the lab says when it cannot go on.

use std::fmt;
use std::path::Path;

/// A result of the lab.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// A message for a person: what failed, and what to do about it where that is known.
#[derive(Debug)]
pub(crate) struct Failure {
    what: String,
    fix: Option<String>,
}

impl Failure {
    /// A failure that says what went wrong.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            fix: None,
        }
    }

    /// A failed file operation.
    pub(crate) fn io(doing: &str, path: &Path, error: &std::io::Error) -> Self {
        Self::new(format!("cannot {doing} {}: {error}", path.display()))
    }

    /// Adds what the reader can do about it.
    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)?;
        match &self.fix {
            Some(fix) => write!(f, "\n  {}", fix.replace('\n', "\n  ")),
            None => Ok(()),
        }
    }
}

/// Turns an I/O error into a [`Failure`] that names the file.
pub(crate) trait Doing<T> {
    /// `doing` completes the sentence "cannot … PATH".
    fn doing(self, doing: &str, path: &Path) -> Result<T>;
}

impl<T> Doing<T> for std::io::Result<T> {
    fn doing(self, doing: &str, path: &Path) -> Result<T> {
        self.map_err(|error| Failure::io(doing, path, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_is_shown_below_and_indented() {
        let failure = Failure::new("`gcc` is missing").fix("apt-get install gcc\nthen try again");
        assert_eq!(
            failure.to_string(),
            "`gcc` is missing\n  apt-get install gcc\n  then try again"
        );
    }
}
