//! Join tokens: single use, expiring, only their hash kept.
//!
//! A token is `tlj1.` and, in unpadded base64url, an 8-byte id and a 32-byte secret. The id finds the row; the secret is
//! compared by its SHA-256 in constant time. The secret is as strong as a key, so a plain hash of it is enough.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlResult, ToSqlOutput, ValueRef};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Shortest life of a token, in seconds.
pub const MIN_TOKEN_TTL_SECS: u32 = 1;

/// Longest life of a token, in seconds: a week.
pub const MAX_TOKEN_TTL_SECS: u32 = 7 * 86_400;

const PREFIX: &str = "tlj1.";
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
const TOKEN_BYTES: usize = ID_BYTES + SECRET_BYTES;

/// The part of a token that is no secret and finds it in the store.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TokenId(pub [u8; ID_BYTES]);

/// SHA-256 of a token's secret.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TokenHash(pub [u8; 32]);

/// A token with its secret. `Debug` does not show it.
#[derive(Clone)]
pub struct Token {
    id: TokenId,
    secret: [u8; SECRET_BYTES],
}

/// A text that cannot be a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("is not a join token")]
pub struct TokenError;

impl Token {
    /// Makes a new token out of the system's randomness.
    ///
    /// # Errors
    /// If the system has none.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut token = Self {
            id: TokenId([0; ID_BYTES]),
            secret: [0; SECRET_BYTES],
        };
        getrandom::fill(&mut token.id.0)?;
        getrandom::fill(&mut token.secret)?;
        Ok(token)
    }

    /// Parses a token. White space around it is ignored, since it often comes out of a file.
    ///
    /// # Errors
    /// If it is not one; nothing says how it differs.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let body = text.trim_ascii().strip_prefix(PREFIX).ok_or(TokenError)?;
        let mut bytes = [0; TOKEN_BYTES];
        let len = URL_SAFE_NO_PAD
            .decode_slice(body, &mut bytes)
            .map_err(|_| TokenError)?;
        let (id, secret) = bytes
            .get(..len)
            .and_then(|b| b.split_first_chunk())
            .ok_or(TokenError)?;
        Ok(Self {
            id: TokenId(*id),
            secret: secret.try_into().map_err(|_| TokenError)?,
        })
    }

    /// The part that is no secret.
    #[must_use]
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// What the store keeps.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.secret).into())
    }

    /// The whole token, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> String {
        let mut bytes = self.id.0.to_vec();
        bytes.extend(self.secret);
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl TokenHash {
    /// Compares in constant time.
    #[must_use]
    pub fn matches(&self, token: &Token) -> bool {
        self.0.ct_eq(&token.hash().0).into()
    }
}

impl ToSql for TokenId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(&self.0[..]))
    }
}

impl ToSql for TokenHash {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(&self.0[..]))
    }
}

impl FromSql for TokenId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        FromSql::column_result(value).map(Self)
    }
}

impl FromSql for TokenHash {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        FromSql::column_result(value).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_back_and_differ() {
        let (a, b) = (
            Token::generate().expect("random"),
            Token::generate().expect("random"),
        );
        let again = Token::parse(&format!("{}\n", a.reveal())).expect("parse");
        assert_eq!((again.id(), again.secret), (a.id(), a.secret));
        assert!(a.hash().matches(&again) && !a.hash().matches(&b));
        assert!(!format!("{a:?}").contains(&format!("{:?}", a.secret)));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let good = Token::generate().expect("random").reveal();
        let longer = format!("{good}AAAA");
        for text in [
            "",
            "tlj1.",
            "tlj1.AAAA",
            &good[1..],
            &good[..good.len() - 1],
            &longer,
            "tlj2.x",
            "tlj1.!!!!",
        ] {
            assert!(Token::parse(text).is_err(), "{text}");
        }
    }
}
