//! What the generator reached.

use std::collections::{BTreeMap, BTreeSet};

use tidelock_policy::Outcome;
use tidelock_policy::bounds::MAX_DETERMINING;

use crate::mutation;
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
    pub(crate) requests: u32,
    pub(crate) permitted: u32,
    pub(crate) forbidden: u32,
    pub(crate) no_permit: u32,
    pub(crate) several: u32,
    pub(crate) past_the_list: u32,
    pub(crate) errors: u32,
    pub(crate) failed_forbids: u32,
    pub(crate) op_codes: BTreeMap<u8, u32>,
    /// Policies filed under a port.
    pub(crate) filed: u32,
    /// How often it was noticed that they were filed under another.
    pub(crate) misfiled: u32,
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
        self.filed += mutation::filed(image);
        for instruction in image[mutation::code(image)].chunks(8) {
            *self.op_codes.entry(instruction[0]).or_default() += 1;
        }
    }
}
