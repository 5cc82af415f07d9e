//! `mode` and `onUnavailable` of a Service: what may go over the wire in plain, because somebody wrote that it may.

use super::{Reason, Transform};
use crate::yaml::{Cursor, Fields, Reader};

/// Which connections to a Service there may be.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum ServiceMode {
    /// Mutual TLS between proven identities, and nothing else.
    #[default]
    Strict,
    /// The server also takes clients that speak plain TCP; who has an identity uses it.
    Permissive,
    /// Plain TCP: policy decides which governed clients may connect, and nothing is proved on the wire.
    Plain,
    /// None.
    Deny,
    /// The server is outside: the client's end speaks TLS to it, and holds it to its DNS name.
    Originate,
}

impl ServiceMode {
    /// Every mode.
    pub const ALL: [Self; 5] = [
        Self::Strict,
        Self::Permissive,
        Self::Plain,
        Self::Deny,
        Self::Originate,
    ];

    /// As documents write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Permissive => "permissive",
            Self::Plain => "plain",
            Self::Deny => "deny",
            Self::Originate => "originate",
        }
    }

    /// Whether somebody proves in it that they may serve: then it has to be said who that is.
    #[must_use]
    pub fn proves_servers(self) -> bool {
        matches!(self, Self::Strict | Self::Permissive)
    }

    /// Whether servers take who has proved nothing.
    #[must_use]
    pub fn takes_plain(self) -> bool {
        matches!(self, Self::Permissive | Self::Plain)
    }
}

/// What becomes of a connection of a governed client that gets no identity in time, because agent or control plane do not answer.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum OnUnavailable {
    /// It is refused.
    #[default]
    Deny,
    /// It goes in plain, where the mode is one in which a server takes that.
    Allow,
}

impl OnUnavailable {
    /// Every value.
    pub const ALL: [Self; 2] = [Self::Deny, Self::Allow];

    /// As documents write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        }
    }
}

/// What is wrong with `mode` or `onUnavailable`, or with what stands beside them.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ModeError {
    /// Nothing that a Service can be.
    #[error("is `{found}`; known are `strict`, `permissive`, `plain`, `deny` and `originate`")]
    Mode {
        /// As written.
        found: String,
    },
    /// Nothing that can become of a connection.
    #[error("is `{found}`; known are `deny` and `allow`")]
    OnUnavailable {
        /// As written.
        found: String,
    },
    /// Clients would go in plain to servers that refuse them.
    #[error(
        "is `allow`, but in `mode: {}` nobody takes a connection in plain: write `mode: permissive` or `mode: plain`, or leave it out",
        mode.as_str()
    )]
    NobodyTakesPlain {
        /// The mode.
        mode: ServiceMode,
    },
    /// A server outside of which nothing is known.
    #[error(
        "is `originate`, and `tls` has to say which server: its `serverName`, and its `roots` unless the nodes' own are meant"
    )]
    NoTls,
    /// Nobody asks it.
    #[error("is for `mode: originate`: in `mode: {}` nobody speaks TLS to a server outside", mode.as_str())]
    NotOutside {
        /// The mode.
        mode: ServiceMode,
    },
    /// What has no meaning for a server outside.
    #[error("has no meaning in `mode: originate`, where the server is outside: leave it out")]
    Outside,
    /// What a client in plain says would reach the program as if it had gone through the transform.
    #[error(
        "does not see what clients in plain say, and in `mode: {}` servers take them: a program could not tell the two apart",
        mode.as_str()
    )]
    TransformPassedBy {
        /// The mode.
        mode: ServiceMode,
    },
}

/// `spec.mode`, `spec.onUnavailable`, whether there is `spec.tls`, and what cannot stand beside them.
pub(super) fn modes(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    transform: Option<Transform>,
) -> Option<(ServiceMode, OnUnavailable)> {
    let mode = match fields.optional("mode") {
        None => Some(ServiceMode::default()),
        Some(at) => word(
            reader,
            &at,
            &ServiceMode::ALL,
            ServiceMode::as_str,
            |found| ModeError::Mode { found },
        ),
    };
    let on_unavailable = match fields.optional("onUnavailable") {
        None => Some(OnUnavailable::default()),
        Some(at) => word(
            reader,
            &at,
            &OnUnavailable::ALL,
            OnUnavailable::as_str,
            |found| ModeError::OnUnavailable { found },
        ),
    };
    let (mode, on_unavailable) = (mode?, on_unavailable?);
    let written = |key| fields.optional(key);
    if let Some(at) = written("onUnavailable")
        .filter(|_| on_unavailable == OnUnavailable::Allow && !mode.takes_plain())
    {
        reader.refuse(
            &at,
            Reason::ServiceMode(ModeError::NobodyTakesPlain { mode }),
        );
        return None;
    }
    let outside = mode == ServiceMode::Originate;
    let conflict = match (written("mode"), written("tls")) {
        (Some(at), None) if outside => Some((at, ModeError::NoTls)),
        (_, Some(at)) if !outside => Some((at, ModeError::NotOutside { mode })),
        _ => ["servers", "transform"]
            .into_iter()
            .find_map(written)
            .filter(|_| outside)
            .map(|at| (at, ModeError::Outside)),
    };
    if let Some((at, why)) = conflict {
        reader.refuse(&at, Reason::ServiceMode(why));
        return None;
    }
    if let Some(at) = written("transform").filter(|_| transform.is_some() && mode.takes_plain()) {
        reader.refuse(
            &at,
            Reason::ServiceMode(ModeError::TransformPassedBy { mode }),
        );
        return None;
    }
    Some((mode, on_unavailable))
}

/// One of a few words.
fn word<T: Copy>(
    reader: &mut Reader<'_>,
    at: &Cursor<'_>,
    all: &[T],
    written: fn(T) -> &'static str,
    unknown: impl FnOnce(String) -> ModeError,
) -> Option<T> {
    let text = &reader.text(at)?.text;
    let known = all.iter().copied().find(|&value| text == written(value));
    if known.is_none() {
        reader.refuse(at, Reason::ServiceMode(unknown(text.clone())));
    }
    known
}
