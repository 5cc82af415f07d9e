//! The Rust half of the module: a static library, linked into one relocatable object.

use super::Flavour;
use crate::cmd::Cmd;
use crate::failure::{Doing, Failure, Result};
use crate::places::Places;
use crate::rustc::{TARGET, kernel_cargo, sysroot};
use crate::say::timed;
use std::fs;
use std::path::{Path, PathBuf};

/// The prefix of what the Rust half offers to the C half; all else becomes local.
const EXPORTED: &str = "tl_rs_";

/// Sections with nothing that a kernel module uses.
const STRIPPED: [&str; 7] = [
    ".llvmbc",
    ".llvmcmd",
    ".comment",
    ".eh_frame",
    ".note.GNU-stack",
    "__patchable_function_entries",
    ".debug*",
];

/// Merges the thousands of per-function sections, which the module loader would each have to place.
const LINKER_SCRIPT: &str = "\
SECTIONS {
  .text : { *(.text .text.*) }
  .rodata : { *(.rodata .rodata.*) }
  .data : { *(.data .data.* ) }
  .bss : { *(.bss .bss.* COMMON) }
}
";

/// Builds the object; every kernel shares it.
///
/// # Errors
/// When it does not build, or uses registers that the kernel does not save.
pub(crate) fn build(places: &Places, flavour: Flavour) -> Result<PathBuf> {
    let library = library(places, flavour)?;
    let dir = places.lab.join(match flavour {
        Flavour::Real => "rust",
        Flavour::Sabotage => "rust-sabotage",
    });
    fs::create_dir_all(&dir).doing("make the folder", &dir)?;
    let object = dir.join("rust.o");
    link(&library, &dir, &object)?;
    check_registers(&object)?;
    Ok(object)
}

/// Compiles the static library.
///
/// # Errors
/// When it does not build.
pub(crate) fn library(places: &Places, flavour: Flavour) -> Result<PathBuf> {
    let sysroot = sysroot(places)?;
    timed("the Rust half of the module", || {
        compile(places, &sysroot, flavour)
    })
}

fn compile(places: &Places, sysroot: &Path, flavour: Flavour) -> Result<PathBuf> {
    let mut cargo = kernel_cargo(places, sysroot)
        .args([
            "rustc",
            "--quiet",
            "--package",
            "tidelock-kmod",
            "--lib",
            "--crate-type",
            "staticlib",
        ])
        .args(["--target", TARGET, "--profile", "kernel"]);
    if flavour == Flavour::Sabotage {
        cargo = cargo.args(["--features", "sabotage"]);
    }
    if !cargo.succeeds()? {
        return Err(Failure::new(
            "the Rust half of the module does not build (see above)",
        ));
    }
    Ok(places
        .target
        .join("kmod")
        .join(TARGET)
        .join("kernel/libtidelock_kmod.a"))
}

fn link(library: &Path, dir: &Path, object: &Path) -> Result<()> {
    let exports = exports(library)?;
    let script = dir.join("merge.lds");
    fs::write(&script, LINKER_SCRIPT).doing("write", &script)?;
    let keep = dir.join("exports");
    fs::write(
        &keep,
        exports
            .iter()
            .map(|name| format!("{name}\n"))
            .collect::<String>(),
    )
    .doing("write", &keep)?;
    let whole = dir.join("whole.o");
    let roots = exports.iter().map(|name| format!("--undefined={name}"));
    Cmd::new("ld")
        .args(["-r", "--gc-sections"])
        .args(roots)
        .arg("-T")
        .arg(&script)
        .arg("-o")
        .arg(&whole)
        .arg(library)
        .run()?;
    let strip = STRIPPED
        .iter()
        .map(|section| format!("--remove-section={section}"));
    let keep = format!("--keep-global-symbols={}", keep.display());
    let linked = Cmd::new("objcopy")
        .args(strip)
        .arg("--wildcard")
        .arg(keep)
        // One source file's name is left, the module's own: with several, 6.1's objtool takes it for a linked kernel.
        .arg("--strip-symbol=compiler_builtins.*-cgu.*")
        .arg(&whole)
        .arg(object)
        .run();
    crate::cache::remove(&whole)?;
    linked
}

/// The functions that the C half may call.
fn exports(library: &Path) -> Result<Vec<String>> {
    let symbols = Cmd::new("nm")
        .args([
            "--defined-only",
            "--extern-only",
            "--quiet",
            "--format=posix",
        ])
        .arg(library)
        .output()?;
    let mut names: Vec<String> = symbols.lines().filter_map(exported).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Err(Failure::new(format!(
            "the Rust half exports no `{EXPORTED}*` function"
        )));
    }
    Ok(names)
}

/// The name in a line of `nm`, if the C half may call it.
fn exported(line: &str) -> Option<String> {
    let name = line.split_whitespace().next()?;
    name.starts_with(EXPORTED).then(|| name.to_owned())
}

/// The kernel does not save a program's SIMD registers when it runs: code that touches them would corrupt it.
fn check_registers(object: &Path) -> Result<()> {
    let listing = Cmd::new("objdump")
        .args(["-d", "--no-show-raw-insn"])
        .arg(object)
        .output()?;
    let bad: Vec<&str> = listing
        .lines()
        .filter(|line| touches_simd(line))
        .take(5)
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    Err(
        Failure::new("the Rust half uses SIMD registers, which the kernel does not save")
            .fix(bad.join("\n")),
    )
}

fn touches_simd(line: &str) -> bool {
    ["%xmm", "%ymm", "%zmm", "%mm", "%st"]
        .iter()
        .any(|register| line.contains(register))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_functions_are_exported() {
        assert_eq!(
            exported("tl_rs_decide T 0000 001f").as_deref(),
            Some("tl_rs_decide")
        );
        assert_eq!(exported("_RNvCs_4core T 0000"), None);
        assert_eq!(exported(""), None);
    }

    #[test]
    fn simd_is_noticed() {
        assert!(touches_simd("  10:\tmovups %xmm0,(%rdi)"));
        assert!(!touches_simd("  10:\tmov    %rax,(%rdi)"));
    }
}
