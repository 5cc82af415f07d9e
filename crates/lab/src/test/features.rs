//! Every published crate by itself, with each set of features that somebody may ask for: in the workspace, what one crate
//! turns on is on for all, and hides what another forgot to ask for.

use super::host::{cargo, log};
use super::tally::Tally;
use crate::failure::{Doing, Failure, Result};
use crate::metadata::{self, Package};
use crate::places::Places;
use crate::watch;
use std::fs;

/// The feature that is only a name for others.
const DEFAULT: &str = "default";

/// Checks each of them: without features, with each alone, with all. Types are enough: what is compiled is the tests' to say.
///
/// # Errors
/// When cargo does not say what there is.
pub(crate) fn each(places: &Places) -> Result<Tally> {
    let packages = metadata::read(&places.repo)?;
    let mut tally = Tally::default();
    for package in packages.iter().filter(|package| package.is_for_others()) {
        for features in sets(&package.features) {
            let checked = check(places, package, &features);
            tally.result(&name(package, &features), checked);
        }
    }
    if tally.passed + tally.failed.len() == 0 {
        return Err(Failure::new("no crate of the workspace is published"));
    }
    Ok(tally)
}

/// None, each alone, and all, if that is more than one.
fn sets(features: &[String]) -> Vec<Vec<&str>> {
    let all = features.iter().map(String::as_str);
    let all: Vec<&str> = all.filter(|feature| *feature != DEFAULT).collect();
    let mut sets = vec![Vec::new()];
    sets.extend(all.iter().map(|feature| vec![*feature]));
    if all.len() > 1 {
        sets.push(all);
    }
    sets
}

/// What a finding is called.
fn name(package: &Package, features: &[&str]) -> String {
    match features {
        [] => format!("{} without features", package.name),
        [one] => format!("{} with `{one}` alone", package.name),
        [_, _, ..] => format!("{} with all features", package.name),
    }
}

fn check(places: &Places, package: &Package, features: &[&str]) -> Result<()> {
    let log = log(places, "features");
    let asked = features.join(",");
    let cargo = cargo(places, &["check", "--locked", "--no-default-features"])
        .args(["--package", &package.name, "--features", &asked])
        // Of its own: other tiers are built at the same time.
        .env("CARGO_TARGET_DIR", places.lab.join("features"));
    watch::run(cargo, &log)?;
    let text = fs::read_to_string(&log).doing("read", &log)?;
    match text.find("warning:") {
        Some(at) => Err(Failure::new(text[at..].to_owned())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_feature_is_alone_once_and_all_are_together() {
        let features = ["alloc", "default", "std"].map(str::to_owned);
        let expected = [vec![], vec!["alloc"], vec!["std"], vec!["alloc", "std"]];
        assert_eq!(sets(&features), expected);
        assert_eq!(sets(&features[..2]), [vec![], vec!["alloc"]]);
        assert_eq!(sets(&[]), [vec![""; 0]]);
    }

    #[test]
    fn a_finding_says_which_crate_and_which_feature() {
        let package = Package {
            name: "tidelock-x".to_owned(),
            ..Package::default()
        };
        let features = ["a", "b"].map(str::to_owned);
        let sets = sets(&features);
        let names: Vec<String> = sets.iter().map(|set| name(&package, set)).collect();
        assert_eq!(names[0], "tidelock-x without features");
        assert_eq!(names[1], "tidelock-x with `a` alone");
        assert_eq!(names[3], "tidelock-x with all features");
    }
}
