//! The C half: the kernel's own build system, run in a root of the kernel's own Debian release.

use super::Flavour;
use crate::cmd::Cmd;
use crate::failure::{Doing, Failure, Result};
use crate::headers_root;
use crate::host::is_root;
use crate::kernel::Kernel;
use crate::places::Places;
use std::fs;
use std::path::{Path, PathBuf};

/// Compiles the C half alone, to see whether it does: what the Rust half would define stays undefined.
///
/// # Errors
/// When it does not compile, or with a warning.
pub(crate) fn compile_only(places: &Places, kernel: &Kernel, flavour: Flavour) -> Result<()> {
    let stage = places.for_kernel(kernel.line.label())?.join("kbuild-c");
    let empty = places.lab.join("empty.o");
    Cmd::new("as")
        .arg("-o")
        .arg(&empty)
        .arg("/dev/null")
        .run()?;
    make(places, kernel, flavour, &empty, &stage)
}

/// Builds `target/lab/<kernel>/<flavour>.ko`.
///
/// # Errors
/// When it does not build; a warning of the compiler or of objtool is an error.
pub(crate) fn build(
    places: &Places,
    kernel: &Kernel,
    flavour: Flavour,
    rust: &Path,
) -> Result<PathBuf> {
    let dir = places.for_kernel(kernel.line.label())?;
    let stage = dir.join(flavour.folder());
    make(places, kernel, flavour, rust, &stage)?;
    let module = dir.join(flavour.file());
    fs::copy(stage.join("tidelock.ko"), &module).doing("find", &stage.join("tidelock.ko"))?;
    Ok(module)
}

fn make(
    places: &Places,
    kernel: &Kernel,
    flavour: Flavour,
    rust: &Path,
    stage: &Path,
) -> Result<()> {
    let root = headers_root::ensure(places, kernel)?;
    stage_sources(&places.repo.join("kmod"), stage)?;
    copy_if_changed(rust, &stage.join("rust.o_shipped"))?;
    let log = stage.with_extension("log");
    let flags = match flavour {
        Flavour::Real => "",
        Flavour::Sabotage => "-DTIDELOCK_SABOTAGE",
    };
    // Type information (BTF) for the module would need pahole; nothing here reads it.
    // The mounts are private to this call: they end with it, whatever happens.
    let script = r#"mount --bind "$1" "$2/mnt" && mount -t proc proc "$2/proc" &&
exec chroot "$2" make --no-print-directory -C "/usr/src/linux-headers-$3" M=/mnt KCFLAGS="$4" \
    CONFIG_DEBUG_INFO_BTF_MODULES= -j2 modules"#;
    let mut unshare = Cmd::new("unshare").args(["--mount", "--pid", "--fork"]);
    if !is_root() {
        unshare = unshare.arg("--map-root-user");
    }
    // With nothing of Rust's, every function of it is undefined; that is not what is being asked.
    unshare = unshare.env(
        "KBUILD_MODPOST_WARN",
        if is_c_only(stage) { "1" } else { "" },
    );
    let make = unshare
        .args(["sh", "-c", script, "sh"])
        .arg(stage)
        .arg(&root)
        .args([&kernel.release, flags]);
    make.log(&log).run()?;
    check_log(&log).inspect_err(|_| {
        // Make would not repeat a warning about an object that it has.
        let _ = crate::cache::remove(stage);
    })
}

fn is_c_only(stage: &Path) -> bool {
    stage.ends_with("kbuild-c")
}

/// Copies what changed, so that make rebuilds only that; removes what is gone.
fn stage_sources(from: &Path, stage: &Path) -> Result<()> {
    fs::create_dir_all(stage).doing("make the folder", stage)?;
    let wanted = sources(from)?;
    for path in sources(stage)?
        .iter()
        .filter(|path| !wanted.contains(path) && !is_generated(path))
    {
        crate::cache::remove(&stage.join(path))?;
    }
    for path in wanted {
        copy_if_changed(&from.join(&path), &stage.join(&path))?;
    }
    Ok(())
}

/// What kbuild itself writes beside the sources.
fn is_generated(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".mod.c")
}

/// The sources in a folder, in order, and as seen from there.
///
/// # Errors
/// When a folder cannot be read.
pub(crate) fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect_sources(root, root, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect_sources(root: &Path, dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).doing("read", dir)?.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let is_source = path
            .extension()
            .is_some_and(|ext| ["c", "h", "S"].iter().any(|known| ext == *known));
        if path.is_dir() {
            collect_sources(root, &path, found)?;
        } else if is_source || name == "Kbuild" || name == "Makefile" {
            found.extend(path.strip_prefix(root).map(Path::to_owned));
        }
    }
    Ok(())
}

fn copy_if_changed(from: &Path, to: &Path) -> Result<()> {
    let fresh = fs::read(from).doing("read", from)?;
    if fs::read(to).is_ok_and(|old| old == fresh) {
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).doing("make the folder", parent)?;
    }
    fs::write(to, fresh).doing("write", to)
}

fn check_log(log: &Path) -> Result<()> {
    let text = fs::read(log).doing("read", log)?;
    let text = String::from_utf8_lossy(&text);
    let bad: Vec<&str> = text
        .lines()
        .filter(|line| is_complaint(line))
        .take(15)
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    Err(Failure::new("warnings are errors in the kernel module").fix(bad.join("\n")))
}

/// A warning, of anyone but make: it warns about clocks, and that a compiler differs in its packaging.
fn is_complaint(line: &str) -> bool {
    if line.contains("tl_rs_") && line.ends_with("undefined!") {
        return false; // An error of its own, unless the C half is compiled alone.
    }
    let harmless = [
        "make",
        "warning: the compiler differs",
        "warning: pahole version differs",
        "WARNING: Symbol version dump",
        "WARNING: modpost: suppressed", // Of what is undefined, see above.
    ];
    let warns = line.contains("warning:") || line.contains("objtool:") || line.contains("WARNING:");
    warns
        && !harmless
            .iter()
            .any(|start| line.trim_start().starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_count_and_notes_do_not() {
        assert!(is_complaint(
            "/build/rust.o: warning: objtool: tl_rs_x(): unreachable instruction"
        ));
        assert!(is_complaint("vmlinux.o: error: objtool: something"));
        assert!(is_complaint("WARNING: modpost: missing MODULE_LICENSE()"));
        assert!(!is_complaint(
            "warning: the compiler differs from the one used to build the kernel"
        ));
        assert!(!is_complaint("make[1]: warning: Clock skew detected."));
        assert!(!is_complaint("  CC [M]  /build/flow.o"));
    }
}
