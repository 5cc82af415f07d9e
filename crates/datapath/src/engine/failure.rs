//! Why a handshake ended without a connection.

use alloc::boxed::Box;
use core::fmt;

use rustls::{AlertDescription, Error};

use super::Findings;
use crate::authorize::Answer;
use crate::peer::PeerError;
use crate::record::{MAX_HANDSHAKE_BYTES, MAX_HANDSHAKE_RECORDS, RecordError};

/// Why a handshake ended without a connection. [`Self::reason`] sorts it; `Display` says it to
/// people, naming what was found. An alert for the peer, where one is due, was an
/// [`Output::Send`](super::Output::Send) before it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Failure {
    /// Our identity has no SVID installed.
    NoSvid,
    /// Our own SVID is not valid now.
    SvidNotCurrent {
        /// When it begins to be valid, in seconds since 1970.
        not_before: i64,
        /// The last second in which it is valid, since 1970.
        not_after: i64,
        /// What the time was.
        now: i64,
    },
    /// [`Authorize`](crate::Authorize) said no.
    Denied {
        /// The number it gave.
        code: u32,
        /// The reason it gave.
        detail: Box<str>,
    },
    /// The peer's certificates or signature were refused.
    Peer(PeerError),
    /// The peer showed no certificate.
    NoCertificate,
    /// The peer sent a fatal alert.
    PeerRefused {
        /// The alert's number (RFC 8446 §6).
        alert: u8,
    },
    /// The peer closed before the handshake was over.
    PeerClosed,
    /// The deadline passed.
    Deadline,
    /// What the peer sent is no TLS record.
    Record(RecordError),
    /// What the peer sent breaks TLS 1.3, or is another version.
    Tls(Error),
    /// The peer sent application data, or part of a message, where the end of the handshake was
    /// due.
    Unconfirmed,
    /// More than [`MAX_HANDSHAKE_RECORDS`].
    TooManyRecords,
    /// More than [`MAX_HANDSHAKE_BYTES`].
    TooManyBytes,
    /// The source of randomness is unavailable.
    Entropy,
    /// A fault of ours.
    Internal(Error),
}

/// The kinds of [`Failure`] that callers treat differently.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// We have no SVID.
    NoSvid,
    /// Our SVID has expired or is not valid yet.
    SvidExpired,
    /// Not authorised; the number is the one [`Authorize`](crate::Authorize) gave.
    Denied(u32),
    /// The peer did not prove a SPIFFE ID.
    PeerUnauthenticated,
    /// The peer refused us.
    PeerRefused,
    /// The peer closed.
    PeerClosed,
    /// Too late.
    Deadline,
    /// Malformed or incompatible TLS.
    Protocol,
    /// A bound of ours was exceeded.
    ResourceLimit,
    /// A fault of ours.
    Internal,
}

impl Failure {
    /// What kind of failure this is.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::NoSvid => Reason::NoSvid,
            Self::SvidNotCurrent { .. } => Reason::SvidExpired,
            Self::Denied { code, .. } => Reason::Denied(*code),
            Self::Peer(_) | Self::NoCertificate => Reason::PeerUnauthenticated,
            Self::PeerRefused { .. } => Reason::PeerRefused,
            Self::PeerClosed => Reason::PeerClosed,
            Self::Deadline => Reason::Deadline,
            Self::Record(_) | Self::Tls(_) | Self::Unconfirmed => Reason::Protocol,
            Self::TooManyRecords | Self::TooManyBytes => Reason::ResourceLimit,
            Self::Entropy | Self::Internal(_) => Reason::Internal,
        }
    }

    /// Sorts an error of rustls, with what the verifier found taking precedence: it is why rustls
    /// failed.
    pub(super) fn sort(error: Error, findings: &Findings) -> Self {
        if let Some(Answer::Deny { code, detail }) = findings.answer() {
            return Self::Denied {
                code: *code,
                detail: detail.clone(),
            };
        }
        if let Some(why) = findings.error() {
            return Self::Peer(why.clone());
        }
        match error {
            Error::AlertReceived(AlertDescription::CloseNotify) => Self::PeerClosed,
            Error::AlertReceived(alert) => Self::PeerRefused {
                alert: alert.into(),
            },
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::FailedToGetRandomBytes => Self::Entropy,
            Error::InappropriateMessage { .. }
            | Error::InappropriateHandshakeMessage { .. }
            | Error::InvalidMessage(_)
            | Error::DecryptError
            | Error::PeerIncompatible(_)
            | Error::PeerMisbehaved(_)
            | Error::InvalidCertificate(_)
            | Error::PeerSentOversizedRecord
            | Error::NoApplicationProtocol => Self::Tls(error),
            _ => Self::Internal(error),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSvid => f.write_str("no SVID is installed"),
            Self::SvidNotCurrent {
                not_before,
                not_after,
                now,
            } => {
                write!(
                    f,
                    "our SVID is valid from {not_before} to {not_after}, it is {now}"
                )
            }
            Self::Denied { detail, .. } => f.write_str(detail),
            Self::Peer(why) => why.fmt(f),
            Self::NoCertificate => f.write_str("the peer showed no certificate"),
            Self::PeerRefused { alert } => write!(
                f,
                "the peer refused with alert {:?}",
                AlertDescription::from(*alert)
            ),
            Self::PeerClosed => f.write_str("the peer closed during the handshake"),
            Self::Deadline => f.write_str("the handshake took too long"),
            Self::Record(why) => why.fmt(f),
            Self::Tls(why) => why.fmt(f),
            Self::Unconfirmed => f.write_str("the peer sent something else than its confirmation"),
            Self::TooManyRecords => write!(
                f,
                "more than {MAX_HANDSHAKE_RECORDS} records in a handshake"
            ),
            Self::TooManyBytes => write!(f, "more than {MAX_HANDSHAKE_BYTES} bytes in a handshake"),
            Self::Entropy => f.write_str("the source of randomness is unavailable"),
            Self::Internal(why) => write!(f, "internal error: {why}"),
        }
    }
}

impl core::error::Error for Failure {}
