//! How old a flow may become: `maxFlowAge` of its Service, as the configuration in force says it.

use core::time::Duration;

use tidelock_kabi::{DenyReason, Service};

use super::{Answer, Detail};
use crate::line::decimal;

/// How old a flow of this Service may become.
fn allowed(service: &Service<'_>) -> Option<Duration> {
    let seconds = service.max_flow_age_s?;
    Some(Duration::from_secs(seconds.into()))
}

/// Says no to a flow that is older than that.
pub(super) fn too_old(service: &Service<'_>, age_ms: u64) -> Option<Answer> {
    let allowed = allowed(service)?;
    if Duration::from_millis(age_ms) < allowed {
        return None;
    }
    let mut detail = Detail::of("maxFlowAge: ");
    decimal(allowed.as_secs(), &mut |digits| {
        detail.push(core::str::from_utf8(digits).unwrap_or(""));
    });
    detail.push("s");
    Some(Answer {
        denied: Some(DenyReason::FlowTooOld),
        detail,
    })
}

/// After how many milliseconds a flow that may be has to be looked at again; 0: age does not end it. What is too long for C is
/// looked at before its time, and then again.
pub(super) fn again_ms(service: &Service<'_>, age_ms: u64) -> u32 {
    let Some(allowed) = allowed(service) else {
        return 0;
    };
    let left = allowed.saturating_sub(Duration::from_millis(age_ms));
    u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::tl_rs_decide;
    use crate::fake::world;
    use crate::ffi::{DETAIL_BYTES, Decision, Question};

    /// What C is told of a flow of this age, where its Service lets one become so old: allowed, why not, when to ask again.
    fn decided(max_flow_age_s: Option<u32>, age_ms: u64) -> (bool, Option<DenyReason>, u32) {
        let (services, policy) = (
            [Service {
                max_flow_age_s,
                ..world::web()
            }],
            world::policy(),
        );
        let cfg = world::build(world::config(&[], &services, &[], &policy)).unwrap();
        let question = Question {
            age_ms,
            ..world::question(cfg)
        };
        let mut out = Decision {
            allow: 9,
            reason: 9,
            again_ms: 9,
            detail_len: 9,
            detail: [9; DETAIL_BYTES],
        };
        // SAFETY: both are live.
        unsafe { tl_rs_decide(&raw const question, &raw mut out) };
        let reason = DenyReason::from_number(out.reason);
        (out.allow == 1, reason, out.again_ms)
    }

    #[test]
    fn a_flow_is_cut_at_the_age_that_its_service_says() {
        assert_eq!(decided(Some(60), 0), (true, None, 60_000));
        assert_eq!(decided(Some(60), 59_999), (true, None, 1));
        let refused = (false, Some(DenyReason::FlowTooOld), 0);
        assert_eq!(decided(Some(60), 60_000), refused);
        assert_eq!(decided(Some(60), u64::MAX), refused);
    }

    #[test]
    fn without_a_bound_a_flow_becomes_as_old_as_it_likes() {
        assert_eq!(decided(None, u64::MAX), (true, None, 0));
    }

    #[test]
    fn what_is_too_long_for_c_is_asked_again_before_its_time() {
        assert_eq!(decided(Some(u32::MAX), 0), (true, None, u32::MAX));
    }
}
