//! Small programs of the scenes, compiled here: in an emulated machine the compiler takes its time.

use crate::cmd::Cmd;
use crate::failure::{Doing, Result};
use crate::places::Places;
use crate::vm;
use std::fs;
use std::path::{Path, PathBuf};

/// Compiles every `scenes/tools/*.c`, and every folder there with C in it; the folder with the programs.
///
/// # Errors
/// When one does not compile.
pub(crate) fn build(places: &Places) -> Result<PathBuf> {
    let from = places.repo.join("crates/lab/scenes/tools");
    let to = places.lab.join("scene-tools");
    let _lock = vm::set_up_lock(places)?;
    fs::create_dir_all(&to).doing("make the folder", &to)?;
    for entry in fs::read_dir(&from).doing("read", &from)?.flatten() {
        let source = entry.path();
        let sources = c_files(&source)?;
        if !sources.is_empty() {
            let name = source.file_stem().unwrap_or_default();
            Cmd::new("gcc")
                .args(["-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-o"])
                .arg(to.join(name))
                .args(sources)
                .run()?;
        }
    }
    Ok(to)
}

/// The file, or those of the folder, if they are C.
fn c_files(path: &Path) -> Result<Vec<PathBuf>> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries = fs::read_dir(path).doing("read", path)?;
        files = entries.flatten().map(|entry| entry.path()).collect();
    }
    files.retain(|file| file.extension().is_some_and(|ending| ending == "c"));
    Ok(files)
}
