//! How many copies of probes a second the monitor accounts for without losing one, beside the reference on the same path.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bench::{Bench, Shape};
use crate::daemon::{Daemon, Log, Probing};
use crate::place::Problem;
use crate::reference::{self, Reached};
use crate::reflector::{Deeds, Reflector};

/// How long the reference runs.
const REFERENCE_TIME: Duration = Duration::from_secs(3);
/// How long a rate is tried.
const TRIAL_TIME: Duration = Duration::from_millis(1_500);
/// How long the rate that was found is held in the end.
const FINAL_TIME: Duration = Duration::from_secs(4);
/// Before counting begins: joins are on their way, and both sides' caches are cold.
const WARMUP: Duration = Duration::from_millis(700);
/// Rates tried at most before the last.
const TRIALS_MAX: u32 = 6;
/// A monitor that sends less than this part of what it was told to is behind.
const KEEPS_UP: f64 = 0.98;

/// One rate, tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Trial {
    /// Probes a second, told.
    pub told_per_s: f64,
    /// Probes a second, sent.
    pub sent_per_s: f64,
    /// Copies a second that were received, matched and accounted for.
    pub accounted_per_s: f64,
    /// Copies that the monitor missed.
    pub lost: u64,
    /// Packets that the monitor says its own capture dropped.
    pub monitor_drops: u64,
    /// Frames the reflector had no room for.
    pub reflector_drops: u64,
    /// Nanoseconds of processor time the monitor used, a packet sent or received.
    pub ns_per_packet: f64,
}

impl Trial {
    /// Nothing lost, nothing dropped, and not behind.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.monitor_drops == 0 && self.sent_per_s >= KEEPS_UP * self.told_per_s
    }

    fn line(&self) -> String {
        format!(
            "  told {:>9.0} probes/s: sent {:>9.0}, accounted {:>9.0}, lost {}, dropped by the monitor {}, by the reflector {}, {:.0} ns a packet",
            self.told_per_s,
            self.sent_per_s,
            self.accounted_per_s,
            self.lost,
            self.monitor_drops,
            self.reflector_drops,
            self.ns_per_packet
        )
    }

    fn json(&self) -> Value {
        json!({
            "told_per_s": self.told_per_s, "sent_per_s": self.sent_per_s, "accounted_per_s": self.accounted_per_s,
            "lost": self.lost, "monitor_drops": self.monitor_drops, "reflector_drops": self.reflector_drops,
            "processor_ns_per_packet": self.ns_per_packet,
        })
    }
}

/// What came out for one shape.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Which.
    pub shape: Shape,
    /// What the reference reached.
    pub reference: Reached,
    /// The monitor's highest clean rate, held once more; none if no rate was clean.
    pub best: Option<Trial>,
}

impl Outcome {
    /// Copies a second of monitor over reference.
    pub fn ratio(&self) -> Option<f64> {
        self.best
            .map(|best| best.accounted_per_s / self.reference.received_per_s)
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "tunnels": self.shape.tunnels, "per_group": self.shape.per_group,
            "reference": {
                "sent_per_s": self.reference.sent_per_s, "received_per_s": self.reference.received_per_s,
                "lost": self.reference.lost,
            },
            "monitor": self.best.map(|best| best.json()), "ratio": self.ratio(),
        })
    }
}

/// Measures one shape.
pub fn measure(bench: &Bench, shape: Shape) -> Result<Outcome, Problem> {
    let reference = run_reference(bench, shape)?;
    bench.say(&format!(
        "{}: the reference sends {:.0} probes/s, receives {:.0} copies/s, {} lost",
        shape.name, reference.sent_per_s, reference.received_per_s, reference.lost
    ));
    let reflector = bench.reflector(shape.tunnels, false)?;
    let daemon = bench.daemon(shape.tunnels, Log::Intervals)?;
    let mut trials = Trials {
        bench,
        shape,
        daemon,
        reflector: &reflector,
        number: 0,
    };
    let best = trials.search(reference.sent_per_s);
    // The reflector's own drops are the bench's limit, and are said.
    let deeds = reflector.stop();
    say_reflector(bench, &deeds);
    Ok(Outcome {
        shape,
        reference,
        best: best?,
    })
}

fn say_reflector(bench: &Bench, deeds: &Deeds) {
    bench.say(&format!(
        "  the reflector saw {} probes, made {} copies, answered {} pings, dropped {}, was refused {}",
        deeds.probes, deeds.copies, deeds.pings, deeds.ring.dropped, deeds.sent.refused
    ));
}

fn run_reference(bench: &Bench, shape: Shape) -> Result<Reached, Problem> {
    let reflector = bench.reflector(shape.tunnels, false)?;
    let options = reference::Options {
        tunnels: shape.tunnels,
        per_group: shape.per_group,
        payload_bytes: bench.payload_bytes,
        time: REFERENCE_TIME,
    };
    let reached = bench.in_monitors_place(move || reference::run(options));
    reflector.stop();
    reached.map_err(|error| format!("cannot run the reference: {error}"))
}

struct Trials<'a> {
    bench: &'a Bench,
    shape: Shape,
    daemon: Daemon,
    reflector: &'a Reflector,
    number: u32,
}

impl Trials<'_> {
    /// The highest clean rate between nothing and a little more than the reference's, found by halving.
    fn search(&mut self, reference_per_s: f64) -> Result<Option<Trial>, Problem> {
        let (mut clean, mut dirty) = (0.0, reference_per_s * 1.05);
        let mut next = reference_per_s * 0.8;
        for _ in 0..TRIALS_MAX {
            if self.run(next, TRIAL_TIME)?.is_clean() {
                clean = next;
            } else {
                dirty = next;
            }
            if clean > 0.0 && (dirty - clean) / clean < 0.04 {
                break;
            }
            next = if clean > 0.0 {
                (clean + dirty) / 2.0
            } else {
                next * 0.6
            };
        }
        // A rate that was clean for a moment may not be for longer.
        for part in [1.0, 0.93, 0.86] {
            if clean == 0.0 {
                break;
            }
            let last = self.run(clean * part, FINAL_TIME)?;
            if last.is_clean() {
                return Ok(Some(last));
            }
        }
        Ok(None)
    }

    fn run(&mut self, told_per_s: f64, time: Duration) -> Result<Trial, Problem> {
        self.number += 1;
        let probing = Probing {
            name: format!("trial{}", self.number),
            tunnels: self.shape.tunnels,
            per_group: self.shape.per_group,
            probes_per_s: told_per_s,
            payload_bytes: self.bench.payload_bytes,
            warmup: WARMUP,
            time,
            interval: Duration::from_secs(1),
        };
        let daemon = &mut self.daemon;
        let drops = |daemon: &mut Daemon| {
            daemon
                .ask(&json!({"op": "status"}))
                .map(|status| status["capture_drops"].as_u64().unwrap_or(0))
        };
        // Counters are looked at twice a second; the joins of the warm-up are the first to come.
        let before = drops(daemon)?;
        let reflector_before = self.reflector.dropped();
        let used = daemon.processor_ns();
        probing.start(daemon)?;
        probing.wait(daemon)?;
        let used = daemon.processor_ns() - used;
        std::thread::sleep(Duration::from_millis(600));
        let monitor_drops = drops(daemon)? - before;
        let counted = probing.counted(daemon)?;
        probing.drop(daemon)?;
        let receivers = f64::from(self.shape.per_group - 1);
        let seconds = time.as_secs_f64();
        let sent_per_s = counted.expected as f64 / receivers / seconds;
        let accounted_per_s = counted.received as f64 / seconds;
        let all_seconds = (WARMUP + time).as_secs_f64();
        let trial = Trial {
            told_per_s,
            sent_per_s,
            accounted_per_s,
            lost: counted.lost,
            monitor_drops,
            reflector_drops: self.reflector.dropped() - reflector_before,
            ns_per_packet: used as f64 / ((sent_per_s + accounted_per_s) * all_seconds),
        };
        self.bench.say(&trial.line());
        Ok(trial)
    }
}
