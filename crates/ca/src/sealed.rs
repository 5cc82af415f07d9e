//! Private keys on disk, encrypted: PKCS#8 with PBES2 (RFC 5958 §3, RFC 8018 §6.2), scrypt and AES-256-CBC.
//!
//! What is written can be read by OpenSSL 3 and the other way round:
//! `openssl pkcs8 -topk8 -scrypt -in plain.key -out sealed.key`. Encryption keeps a key secret; that it is the right one
//! is seen when an [`crate::Authority`] is opened with it.

use pkcs8::pkcs5::pbes2::{Kdf, Parameters};
use pkcs8::pkcs5::scrypt::Params;
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, SecretDocument};
use tidelock_spiffe_core::pem::{self, PemError};
use zeroize::Zeroizing;

/// Longest file read, in bytes. Ours: far more than an encrypted P-384 key needs.
pub const MAX_SEALED_BYTES: usize = 16_384;

/// Shortest passphrase, in bytes. Ours: below that scrypt is no help.
pub const MIN_PASSPHRASE_BYTES: usize = 12;

/// Longest passphrase, in bytes. Ours: one line of a file.
pub const MAX_PASSPHRASE_BYTES: usize = 1024;

/// Bytes of randomness that [`seal`] takes.
pub const SEAL_RANDOM_BYTES: usize = 32;

/// Shortest secret that [`seal_with_secret`] takes, in bytes: 32 random ones in base64, less padding.
pub const MIN_SECRET_BYTES: usize = 43;

/// scrypt's cost: 16 MiB, five times over, as OWASP's cheat sheet on password storage counts; more memory than 32 MiB is
/// refused by OpenSSL.
const SCRYPT_LOG_N: u8 = 14;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 5;

/// Most memory that reading a file may take, in bytes: `128 * r * N` (RFC 7914 §2). Ours: a file that asks for more was
/// not written for this.
const MAX_SCRYPT_BYTES: u64 = 256 * 1024 * 1024;

/// Most of scrypt's `p`, and most rounds of PBKDF2, that reading a file may take. Ours: seconds, not hours.
const MAX_SCRYPT_P: u16 = 16;
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;

/// Rounds of PBKDF2 for a secret that nobody can guess: OpenSSL's own number, and no work to speak of.
const SECRET_ROUNDS: u32 = 2048;

const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
const PLAIN: &str = "PRIVATE KEY";

/// A private key in DER (PKCS#8), wiped when it is dropped.
pub type PrivateKeyDer = Zeroizing<Vec<u8>>;

/// Why a private key cannot be sealed or opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SealedError {
    /// A passphrase that is too short or too long.
    #[error("passphrase has {len} bytes, not {MIN_PASSPHRASE_BYTES} to {MAX_PASSPHRASE_BYTES}")]
    Passphrase {
        /// Its length in bytes.
        len: usize,
    },
    /// A secret that is too short to have been drawn at random, or too long.
    #[error("secret has {len} bytes, not {MIN_SECRET_BYTES} to {MAX_PASSPHRASE_BYTES}")]
    Secret {
        /// Its length in bytes.
        len: usize,
    },
    /// Longer than [`MAX_SEALED_BYTES`].
    #[error("key file has {len} bytes, more than {MAX_SEALED_BYTES}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Not PEM.
    #[error("key file: {0}")]
    Pem(#[from] PemError),
    /// Not exactly one private key.
    #[error("key file holds {count} private keys instead of one")]
    Count {
        /// How many there are.
        count: usize,
    },
    /// Not PKCS#8.
    #[error("key file holds no PKCS#8 private key")]
    Malformed,
    /// Encrypted at a cost that nothing of ours asks for.
    #[error("key file asks for more work than its passphrase is worth")]
    Cost,
    /// The wrong passphrase, or an altered file.
    #[error("key file does not open with this passphrase")]
    Open,
    /// The key is encrypted and there is no passphrase.
    #[error("key file is encrypted, and there is no passphrase")]
    NoPassphrase,
}

/// Encrypts a private key (PKCS#8, DER) and writes it as PEM. `random` comes from a cryptographic source, fresh for this
/// one: half of it is the salt, half the initial vector.
///
/// # Errors
/// `Passphrase`; `Malformed`, for what is no PKCS#8.
pub fn seal(
    private_key: &[u8],
    passphrase: &[u8],
    random: [u8; SEAL_RANDOM_BYTES],
) -> Result<String, SealedError> {
    check_passphrase(passphrase)?;
    let cost = Params::new(SCRYPT_LOG_N, SCRYPT_R, SCRYPT_P).map_err(|_| SealedError::Cost)?;
    seal_as(private_key, passphrase, random, |salt, vector| {
        Parameters::generate_scrypt_aes256cbc(cost, salt, vector).ok()
    })
}

/// As [`seal`], with a secret that a machine drew from a cryptographic source and that is written down beside the key or,
/// better, elsewhere. It cannot be guessed, so that opening the key costs no work. [`open`] and OpenSSL take it as a
/// passphrase.
///
/// # Errors
/// `Secret`, for one of fewer than [`MIN_SECRET_BYTES`]; `Malformed`, for what is no PKCS#8.
pub fn seal_with_secret(
    private_key: &[u8],
    secret: &[u8],
    random: [u8; SEAL_RANDOM_BYTES],
) -> Result<String, SealedError> {
    match secret.len() {
        MIN_SECRET_BYTES..=MAX_PASSPHRASE_BYTES => {}
        len => return Err(SealedError::Secret { len }),
    }
    seal_as(private_key, secret, random, |salt, vector| {
        Parameters::generate_pbkdf2_sha256_aes256cbc(SECRET_ROUNDS, salt, vector).ok()
    })
}

fn seal_as(
    private_key: &[u8],
    secret: &[u8],
    random: [u8; SEAL_RANDOM_BYTES],
    parameters: impl FnOnce(&[u8], [u8; SEAL_RANDOM_BYTES / 2]) -> Option<Parameters>,
) -> Result<String, SealedError> {
    let key = PrivateKeyInfoRef::try_from(private_key).map_err(|_| SealedError::Malformed)?;
    let (salt, vector) = random.split_at(SEAL_RANDOM_BYTES / 2);
    let vector = vector.try_into().map_err(|_| SealedError::Malformed)?;
    let parameters = parameters(salt, vector).ok_or(SealedError::Malformed)?;
    let sealed = key
        .encrypt_with_params(parameters, secret)
        .map_err(|_| SealedError::Malformed)?;
    Ok(pem::encode(ENCRYPTED, sealed.as_bytes()))
}

/// True if a file holds an encrypted key and no other.
pub fn is_sealed(text: &str) -> bool {
    text.lines()
        .any(|line| line.trim_end() == "-----BEGIN ENCRYPTED PRIVATE KEY-----")
}

/// Reads a private key from PEM, encrypted or not: whoever set up without a passphrase can go on, and one who has a
/// passphrase can see with [`is_sealed`] whether the file is still to be sealed.
///
/// # Errors
/// See [`SealedError`]. A wrong passphrase is told from an altered file no better than the format allows.
pub fn open(text: &str, passphrase: Option<&[u8]>) -> Result<PrivateKeyDer, SealedError> {
    if text.len() > MAX_SEALED_BYTES {
        return Err(SealedError::TooLong { len: text.len() });
    }
    let mut plain = pem::decode(PLAIN, text)?;
    let mut sealed = pem::decode(ENCRYPTED, text)?;
    match (plain.len(), sealed.len()) {
        (1, 0) => Ok(Zeroizing::new(plain.remove(0))),
        (0, 1) => {
            let passphrase = passphrase.ok_or(SealedError::NoPassphrase)?;
            decrypt(&sealed.remove(0), passphrase)
        }
        (plain, sealed) => Err(SealedError::Count {
            count: plain + sealed,
        }),
    }
}

fn decrypt(der: &[u8], passphrase: &[u8]) -> Result<PrivateKeyDer, SealedError> {
    check_passphrase(passphrase)?;
    let sealed = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| SealedError::Malformed)?;
    let parameters = sealed
        .encryption_algorithm
        .pbes2()
        .ok_or(SealedError::Malformed)?;
    check_cost(parameters)?;
    let opened: SecretDocument = sealed.decrypt(passphrase).map_err(|_| SealedError::Open)?;
    // A wrong passphrase passes the padding once in 256 times.
    PrivateKeyInfoRef::try_from(opened.as_bytes()).map_err(|_| SealedError::Open)?;
    Ok(Zeroizing::new(opened.as_bytes().to_vec()))
}

fn check_cost(parameters: &Parameters) -> Result<(), SealedError> {
    let bounded = match &parameters.kdf {
        Kdf::Scrypt(scrypt) => {
            let bytes = scrypt
                .cost_parameter
                .checked_mul(128 * u64::from(scrypt.block_size));
            bytes.is_some_and(|bytes| bytes <= MAX_SCRYPT_BYTES)
                && scrypt.parallelization <= MAX_SCRYPT_P
        }
        Kdf::Pbkdf2(pbkdf2) => pbkdf2.iteration_count <= MAX_PBKDF2_ROUNDS,
        _ => false,
    };
    if bounded {
        Ok(())
    } else {
        Err(SealedError::Cost)
    }
}

/// Refuses what no passphrase may be, before anything is encrypted with it.
///
/// # Errors
/// `Passphrase`.
pub fn check_passphrase(passphrase: &[u8]) -> Result<(), SealedError> {
    match passphrase.len() {
        MIN_PASSPHRASE_BYTES..=MAX_PASSPHRASE_BYTES => Ok(()),
        len => Err(SealedError::Passphrase { len }),
    }
}
