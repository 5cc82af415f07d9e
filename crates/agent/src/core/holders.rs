//! How many processes hold which identity, and how much is told of those that hold none.

use std::collections::BTreeMap;
use std::time::Duration;

use tidelock_proto::v1::report_request::Report;
use tidelock_proto::v1::{GrantRefused, Process as ProcessReport};

use super::clock::{Mono, Now};
use super::filled::Unfilled;
use super::out::Out;

/// So many grants that were refused are told in [`TELLING`]: any user brings one about by each program run.
const MAX_TOLD: u32 = 16;
const TELLING: Duration = Duration::from_secs(1);

/// Processes by the number of their identity.
#[derive(Debug, Default)]
pub(super) struct Holders {
    count: BTreeMap<u32, usize>,
    changed: bool,
}

impl Holders {
    /// A process holds another identity than before.
    pub(super) fn moved(&mut self, from: Option<u32>, to: Option<u32>) {
        if from == to {
            return;
        }
        self.changed = true;
        if let Some(number) = from
            && let Some(count) = self.count.get_mut(&number)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.count.remove(&number);
            }
        }
        if let Some(number) = to {
            *self.count.entry(number).or_default() += 1;
        }
    }

    /// Does any process hold it?
    pub(super) fn hold(&self, number: u32) -> bool {
        self.count.contains_key(&number)
    }

    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

/// Tells of grants that were refused, of so many as can be read.
#[derive(Debug, Default)]
pub(super) struct Telling {
    since: Mono,
    told: u32,
    untold: u64,
}

impl Telling {
    pub(super) fn refused(
        &mut self,
        process: ProcessReport,
        entry: &str,
        why: Unfilled,
        now: Now,
        out: &mut Out,
    ) {
        if self.since.after(TELLING) <= now.mono {
            (self.since, self.told) = (now.mono, 0);
        }
        if self.told >= MAX_TOLD {
            self.untold = self.untold.saturating_add(1);
            return;
        }
        self.told += 1;
        let refused = GrantRefused {
            process: Some(process),
            entry_id: entry.to_owned(),
            reason: why.to_string(),
            untold: std::mem::take(&mut self.untold),
        };
        out.report(now, Report::GrantRefused(refused));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::io::Output;

    #[test]
    fn an_identity_is_held_until_its_last_process_has_gone() {
        let mut holders = Holders::default();
        holders.moved(None, Some(7));
        holders.moved(None, Some(7));
        holders.moved(Some(7), Some(8));
        assert!(holders.hold(7) && holders.hold(8) && holders.take_changed());
        holders.moved(Some(7), None);
        assert!(!holders.hold(7) && holders.hold(8));
        holders.take_changed();
        holders.moved(Some(8), Some(8));
        assert!(!holders.take_changed());
    }

    #[test]
    fn refusals_are_told_up_to_a_bound_and_the_rest_is_counted() {
        let (mut telling, mut out) = (Telling::default(), Out::default());
        let at = |secs: u64| Now {
            mono: Mono(secs * 1_000_000_000),
            wall_unix_ns: 0,
        };
        let mut untold = |secs, times| {
            for _ in 0..times {
                let process = ProcessReport::default();
                telling.refused(process, "a", Unfilled::EntryFull, at(secs), &mut out);
            }
            let told = std::iter::from_fn(|| out.pop());
            let untold = told.map(|output| match output {
                Output::Report { report, .. } => match *report {
                    Report::GrantRefused(refused) => refused.untold,
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            });
            untold.collect::<Vec<_>>()
        };
        assert_eq!(untold(5, 20), [0; 16]);
        assert_eq!(untold(6, 2), [4, 0]);
    }
}
