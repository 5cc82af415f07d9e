//! Modes of Services: which connections go over the wire in plain, because somebody wrote that they may.
//!
//! A connection in plain is decided again whenever one in TLS is, so that an exception that is taken back ends with all that
//! rests on it.

use tidelock_kabi::{DenyReason, Mode, OnUnavailable, Role, Service};

use crate::config;
use crate::decide::{Answer, Asked};
use crate::errno::EAGAIN;
use crate::ffi;

/// What goes over the wire at one end of a connection: `enum tl_wire`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wire {
    /// A handshake, and nothing before it.
    Tls,
    /// What the program says.
    Plain,
    /// The client's first bytes tell.
    Look,
}

impl Wire {
    /// The number that C knows it by.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Tls => 0,
            Self::Plain => 1,
            Self::Look => 2,
        }
    }

    /// At this end of a connection to this Service. Of no Service: nothing goes in plain.
    #[must_use]
    pub fn of(service: Option<&Service<'_>>, role: Role) -> Self {
        match (service.map(|service| service.mode), role) {
            (Some(Mode::Plain), _) => Self::Plain,
            (Some(Mode::Permissive), Role::Server) => Self::Look,
            _ => Self::Tls,
        }
    }
}

/// How many of a client's first bytes are looked at: the header of a TLS record, and of the message in it.
pub const FIRST_BYTES: usize = 6;
/// How long a permissive server waits for them, in milliseconds. A client of ours speaks as soon as it is connected, so who is
/// silent for so long waits for the server to speak, as a client of SMTP or SSH does. A ClientHello that is
/// later for a bad network is not understood, and the client is told.
pub const LOOK_MS: u32 = 2_000;

/// What a client's first bytes tell, up to [`FIRST_BYTES`] of them; `all_came`: no more are waited for.
///
/// TLS is a handshake record (RFC 8446 §5.1) of any version that TLS ever wrote there, that begins with a ClientHello.
#[must_use]
pub fn first_bytes(bytes: &[u8], all_came: bool) -> Wire {
    const HANDSHAKE: u8 = 22;
    const CLIENT_HELLO: u8 = 1;
    let fits = |(at, byte): (usize, &u8)| match at {
        0 => *byte == HANDSHAKE,
        1 => *byte == 3,
        2 => *byte <= 4,
        // At most 2^14 bytes (RFC 8446 §5.1).
        3 => *byte <= 0x40,
        4 => true,
        _ => *byte == CLIENT_HELLO,
    };
    if !bytes.iter().enumerate().take(FIRST_BYTES).all(fits) {
        return Wire::Plain;
    }
    match bytes.len() {
        FIRST_BYTES.. => Wire::Tls,
        _ if all_came => Wire::Plain,
        _ => Wire::Look,
    }
}

/// May a process that nothing governs connect to it? It does so untouched.
#[must_use]
pub const fn admits_strangers(service: &Service<'_>) -> bool {
    matches!(service.mode, Mode::Permissive | Mode::Plain)
}

/// May a governed client that was refused an identity for this reason go in plain? Only where agent or control plane did not
/// answer; whom they refused stays refused. A server never does: nobody would know whom they talk to.
#[must_use]
pub fn goes_without(service: &Service<'_>, refused: DenyReason) -> bool {
    let unavailable = matches!(
        refused,
        DenyReason::NoGrant | DenyReason::NoSvid | DenyReason::SvidExpired | DenyReason::AgentGone
    );
    unavailable && allows(service)
}

fn allows(service: &Service<'_>) -> bool {
    admits_strangers(service) && service.on_unavailable == OnUnavailable::Allow
}

/// What the mode of a Service says by itself; `None`: it depends on who the ends are, and on policy.
#[must_use]
pub(crate) fn says(service: &Service<'_>, asked: &Asked<'_>) -> Option<Answer> {
    let closed = service.mode == Mode::Deny;
    let permitted = match asked.role {
        _ if closed => return Some(deny(DenyReason::ServiceDenied, service)),
        // It is outside.
        Role::Server if service.mode == Mode::Originate => {
            return Some(deny(DenyReason::NotAServer, service));
        }
        _ if !asked.plain => return None,
        Role::Server => admits_strangers(service),
        Role::Client if asked.client.is_none() => match asked.refused {
            Some(refused) if !goes_without(service, refused) => {
                return Some(deny(refused, service));
            }
            _ => allows(service),
        },
        Role::Client if service.mode == Mode::Plain => return None,
        Role::Client => false,
    };
    Some(if permitted {
        Answer::allow(said(service))
    } else {
        deny(DenyReason::NotInPlain, service)
    })
}

fn deny(reason: DenyReason, service: &Service<'_>) -> Answer {
    Answer {
        denied: Some(reason),
        detail: said(service),
    }
}

/// What was written, for people.
fn said(service: &Service<'_>) -> crate::decide::Detail {
    let mut detail = crate::decide::Detail::of("mode: ");
    detail.push(service.mode.text());
    detail
}

/// Calls `ask` with a Service of a configuration; `None` if there is none of that number.
///
/// # Safety
/// `cfg` is null or points to an arena that stays during the call.
unsafe fn with<T>(cfg: *const u8, service: i32, ask: impl FnOnce(&Service<'_>) -> T) -> Option<T> {
    // SAFETY: the caller's contract.
    let service = unsafe { config::at(cfg) }.and_then(|cfg| cfg.service(service))?;
    Some(ask(&service))
}

/// What goes over the wire at this end of a connection to a Service: `enum tl_wire`. Context: any.
///
/// # Safety
/// `cfg` is null or points to an arena that stays during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_wire(cfg: *const u8, service: i32, role: u32) -> u32 {
    let wire = Role::from_number(role).and_then(|role| {
        // SAFETY: the caller's contract.
        unsafe { with(cfg, service, |service| Wire::of(Some(service), role)) }
    });
    wire.unwrap_or(Wire::Tls).number()
}

/// What a client's first bytes tell: `enum tl_wire`. `came` is what looking at them gave: how many there are, 0 at the stream's
/// end, or `-errno`; `waited` says that [`LOOK_MS`] have passed. Context: any.
///
/// # Safety
/// `bytes` is null or points to as many bytes as came, that nobody writes during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_first_bytes(bytes: *const u8, came: i32, waited: bool) -> u32 {
    let count = u64::try_from(came).unwrap_or(0);
    // An end, or an error, which is the program's to read: nothing follows.
    let ended = count == 0 && came != -EAGAIN;
    // SAFETY: the caller's contract.
    let bytes = unsafe { ffi::bytes(bytes, count) };
    bytes
        .map_or(Wire::Tls, |bytes| first_bytes(bytes, waited || ended))
        .number()
}

/// How long first bytes are waited for, in milliseconds. Context: any.
#[unsafe(no_mangle)]
pub extern "C" fn tl_rs_look_ms() -> u32 {
    LOOK_MS
}

/// May a process that nothing governs connect to this Service? Context: any.
///
/// # Safety
/// `cfg` is null or points to an arena that stays during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_admits_strangers(cfg: *const u8, service: i32) -> bool {
    // SAFETY: the caller's contract.
    unsafe { with(cfg, service, admits_strangers) }.unwrap_or(false)
}

/// May this governed end, that gets no identity for this reason, go in plain to this Service? Context: any.
///
/// # Safety
/// `cfg` is null or points to an arena that stays during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_goes_without(
    cfg: *const u8,
    service: i32,
    role: u32,
    reason: u32,
) -> bool {
    let client = Role::from_number(role) == Some(Role::Client);
    let reason = DenyReason::from_number(reason).filter(|_| client);
    reason.is_some_and(|reason| {
        // SAFETY: the caller's contract.
        unsafe { with(cfg, service, |service| goes_without(service, reason)) }.unwrap_or(false)
    })
}

#[cfg(test)]
mod tests;
