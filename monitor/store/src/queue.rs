//! The queue between those who must not wait and the one who writes.
//!
//! The taker is woken once for many entries: by the first, to know that its time runs, and when that is over or a
//! batch is full. A wake-up for each entry would cost more than writing it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A bounded queue with one taker.
pub struct Queue<T> {
    capacity: usize,
    state: Mutex<State<T>>,
    news: Condvar,
}

struct State<T> {
    waiting: Vec<T>,
    /// The taker sleeps until this many wait.
    wanted: usize,
    closed: bool,
}

/// Why gathering ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gathered {
    /// There is something to write.
    Batch,
    /// The queue is closed and empty.
    Last,
}

impl<T> Queue<T> {
    /// A queue for `capacity` entries.
    pub fn new(capacity: usize) -> Self {
        Queue {
            capacity,
            state: Mutex::new(State {
                waiting: Vec::new(),
                wanted: usize::MAX,
                closed: false,
            }),
            news: Condvar::new(),
        }
    }

    /// Puts an entry behind the others; gives it back when the queue is full or closed.
    pub fn put(&self, entry: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.closed || state.waiting.len() >= self.capacity {
            return Err(entry);
        }
        state.waiting.push(entry);
        if state.waiting.len() >= state.wanted {
            // Once is enough: the taker says anew what it wants.
            state.wanted = usize::MAX;
            self.news.notify_one();
        }
        Ok(())
    }

    /// How many entries can wait.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many entries wait.
    pub fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Takes no more entries.
    pub fn close(&self) {
        self.lock().closed = true;
        self.news.notify_one();
    }

    /// Waits for so long; whether the queue was closed by then.
    pub fn is_closed_within(&self, patience: Duration) -> bool {
        // No number of entries is waited for, only the end.
        self.sleep_until(self.lock(), usize::MAX, Some(patience))
            .closed
    }

    /// Closes the queue when the value goes.
    pub fn close_at_end(&self) -> impl Drop + '_ {
        Closing(self)
    }

    /// Fills `batch` up to `most` entries: with what comes until `patience` after the first, or until it is full.
    pub fn gather(&self, batch: &mut Vec<T>, patience: Duration, most: usize) -> Gathered {
        let mut state = self.lock();
        if batch.is_empty() {
            state = self.sleep_until(state, 1, None);
        }
        let room = most.saturating_sub(batch.len());
        state = self.sleep_until(state, room.min(self.capacity), Some(patience));
        let taken = room.min(state.waiting.len());
        batch.extend(state.waiting.drain(..taken));
        match state.closed && state.waiting.is_empty() {
            true => Gathered::Last,
            false => Gathered::Batch,
        }
    }

    fn sleep_until<'a>(
        &'a self,
        mut state: MutexGuard<'a, State<T>>,
        wanted: usize,
        patience: Option<Duration>,
    ) -> MutexGuard<'a, State<T>> {
        state.wanted = wanted;
        let too_few = |state: &mut State<T>| state.waiting.len() < wanted && !state.closed;
        let mut state = match patience {
            None => self
                .news
                .wait_while(state, too_few)
                .unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                self.news
                    .wait_timeout_while(state, patience, too_few)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        state.wanted = usize::MAX;
        state
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Closing<'a, T>(&'a Queue<T>);

impl<T> Drop for Closing<'_, T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(1);

    #[test]
    fn entries_come_out_as_they_went_in() {
        let queue = Queue::new(10);
        for n in 0..5 {
            assert_eq!(queue.put(n), Ok(()));
        }
        let mut batch = Vec::new();
        assert_eq!(queue.gather(&mut batch, SOON, 3), Gathered::Batch);
        assert_eq!(batch, [0, 1, 2]);
        batch.clear();
        assert_eq!(queue.gather(&mut batch, SOON, 3), Gathered::Batch);
        assert_eq!(batch, [3, 4]);
    }

    #[test]
    fn a_full_queue_gives_back_and_a_closed_one_too() {
        let queue = Queue::new(1);
        assert_eq!(queue.put(1), Ok(()));
        assert_eq!(queue.put(2), Err(2));
        queue.close();
        let mut batch = Vec::new();
        assert_eq!(queue.gather(&mut batch, SOON, 9), Gathered::Last);
        assert_eq!(batch, [1], "what was in it when it closed is not lost");
        assert_eq!(queue.put(3), Err(3));
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn what_a_closed_queue_holds_comes_out_batch_by_batch() {
        let queue = Queue::new(10);
        (0..3).for_each(|n| queue.put(n).unwrap());
        queue.close();
        let mut batch = Vec::new();
        assert_eq!(queue.gather(&mut batch, SOON, 2), Gathered::Batch);
        batch.clear();
        assert_eq!(queue.gather(&mut batch, SOON, 2), Gathered::Last);
        assert_eq!(batch, [2]);
    }

    #[test]
    fn a_sleeping_taker_is_woken_by_the_first_entry_and_by_a_full_batch() {
        let queue = Queue::new(100);
        let forever = Duration::from_secs(3600);
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| {
                let mut batch = Vec::new();
                (queue.gather(&mut batch, forever, 7), batch)
            });
            (0..7).for_each(|n| queue.put(n).unwrap());
            let (gathered, batch) = taker.join().unwrap();
            assert_eq!((gathered, batch), (Gathered::Batch, (0..7).collect()));
        });
    }

    #[test]
    fn a_batch_that_is_kept_is_added_to() {
        let queue = Queue::new(10);
        queue.put(2).unwrap();
        let mut batch = vec![1];
        assert_eq!(queue.gather(&mut batch, SOON, 9), Gathered::Batch);
        assert_eq!(batch, [1, 2]);
    }
}
