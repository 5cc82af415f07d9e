//! What policies that are only observed would have said.

use tidelock_datapath::transform::HttpRequest;
use tidelock_kabi::DenyReason;
use tidelock_policy::Outcome;

use super::{Asked, Detail, ask, decide, listening, of_request};
use crate::config::Configuration;
use crate::context::About;

/// What the policies that are only observed would have changed, and which of them: `None` if nothing. It never changes an
/// answer; without such policies it is one look at the configuration.
///
/// They matter where nothing else does: an observed `forbid` where policy permits, an observed `permit` where no policy
/// matches. A flow that is refused for any other reason would be with them too.
#[must_use]
pub fn observe(cfg: &Configuration, asked: &Asked<'_>) -> Option<(DenyReason, Detail)> {
    let observed = cfg.observed()?;
    let (service, client) = (asked.service?, asked.client?);
    let would = would(decide(cfg, asked).denied)?;
    if would == DenyReason::WouldDeny
        && let Some(Ok((Outcome::Forbidden, detail))) =
            listening(cfg, Some(observed), service.name, asked)
    {
        return Some((would, detail));
    }
    let about = About::Connection(asked.role);
    let (outcome, detail) = ask(cfg, observed, about, client, service.name, asked).ok()?;
    differs(would, outcome).then_some((would, detail))
}

/// The same of a request as [`observe`] of a connection, where policies refused it for this reason or permitted it.
#[must_use]
pub(crate) fn observe_request(
    cfg: &Configuration,
    asked: &Asked<'_>,
    request: &HttpRequest<'_>,
    denied: Option<DenyReason>,
) -> Option<(DenyReason, Detail)> {
    let observed = cfg.observed()?;
    let (service, client) = (asked.service?, asked.client?);
    let would = would(denied)?;
    let about = About::Request(request);
    let (outcome, detail) = ask(cfg, observed, about, client, service.name, asked).ok()?;
    differs(would, outcome).then(|| (would, of_request(request, &detail)))
}

/// What observed policies could have made of this answer; `None`: nothing else.
fn would(denied: Option<DenyReason>) -> Option<DenyReason> {
    match denied {
        None => Some(DenyReason::WouldDeny),
        Some(DenyReason::NoPermit) => Some(DenyReason::WouldPermit),
        Some(_) => None,
    }
}

fn differs(would: DenyReason, outcome: Outcome) -> bool {
    match would {
        DenyReason::WouldDeny => outcome == Outcome::Forbidden,
        _ => outcome == Outcome::Permitted,
    }
}
