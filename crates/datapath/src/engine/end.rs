//! What a finished handshake has agreed on.

use rustls::Error;

use super::config::ALPN;
use crate::authorize::Role;

/// What rustls agreed on with the peer.
pub(super) struct End {
    pub(super) role: Role,
    pub(super) suite: u16,
    pub(super) records_max: u64,
    pub(super) confirmed: bool,
}

pub(super) fn finish(conn: &rustls::CommonState, role: Role) -> Result<End, Error> {
    if conn.is_handshaking() {
        return Err(Error::HandshakeNotComplete);
    }
    let suite = conn
        .negotiated_cipher_suite()
        .ok_or(Error::HandshakeNotComplete)?;
    Ok(End {
        role,
        suite: suite.suite().into(),
        records_max: suite
            .tls13()
            .map_or(0, |suite| suite.common.confidentiality_limit),
        confirmed: conn.alpn_protocol() == Some(ALPN),
    })
}
