//! What a step of the engine means to C.

use core::fmt::Write;
use core::ptr;

use tidelock_datapath::{
    AUTHORITY_DIGEST_BYTES, Established, External, Failure, KtlsInfo, Output, Peer, Reason,
};
use tidelock_kabi::DenyReason;

use crate::decide::Detail;
use crate::errno;
use crate::ffi::{CRYPTO_INFO_BYTES, DETAIL_BYTES, SERIAL_BYTES, Step, Str, len_u64, verdict};
use crate::identity::serial;
use crate::traffic::Traffic;

/// The step that `last`, if the engine is done, or else waiting makes.
pub(super) fn of(
    last: Option<&Output>,
    peer: Option<&Peer>,
    external: Option<&External>,
    tx: &[u8],
) -> Step {
    let mut step = match last {
        Some(Output::Established(end)) => established(end),
        Some(Output::Failed(failure)) => failure_step(failure),
        _ => blank(verdict::WANT_RECORD),
    };
    if !tx.is_empty() {
        (step.tx, step.tx_len) = (tx.as_ptr(), len_u64(tx));
    }
    if let Some(peer) = peer {
        step.peer_id = Str::of(peer.id().as_str().as_bytes());
        (step.peer_serial, step.peer_serial_len) = serial(peer.serial());
        step.peer_hash = *peer.certificate_sha256();
        step.peer_authority = *peer.authority();
    }
    // A name is proved when everything is; it is that of the configuration, which outlives the flow's arena.
    if let (Some(Output::Established(_)), Some(external)) = (last, external) {
        step.peer_id = Str::of(external.name().as_bytes());
    }
    step
}

/// A failure of our own making.
pub(super) fn failed(reason: DenyReason, why: &str) -> Step {
    fail(reason, Detail::of(why))
}

/// A record for a flow that is over.
pub(super) fn over() -> Step {
    failed(DenyReason::Internal, "the handshake is over")
}

fn fail(reason: DenyReason, why: Detail) -> Step {
    let (detail, detail_len) = why.into_parts();
    let (reason, err) = (reason.number(), errno::of_reason(reason));
    Step {
        reason,
        err,
        detail,
        detail_len,
        ..blank(verdict::FAILED)
    }
}

fn failure_step(failure: &Failure) -> Step {
    let mut why = Detail::new();
    let _ = write!(why, "{failure}");
    fail(reason(failure), why)
}

fn reason(failure: &Failure) -> DenyReason {
    match failure.reason() {
        Reason::NoSvid => DenyReason::NoSvid,
        Reason::SvidExpired => DenyReason::SvidExpired,
        Reason::Denied(code) => DenyReason::from_number(code).unwrap_or(DenyReason::Internal),
        Reason::PeerUnauthenticated => DenyReason::PeerUnauthenticated,
        Reason::PeerRefused => DenyReason::PeerRefused,
        Reason::PeerClosed => DenyReason::PeerClosed,
        Reason::Deadline => DenyReason::HandshakeDeadline,
        Reason::Protocol => DenyReason::Protocol,
        Reason::ResourceLimit => DenyReason::ResourceLimit,
        _ => DenyReason::Internal,
    }
}

fn established(end: &Established) -> Step {
    let (detail, detail_len) = Detail::of(&end.detail).into_parts();
    let (tx, rx) = (info(&end.tx), info(&end.rx));
    let (Some((tx_info, tx_info_len)), Some((rx_info, rx_info_len))) = (tx, rx) else {
        return failed(DenyReason::Internal, "the traffic secrets are too long");
    };
    let suite = u32::from(end.suite);
    let records_max = end.records_max;
    Step {
        suite,
        records_max,
        traffic: Traffic::of(end.suite, &end.tx_secret, &end.rx_secret),
        detail,
        detail_len,
        tx_info,
        tx_info_len,
        rx_info,
        rx_info_len,
        ..blank(verdict::ESTABLISHED)
    }
}

fn info(secrets: &KtlsInfo) -> Option<([u8; CRYPTO_INFO_BYTES], u32)> {
    let bytes = secrets.as_bytes();
    let mut out = [0; CRYPTO_INFO_BYTES];
    out.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some((out, u32::try_from(bytes.len()).ok()?))
}

const fn blank(verdict: u32) -> Step {
    Step {
        verdict,
        reason: 0,
        err: 0,
        suite: 0,
        tx: ptr::null(),
        tx_len: 0,
        peer_id: Str::EMPTY,
        peer_serial: [0; SERIAL_BYTES],
        peer_serial_len: 0,
        detail_len: 0,
        detail: [0; DETAIL_BYTES],
        tx_info: [0; CRYPTO_INFO_BYTES],
        tx_info_len: 0,
        rx_info: [0; CRYPTO_INFO_BYTES],
        rx_info_len: 0,
        records_max: 0,
        peer_hash: [0; 32],
        peer_authority: [0; AUTHORITY_DIGEST_BYTES],
        traffic: Traffic::NONE,
    }
}
