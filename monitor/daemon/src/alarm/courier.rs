//! One sink's thread: takes what waits, delivers it in order, tries again, gives up, and says so.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use vmscope_core::alarm::Severity;

use super::parcel::Parcel;
use super::{Failure, Sink};

/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// How often, and how patiently, a sink is tried.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    pub attempts: u32,
    pub pause: Duration,
}

impl Patience {
    /// It cannot fail in a way that passes.
    pub const NONE: Patience = Patience {
        attempts: 1,
        pause: Duration::ZERO,
    };
    /// A place on this host: it is back at once, or somebody must look after it.
    pub const LOCAL: Patience = Patience {
        attempts: 4,
        pause: Duration::from_millis(250),
    };
}

/// How a sink is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SinkHealth {
    /// Where it leads.
    pub sink: String,
    /// Notices delivered.
    pub delivered: u64,
    /// Attempts that failed and were followed by another.
    pub repeated: u64,
    /// Notices given up, after as many attempts as there may be, or because the sink will never take them.
    pub failed: u64,
    /// Notices for which there was no room in the queue.
    pub dropped: u64,
    /// Notices that wait.
    pub waiting: u64,
    /// Why it does not deliver, as long as it does not.
    pub failing: Option<String>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Arc<Parcel>>,
    /// Deliver what waits, and end.
    closed: bool,
    /// The thread is at one of them.
    busy: bool,
    /// The thread has ended.
    ended: bool,
    health: SinkHealth,
}

pub struct Courier {
    shared: Arc<Shared>,
    severity_min: Severity,
    waiting_max: usize,
}

impl Courier {
    pub fn start(
        name: String,
        sink: Box<dyn Sink>,
        patience: Patience,
        severity_min: Severity,
        waiting_max: usize,
    ) -> std::io::Result<Courier> {
        let mut state = State::default();
        state.health.sink = name;
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let mut round = Round {
            shared: Arc::clone(&shared),
            sink,
            patience,
        };
        thread::Builder::new()
            .name("alarm-sink".to_owned())
            .spawn(move || round.run())?;
        Ok(Courier {
            shared,
            severity_min,
            waiting_max,
        })
    }

    pub fn severity_min(&self) -> Severity {
        self.severity_min
    }

    /// Never waits for the sink: the thread holds the lock only to take from the queue.
    pub fn put(&self, parcel: &Arc<Parcel>) {
        let mut state = self.shared.lock();
        if state.waiting.len() >= self.waiting_max {
            state.health.dropped += 1;
            return;
        }
        state.waiting.push_back(Arc::clone(parcel));
        self.shared.changed.notify_all();
    }

    #[cfg(test)]
    pub fn health(&self) -> SinkHealth {
        self.shared.lock().report()
    }

    pub fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }

    /// Waits until all that was put has been dealt with.
    #[cfg(test)]
    pub fn settle(&self, patience: Duration) -> SinkHealth {
        let at_it = |state: &mut State| state.busy || !state.waiting.is_empty();
        let state = self.shared.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, patience, at_it);
        let (state, timeout) = waited.unwrap();
        assert!(!timeout.timed_out(), "it is still at it");
        state.report()
    }

    /// Waits for the thread until then. One that is still at it is left behind, with what it has.
    pub fn finish(self, until: Instant) -> SinkHealth {
        self.close();
        let left = until.saturating_duration_since(Instant::now());
        let waited = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), left, |state| !state.ended);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let left_over = state.waiting.len() as u64 + u64::from(state.busy);
        state.waiting.clear();
        state.health.failed += left_over;
        if left_over > 0 {
            let sink = &state.health.sink;
            tracing::error!(
                "{left_over} alarm notices to {sink} were not delivered before the end"
            );
        }
        state.report()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked with the lock has at worst left a count behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn report(&self) -> SinkHealth {
        SinkHealth {
            waiting: self.waiting.len() as u64,
            ..self.health.clone()
        }
    }
}

/// What the thread works with.
struct Round {
    shared: Arc<Shared>,
    sink: Box<dyn Sink>,
    patience: Patience,
}

impl Round {
    fn run(&mut self) {
        let mut dropped_said = 0;
        while let Some(parcel) = self.next() {
            self.deliver(&parcel);
            dropped_said = self.say_dropped(dropped_said);
            self.shared.lock().busy = false;
            self.shared.changed.notify_all();
        }
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
    }

    fn next(&self) -> Option<Arc<Parcel>> {
        let state = self.shared.lock();
        let nothing = |state: &mut State| state.waiting.is_empty() && !state.closed;
        let waited = self.shared.changed.wait_while(state, nothing);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        let parcel = state.waiting.pop_front();
        state.busy = parcel.is_some();
        parcel
    }

    fn deliver(&mut self, parcel: &Parcel) {
        let mut pause = self.patience.pause;
        for attempt in 1.. {
            match self.sink.deliver(parcel) {
                Ok(()) => return self.delivered(),
                Err(failure) => {
                    let last = attempt >= self.patience.attempts;
                    if !failure.passing || last || !self.pause(pause, &failure) {
                        return self.given_up(&failure);
                    }
                }
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn delivered(&self) {
        let mut state = self.shared.lock();
        state.health.delivered += 1;
        let recovered = state.health.failing.take().is_some();
        let SinkHealth { sink, failed, .. } = state.health.clone();
        // The log may have to wait, and whoever raises alarms must not.
        drop(state);
        if recovered {
            tracing::info!("alarm notices reach {sink} again; {failed} never did");
        }
    }

    fn given_up(&self, failure: &Failure) {
        let problem = &failure.problem;
        let mut state = self.shared.lock();
        state.health.failed += 1;
        let first = state.health.failing.replace(problem.clone()).is_none();
        let sink = state.health.sink.clone();
        drop(state);
        if first {
            tracing::error!("an alarm notice to {sink} is given up: {problem}");
        }
    }

    /// Says what had to be dropped since last time.
    fn say_dropped(&self, said: u64) -> u64 {
        let SinkHealth { sink, dropped, .. } = self.shared.lock().health.clone();
        if dropped > said {
            let new = dropped - said;
            tracing::error!("{new} alarm notices to {sink} were dropped: it takes them too slowly");
        }
        dropped
    }

    /// Waits before another attempt. Not done, and false, if all is to end.
    fn pause(&self, pause: Duration, failure: &Failure) -> bool {
        let state = self.shared.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, pause, |state| !state.closed);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return false;
        }
        state.health.repeated += 1;
        let sink = state.health.sink.clone();
        drop(state);
        tracing::debug!("{sink} is tried again: {}", failure.problem);
        true
    }
}
