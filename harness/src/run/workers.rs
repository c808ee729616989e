//! Runs side by side, results in the order of the work.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What a worker says after an item.
pub enum Step<T> {
    /// The result; go on.
    Next(T),
    /// The result; begin nothing further.
    Stop(T),
}

/// `work` of every item on as many threads as asked for (or cores). Results in the items' order; after a
/// [`Step::Stop`] only of those that were begun.
pub fn map<'i, I: Sync, T: Send>(
    items: &'i [I],
    threads: Option<u16>,
    work: impl Fn(&'i I) -> Step<T> + Sync,
) -> Vec<T> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.map_or_else(cores, usize::from).min(items.len());
    let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
    let results: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::with_capacity(items.len()));
    let worker = || {
        while !stop.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return };
            let result = match work(item) {
                Step::Next(result) => result,
                Step::Stop(result) => {
                    stop.store(true, Ordering::Relaxed);
                    result
                }
            };
            // A panic elsewhere is on its way to the caller already.
            results
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push((index, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(worker);
        }
    });
    let mut results = results
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        assert_eq!(
            map(&items, Some(7), |n| Step::Next(n * 2)),
            items.iter().map(|n| n * 2).collect::<Vec<_>>()
        );
        assert!(map(&[] as &[u32], None, |n| Step::Next(*n)).is_empty());
    }

    #[test]
    fn nothing_is_begun_after_a_stop() {
        let items: Vec<u32> = (0..100).collect();
        let seen = map(&items, Some(1), |n| {
            if *n == 3 {
                Step::Stop(*n)
            } else {
                Step::Next(*n)
            }
        });
        assert_eq!(seen, [0, 1, 2, 3]);
    }
}
