//! Digests by file object and content.

use std::collections::{HashMap, VecDeque};

use super::hash::{Digest, FileId};

/// A bounded cache of digests; the oldest goes first.
///
/// A hit needs no look at the file: the kernel took the key from the file object that it executed, and a
/// digest is only made once every later change of the content would change the key
/// (see [`CTIME_TICK`](super::CTIME_TICK)).
#[derive(Debug)]
pub struct DigestCache {
    max: usize,
    digests: HashMap<FileId, Digest>,
    order: VecDeque<FileId>,
}

impl DigestCache {
    /// An empty cache of at most `max` digests.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self {
            max,
            digests: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// The digest of this content.
    #[must_use]
    pub fn find(&self, id: &FileId) -> Option<Digest> {
        self.digests.get(id).copied()
    }

    /// Keeps a digest that [`digest_of`](super::digest_of) made.
    pub fn keep(&mut self, id: FileId, digest: Digest) {
        if self.digests.insert(id, digest).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > self.max {
            if let Some(oldest) = self.order.pop_front() {
                self.digests.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(ino: u64) -> FileId {
        FileId {
            dev: 1,
            ino,
            size: 3,
            ctime_ns: 4,
        }
    }

    #[test]
    fn every_part_of_the_key_counts() {
        let mut cache = DigestCache::new(4);
        cache.keep(id(1), [1; 32]);
        assert_eq!(cache.find(&id(1)), Some([1; 32]));
        for other in [
            id(2),
            FileId { dev: 2, ..id(1) },
            FileId { size: 4, ..id(1) },
            FileId {
                ctime_ns: 5,
                ..id(1)
            },
        ] {
            assert_eq!(cache.find(&other), None);
        }
    }

    #[test]
    fn the_oldest_goes_first_and_keeping_twice_counts_once() {
        let mut cache = DigestCache::new(2);
        cache.keep(id(1), [1; 32]);
        cache.keep(id(1), [1; 32]);
        cache.keep(id(2), [2; 32]);
        cache.keep(id(3), [3; 32]);
        assert_eq!(cache.find(&id(1)), None);
        assert_eq!(cache.find(&id(2)), Some([2; 32]));
        assert_eq!(cache.find(&id(3)), Some([3; 32]));
    }
}
