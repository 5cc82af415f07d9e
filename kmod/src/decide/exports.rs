//! The question as C asks it.

use tidelock_kabi::{DenyReason, Role};

use super::{Answer, Asked, age, cut_for, decide, decide_again, observe};
use crate::config::{self, Configuration};
use crate::ffi::{Decision, Question};
use crate::mediation::Carried;

/// May this flow be? Both ends ask the same question. Context: any.
///
/// # Safety
/// `q` points to a question whose configuration, names, serial numbers, process and digest stay during the call, and whose memo,
/// if it has one, nobody else touches; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_decide(q: *const Question, out: *mut Decision) {
    // SAFETY: the caller's contract.
    let (answer, again_ms) = match unsafe { q.as_ref() } {
        // SAFETY: the caller's contract.
        Some(question) => unsafe { answer(question) },
        None => (Answer::deny(DenyReason::Internal, ""), 0),
    };
    let decision = Decision {
        again_ms,
        ..answer.into()
    };
    // SAFETY: the caller's contract.
    unsafe { out.write(decision) };
}

/// What would policies that are only observed have said? `false`: the same, or there are none. Else `out` says which of
/// `TL_R_WOULD_DENY` and `TL_R_WOULD_PERMIT`, and the policies. The Service is found by the address. Context: any.
///
/// # Safety
/// As for [`tl_rs_decide`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_observe(q: *const Question, out: *mut Decision) -> bool {
    // SAFETY: the caller's contract.
    let told = unsafe { q.as_ref() }.and_then(|question| {
        // SAFETY: the caller's contract.
        let cfg = unsafe { config::at(question.cfg) }?;
        cfg.observed()?;
        let service = cfg.service_at(&question.addr)?;
        // SAFETY: the caller's contract.
        let asked = unsafe { asked(cfg, question, service) }?;
        observe(cfg, &asked)
    });
    let Some((would, detail)) = told else {
        return false;
    };
    let (detail, detail_len) = detail.into_parts();
    // SAFETY: the caller's contract.
    unsafe {
        out.write(Decision {
            allow: u32::from(would == DenyReason::WouldDeny),
            reason: would.number(),
            again_ms: 0,
            detail_len,
            detail,
        })
    };
    true
}

/// What a live flow is cut for, that a new configuration refuses for this reason. Context: any.
#[unsafe(no_mangle)]
pub extern "C" fn tl_rs_cut_for(reason: u32) -> u32 {
    DenyReason::from_number(reason)
        .map_or(DenyReason::PolicyChanged, cut_for)
        .number()
}

/// The answer, and after how many milliseconds to ask again.
///
/// # Safety
/// As for [`tl_rs_decide`].
unsafe fn answer(question: &Question) -> (Answer, u32) {
    // SAFETY: the caller's contract.
    let Some(cfg) = (unsafe { config::at(question.cfg) }) else {
        return (Answer::deny(DenyReason::NoPolicy, ""), 0);
    };
    // SAFETY: the caller's contract.
    let Some(asked) = (unsafe { asked(cfg, question, question.service) }) else {
        return (Answer::deny(DenyReason::Internal, ""), 0);
    };
    // SAFETY: the caller's contract.
    let answer = match unsafe { question.memo.as_mut() } {
        Some(memo) => decide_again(cfg, &asked, memo),
        None => decide(cfg, &asked),
    };
    let service = asked.service.filter(|_| answer.denied.is_none());
    let again_ms = service.map_or(0, |service| age::again_ms(&service, asked.age_ms));
    (answer, again_ms)
}

/// The question; `None` if it is none.
///
/// # Safety
/// The names and serial numbers of `question`, and its process, stay for `'a`.
pub(crate) unsafe fn asked<'a>(
    cfg: &'a Configuration,
    question: &'a Question,
    service: i32,
) -> Option<Asked<'a>> {
    // SAFETY: the caller's contract.
    let client = unsafe { question.client_id.text() }?;
    // SAFETY: the caller's contract.
    let server = unsafe { question.server_id.text() }?;
    // SAFETY: the caller's contract.
    let own_serial = unsafe { question.own_serial.bytes() };
    // SAFETY: the caller's contract.
    let peer_serial = unsafe { question.peer_serial.bytes() };
    // SAFETY: the caller's contract.
    let own_authority = unsafe { question.own_authority.bytes() };
    // SAFETY: the caller's contract.
    let peer_authority = unsafe { question.peer_authority.bytes() };
    let ends = (&question.addr, &question.client);
    let (process, exe_sha256) = (question.process, question.exe_sha256);
    // SAFETY: the caller's contract.
    let around = unsafe { cfg.circumstances(ends, question.now_ms, process, exe_sha256) };
    Some(Asked {
        own_serial,
        peer_serial,
        // What has another length is none.
        own_authority: own_authority.try_into().ok(),
        peer_authority: peer_authority.try_into().ok(),
        around,
        role: Role::from_number(question.role)?,
        service: cfg.service(service),
        number: service,
        client: Some(client).filter(|id| !id.is_empty()),
        server: Some(server).filter(|id| !id.is_empty()),
        plain: question.plain != 0,
        refused: DenyReason::from_number(question.refused),
        carried: Carried::from_number(question.carried),
        age_ms: question.age_ms,
    })
}
