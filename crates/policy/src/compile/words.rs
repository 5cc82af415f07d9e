//! Cedar's diagnostics in words.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Display;

use cedar_policy::PolicyId;
use miette::Diagnostic;

/// Where a diagnostic points, from the start of the text that Cedar was given, and how many bytes it means; 0 if it does
/// not say.
pub(super) fn label(diagnostic: &impl Diagnostic) -> (usize, usize) {
    let label = diagnostic.labels().and_then(|mut labels| labels.next());
    label.map_or((0, 0), |label| (label.offset(), label.len()))
}

/// What a diagnostic says, with its help.
pub(super) fn with_help<D: Diagnostic + Display>(diagnostic: &D) -> String {
    match diagnostic.help() {
        Some(help) => format!("{diagnostic}; {help}"),
        None => diagnostic.to_string(),
    }
}

/// The same without the words by which Cedar names the policy: the place names it.
pub(super) fn validation_text<D: Diagnostic + Display>(
    diagnostic: &D,
    policy: &PolicyId,
) -> String {
    with_help(diagnostic).replace(&format!("for policy `{policy}`, "), "")
}
