//! The authorities' keys on disk: always encrypted, with a secret from elsewhere or, if there is none, one of our own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::KeyPair;
use tidelock_ca::sealed::{self, SEAL_RANDOM_BYTES, SealedError};
use zeroize::Zeroizing;

use crate::data_dir::{DataDir, DataDirError, OTHERS, read_secret};

/// Name of the file in the data directory with the secret that keys are encrypted with, unless a passphrase is given.
pub const PASSPHRASE_FILE: &str = "passphrase";

/// The rights that others may not have on a credential of systemd's, which may grant its reader by the group's bits.
const CREDENTIAL_OTHERS: u32 = 0o037;

/// Bytes of a secret of our own.
const SECRET_BYTES: usize = 32;

/// Where the secret comes from that private keys on disk are encrypted with.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Passphrase {
    /// From [`PASSPHRASE_FILE`] in the data directory, made when there is none. It keeps a key secret whose file alone is
    /// copied, and nothing from who reads the whole directory.
    #[default]
    Own,
    /// The first line of a file that only its owner can read: 12 to 1024 bytes.
    File(PathBuf),
    /// The first line of a credential that systemd passed on: the same, and its group may read it.
    Credential(PathBuf),
}

/// Why an authority's key cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Its file, or that of the passphrase.
    #[error(transparent)]
    File(#[from] DataDirError),
    /// The system has no randomness.
    #[error("no randomness: {0}")]
    Random(#[from] getrandom::Error),
    /// The passphrase is none.
    #[error("`{}` holds no passphrase in its first line: {source}", path.display())]
    Passphrase {
        /// Its file.
        path: PathBuf,
        /// Why not.
        source: SealedError,
    },
    /// The key was encrypted with a passphrase, and none was given.
    #[error(
        "the authority's key file `{file}` is encrypted: give the passphrase that it was encrypted with (`--passphrase-file`)"
    )]
    NoPassphrase {
        /// The file's name in the data directory.
        file: String,
    },
    /// The file holds no key that opens.
    #[error("the authority's key file `{file}` holds no private key that can be used: {source}")]
    Sealed {
        /// The file's name in the data directory.
        file: String,
        /// Why not.
        source: SealedError,
    },
    /// The file holds a key of a kind that is not known here.
    #[error("the authority's key file `{file}` holds no private key: {source}")]
    Kind {
        /// The file's name in the data directory.
        file: String,
        /// Why not.
        source: rcgen::Error,
    },
}

/// What a key is encrypted with.
enum Secret {
    /// Chosen by somebody, so that guesses have to cost something.
    Chosen(Zeroizing<Vec<u8>>),
    /// Drawn at random.
    Drawn(Zeroizing<Vec<u8>>),
}

/// Where keys are, and what they are encrypted with.
pub(super) struct KeyFiles {
    dir: Arc<DataDir>,
    secret: OnceLock<Secret>,
    /// Our own, where a passphrase has taken its place.
    before: Option<Secret>,
}

/// A key that was read.
pub(super) struct Read {
    pub(super) key: KeyPair,
    /// Plain, or encrypted with what is not used any more: to be written anew once it has proved to be the right one.
    pub(super) stale: bool,
}

impl KeyFiles {
    pub(super) fn open(dir: Arc<DataDir>, passphrase: &Passphrase) -> Result<Self, KeyError> {
        let own = match dir.has(PASSPHRASE_FILE) {
            true => Some(Secret::Drawn(first_line(
                &dir.file(PASSPHRASE_FILE),
                OTHERS,
            )?)),
            false => None,
        };
        let given = match passphrase {
            Passphrase::Own => None,
            Passphrase::File(path) => Some(chosen(path, OTHERS)?),
            Passphrase::Credential(path) => Some(chosen(path, CREDENTIAL_OTHERS)?),
        };
        let (secret, before) = match given {
            Some(given) => (Some(given), own),
            None => (own, None),
        };
        Ok(Self {
            dir,
            secret: secret.map(OnceLock::from).unwrap_or_default(),
            before,
        })
    }

    /// Reads a key, encrypted or, from before keys were, plain.
    pub(super) fn read(&self, file: &str) -> Result<Read, KeyError> {
        let text = self.dir.read_secret(file)?;
        let with = |secret: Option<&Secret>| sealed::open(&text, secret.map(Secret::bytes));
        let opened = match (with(self.secret.get()), &self.before) {
            (Err(SealedError::Open), Some(before)) => with(Some(before)).map(|der| (der, true)),
            (opened, _) => opened.map(|der| (der, !sealed::is_sealed(&text))),
        };
        let (der, stale) = opened.map_err(|source| match source {
            SealedError::NoPassphrase => KeyError::NoPassphrase { file: file.into() },
            source => sealed_error(file)(source),
        })?;
        let key = KeyPair::try_from(der.as_slice()).map_err(kind_error(file))?;
        Ok(Read { key, stale })
    }

    /// Writes a key in DER, encrypted and durably. Our own secret is made first if there is to be one.
    pub(super) fn write_der(&self, file: &str, der: &[u8]) -> Result<(), KeyError> {
        let mut random = [0; SEAL_RANDOM_BYTES];
        getrandom::fill(&mut random)?;
        let sealed = match self.secret()? {
            Secret::Chosen(passphrase) => sealed::seal(der, passphrase, random),
            Secret::Drawn(secret) => sealed::seal_with_secret(der, secret, random),
        };
        Ok(self
            .dir
            .write_secret(file, &sealed.map_err(sealed_error(file))?)?)
    }

    /// A new key.
    pub(super) fn generate(&self, file: &str) -> Result<KeyPair, KeyError> {
        let key = KeyPair::generate().map_err(kind_error(file))?;
        self.write_der(file, &Zeroizing::new(key.serialize_der()))?;
        Ok(key)
    }

    /// Destroys a key. What the disk keeps of it is encrypted.
    pub(super) fn destroy(&self, file: &str) -> Result<(), KeyError> {
        Ok(self.dir.remove(file)?)
    }

    /// Forgets our own secret, once no key is encrypted with it any more.
    pub(super) fn forget_own(&self) -> Result<(), KeyError> {
        match self.before {
            Some(_) => Ok(self.dir.remove(PASSPHRASE_FILE)?),
            None => Ok(()),
        }
    }

    fn secret(&self) -> Result<&Secret, KeyError> {
        if let Some(secret) = self.secret.get() {
            return Ok(secret);
        }
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        getrandom::fill(&mut *bytes)?;
        let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice()));
        let line = Zeroizing::new(format!("{}\n", *text));
        self.dir.write_secret(PASSPHRASE_FILE, &line)?;
        let drawn = Secret::Drawn(Zeroizing::new(text.as_bytes().to_vec()));
        Ok(self.secret.get_or_init(|| drawn))
    }
}

impl Secret {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Chosen(bytes) | Self::Drawn(bytes) => bytes,
        }
    }
}

/// Shows nothing of the secret.
impl std::fmt::Debug for KeyFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyFiles").finish_non_exhaustive()
    }
}

fn first_line(path: &Path, refused: u32) -> Result<Zeroizing<Vec<u8>>, DataDirError> {
    let text = read_secret(path, refused)?;
    let line = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(line.as_bytes().to_vec()))
}

fn chosen(path: &Path, refused: u32) -> Result<Secret, KeyError> {
    let line = first_line(path, refused)?;
    sealed::check_passphrase(&line).map_err(|source| KeyError::Passphrase {
        path: path.to_owned(),
        source,
    })?;
    Ok(Secret::Chosen(line))
}

fn sealed_error(file: &str) -> impl FnOnce(SealedError) -> KeyError {
    let file = file.to_owned();
    move |source| KeyError::Sealed { file, source }
}

fn kind_error(file: &str) -> impl FnOnce(rcgen::Error) -> KeyError {
    let file = file.to_owned();
    move |source| KeyError::Kind { file, source }
}

#[cfg(test)]
mod tests;
