//! Lists that borrow either a slice (to encode) or checked bytes (when decoded).

use core::cmp::Ordering;
use core::fmt;

use crate::read::Reader;

/// A list of `T` that allocates nothing: over a slice when made, over the record's bytes when decoded.
///
/// Both look the same: they compare, iterate and index alike, in constant time per item.
#[derive(Clone, Copy)]
pub struct List<'a, T>(Source<'a, T>);

#[derive(Clone, Copy)]
enum Source<'a, T> {
    Slice(&'a [T]),
    Rows(Rows<'a>, usize),
}

/// Checked rows of one list, and what they point into.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rows<'a> {
    /// The rows themselves.
    pub(crate) rows: &'a [u8],
    /// Rows of the lists inside these rows.
    pub(crate) inner: &'a [u8],
    /// What text rows point into.
    pub(crate) text: &'a str,
    /// What byte rows point into.
    pub(crate) bytes: &'a [u8],
}

/// What a [`List`] can hold. Sealed: the records of this crate decide.
pub trait ListItem<'a>: Copy + sealed::Row<'a> {}

impl<'a, T: Copy + sealed::Row<'a>> ListItem<'a> for T {}

pub(crate) mod sealed {
    use super::{Reader, Rows};

    /// An item as a row of fixed size.
    pub trait Row<'a>: Sized {
        /// Length of a row.
        const BYTES: usize;
        /// Reads a row that was checked when the record was; `None` if it was not.
        #[expect(private_interfaces, reason = "the trait is sealed")]
        fn read(row: &mut Reader<'a>, rows: &Rows<'a>) -> Option<Self>;
    }
}

impl<'a, T> List<'a, T> {
    /// The list of these items.
    #[must_use]
    pub const fn of(items: &'a [T]) -> Self {
        Self(Source::Slice(items))
    }

    /// A list over `len` checked rows.
    pub(crate) const fn over(rows: Rows<'a>, len: usize) -> Self {
        Self(Source::Rows(rows, len))
    }

    /// How many items there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.0 {
            Source::Slice(items) => items.len(),
            Source::Rows(_, len) => len,
        }
    }

    /// Are there none?
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a, T: ListItem<'a>> List<'a, T> {
    /// The item at `index`, in constant time.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<T> {
        match self.0 {
            Source::Slice(items) => items.get(index).copied(),
            Source::Rows(rows, len) if index < len => {
                let start = index.checked_mul(T::BYTES)?;
                let row = rows.rows.get(start..start.checked_add(T::BYTES)?)?;
                T::read(&mut Reader::new(row, 0), &rows)
            }
            Source::Rows(..) => None,
        }
    }

    /// The items, in order.
    #[must_use]
    pub const fn iter(&self) -> ListIter<'a, T> {
        ListIter {
            list: *self,
            next: 0,
        }
    }
}

/// Iterates over a [`List`].
#[derive(Clone, Copy)]
pub struct ListIter<'a, T> {
    list: List<'a, T>,
    next: usize,
}

impl<'a, T: ListItem<'a>> Iterator for ListIter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        let item = self.list.get(self.next)?;
        self.next = self.next.saturating_add(1);
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.list.len().saturating_sub(self.next);
        (left, Some(left))
    }
}

impl<'a, T: ListItem<'a>> IntoIterator for List<'a, T> {
    type Item = T;
    type IntoIter = ListIter<'a, T>;

    fn into_iter(self) -> ListIter<'a, T> {
        self.iter()
    }
}

impl<'a, T: ListItem<'a> + Ord> List<'a, T> {
    /// Is it in the list, which is sorted? Halves what is left with each step.
    pub(crate) fn has(&self, wanted: T) -> bool {
        let (mut from, mut to) = (0_usize, self.len());
        while from < to {
            let middle = from.midpoint(to);
            let Some(item) = self.get(middle) else {
                return false;
            };
            match item.cmp(&wanted) {
                Ordering::Equal => return true,
                Ordering::Less => from = middle.saturating_add(1),
                Ordering::Greater => to = middle,
            }
        }
        false
    }
}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Self::of(&[])
    }
}

impl<'a, T: ListItem<'a> + PartialEq> PartialEq for List<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<'a, T: ListItem<'a> + Eq> Eq for List<'a, T> {}

impl<'a, T: ListItem<'a> + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
