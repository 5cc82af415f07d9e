//! The agent's data folder: what it has to know again after a restart.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tidelock_proto::MAX_MESSAGE_BYTES;
use tidelock_spiffe_core::pem::{self, PemError};
use zeroize::Zeroizing;

use super::key::{KeyError, NodeKey};
use super::svid::{ChainError, NodeSvid};
use crate::core::KnownIdentity;

/// The node's key and chain, in one file, so that they always belong together.
const NODE_FILE: &str = "node.pem";
/// Behind them, when the node was attested: milliseconds since 1970.
const ATTESTED: &str = "attested at ";
/// Which identities the kernel may hold.
const IDENTITIES_FILE: &str = "identities.json";

/// The authorities that the control plane told of, and the digest of the file that it was first recognised by.
const BUNDLE_FILE: &str = "bundle.pem";
const BUNDLE_OF: &str = "server bundle ";

/// The node's state as the control plane last told it. There is no secret in it.
const STATE_FILE: &str = "state.pb";

/// The agent's data folder. Files are replaced whole: after a crash there is the old one or the new one.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
}

/// Why something could not be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Reading or writing failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The node file is not PEM.
    #[error("{}: {source:?}", path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: PemError,
    },
    /// The node file's key is none.
    #[error("{}: {source}", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: KeyError,
    },
    /// The node file's chain does not fit.
    #[error("{}: {source}", path.display())]
    Chain {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: ChainError,
    },
    /// The list of identities is malformed.
    #[error("{}: {source}", path.display())]
    Json {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Store {
    /// Opens the folder; makes it, for its owner only, if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(io_error(dir))?;
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    /// The node's SVID as last kept; `None` if there never was one.
    ///
    /// # Errors
    /// There is one, and it is of no use.
    pub fn node_svid(&self) -> Result<Option<NodeSvid>, StoreError> {
        let path = self.dir.join(NODE_FILE);
        let Some(text) = self.read(NODE_FILE)? else {
            return Ok(None);
        };
        let text = Zeroizing::new(text);
        let key = NodeKey::from_pem(&text).map_err(|source| StoreError::Key {
            path: path.clone(),
            source,
        })?;
        let chain = pem::decode("CERTIFICATE", &text).map_err(|source| StoreError::Pem {
            path: path.clone(),
            source,
        })?;
        let attested = text.lines().find_map(|line| line.strip_prefix(ATTESTED));
        let attested = attested.and_then(|ms| ms.parse().ok().filter(|&ms: &i64| ms > 0));
        let svid = NodeSvid::new(key, chain);
        svid.map(|svid| Some(svid.attested_at(attested)))
            .map_err(|source| StoreError::Chain { path, source })
    }

    /// Keeps the node's SVID and key, for the owner's eyes only.
    ///
    /// # Errors
    /// The old one is still there.
    pub fn keep_node_svid(&self, svid: &NodeSvid) -> Result<(), StoreError> {
        let mut text = svid.key().to_pem();
        text.push_str(&svid.chain_pem());
        if let Some(ms) = svid.attested_at_ms {
            text.push_str(&format!("{ATTESTED}{ms}\n"));
        }
        self.replace(NODE_FILE, text.as_bytes())
    }

    /// The identities that the kernel may hold, as last kept.
    ///
    /// # Errors
    /// There is a list, and it is of no use.
    pub fn identities(&self) -> Result<Vec<KnownIdentity>, StoreError> {
        match self.read(IDENTITIES_FILE)? {
            None => Ok(Vec::new()),
            Some(text) => serde_json::from_str(&text).map_err(|source| StoreError::Json {
                path: self.dir.join(IDENTITIES_FILE),
                source,
            }),
        }
    }

    /// Keeps the list of identities that the kernel may hold.
    ///
    /// # Errors
    /// The old one is still there.
    pub fn keep_identities(&self, known: &[KnownIdentity]) -> Result<(), StoreError> {
        let text = serde_json::to_vec(known).map_err(|source| StoreError::Json {
            path: self.dir.join(IDENTITIES_FILE),
            source,
        })?;
        self.replace(IDENTITIES_FILE, &text)
    }

    /// The authorities to recognise the control plane by: those that it told of since it was recognised by the file with
    /// this content, or, if there are none, the file's.
    ///
    /// # Errors
    /// What is kept cannot be read.
    pub fn server_bundle(&self, given: &str) -> Result<String, StoreError> {
        let kept = self.read(BUNDLE_FILE)?.unwrap_or_default();
        let rest = kept.strip_prefix(&bundle_of(&digest(given)));
        Ok(rest.unwrap_or(given).to_owned())
    }

    /// Keeps the authorities that the control plane told of, which was recognised by a file of this digest. An empty
    /// bundle is not kept: nobody could be recognised by it.
    ///
    /// # Errors
    /// The old ones are still there.
    pub fn keep_bundle(
        &self,
        of: &BundleDigest,
        authorities: &[Vec<u8>],
    ) -> Result<(), StoreError> {
        if authorities.is_empty() {
            return Ok(());
        }
        let blocks = authorities
            .iter()
            .map(|der| pem::encode("CERTIFICATE", der));
        let text: String = std::iter::once(bundle_of(of)).chain(blocks).collect();
        if self.read(BUNDLE_FILE)?.as_ref() == Some(&text) {
            return Ok(());
        }
        self.replace(BUNDLE_FILE, text.as_bytes())
    }

    /// The node's state as last kept, encoded; `None` if none was. What is longer than any message is cut off.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn state(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.dir.join(STATE_FILE);
        let read = File::open(&path).and_then(|file| {
            let mut bytes = Vec::new();
            file.take(MAX_MESSAGE_BYTES as u64)
                .read_to_end(&mut bytes)?;
            Ok(bytes)
        });
        match read {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error(&path)(error)),
        }
    }

    /// Keeps the node's state.
    ///
    /// # Errors
    /// The old one is still there.
    pub fn keep_state(&self, encoded: &[u8]) -> Result<(), StoreError> {
        self.replace(STATE_FILE, encoded)
    }

    fn read(&self, name: &str) -> Result<Option<String>, StoreError> {
        let path = self.dir.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error(&path)(error)),
        }
    }

    /// Writes beside, flushes, renames, flushes the folder.
    fn replace(&self, name: &str, content: &[u8]) -> Result<(), StoreError> {
        let (path, beside) = (self.dir.join(name), self.dir.join(format!("{name}.new")));
        let written = write_private(&beside, content)
            .and_then(|()| fs::rename(&beside, &path))
            .and_then(|()| File::open(&self.dir)?.sync_all());
        written.map_err(io_error(&path))
    }
}

/// SHA-256 of the file that the control plane is recognised by.
pub type BundleDigest = [u8; 32];

/// The digest of a file's text.
#[must_use]
pub fn digest(text: &str) -> BundleDigest {
    Sha256::digest(text).into()
}

fn bundle_of(digest: &BundleDigest) -> String {
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{BUNDLE_OF}{hex}\n")
}

/// Writes a file of mode 0600 that was not there before.
fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::node::svid::tests::leaf;

    fn svid() -> NodeSvid {
        let key = NodeKey::generate().unwrap();
        let der = leaf(&key, "spiffe://td/tidelock/agent/n1");
        NodeSvid::new(key, vec![der]).unwrap()
    }

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("a/b")).unwrap();
        (dir, store)
    }

    #[test]
    fn the_nodes_svid_survives_a_restart_for_its_owner_only() {
        let (_dir, store) = store();
        assert!(store.node_svid().unwrap().is_none());
        for _ in 0..2 {
            let svid = svid();
            store.keep_node_svid(&svid).unwrap();
            let again = store.node_svid().unwrap().unwrap();
            assert_eq!(again.chain_pem(), svid.chain_pem());
            assert_eq!(again.key().public_key(), svid.key().public_key());
            assert_eq!(again.attested_at_ms, None);
            let svid = svid.attested_at(Some(1_764_000_000_123));
            store.keep_node_svid(&svid).unwrap();
            let again = store.node_svid().unwrap().unwrap();
            assert_eq!(again.attested_at_ms, Some(1_764_000_000_123));
            assert_eq!(again.chain_pem(), svid.chain_pem());
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&store.dir.join(NODE_FILE)), 0o600);
        assert_eq!(mode(&store.dir), 0o700);
    }

    #[test]
    fn a_left_over_of_a_crash_is_not_trusted_nor_in_the_way() {
        let (_dir, store) = store();
        let left_over = store.dir.join("node.pem.new");
        fs::write(&left_over, "half a k").unwrap();
        fs::set_permissions(&left_over, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(store.node_svid().unwrap().is_none());
        store.keep_node_svid(&svid()).unwrap();
        let mode = fs::metadata(store.dir.join(NODE_FILE))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_node_file_is_an_error_not_a_fresh_start() {
        let (_dir, store) = store();
        fs::write(store.dir.join(NODE_FILE), "gibberish").unwrap();
        assert!(matches!(store.node_svid(), Err(StoreError::Key { .. })));
        let svid = svid();
        fs::write(store.dir.join(NODE_FILE), svid.key().to_pem().as_bytes()).unwrap();
        assert!(matches!(store.node_svid(), Err(StoreError::Chain { .. })));
    }

    #[test]
    fn the_control_plane_is_recognised_by_what_it_told_until_another_file_is_given() {
        let (_dir, store) = store();
        let first = "-----BEGIN CERTIFICATE-----\nAQ==\n-----END CERTIFICATE-----\n";
        assert_eq!(store.server_bundle(first).unwrap(), first);
        store.keep_bundle(&digest(first), &[]).unwrap();
        assert_eq!(store.server_bundle(first).unwrap(), first);
        let told = [vec![2], vec![3]];
        store.keep_bundle(&digest(first), &told).unwrap();
        let kept = store.server_bundle(first).unwrap();
        assert_eq!(pem::decode("CERTIFICATE", &kept).unwrap(), told);
        assert_eq!(store.server_bundle("another").unwrap(), "another");
    }

    #[test]
    fn known_identities_survive_a_restart() {
        let (_dir, store) = store();
        assert_eq!(store.identities().unwrap(), []);
        let known = vec![KnownIdentity {
            number: 7,
            entry: "web".into(),
            spiffe_id: "spiffe://td/web".into(),
        }];
        store.keep_identities(&known).unwrap();
        assert_eq!(store.identities().unwrap(), known);
    }
}
