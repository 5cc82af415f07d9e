//! Which processes the kernel has to ask about: what the entries could match, and nothing else.

use std::collections::BTreeSet;

use tidelock_kabi::PrefilterEntry;

use super::entry::Entry;

/// A process with this executable and uid is governed. At least one is given.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Rule {
    /// Path of the executable; `None`: any.
    pub(super) exe: Option<String>,
    /// Uid; `None`: any.
    pub(super) uid: Option<u32>,
}

impl Rule {
    /// As the kernel takes it.
    pub(super) fn entry(&self) -> PrefilterEntry<'_> {
        PrefilterEntry {
            exe: self.exe.as_deref(),
            uid: self.uid,
        }
    }

    /// Does this rule match whatever `other` matches?
    fn covers(&self, other: &Self) -> bool {
        (self.exe.is_none() || self.exe == other.exe)
            && (self.uid.is_none() || self.uid == other.uid)
    }
}

/// The fewest rules that match whatever any entry could match.
pub(super) fn compile(entries: &[Entry]) -> Vec<Rule> {
    minimal(entries.iter().flat_map(Entry::rules).collect())
}

fn minimal(rules: BTreeSet<Rule>) -> Vec<Rule> {
    let covered = |rule: &Rule| {
        rules
            .iter()
            .any(|other| other != rule && other.covers(rule))
    };
    rules
        .iter()
        .filter(|rule| !covered(rule))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(exe: Option<&str>, uid: Option<u32>) -> Rule {
        Rule {
            exe: exe.map(str::to_owned),
            uid,
        }
    }

    #[test]
    fn rules_that_another_covers_are_dropped() {
        let rules = [
            rule(Some("/bin/a"), None),
            rule(Some("/bin/a"), Some(1)),
            rule(Some("/bin/b"), Some(1)),
            rule(Some("/bin/b"), Some(2)),
            rule(None, Some(2)),
        ];
        assert_eq!(
            minimal(rules.into_iter().collect()),
            [
                rule(None, Some(2)),
                rule(Some("/bin/a"), None),
                rule(Some("/bin/b"), Some(1)),
            ]
        );
    }
}
