//! The claims (JWT-SVID §3), as far as every verifier needs them.

use alloc::string::String;
use alloc::vec::Vec;

use super::{JwtError, MemberProblem, Part};
use crate::SpiffeIdBuf;
use crate::json::{Json, Object};

/// Registered claims that a verifier acts on. Times are in seconds since 1970.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Registered {
    pub(super) id: SpiffeIdBuf,
    /// Never empty.
    pub(super) audience: Vec<String>,
    /// The token is valid before this second.
    pub(super) expires_at: i64,
    pub(super) not_before: Option<i64>,
    pub(super) issued_at: Option<i64>,
}

impl Registered {
    pub(super) fn read(members: &mut Object) -> Result<Self, JwtError> {
        let sub = match members.get("sub") {
            None => return Err(wrong("sub", MemberProblem::Missing)),
            Some(Json::String(sub)) => SpiffeIdBuf::parse(sub).map_err(JwtError::Subject)?,
            Some(_) => return Err(wrong("sub", MemberProblem::Type)),
        };
        if sub.as_id().is_pathless() {
            return Err(JwtError::Pathless);
        }
        let audience = audience(members.remove("aud"))?;
        // A fraction of a second is not lived out, and not begun early: `now` has none.
        let (expires_at, _) = date(members, "exp")?.ok_or(wrong("exp", MemberProblem::Missing))?;
        let begin = |(whole, fraction): (i64, bool)| whole.saturating_add(i64::from(fraction));
        Ok(Self {
            id: sub,
            audience,
            expires_at,
            not_before: date(members, "nbf")?.map(begin),
            issued_at: date(members, "iat")?.map(|(whole, _)| whole),
        })
    }
}

/// One string, or a list of them that is not empty (RFC 7519 §4.1.3, JWT-SVID §3.2).
fn audience(claim: Option<Json>) -> Result<Vec<String>, JwtError> {
    let values = match claim {
        None => return Err(wrong("aud", MemberProblem::Missing)),
        Some(Json::Array(values)) => values,
        Some(value) => Vec::from([value]),
    };
    if values.is_empty() {
        return Err(wrong("aud", MemberProblem::Empty));
    }
    let text = |value| match value {
        Json::String(text) => Ok(text),
        _ => Err(wrong("aud", MemberProblem::Type)),
    };
    values.into_iter().map(text).collect()
}

fn date(members: &Object, name: &'static str) -> Result<Option<(i64, bool)>, JwtError> {
    match members.get(name) {
        None => Ok(None),
        Some(Json::Number(number)) => Ok(Some(number.seconds())),
        Some(_) => Err(wrong(name, MemberProblem::Type)),
    }
}

fn wrong(name: &'static str, problem: MemberProblem) -> JwtError {
    JwtError::Member {
        part: Part::Claims,
        name,
        problem,
    }
}
