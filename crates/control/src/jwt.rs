//! What may be asked of a JWT-SVID: for whom, and for how long.

use std::collections::BTreeSet;

use serde_json::json;
use tidelock_ca::MIN_SVID_TTL_SECS;
use tidelock_proto::{ErrorCode, MAX_JWT_AUDIENCE_BYTES, MAX_JWT_AUDIENCES};
use tonic::Status;

use crate::audit::{Actor, AuditEntry};
use crate::authority::IssuedJwt;
use crate::document::Life;

/// Why an audience is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum AudienceError {
    #[error("a JWT-SVID is for one audience at least: name who is to be shown it")]
    None,
    #[error("a JWT-SVID is for {MAX_JWT_AUDIENCES} audiences at most, not {0}; ask for several")]
    TooMany(usize),
    #[error("audience {0} is empty")]
    Empty(usize),
    #[error("audience {at} has {len} bytes, more than {MAX_JWT_AUDIENCE_BYTES}")]
    TooLong { at: usize, len: usize },
    #[error("audience {0} has control characters in it")]
    Control(usize),
    #[error("audience {0} is named twice")]
    Repeated(usize),
}

/// A life that a JWT-SVID cannot have.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a JWT-SVID of this SPIFFE ID lives {MIN_SVID_TTL_SECS} to {most} s, not {asked} s")]
pub(crate) struct LifeError {
    asked: u32,
    most: u32,
}

/// Whom a JWT-SVID is to be for. Positions count from 1.
pub(crate) fn audience(asked: &[String]) -> Result<Vec<&str>, AudienceError> {
    match asked.len() {
        0 => return Err(AudienceError::None),
        count if count > MAX_JWT_AUDIENCES => return Err(AudienceError::TooMany(count)),
        _ => {}
    }
    let mut seen = BTreeSet::new();
    for (at, name) in (1..).zip(asked) {
        match name.len() {
            0 => return Err(AudienceError::Empty(at)),
            len if len > MAX_JWT_AUDIENCE_BYTES => return Err(AudienceError::TooLong { at, len }),
            _ if name.chars().any(char::is_control) => return Err(AudienceError::Control(at)),
            _ if !seen.insert(name) => return Err(AudienceError::Repeated(at)),
            _ => {}
        }
    }
    Ok(asked.iter().map(String::as_str).collect())
}

/// How long it is to live, in seconds. 0 asks for what is usual; `most` is what its SPIFFE ID is given, `of_domain` what holds
/// in the trust domain.
pub(crate) fn ttl_secs(asked: u32, most: u32, of_domain: Life) -> Result<u32, LifeError> {
    let most = most.min(of_domain.max_secs);
    match asked {
        0 => Ok(of_domain.default_secs.min(most)),
        _ if (MIN_SVID_TTL_SECS..=most).contains(&asked) => Ok(asked),
        _ => Err(LifeError { asked, most }),
    }
}

impl IssuedJwt {
    /// What the audit log says of it: everything but the token.
    pub(crate) fn audit(
        &self,
        actor: &Actor,
        entry: Option<&str>,
        audience: &[&str],
    ) -> AuditEntry {
        let mut detail = json!({
            "token_id": self.svid.token_id.to_string(),
            "key_id": self.key_id,
            "audience": audience,
            "not_after": self.svid.expires_at,
        });
        if let Some(entry) = entry {
            detail["entry"] = entry.into();
        }
        AuditEntry::now(actor, "jwt-svid-issued", self.svid.id.as_str(), &detail)
    }
}

impl From<AudienceError> for Status {
    fn from(error: AudienceError) -> Self {
        ErrorCode::AudienceInvalid.status(error.to_string())
    }
}

impl From<LifeError> for Status {
    fn from(error: LifeError) -> Self {
        ErrorCode::JwtLifeInvalid.status(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Lives;

    fn asked(names: &[&str]) -> Result<usize, AudienceError> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        audience(&names).map(|read| read.len())
    }

    #[test]
    fn audiences_are_bounded_different_and_printable() {
        let longest = "x".repeat(MAX_JWT_AUDIENCE_BYTES);
        let names: Vec<String> = (0..=MAX_JWT_AUDIENCES).map(|n| n.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(asked(&["a", "A", "\u{fc}", &longest]), Ok(4));
        assert_eq!(asked(&names[..MAX_JWT_AUDIENCES]), Ok(MAX_JWT_AUDIENCES));
        let count = MAX_JWT_AUDIENCES + 1;
        assert_eq!(asked(&names), Err(AudienceError::TooMany(count)));
        assert_eq!(asked(&[]), Err(AudienceError::None));
        assert_eq!(asked(&["a", ""]), Err(AudienceError::Empty(2)));
        assert_eq!(asked(&["a\nb"]), Err(AudienceError::Control(1)));
        assert_eq!(asked(&["a", "b", "a"]), Err(AudienceError::Repeated(3)));
        let (at, len) = (1, MAX_JWT_AUDIENCE_BYTES + 1);
        let long = longest + "x";
        assert_eq!(asked(&[&long]), Err(AudienceError::TooLong { at, len }));
    }

    #[test]
    fn lives_are_bounded_by_what_the_id_is_given_and_by_the_trust_domain() {
        let ttl_secs = |asked, most| ttl_secs(asked, most, Lives::default().jwt);
        assert_eq!(ttl_secs(0, 86_400), Ok(300));
        assert_eq!(ttl_secs(0, 60), Ok(60));
        for secs in [10, 60] {
            assert_eq!(ttl_secs(secs, 60), Ok(secs));
        }
        assert_eq!(ttl_secs(3_600, 86_400), Ok(3_600));
        for (asked, given) in [(9, 60), (61, 60), (3_601, 86_400), (u32::MAX, u32::MAX)] {
            assert!(ttl_secs(asked, given).is_err(), "{asked} of {given}");
        }
    }
}
