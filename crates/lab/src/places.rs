//! Where the lab keeps things.

use crate::failure::{Doing, Failure, Result};
use std::path::{Path, PathBuf};

/// The repository, the build folder and the cache folder.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Root of the repository.
    pub repo: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// What the lab builds and logs: `target/lab`.
    pub lab: PathBuf,
    /// What is slow to make: `$XDG_CACHE_HOME/tidelock`.
    pub cache: PathBuf,
}

impl Places {
    /// Finds them from the environment.
    ///
    /// # Errors
    /// When there is no home folder, or a folder cannot be made.
    pub(crate) fn find() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let repo = here.ancestors().nth(2).unwrap_or(here).to_owned();
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repo.join("target"), PathBuf::from);
        let target = if target.is_absolute() {
            target
        } else {
            repo.join(target)
        };
        let lab = target.join("lab");
        let cache = cache_home()?.join("tidelock");
        for dir in [&lab, &cache] {
            std::fs::create_dir_all(dir).doing("make the folder", dir)?;
        }
        Ok(Self {
            repo,
            target,
            lab,
            cache,
        })
    }

    /// `target/lab/<kernel>`: the module and logs of one kernel.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(crate) fn for_kernel(&self, label: &str) -> Result<PathBuf> {
        let dir = self.lab.join(label);
        std::fs::create_dir_all(&dir).doing("make the folder", &dir)?;
        Ok(dir)
    }
}

/// `$XDG_CACHE_HOME`, by default `~/.cache`. A relative value is ignored, as the XDG specification says.
fn cache_home() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from)
        && dir.is_absolute()
    {
        return Ok(dir);
    }
    std::env::home_dir()
        .map(|home| home.join(".cache"))
        .ok_or_else(|| {
            Failure::new("there is no home folder to keep the cache in")
                .fix("set XDG_CACHE_HOME to an absolute path")
        })
}
