//! `cargo lab semver`: what the published crates offered at a commit, they still offer.
//!
//! Versions are promises: whoever asks for `0.1.0` may be given `0.1.1`. [`baseline`] says which commit made the promise.

mod baseline;
mod findings;
mod surface;
mod tool;

use crate::cmd::Cmd;
use crate::failure::{Doing, Failure, Result};
use crate::metadata::{self, Package};
use crate::places::Places;
use crate::say::{named, say, seconds, timed};
use baseline::{Baseline, Files};
use std::fs;
use std::path::Path;
use std::time::Instant;
use surface::{Features, Side, compatible, lost_features};

/// Crates that are looked at without features, too: a kernel asks for none, so what needs none must not come to need one. Without features they have next to
/// no dependencies; for others, half of everything would be compiled once more.
const BARE: [&str; 4] = [
    "tidelock-spiffe-core",
    "tidelock-policy",
    "tidelock-attest",
    "tidelock-kabi",
];

/// What to do about a break.
const WHAT_NOW: &str = "give the item back; or raise the version in Cargo.toml, where the break is meant; or, while nothing is published, \
    name a later commit in semver-baseline, and the break in CHANGELOG.md";

/// Runs it; the status is that of a program.
///
/// # Errors
/// When it cannot be found out, or an argument is wrong.
pub(crate) fn command(places: &Places, args: &[String]) -> Result<i32> {
    if !args.is_empty() {
        let what = format!("`cargo lab semver` has no option `{}`", args.join(" "));
        return Err(Failure::new(what).fix(crate::USAGE));
    }
    let start = Instant::now();
    let baseline = Baseline::read(&places.repo)?;
    let tree = match baseline.files(places)? {
        Files::In(tree) => tree,
        Files::NotHere(why) => {
            println!(
                "semver: NOT CHECKED, whether published crates still offer what they did: {why}"
            );
            return Ok(0);
        }
    };
    let verdicts = named("semver", || check(places, &tree))?;
    let (kept, broken): (Vec<&Verdict>, Vec<&Verdict>) = verdicts
        .iter()
        .partition(|verdict| verdict.broken.is_empty());
    for verdict in &broken {
        println!("FAILED {}: {}", verdict.name, verdict.broken.join("\n    "));
    }
    if !broken.is_empty() {
        println!("What to do: {WHAT_NOW}.");
    }
    println!(
        "semver: {} published crates offer what they did at {}, {} do not ({})",
        kept.len(),
        baseline.short(),
        broken.len(),
        seconds(start.elapsed())
    );
    Ok(i32::from(!broken.is_empty()))
}

/// What became of one crate.
#[derive(Debug, Eq, PartialEq)]
struct Verdict {
    name: String,
    broken: Vec<String>,
}

fn check(places: &Places, tree: &Path) -> Result<Vec<Verdict>> {
    let then = Side { name: "then", tree };
    let now = Side {
        name: "now",
        tree: &places.repo,
    };
    let offered = for_others(then.tree)?;
    let offers = for_others(now.tree)?;
    if offered.is_empty() {
        return Err(Failure::new("no crate was published at the baseline")
            .fix("name a later commit in semver-baseline"));
    }
    let (pairs, mut verdicts) = sort(&offered, &offers);
    if pairs.is_empty() {
        return Ok(verdicts);
    }
    let tool = tool::ensure(places)?;
    for side in [then, now] {
        let what = format!("documenting crates as they are {}", side.name);
        timed(&what, || document(places, side, &pairs))?;
    }
    for (was, is) in pairs {
        let broken = broken(places, &tool, [then, now], was, is)?;
        let said = if broken.is_empty() {
            "offers what it did"
        } else {
            "FAILED"
        };
        say(format!("{}: {said}", is.name));
        let name = is.name.clone();
        verdicts.push(Verdict { name, broken });
    }
    Ok(verdicts)
}

fn document(places: &Places, side: Side<'_>, pairs: &[(&Package, &Package)]) -> Result<()> {
    let names: Vec<&str> = pairs.iter().map(|(_, is)| is.name.as_str()).collect();
    side.document(places, &names, Features::All)?;
    let mut bare = names.iter().filter(|name| BARE.contains(name));
    bare.try_for_each(|name| side.document(places, &[*name], Features::None))
}

/// What is wrong with one crate.
fn broken(
    places: &Places,
    tool: &Path,
    sides: [Side<'_>; 2],
    was: &Package,
    is: &Package,
) -> Result<Vec<String>> {
    let lost = lost_features(was, is).into_iter();
    let mut broken: Vec<String> = lost
        .map(|feature| format!("has no feature `{feature}`"))
        .collect();
    broken.extend(compare(places, tool, sides, &is.name, Features::All)?);
    if BARE.contains(&is.name.as_str()) {
        let mut bare = compare(places, tool, sides, &is.name, Features::None)?;
        bare.retain(|finding| !broken.contains(finding));
        let bare = bare.iter().map(|f| format!("without features: {f}"));
        broken.extend(bare);
    }
    Ok(broken)
}

/// Libraries that are published: nobody's code asks anything of a program.
fn for_others(tree: &Path) -> Result<Vec<Package>> {
    let mut packages = metadata::read(tree)?;
    packages.retain(|package| package.library && package.is_for_others());
    Ok(packages)
}

/// Crates that are to be compared, and verdicts on those of which it is clear without.
fn sort<'a>(
    offered: &'a [Package],
    offers: &'a [Package],
) -> (Vec<(&'a Package, &'a Package)>, Vec<Verdict>) {
    let mut pairs = Vec::new();
    let mut verdicts = Vec::new();
    for was in offered {
        match offers.iter().find(|is| is.name == was.name) {
            None => verdicts.push(Verdict {
                name: was.name.clone(),
                broken: vec!["is not published any more".to_owned()],
            }),
            Some(is) if compatible(&was.version, &is.version) => pairs.push((was, is)),
            Some(is) => say(format!(
                "{}: {} need not offer what {} did",
                is.name, is.version, was.version
            )),
        }
    }
    let known = |is: &&Package| offered.iter().any(|was| was.name == is.name);
    for is in offers.iter().filter(|is| !known(is)) {
        say(format!("{}: is new, and has promised nothing", is.name));
    }
    (pairs, verdicts)
}

/// What others relied on and do not find any more.
fn compare(
    places: &Places,
    tool: &Path,
    [then, now]: [Side<'_>; 2],
    name: &str,
    features: Features,
) -> Result<Vec<String>> {
    let log = places.lab.join("semver").join(format!("{name}.log"));
    let ended = Cmd::new(tool)
        // What may be in a version that cargo takes in the place of the baseline's.
        .args([
            "semver-checks",
            "--color",
            "never",
            "--release-type",
            "minor",
        ])
        .arg("--baseline-rustdoc")
        .arg(then.json(places, name, features))
        .arg("--current-rustdoc")
        .arg(now.json(places, name, features))
        .log(&log)
        .run();
    let text = fs::read_to_string(&log).doing("read", &log)?;
    let found = findings::read(&text);
    match ended {
        Err(failure) if found.is_empty() => Err(failure),
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            published: true,
            ..Package::default()
        }
    }

    #[test]
    fn a_crate_is_held_to_its_promise_until_its_version_says_otherwise() {
        let then = [package("a", "0.1.0"), package("b", "0.1.0")];
        let now = [package("a", "0.1.4"), package("b", "0.2.0")];
        let (pairs, verdicts) = sort(&then, &now);
        assert_eq!(pairs, [(&then[0], &now[0])]);
        assert!(verdicts.is_empty());
    }

    #[test]
    fn a_crate_that_is_gone_is_a_break_and_a_new_one_is_none() {
        let then = [package("a", "0.1.0")];
        let now = [package("c", "0.1.0")];
        let (pairs, verdicts) = sort(&then, &now);
        assert!(pairs.is_empty());
        assert_eq!(verdicts.len(), 1);
        assert_eq!(verdicts[0].name, "a");
        assert!(!verdicts[0].broken.is_empty());
    }
}
