//! More than the monitor can take: it must go on, say what it missed, and be itself again when it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sched::CpuSet;

use serde_json::{Value, json};

use crate::bench::{Bench, Shape};
use crate::daemon::{Daemon, Log, Probing};
use crate::place::{self, Problem};

/// So long after the overload, nothing may be missed any more.
const RECOVERY: Duration = Duration::from_secs(1);
/// How often its memory is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(100);
/// How long is looked at after the recovery.
const AFTER: Duration = Duration::from_secs(2);
/// Probes a second then.
const AFTER_PROBES_PER_S: f64 = 100.0;
/// Nearly ten thousand pairs have a row each: more often would be an overload of the database besides.
const INTERVAL: Duration = Duration::from_secs(5);
/// An overload is more than this many times what is taken.
const TIMES: f64 = 2.0;
/// How long it is tried whether it is one.
const TRIAL: Duration = Duration::from_secs(2);
/// Others that the monitor shares each of its processors with, at most.
const HOGS_MAX: u32 = 128;
/// Of the copies that came without loss, what is offered: the reflector must not be the one that drops.
const OFFERED: f64 = 0.9;

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// How long it lasted.
    pub time: Duration,
    /// Busy threads that each of the monitor's processors had besides.
    pub hogs: u32,
    /// Copies that reached the monitor's link, a second.
    pub offered_per_s: f64,
    /// Of these, copies that the monitor counted, a second.
    pub taken_per_s: f64,
    /// Probes for which the reflector had no room, and copies that its kernel refused: the bench's limit. The network, as the
    /// monitor sees it, lost what would have come of the first.
    pub reflector: (u64, u64),
    /// Copies that it did not count, in all.
    pub missed: u64,
    /// Packets, own ones too, that it says its capture dropped.
    pub monitor_drops: u64,
    /// Results that it says the database had no time for.
    pub record_drops: u64,
    /// Intervals of pairs with losses, and of these, intervals that say that the capture dropped packets.
    pub lossy_rows: (u64, u64),
    /// Resident memory, bytes: the most in each sixth of the time.
    pub resident_bytes: [u64; 6],
    /// Copies expected and lost from a second after the end on.
    pub after: (u64, u64),
}

impl Outcome {
    /// Copies that the monitor missed and has not counted as dropped by itself.
    pub fn unattributed(&self) -> u64 {
        self.missed.saturating_sub(self.monitor_drops)
    }

    fn is_overload(&self) -> bool {
        self.offered_per_s > TIMES * self.taken_per_s
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "seconds": self.time.as_secs_f64(), "hogs": self.hogs, "offered_per_s": self.offered_per_s, "taken_per_s": self.taken_per_s,
            "reflector_dropped": self.reflector.0, "reflector_refused": self.reflector.1, "missed": self.missed, "monitor_drops": self.monitor_drops,
            "record_drops": self.record_drops, "unattributed": self.unattributed(),
            "lossy_intervals": self.lossy_rows.0, "lossy_intervals_that_say_so": self.lossy_rows.1,
            "resident_bytes": self.resident_bytes,
            "after_expected": self.after.0, "after_lost": self.after.1,
        })
    }
}

/// Threads that do nothing, busily: whoever shares their processors gets a part of them.
struct Hogs {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Hogs {
    /// So many for each of the processors.
    fn on(processors: CpuSet, each: u32) -> Hogs {
        let stop = Arc::new(AtomicBool::new(false));
        let count = (0..CpuSet::count()).filter(|cpu| processors.is_set(*cpu).unwrap_or(false));
        let threads = (0..count.count() as u32 * each).map(|_| {
            let told = Arc::clone(&stop);
            std::thread::spawn(move || {
                place::keep_to(&processors);
                while !told.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        });
        Hogs {
            threads: threads.collect(),
            stop,
        }
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Looks at the monitor's memory for so long: the most in each sixth of it.
fn watch_memory(daemon: &Daemon, time: Duration) -> [u64; 6] {
    let begun = Instant::now();
    let mut most = [0; 6];
    while begun.elapsed() < time {
        let sixth = (6.0 * begun.elapsed().as_secs_f64() / time.as_secs_f64()) as usize;
        let most = &mut most[sixth.min(5)];
        *most = daemon.resident_bytes().max(*most);
        std::thread::sleep(WATCH_EVERY.min(time.saturating_sub(begun.elapsed())));
    }
    most
}

/// Offers the monitor nearly as many copies as came without loss, `taken_per_s`, and takes so much of its processors away that
/// they are more than twice what it can take: the reflector is hardly faster than a monitor that has a processor to itself.
pub fn measure(
    bench: &Bench,
    shape: Shape,
    taken_per_s: f64,
    time: Duration,
) -> Result<Outcome, Problem> {
    let offered_per_s = OFFERED * taken_per_s;
    let mut hogs = 4;
    while !run(bench, shape, offered_per_s, hogs, TRIAL)?.is_overload() {
        hogs *= 2;
        if hogs > HOGS_MAX {
            return Err(format!(
                "cannot overload the monitor: it takes more than half of {offered_per_s:.0} copies/s even beside {HOGS_MAX} busy threads; keep it to fewer processors (taskset)"
            ));
        }
    }
    run(bench, shape, offered_per_s, hogs, time)
}

fn run(
    bench: &Bench,
    shape: Shape,
    offered_per_s: f64,
    hogs: u32,
    time: Duration,
) -> Result<Outcome, Problem> {
    let reflector = bench.reflector(shape.tunnels, false)?;
    let mut daemon = bench.daemon(shape.tunnels, Log::Intervals)?;
    let probing = |name: &str, probes_per_s, time| Probing {
        name: name.to_owned(),
        tunnels: shape.tunnels,
        per_group: shape.per_group,
        probes_per_s,
        payload_bytes: bench.payload_bytes,
        warmup: RECOVERY,
        time,
        interval: INTERVAL,
    };
    let probes_per_s = offered_per_s / f64::from(shape.per_group - 1);
    let heavy = probing("heavy", probes_per_s, time);
    heavy.start(&mut daemon)?;
    let busy = Hogs::on(bench.processors.1, hogs);
    let resident_bytes = watch_memory(&daemon, RECOVERY + time);
    drop(busy);
    // The end of its tasks is waited for while the next begins: that is the second in which it must recover.
    let light = probing("light", AFTER_PROBES_PER_S, AFTER);
    light.start(&mut daemon)?;
    light.wait(&mut daemon)?;
    heavy.wait(&mut daemon)?;
    let after = light.counted(&mut daemon)?;
    let lossy_rows = heavy.lossy_rows(&mut daemon)?;
    let received = daemon.ask(&json!({"op": "overhead"}))?["probes_received"]["packets"]
        .as_u64()
        .unwrap_or(0);
    let status = daemon.ask(&json!({"op": "status"}))?;
    let number = |field: &str| status[field].as_u64().unwrap_or(0);
    let deeds = reflector.stop();
    let offered = deeds.sent.sent - deeds.pings.min(deeds.sent.sent);
    let seconds = (RECOVERY + time).as_secs_f64();
    let outcome = Outcome {
        time,
        hogs,
        offered_per_s: offered as f64 / seconds,
        taken_per_s: received as f64 / seconds,
        reflector: (deeds.ring.dropped, deeds.sent.refused),
        missed: offered.saturating_sub(received),
        monitor_drops: number("capture_drops"),
        record_drops: number("record_drops"),
        lossy_rows,
        resident_bytes,
        after: (after.expected, after.lost),
    };
    bench.say(&format!(
        "overload: {outcome:?}, unattributed {}",
        outcome.unattributed()
    ));
    Ok(outcome)
}
