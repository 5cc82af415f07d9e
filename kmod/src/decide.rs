//! The policy question: may this client use this Service of this server?

mod age;
mod exports;
mod memo;
mod observed;

use tidelock_datapath::AuthorityDigest;
use tidelock_datapath::transform::HttpRequest;
use tidelock_kabi::{DenyReason, Role, Service};
use tidelock_policy::bounds::MAX_ANCESTORS;
use tidelock_policy::{Context, Entity, EntityRef, Image, Outcome, Request};
use tidelock_spiffe_core::SpiffeId;

use crate::config::Configuration;
use crate::context::{About, Circumstances};
use crate::ffi::{DETAIL_BYTES, Decision};
use crate::line::hex;
use crate::mediation::{self, Carried};
use crate::mode;
use crate::text::Text;
pub(crate) use exports::asked;
pub use exports::{tl_rs_cut_for, tl_rs_decide, tl_rs_observe};
pub use memo::Memo;
pub use observed::observe;
pub(crate) use observed::observe_request;

/// The action that both ends ask about.
const CONNECT: &str = "connect";
/// What a server's end asks about besides. A Service's `servers` say who may, so that nothing but a `forbid` counts.
pub(crate) const LISTEN: &str = "listen";
/// What a server's end asks about where its Service has requests authorized.
const HTTP: &str = "http";
/// Entity types of the published schema.
const WORKLOAD: &str = "Workload";
const TRUST_DOMAIN: &str = "TrustDomain";
const SERVICE: &str = "Service";
const EXTERNAL: &str = "External";

/// As many as most IDs have: room for [`MAX_ANCESTORS`] takes longer to lay out than a policy to match.
const FEW_ANCESTORS: usize = 8;

const UNDECIDED: &str = "policy cannot decide: a bound was passed";

/// Text for people, as much as an event holds.
pub type Detail = Text<DETAIL_BYTES>;

/// A flow that someone asks about. Absent names are not known yet.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Which end asks.
    pub role: Role,
    /// The Service that the server's address belongs to.
    pub service: Option<Service<'a>>,
    /// Its number.
    pub number: i32,
    /// The client's SPIFFE ID.
    pub client: Option<&'a str>,
    /// The server's SPIFFE ID, or the DNS name that one outside has proved.
    pub server: Option<&'a str>,
    /// Serial number of the asking end's SVID; empty: not to be looked at.
    pub own_serial: &'a [u8],
    /// Serial number of the peer's SVID; empty: not known yet.
    pub peer_serial: &'a [u8],
    /// Who signed the asking end's SVID; `None`: not to be looked at.
    pub own_authority: Option<&'a AuthorityDigest>,
    /// Who signed the peer's SVID; `None`: not known yet, or just seen to be believed.
    pub peer_authority: Option<&'a AuthorityDigest>,
    /// The port, and what else policies ask for.
    pub around: Circumstances<'a>,
    /// Nothing is proved on the wire: the Service's mode has to say that it may be so.
    pub plain: bool,
    /// Why the asking end's process was refused an identity, where it goes in plain without one.
    pub refused: Option<DenyReason>,
    /// What the bytes go through, once that is settled.
    pub carried: Option<Carried>,
    /// Milliseconds since the flow opened.
    pub age_ms: u64,
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
    pub(crate) fn allow(detail: Detail) -> Self {
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

impl From<Answer> for Decision {
    fn from(answer: Answer) -> Self {
        let (detail, detail_len) = answer.detail.into_parts();
        Self {
            allow: u32::from(answer.denied.is_none()),
            reason: answer.denied.map_or(0, DenyReason::number),
            again_ms: 0,
            detail_len,
            detail,
        }
    }
}

/// Answers from the configuration alone: total, bounded, without allocation.
///
/// The end that asks must know itself: without its own name it is refused. A peer that is not
/// known yet is asked about again once it has proved its name.
#[must_use]
pub fn decide(cfg: &Configuration, asked: &Asked<'_>) -> Answer {
    decide_again(cfg, asked, &mut { Memo::NONE })
}

/// The same at one of the steps of a flow: what policies permitted at another is not asked again, and goes without detail.
pub(crate) fn decide_again(cfg: &Configuration, asked: &Asked<'_>, memo: &mut Memo) -> Answer {
    if let Some(revoked) = revoked(cfg, asked) {
        return revoked;
    }
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
    if let Some(answer) = age::too_old(&service, asked.age_ms) {
        return answer;
    }
    if let Some(answer) = mode::says(&service, asked) {
        return answer;
    }
    if own.is_none() {
        return Answer::deny(DenyReason::NoIdentity, "");
    }
    if let Some(answer) = mediation::goes_otherwise(&service, asked) {
        return answer;
    }
    let outside = cfg.external(&service);
    let may_serve = |server: &str| match outside {
        Some(external) => external.name() == server,
        None => service.is_server(server),
    };
    if let Some(server) = asked.server.filter(|server| !may_serve(server)) {
        let mut detail = Detail::of(server);
        detail.push(" may not serve ");
        detail.push(service.name);
        return Answer {
            denied: Some(DenyReason::NotAServer),
            detail,
        };
    }
    if asked
        .client
        .is_some_and(|client| memo.permits(cfg, asked, client))
    {
        return Answer::allow(Detail::new());
    }
    if let Some(answer) = may_not_listen(cfg, service.name, asked) {
        return answer;
    }
    let Some(client) = asked.client else {
        return Answer::allow(Detail::new());
    };
    let about = About::Connection(asked.role);
    let answer = permit(cfg, about, client, service.name, asked);
    if answer.denied.is_none() {
        memo.note(cfg, asked, client);
    }
    answer
}

/// What an image says of the server's listening, where the server's end asks; `None` if there is nothing to ask.
fn listening(
    cfg: &Configuration,
    image: Option<&Image<'_>>,
    service: &str,
    asked: &Asked<'_>,
) -> Option<Result<(Outcome, Detail), &'static str>> {
    let own = asked.server.filter(|_| asked.role == Role::Server)?;
    let image = image.filter(|_| cfg.may_forbid_listening())?;
    Some(ask(cfg, image, About::Listening, own, service, asked))
}

/// May this request of a proven client reach the program? As for the connection, a permit is needed.
#[must_use]
pub(crate) fn request(cfg: &Configuration, asked: &Asked<'_>, request: &HttpRequest<'_>) -> Answer {
    let answer = match (asked.service, asked.client) {
        (Some(service), Some(client)) => {
            permit(cfg, About::Request(request), client, service.name, asked)
        }
        _ => Answer::deny(DenyReason::NoPermit, "not a service's address"),
    };
    Answer {
        detail: of_request(request, &answer.detail),
        ..answer
    }
}

/// Of many requests of a connection it has to be known which.
fn of_request(request: &HttpRequest<'_>, said: &Detail) -> Detail {
    let mut detail = Detail::of(request.method);
    detail.push(" ");
    detail.push(request.path);
    detail.push(": ");
    detail.push(core::str::from_utf8(said.bytes()).unwrap_or(""));
    detail
}

/// Says no if policy forbids the server to listen.
fn may_not_listen(cfg: &Configuration, service: &str, asked: &Asked<'_>) -> Option<Answer> {
    match listening(cfg, cfg.image(), service, asked)? {
        Ok((Outcome::Permitted | Outcome::NoPermit, _)) => None,
        Ok((Outcome::Forbidden, detail)) => Some(Answer {
            denied: Some(DenyReason::Forbidden),
            detail,
        }),
        Ok(_) => Some(Answer::deny(DenyReason::Forbidden, UNDECIDED)),
        Err(why) => Some(Answer::deny(DenyReason::Forbidden, why)),
    }
}

/// Says no if either end's SVID is revoked, or the authority is that signed it: then no policy matters.
fn revoked(cfg: &Configuration, asked: &Asked<'_>) -> Option<Answer> {
    let (own, peer) = match asked.role {
        Role::Client => (asked.client, asked.server),
        Role::Server => (asked.server, asked.client),
    };
    let disowned = |id: Option<&str>, authority: Option<&AuthorityDigest>| {
        id.zip(authority)
            .is_some_and(|(id, authority)| !cfg.trust().vouches(authority, id))
    };
    let no_more = "the authority that signed it is believed no more";
    if disowned(peer, asked.peer_authority) {
        return Some(Answer::deny(DenyReason::PeerRevoked, no_more));
    }
    if disowned(own, asked.own_authority) {
        return Some(Answer::deny(DenyReason::SvidRevoked, no_more));
    }
    let (reason, serial) = if cfg.is_revoked(asked.peer_serial) {
        (DenyReason::PeerRevoked, asked.peer_serial)
    } else if cfg.is_revoked(asked.own_serial) {
        (DenyReason::SvidRevoked, asked.own_serial)
    } else {
        return None;
    };
    let mut detail = Detail::of("serial ");
    for byte in serial {
        detail.push(core::str::from_utf8(&hex(*byte)).unwrap_or(""));
    }
    Some(Answer {
        denied: Some(reason),
        detail,
    })
}

/// What a live flow is cut for, that is refused for this reason when it is decided anew: who reads it has to be able to tell a
/// change of policy from a revoked SVID, and from a process that is nobody.
#[must_use]
pub fn cut_for(refused: DenyReason) -> DenyReason {
    match refused {
        DenyReason::PeerRevoked
        | DenyReason::SvidRevoked
        | DenyReason::NotGranted
        | DenyReason::FlowTooOld => refused,
        _ => DenyReason::PolicyChanged,
    }
}

/// Asks the policy image.
fn permit(
    cfg: &Configuration,
    about: About<'_>,
    client: &str,
    service: &str,
    asked: &Asked<'_>,
) -> Answer {
    let Some(image) = cfg.image() else {
        return Answer::deny(DenyReason::NoPermit, "no permit matched");
    };
    let (outcome, detail) = match ask(cfg, image, about, client, service, asked) {
        Ok(told) => told,
        Err(why) => return Answer::deny(DenyReason::NoPermit, why),
    };
    match outcome {
        Outcome::Permitted => Answer::allow(detail),
        Outcome::Forbidden => Answer {
            denied: Some(DenyReason::Forbidden),
            detail,
        },
        Outcome::NoPermit => Answer::deny(DenyReason::NoPermit, "no permit matched"),
        _ => Answer::deny(DenyReason::NoPermit, UNDECIDED),
    }
}

/// What an image says, and the names of the policies that determine it; or why it cannot be asked.
fn ask(
    cfg: &Configuration,
    image: &Image<'_>,
    about: About<'_>,
    who: &str,
    service: &str,
    asked: &Asked<'_>,
) -> Result<(Outcome, Detail), &'static str> {
    let (action, malformed, too_long) = match about {
        About::Connection(_) => (
            CONNECT,
            "the client's spiffe id is malformed",
            "the client's spiffe id has too many segments",
        ),
        About::Request(_) => (
            HTTP,
            "the client's spiffe id is malformed",
            "the client's spiffe id has too many segments",
        ),
        About::Listening => (
            LISTEN,
            "the server's spiffe id is malformed",
            "the server's spiffe id has too many segments",
        ),
    };
    let id = SpiffeId::parse(who).map_err(|_| malformed)?;
    let outside = asked.service.and_then(|service| cfg.external(&service));
    let outside = outside.map(|external| [EntityRef::new(EXTERNAL, external.name())]);
    let above: &[EntityRef<'_>] = outside.as_ref().map_or(&[], |host| host);
    let decide = |ancestors: &[EntityRef<'_>]| {
        asked.around.told(about, |context| {
            image.decide(&Request {
                principal: Entity::new(WORKLOAD, id.as_str(), ancestors),
                action,
                resource: Entity::new(SERVICE, service, above),
                context: Context::new(context),
            })
        })
    };
    let decision = with_ancestors::<FEW_ANCESTORS, _>(id, decide)
        .or_else(|| with_ancestors::<MAX_ANCESTORS, _>(id, decide))
        .ok_or(too_long)?;
    let mut detail = Detail::new();
    for (at, policy) in decision.policies().enumerate() {
        detail.push(if at == 0 { "" } else { ", " });
        detail.push(policy);
    }
    Ok((decision.outcome(), detail))
}

/// Calls `ask` with the trust domain and every shorter ID; `None` if they are more than `N`.
fn with_ancestors<const N: usize, T>(
    id: SpiffeId<'_>,
    ask: impl FnOnce(&[EntityRef<'_>]) -> T,
) -> Option<T> {
    let mut space = [EntityRef::new(WORKLOAD, ""); N];
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
    space.get(..count).map(ask)
}

#[cfg(test)]
mod listen_tests;
#[cfg(test)]
mod tests;
