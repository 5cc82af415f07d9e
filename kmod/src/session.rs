//! The device session: records from the agent, parsed and in order.

use tidelock_kabi::{Command, HEADER_BYTES, KernelEnd, Taken, ToKernel};

use crate::errno::{self, EINVAL};
use crate::ffi::{self, Cmd, SESSION_BYTES, Str, cmd};

/// Resets the session state for a device that was just opened, on a kernel at `generation`
/// (0: no configuration yet), so that no agent can roll the configuration back. Context: any.
///
/// # Safety
/// `session` points to [`SESSION_BYTES`] writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_session_init(session: *mut [u8; SESSION_BYTES], generation: u64) {
    // SAFETY: the caller's contract.
    unsafe { session.write(KernelEnd::new(generation).to_bytes()) };
}

/// Parses one record; 0, or `-errno` with the reason in `why`, the offset in `at` and the record's
/// number, if it has one, in `out.seq`. Changes nothing: [`tl_rs_session_accept`] does, when the record has taken effect. Context: any.
///
/// # Safety
/// `session` was set by [`tl_rs_session_init`]. `rec` is null or points to `len` bytes that stay
/// unwritten for as long as `out` is used. `out`, `why` and `at` are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_session_parse(
    session: *const [u8; SESSION_BYTES],
    rec: *const u8,
    len: u64,
    out: *mut Cmd,
    why: *mut u32,
    at: *mut u32,
) -> i32 {
    // SAFETY: the caller's contract.
    let state = unsafe { session.read() };
    // SAFETY: the caller's contract.
    let Some(record) = (unsafe { ffi::bytes(rec, len) }) else {
        return -EINVAL;
    };
    match KernelEnd::from_bytes(&state).parse(record) {
        Ok(command) => {
            // SAFETY: the caller's contract.
            unsafe { out.write(as_cmd(&command, record)) };
            0
        }
        Err(refused) => {
            // SAFETY: the caller's contract.
            unsafe { out.write(blank(0, refused.seq)) };
            // SAFETY: the caller's contract.
            unsafe { why.write(refused.why.number()) };
            // SAFETY: the caller's contract.
            unsafe { at.write(refused.at) };
            errno::of_refusal(refused.why).saturating_neg()
        }
    }
}

/// Notes that a parsed record took effect. Context: any.
///
/// # Safety
/// `session` was set by [`tl_rs_session_init`]; `cmd` is what [`tl_rs_session_parse`] gave.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_session_accept(session: *mut [u8; SESSION_BYTES], cmd: *const Cmd) {
    // SAFETY: the caller's contract.
    let state = unsafe { session.read() };
    // SAFETY: the caller's contract.
    let cmd = unsafe { cmd.read() };
    let mut end = KernelEnd::from_bytes(&state);
    let generation = if cmd.kind == cmd::CONFIG {
        Some(cmd.generation)
    } else {
        None
    };
    end.accept(Taken {
        seq: cmd.seq,
        generation,
    });
    // SAFETY: the caller's contract.
    unsafe { session.write(end.to_bytes()) };
}

/// Every field empty or 0 but the kind and the sequence number.
const fn blank(kind: u32, seq: u64) -> Cmd {
    Cmd {
        kind,
        identity: 0,
        seq,
        generation: 0,
        subject: 0,
        key: 0,
        reason: 0,
        pad: 0,
        spiffe_id: Str::EMPTY,
        body: Str::EMPTY,
        exe_sha256: Str::EMPTY,
    }
}

/// A command as C reads it; its strings point into `record`.
fn as_cmd(command: &Command<'_>, record: &[u8]) -> Cmd {
    let body = Str::of(record.get(HEADER_BYTES..).unwrap_or(&[]));
    let blank = |kind| blank(kind, command.seq);
    match command.record {
        ToKernel::Hello { .. } => blank(cmd::HELLO),
        ToKernel::Config(config) => Cmd {
            generation: config.generation,
            body,
            ..blank(cmd::CONFIG)
        },
        ToKernel::Identity {
            identity,
            spiffe_id,
        } => {
            let spiffe_id = Str::of(spiffe_id.as_bytes());
            Cmd {
                identity,
                spiffe_id,
                ..blank(cmd::IDENTITY)
            }
        }
        ToKernel::Svid(svid) => Cmd {
            identity: svid.identity,
            key: svid.key,
            body,
            ..blank(cmd::SVID)
        },
        ToKernel::Grant {
            subject,
            generation,
            identity,
            exe_sha256,
        } => Cmd {
            subject,
            generation,
            identity,
            exe_sha256: exe_sha256.map_or(Str::EMPTY, |digest| Str::of(digest)),
            ..blank(cmd::GRANT)
        },
        ToKernel::Refuse {
            subject,
            generation,
            reason,
        } => Cmd {
            subject,
            generation,
            reason: reason.number(),
            ..blank(cmd::REFUSE)
        },
        ToKernel::Forget { identity } => Cmd {
            identity,
            ..blank(cmd::FORGET)
        },
        ToKernel::Drain => blank(cmd::DRAIN),
    }
}

#[cfg(test)]
mod tests;
