//! Package lists of a Debian release, in a folder of our own: the machine's own lists are left alone, and no root
//! is needed.

mod mirrors;

pub(crate) use mirrors::{Mirrors, Release};

use crate::cache::Cache;
use crate::cmd::Cmd;
use crate::failure::{Doing, Failure, Result};
use crate::say::{say, timed};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long package lists are used before they are fetched again.
const FRESH_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// The package lists of one release.
#[derive(Debug)]
pub(crate) struct Index {
    dir: PathBuf,
    release: Release,
    sources: Vec<String>,
    cache: Cache,
}

/// One version of a package, as the lists describe it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Names of what it depends on; of alternatives, all.
    pub depends: Vec<String>,
}

impl Index {
    /// Opens the lists of a release, fetching them if they are missing, old, or `refresh` asks for it.
    ///
    /// # Errors
    /// When they cannot be fetched and there are none from before.
    pub(crate) fn open(cache_root: &Path, release: Release, refresh: bool) -> Result<Self> {
        let sources = Mirrors::of_this_machine()?.lines(release);
        let dir = cache_root.join("apt").join(release.codename());
        let index = Self {
            dir,
            release,
            sources,
            cache: Cache::new(cache_root),
        };
        if refresh || !index.fresh() {
            index.fetch(refresh)?;
        }
        Ok(index)
    }

    /// Its code name.
    pub(crate) fn codename(&self) -> &'static str {
        self.release.codename()
    }

    /// The `sources.list` lines of this release.
    pub(crate) fn sources(&self) -> &[String] {
        &self.sources
    }

    /// Every version of a package, newest first.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn versions(&self, name: &str) -> Result<Vec<Package>> {
        let text = self
            .apt("apt-cache")
            .args(["show", name])
            .output()
            .map_err(|_| self.unknown(name))?;
        let mut packages: Vec<Package> = text.split("\n\n").filter_map(stanza).collect();
        packages.sort_by(|a, b| version_order(&b.version, &a.version));
        packages.dedup();
        if packages.is_empty() {
            Err(self.unknown(name))
        } else {
            Ok(packages)
        }
    }

    /// The newest version of a package.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn newest(&self, name: &str) -> Result<Package> {
        self.versions(name)?
            .into_iter()
            .next()
            .ok_or_else(|| self.unknown(name))
    }

    /// Downloads packages and unpacks them over one another into `root`.
    ///
    /// # Errors
    /// When a download or an archive fails.
    pub(crate) fn unpack(&self, packages: &[Package], root: &Path) -> Result<()> {
        let debs = root.join(".debs");
        fs::create_dir_all(&debs).doing("make the folder", &debs)?;
        let wanted: Vec<String> = packages
            .iter()
            .map(|p| format!("{}={}", p.name, p.version))
            .collect();
        // One for each thread that downloads.
        let (process, thread) = (std::process::id(), std::thread::current().id());
        let log = self.dir.join(format!("download-{process}-{thread:?}.log"));
        let download = || {
            self.apt("apt-get")
                .args(["download", "-q"])
                .args(&wanted)
                .dir(&debs)
                .log(&log)
                .run()
        };
        if download().is_err() {
            // A mirror drops old versions when a newer one comes: look again, once.
            say("a download failed; fetching the package lists anew");
            self.fetch(true)?;
            download().map_err(|failure| {
                failure.fix("if a newer version is out, run the same command again")
            })?;
        }
        let _ = fs::remove_file(&log);
        for deb in fs::read_dir(&debs).doing("read", &debs)?.flatten() {
            Cmd::new("dpkg-deb")
                .arg("-x")
                .arg(deb.path())
                .arg(root)
                .run()?;
        }
        crate::cache::remove(&debs)
    }

    fn unknown(&self, name: &str) -> Failure {
        Failure::new(format!(
            "Debian {} has no package `{name}`",
            self.release.codename()
        ))
        .fix("`cargo lab setup --refresh` fetches the package lists anew")
    }

    fn stamp(&self) -> PathBuf {
        self.dir.join("sources.list")
    }

    /// The stamp holds the sources, and is as old as the lists.
    fn fresh(&self) -> bool {
        let stamp = self.stamp();
        let same = fs::read_to_string(&stamp).is_ok_and(|text| text == self.sources_text());
        let age = fs::metadata(&stamp)
            .and_then(|meta| meta.modified())
            .map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
        same && age.is_ok_and(|age| age < FRESH_FOR)
    }

    fn sources_text(&self) -> String {
        self.sources
            .iter()
            .map(|line| format!("{line}\n"))
            .collect()
    }

    fn fetch(&self, even_if_fresh: bool) -> Result<()> {
        let what = format!("Debian {} package lists", self.release.codename());
        let _lock = self
            .cache
            .lock(&format!("apt-{}", self.release.codename()), &what)?;
        if !even_if_fresh && self.fresh() {
            return Ok(());
        }
        for part in ["lists/partial", "cache/archives/partial"] {
            let dir = self.dir.join(part);
            fs::create_dir_all(&dir).doing("make the folder", &dir)?;
        }
        let next = self.dir.join("next.list");
        write(&next, &self.sources_text())?;
        write(&self.dir.join("status"), "")?;
        write(&self.dir.join("apt.conf"), &self.config(&self.stamp()))?;
        write(&self.dir.join("next.conf"), &self.config(&next))?;
        let log = self.dir.join("update.log");
        let update =
            Cmd::new("apt-get").args(["update", "-q", "-o", "APT::Update::Error-Mode=any"]);
        let update = update
            .env("APT_CONFIG", self.dir.join("next.conf"))
            .log(&log);
        match timed(&format!("fetching the {what}"), || update.run()) {
            Ok(()) => fs::rename(&next, self.stamp()).doing("put in place", &self.stamp()),
            Err(failure) if self.stamp().is_file() => {
                say(format!("using the {what} from before: {failure}"));
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Settings that keep apt inside our folder. Its own sandbox user could not write there.
    fn config(&self, sources: &Path) -> String {
        let dir = self.dir.display();
        format!(
            "Dir::Etc::SourceList \"{}\";\nDir::Etc::SourceParts \"/dev/null\";\nDir::State \"{dir}\";\n\
             Dir::State::Lists \"{dir}/lists\";\nDir::State::status \"{dir}/status\";\nDir::Cache \"{dir}/cache\";\n\
             APT::Sandbox::User \"\";\nAPT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; }};\n\
             Acquire::Languages \"none\";\nAcquire::IndexTargets::deb::Contents-deb::DefaultEnabled \"false\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n",
            sources.display()
        )
    }

    fn apt(&self, program: &str) -> Cmd {
        Cmd::new(program).env("APT_CONFIG", self.dir.join("apt.conf"))
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).doing("write", path)
}

/// Reads one stanza of `apt-cache show`.
fn stanza(text: &str) -> Option<Package> {
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            .map(str::trim)
    };
    let depends = field("Depends").unwrap_or_default();
    let depends = depends
        .split([',', '|'])
        .filter_map(|item| item.split_whitespace().next())
        .map(|name| name.split(':').next().unwrap_or(name).to_owned())
        .collect();
    Some(Package {
        name: field("Package")?.to_owned(),
        version: field("Version")?.to_owned(),
        depends,
    })
}

/// Debian's order of versions (deb-version(7)): runs of digits count as numbers, `~` sorts before everything.
pub(crate) fn version_order(a: &str, b: &str) -> std::cmp::Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let (text_a, rest_a) = a.split_at(a.iter().take_while(|c| !c.is_ascii_digit()).count());
        let (text_b, rest_b) = b.split_at(b.iter().take_while(|c| !c.is_ascii_digit()).count());
        let by_text = text_order(text_a, text_b);
        let (number_a, next_a) = number(rest_a);
        let (number_b, next_b) = number(rest_b);
        let order = by_text.then(number_a.cmp(&number_b));
        if order.is_ne() || (next_a.is_empty() && next_b.is_empty()) {
            return order;
        }
        (a, b) = (next_a, next_b);
    }
}

fn text_order(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    (0..=a.len().max(b.len()))
        .map(|i| weight(a.get(i)).cmp(&weight(b.get(i))))
        .find(|o| o.is_ne())
        .unwrap_or(std::cmp::Ordering::Equal)
}

fn number(text: &[u8]) -> (u64, &[u8]) {
    let (digits, rest) = text.split_at(text.iter().take_while(|c| c.is_ascii_digit()).count());
    (
        digits.iter().fold(0, |n, d| n * 10 + u64::from(d - b'0')),
        rest,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering;

    #[test]
    fn versions_sort_as_debian_sorts_them() {
        for (older, newer) in [
            ("6.1.176-1", "6.1.192-2"),
            ("6.12.117-1~deb12u1", "6.12.117-1"),
            ("6.12.117-1", "7.3.4-1~bpo13+1"),
            ("1.85.1+dfsg1-1+deb13u1", "1.95.0+dfsg1-2~bpo13+1"),
            ("1.0", "1.0+b1"),
            ("1.9", "1.10"),
        ] {
            assert_eq!(
                version_order(older, newer),
                Ordering::Less,
                "{older} {newer}"
            );
            assert_eq!(
                version_order(newer, older),
                Ordering::Greater,
                "{newer} {older}"
            );
            assert_eq!(version_order(newer, newer), Ordering::Equal);
        }
    }

    #[test]
    fn a_stanza_gives_every_dependency_by_name() {
        let text = "Package: linux-image-cloud-amd64\nVersion: 7.3.4-1\nDepends: a (= 7.3.4-1), b | c:any (>= 2)\n";
        let package = stanza(text).expect("it is whole");
        assert_eq!(package.depends, ["a", "b", "c"]);
        assert_eq!(
            (package.name.as_str(), package.version.as_str()),
            ("linux-image-cloud-amd64", "7.3.4-1")
        );
    }
}
