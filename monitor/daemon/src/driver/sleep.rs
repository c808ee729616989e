//! Sleeping until there is something to do, and getting up in time for it.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags};
use nix::sys::time::TimeSpec;
use vmscope_core::time::{Instant, Span};

use super::Driver;
use crate::clock;
use crate::error::StartError;

/// Nearer deadlines are not slept for: going to sleep and waking up takes as long.
const NO_SLEEP: Span = Span::from_ns(3_000);

/// Why sleep ended.
struct News {
    timed_out: bool,
    rang: bool,
    stepped: bool,
    hops_changed: bool,
    captured: bool,
}

impl Driver {
    pub(super) fn is_time_to_read(&self) -> bool {
        self.rhythm
            .until()
            .is_some_and(|until| until <= clock::now())
    }

    /// Sleeps until there is something to do.
    pub(super) fn wait(&mut self) -> Result<(), StartError> {
        let before = clock::now();
        let deadline = self.next_deadline();
        let left = match deadline.since(before + self.lead.span()) {
            left if left <= NO_SLEEP => Span::ZERO,
            left => left,
        };
        let news = self.poll_sources(left)?;
        if news.captured {
            self.rhythm.handle_first(clock::now());
        } else if self.rhythm.until().is_none() {
            self.ring_empty_at = before;
        }
        if news.rang {
            self.parts.inbox.silence();
        }
        if news.hops_changed {
            self.parts.transmitter.follow();
        }
        if news.stepped {
            let cleared = self.parts.steps.clear();
            cleared.map_err(StartError::socket("watch the wall clock"))?;
            self.compare_clocks();
        }
        if news.timed_out {
            self.await_deadline(deadline, (!left.is_zero()).then_some(before + left));
        }
        Ok(())
    }

    /// Sleeps for so long, or until something comes in.
    fn poll_sources(&self, left: Span) -> Result<News, StartError> {
        let left = TimeSpec::from_duration(std::time::Duration::from_nanos(left.as_ns()));
        let bell = self.parts.inbox.as_fd();
        // Where nobody tells of next hops, the bell is listened to twice.
        let hops = self.parts.transmitter.changes().unwrap_or(bell);
        let mut sources = [
            PollFd::new(bell, PollFlags::POLLIN),
            PollFd::new(self.parts.steps.as_fd(), PollFlags::POLLIN),
            PollFd::new(hops, PollFlags::POLLIN),
            PollFd::new(self.parts.capture.as_fd(), PollFlags::POLLIN),
        ];
        // While packets gather, more of them are no news.
        let watched = match self.rhythm.until() {
            Some(_) => &mut sources[..3],
            None => &mut sources[..],
        };
        let timed_out = match nix::poll::ppoll(watched, Some(left), None) {
            Ok(ready) => ready == 0,
            Err(Errno::EINTR) => false,
            Err(error) => {
                return Err(StartError::Socket {
                    attempted: "wait for packets",
                    source: error.into(),
                });
            }
        };
        let has_news = |source: &PollFd<'_>| source.any().unwrap_or(false);
        let [rang, stepped, hops_changed, captured] = sources.each_ref().map(has_news);
        Ok(News {
            timed_out,
            rang,
            stepped,
            hops_changed,
            captured,
        })
    }

    /// Stays awake for what is left, which is no more than the lead. `slept_until` is when sleep was to end, if there was any.
    fn await_deadline(&mut self, deadline: Instant, slept_until: Option<Instant>) {
        let mut now = clock::now();
        if let Some(due) = slept_until {
            self.lead.handle_woken(due, now);
        }
        while now < deadline {
            std::hint::spin_loop();
            now = clock::now();
        }
    }

    /// When there is something to do even if nothing comes in.
    fn next_deadline(&self) -> Instant {
        [self.parts.session.next_deadline(), self.rhythm.until()]
            .into_iter()
            .flatten()
            .fold(self.counters_due, Instant::min)
    }
}
