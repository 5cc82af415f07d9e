//! The JOSE header (JWT-SVID §2).

use alloc::string::String;

use super::{Algorithm, JwtError, MemberProblem, Part};
use crate::bundle::MAX_KEY_ID_BYTES;
use crate::json::{Json, Object};

/// Headers that JOSE defines and JWT-SVID §2 forbids, to be named in errors.
const FORBIDDEN: [&str; 11] = [
    "b64", "crit", "cty", "enc", "jku", "jwk", "x5c", "x5t", "x5t#S256", "x5u", "zip",
];

/// A header that keeps the rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
}

impl Header {
    /// Applies JWT-SVID §2. `alg` comes first, before anything else is believed (§4).
    pub(super) fn read(members: &Object) -> Result<Self, JwtError> {
        let algorithm = match text(members, "alg")? {
            None => return Err(wrong("alg", MemberProblem::Missing)),
            Some(name) => Algorithm::from_name(name).ok_or(JwtError::Algorithm)?,
        };
        let known = |name: &str| matches!(name, "alg" | "kid" | "typ");
        if let Some(name) = members.keys().find(|name| !known(name)) {
            let named = FORBIDDEN.into_iter().find(|forbidden| forbidden == name);
            let name = named.unwrap_or("other");
            return Err(JwtError::Header { name });
        }
        if !matches!(text(members, "typ")?, None | Some("JWT" | "JOSE")) {
            return Err(JwtError::Type);
        }
        let key_id = text(members, "kid")?;
        match key_id {
            Some(id) if id.len() > MAX_KEY_ID_BYTES => {
                let problem = MemberProblem::TooLong { len: id.len() };
                Err(wrong("kid", problem))
            }
            _ => Ok(Self {
                algorithm,
                key_id: key_id.map(String::from),
            }),
        }
    }
}

fn text<'m>(members: &'m Object, name: &'static str) -> Result<Option<&'m str>, JwtError> {
    match members.get(name) {
        None => Ok(None),
        Some(Json::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(name, MemberProblem::Type)),
    }
}

fn wrong(name: &'static str, problem: MemberProblem) -> JwtError {
    JwtError::Member {
        part: Part::Header,
        name,
        problem,
    }
}
