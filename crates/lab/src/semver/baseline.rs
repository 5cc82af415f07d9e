//! The commit that the published crates are held to: which one it is, and its files.

use crate::cache::{Cache, Key, remove};
use crate::cmd::{Cmd, installed};
use crate::failure::{Doing, Failure, Result};
use crate::places::Places;
use std::fs;
use std::path::{Path, PathBuf};

/// The file that names it, in the root of the repository.
pub(super) const FILE: &str = "semver-baseline";

/// Letters of a commit's full id (SHA-1, SHA-256): a short one may become ambiguous.
const ID_LETTERS: [usize; 2] = [40, 64];

/// Raised when the way its files are laid out changes.
const RECIPE: u32 = 1;

/// How many seconds a remote has to give one commit.
const FETCH_SECONDS: &str = "120";

/// A commit's full id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Baseline(String);

/// Its files, or why this copy of the repository cannot have them.
#[derive(Debug)]
pub(super) enum Files {
    /// The folder.
    In(PathBuf),
    /// Nothing can be checked, which is nobody's mistake.
    NotHere(String),
}

impl Baseline {
    /// Reads [`FILE`].
    ///
    /// # Errors
    /// When it names no commit, or several.
    pub(super) fn read(repo: &Path) -> Result<Self> {
        let path = repo.join(FILE);
        let text = fs::read_to_string(&path).doing("read", &path)?;
        Self::parse(&text).map_err(|what| {
            Failure::new(format!("{FILE} {what}"))
                .fix("one line has to be the full id of a commit, as `git rev-parse HEAD` prints it; others begin with `#`")
        })
    }

    fn parse(text: &str) -> std::result::Result<Self, String> {
        let lines = text.lines().map(str::trim);
        let mut ids = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (Some(id), None) = (ids.next(), ids.next()) else {
            return Err("does not name one commit".to_owned());
        };
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if ID_LETTERS.contains(&id.len()) && id.bytes().all(hex) {
            Ok(Self(id.to_owned()))
        } else {
            Err(format!("has `{id}`, which is no full id"))
        }
    }

    /// As people write it.
    pub(super) fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }

    /// Its files, out of the repository's history. A shallow clone asks where it comes from for this one commit.
    ///
    /// # Errors
    /// When the history is all there, and the commit is not in it.
    pub(super) fn files(&self, places: &Places) -> Result<Files> {
        let repo = &places.repo;
        if !repo.join(".git").exists() {
            return Ok(Files::NotHere(
                "these files are no clone of the repository, so they have no history".to_owned(),
            ));
        }
        if !installed("git") {
            return Err(Failure::new("`git` is not installed").fix("apt-get install git"));
        }
        let shallow = git(repo, &["rev-parse", "--is-shallow-repository"]).output()?;
        let shallow = shallow.trim() == "true";
        if !self.is_in(repo) && shallow {
            self.fetch(places);
        }
        match (self.is_in(repo), shallow) {
            (false, true) => Ok(Files::NotHere(format!(
                "this clone is shallow, has no commit {}, and cannot fetch it; `git fetch --unshallow` brings the history",
                self.short()
            ))),
            (false, false) => Err(self.no_ancestor()),
            (true, false) if !self.leads_to_head(repo)? => Err(self.no_ancestor()),
            (true, _) => self.unpack(places).map(Files::In),
        }
    }

    fn is_in(&self, repo: &Path) -> bool {
        let commit = format!("{}^{{commit}}", self.0);
        git(repo, &["rev-parse", "--quiet", "--verify", &commit])
            .output()
            .is_ok()
    }

    /// Asks for the commit alone, whatever comes of it: that it did not come is seen by looking for it.
    fn fetch(&self, places: &Places) {
        let git = ["git", "-c", "safe.directory=*", "fetch", "--quiet"];
        let asked = Cmd::new("timeout")
            .arg(FETCH_SECONDS)
            .args(git)
            .args(["--depth", "1", "--no-tags", "--no-write-fetch-head"])
            .args(["origin", &self.0])
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
            .dir(&places.repo)
            .log(&places.lab.join("semver-fetch.log"));
        // A clone that has nowhere to ask is the one that `files` tells of.
        let _ = asked.run();
    }

    /// Whether whoever clones this branch has it too.
    fn leads_to_head(&self, repo: &Path) -> Result<bool> {
        git(repo, &["merge-base", "--is-ancestor", &self.0, "HEAD"]).succeeds()
    }

    fn no_ancestor(&self) -> Failure {
        let what = format!(
            "{FILE} names {}, which is not in this branch's history",
            self.short()
        );
        Failure::new(what).fix("name the commit of the last release, as this branch has it")
    }

    fn unpack(&self, places: &Places) -> Result<PathBuf> {
        let what = format!("the sources of {}", self.short());
        let key = Key::new(RECIPE).with(&self.0);
        let dir = Cache::new(&places.cache).entry("baselines", &what, key, |dir| {
            let archive = dir.join("archive.tar");
            git(&places.repo, &["archive", "--format=tar", "--output"])
                .arg(&archive)
                .arg(&self.0)
                .run()?;
            let tree = tree(dir);
            fs::create_dir_all(&tree).doing("make the folder", &tree)?;
            let tar = Cmd::new("tar").arg("-xf").arg(&archive);
            tar.arg("-C").arg(&tree).run()?;
            remove(&archive)
        })?;
        Ok(tree(&dir))
    }
}

fn tree(dir: &Path) -> PathBuf {
    dir.join("tree")
}

/// A git that reads a clone of whoever's: continuous integration checks out as one user and builds as another.
fn git(repo: &Path, args: &[&str]) -> Cmd {
    Cmd::new("git")
        .args(["-c", "safe.directory=*"])
        .args(args)
        .dir(repo)
}

#[cfg(test)]
mod tests;
