//! Mediated flows: which they are, and what their bytes go through.

use tidelock_datapath::transform::{
    Ends, Gate, HttpRequest, Progress, TRANSFORM_WORDS, Transform, Window,
};
use tidelock_kabi::{DenyReason, Role, Service, Transform as Configured};

use crate::config;
use crate::decide::{self, Answer, Asked, Detail};
use crate::ffi::{self, DIRECT, Edit, Marks, QUEUE_BYTES, Question, Str, progress};

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

/// What the bytes of a flow go through at one of its ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Carried {
    /// Nothing: kTLS moves them.
    Direct,
    /// What the Service says.
    Through(Configured),
}

impl Carried {
    fn of(service: Option<&Service<'_>>, role: Role) -> Self {
        let configured = service.and_then(|service| service.transform);
        configured
            .filter(|&configured| Transforms::at(configured, role).is_some())
            .map_or(Self::Direct, Self::Through)
    }

    /// The number that C knows it by: never 0.
    fn number(self) -> u32 {
        match self {
            Self::Direct => DIRECT,
            Self::Through(configured) => u32::from(configured.number()),
        }
    }

    /// `None` for 0: it is not settled yet.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        if number == DIRECT {
            return Some(Self::Direct);
        }
        let configured = u8::try_from(number).ok().and_then(Configured::from_number);
        configured.map(Self::Through)
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Direct => "none",
            Self::Through(configured) => configured.text(),
        }
    }
}

/// Says no to a flow whose bytes do not go through what its Service says now: it cannot be put in, nor taken out, under way,
/// and without it requests would be asked of nobody.
pub(crate) fn goes_otherwise(service: &Service<'_>, asked: &Asked<'_>) -> Option<Answer> {
    let due = Carried::of(Some(service), asked.role);
    if asked.carried.is_none_or(|carried| carried == due) {
        return None;
    }
    let mut detail = Detail::of("transform: ");
    detail.push(due.text());
    Some(Answer {
        denied: Some(DenyReason::PolicyChanged),
        detail,
    })
}

/// What does a flow of this Service go through at this end? If anything, writes the states that its directions begin with.
/// Context: any.
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
) -> u32 {
    // SAFETY: the caller's contract.
    let cfg = unsafe { config::at(cfg) };
    let service = cfg.and_then(|cfg| cfg.service(service));
    let Some(role) = Role::from_number(role) else {
        return DIRECT;
    };
    let carried = Carried::of(service.as_ref(), role);
    let Carried::Through(configured) = carried else {
        return DIRECT;
    };
    let Some(transforms) = Transforms::at(configured, role) else {
        return DIRECT;
    };
    // SAFETY: the caller's contract.
    unsafe { wire_to_program.write(transforms.wire_to_program.to_words()) };
    // SAFETY: the caller's contract.
    unsafe { program_to_wire.write(transforms.program_to_wire.to_words()) };
    carried.number()
}

/// Edits one direction in place and moves its mark; one of [`progress`]. Context: any.
///
/// # Safety
/// `edit` is null or points to an edit whose state and marks are writable, whose buffer is writable for `QUEUE_BYTES` initialised
/// bytes, whose decisions are null or writable, and whose other parts are readable, with what the question points to; nobody else
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

/// The policies in force, asked about each request. What they said last is told if it was no; of what those that are only observed
/// would have said, the first.
struct Policies<'a> {
    question: Option<&'a Question>,
    last: Answer,
    observed: Option<(DenyReason, Detail)>,
}

impl<'a> Policies<'a> {
    fn new(question: Option<&'a Question>) -> Self {
        Self {
            question,
            last: Answer {
                denied: Some(DenyReason::NoPolicy),
                detail: Detail::new(),
            },
            observed: None,
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
            if self.observed.is_none() {
                self.observed = decide::observe_request(cfg, &asked, request, self.last.denied);
            }
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
    // SAFETY: the caller's contract.
    if let (Some((would, detail)), Some(out)) = (gate.observed, unsafe { edit.observed.as_mut() }) {
        *out = Answer {
            denied: Some(would),
            detail,
        }
        .into();
    }
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
