//! Mediated flows: which they are, and what their bytes go through.

use tidelock_datapath::transform::{
    Ends, Gate, HttpRequest, Progress, TRANSFORM_WORDS, Transform, Window,
};
use tidelock_kabi::{DenyReason, Role, Transform as Configured};

use crate::config;
use crate::decide::{self, Answer, Detail};
use crate::ffi::{self, Edit, Marks, QUEUE_BYTES, Question, Str, progress};

/// What both directions of a flow go through at one of its ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Transforms {
    /// What the peer sent, on its way to the program.
    pub wire_to_program: Transform,
    /// What the program sends.
    pub program_to_wire: Transform,
}

impl Transforms {
    /// What a Service's transform means at one end; `None`: there the flow is direct.
    #[must_use]
    pub fn at(configured: Configured, role: Role) -> Option<Self> {
        let wire_to_program = match (configured, role) {
            (Configured::Identity, _) => Transform::Identity,
            (Configured::ForwardClientCert, Role::Server) => Transform::forward_client_cert(),
            (Configured::AuthorizeRequests, Role::Server) => Transform::authorize_requests(),
            (Configured::ForwardClientCert | Configured::AuthorizeRequests, Role::Client) => {
                return None;
            }
            // What this module does not know it cannot do; the record that says it is refused.
            _ => return None,
        };
        Some(Self {
            wire_to_program,
            program_to_wire: Transform::Identity,
        })
    }
}

/// Is a flow of this Service mediated at this end? If so, writes the states that its directions begin with. Context: any.
///
/// # Safety
/// `cfg` is null or points to an arena that stays during the call; the states are writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_transforms(
    cfg: *const u8,
    service: i32,
    role: u32,
    wire_to_program: *mut [u64; TRANSFORM_WORDS],
    program_to_wire: *mut [u64; TRANSFORM_WORDS],
) -> bool {
    // SAFETY: the caller's contract.
    let cfg = unsafe { config::at(cfg) };
    let service = cfg.and_then(|cfg| cfg.service(service));
    let configured = service.and_then(|service| service.transform);
    let (Some(configured), Some(role)) = (configured, Role::from_number(role)) else {
        return false;
    };
    let Some(transforms) = Transforms::at(configured, role) else {
        return false;
    };
    // SAFETY: the caller's contract.
    unsafe { wire_to_program.write(transforms.wire_to_program.to_words()) };
    // SAFETY: the caller's contract.
    unsafe { program_to_wire.write(transforms.program_to_wire.to_words()) };
    true
}

/// Edits one direction in place and moves its mark; one of [`progress`]. Context: any.
///
/// # Safety
/// `edit` is null or points to an edit whose state and marks are writable, whose buffer is writable for `QUEUE_BYTES` initialised
/// bytes, whose decision is null or writable, and whose other parts are readable, with what the question points to; nobody else
/// touches them during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_transform(edit: *mut Edit) -> u32 {
    // SAFETY: the caller's contract.
    let Some(edit) = (unsafe { edit.as_mut() }) else {
        return progress::REFUSED;
    };
    // SAFETY: the caller's contract.
    match unsafe { run(edit) } {
        Ok(progress) => progress,
        Err(why) => {
            edit.why = Str::of(why.as_bytes());
            progress::REFUSED
        }
    }
}

/// The policies in force, asked about each request. What they said last is told if it was no.
struct Policies<'a> {
    question: Option<&'a Question>,
    last: Answer,
}

impl<'a> Policies<'a> {
    fn new(question: Option<&'a Question>) -> Self {
        Self {
            question,
            last: Answer {
                denied: Some(DenyReason::NoPolicy),
                detail: Detail::new(),
            },
        }
    }
}

impl Gate for Policies<'_> {
    fn permits(&mut self, request: &HttpRequest<'_>) -> bool {
        // Without a configuration there is no permit.
        let Some(question) = self.question else {
            return false;
        };
        // SAFETY: by the contract of `tl_rs_transform` what the question points to stays during the call.
        let Some(cfg) = (unsafe { config::at(question.cfg) }) else {
            return false;
        };
        // The Service is found by the address: by another configuration it has another number.
        let service = cfg.service_at(&question.addr).unwrap_or(-1);
        // SAFETY: as above.
        if let Some(asked) = unsafe { decide::asked(cfg, question, service) } {
            self.last = decide::request(cfg, &asked, request);
        }
        self.last.denied.is_none()
    }
}

/// # Safety
/// As for [`tl_rs_transform`].
unsafe fn run(edit: &mut Edit) -> Result<u32, &'static str> {
    const BROKEN: &str = "the state of a transform is broken";
    // SAFETY: the caller's contract.
    let state = unsafe { edit.state.as_mut() }.ok_or(BROKEN)?;
    // SAFETY: the caller's contract.
    let buf = unsafe { ffi::bytes_mut(edit.buf, place_u64(QUEUE_BYTES)) }.ok_or(BROKEN)?;
    // SAFETY: the caller's contract.
    let marks = unsafe { edit.marks.as_mut() }.ok_or(BROKEN)?;
    // SAFETY: the caller's contract.
    let own = unsafe { edit.own_id.text() }.ok_or(BROKEN)?;
    // SAFETY: the caller's contract.
    let peer = unsafe { edit.peer_id.text() }.ok_or(BROKEN)?;
    // SAFETY: the caller's contract.
    let peer_certificate = unsafe { edit.peer_hash.as_ref() }.ok_or(BROKEN)?;
    let ends = Ends {
        own,
        peer,
        peer_certificate,
    };
    let mut transform = Transform::from_words(*state).ok_or(BROKEN)?;
    // SAFETY: the caller's contract.
    let mut gate = Policies::new(unsafe { edit.question.as_ref() });
    let mut progress = look(&mut transform, buf, marks, &ends, &mut gate).ok_or(BROKEN)?;
    if progress == Progress::NeedsRoom && marks.head > 0 {
        marks.compact(buf);
        progress = look(&mut transform, buf, marks, &ends, &mut gate).ok_or(BROKEN)?;
    }
    *state = transform.to_words();
    match progress {
        Progress::NeedsBytes => Ok(progress::NEEDS_BYTES),
        Progress::NeedsRoom => Ok(progress::NEEDS_ROOM),
        Progress::Refused(why) => Err(why.as_str()),
        Progress::Denied => {
            // SAFETY: the caller's contract.
            if let Some(denied) = unsafe { edit.denied.as_mut() } {
                *denied = gate.last.into();
            }
            Ok(progress::DENIED)
        }
    }
}

/// One look at what a direction holds; `None`: its marks make no sense.
fn look(
    transform: &mut Transform,
    buf: &mut [u8],
    marks: &mut Marks,
    ends: &Ends<'_>,
    gate: &mut Policies<'_>,
) -> Option<Progress> {
    let held = buf.get_mut(usize::try_from(marks.head).ok()?..)?;
    let place = |mark: u32| usize::try_from(mark.checked_sub(marks.head)?).ok();
    let mut window = Window::new(held, place(marks.ready)?, place(marks.end)?)?;
    let progress = transform.run(&mut window, ends, gate);
    let mark = |place: usize| u32::try_from(place).ok()?.checked_add(marks.head);
    (marks.ready, marks.end) = (mark(window.ready())?, mark(window.end())?);
    Some(progress)
}

fn place_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
