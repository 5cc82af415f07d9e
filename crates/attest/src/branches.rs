//! From expressions to ways to fit: every way is selectors and opposites of selectors, all of which must match.
//!
//! In the logic of appraisal, where a selector may also be unknown, this rewriting changes no answer: AND and OR distribute, and NOT
//! turns one into the other, with the unknown as without.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::expression::Expression;
use crate::selector::SelectorKind;
use crate::selector_buf::SelectorBuf;
use crate::selectors::{MAX_BRANCHES, MAX_EXPRESSION_DEPTH, MAX_SELECTORS};
use crate::selectors_error::SelectorsError;

/// A selector by its number, or its opposite.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Hash)]
pub(crate) struct Mark {
    pub(crate) leaf: usize,
    pub(crate) negated: bool,
}

/// Selectors, each once, and the ways to fit.
#[derive(Debug)]
pub(crate) struct Branches {
    pub(crate) leaves: Vec<SelectorBuf>,
    pub(crate) ways: Vec<Vec<Mark>>,
}

/// One way to fit, and where it comes from.
#[derive(Clone, Debug, Default)]
struct Way {
    /// Marks, each once, with the nodes where they stand.
    marks: Vec<(Mark, usize)>,
    /// The outermost alternative that was taken.
    begins: Option<usize>,
}

#[derive(Default)]
struct Compiler {
    /// The number of the next node.
    next: usize,
    /// How many selectors were read.
    read: usize,
    leaves: Vec<SelectorBuf>,
    /// Nodes of marks that contradict each other, in the order written.
    contradictions: BTreeSet<(usize, usize)>,
    /// Where each mark stands first.
    seen: Vec<(Mark, usize)>,
}

/// Compiles a list of which every item must match.
pub(crate) fn compile(items: &[Expression]) -> Result<Branches, SelectorsError> {
    if items.is_empty() {
        return Err(SelectorsError::Empty);
    }
    let mut compiler = Compiler::default();
    let ways = compiler.group(items, false, true, 0)?;
    compiler.check(&ways)?;
    let marks = |way: Way| way.marks.into_iter().map(|(mark, _)| mark).collect();
    Ok(Branches {
        leaves: compiler.leaves,
        ways: ways.into_iter().map(marks).collect(),
    })
}

impl Compiler {
    fn number(&mut self) -> usize {
        let own = self.next;
        self.next = own.saturating_add(1);
        own
    }

    /// The ways to fit one expression, or its opposite. `depth` counts the operators around it: recursion is bounded by that.
    fn ways(
        &mut self,
        of: &Expression,
        negated: bool,
        depth: usize,
    ) -> Result<Vec<Way>, SelectorsError> {
        let index = self.number();
        let deeper = depth.saturating_add(1);
        if let Expression::Selector(selector) = of {
            return self.selector(selector, negated, index);
        }
        if deeper > MAX_EXPRESSION_DEPTH {
            return Err(SelectorsError::TooDeep { index });
        }
        match of {
            Expression::Selector(_) => Ok(Vec::new()),
            Expression::Not(of) => self.ways(of, !negated, deeper),
            Expression::AllOf(items) | Expression::AnyOf(items) if items.is_empty() => {
                Err(SelectorsError::EmptyGroup { index })
            }
            Expression::AllOf(items) => self.group(items, negated, true, deeper),
            Expression::AnyOf(items) => self.group(items, negated, false, deeper),
        }
    }

    fn selector(
        &mut self,
        selector: &SelectorBuf,
        negated: bool,
        index: usize,
    ) -> Result<Vec<Way>, SelectorsError> {
        self.read = self.read.saturating_add(1);
        if self.read > MAX_SELECTORS {
            return Err(SelectorsError::TooMany);
        }
        let known = self.leaves.iter().position(|leaf| leaf == selector);
        let leaf = known.unwrap_or(self.leaves.len());
        if known.is_none() {
            self.leaves.push(selector.clone());
        }
        let mark = Mark { leaf, negated };
        if !self.seen.iter().any(|(seen, _)| *seen == mark) {
            self.seen.push((mark, index));
        }
        let marks = Vec::from([(mark, index)]);
        let begins = None;
        Ok(Vec::from([Way { marks, begins }]))
    }

    /// `all`: every item must match as it is written. The opposite of that is that any item does not.
    fn group(
        &mut self,
        items: &[Expression],
        negated: bool,
        all: bool,
        depth: usize,
    ) -> Result<Vec<Way>, SelectorsError> {
        let mut kinds: Vec<&SelectorBuf> = Vec::new();
        let mut ways = Vec::from([Way::default()]);
        let mut any: Vec<Way> = Vec::new();
        for item in items {
            let index = self.next;
            if let (Expression::Selector(selector), true) = (item, all) {
                let kind = selector.kind();
                let same = |earlier: &&SelectorBuf| {
                    *earlier == selector || (kind.is_single() && earlier.kind() == kind)
                };
                if kinds.iter().any(same) {
                    return Err(SelectorsError::Repeated { index, kind });
                }
                kinds.push(selector);
            }
            let of_item = self.ways(item, negated, depth)?;
            if all == negated {
                let begins = Some(index);
                any.extend(of_item.into_iter().map(|way| Way { begins, ..way }));
            } else {
                ways = self.both(&ways, &of_item)?;
            }
            bounded(any.len())?;
        }
        Ok(if all == negated { any } else { ways })
    }

    /// Every way to fit both, less those that nothing fits.
    fn both(&mut self, left: &[Way], right: &[Way]) -> Result<Vec<Way>, SelectorsError> {
        let mut ways = Vec::new();
        for one in left {
            for other in right {
                let mut way = one.clone();
                way.begins = one.begins.or(other.begins);
                let fits = other.marks.iter().all(|&mark| self.add(&mut way, mark));
                if fits {
                    ways.push(way);
                    bounded(ways.len())?;
                }
            }
        }
        Ok(ways)
    }

    /// Adds a mark; `false` if it contradicts one that is there.
    fn add(&mut self, way: &mut Way, (mark, index): (Mark, usize)) -> bool {
        let clash = |(there, _): &&(Mark, usize)| self.contradict(*there, mark);
        if let Some((_, other)) = way.marks.iter().find(clash) {
            self.contradictions
                .insert((index.min(*other), index.max(*other)));
            return false;
        }
        if !way.marks.iter().any(|(there, _)| *there == mark) {
            way.marks.push((mark, index));
        }
        true
    }

    fn contradict(&self, a: Mark, b: Mark) -> bool {
        if a.leaf == b.leaf {
            return a.negated != b.negated;
        }
        let kind = |mark: Mark| self.leaves.get(mark.leaf).map(SelectorBuf::kind);
        let single = kind(a).is_some_and(SelectorKind::is_single);
        !a.negated && !b.negated && single && kind(a) == kind(b)
    }

    /// What is wrong with the whole.
    fn check(&self, ways: &[Way]) -> Result<(), SelectorsError> {
        let alive = |mark: Mark| {
            let mut marks = ways.iter().flat_map(|way| &way.marks);
            marks.any(|(there, _)| *there == mark)
        };
        let dead = self.seen.iter().filter(|(mark, _)| !alive(*mark));
        let pairs = || self.contradictions.iter();
        // To blame is the later of the two, unless it does well elsewhere.
        let blamed = dead.map(|(_, index)| *index).find_map(|dead| {
            let of_dead = pairs().find(|(one, other)| *one == dead || *other == dead)?;
            Some(*of_dead)
        });
        if let Some((one, other)) = blamed {
            let doing_well = |index: usize| {
                let mut seen = self.seen.iter();
                seen.any(|(mark, at)| *at == index && alive(*mark))
            };
            let (index, other) = if doing_well(other) {
                (one, other)
            } else {
                (other, one)
            };
            return Err(SelectorsError::Contradiction { index, other });
        }
        if let (true, Some(&(other, index))) = (ways.is_empty(), pairs().next()) {
            return Err(SelectorsError::Contradiction { index, other });
        }
        ways.iter().try_for_each(|way| self.names_enough(way))
    }

    fn names_enough(&self, way: &Way) -> Result<(), SelectorsError> {
        let index = way.begins;
        let mut kinds = Vec::new();
        for (mark, _) in way.marks.iter().filter(|(mark, _)| !mark.negated) {
            kinds.extend(self.leaves.get(mark.leaf).map(SelectorBuf::kind));
        }
        let has = |kind| kinds.contains(&kind);
        match () {
            () if kinds.is_empty() => Err(SelectorsError::OnlyNot { index }),
            () if !has(SelectorKind::Path) && !has(SelectorKind::Sha256) => {
                Err(SelectorsError::NoExecutable { index })
            }
            () if !has(SelectorKind::Path) && !has(SelectorKind::Uid) => {
                Err(SelectorsError::GovernsAll { index })
            }
            () => Ok(()),
        }
    }
}

fn bounded(ways: usize) -> Result<(), SelectorsError> {
    if ways > MAX_BRANCHES {
        return Err(SelectorsError::TooManyBranches);
    }
    Ok(())
}
