//! Work that goes on side by side.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;

/// Does `work` for every item, `at_once` of them at a time, begun in the order given; the results in that order.
///
/// # Panics
/// When `work` does.
pub(crate) fn map<T: Sync, R: Send>(
    items: &[T],
    at_once: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let waiting = Mutex::new(items.iter().enumerate());
    let next = || {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.next()
    };
    let worker = || {
        let mut done = Vec::new();
        while let Some((index, item)) = next() {
            done.push((index, work(item)));
        }
        done
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(worker)).collect();
        let ended = workers.into_iter().map(|worker| worker.join());
        ended
            .flat_map(|done| done.expect("it has panicked"))
            .collect()
    });
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_item_is_done_once_and_the_order_stays() {
        let running = AtomicUsize::new(0);
        let items: Vec<usize> = (0..20).collect();
        let done = map(&items, 2, |item| {
            assert!(running.fetch_add(1, Ordering::SeqCst) < 2);
            thread::yield_now();
            running.fetch_sub(1, Ordering::SeqCst);
            item * 2
        });
        assert_eq!(done, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert!(map(&[], 2, |item: &usize| *item).is_empty());
    }
}
