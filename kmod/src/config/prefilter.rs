//! Which processes are governed, found without walking every entry at every exec.

use tidelock_kabi::{Config, Fault, PrefilterEntry};

use super::sorted;

/// Numbers of the prefilter's entries, for the life of the arena.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefilter {
    /// Entries that name an executable, by its path.
    by_exe: &'static [u32],
    /// Entries that name only a uid, by it.
    by_uid: &'static [u32],
}

fn entry<'a>(view: &Config<'a>, number: u32) -> Option<PrefilterEntry<'a>> {
    view.prefilter.get(usize::try_from(number).ok()?)
}

fn exe<'a>(view: &Config<'a>, number: u32) -> &'a [u8] {
    entry(view, number)
        .and_then(|entry| entry.exe)
        .map_or(&[], str::as_bytes)
}

fn uid(view: &Config<'_>, number: u32) -> Option<u32> {
    entry(view, number).and_then(|entry| entry.uid)
}

impl Prefilter {
    pub(super) fn new(view: &Config<'static>) -> Result<Self, Fault> {
        let names_exe = |number: &u32| entry(view, *number).is_some_and(|e| e.exe.is_some());
        let numbers = || (0..).zip(view.prefilter).map(|(number, _)| number);
        Ok(Self {
            by_exe: sorted(numbers().filter(names_exe), |number| exe(view, number))?,
            by_uid: sorted(numbers().filter(|number| !names_exe(number)), |n| {
                uid(view, n)
            })?,
        })
    }

    pub(super) fn governs(&self, view: &Config<'_>, path: &[u8], own: u32, host: bool) -> bool {
        host && self.governs_exe(view, path, own) || self.governs_uid(view, own)
    }

    fn governs_exe(&self, view: &Config<'_>, path: &[u8], own: u32) -> bool {
        let first = self
            .by_exe
            .partition_point(|&number| exe(view, number) < path);
        let same = self
            .by_exe
            .iter()
            .skip(first)
            .map_while(|&number| entry(view, number));
        let mut same = same.take_while(|entry| entry.exe.is_some_and(|e| e.as_bytes() == path));
        same.any(|entry| entry.matches(path, own))
    }

    fn governs_uid(&self, view: &Config<'_>, own: u32) -> bool {
        let first = self
            .by_uid
            .partition_point(|&number| uid(view, number) < Some(own));
        self.by_uid
            .get(first)
            .is_some_and(|&number| uid(view, number) == Some(own))
    }
}
