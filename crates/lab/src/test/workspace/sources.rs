//! Rules about files: what compilers and linters do not hold.

use super::edges::UNPUBLISHED;
use crate::cmd::Cmd;
use crate::failure::{Doing, Result};
use crate::metadata::Package;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, in lines, tests not counted (the rule is 400 and files aim at 200).
const MAX_LINES: usize = 400;
/// The same for C, which says less in a line.
const MAX_C_LINES: usize = 500;

/// Crates without `std`.
const NO_STD: [&str; 5] = ["spiffe-core", "policy", "attest", "kabi", "datapath"];

/// Where unsafe code may be: the kernel's boundary, and the agent's system calls.
const MAY_BE_UNSAFE: [&str; 2] = ["tidelock-kmod", "tidelock-agent"];

/// Every file of the repository, but for what is built.
///
/// # Errors
/// When a folder cannot be read.
pub(crate) fn files(repo: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![repo.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).doing("read", &folder)?.flatten() {
            let path = entry.path();
            if !path.is_dir() {
                files.extend(path.strip_prefix(repo).map(Path::to_owned));
            } else if ![".git", "target"]
                .iter()
                .any(|built| entry.file_name() == *built)
            {
                folders.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Files that should be split.
pub(crate) fn too_long(repo: &Path, files: &[PathBuf]) -> Vec<String> {
    let counted = |file: &&PathBuf| {
        let code = file
            .extension()
            .is_some_and(|ending| ["rs", "c", "h", "sh"].iter().any(|known| ending == *known));
        let test =
            file.ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests");
        code && !test
    };
    let lines = |file: &PathBuf| {
        let text = fs::read_to_string(repo.join(file)).unwrap_or_default();
        let lines = lines_of_code(&text);
        let most = if file.extension().is_some_and(|ending| ending == "c") {
            MAX_C_LINES
        } else {
            MAX_LINES
        };
        (lines > most).then(|| format!("{} has {lines} lines", file.display()))
    };
    files.iter().filter(counted).filter_map(lines).collect()
}

/// Lines before the tests at a file's foot.
fn lines_of_code(text: &str) -> usize {
    let before = text.split("\n#[cfg(test)]\nmod tests {").next();
    before.unwrap_or(text).lines().count()
}

/// Packages that do not take edition, lints or the oldest compiler from the workspace, and crates without the
/// attributes that they should have.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn attributes(packages: &[Package]) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for package in packages.iter().filter(|package| package.source.is_none()) {
        let manifest = read(&package.manifest)?;
        for line in [
            "edition.workspace = true",
            "rust-version.workspace = true",
            "[lints]\nworkspace = true",
        ] {
            if !manifest.contains(line) {
                let line = line.replace('\n', " ");
                wrong.push(format!("`{}` lacks `{line}`", package.name));
            }
        }
        let Some(root) = root(&package.manifest) else {
            continue;
        };
        let text = read(&root)?;
        let mut expect = |attribute: &str| {
            if !text.lines().any(|line| line.starts_with(attribute)) {
                wrong.push(format!("`{}` lacks `{attribute}`", package.name));
            }
        };
        let name = package.name.trim_start_matches("tidelock-");
        if NO_STD.contains(&name) {
            expect("#![no_std]");
        }
        if !MAY_BE_UNSAFE.contains(&package.name.as_str()) && root.ends_with("src/lib.rs") {
            expect("#![forbid(unsafe_code)]");
        }
    }
    Ok(wrong)
}

fn root(manifest: &Path) -> Option<PathBuf> {
    let folder = manifest.parent()?;
    ["src/lib.rs", "src/main.rs"]
        .map(|file| folder.join(file))
        .into_iter()
        .find(|file| file.is_file())
}

/// Libraries for others whose documentation does not begin with an example that is run.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn without_example(packages: &[Package]) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for package in packages.iter().filter(|package| package.source.is_none()) {
        let name = package.name.trim_start_matches("tidelock-");
        let root = root(&package.manifest).filter(|root| root.ends_with("src/lib.rs"));
        let Some(root) = root.filter(|_| !UNPUBLISHED.contains(&name)) else {
            continue;
        };
        if !begins_with_example(&read(&root)?) {
            wrong.push(format!(
                "`{}`: its documentation does not begin with an example that is run",
                package.name
            ));
        }
    }
    Ok(wrong)
}

/// Whether the first block of code in the documentation at a file's head is a test, and is run.
fn begins_with_example(text: &str) -> bool {
    let docs = text.lines().take_while(|line| line.starts_with("//!"));
    let mut blocks = docs.filter_map(|line| line.strip_prefix("//! ```"));
    blocks.next().is_some_and(str::is_empty)
}

/// Shell scripts that are no shell.
pub(crate) fn broken_scripts(repo: &Path, files: &[PathBuf]) -> Vec<String> {
    let is_script = |file: &&PathBuf| {
        let text = fs::read(repo.join(file)).unwrap_or_default();
        file.extension().is_some_and(|ending| ending == "sh") || text.starts_with(b"#!/bin/bash")
    };
    files
        .iter()
        .filter(is_script)
        .filter_map(|file| {
            let checked = Cmd::new("bash").arg("-n").arg(file).dir(repo).output();
            checked.err().map(|failure| failure.to_string())
        })
        .collect()
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).doing("read", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_at_the_foot_are_not_counted() {
        let code = "fn a() {}\n".repeat(10);
        let text = format!("{code}\n#[cfg(test)]\nmod tests {{\n{code}}}\n");
        assert_eq!(lines_of_code(&text), 10);
        assert_eq!(lines_of_code(&code), 10);
    }

    #[test]
    fn an_example_is_one_only_if_it_is_run() {
        assert!(begins_with_example(
            "//! A crate.\n//! ```\n//! f();\n//! ```\n"
        ));
        for not_run in ["no_run", "text", "ignore"] {
            let text = format!("//! A crate.\n//! ```{not_run}\n//! f();\n//! ```\n");
            assert!(!begins_with_example(&text), "{not_run}");
        }
        assert!(!begins_with_example(
            "//! A crate.\n\n/// ```\n/// f();\n/// ```\n"
        ));
    }
}
