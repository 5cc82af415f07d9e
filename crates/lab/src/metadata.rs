//! What cargo says about the workspace and everything that it is built from.

use crate::cmd::Cmd;
use crate::failure::{Failure, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The target that host programs are built for: what other systems would need does not count.
const HOST: &str = "x86_64-unknown-linux-gnu";

/// A package of the workspace, or one that it is built from.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence expression.
    pub license: String,
    /// Where it comes from; `None` for one of ours.
    pub source: Option<String>,
    /// Its `Cargo.toml`.
    pub manifest: PathBuf,
    /// Its edition.
    pub edition: String,
    /// The oldest compiler that it promises to build with.
    pub rust_version: String,
    /// Whether anyone may have it from a registry.
    pub published: bool,
    /// Whether it has a library, for other crates to use.
    pub library: bool,
    /// Its features.
    pub features: Vec<String>,
    /// What it asks for, in its `Cargo.toml`.
    pub asks: Vec<Dependency>,
}

/// One line of a `[dependencies]` table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Dependency {
    /// The package.
    pub name: String,
    /// Whether only tests, examples and benches see it.
    pub dev: bool,
    /// Whether it is a package of ours.
    pub ours: bool,
}

impl Package {
    /// Whether it is one of ours that others can ask for.
    pub(crate) fn is_for_others(&self) -> bool {
        self.source.is_none() && self.published
    }
}

/// Every package of a build for the host, ours first.
///
/// # Errors
/// When cargo fails: for one, when `Cargo.lock` is not up to date.
pub(crate) fn read(repo: &Path) -> Result<Vec<Package>> {
    let text = Cmd::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", HOST])
        .dir(repo)
        .output()?;
    let json: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::new(format!("cargo's metadata cannot be read: {error}")))?;
    let used: Vec<&str> = list(&json["resolve"]["nodes"])
        .filter_map(|node| node["id"].as_str())
        .collect();
    let mut packages: Vec<Package> = list(&json["packages"])
        .filter(|package| package["id"].as_str().is_some_and(|id| used.contains(&id)))
        .map(package)
        .collect();
    packages.sort_by(|a, b| (&a.source, &a.name).cmp(&(&b.source, &b.name)));
    Ok(packages)
}

fn package(json: &Value) -> Package {
    let asks = list(&json["dependencies"]).map(|dependency| Dependency {
        name: text(&dependency["name"]),
        dev: dependency["kind"] == "dev",
        ours: dependency["path"].is_string(),
    });
    Package {
        name: text(&json["name"]),
        version: text(&json["version"]),
        license: text(&json["license"]),
        source: json["source"].as_str().map(str::to_owned),
        manifest: PathBuf::from(text(&json["manifest_path"])),
        edition: text(&json["edition"]),
        rust_version: text(&json["rust_version"]),
        published: json["publish"].is_null(),
        library: list(&json["targets"])
            .flat_map(|target| list(&target["kind"]))
            .any(|kind| kind == "lib"),
        features: json["features"]
            .as_object()
            .map(|features| features.keys().cloned().collect())
            .unwrap_or_default(),
        asks: asks.collect(),
    }
}

fn list(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().into_iter().flatten()
}

fn text(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

/// The packages that are linked into the kernel module: name, version and licence. Those that only run while it is
/// compiled are not in it.
///
/// # Errors
/// When cargo fails.
pub(crate) fn in_the_module(repo: &Path) -> Result<Vec<Package>> {
    let text = Cmd::new("cargo")
        .args(["tree", "--locked", "--package", "tidelock-kmod"])
        .args([
            "--edges",
            "normal,no-proc-macro",
            "--target",
            crate::rustc::TARGET,
        ])
        .args(["--prefix", "none", "--no-dedupe", "--format", "{p}|{l}"])
        .dir(repo)
        .output()?;
    let mut packages: Vec<Package> = text.lines().filter_map(leaf).collect();
    packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    packages.dedup();
    Ok(packages)
}

/// A line of `cargo tree`: `NAME vVERSION (PATH)|LICENCE`.
fn leaf(line: &str) -> Option<Package> {
    let (what, license) = line.split_once('|')?;
    let mut words = what.split_whitespace();
    Some(Package {
        name: words.next()?.to_owned(),
        version: words.next()?.trim_start_matches('v').to_owned(),
        license: license.to_owned(),
        ..Package::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_told_from_a_program() {
        let targets = |text: &str| {
            let json: Value = serde_json::from_str(text).expect("it is JSON");
            package(&json).library
        };
        assert!(targets(
            r#"{"targets": [{"kind": ["bin"]}, {"kind": ["lib"]}]}"#
        ));
        assert!(!targets(
            r#"{"targets": [{"kind": ["bin"]}, {"kind": ["custom-build"]}]}"#
        ));
    }

    #[test]
    fn what_is_published_is_what_others_can_ask_for() {
        let package = |published, source: Option<&str>| Package {
            source: source.map(str::to_owned),
            published,
            ..Package::default()
        };
        assert!(package(true, None).is_for_others());
        assert!(!package(false, None).is_for_others());
        assert!(!package(true, Some("registry+x")).is_for_others());
    }

    #[test]
    fn lines_of_the_tree_are_read() {
        let package = leaf("tidelock-kabi v0.1.0 (/src/crates/kabi)|MIT OR Apache-2.0")
            .expect("it is well formed");
        assert_eq!(
            (package.name.as_str(), package.version.as_str()),
            ("tidelock-kabi", "0.1.0")
        );
        assert_eq!(package.license, "MIT OR Apache-2.0");
        assert_eq!(leaf(""), None);
    }
}
