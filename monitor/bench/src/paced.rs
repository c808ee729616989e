//! At the rate of the paper's monitor, 25,000 probes a second: how true delays are, how punctual sending is, what it costs.
//!
//! The truth is the other end of the link: there the kernel stamps each probe as it comes and each copy as it goes. What
//! the monitor says of a delay more than the time in between is the error of its own and of the two crossings of the link.

use std::collections::HashMap;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::bench::{Bench, Shape};
use crate::daemon::{Daemon, Log, Probing};
use crate::place::Problem;
use crate::reference;
use crate::reflector::Sighting;
use crate::socket;

/// Probes a second.
pub const PROBES_PER_S: f64 = 25_000.0;
/// Before counting begins.
const WARMUP: Duration = Duration::from_secs(1);

/// Absolute errors in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Errors {
    /// How many.
    pub samples: usize,
    /// Half are no larger.
    pub median_ns: u64,
    /// One in a hundred is larger.
    pub p99_ns: u64,
    /// The largest.
    pub max_ns: u64,
}

impl Errors {
    fn of(mut errors: Vec<u64>) -> Option<Errors> {
        errors.sort_unstable();
        let samples = errors.len();
        let at = |part: f64| errors.get((samples as f64 * part) as usize).copied();
        Some(Errors {
            samples,
            median_ns: at(0.5)?,
            p99_ns: at(0.99)?,
            max_ns: *errors.last()?,
        })
    }

    fn json(self) -> Value {
        json!({"samples": self.samples, "median_ns": self.median_ns, "p99_ns": self.p99_ns, "max_ns": self.max_ns})
    }
}

/// What came out.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Errors of delays, with every probe's fate logged.
    pub delay: Option<Errors>,
    /// Sending without that log: as it is, and with the processors kept awake.
    pub sending: [Sending; 2],
}

/// How probes were sent.
#[derive(Debug, Clone)]
pub struct Sending {
    /// Whether processors were kept from sleeping deeply.
    pub keeps_awake: bool,
    /// How late they were.
    pub errors: Option<Errors>,
    /// The monitor's processor time over real time.
    pub processor_share: f64,
    /// How long its thread had to wait for a processor that others had, over real time.
    pub waited_share: f64,
    /// Of a loop that only sleeps, sends and is shown packets: the same share, and its errors of sending.
    pub reference: (f64, Option<Errors>),
    /// Copies expected and lost.
    pub counted: (u64, u64),
}

impl Outcome {
    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "probes_per_s": PROBES_PER_S, "delay_error": self.delay.map(Errors::json),
            "sending": self.sending.iter().map(Sending::json).collect::<Vec<_>>(),
        })
    }
}

impl Sending {
    fn json(&self) -> Value {
        json!({
            "keep_awake": self.keeps_awake, "pacing_error": self.errors.map(Errors::json),
            "processor_share": self.processor_share, "waited_share": self.waited_share,
            "reference_processor_share": self.reference.0, "reference_pacing_error": self.reference.1.map(Errors::json),
            "expected": self.counted.0, "lost": self.counted.1,
        })
    }
}

/// Measures.
pub fn measure(bench: &Bench, shape: Shape) -> Result<Outcome, Problem> {
    let delay = delays(bench, shape)?;
    bench.say(&format!("paced: error of delay {delay:?}"));
    let send = |keeps_awake| {
        let sending = send(bench, shape, keeps_awake)?;
        bench.say(&format!("paced: {sending:?}"));
        Ok::<Sending, Problem>(sending)
    };
    Ok(Outcome {
        delay,
        sending: [send(false)?, send(true)?],
    })
}

fn probing(bench: &Bench, shape: Shape, time: Duration) -> Probing {
    Probing {
        name: "paced".to_owned(),
        tunnels: shape.tunnels,
        per_group: shape.per_group,
        probes_per_s: PROBES_PER_S,
        payload_bytes: bench.payload_bytes,
        warmup: WARMUP,
        time,
        interval: Duration::from_secs(1),
    }
}

fn delays(bench: &Bench, shape: Shape) -> Result<Option<Errors>, Problem> {
    let reflector = bench.reflector(shape.tunnels, true)?;
    let mut daemon = bench.daemon(shape.tunnels, Log::Probes)?;
    let probing = probing(bench, shape, Duration::from_secs(4));
    probing.start(&mut daemon)?;
    probing.wait(&mut daemon)?;
    daemon.stop()?;
    let deeds = reflector.stop();
    let claims = claims(&daemon)?;
    let mut came = HashMap::new();
    let mut errors = Vec::new();
    for sighting in &deeds.sightings {
        match sighting.receiver {
            None => {
                came.insert((sighting.sender, sighting.seq), sighting.stamp_ns);
            }
            Some(receiver) => {
                let Some(came) = came.get(&(sighting.sender, sighting.seq)) else {
                    continue;
                };
                let held_ns = sighting.stamp_ns.cast_signed() - came.cast_signed();
                if let Some(delay_ns) = claims.get(&(sighting.sender, receiver, sighting.seq)) {
                    errors.push((delay_ns - held_ns).unsigned_abs());
                }
            }
        }
    }
    Ok(Errors::of(errors))
}

/// Delays by sender, receiver and number, as the monitor has written them down.
fn claims(daemon: &Daemon) -> Result<HashMap<(u32, u32, u32), i64>, Problem> {
    let failed = |error: rusqlite::Error| format!("cannot read the monitor's database: {error}");
    let database = Connection::open_with_flags(daemon.database(), OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(failed)?;
    let query = "SELECT sender, receiver, seq, received_ns - sent_ns FROM probe_log WHERE fate = 'received' AND warmup = 0";
    let mut statement = database.prepare(query).map_err(failed)?;
    let rows = statement.query_map([], |row| {
        Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?))
    });
    rows.map_err(failed)?
        .collect::<Result<_, _>>()
        .map_err(failed)
}

fn send(bench: &Bench, shape: Shape, keeps_awake: bool) -> Result<Sending, Problem> {
    let reflector = bench.reflector(shape.tunnels, true)?;
    let more = format!("keep_awake = {keeps_awake}");
    let mut daemon = bench.daemon_with(shape.tunnels, Log::Intervals, &more)?;
    let time = Duration::from_secs(8);
    let probing = probing(bench, shape, time);
    probing.start(&mut daemon)?;
    std::thread::sleep(WARMUP);
    let begun = std::time::Instant::now();
    let (used, waited) = (daemon.processor_ns(), daemon.waited_ns());
    std::thread::sleep(time - WARMUP);
    let share = |ns: u64| ns as f64 / begun.elapsed().as_nanos() as f64;
    let processor_share = share(daemon.processor_ns() - used);
    let waited_share = share(daemon.waited_ns() - waited);
    probing.wait(&mut daemon)?;
    let counted = probing.counted(&mut daemon)?;
    drop(daemon);
    let deeds = reflector.stop();
    let _held = match keeps_awake {
        true => Some(socket::keep_awake()?),
        false => None,
    };
    Ok(Sending {
        keeps_awake,
        errors: Errors::of(lateness(&deeds.sightings, shape)),
        processor_share,
        waited_share,
        reference: measure_reference(bench, shape)?,
        counted: (counted.expected, counted.lost),
    })
}

fn measure_reference(bench: &Bench, shape: Shape) -> Result<(f64, Option<Errors>), Problem> {
    let reflector = bench.reflector(shape.tunnels, true)?;
    let options = reference::Options {
        tunnels: shape.tunnels,
        per_group: shape.per_group,
        payload_bytes: bench.payload_bytes,
        time: Duration::from_secs(3),
    };
    let share = bench.in_monitors_place(move || reference::run_paced(options, PROBES_PER_S));
    let deeds = reflector.stop();
    let share = share.map_err(|error| format!("cannot run the paced reference: {error}"))?;
    // Its probes are numbered through.
    let gap_ns = 1e9 / PROBES_PER_S;
    let probes = || deeds.sightings.iter().filter(|s| s.receiver.is_none());
    let first_ns = probes().map(|s| s.stamp_ns).min().unwrap_or(0);
    let offset_ns = |s: &Sighting| (s.stamp_ns - first_ns) as f64 - f64::from(s.seq) * gap_ns;
    let least = probes().map(offset_ns).fold(f64::INFINITY, f64::min);
    let late = probes().map(|s| (offset_ns(s) - least) as u64).collect();
    Ok((share, Errors::of(late)))
}

/// How late each probe came to the other end, by the timetable of its group; nobody says when that began, so the most punctual
/// probe of a group is taken to be in time.
fn lateness(sightings: &[Sighting], shape: Shape) -> Vec<u64> {
    let gap_ns = 1e9 * f64::from(shape.tunnels) / PROBES_PER_S;
    let arrivals = || {
        sightings
            .iter()
            .filter(|sighting| sighting.receiver.is_none())
    };
    let epoch_ns = arrivals()
        .map(|sighting| sighting.stamp_ns)
        .min()
        .unwrap_or(0);
    let place = |sender: u32| {
        (
            (sender - 1) / shape.per_group,
            (sender - 1) % shape.per_group,
        )
    };
    let offset_ns = |sighting: &Sighting| {
        let phase = f64::from(place(sighting.sender).1) / f64::from(shape.per_group);
        (sighting.stamp_ns - epoch_ns) as f64 - (f64::from(sighting.seq) + phase) * gap_ns
    };
    let mut earliest: HashMap<u32, f64> = HashMap::new();
    for sighting in arrivals() {
        let earliest = earliest.entry(place(sighting.sender).0).or_insert(f64::MAX);
        *earliest = earliest.min(offset_ns(sighting));
    }
    arrivals()
        .map(|sighting| (offset_ns(sighting) - earliest[&place(sighting.sender).0]) as u64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_that_is_late_is_late_by_its_groups_timetable() {
        let shape = Shape {
            name: "two groups",
            tunnels: 4,
            per_group: 2,
        };
        let gap_ns = 160_000;
        let came = |sender: u32, seq: u32, late_ns: u64| {
            let (group, index) = ((sender - 1) / 2, (sender - 1) % 2);
            let stamp_ns = 1_000_000
                + u64::from(group) * 777
                + u64::from(seq) * gap_ns
                + u64::from(index) * gap_ns / 2
                + late_ns;
            Sighting {
                sender,
                seq,
                receiver: None,
                stamp_ns,
            }
        };
        let mut sightings: Vec<_> = (0..50)
            .flat_map(|seq| (1..=4).map(move |sender| came(sender, seq, 0)))
            .collect();
        sightings.push(came(3, 50, 9_000));
        let late = lateness(&sightings, shape);
        assert_eq!(
            late.iter().filter(|late| **late > 1).collect::<Vec<_>>(),
            [&9_000]
        );
        let errors = Errors::of(late).unwrap();
        assert_eq!((errors.samples, errors.max_ns), (201, 9_000));
        assert_eq!(Errors::of(Vec::new()), None);
    }
}
