//! Builds the kernel module and the programs that run beside it.

mod kbuild;
mod object;
mod programs;

pub(crate) use programs::{check_guest_can_run, programs, stripped};

use crate::cache::Cache;
use crate::failure::Result;
use crate::kernel::Kernel;
use crate::places::Places;
use crate::say::timed;
use crate::vm::Software;
use std::path::{Path, PathBuf};

/// Which module to build.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flavour {
    /// The real one.
    Real,
    /// One whose mechanisms can be broken, to see that the tests notice.
    Sabotage,
}

impl Flavour {
    /// The module's file name.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Real => "tidelock.ko",
            Self::Sabotage => "tidelock-sabotage.ko",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Real => "kbuild",
            Self::Sabotage => "kbuild-sabotage",
        }
    }
}

/// Builds the module for a kernel: `target/lab/<kernel>/tidelock.ko`.
///
/// # Errors
/// When either half does not build, or a check of the result fails.
pub(crate) fn module(places: &Places, kernel: &Kernel, flavour: Flavour) -> Result<PathBuf> {
    // Runs that build at the same time must not see each other's half-written objects.
    let locks = Cache::new(&places.lab);
    let rust = {
        let _lock = locks.lock("rust", "the Rust half of the module")?;
        object::build(places, flavour)?
    };
    let _lock = locks.lock(&format!("kbuild-{}", kernel.line.label()), "the module")?;
    timed(
        &format!("{} for {}", flavour.file(), kernel.release),
        || kbuild::build(places, kernel, flavour, &rust),
    )
}

/// Builds the static library that is the Rust half of the module, before it is linked for a kernel.
///
/// # Errors
/// When it does not build.
pub(crate) fn rust_library(places: &Places) -> Result<PathBuf> {
    let _lock = Cache::new(&places.lab).lock("rust", "the Rust half of the module")?;
    object::library(places, Flavour::Real)
}

/// Builds the Rust half of the module as one object, which every kernel's module is linked with.
///
/// # Errors
/// When it does not build, or a check of it fails.
pub(crate) fn rust_object(places: &Places) -> Result<PathBuf> {
    let _lock = Cache::new(&places.lab).lock("rust", "the Rust half of the module")?;
    object::build(places, Flavour::Real)
}

/// What the kernel's own build system needs of `kmod`, besides the Rust half; in order, and as seen from there.
///
/// # Errors
/// When a folder cannot be read.
pub(crate) fn module_sources(kmod: &Path) -> Result<Vec<PathBuf>> {
    kbuild::sources(kmod)
}

/// Compiles the C half alone.
///
/// # Errors
/// When it does not compile, or with a warning.
pub(crate) fn c_half(places: &Places, kernel: &Kernel, flavour: Flavour) -> Result<()> {
    let name = format!("kbuild-c-{}", kernel.line.label());
    let _lock = Cache::new(&places.lab).lock(&name, "the C half")?;
    timed(&format!("the C half for {}", kernel.release), || {
        kbuild::compile_only(places, kernel, flavour)
    })
}

/// Everything that a guest with Tidelock needs.
///
/// # Errors
/// When something does not build.
pub(crate) fn software(places: &Places, kernel: &Kernel, flavour: Flavour) -> Result<Software> {
    let module = module(places, kernel, flavour)?;
    let binaries = programs(places)?;
    Ok(Software {
        module: Some(module),
        binaries,
    })
}
