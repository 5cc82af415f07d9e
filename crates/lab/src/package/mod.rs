//! `cargo lab package`: what people install, as Debian packages.

mod deb;
mod machine;

pub(crate) use machine::{disk, plain};

use crate::build;
use crate::cache::{Cache, remove};
use crate::cmd::Cmd;
use crate::failure::{Doing, Failure, Result};
use crate::places::Places;
use crate::say::timed;
use deb::{Extra, Stamp};
use std::fs;
use std::path::{Path, PathBuf};

/// The workspace's version, which is that of every package.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Licences go where Debian looks for them.
const LICENSES: [&str; 3] = ["LICENSE-APACHE", "LICENSE-MIT", "kmod/LICENSE-GPL"];

/// What only a program has that tests can let die: the name of `tidelock_control::CRASH_FILE_VARIABLE`.
const CRASH_POINTS: &[u8] = b"TIDELOCK_CRASH_FILE";

/// Packages with a program, and which: its package's name in the workspace, and its own.
const PROGRAMS: [(&str, &str, &str); 3] = [
    ("tidelock-agent", "tidelock-agent-bin", "tidelock-agent"),
    ("tidelock-control", "tidelock-ca-bin", "tidelock-ca"),
    ("tidelock", "tidelock-cli", "tidelock"),
];

/// For whom packages are made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// People: optimised programs, small packages.
    Release,
    /// Tests: the programs that the other tests run, so that nothing is compiled twice.
    Test,
}

impl Purpose {
    fn folder(self) -> &'static str {
        match self {
            Self::Release => "packages",
            Self::Test => "packages-for-tests",
        }
    }

    /// xz's default is worth its time only for what is kept.
    fn effort(self) -> u8 {
        match self {
            Self::Release => 6,
            Self::Test => 0,
        }
    }
}

/// Makes every package; their paths, the module's first.
///
/// # Errors
/// When something does not build.
pub(crate) fn make(places: &Places, purpose: Purpose) -> Result<Vec<PathBuf>> {
    let stamp = Stamp {
        version: VERSION.to_owned(),
        epoch: epoch(places)?,
        effort: purpose.effort(),
    };
    let object = build::rust_object(places)?;
    let programs = match purpose {
        Purpose::Release => release_programs(places)?,
        Purpose::Test => build::programs(places)?,
    };
    let to = places.lab.join(purpose.folder());
    let _lock = Cache::new(&places.lab).lock(purpose.folder(), "the packages")?;
    remove(&to)?;
    fs::create_dir_all(&to).doing("make the folder", &to)?;
    timed("packages", || {
        let mut debs = vec![module(places, &object, &stamp, &to)?];
        for (package, _, program) in PROGRAMS {
            let from = programs.iter().find(|path| path.ends_with(program));
            let from = from.ok_or_else(|| Failure::new(format!("`{program}` was not built")))?;
            let mut extras = licenses(places, package);
            extras.push(Extra {
                from: from.clone(),
                to: format!("usr/bin/{program}"),
                program: true,
            });
            debs.push(deb::build(&folder(places, package), &extras, &stamp, &to)?);
        }
        Ok(debs)
    })
}

/// `cargo lab package`.
///
/// # Errors
/// As [`make`].
pub(crate) fn command(places: &Places, args: &[String]) -> Result<i32> {
    if let Some(word) = args.first() {
        let what = format!("`cargo lab package` has no option `{word}`");
        return Err(Failure::new(what).fix(crate::USAGE));
    }
    for deb in make(places, Purpose::Release)? {
        println!("{}", deb.display());
    }
    Ok(0)
}

fn folder(places: &Places, package: &str) -> PathBuf {
    places.repo.join("crates/lab/packages").join(package)
}

/// The module's C sources, what builds them, and the Rust half as an object, where dkms looks for sources.
fn module(places: &Places, object: &Path, stamp: &Stamp, to: &Path) -> Result<PathBuf> {
    let package = "tidelock-dkms";
    let folder = folder(places, package);
    let home = format!("usr/src/tidelock-{VERSION}");
    let into_home = |from: PathBuf, name: &str| Extra {
        from,
        to: format!("{home}/{name}"),
        program: false,
    };
    let kmod = places.repo.join("kmod");
    let mut extras = licenses(places, package);
    for source in build::module_sources(&kmod)? {
        let name = source.to_string_lossy().into_owned();
        extras.push(into_home(kmod.join(source), &name));
    }
    extras.push(into_home(object.to_owned(), "rust.o_shipped"));
    let conf = folder.join("source/dkms.conf");
    let text = fs::read_to_string(&conf).doing("read", &conf)?;
    let filled = to.join("dkms.conf");
    fs::write(&filled, deb::filled(&text, stamp)).doing("write", &filled)?;
    extras.push(into_home(filled.clone(), "dkms.conf"));
    let deb = deb::build(&folder, &extras, stamp, to)?;
    remove(&filled)?;
    Ok(deb)
}

fn licenses(places: &Places, package: &str) -> Vec<Extra> {
    let file = |path: &&str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        Extra {
            from: places.repo.join(path),
            to: format!("usr/share/doc/{package}/{name}"),
            program: false,
        }
    };
    LICENSES.iter().map(file).collect()
}

/// The programs as they are released: optimised, and without a trace of where they were built.
fn release_programs(places: &Places) -> Result<Vec<PathBuf>> {
    let mut cargo = Cmd::new("cargo").args(["build", "--quiet", "--release", "--locked", "--bins"]);
    for (_, package, _) in PROGRAMS {
        cargo = cargo.args(["--package", package]);
    }
    let cargo = cargo
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            crate::rustc::without_paths(places).join("\u{1f}"),
        )
        .dir(&places.repo);
    let what = "control plane, agent and command line, optimised";
    if !timed(what, || cargo.succeeds())? {
        return Err(Failure::new("the programs do not build (see above)"));
    }
    let to = places.lab.join("release");
    fs::create_dir_all(&to).doing("make the folder", &to)?;
    let built = places.target.join("release");
    PROGRAMS
        .iter()
        .map(|(_, _, name)| {
            let program = build::stripped(&built.join(name), &to)?;
            let bytes = fs::read(&program).doing("read", &program)?;
            match has_crash_points(&bytes) {
                false => Ok(program),
                true => Err(Failure::new(format!(
                    "`{name}` has the places at which tests let it die"
                ))
                .fix("only tests may ask for the feature `crash-points`")),
            }
        })
        .collect()
}

/// Whether a program looks for the file that says where it is to die.
fn has_crash_points(program: &[u8]) -> bool {
    program
        .windows(CRASH_POINTS.len())
        .any(|part| part == CRASH_POINTS)
}

/// `SOURCE_DATE_EPOCH`, by default the time of the last commit.
fn epoch(places: &Places) -> Result<u64> {
    let text = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => Cmd::new("git")
            .args(["log", "-1", "--format=%ct"])
            .dir(&places.repo)
            .output()
            .unwrap_or_default(),
    };
    text.trim().parse().map_err(|_| {
        Failure::new("of what time are the packages? There is no git history to ask")
            .fix("set SOURCE_DATE_EPOCH to seconds since 1970")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_has_the_version_of_the_packages() {
        let source = include_str!("../../../../kmod/main.c");
        assert!(source.contains(&format!("MODULE_VERSION(\"{VERSION}\")")));
    }

    #[test]
    fn a_program_that_tests_can_let_die_is_not_packed() {
        let source = include_str!("../../../control/src/crash.rs");
        assert!(
            has_crash_points(source.as_bytes()),
            "it is still called that"
        );
        assert!(!has_crash_points(b"TIDELOCK_SERVER"));
    }

    #[test]
    fn every_package_says_what_it_is() {
        let places = Places::find().expect("there is a home folder");
        let names = PROGRAMS.iter().map(|(package, _, _)| *package);
        for name in names.chain(["tidelock-dkms"]) {
            let path = folder(&places, name).join("DEBIAN/control");
            let text = fs::read_to_string(&path).expect("every package has a control file");
            assert!(text.starts_with(&format!("Package: {name}\nVersion: @VERSION@\n")));
        }
    }
}
