//! The policy question: may this client use this Service of this server?

use tidelock_kabi::{DenyReason, Role, Service};
use tidelock_policy::bounds::MAX_ANCESTORS;
use tidelock_policy::{Attribute, Context, Entity, EntityRef, Outcome, Request};
use tidelock_spiffe_core::SpiffeId;

use crate::config::{self, Configuration};
use crate::ffi::{DETAIL_BYTES, Decision, Question};
use crate::text::Text;

/// The action that both ends ask about.
const ACTION: &str = "connect";
/// Entity types of the published schema.
const WORKLOAD: &str = "Workload";
const TRUST_DOMAIN: &str = "TrustDomain";
const SERVICE: &str = "Service";

/// Text for people, as much as an event holds.
pub type Detail = Text<DETAIL_BYTES>;

/// A flow that someone asks about. Absent names are not known yet.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Which end asks.
    pub role: Role,
    /// The Service that the server's address belongs to.
    pub service: Option<Service<'a>>,
    /// The client's SPIFFE ID.
    pub client: Option<&'a str>,
    /// The server's SPIFFE ID.
    pub server: Option<&'a str>,
    /// The server's port.
    pub port: u16,
}

/// The answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// `None`: the flow may be, as far as is known now.
    pub denied: Option<DenyReason>,
    /// Determining policies, or why not.
    pub detail: Detail,
}

impl Answer {
    fn allow(detail: Detail) -> Self {
        Self {
            denied: None,
            detail,
        }
    }

    fn deny(reason: DenyReason, detail: &str) -> Self {
        Self {
            denied: Some(reason),
            detail: Text::of(detail),
        }
    }
}

/// Answers from the configuration alone: total, bounded, without allocation.
///
/// The end that asks must know itself: without its own name it is refused. A peer that is not
/// known yet is asked about again once it has proved its name.
#[must_use]
pub fn decide(cfg: &Configuration, asked: &Asked<'_>) -> Answer {
    let own = match asked.role {
        Role::Client => asked.client,
        Role::Server => asked.server,
    };
    let Some(service) = asked.service else {
        return Answer::deny(
            DenyReason::NoPermit,
            "no permit matched: not a service's address",
        );
    };
    if own.is_none() {
        return Answer::deny(DenyReason::NoIdentity, "");
    }
    if let Some(server) = asked.server.filter(|server| !service.is_server(server)) {
        let mut detail = Detail::of(server);
        detail.push(" may not serve ");
        detail.push(service.name);
        return Answer {
            denied: Some(DenyReason::NotAServer),
            detail,
        };
    }
    match asked.client {
        Some(client) => permit(cfg, client, service.name, asked.port),
        None => Answer::allow(Detail::new()),
    }
}

/// Asks the policy image.
fn permit(cfg: &Configuration, client: &str, service: &str, port: u16) -> Answer {
    let Ok(id) = SpiffeId::parse(client) else {
        return Answer::deny(DenyReason::NoPermit, "the client's spiffe id is malformed");
    };
    let Some(image) = cfg.image() else {
        return Answer::deny(DenyReason::NoPermit, "no permit matched");
    };
    let mut ancestors = [EntityRef::new(WORKLOAD, ""); MAX_ANCESTORS];
    let Some(ancestors) = fill(&mut ancestors, id) else {
        return Answer::deny(
            DenyReason::NoPermit,
            "the client's spiffe id has too many segments",
        );
    };
    let context = [Attribute::port(port)];
    let decision = image.decide(&Request {
        principal: Entity::new(WORKLOAD, id.as_str(), ancestors),
        action: ACTION,
        resource: Entity::new(SERVICE, service, &[]),
        context: Context::new(&context),
    });
    let mut detail = Detail::new();
    for (at, policy) in decision.policies().enumerate() {
        detail.push(if at == 0 { "" } else { ", " });
        detail.push(policy);
    }
    match decision.outcome() {
        Outcome::Permitted => Answer::allow(detail),
        Outcome::Forbidden => Answer {
            denied: Some(DenyReason::Forbidden),
            detail,
        },
        Outcome::NoPermit => Answer::deny(DenyReason::NoPermit, "no permit matched"),
        _ => Answer::deny(
            DenyReason::NoPermit,
            "policy cannot decide: a bound was passed",
        ),
    }
}

/// The trust domain and every shorter ID; `None` if they are too many.
fn fill<'s, 'a>(
    space: &'s mut [EntityRef<'a>; MAX_ANCESTORS],
    id: SpiffeId<'a>,
) -> Option<&'s [EntityRef<'a>]> {
    let domain = EntityRef::new(TRUST_DOMAIN, id.trust_domain().as_str());
    let above = id
        .ancestors()
        .map(|ancestor| EntityRef::new(WORKLOAD, ancestor));
    let mut slots = space.iter_mut();
    let mut count = 0_usize;
    for ancestor in core::iter::once(domain).chain(above) {
        *slots.next()? = ancestor;
        count = count.saturating_add(1);
    }
    space.get(..count)
}

/// May this flow be? Both ends ask the same question. Context: any.
///
/// # Safety
/// `q` points to a question whose configuration and names stay during the call; `out` is writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tl_rs_decide(q: *const Question, out: *mut Decision) {
    // SAFETY: the caller's contract.
    let answer = match unsafe { q.as_ref() } {
        // SAFETY: the caller's contract.
        Some(question) => unsafe { answer(question) },
        None => Answer::deny(DenyReason::Internal, ""),
    };
    let (detail, detail_len) = answer.detail.into_parts();
    let reason = answer.denied.map_or(0, DenyReason::number);
    let allow = u32::from(answer.denied.is_none());
    // SAFETY: the caller's contract.
    unsafe {
        out.write(Decision {
            allow,
            reason,
            detail_len,
            detail,
        })
    };
}

/// # Safety
/// The configuration and the names of `question` stay during the call.
unsafe fn answer(question: &Question) -> Answer {
    // SAFETY: the caller's contract.
    let Some(cfg) = (unsafe { config::at(question.cfg) }) else {
        return Answer::deny(DenyReason::NoPolicy, "");
    };
    // SAFETY: the caller's contract.
    let client = unsafe { question.client_id.text() };
    // SAFETY: the caller's contract.
    let server = unsafe { question.server_id.text() };
    let role = Role::from_number(question.role);
    let (Some(role), Some(client), Some(server)) = (role, client, server) else {
        return Answer::deny(DenyReason::Internal, "");
    };
    decide(
        cfg,
        &Asked {
            role,
            service: cfg.service(question.service),
            client: Some(client).filter(|id| !id.is_empty()),
            server: Some(server).filter(|id| !id.is_empty()),
            port: question.addr.port,
        },
    )
}

#[cfg(test)]
mod tests;
