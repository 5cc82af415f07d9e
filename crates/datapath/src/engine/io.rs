//! What goes into an engine and what comes out.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Failure;
use crate::authorize::Authorize;
use crate::external::External;
use crate::identity::Identity;
use crate::ktls::KtlsInfo;
use crate::peer::Peer;
use crate::time::Mono;
use crate::traffic::TrafficSecret;
use crate::trust::TrustStore;

/// What an engine is made of. The engine keeps the references it needs; dropping it gives them
/// back.
pub struct Params<'a> {
    /// Who we are. Must have an SVID installed.
    pub identity: &'a Identity,
    /// Whom we believe.
    pub trust: Arc<TrustStore>,
    /// Decides whether the peer, once believed, is welcome.
    pub authorize: Arc<dyn Authorize>,
    /// When to give up, if the handshake is not over.
    pub deadline: Option<Mono>,
}

/// What an engine is made of that connects to a server outside. Who we are is not told it.
pub struct ExternalParams {
    /// Who it has to be.
    pub external: Arc<External>,
    /// When to give up, if the handshake is not over.
    pub deadline: Option<Mono>,
}

/// What an engine wants done, oldest first.
#[derive(Debug)]
pub enum Output {
    /// Send these bytes to the peer: one or more whole records.
    Send(Vec<u8>),
    /// The handshake is over and the peer is who it must be. The last output.
    Established(Box<Established>),
    /// There will be no connection. The last output.
    Failed(Failure),
}

/// A finished handshake.
#[derive(Debug)]
#[non_exhaustive]
pub struct Established {
    /// Who the peer is; `None`: a server outside, which has proved its DNS name.
    pub peer: Option<Peer>,
    /// The cipher suite's number (RFC 8446 §B.4).
    pub suite: u16,
    /// How many records the key of one direction may protect (RFC 8446 §5.5): whoever sends ends the connection there.
    pub records_max: u64,
    /// The peer is another Tidelock end: ALPN [`ALPN`](super::ALPN) was agreed on.
    pub confirmed: bool,
    /// What [`Authorize`] gave as the reason for its yes.
    pub detail: Box<str>,
    /// For records we send.
    pub tx: KtlsInfo,
    /// For records we receive.
    pub rx: KtlsInfo,
    /// What the keys of `tx` came of, and the next ones come of.
    pub tx_secret: TrafficSecret,
    /// What the keys of `rx` came of, and the next ones come of.
    pub rx_secret: TrafficSecret,
}

/// Input an engine did not take; nothing has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refused {
    /// The handshake is over.
    Over,
    /// The input is not exactly one record.
    NotOneRecord {
        /// Bytes given.
        len: usize,
        /// Bytes that the record's header announces, the header included.
        announced: usize,
    },
}

impl core::fmt::Display for Refused {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Over => f.write_str("the handshake is over"),
            Self::NotOneRecord { len, announced } => {
                write!(f, "{len} bytes for a record of {announced}")
            }
        }
    }
}

impl core::error::Error for Refused {}
