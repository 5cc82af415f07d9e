//! Hashing and looking off the async threads, a bounded number at a time.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::cache::DigestCache;
use super::hash::{Digest, FileId, HashError, digest_of};
use super::look::{Look, LookError, Surroundings, look};

/// Most files hashed at once: hashing is bound by one core each, and the rest of the node has work too.
pub const MAX_HASHING: usize = 4;

/// Most processes looked at in `/proc` at once.
pub const MAX_LOOKING: usize = 8;

/// Digests kept: some 100 bytes each.
const MAX_CACHED: usize = 8192;

/// Makes digests. Clones share the cache and the bound.
#[derive(Clone, Debug)]
pub struct Measurer {
    cache: Arc<Mutex<DigestCache>>,
    hashing: Arc<Semaphore>,
    looking: Arc<Semaphore>,
}

impl Default for Measurer {
    fn default() -> Self {
        Self {
            cache: Arc::new(Mutex::new(DigestCache::new(MAX_CACHED))),
            hashing: Arc::new(Semaphore::new(MAX_HASHING)),
            looking: Arc::new(Semaphore::new(MAX_LOOKING)),
        }
    }
}

impl Measurer {
    /// The digest if this content was hashed before. Never waits for the disk.
    #[must_use]
    pub fn cached(&self, executed: &FileId) -> Option<Digest> {
        self.cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .find(executed)
    }

    /// The digest of the file that process `pid` executes.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn measure(&self, pid: u32, executed: FileId) -> Result<Digest, HashError> {
        if let Some(digest) = self.cached(&executed) {
            return Ok(digest);
        }
        let cancelled = HashError::Io(std::io::ErrorKind::Other);
        let _turn = self.hashing.acquire().await.map_err(|_| cancelled)?;
        // Another process may have brought the same file while this one waited its turn.
        if let Some(digest) = self.cached(&executed) {
            return Ok(digest);
        }
        let link = PathBuf::from(format!("/proc/{pid}/exe"));
        let digest = tokio::task::spawn_blocking(move || digest_of(&link, executed))
            .await
            .map_err(|_| cancelled)??;
        self.cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .keep(executed, digest);
        Ok(digest)
    }

    /// What a process belongs to.
    ///
    /// # Errors
    /// Why that is not known.
    pub async fn look(&self, at: Look) -> Result<Surroundings, LookError> {
        let cancelled = LookError::Io(std::io::ErrorKind::Other);
        let _turn = self.looking.acquire().await.map_err(|_| cancelled)?;
        let looked = tokio::task::spawn_blocking(move || look(&at)).await;
        looked.map_err(|_| cancelled)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_digest_is_made_once_and_then_known_without_the_process() {
        let measurer = Measurer::default();
        let own = FileId::of(&std::fs::metadata("/proc/self/exe").unwrap());
        assert_eq!(measurer.cached(&own), None);
        let digest = measurer.measure(std::process::id(), own).await.unwrap();
        assert_eq!(measurer.cached(&own), Some(digest));
        assert_eq!(measurer.measure(4_194_305, own).await, Ok(digest));
    }

    #[tokio::test]
    async fn a_reused_pid_gets_no_digest_and_leaves_none() {
        let measurer = Measurer::default();
        let own = FileId::of(&std::fs::metadata("/proc/self/exe").unwrap());
        let other = FileId {
            ino: own.ino + 1,
            ..own
        };
        let refused = measurer.measure(std::process::id(), other).await;
        assert!(matches!(refused, Err(HashError::Changed { .. })));
        assert_eq!(measurer.cached(&other), None);
    }
}
