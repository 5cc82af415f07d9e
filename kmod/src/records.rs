//! Records to the agent, from what C knows.

use tidelock_kabi::bounds::MAX_DETAIL_BYTES;
use tidelock_kabi::{
    Denial, DenyReason, EncodeError, Endpoint, EvidenceFlags, FlowClosed, FlowInfo, Refused,
    RefusedReason, Role, ToAgent, clip, stamp,
};

use crate::errno::{EINVAL, ENOSPC};
use crate::ffi::{self, Addr, Evidence, Rec, SERIAL_BYTES, Str, rec};

/// The version of this module, for the agent's log.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Encodes a record into `buf`; the length, `-ENOSPC` when it does not fit, or `-EINVAL` when the
/// fields make no record. Context: any.
///
/// # Safety
/// `rec` points to a record whose strings and evidence are readable and unwritten during the call;
/// `buf` is null or points to `cap` initialised bytes that nobody else touches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_encode(rec: *const Rec, buf: *mut u8, cap: u64) -> i64 {
    // SAFETY: the caller's contract.
    let Some(rec) = (unsafe { rec.as_ref() }) else {
        return i64::from(-EINVAL);
    };
    // SAFETY: the caller's contract.
    let Some(buf) = (unsafe { ffi::bytes_mut(buf, cap) }) else {
        return i64::from(-EINVAL);
    };
    // SAFETY: the caller's contract is that of `record`.
    let Some(record) = (unsafe { record(rec) }) else {
        return i64::from(-EINVAL);
    };
    match record.encode(0, buf) {
        Ok(len) => i64::try_from(len).unwrap_or(i64::from(-EINVAL)),
        Err(EncodeError::NoSpace) => i64::from(-ENOSPC),
        Err(_) => i64::from(-EINVAL),
    }
}

/// Is this reason one to refuse for, or one to tell of what was not refused? A number that is no reason is one. Context: any.
#[unsafe(no_mangle)]
pub extern "C" fn tl_rs_is_refusal(number: u32) -> bool {
    reason(number).is_refusal()
}

/// Writes the sequence number into an encoded record. Context: any.
///
/// # Safety
/// `rec` is null or points to `len` initialised bytes that nobody else touches.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_stamp(rec: *mut u8, len: u64, seq: u64) {
    // SAFETY: the caller's contract.
    if let Some(record) = unsafe { ffi::bytes_mut(rec, len) } {
        let _ = stamp(record, seq);
    }
}

/// The record that the fields of `from` make; `None` if they make none.
///
/// # Safety
/// Strings and evidence of `from` are readable and unwritten for `'a`.
unsafe fn record<'a>(from: &'a Rec) -> Option<ToAgent<'a>> {
    Some(match from.kind {
        rec::HELLO => ToAgent::Hello {
            // SAFETY: the caller's contract.
            module_version: unsafe { name(from.body) }.unwrap_or(VERSION),
            generation: from.generation,
            // SAFETY: the function has no conditions.
            net_ns: unsafe { ffi::tl_c_init_net() },
        },
        rec::EXEC => {
            // SAFETY: the caller's contract.
            let found = unsafe { from.evidence.as_ref() }?;
            // SAFETY: the caller's contract.
            ToAgent::Exec(unsafe { evidence(found) }?)
        }
        rec::EXIT => ToAgent::Exit {
            subject: from.subject,
            pid: from.pid,
        },
        rec::CSR => ToAgent::Csr {
            identity: from.identity,
            key: from.key,
            // SAFETY: the caller's contract.
            der: unsafe { from.body.bytes() },
        },
        rec::INSTALLED => ToAgent::Installed {
            identity: from.identity,
            key: from.key,
            serial: serial(&from.serial, from.serial_len),
        },
        rec::APPLIED => ToAgent::Applied {
            generation: from.generation,
            flows_cut: from.count,
        },
        // SAFETY: the caller's contract.
        rec::FLOW_OPENED => ToAgent::FlowOpened(unsafe { flow(from) }?),
        rec::FLOW_CLOSED => ToAgent::FlowClosed(FlowClosed {
            flow: from.flow,
            subject: known(from.subject),
            reason: reason(from.reason),
            time_ns: from.time_ns,
        }),
        // SAFETY: the caller's contract.
        rec::DENIED => ToAgent::Denied(unsafe { denial(from) }?),
        rec::REFUSED => ToAgent::Refused(Refused {
            seq: from.seq,
            why: RefusedReason::from_number(from.reason).unwrap_or(RefusedReason::Internal),
            at: from.at,
        }),
        rec::LOST => ToAgent::Lost { count: from.count },
        _ => return None,
    })
}

/// # Safety
/// Strings of `from` are readable and unwritten for `'a`.
unsafe fn evidence<'a>(from: &'a Evidence) -> Option<tidelock_kabi::Evidence<'a>> {
    Some(tidelock_kabi::Evidence {
        subject: from.subject,
        start_ns: from.start_ns,
        pid: from.pid,
        uid: from.uid,
        gid: from.gid,
        flags: EvidenceFlags::from_bits(from.flags)?,
        mnt_ns: from.mnt_ns,
        net_ns: from.net_ns,
        exe_dev: from.exe_dev,
        exe_ino: from.exe_ino,
        exe_size: from.exe_size,
        exe_ctime_ns: from.exe_ctime_ns,
        script_dev: from.script_dev,
        script_ino: from.script_ino,
        // SAFETY: the caller's contract.
        exe: unsafe { from.exe.bytes() },
        // SAFETY: the caller's contract.
        script: Some(unsafe { from.script.bytes() }).filter(|path| !path.is_empty()),
        // SAFETY: the caller's contract.
        cwd: unsafe { from.cwd.bytes() },
        // SAFETY: the caller's contract.
        argv: unsafe { from.argv.bytes() },
    })
}

/// # Safety
/// Strings of `from` are readable and unwritten for `'a`.
unsafe fn flow<'a>(from: &'a Rec) -> Option<FlowInfo<'a>> {
    Some(FlowInfo {
        flow: from.flow,
        subject: known(from.subject),
        pid: from.pid,
        role: Role::from_number(from.role)?,
        local: endpoint(&from.local),
        remote: endpoint(&from.remote),
        // SAFETY: the caller's contract.
        service: unsafe { name(from.service) },
        // SAFETY: the caller's contract.
        local_id: unsafe { name(from.local_id) },
        // SAFETY: the caller's contract.
        peer_id: unsafe { name(from.peer_id) },
        local_serial: serial(&from.serial, from.serial_len),
        peer_serial: serial(&from.peer_serial, from.peer_serial_len),
        suite: from.suite,
        time_ns: from.time_ns,
    })
}

/// # Safety
/// Strings of `from` are readable and unwritten for `'a`.
unsafe fn denial<'a>(from: &'a Rec) -> Option<Denial<'a>> {
    // SAFETY: the caller's contract.
    let detail = unsafe { from.detail.text() }.unwrap_or("");
    Some(Denial {
        time_ns: from.time_ns,
        subject: known(from.subject),
        pid: from.pid,
        uid: from.uid,
        role: Role::from_number(from.role)?,
        local: endpoint(&from.local),
        remote: endpoint(&from.remote),
        // SAFETY: the caller's contract.
        service: unsafe { name(from.service) },
        // SAFETY: the caller's contract.
        local_id: unsafe { name(from.local_id) },
        // SAFETY: the caller's contract.
        peer_id: unsafe { name(from.peer_id) },
        reason: reason(from.reason),
        detail: clip(detail, MAX_DETAIL_BYTES),
        untold: from.count,
    })
}

/// An address as the contract has it.
pub(crate) fn endpoint(from: &Addr) -> Endpoint {
    Endpoint {
        ip: from.ip,
        port: from.port,
        netns: from.netns,
    }
}

/// A name, if it is one.
///
/// # Safety
/// As for [`Str::text`].
unsafe fn name<'a>(from: Str) -> Option<&'a str> {
    // SAFETY: the caller's contract.
    unsafe { from.text() }.filter(|text| !text.is_empty())
}

/// A process, if it is one that is governed.
fn known(subject: u64) -> Option<u64> {
    Some(subject).filter(|&subject| subject != 0)
}

/// A number that is no reason is a fault of ours.
fn reason(number: u32) -> DenyReason {
    DenyReason::from_number(number).unwrap_or(DenyReason::Internal)
}

/// The used part of a serial number.
pub(crate) fn serial(bytes: &[u8; SERIAL_BYTES], len: u32) -> &[u8] {
    usize::try_from(len)
        .ok()
        .and_then(|len| bytes.get(..len))
        .unwrap_or(&[])
}

#[cfg(test)]
pub(crate) mod tests;
