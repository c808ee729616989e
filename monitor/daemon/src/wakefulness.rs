//! Waking up on time: what a processor takes to wake us is learned, and slept for that much less.
//!
//! A sleep ends when its timer has fired, the processor has come out of its own sleep and the scheduler has come round to us:
//! some tens of microseconds in a virtual machine, and nearly always as many. Who gets up that much earlier and stays awake
//! for the rest is on time.

use std::fs::File;
use std::io::{self, Write};

use vmscope_core::time::{Instant, Span};

/// Where the kernel is told how quickly its processors must wake up (Documentation/power/pm_qos_interface).
pub const LATENCY: &str = "/dev/cpu_dma_latency";
/// Never awake for longer than this before anything is to be done.
const LEAD_MAX_NS: u64 = 50_000;
/// The lead grows by so much when it was too short, and shrinks by as much when it was not: it comes to where half of all sleeps
/// end in time, and the others little later. To be in time for these as well would cost more than it is worth.
const STEP_NS: u64 = 200;

/// A thread that wants the processor for so little at a time gets it at once from those that want it for longer, nanoseconds:
/// the least that the kernel knows (sched_setattr(2), from Linux 6.12 on; others take no notice).
const SLICE_NS: u64 = 100_000;

/// Asks the kernel to end this thread's sleeps on time, rather than up to 50 µs late, and to let it run then.
pub fn wake_precisely() {
    // SAFETY: sets a number of the calling thread; the kernel writes and reads one structure of the size that it is told. If it
    // refuses, pacing is a little coarser.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong, 0, 0, 0);
        let mut attributes: libc::sched_attr = std::mem::zeroed();
        let size = size_of::<libc::sched_attr>() as libc::c_uint;
        let known = libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) == 0;
        // Who runs it in another class has said what it is to get.
        if known && attributes.sched_policy == libc::SCHED_OTHER as u32 {
            attributes.sched_runtime = SLICE_NS;
            libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0);
        }
    }
}

/// How much earlier to get up.
#[derive(Debug, Default)]
pub struct Lead {
    ns: u64,
}

impl Lead {
    /// So long before anything is to be done, sleep must end.
    pub fn span(&self) -> Span {
        Span::from_ns(self.ns)
    }

    /// A sleep that was to end at `due` did so.
    pub fn handle_woken(&mut self, due: Instant, now: Instant) {
        self.ns = match now.since(due).as_ns() > self.ns {
            true => (self.ns + STEP_NS).min(LEAD_MAX_NS),
            false => self.ns.saturating_sub(STEP_NS),
        };
    }
}

/// Keeps all processors of the host from sleeping deeply, until it is dropped.
#[derive(Debug)]
pub struct Wakefulness {
    _held: File,
}

impl Wakefulness {
    /// Asks the kernel for it.
    pub fn keep() -> io::Result<Wakefulness> {
        let mut held = File::options().write(true).open(LATENCY)?;
        held.write_all(&0_i32.to_ne_bytes())?;
        Ok(Wakefulness { _held: held })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sleeps that end so much after they were to, one after the other.
    fn lead_after(latencies_ns: impl Iterator<Item = u64>) -> u64 {
        let mut lead = Lead::default();
        for (n, latency_ns) in latencies_ns.enumerate() {
            let due = Instant::from_ns(1_000_000 * n as u64);
            lead.handle_woken(due, due + Span::from_ns(latency_ns));
        }
        lead.span().as_ns()
    }

    #[test]
    fn it_is_enough_for_every_other_sleep() {
        let even = lead_after((0..10_000).map(|n| 10_000 + n * 7_919 % 8_000));
        assert!((13_000..15_000).contains(&even), "{even}");
        let rare = lead_after((0..10_000).map(|n| if n % 20 == 0 { 1_000_000 } else { 13_000 }));
        assert!((12_800..=13_200).contains(&rare), "{rare}");
    }

    #[test]
    fn nobody_is_awake_for_long_and_who_is_punctual_sleeps() {
        assert_eq!(
            lead_after(std::iter::repeat_n(9_000_000, 1_000)),
            LEAD_MAX_NS
        );
        assert_eq!(lead_after(std::iter::repeat_n(0, 1_000)), 0);
    }
}
