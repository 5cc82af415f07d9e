//! What a workload must be, as somebody writes it: selectors under AND, OR and NOT.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::selector_buf::SelectorBuf;

/// One item of a list of selectors: a selector, or more of them under an operator.
///
/// It is what was written, and nothing more: [`Selectors`](crate::Selectors) says whether it makes sense.
///
/// Nodes are numbered as they are read: an operator, then what is in it, from left to right, and all of a list together. That is
/// how a [`SelectorsError`](crate::SelectorsError) names the one at fault.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub enum Expression {
    /// `unix:uid:1000`.
    Selector(SelectorBuf),
    /// `allOf: [...]`: AND.
    AllOf(Vec<Expression>),
    /// `anyOf: [...]`: OR.
    AnyOf(Vec<Expression>),
    /// `not: ...`.
    Not(Box<Expression>),
}

/// The words for operators, in documents.
pub const OPERATORS: [&str; 3] = ["allOf", "anyOf", "not"];

impl Expression {
    /// The opposite.
    #[must_use]
    pub fn negate(of: Self) -> Self {
        Self::Not(Box::new(of))
    }
}

impl From<SelectorBuf> for Expression {
    fn from(selector: SelectorBuf) -> Self {
        Self::Selector(selector)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, items) = match self {
            Self::Selector(selector) => return selector.fmt(f),
            Self::Not(of) => return write!(f, "not({of})"),
            Self::AllOf(items) => ("allOf", items),
            Self::AnyOf(items) => ("anyOf", items),
        };
        write!(f, "{word}(")?;
        list(items, f)?;
        f.write_str(")")
    }
}

/// Writes items with commas between them.
pub(crate) fn list(items: &[Expression], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { ", " })?;
        write!(f, "{item}")?;
    }
    Ok(())
}
