//! The kinds of authorities.

use tidelock_proto::v1;

/// What an authority signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// X509-SVIDs, by a certificate.
    X509,
    /// JWT-SVIDs, by a key.
    Jwt,
}

impl Kind {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::X509, Self::Jwt];

    /// As the audit log and the log have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::X509 => "x509",
            Self::Jwt => "jwt",
        }
    }

    /// As messages have it; who does not say means certificates, since there was nothing else once.
    pub(crate) fn of(message: v1::AuthorityKind) -> Self {
        match message {
            v1::AuthorityKind::Jwt => Self::Jwt,
            v1::AuthorityKind::X509 | v1::AuthorityKind::Unspecified => Self::X509,
        }
    }

    /// The other way round.
    pub(crate) fn message(self) -> v1::AuthorityKind {
        match self {
            Self::X509 => v1::AuthorityKind::X509,
            Self::Jwt => v1::AuthorityKind::Jwt,
        }
    }
}
