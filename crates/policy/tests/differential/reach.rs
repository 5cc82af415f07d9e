//! What the generator reached.

use std::collections::{BTreeMap, BTreeSet};

use tidelock_policy::Outcome;
use tidelock_policy::bounds::MAX_DETERMINING;

use crate::mutation::{self, MUTATIONS};
use crate::oracle::Answer;

#[derive(Debug, Default)]
pub(crate) struct Reach {
    pub(crate) sets: u32,
    pub(crate) policies: u32,
    /// Valid, but not to be expressed.
    pub(crate) refused: u32,
    /// Not valid by Cedar: the generator's fault.
    pub(crate) invalid: u32,
    pub(crate) links: u32,
    requests: u32,
    permitted: u32,
    forbidden: u32,
    no_permit: u32,
    several: u32,
    past_the_list: u32,
    errors: u32,
    failed_forbids: u32,
    op_codes: BTreeMap<u8, u32>,
    /// Op codes of which another meaning was noticed.
    pub(crate) noticed: BTreeSet<u8>,
    /// Why policies were refused or invalid, how often.
    pub(crate) reasons: BTreeMap<String, u32>,
}

impl Reach {
    pub(crate) fn note(&mut self, expected: &Answer, count: usize) {
        let outcome = match expected.outcome {
            Outcome::Permitted => &mut self.permitted,
            Outcome::Forbidden => &mut self.forbidden,
            _ => &mut self.no_permit,
        };
        *outcome += 1;
        self.requests += 1;
        self.several += u32::from(count > 1);
        self.past_the_list += u32::from(count > MAX_DETERMINING);
        self.errors += u32::from(expected.errors > 0);
        self.failed_forbids +=
            u32::from(expected.errors > 0 && expected.outcome == Outcome::Forbidden);
    }

    /// Counts the op codes of an image.
    pub(crate) fn note_code(&mut self, image: &[u8]) {
        for instruction in image[mutation::code(image)].chunks(8) {
            *self.op_codes.entry(instruction[0]).or_default() += 1;
        }
    }

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
