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

/// Text of a policy as it may stand in a message: one line, and no character that acts on a terminal or turns what is around it.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(plain_char).collect()
}

/// The character itself, or what stands for one that cannot be shown.
pub(crate) fn plain_char(c: char) -> char {
    match c {
        c if c.is_control() => '?',
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            '?'
        }
        c => c,
    }
}

/// The same without the words by which Cedar names the policy: the place names it.
pub(super) fn validation_text<D: Diagnostic + Display>(
    diagnostic: &D,
    policy: &PolicyId,
) -> String {
    with_help(diagnostic).replace(&format!("for policy `{policy}`, "), "")
}
