//! Which Debian mirror this machine uses: read from its own apt configuration, never assumed.

use crate::failure::{Failure, Result};
use std::fs;
use std::path::Path;

/// The keyring that Debian's own packages are signed with.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Debian suites that a mirror of the main archive can be recognised by.
const CODENAMES: [&str; 8] = [
    "bullseye", "bookworm", "trixie", "forky", "sid", "stable", "testing", "unstable",
];

/// A Debian release that the lab takes packages from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Release {
    /// Debian 12: kernels 6.1 and 6.12, and the guest.
    Bookworm,
    /// Debian 13 with backports: the newest kernel, and Rust's sources.
    Trixie,
}

impl Release {
    /// Its code name.
    pub(crate) fn codename(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

/// Where this machine fetches Debian packages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Mirrors {
    archive: String,
    security: String,
}

impl Mirrors {
    /// Reads the machine's apt sources.
    ///
    /// # Errors
    /// When no Debian mirror is configured.
    pub(crate) fn of_this_machine() -> Result<Self> {
        let apt = Path::new("/etc/apt");
        let mut files = vec![apt.join("sources.list")];
        let parts = fs::read_dir(apt.join("sources.list.d"))
            .into_iter()
            .flatten()
            .flatten();
        files.extend(parts.map(|entry| entry.path()));
        files.sort();
        let sources: Vec<Source> = files
            .iter()
            .filter_map(|file| {
                let text = fs::read_to_string(file).ok()?;
                match file.extension()?.to_str()? {
                    "sources" => Some(deb822(&text)),
                    "list" => Some(one_line(&text)),
                    _ => None,
                }
            })
            .flatten()
            .collect();
        Self::among(&sources).ok_or_else(|| {
            Failure::new("no Debian mirror is configured in /etc/apt").fix(
                "the lab builds for Debian kernels and takes the mirror from the machine's own apt sources;\n\
                 run it on Debian, or in a Debian container",
            )
        })
    }

    fn among(sources: &[Source]) -> Option<Self> {
        let debian = |suite: &str, ending: &str| {
            suite
                .strip_suffix(ending)
                .is_some_and(|name| CODENAMES.contains(&name))
        };
        let find = |ending: &str| {
            let source = sources
                .iter()
                .find(|source| source.suites.iter().any(|s| debian(s, ending)))?;
            Some(source.uri.trim_end_matches('/').to_owned())
        };
        let archive = find("")?;
        // Mirrors keep the security archive beside the main one.
        let security = find("-security").unwrap_or_else(|| format!("{archive}-security"));
        Some(Self { archive, security })
    }

    /// The lines of a `sources.list` for a release.
    pub(crate) fn lines(&self, release: Release) -> Vec<String> {
        let name = release.codename();
        let mut suites = vec![name.to_owned(), format!("{name}-updates")];
        if release == Release::Trixie {
            suites.push(format!("{name}-backports"));
        }
        let line = |uri: &str, suite: &str| format!("deb [signed-by={KEYRING}] {uri} {suite} main");
        let mut lines: Vec<String> = suites
            .iter()
            .map(|suite| line(&self.archive, suite))
            .collect();
        lines.push(line(&self.security, &format!("{name}-security")));
        lines
    }
}

#[derive(Debug)]
struct Source {
    uri: String,
    suites: Vec<String>,
}

/// Sources in the style of `deb URI SUITE COMPONENT…`.
fn one_line(text: &str) -> Vec<Source> {
    text.lines()
        .filter_map(|line| {
            let rest = line.trim().strip_prefix("deb ")?.trim();
            let rest = match rest.strip_prefix('[') {
                Some(options) => options.split_once(']')?.1,
                None => rest,
            };
            let mut words = rest.split_whitespace();
            Some(Source {
                uri: words.next()?.to_owned(),
                suites: vec![words.next()?.to_owned()],
            })
        })
        .collect()
}

/// Sources in the style of `Types: deb` / `URIs: …` stanzas.
fn deb822(text: &str) -> Vec<Source> {
    let field = |stanza: &str, name: &str| {
        stanza.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    text.split("\n\n")
        .filter_map(|stanza| {
            let types = field(stanza, "Types")?;
            let off = field(stanza, "Enabled").is_some_and(|value| value == "no");
            if off || !types.split_whitespace().any(|word| word == "deb") {
                return None;
            }
            let uri = field(stanza, "URIs")?.split_whitespace().next()?.to_owned();
            let suites = field(stanza, "Suites")?
                .split_whitespace()
                .map(str::to_owned)
                .collect();
            Some(Source { uri, suites })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deb822_stanzas_are_read() {
        let text = "Types: deb\n# a comment\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\n\
                    Components: main\n\nTypes: deb\nURIs: http://mirror.example/sec/\nSuites: bookworm-security\n";
        let mirrors = Mirrors::among(&deb822(text)).expect("both are there");
        assert_eq!(mirrors.archive, "http://mirror.example/debian");
        assert_eq!(mirrors.security, "http://mirror.example/sec");
    }

    #[test]
    fn one_line_sources_are_read_and_strangers_passed_over() {
        let text = "# deb http://old.example/debian trixie main\n\
                    deb [arch=amd64] http://other.example/apt nodistro main\n\
                    deb [signed-by=/k.gpg] http://mirror.example/debian trixie main\n";
        let mirrors = Mirrors::among(&one_line(text)).expect("one is there");
        assert_eq!(mirrors.archive, "http://mirror.example/debian");
        assert_eq!(mirrors.security, "http://mirror.example/debian-security");
    }

    #[test]
    fn a_disabled_stanza_does_not_count() {
        assert!(
            deb822("Types: deb\nEnabled: no\nURIs: http://m.example/debian\nSuites: trixie\n")
                .is_empty()
        );
    }

    #[test]
    fn the_newest_kernels_come_from_backports() {
        let mirrors = Mirrors {
            archive: "http://m.example/debian".into(),
            security: "http://m.example/s".into(),
        };
        let lines = mirrors.lines(Release::Trixie);
        assert!(
            lines
                .iter()
                .any(|line| line.ends_with("http://m.example/debian trixie-backports main"))
        );
        assert!(
            lines
                .iter()
                .any(|line| line.ends_with("http://m.example/s trixie-security main"))
        );
    }
}
