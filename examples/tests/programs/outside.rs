//! Somebody else's program, outside of the workspace, made of what `cargo package` makes of the crates: what would be missing there, a
//! file, a version, a feature that only a neighbour asked for, is missing here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The crates for others.
const PUBLISHED: [&str; 10] = [
    "spiffe-core",
    "policy",
    "attest",
    "kabi",
    "datapath",
    "ca",
    "proto",
    "telemetry",
    "control",
    "agent",
];

/// Those that the program is made of: without the host runtimes, whose dependencies take minutes to compile.
const DEPENDENCIES: &str = r#"
[dependencies]
tidelock-attest = { version = "VERSION", features = ["alloc"] }
tidelock-ca = "VERSION"
tidelock-datapath = "VERSION"
tidelock-kabi = "VERSION"
tidelock-policy = "VERSION"
tidelock-spiffe-core = { version = "VERSION", features = ["std"] }
rcgen = { version = "0.14", default-features = false, features = ["crypto", "ring"] }
"#;

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[test]
fn a_program_outside_is_made_of_the_packaged_crates() {
    let outside = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outside");
    let repo = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let packages = unpacked(&repo, &outside);

    let mut manifest =
        "[package]\nname = \"outside\"\nedition = \"2024\"\n\n[workspace]\n".to_owned();
    manifest += &DEPENDENCIES.replace("VERSION", VERSION);
    // In place of a registry that has them.
    manifest += "\n[patch.crates-io]\n";
    for (name, folder) in PUBLISHED.iter().zip(&packages) {
        manifest += &format!("tidelock-{name} = {{ path = {folder:?} }}\n");
    }
    fs::create_dir_all(outside.join("src")).unwrap();
    fs::write(outside.join("Cargo.toml"), manifest).unwrap();
    let main = repo.join("examples/outside/main.rs");
    fs::copy(main, outside.join("src/main.rs")).unwrap();
    // The versions of others' crates that are there already: nothing is downloaded.
    fs::copy(repo.join("Cargo.lock"), outside.join("Cargo.lock")).unwrap();

    done(cargo(&outside, &outside).args(["check", "--offline"]));
}

/// Packages the crates and unpacks each, as if it had been downloaded; their folders.
fn unpacked(repo: &Path, outside: &Path) -> Vec<PathBuf> {
    let folder = outside.join("packages");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let mut package = cargo(repo, outside);
    package.args(["package", "--offline", "--no-verify", "--allow-dirty"]);
    package.args(["--exclude-lockfile", "--quiet"]);
    for name in PUBLISHED {
        package.args(["--package".to_owned(), format!("tidelock-{name}")]);
    }
    done(&mut package);
    let unpack = |name| {
        let name = format!("tidelock-{name}-{VERSION}");
        let archive = outside.join("target/package").join(format!("{name}.crate"));
        // As new (`-m`): in the archive all files are of one date, and cargo would see no change.
        let mut tar = Command::new("tar");
        done(tar.arg("-xmzf").arg(archive).arg("-C").arg(&folder));
        folder.join(name)
    };
    PUBLISHED.into_iter().map(unpack).collect()
}

fn cargo(dir: &Path, outside: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(dir);
    cargo.env("CARGO_TARGET_DIR", outside.join("target"));
    cargo
}

fn done(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{said}");
}
