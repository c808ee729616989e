//! The injectors audit themselves: was the impairment that was delivered the one that was asked for?
//!
//! Counts are tested by exact binomial tails; all tests of a run together raise a false alarm with a probability of at
//! most [`FALSE_ALARM`]. Delays are held against what netem's own rules say, frame by frame.

use super::{
    Truth,
    agreement::{Found, seconds},
    binomial,
    condition::{Era, Shares, longest_transit_ns},
    counters::Counters,
    crossing::{Crossing, ExitState},
    lane::{Lane, LaneKey},
    transit::{EARLY_NS, Transits, lateness},
    tunnel_audit,
};
use crate::scenario::{GilbertElliott, Impairment};

/// Probability that the audit of a whole run blames a lab that did what was asked.
pub const FALSE_ALARM: f64 = 1e-9;
/// Kinds of test per era: loss, loss at a full default queue, duplicates, corruption, reordering, mean delay.
const TESTS_PER_ERA: usize = 6;
/// netem's silent default, which a lab must never fall back to.
const DEFAULT_QUEUE: u32 = 1000;

/// Audits every lane in every stretch with one impairment.
pub(super) fn check(truth: &Truth, counters: &Counters, found: &mut Found) {
    let lanes: Vec<_> = truth.lanes.iter().collect();
    let of_lanes: usize = lanes
        .iter()
        .map(|lane| truth.conditions.eras(*lane).len())
        .sum();
    let of_tunnels: usize = truth
        .tunnels
        .iter()
        .map(|tunnel| truth.conditions.tunnel_eras(&tunnel.name).len())
        .sum();
    let eras = of_lanes + of_tunnels;
    let alpha = FALSE_ALARM / (eras * TESTS_PER_ERA).max(1) as f64;
    tunnel_audit::check(truth, counters, alpha, found);
    for lane in lanes {
        for era in truth.conditions.eras(lane) {
            let trials = trials(truth, lane, era);
            if !trials.is_empty() {
                Audit {
                    key: truth.lanes.key(lane),
                    asked: &era.impairment,
                    trials: &trials,
                    alpha,
                    start_ns: truth.start_ns,
                }
                .check(found);
            }
        }
    }
}

/// The frames that surely met this impairment, and nothing else.
fn trials<'a>(truth: &'a Truth, lane: Lane, era: &Era) -> Vec<&'a Crossing> {
    let longest_ns = longest_transit_ns(&era.impairment);
    let until_ns = era
        .ending_ns
        .saturating_sub(longest_ns)
        .min(truth.stopped_ns.saturating_sub(longest_ns));
    let near_outage = |ns: u64| {
        let near = |began_ns: u64, ended_ns: u64| ns + longest_ns >= began_ns && ns <= ended_ns;
        truth
            .conditions
            .outages(lane)
            .iter()
            .any(|outage| near(outage.began_ns, outage.ended_ns))
    };
    let fits = |crossing: &&Crossing| {
        (era.settled_ns..until_ns).contains(&crossing.entered_ns)
            && !crossing.unfinished
            && !near_outage(crossing.entered_ns)
    };
    truth.on(lane).filter(fits).collect()
}

struct Audit<'a> {
    key: LaneKey<'a>,
    asked: &'a Impairment,
    trials: &'a [&'a Crossing],
    alpha: f64,
    start_ns: u64,
}

impl Audit<'_> {
    fn check(&self, found: &mut Found) {
        self.check_queue(found);
        self.check_loss(found);
        self.check_duplicates(found);
        self.check_corruption(found);
        self.check_delay(found);
    }

    fn shares(&self) -> Shares {
        Shares::of(self.asked)
    }

    fn blame(&self, found: &mut Found, what: String) {
        let from = self.trials.first().map_or(0, |crossing| {
            crossing.entered_ns.saturating_sub(self.start_ns)
        });
        found.push(
            self.key,
            format!("in the stretch from {} on, {what}", seconds(from)),
        );
    }

    /// A full queue drops whatever comes; such frames say nothing about the other impairments.
    fn met_room(&self) -> impl Iterator<Item = &Crossing> {
        let limit = self.asked.queue_packets.unwrap_or(u32::MAX);
        self.trials
            .iter()
            .copied()
            .filter(move |crossing| crossing.occupancy.saturating_add(1) < limit)
    }

    fn check_queue(&self, found: &mut Found) {
        let deepest = self
            .trials
            .iter()
            .map(|crossing| crossing.occupancy)
            .max()
            .unwrap_or(0);
        match self.asked.queue_packets {
            Some(limit) if deepest > limit + 1 => {
                self.blame(
                    found,
                    format!(
                        "the queue held {deepest} frames, though its limit was asked to be {limit}"
                    ),
                );
            }
            Some(_) => {}
            None => {
                let full = || {
                    self.trials
                        .iter()
                        .filter(|crossing| crossing.occupancy + 1 >= DEFAULT_QUEUE)
                };
                let (trials, lost) = (
                    full().count() as u64,
                    full().filter(|crossing| crossing.is_lost()).count() as u64,
                );
                if binomial::at_least(lost, trials, self.shares().loss) < self.alpha {
                    let what = format!(
                        "{lost} of {trials} frames were lost that found {DEFAULT_QUEUE} others waiting: netem's default queue dropped them, and no limit was asked for"
                    );
                    self.blame(found, what);
                }
            }
        }
    }

    fn check_loss(&self, found: &mut Found) {
        let trials = self.met_room().count() as u64;
        let lost = self
            .met_room()
            .filter(|crossing| crossing.is_lost())
            .count() as u64;
        // Where no loss was asked for, each one is told of already: nothing explains it.
        let asked = self.shares().loss > 0.0;
        if let Some(what) = loss_complaint(self.asked, lost, trials, self.alpha).filter(|_| asked) {
            self.blame(found, what);
        }
    }

    fn check_duplicates(&self, found: &mut Found) {
        let shares = self.shares();
        // In a bursty or full queue second copies are lost together: then only their absence can be judged.
        let countable = self.asked.burst.is_none() && self.asked.queue_packets.is_none();
        let doubled = self
            .trials
            .iter()
            .filter(|crossing| crossing.exits.len() > 1)
            .count() as u64;
        let trials = self.trials.len() as u64;
        // netem: doubled, and neither copy lost.
        let probability = shares.duplicate * (1.0 - shares.loss) * (1.0 - shares.loss);
        let surprising = match (shares.duplicate > 0.0, countable) {
            (false, _) => doubled > 0,
            (true, true) => binomial::p_value(doubled, trials, probability) < self.alpha,
            (true, false) => false,
        };
        if surprising {
            let what = format!(
                "{doubled} of {trials} frames left twice, though {:.4} % was asked for",
                probability * 100.0
            );
            self.blame(found, what);
        }
    }

    /// Only frames that were captured as a whole show every flipped bit.
    fn check_corruption(&self, found: &mut Found) {
        let asked = self.shares().corrupt;
        let exits = || {
            self.trials
                .iter()
                .filter(|crossing| crossing.complete)
                .flat_map(|crossing| &crossing.exits)
        };
        let flipped = exits()
            .filter(|exit| exit.state != ExitState::Intact)
            .count() as u64;
        let trials = exits().count() as u64;
        if binomial::p_value(flipped, trials, asked) < self.alpha {
            let what = format!(
                "{flipped} of {trials} frames left with a flipped bit, though {:.4} % was asked for",
                asked * 100.0
            );
            self.blame(found, what);
        }
        let cut = self
            .trials
            .iter()
            .filter(|crossing| !crossing.complete)
            .count();
        if asked > 0.0 && cut > 0 {
            let what = format!(
                "{cut} frames were longer than the tap's snap length, so that their corruption cannot be seen; tap with a larger one"
            );
            self.blame(found, what);
        }
    }

    fn check_delay(&self, found: &mut Found) {
        let exits = |crossing: &'_ Crossing| {
            crossing
                .exits
                .iter()
                .map(|exit| exit.ns.saturating_sub(crossing.entered_ns))
                .collect::<Vec<_>>()
        };
        let transits: Vec<u64> = self.met_room().flat_map(exits).collect();
        let complaint = Transits {
            asked: self.asked,
            ns: &transits,
            alpha: self.alpha,
        }
        .complaint();
        match (complaint, self.asked.rate) {
            (Some(what), _) => self.blame(found, what),
            (None, Some(rate)) if self.asked.jitter.is_none() => self.check_rate(rate.0, found),
            (None, _) => {}
        }
    }

    /// netem's rate: a frame leaves one serialisation after the frame before it, or after it came, plus the delay.
    fn check_rate(&self, bits_per_second: u64, found: &mut Found) {
        if self.asked.duplicate.is_some() || self.asked.reorder.is_some() || bits_per_second == 0 {
            return;
        }
        let delay_ns = self.asked.delay.map_or(0, |span| span.ns);
        let mut free_ns = 0;
        let mut late = Vec::new();
        for crossing in self
            .trials
            .iter()
            .filter(|crossing| !crossing.exits.is_empty())
        {
            let serial_ns = (u128::from(crossing.bytes) * 8 * 1_000_000_000
                / u128::from(bits_per_second)) as u64;
            let ideal_ns = free_ns.max(crossing.entered_ns) + serial_ns;
            let left_ns = crossing.exits[0].ns.saturating_sub(delay_ns);
            if left_ns + EARLY_NS < crossing.entered_ns + serial_ns {
                let what = format!(
                    "a frame of {} bytes took less than its serialisation at {bits_per_second} bit/s",
                    crossing.bytes
                );
                return self.blame(found, what);
            }
            late.push(left_ns.saturating_sub(ideal_ns));
            // The machine's own lateness is not handed on to the next frame's ideal.
            free_ns = ideal_ns;
        }
        // The queue before the first trial is unknown: what it held back is not lateness.
        let held_back = late.first().copied().unwrap_or(0);
        let late = late
            .into_iter()
            .map(|ns| ns.saturating_sub(held_back))
            .collect();
        if let Some(what) = lateness(late, delay_ns) {
            self.blame(found, what);
        }
    }
}

/// None: so many losses are what was asked for.
pub(super) fn loss_complaint(
    asked: &Impairment,
    lost: u64,
    trials: u64,
    alpha: f64,
) -> Option<String> {
    let shares = Shares::of(asked);
    // netem's order: a frame that is doubled and then lost leaves one copy.
    let probability = shares.loss * (1.0 - shares.duplicate);
    let surprising = match asked.burst {
        None => binomial::p_value(lost, trials, probability) < alpha,
        Some(burst) => bursts_surprise(burst, lost, trials, probability, alpha),
    };
    let percent = probability * 100.0;
    surprising.then(|| {
        format!("{lost} of {trials} frames were lost, though {percent:.4} % was asked for")
    })
}

/// Losses in bursts are not independent: neighbours correlate by 1 - p - r, which makes so many trials worth fewer.
/// Then the tail is that of the fewer trials, with the same share lost; half of them, because bursts have long tails.
fn bursts_surprise(
    burst: GilbertElliott,
    lost: u64,
    trials: u64,
    probability: f64,
    alpha: f64,
) -> bool {
    let correlation = (1.0 - burst.p.0 - burst.r.0).clamp(0.0, 0.999_999);
    let worth = (trials as f64 * (1.0 - correlation) / (1.0 + correlation) / 2.0).floor();
    if worth < 30.0 {
        return false;
    }
    let share = lost as f64 / trials as f64;
    binomial::p_value((share * worth).round() as u64, worth as u64, probability) < alpha
}
