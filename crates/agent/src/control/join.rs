//! Becoming a node, and staying one.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use tidelock_proto::v1::{AttestRequest, RenewRequest};
use tonic::Code;
use zeroize::Zeroizing;

use super::connect::{ConnectError, Server};
use super::x509pop::{self, NodeCertificate, NodeCertificateError};
use super::{Client, REQUEST_TIMEOUT, words};
use crate::node::{ChainError, KeyError, NodeKey, NodeSvid, Store};

/// A join token, or where to find one.
#[derive(Clone)]
pub enum JoinToken {
    /// The token.
    Text(Zeroizing<String>),
    /// A file that holds it; read when it is needed, so that a new one can be put there.
    File(PathBuf),
}

/// What a node joins with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum JoinWith {
    /// A token that an operator made for this node; good once.
    Token(JoinToken),
    /// A certificate that this machine was given elsewhere; good as often as it is needed.
    Certificate(NodeCertificate),
}

impl From<JoinToken> for JoinWith {
    fn from(token: JoinToken) -> Self {
        Self::Token(token)
    }
}

impl From<NodeCertificate> for JoinWith {
    fn from(certificate: NodeCertificate) -> Self {
        Self::Certificate(certificate)
    }
}

/// Why a node could not join or renew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// There is nothing to join with.
    #[error(
        "this node has not joined yet: give it a join token (`tidelock token create --node NAME`) or a certificate"
    )]
    NoToken,
    /// The certificate to join with, or its key, is of no use.
    #[error(transparent)]
    Certificate(NodeCertificateError),
    /// The token's file cannot be read.
    #[error("cannot read the join token from {}: {source}", path.display())]
    TokenFile {
        /// Where it should be.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The token was tried before; a token is good once.
    #[error("the join token was used already: give this node a new one")]
    Tried,
    /// The control plane refused. Trying the same again is of no use.
    #[error("the control plane refused this node: {why}")]
    Refused {
        /// In its words.
        why: String,
    },
    /// The control plane could not be reached.
    #[error(transparent)]
    Connect(ConnectError),
    /// The control plane did not answer as it should.
    #[error("the control plane did not answer: {why}")]
    Unavailable {
        /// In its words.
        why: String,
    },
    /// The chain it gave is not this node's.
    #[error("the control plane's answer is of no use: {0}")]
    Chain(ChainError),
    /// A key could not be made.
    #[error(transparent)]
    Key(KeyError),
}

impl JoinError {
    /// Is trying again later worth it?
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Connect(ConnectError::Transport { .. }) | Self::Unavailable { .. }
        )
    }
}

impl JoinToken {
    fn read(&self) -> Result<Zeroizing<String>, JoinError> {
        match self {
            Self::Text(token) => Ok(token.clone()),
            Self::File(path) => {
                let text = fs::read_to_string(path).map_err(|source| JoinError::TokenFile {
                    path: path.clone(),
                    source,
                })?;
                let text = Zeroizing::new(text);
                Ok(Zeroizing::new(text.trim().to_owned()))
            }
        }
    }
}

impl std::fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("JoinToken::Text(..)"),
            Self::File(path) => f.debug_tuple("JoinToken::File").field(path).finish(),
        }
    }
}

/// Joins with a certificate; or with a token, which is used up, and noted in `tried`: trying it again would only be refused.
pub(crate) async fn join(
    (server, store): (&Server, &Store),
    with: Option<&JoinWith>,
    tried: &mut Option<Zeroizing<String>>,
) -> Result<NodeSvid, JoinError> {
    let token = match with.ok_or(JoinError::NoToken)? {
        JoinWith::Certificate(certificate) => {
            return x509pop::join(server, store, certificate).await;
        }
        JoinWith::Token(token) => token.read()?,
    };
    if tried.as_ref() == Some(&token) {
        return Err(JoinError::Tried);
    }
    let joined = attest(server, store, &token).await;
    if !joined.as_ref().is_err_and(JoinError::may_pass) {
        *tried = Some(token);
    }
    joined
}

async fn attest(server: &Server, store: &Store, token: &str) -> Result<NodeSvid, JoinError> {
    let key = NodeKey::generate().map_err(JoinError::Key)?;
    let csr = key.csr().map_err(JoinError::Key)?;
    let connected = server.connect(store, None).await;
    let (mut client, _) = connected.map_err(JoinError::Connect)?;
    let mut request = tonic::Request::new(AttestRequest {
        token: token.to_owned(),
        csr,
    });
    request.set_timeout(REQUEST_TIMEOUT);
    let answer = client
        .attest(request)
        .await
        .map_err(|status| refusal(&status))?;
    let svid = NodeSvid::new(key, answer.into_inner().chain).map_err(JoinError::Chain)?;
    Ok(svid.attested_at(unix_ms()))
}

/// Now, in milliseconds since 1970; `None` if the clock is before that.
fn unix_ms() -> Option<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_millis()).ok().filter(|&ms| ms > 0)
}

/// Gets a new SVID, for a new key, by the present one.
pub(crate) async fn renew(client: &mut Client) -> Result<NodeSvid, JoinError> {
    let key = NodeKey::generate().map_err(JoinError::Key)?;
    let csr = key.csr().map_err(JoinError::Key)?;
    let mut request = tonic::Request::new(RenewRequest { csr });
    request.set_timeout(REQUEST_TIMEOUT);
    let answer = client
        .renew(request)
        .await
        .map_err(|status| refusal(&status))?;
    NodeSvid::new(key, answer.into_inner().chain).map_err(JoinError::Chain)
}

pub(super) fn refusal(status: &tonic::Status) -> JoinError {
    let why = words(status);
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied | Code::InvalidArgument | Code::NotFound => {
            JoinError::Refused { why }
        }
        _ => JoinError::Unavailable { why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_is_read_when_needed_and_trimmed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "abc\n").unwrap();
        let token = JoinToken::File(file.path().to_owned());
        assert_eq!(token.read().unwrap().as_str(), "abc");
        fs::write(file.path(), "def").unwrap();
        assert_eq!(token.read().unwrap().as_str(), "def");
        fs::remove_file(file.path()).unwrap();
        assert!(matches!(token.read(), Err(JoinError::TokenFile { .. })));
    }

    #[test]
    fn a_token_is_never_printed() {
        let token = JoinToken::Text(Zeroizing::new("s3cret".into()));
        assert!(!format!("{token:?}").contains("s3cret"));
    }

    #[test]
    fn refusals_are_final_and_absences_pass() {
        assert!(!refusal(&tonic::Status::unauthenticated("used")).may_pass());
        assert!(refusal(&tonic::Status::unavailable("away")).may_pass());
        assert!(refusal(&tonic::Status::unknown("?")).may_pass());
        assert!(!JoinError::NoToken.may_pass());
    }
}
