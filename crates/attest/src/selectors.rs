//! Selectors under AND, OR and NOT, checked and ready to be matched.

use alloc::vec::Vec;
use core::fmt;

use crate::appraisal::{Appraisal, Literal, appraise};
use crate::branches::{self, Mark};
use crate::evidence::Evidence;
use crate::expression::{self, Expression};
use crate::selector::{Need, Selector};
use crate::selector_buf::SelectorBuf;
use crate::selectors_error::SelectorsError;

/// Most selectors of one workload, however combined.
pub const MAX_SELECTORS: usize = 64;

/// Most operators within each other: what is deeper nobody reads.
pub const MAX_EXPRESSION_DEPTH: usize = 4;

/// Most ways to fit that one workload's selectors come to. Each may be a line of the kernel's prefilter, of which there are 1,024.
pub const MAX_BRANCHES: usize = 64;

/// What a workload must be: a list of [`Expression`]s, all of which must match.
///
/// Every way to fit them names an executable, by path or digest, and something that the kernel can tell a process by
/// before anybody looks at the file: a path or a uid. So neither OR nor NOT can come to match nearly everything.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub struct Selectors {
    items: Vec<Expression>,
    leaves: Vec<SelectorBuf>,
    ways: Vec<Vec<Mark>>,
}

/// One way to fit: selectors and opposites of selectors, all of which must match.
#[derive(Clone, Copy, Debug)]
pub struct Branch<'a> {
    leaves: &'a [SelectorBuf],
    marks: &'a [Mark],
}

impl Selectors {
    /// Checks a list of expressions, all of which must match.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(items: Vec<Expression>) -> Result<Self, SelectorsError> {
        let branches::Branches { leaves, ways } = branches::compile(&items)?;
        Ok(Self {
            items,
            leaves,
            ways,
        })
    }

    /// Parses a list of selectors, all of which must match.
    ///
    /// # Errors
    /// The first selector that is wrong, then what is wrong with the list.
    pub fn parse<S: AsRef<str>>(
        texts: impl IntoIterator<Item = S>,
    ) -> Result<Self, SelectorsError> {
        let mut items = Vec::new();
        for (index, text) in texts.into_iter().enumerate() {
            if index >= MAX_SELECTORS {
                return Err(SelectorsError::TooMany);
            }
            let selector = text.as_ref().parse::<SelectorBuf>();
            let selector = selector.map_err(|error| SelectorsError::Selector { index, error })?;
            items.push(Expression::Selector(selector));
        }
        Self::new(items)
    }

    /// What was written.
    #[must_use]
    pub fn expressions(&self) -> &[Expression] {
        &self.items
    }

    /// The selectors in the order they were written, if that is all there is: no operator.
    #[must_use]
    pub fn as_list(&self) -> Option<Vec<Selector<'_>>> {
        let selectors = self.items.iter().map(|item| match item {
            Expression::Selector(selector) => Some(selector.as_selector()),
            _ => None,
        });
        selectors.collect()
    }

    /// The ways to fit, in the order they were written. There is at least one.
    pub fn branches(&self) -> impl ExactSizeIterator<Item = Branch<'_>> + Clone {
        let leaves = &self.leaves;
        self.ways.iter().map(|marks| Branch { leaves, marks })
    }

    /// May it take this to decide?
    #[must_use]
    pub fn needs(&self, need: Need) -> bool {
        let mut leaves = self.leaves.iter();
        leaves.any(|leaf| leaf.kind().need() == Some(need))
    }

    /// Does a process fit? If not, the answer is of the way that it fits farthest; if so, of the longest that it fits.
    pub fn matches<'a>(&'a self, evidence: &Evidence<'a>) -> Appraisal<'a> {
        let mut best: Option<Appraisal<'a>> = None;
        for branch in self.branches() {
            let appraisal = branch.matches(evidence);
            let rank = |of: &Appraisal<'_>| (of.matched(), of.fitting());
            if best
                .as_ref()
                .is_none_or(|best| rank(&appraisal) > rank(best))
            {
                best = Some(appraisal);
            }
        }
        best.unwrap_or_else(|| appraise(core::iter::empty::<Literal<'a>>(), evidence))
    }
}

impl<'a> Branch<'a> {
    /// What must match, in the order it was written.
    pub fn literals(&self) -> impl Iterator<Item = Literal<'a>> + Clone + use<'a> {
        let leaves = self.leaves;
        self.marks.iter().filter_map(|mark| {
            let selector = leaves.get(mark.leaf)?.as_selector();
            let negated = mark.negated;
            Some(Literal { selector, negated })
        })
    }

    /// How many must match: the more, the more specific.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.marks.len()
    }

    /// The path of the executable, if one is named.
    #[must_use]
    pub fn path(&self) -> Option<&'a str> {
        self.positive().find_map(|selector| match selector {
            Selector::Path(path) => Some(path),
            _ => None,
        })
    }

    /// The uid, if one is named.
    #[must_use]
    pub fn uid(&self) -> Option<u32> {
        self.positive().find_map(|selector| match selector {
            Selector::Uid(uid) => Some(uid),
            _ => None,
        })
    }

    /// May it take this to decide?
    #[must_use]
    pub fn needs(&self, need: Need) -> bool {
        let mut literals = self.literals();
        literals.any(|literal| literal.selector.kind().need() == Some(need))
    }

    /// Does a process fit this way?
    pub fn matches(&self, evidence: &Evidence<'a>) -> Appraisal<'a> {
        appraise(self.literals(), evidence)
    }

    fn positive(&self) -> impl Iterator<Item = Selector<'a>> + use<'a> {
        let literals = self.literals().filter(|literal| !literal.negated);
        literals.map(|literal| literal.selector)
    }
}

impl fmt::Display for Selectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        expression::list(&self.items, f)
    }
}
