//! What crates offer, as rustdoc tells it to machines.
//!
//! cargo-semver-checks would have it made by itself: by the newest dependencies that there are at the moment rather than those of
//! `Cargo.lock`, each crate's compiled for it alone, and with flags that throw away what other builds compiled.

use crate::cache::remove;
use crate::cmd::Cmd;
use crate::failure::{Doing, Failure, Result};
use crate::metadata::Package;
use crate::places::Places;
use crate::watch;
use std::fs;
use std::path::{Path, PathBuf};

/// Makes rustdoc write JSON.
const RUSTDOC: &str = "crates/lab/src/semver/rustdoc-json.sh";

/// Sources that crates are documented from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'a> {
    /// What folders and logs of it are called.
    pub name: &'a str,
    /// Root of the workspace.
    pub tree: &'a Path,
}

/// With which features a crate is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Features {
    /// All of them, on all crates at once: dependencies are compiled once.
    All,
    /// None, each crate by itself: another would turn features on for it.
    None,
}

impl Features {
    fn label(self) -> &'static str {
        match self {
            Self::All => "all-features",
            Self::None => "no-features",
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Self::All => "--all-features",
            Self::None => "--no-default-features",
        }
    }
}

impl Side<'_> {
    /// Documents crates, with what they depend on as this side's `Cargo.lock` has it. What is compiled on the way is shared by both
    /// sides, and by the tier of `cargo lab test` that takes crates apart as far as that asks for the same features.
    ///
    /// # Errors
    /// When something does not compile.
    pub(super) fn document(
        self,
        places: &Places,
        crates: &[&str],
        features: Features,
    ) -> Result<()> {
        let packages = crates.iter().flat_map(|name| ["--package", name]);
        for name in crates {
            // What an earlier run left must not pass for this one's.
            remove(&self.json(places, name, features))?;
        }
        let out = self.out(places, features);
        fs::create_dir_all(&out).doing("make the folder", &out)?;
        let cargo = Cmd::new("cargo")
            .args(["doc", "--locked", "--no-deps", "--lib", features.flag()])
            .args(packages)
            .env("RUSTDOC", places.repo.join(RUSTDOC))
            .env("CARGO_TARGET_DIR", &out)
            .env("CARGO_BUILD_BUILD_DIR", places.lab.join("features"))
            .env("CARGO_TERM_COLOR", "never")
            .dir(self.tree);
        watch::run(cargo, &out.join("cargo.log"))?;
        let missing = |name: &&&str| !self.json(places, name, features).is_file();
        match crates.iter().find(missing) {
            Some(name) => Err(Failure::new(format!("rustdoc wrote nothing for `{name}`"))
                .fix(format!("rm -r {}", out.display()))),
            None => Ok(()),
        }
    }

    /// Where what a crate offers is written.
    pub(super) fn json(self, places: &Places, name: &str, features: Features) -> PathBuf {
        let file = format!("{}.json", name.replace('-', "_"));
        self.out(places, features).join("doc").join(file)
    }

    fn out(self, places: &Places, features: Features) -> PathBuf {
        let folder = format!("{}-{}", self.name, features.label());
        places.lab.join("semver").join(folder)
    }
}

/// Features of a crate that there are no more: its code cannot tell that.
pub(super) fn lost_features<'a>(then: &'a Package, now: &Package) -> Vec<&'a str> {
    let gone = |feature: &&String| !now.features.contains(feature);
    then.features
        .iter()
        .filter(gone)
        .map(String::as_str)
        .collect()
}

/// Whether cargo takes the one version where the other is asked for: the first number that is not 0 is the same.
pub(super) fn compatible(then: &str, now: &str) -> bool {
    let promised = |version: &str| -> Vec<String> {
        let numbers: Vec<&str> = version.split(['.', '-', '+']).take(3).collect();
        let first = numbers.iter().position(|number| *number != "0");
        let first = first.unwrap_or(numbers.len());
        numbers
            .iter()
            .take(first.saturating_add(1))
            .map(|number| (*number).to_owned())
            .collect()
    };
    promised(then) == promised(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_promises_up_to_its_first_number_that_is_not_0() {
        for (then, now) in [("0.1.0", "0.1.0"), ("0.1.0", "0.1.7"), ("1.2.3", "1.9.0")] {
            assert!(compatible(then, now), "{then} {now}");
        }
        for (then, now) in [
            ("0.1.0", "0.2.0"),
            ("1.2.3", "2.0.0"),
            ("0.1.0", "1.1.0"),
            ("0.0.1", "0.0.2"),
        ] {
            assert!(!compatible(then, now), "{then} {now}");
        }
    }

    #[test]
    fn a_feature_that_is_gone_is_named_and_a_new_one_is_not() {
        let package = |features: &[&str]| Package {
            features: features.iter().map(|name| (*name).to_owned()).collect(),
            ..Package::default()
        };
        let then = package(&["alloc", "jwt"]);
        assert_eq!(lost_features(&then, &package(&["alloc", "new"])), ["jwt"]);
        assert!(lost_features(&then, &package(&["alloc", "jwt", "new"])).is_empty());
    }

    #[test]
    fn sides_and_features_have_files_of_their_own() {
        let places = Places {
            repo: PathBuf::from("/r"),
            target: PathBuf::from("/t"),
            lab: PathBuf::from("/l"),
            cache: PathBuf::from("/c"),
        };
        let side = |name| Side {
            name,
            tree: Path::new("/r"),
        };
        let json = |name, features| side(name).json(&places, "tidelock-x", features);
        let now = json("now", Features::All);
        assert!(now.ends_with("doc/tidelock_x.json"));
        assert_ne!(now, json("then", Features::All));
        assert_ne!(now, json("now", Features::None));
    }
}
