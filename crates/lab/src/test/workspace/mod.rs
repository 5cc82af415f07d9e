//! Rules about the workspace as a whole: who depends on whom, on which terms, and what its files look like.
//!
//! Licences, sources and bans are those of `deny.toml`. They are checked here and not by cargo-deny because installing
//! that takes a third of the time that all of the tests may take; where it is installed, it runs as well.

mod edges;
mod lists;
mod sources;
mod spdx;

use super::tally::Tally;
use crate::cmd::{Cmd, installed};
use crate::failure::{Doing, Failure, Result};
use crate::metadata::{self, Package};
use crate::places::Places;

/// Licences that what is linked into the module may have: those that agree with the kernel's own, GPL-2.0.
const IN_THE_MODULE: [&str; 6] = [
    "MIT",
    "ISC",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "Zlib",
    "Unicode-3.0",
];

/// Runs every check.
///
/// # Errors
/// When cargo or git cannot answer, or `deny.toml` lacks a list.
pub(crate) fn run(places: &Places) -> Result<Tally> {
    let packages = metadata::read(&places.repo)?;
    let module = metadata::in_the_module(&places.repo)?;
    let files = sources::files(&places.repo)?;
    let rules = Rules::read(places)?;
    let mut tally = Tally::default();
    tally.check("the arrows of the map", &edges::wrong(&packages));
    tally.check(
        "the kernel lane asks for little",
        &edges::strangers(&packages),
    );
    tally.check("licences", &rules.licences(&packages));
    tally.check("bans", &rules.banned(&packages));
    tally.check("one source of crates", &sources_of(&packages));
    tally.check("licences in the module", &licences_in_the_module(&module));
    tally.check("one version of each crate in the module", &twice(&module));
    tally.check("attributes of packages", &sources::attributes(&packages)?);
    tally.check(
        "libraries begin with an example",
        &sources::without_example(&packages)?,
    );
    tally.check("no file too long", &sources::too_long(&places.repo, &files));
    tally.check("scripts", &sources::broken_scripts(&places.repo, &files));
    tally.notes.push(compiler_note(&packages)?);
    if installed("cargo-deny") {
        let deny =
            Cmd::new("cargo").args(["deny", "--offline", "check", "licenses", "bans", "sources"]);
        let log = places.lab.join("test-cargo-deny.log");
        tally.result("cargo deny", deny.dir(&places.repo).log(&log).run());
    }
    Ok(tally)
}

/// The lists of `deny.toml`.
struct Rules {
    allow: Vec<String>,
    deny: Vec<String>,
}

impl Rules {
    fn read(places: &Places) -> Result<Self> {
        let path = places.repo.join("deny.toml");
        let text = std::fs::read_to_string(&path).doing("read", &path)?;
        let list = |section, key| {
            lists::list(&text, section, key).ok_or_else(|| {
                Failure::new(format!("deny.toml has no list `{key}` in [{section}]"))
            })
        };
        Ok(Self {
            allow: list("licenses", "allow")?,
            deny: list("bans", "deny")?,
        })
    }

    fn licences(&self, packages: &[Package]) -> Vec<String> {
        let allow: Vec<&str> = self.allow.iter().map(String::as_str).collect();
        packages
            .iter()
            .filter(|package| !spdx::allowed(&package.license, &allow))
            .map(|package| {
                format!(
                    "{} {} is `{}`",
                    package.name, package.version, package.license
                )
            })
            .collect()
    }

    fn banned(&self, packages: &[Package]) -> Vec<String> {
        packages
            .iter()
            .filter(|package| self.deny.contains(&package.name))
            .map(|package| format!("`{}` is banned", package.name))
            .collect()
    }
}

/// Packages from anywhere but one registry: a second one, or git.
fn sources_of(packages: &[Package]) -> Vec<String> {
    let sources = || {
        packages
            .iter()
            .filter_map(|package| package.source.as_ref())
    };
    let registry = sources().find(|source| source.starts_with("registry+"));
    packages
        .iter()
        .filter(|package| package.source.is_some() && package.source.as_ref() != registry)
        .map(|package| format!("{} comes from {:?}", package.name, package.source))
        .collect()
}

fn licences_in_the_module(module: &[Package]) -> Vec<String> {
    module
        .iter()
        .filter(|package| !spdx::allowed(&package.license, &IN_THE_MODULE))
        .map(|package| {
            format!(
                "`{}` is `{}`, which does not agree with the kernel's licence",
                package.name, package.license
            )
        })
        .collect()
}

/// Names that are there in more than one version.
fn twice(module: &[Package]) -> Vec<String> {
    module
        .windows(2)
        .filter(|pair| pair[0].name == pair[1].name && pair[0].version != pair[1].version)
        .map(|pair| {
            format!(
                "{} {} and {}",
                pair[0].name, pair[0].version, pair[1].version
            )
        })
        .collect()
}

/// Whether this run shows that the promised oldest compiler is enough.
fn compiler_note(packages: &[Package]) -> Result<String> {
    let promised = packages
        .iter()
        .find(|package| package.source.is_none())
        .map(|package| package.rust_version.clone())
        .unwrap_or_default();
    let version = Cmd::new("rustc").arg("--version").output()?;
    let ours = version.split_whitespace().nth(1).unwrap_or_default();
    Ok(if is_release_of(ours, &promised) {
        format!("this compiler is {ours}, the oldest that is promised")
    } else {
        format!("this compiler is {ours}; {promised} is promised, and not tested by this run")
    })
}

/// Whether `1.95.0` is a release of `1.95`.
fn is_release_of(version: &str, promised: &str) -> bool {
    version
        .strip_prefix(promised)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, source: Option<&str>) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            source: source.map(str::to_owned),
            license: "MIT".to_owned(),
            ..Package::default()
        }
    }

    #[test]
    fn a_second_source_is_noticed() {
        let one = package("a", "1", Some("registry+x"));
        let ours = package("b", "1", None);
        let git = package("c", "1", Some("git+y"));
        assert!(sources_of(&[ours.clone(), one.clone()]).is_empty());
        assert_eq!(sources_of(&[ours.clone(), one, git.clone()]).len(), 1);
        assert_eq!(
            sources_of(&[ours, git]).len(),
            1,
            "git alone is no registry"
        );
    }

    #[test]
    fn a_second_version_is_noticed() {
        let list = [
            package("a", "1", None),
            package("a", "2", None),
            package("b", "1", None),
        ];
        assert_eq!(twice(&list), ["a 1 and 2"]);
    }

    #[test]
    fn the_rules_come_from_the_file() {
        let rules = Rules {
            allow: vec!["ISC".to_owned()],
            deny: vec!["openssl".to_owned()],
        };
        let list = [package("openssl", "1", None)];
        assert_eq!(rules.licences(&list).len(), 1);
        assert_eq!(rules.banned(&list).len(), 1);
    }

    #[test]
    fn a_release_is_known_by_its_first_two_numbers() {
        assert!(is_release_of("1.95.0", "1.95"));
        assert!(!is_release_of("1.96.0", "1.95"));
        assert!(!is_release_of("1.950.0", "1.95"));
    }
}
