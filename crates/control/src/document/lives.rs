//! How long SVIDs live: by their own document, else by the trust domain's, else by what is built in.

use std::collections::{BTreeMap, HashMap, HashSet};

use tidelock_ca::MAX_SVID_TTL_SECS;
use tidelock_proto::{DEFAULT_JWT_TTL_SECS, MAX_JWT_TTL_SECS};

use super::check::error_at;
use super::{
    DEFAULT_SVID_TTL_SECS, Document, DocumentError, Key, Kind, Marks, Parsed, Reason, SvidLife,
    WorkloadIdentity,
};
use crate::duration::parse_secs;
use crate::yaml::{Cursor, Pos, Reader};

/// Lives that hold where nobody says another, and the longest that may be said.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lives {
    /// Of workloads' X509-SVIDs.
    pub x509: Life,
    /// Of JWT-SVIDs.
    pub jwt: Life,
    /// Of authorities that are made from now on.
    pub authorities: AuthorityLives,
}

/// Lives of authorities, in seconds; `None`: what the control plane was started with.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AuthorityLives {
    /// Of those that sign X509-SVIDs.
    pub x509_secs: Option<u32>,
    /// Of those that sign JWT-SVIDs.
    pub jwt_secs: Option<u32>,
}

/// Lives of SVIDs of one kind, in seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Life {
    /// Where nobody says another; never more than the longest.
    pub default_secs: u32,
    /// The longest.
    pub max_secs: u32,
}

impl Default for Lives {
    fn default() -> Self {
        Self::new(SvidLife::default(), SvidLife::default())
    }
}

impl Lives {
    pub(super) fn new(x509: SvidLife, jwt: SvidLife) -> Self {
        Self {
            x509: Life::new(x509, DEFAULT_SVID_TTL_SECS, MAX_SVID_TTL_SECS),
            jwt: Life::new(jwt, DEFAULT_JWT_TTL_SECS, MAX_JWT_TTL_SECS),
            authorities: AuthorityLives::default(),
        }
    }

    /// By the trust domain's document, if there is one.
    pub(crate) fn of(documents: &BTreeMap<Key, Document>) -> Self {
        let settings = documents.values().find_map(|document| match document {
            Document::TrustDomain(settings) => Some(settings.lives()),
            _ => None,
        });
        settings.unwrap_or_default()
    }

    /// Tells them apart as far as entries are made of them.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let all = [
            self.x509.default_secs,
            self.x509.max_secs,
            self.jwt.default_secs,
            self.jwt.max_secs,
        ];
        all.into_iter().flat_map(u32::to_le_bytes).collect()
    }

    /// Life of the X509-SVIDs of an identity, in seconds.
    #[must_use]
    pub fn x509_secs(&self, identity: &WorkloadIdentity) -> u32 {
        let said = identity.svid_ttl_secs;
        // Documents that say more are refused; this holds whatever comes of that.
        said.unwrap_or(self.x509.default_secs)
            .min(self.x509.max_secs)
    }

    /// Longest life of the JWT-SVIDs of an identity, in seconds: where it does not say, that of its X509-SVIDs.
    #[must_use]
    pub fn max_jwt_secs(&self, identity: &WorkloadIdentity) -> u32 {
        let said = identity.jwt_ttl_secs;
        said.unwrap_or_else(|| self.x509_secs(identity))
            .min(self.jwt.max_secs)
    }
}

impl Life {
    fn new(said: SvidLife, default_secs: u32, max_secs: u32) -> Self {
        let max_secs = said.max_ttl_secs.unwrap_or(max_secs);
        let default_secs = said.default_ttl_secs.unwrap_or(default_secs);
        Self {
            default_secs: default_secs.min(max_secs),
            max_secs,
        }
    }
}

/// That identities of before have the life which is built in, where a default comes that is another: those before
/// version 8 of the schema wrote it down where a file said nothing, and nobody can tell whether one said it.
pub(super) fn maybe_default(
    documents: &BTreeMap<Key, Document>,
    parsed: &[Parsed],
) -> Option<DocumentError> {
    let domain = parsed
        .iter()
        .find(|new| matches!(new.marks, Marks::TrustDomain(_)))?;
    if Lives::of(documents).x509.default_secs == DEFAULT_SVID_TTL_SECS {
        return None;
    }
    let news: HashSet<Key> = parsed.iter().map(|new| new.document.key()).collect();
    let mut unsure = documents.values().filter_map(|document| match document {
        Document::WorkloadIdentity(one) if one.svid_ttl_secs == Some(DEFAULT_SVID_TTL_SECS) => {
            (!news.contains(&document.key())).then_some(one)
        }
        _ => None,
    });
    let reason = Reason::MaybeDefault {
        identity: unsure.next()?.name.clone(),
        secs: DEFAULT_SVID_TTL_SECS,
        others: unsure.count(),
    };
    let field = "spec.x509SVID.defaultTTL";
    Some(error_at(domain, Some(domain.pos), field, reason))
}

/// Reads a span of time within bounds.
pub(super) fn secs(
    reader: &mut Reader<'_>,
    at: &Cursor<'_>,
    (least, most): (u32, u32),
) -> Option<u32> {
    let text = &reader.text(at)?.text;
    parse_secs(text, least, most)
        .map_err(|error| {
            let text = text.clone();
            reader.refuse(at, Reason::Duration { text, error });
        })
        .ok()
}

/// A life that an identity says itself.
struct Said<'a> {
    identity: &'a WorkloadIdentity,
    secs: u32,
    new: Option<(&'a Parsed, Option<Pos>)>,
}

/// Refuses identities that say a longer life than the trust domain allows. Whichever of the two documents is new is blamed, the
/// identity first; the trust domain's once for all that are in its way.
pub(super) fn identities(
    documents: &BTreeMap<Key, Document>,
    news: &HashMap<Key, (usize, &Parsed)>,
    errors: &mut Vec<DocumentError>,
) {
    let lives = Lives::of(documents);
    let all = || {
        documents.values().filter_map(|document| match document {
            Document::WorkloadIdentity(identity) => Some(identity),
            _ => None,
        })
    };
    let parsed = |identity: &WorkloadIdentity| {
        let key = (Kind::WorkloadIdentity, identity.name.clone());
        news.get(&key).map(|(_, parsed)| *parsed)
    };
    let x509 = all().filter_map(|identity| {
        let new = parsed(identity).map(|parsed| (parsed, parsed.marks.ttls().0));
        let secs = identity.svid_ttl_secs?;
        Some(Said {
            identity,
            secs,
            new,
        })
    });
    over(x509, lives.x509.max_secs, ("x509SVID", "ttl"), news, errors);
    let jwt = all().filter_map(|identity| {
        let new = parsed(identity).map(|parsed| (parsed, parsed.marks.ttls().1));
        let secs = identity.jwt_ttl_secs?;
        Some(Said {
            identity,
            secs,
            new,
        })
    });
    over(jwt, lives.jwt.max_secs, ("jwtSVID", "jwtTTL"), news, errors);
}

fn over<'a>(
    said: impl Iterator<Item = Said<'a>>,
    max_secs: u32,
    (of_domain, of_identity): (&str, &'static str),
    news: &HashMap<Key, (usize, &Parsed)>,
    errors: &mut Vec<DocumentError>,
) {
    let (mut first, mut others): (Option<Said<'_>>, usize) = (None, 0);
    for one in said.filter(|one| one.secs > max_secs) {
        match (one.new, &first) {
            (Some((parsed, pos)), _) => {
                let reason = reason(&one, of_identity, max_secs, 0);
                let pos = Some(pos.unwrap_or(parsed.pos));
                let field = format!("spec.svid.{of_identity}");
                errors.push(error_at(parsed, pos, &field, reason));
            }
            (None, None) => first = Some(one),
            (None, Some(_)) => others += 1,
        }
    }
    let Some(first) = first else {
        return;
    };
    let reason = reason(&first, of_identity, max_secs, others);
    let domain = news.values().find_map(|(_, parsed)| match &parsed.marks {
        Marks::TrustDomain(marks) => Some((*parsed, marks)),
        _ => None,
    });
    errors.push(match domain {
        Some((parsed, marks)) => {
            let pos = match of_domain {
                "x509SVID" => marks.x509,
                _ => marks.jwt,
            };
            let pos = Some(pos.unwrap_or(parsed.pos));
            error_at(parsed, pos, &format!("spec.{of_domain}.maxTTL"), reason)
        }
        None => DocumentError {
            file: format!("(WorkloadIdentity {}, applied before)", first.identity.name),
            pos: None,
            field: format!("spec.svid.{of_identity}"),
            reason,
        },
    });
}

fn reason(said: &Said<'_>, field: &'static str, max_secs: u32, others: usize) -> Reason {
    Reason::OverMaximum {
        identity: said.identity.name.clone(),
        field,
        secs: said.secs,
        max_secs,
        others,
    }
}
