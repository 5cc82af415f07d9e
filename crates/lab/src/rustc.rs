//! Rust for the kernel: the compiler's flags, and a `core` built with them.
//!
//! The prebuilt `core` for a bare target uses SSE, a GOT and the red zone, so ours is built from the compiler's own
//! sources by three direct calls: no network, no nightly, no `build-std`.

use crate::apt::{Index, Package, Release};
use crate::cache::{Cache, Key, remove};
use crate::cmd::Cmd;
use crate::failure::{Doing, Failure, Result};
use crate::places::Places;
use crate::say::say;
use std::fs;
use std::path::{Path, PathBuf};

/// Raised when the way an entry is made changes.
const RECIPE: u32 = 2;

/// The target that is nearest to a kernel.
pub(crate) const TARGET: &str = "x86_64-unknown-none";

/// What makes code fit for a kernel with objtool, retpolines, return thunks and IBT.
///
/// `-Zplt=y` is what removes calls through a GOT.
pub(crate) const FLAGS: [&str; 12] = [
    "-Crelocation-model=static",
    "-Ccode-model=kernel",
    "-Cno-redzone=y",
    "-Cjump-tables=n",
    "-Zplt=y",
    "-Zfunction-return=thunk-extern",
    "-Zretpoline-external-thunk",
    "-Zindirect-branch-cs-prefix",
    "-Zcf-protection=branch",
    "-Zpatchable-function-entry=16,16",
    "-Cforce-unwind-tables=n",
    "-Cdebuginfo=0",
];

/// RustCrypto must stay off SIMD: the kernel may not touch those registers, and LLVM cannot lower them here.
pub(crate) const CFGS: [&str; 6] = [
    "--cfg=aes_backend=\"soft\"",
    "--cfg=polyval_backend=\"soft\"",
    "--cfg=chacha20_backend=\"soft\"",
    "--cfg=poly1305_backend=\"soft\"",
    "--cfg=sha2_backend=\"soft\"",
    "--cfg=curve25519_dalek_backend=\"serial\"",
];

/// A sysroot with `core`, `compiler_builtins` and `alloc` for the kernel, made if need be.
///
/// # Errors
/// When the compiler's sources cannot be found, or do not build.
pub(crate) fn sysroot(places: &Places) -> Result<PathBuf> {
    let version = Cmd::new("rustc").arg("-vV").output()?;
    let key = FLAGS
        .iter()
        .fold(Key::new(RECIPE).with(&version), |key, flag| key.with(flag));
    let release = field(&version, "release").unwrap_or_default().to_owned();
    let dir = Cache::new(&places.cache).entry(
        "sysroots",
        "Rust's `core` for the kernel",
        key,
        |dir| {
            let sources = dir.join("sources");
            let library = library(places, &release, &sources)?;
            build(&library, dir)?;
            remove(&sources)
        },
    )?;
    Ok(dir.join("sysroot"))
}

/// The `library` folder of the compiler's own sources.
fn library(places: &Places, release: &str, unpack_to: &Path) -> Result<PathBuf> {
    let own = Cmd::new("rustc").args(["--print", "sysroot"]).output()?;
    let own = Path::new(own.trim()).join("lib/rustlib/src/rust/library");
    if own.join("core/src/lib.rs").is_file() {
        return Ok(own);
    }
    let (index, package) = packaged(places, release)?;
    say(format!(
        "taking Rust's sources from `{}` {}",
        package.name, package.version
    ));
    fs::create_dir_all(unpack_to).doing("make the folder", unpack_to)?;
    index.unpack(&[package], unpack_to)?;
    Ok(unpack_to.join(format!("usr/src/rustc-{release}/library")))
}

/// Debian's package of exactly this compiler's sources.
fn packaged(places: &Places, release: &str) -> Result<(Index, Package)> {
    let candidates = [
        (Release::Trixie, "rust-src"),
        (Release::Bookworm, "rust-web-src"),
    ];
    for (debian, name) in candidates {
        let index = Index::open(&places.cache, debian, false)?;
        let versions = index.versions(name).unwrap_or_default();
        if let Some(package) = versions
            .into_iter()
            .find(|p| is_version(&p.version, release))
        {
            return Ok((index, package));
        }
    }
    Err(Failure::new(format!(
        "the sources of rustc {release} are not to be had: Debian packages other versions"
    ))
    .fix(
        "rustup component add rust-src\n(or use the compiler that rust-toolchain or README names)",
    ))
}

/// Whether a Debian version is a packaging of this upstream version.
fn is_version(debian: &str, upstream: &str) -> bool {
    debian
        .strip_prefix(upstream)
        .is_some_and(|rest| rest.starts_with(['+', '-', '~']))
}

fn build(library: &Path, dir: &Path) -> Result<()> {
    let sysroot = dir.join("sysroot");
    let out = sysroot.join(format!("lib/rustlib/{TARGET}/lib"));
    fs::create_dir_all(&out).doing("make the folder", &out)?;
    let compile = |name: &str, source: &str, cfgs: &[&str]| {
        Cmd::new("rustc")
            // The standard library may use unstable features, and so may we, to build it.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_PKG_VERSION", "0")
            .args([
                "--edition=2024",
                "--crate-type=rlib",
                "--target",
                TARGET,
                "--crate-name",
                name,
            ])
            .args([
                "-Cpanic=abort",
                "-Copt-level=2",
                "-Zforce-unstable-if-unmarked",
                "--cap-lints=allow",
            ])
            .args(FLAGS)
            .args(cfgs)
            .arg(renamed(library, "/rust/library"))
            .arg("--sysroot")
            .arg(&sysroot)
            .arg("--out-dir")
            .arg(&out)
            .arg(library.join(source))
            .log(&dir.join(format!("{name}.log")))
            .run()
    };
    compile("core", "core/src/lib.rs", &[])?;
    let builtins = [
        "--cfg=feature=\"compiler-builtins\"",
        "--cfg=feature=\"mem\"",
    ];
    compile(
        "compiler_builtins",
        "compiler-builtins/compiler-builtins/src/lib.rs",
        &builtins,
    )?;
    compile("alloc", "alloc/src/lib.rs", &[])
}

/// A field of `rustc -vV`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Flags that keep where it was built out of what is built: messages of panics name source files.
pub(crate) fn without_paths(places: &Places) -> Vec<String> {
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let mut flags = vec![renamed(&places.repo, "/tidelock")];
    flags.extend(cargo.map(|cargo| renamed(&cargo, "/cargo")));
    flags
}

fn renamed(folder: &Path, name: &str) -> String {
    format!("--remap-path-prefix={}={name}", folder.display())
}

/// The environment of a cargo that builds for the kernel.
pub(crate) fn kernel_cargo(places: &Places, sysroot: &Path) -> Cmd {
    let mut flags: Vec<String> = FLAGS
        .iter()
        .chain(&CFGS)
        .map(|flag| (*flag).to_owned())
        .chain(without_paths(places))
        .collect();
    flags.push(format!("--sysroot={}", sysroot.display()));
    Cmd::new("cargo")
        .env("RUSTC_BOOTSTRAP", "1")
        // Separated by a byte that no flag has, so that flags may hold spaces and quotes.
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("CARGO_TARGET_DIR", places.target.join("kmod"))
        .dir(&places.repo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_must_be_of_the_very_same_version() {
        assert!(is_version("1.95.0+dfsg1-2~bpo13+1", "1.95.0"));
        assert!(
            !is_version("1.95.0+dfsg1-2", "1.95"),
            "a prefix is not the version"
        );
        assert!(!is_version("1.94.1+dfsg1-1", "1.95.0"));
    }

    #[test]
    fn the_compiler_says_its_release() {
        assert_eq!(
            field(
                "rustc 1.95.0 (abc)\nbinary: rustc\nrelease: 1.95.0\n",
                "release"
            ),
            Some("1.95.0")
        );
    }
}
