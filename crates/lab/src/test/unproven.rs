//! What `cargo lab test` leaves out because it has not been seen to hold yet: work to be done, never counted as passed.
//! `--filter` with its name runs it all the same; that is how one works on it.

use super::filter::Filter;
use super::tally::Tally;

/// Tier, scene (or `*` for the whole tier), and what is known about it.
const UNPROVEN: &[(&str, &str, &str)] = &[];

/// Why a check is left out, unless it was asked for by name.
pub(crate) fn why(tier: &str, check: &str, filter: &Filter) -> Option<&'static str> {
    if filter.0.is_some() {
        return None;
    }
    UNPROVEN
        .iter()
        .find(|(of, what, _)| *of == tier && (*what == check || *what == "*"))
        .map(|(_, _, why)| *why)
}

/// Takes what is unproven out of `checks` and notes it.
pub(crate) fn leave_out(
    checks: Vec<String>,
    tier: &str,
    filter: &Filter,
    tally: &mut Tally,
) -> Vec<String> {
    let (kept, left): (Vec<String>, Vec<String>) = checks
        .into_iter()
        .partition(|check| why(tier, check, filter).is_none());
    for check in left {
        let why = why(tier, &check, filter).unwrap_or_default();
        tally.notes.push(format!("skipped {check}: {why}"));
        tally.skipped += 1;
    }
    kept
}
