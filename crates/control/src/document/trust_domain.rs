//! `kind: TrustDomain`: what holds for the whole trust domain where a document says nothing else.

use serde_json::{Map, Value, json};
use tidelock_ca::{MAX_SVID_TTL_SECS, MIN_SVID_TTL_SECS};
use tidelock_proto::MAX_JWT_TTL_SECS;
use tidelock_spiffe_core::TrustDomain;

use super::Reason;
use super::lives::{AuthorityLives, Lives, secs};
use crate::authority::{JWT_AUTHORITY_SECS, X509_AUTHORITY_SECS};
use crate::duration::{DurationError, print_secs};
use crate::name::Name;
use crate::yaml::{Cursor, Fields, Pos, Reader};

pub(super) const FIELDS: &[&str] = &["x509SVID", "jwtSVID", "x509Authority", "jwtAuthority"];
pub(super) const SVID_FIELDS: &[&str] = &["defaultTTL", "maxTTL"];
pub(super) const AUTHORITY_FIELDS: &[&str] = &["ttl"];

/// What an operator sets for the whole trust domain.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustDomainSettings {
    /// The trust domain: the control plane's own.
    pub name: Name,
    /// Lives of workloads' X509-SVIDs.
    pub x509: SvidLife,
    /// Lives of JWT-SVIDs.
    pub jwt: SvidLife,
    /// Lives of authorities that are made from now on.
    pub authorities: AuthorityLives,
}

/// What is said of the lives of SVIDs of one kind. `None`: nothing, so that what is built in holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SvidLife {
    /// Of those for which nobody says another life.
    pub default_ttl_secs: Option<u32>,
    /// The longest that a document may say, or somebody may ask for. Not less than the default.
    pub max_ttl_secs: Option<u32>,
}

/// Where the bounds stand that other documents are held to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MaxMarks {
    pub(super) x509: Option<Pos>,
    pub(super) jwt: Option<Pos>,
}

impl TrustDomainSettings {
    pub(super) fn read(
        reader: &mut Reader<'_>,
        name: Option<(Name, Pos)>,
        spec: Cursor<'_>,
        ours: TrustDomain<'_>,
    ) -> Option<(Self, MaxMarks)> {
        let foreign = |name: &&(Name, Pos)| name.0.as_str() != ours.as_str();
        if let Some((name, pos)) = name.as_ref().filter(foreign) {
            let reason = Reason::OtherTrustDomain {
                name: name.to_string(),
                ours: ours.as_str().to_owned(),
            };
            reader.refuse_at(*pos, "metadata.name".to_owned(), reason);
        }
        let fields = reader.fields(spec, FIELDS)?;
        let x509 = life(reader, &fields, "x509SVID", MAX_SVID_TTL_SECS);
        let jwt = life(reader, &fields, "jwtSVID", MAX_JWT_TTL_SECS);
        let x509_authority = authority(reader, &fields, "x509Authority", X509_AUTHORITY_SECS);
        let jwt_authority = authority(reader, &fields, "jwtAuthority", JWT_AUTHORITY_SECS);
        let ((x509, x509_max), (jwt, jwt_max)) = (x509?, jwt?);
        let authorities = AuthorityLives {
            x509_secs: x509_authority?,
            jwt_secs: jwt_authority?,
        };
        let (name, _) = name?;
        let marks = MaxMarks {
            x509: x509_max,
            jwt: jwt_max,
        };
        let settings = Self {
            name,
            x509,
            jwt,
            authorities,
        };
        Some((settings, marks))
    }

    pub(super) fn to_json(&self) -> Value {
        let mut spec = Map::new();
        for (field, life) in [("x509SVID", self.x509), ("jwtSVID", self.jwt)] {
            if life != SvidLife::default() {
                spec.insert(field.to_owned(), life.to_json());
            }
        }
        let AuthorityLives {
            x509_secs,
            jwt_secs,
        } = self.authorities;
        for (field, secs) in [("x509Authority", x509_secs), ("jwtAuthority", jwt_secs)] {
            if let Some(secs) = secs {
                spec.insert(field.to_owned(), json!({ "ttl": print_secs(secs) }));
            }
        }
        spec.into()
    }

    /// What comes of it.
    pub(super) fn lives(&self) -> Lives {
        Lives {
            authorities: self.authorities,
            ..Lives::new(self.x509, self.jwt)
        }
    }
}

impl SvidLife {
    fn to_json(self) -> Value {
        let mut life = Map::new();
        for (field, secs) in SVID_FIELDS
            .iter()
            .zip([self.default_ttl_secs, self.max_ttl_secs])
        {
            if let Some(secs) = secs {
                life.insert((*field).to_owned(), print_secs(secs).into());
            }
        }
        life.into()
    }
}

/// What is said of the life of authorities of one kind.
fn authority(
    reader: &mut Reader<'_>,
    spec: &Fields<'_>,
    field: &str,
    bounds: (u32, u32),
) -> Option<Option<u32>> {
    let Some(at) = spec.optional(field) else {
        return Some(None);
    };
    let fields = reader.fields(at, AUTHORITY_FIELDS)?;
    match fields.optional("ttl") {
        Some(at) => secs(reader, &at, bounds).map(Some),
        None => Some(None),
    }
}

/// What is said of the SVIDs of one kind, and where the longest life is.
fn life(
    reader: &mut Reader<'_>,
    spec: &Fields<'_>,
    field: &str,
    most: u32,
) -> Option<(SvidLife, Option<Pos>)> {
    let Some(at) = spec.optional(field) else {
        return Some((SvidLife::default(), None));
    };
    let fields = reader.fields(at, SVID_FIELDS)?;
    let (default_at, max_at) = (fields.optional("defaultTTL"), fields.optional("maxTTL"));
    let read = |reader: &mut Reader<'_>, at: &Option<Cursor<'_>>| match at {
        Some(at) => secs(reader, at, (MIN_SVID_TTL_SECS, most)).map(Some),
        None => Some(None),
    };
    let default_ttl_secs = read(reader, &default_at);
    let max_ttl_secs = read(reader, &max_at);
    let (default_ttl_secs, max_ttl_secs) = (default_ttl_secs?, max_ttl_secs?);
    if let (Some(at), Some(default_secs), Some(max_secs)) =
        (&default_at, default_ttl_secs, max_ttl_secs)
        && default_secs > max_secs
    {
        let text = print_secs(default_secs);
        let error = DurationError::TooLong { max_secs };
        reader.refuse(at, Reason::Duration { text, error });
        return None;
    }
    let life = SvidLife {
        default_ttl_secs,
        max_ttl_secs,
    };
    Some((life, max_at.map(|at| at.pos())))
}
