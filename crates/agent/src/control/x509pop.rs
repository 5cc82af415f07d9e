//! Becoming a node with a certificate that this machine was given elsewhere, and proof that it holds the key.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{KeyPair, SigningKey as _};
use tidelock_proto::v1::attest_x509_pop_request::Step as Say;
use tidelock_proto::v1::attest_x509_pop_response::Step as Answer;
use tidelock_proto::v1::{AttestX509PopRequest, X509PopOffer, X509PopProof};
use tidelock_proto::{POP_NONCE_BYTES, PopMessage};
use tidelock_spiffe_core::pem;
use tidelock_spiffe_core::x509::{AnyCert, CertificateError};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};
use zeroize::{Zeroize as _, Zeroizing};

use super::connect::Server;
use super::join::{JoinError, refusal};
use super::{Client, REQUEST_TIMEOUT};
use crate::node::{NodeKey, NodeSvid, Store};

/// Largest file of certificates or a key that is read, in bytes. Ours: more than the control plane takes.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// Where this machine's certificate and its key are. Both are read when they are needed, so that they can be replaced.
#[derive(Clone, Debug)]
pub struct NodeCertificate {
    /// The certificate, and those that lead from it to a root that the control plane knows (PEM).
    pub cert: PathBuf,
    /// Its private key (PEM, PKCS#8): P-256, P-384, Ed25519 or RSA.
    pub key: PathBuf,
}

/// Why a certificate or its key is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NodeCertificateError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The file of the certificate has none, or is not PEM.
    #[error("there is no certificate in PEM in {}", path.display())]
    NoCertificate {
        /// Which file.
        path: PathBuf,
    },
    /// The first certificate cannot be read.
    #[error("the certificate in {} is of no use: {source}", path.display())]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: CertificateError,
    },
    /// The file of the key has no key of a kind that signs here.
    #[error(
        "there is no private key in PEM and PKCS#8, of P-256, P-384, Ed25519 or RSA, in {}; `openssl pkcs8 -topk8 -nocrypt` writes one",
        path.display()
    )]
    NoKey {
        /// Which file.
        path: PathBuf,
    },
    /// The key is another certificate's.
    #[error("the key in {} is not that of the first certificate in {}", key.display(), cert.display())]
    OtherKey {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        cert: PathBuf,
    },
    /// The key did not sign.
    #[error("the certificate's key does not sign")]
    Sign,
}

/// A chain, leaf first, and the leaf's key.
struct Held {
    chain: Vec<Vec<u8>>,
    key: Key,
}

/// A key pair, of which no encoding is left in memory when it is dropped.
struct Key(KeyPair);

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl NodeCertificate {
    fn read(&self) -> Result<Held, NodeCertificateError> {
        let text = read(&self.cert)?;
        let chain = pem::decode("CERTIFICATE", &text).unwrap_or_default();
        let path = || self.cert.clone();
        let leaf = chain
            .first()
            .ok_or_else(|| NodeCertificateError::NoCertificate { path: path() })?;
        let read = AnyCert::parse(leaf).map_err(|source| NodeCertificateError::Certificate {
            path: path(),
            source,
        })?;
        let key = self.read_key()?;
        if key.0.public_key_raw() != read.public_key {
            let (key, cert) = (self.key.clone(), self.cert.clone());
            return Err(NodeCertificateError::OtherKey { key, cert });
        }
        Ok(Held { chain, key })
    }

    fn read_key(&self) -> Result<Key, NodeCertificateError> {
        let text = read(&self.key)?;
        let no_key = || NodeCertificateError::NoKey {
            path: self.key.clone(),
        };
        let blocks = Zeroizing::new(pem::decode("PRIVATE KEY", &text).map_err(|_| no_key())?);
        let [der] = &blocks[..] else {
            return Err(no_key());
        };
        // It wipes its copy of what it was given when it is dropped.
        KeyPair::try_from(&**der).map(Key).map_err(|_| no_key())
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>, NodeCertificateError> {
    use io::Read as _;
    let failed = |source| NodeCertificateError::Read {
        path: path.to_owned(),
        source,
    };
    let file = fs::File::open(path).map_err(failed)?;
    // With room for all of it from the start: a string that grows leaves copies behind.
    let room = file.metadata().map_err(failed)?.len().min(MAX_FILE_BYTES);
    let mut text = Zeroizing::new(String::with_capacity(
        usize::try_from(room).unwrap_or(0).saturating_add(1),
    ));
    file.take(MAX_FILE_BYTES)
        .read_to_string(&mut text)
        .map_err(failed)?;
    Ok(text)
}

/// Joins with a certificate.
pub(super) async fn join(
    server: &Server,
    store: &Store,
    certificate: &NodeCertificate,
) -> Result<NodeSvid, JoinError> {
    let held = certificate.read().map_err(JoinError::Certificate)?;
    let trust_domain = server.trust_domain(store).map_err(JoinError::Connect)?;
    let key = NodeKey::generate().map_err(JoinError::Key)?;
    let csr = key.csr().map_err(JoinError::Key)?;
    let (client, _) = server
        .connect(store, None)
        .await
        .map_err(JoinError::Connect)?;
    let attested = attest(client, &trust_domain, &held, csr);
    let chain = tokio::time::timeout(REQUEST_TIMEOUT, attested)
        .await
        .unwrap_or_else(|_| Err(unavailable("it took too long")))?;
    NodeSvid::new(key, chain).map_err(JoinError::Chain)
}

async fn attest(
    mut client: Client,
    trust_domain: &str,
    held: &Held,
    csr: Vec<u8>,
) -> Result<Vec<Vec<u8>>, JoinError> {
    let random = || unavailable("this machine has no randomness");
    let node_nonce = nonce().ok_or_else(random)?;
    let (say, said) = mpsc::channel(2);
    let offer = X509PopOffer {
        chain: held.chain.clone(),
        csr: csr.clone(),
        nonce: node_nonce.to_vec(),
    };
    tell(&say, Say::Offer(offer)).await;
    let answers = client.attest_x509_pop(ReceiverStream::new(said)).await;
    let mut answers = answers.map_err(|status| refused(&status))?.into_inner();
    let Answer::Challenge(challenge) = next(&mut answers).await? else {
        return Err(unavailable("it sent no challenge"));
    };
    let server_nonce = challenge.nonce.try_into();
    let server_nonce: [u8; POP_NONCE_BYTES] =
        server_nonce.map_err(|_| unavailable("its challenge has another length"))?;
    let message = PopMessage {
        trust_domain,
        server_nonce: &server_nonce,
        node_nonce: &node_nonce,
        certificate: held.chain.first().map_or(&[], Vec::as_slice),
        csr: &csr,
    };
    let signature = held.key.0.sign(&message.to_bytes());
    let signature = signature.map_err(|_| JoinError::Certificate(NodeCertificateError::Sign))?;
    tell(&say, Say::Proof(X509PopProof { signature })).await;
    match next(&mut answers).await? {
        Answer::Attested(answer) => Ok(answer.chain),
        Answer::Challenge(_) => Err(unavailable("it sent a second challenge")),
    }
}

/// Bytes that nobody can foresee; `None` if the system has none.
fn nonce() -> Option<[u8; POP_NONCE_BYTES]> {
    let mut nonce = [0; POP_NONCE_BYTES];
    getrandom::fill(&mut nonce).ok()?;
    Some(nonce)
}

/// Where the stream has ended, the next answer says why.
async fn tell(say: &mpsc::Sender<AttestX509PopRequest>, step: Say) {
    let request = AttestX509PopRequest { step: Some(step) };
    let _ = say.send(request).await;
}

async fn next(
    answers: &mut Streaming<tidelock_proto::v1::AttestX509PopResponse>,
) -> Result<Answer, JoinError> {
    let answer = answers.message().await.map_err(|status| refused(&status))?;
    let step = answer.and_then(|answer| answer.step);
    step.ok_or_else(|| unavailable("it ended the stream, or said what this agent is too old for"))
}

/// A control plane without roots is not one that is away.
fn refused(status: &Status) -> JoinError {
    match status.code() {
        Code::FailedPrecondition | Code::Unimplemented => JoinError::Refused {
            why: super::words(status),
        },
        _ => refusal(status),
    }
}

fn unavailable(why: &str) -> JoinError {
    JoinError::Unavailable {
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    use super::*;

    fn files(cert: &str, key: &str) -> (tempfile::TempDir, NodeCertificate) {
        let dir = tempfile::tempdir().unwrap();
        let files = NodeCertificate {
            cert: dir.path().join("cert.pem"),
            key: dir.path().join("key.pem"),
        };
        fs::write(&files.cert, cert).unwrap();
        fs::write(&files.key, key).unwrap();
        (dir, files)
    }

    fn certified(key: &KeyPair) -> String {
        let params = CertificateParams::new(["n1".to_owned()]).unwrap();
        params.self_signed(key).unwrap().pem()
    }

    #[test]
    fn keys_of_each_kind_are_read_with_their_certificates() {
        for kind in [
            &PKCS_ECDSA_P256_SHA256,
            &PKCS_ECDSA_P384_SHA384,
            &PKCS_ED25519,
        ] {
            let key = KeyPair::generate_for(kind).unwrap();
            let (_dir, files) = files(&certified(&key), &key.serialize_pem());
            assert_eq!(files.read().unwrap().chain.len(), 1);
        }
    }

    #[test]
    fn a_key_that_is_not_the_certificates_is_seen_here() {
        let (own, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let (_dir, files) = files(&certified(&own), &other.serialize_pem());
        let refused = files.read().err().unwrap();
        assert!(matches!(refused, NodeCertificateError::OtherKey { .. }));
    }

    #[test]
    fn files_that_hold_something_else_are_refused() {
        let key = KeyPair::generate().unwrap();
        let (cert, pem) = (certified(&key), key.serialize_pem());
        for (cert, pem, says) in [
            ("", &*pem, "no certificate"),
            (&*pem, &*pem, "no certificate"),
            (&*cert, &*cert, "no private key"),
            (&*cert, &*pem.repeat(2), "no private key"),
            (&*cert, "-----BEGIN PRIVATE KEY-----\n", "no private key"),
        ] {
            let (_dir, files) = files(cert, pem);
            let told = files.read().err().unwrap().to_string();
            assert!(told.contains(says), "{told}");
        }
        let missing = NodeCertificate {
            cert: "/nonexistent".into(),
            key: "/nonexistent".into(),
        };
        let told = missing.read().err().unwrap();
        assert!(matches!(told, NodeCertificateError::Read { .. }));
    }

    #[test]
    fn no_two_nonces_are_the_same() {
        assert_ne!(nonce().unwrap(), nonce().unwrap());
    }
}
