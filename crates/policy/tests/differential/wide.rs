//! What the generator has to reach for the test to mean something.

use std::collections::BTreeSet;

use crate::mutation::MUTATIONS;
use crate::reach::Reach;

impl Reach {
    pub(crate) fn assert_wide(&self) {
        let percent = |part: u32, of: u32| f64::from(part) * 100.0 / f64::from(of);
        let of_requests = |part| percent(part, self.requests);
        println!("{self:#?}");
        let Self {
            requests, policies, ..
        } = *self;
        println!(
            "{requests} requests: {:.1} % allow, {:.1} % forbidden, {:.1} % no permit, {:.1} % several determining, {:.1} % with \
             errors, {:.1} % failed forbids; {policies} policies: {:.2} % refused, {:.2} % invalid",
            of_requests(self.permitted),
            of_requests(self.forbidden),
            of_requests(self.no_permit),
            of_requests(self.several),
            of_requests(self.errors),
            of_requests(self.failed_forbids),
            percent(self.refused, policies),
            percent(self.invalid, policies),
        );
        assert!(percent(self.refused, policies) <= 2.0, "policies refused");
        assert!(percent(self.invalid, policies) <= 2.0, "policies invalid");
        assert!(of_requests(self.permitted) >= 30.0, "allow");
        assert!(of_requests(self.forbidden) >= 10.0, "forbidden");
        assert!(of_requests(self.no_permit) >= 10.0, "none matched");
        assert!(
            of_requests(self.several) >= 10.0,
            "several determining policies"
        );
        assert!(of_requests(self.errors) >= 10.0, "evaluation errors");
        assert!(of_requests(self.failed_forbids) >= 2.0, "a failed forbid");
        assert!(
            self.past_the_list >= 1,
            "more determining policies than are named"
        );
        assert!(self.filed >= 300, "policies filed under a port");
        assert!(self.misfiled >= 10, "wrong ports noticed");
        let known: BTreeSet<u8> = MUTATIONS.iter().map(|&(code, ..)| code).collect();
        assert!(
            self.op_codes.keys().all(|code| known.contains(code)),
            "an op code not listed"
        );
        let rare: Vec<_> = MUTATIONS
            .iter()
            .map(|&(code, name, _)| (name, self.op_codes.get(&code).copied().unwrap_or(0)))
            .filter(|&(_, count)| count < 100)
            .collect();
        assert!(rare.is_empty(), "rare op codes: {rare:?}");
        let unnoticed: Vec<_> = MUTATIONS
            .iter()
            .filter(|(code, ..)| !self.noticed.contains(code))
            .map(|(_, name, _)| name)
            .collect();
        assert!(unnoticed.is_empty(), "nothing noticed: {unnoticed:?}");
    }
}
