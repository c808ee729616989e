//! One-way loss: the monitor's estimates of each way against what the taps saw on it, of exactly the probes that it
//! counted.

use std::collections::BTreeMap;

use mvpnlab_emulator::scenario::{Oneway, Probability};
use mvpnlab_emulator::truth::Spread;

use super::Finding;
use super::facts::Facts;
use super::judge::Judge;
use crate::claims::{OnewayRun, WayClaim};
use crate::report::format::{percent, probability};

/// The monitor's own confidence.
const CONFIDENCE: f64 = 0.95;
/// An estimate from single probes is made of the same counts as the taps' own: what is left is arithmetic.
const SAME: f64 = 1e-6;

/// What is asked of a measurement.
pub struct Wanted<'a> {
    /// Least probes.
    pub at_least: u64,
    /// Ways; none: all.
    pub ways: &'a [String],
    /// Greatest relative error.
    pub relative_error_at_most: Option<Probability>,
    /// Injected loss by way.
    pub injected: &'a BTreeMap<String, Probability>,
}

/// A measurement in scenario, claim and truth.
struct Measured<'a> {
    oneway: &'a Oneway,
    run: &'a OnewayRun,
    /// Those that count, and those that the monitor left out among them.
    probes: &'a [Spread],
}

/// Realised loss of a way, and of how many probes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Realised {
    tried: u64,
    lost: u64,
}

impl Realised {
    fn share(self) -> f64 {
        self.lost as f64 / self.tried.max(1) as f64
    }
}

/// Every interval holds the realised loss, and the injected one where that is told.
pub fn oneway(facts: &Facts, name: &str, wanted: &Wanted<'_>) -> Finding {
    let confidence = confidence(facts, name);
    let expected = format!(
        "intervals at {} hold what the taps saw of at least {} probes",
        percent(confidence),
        wanted.at_least
    );
    let mut judge = Judge::new("oneway", name, expected);
    let Some(measured) = measured(facts, name, &mut judge) else {
        return judge.finish();
    };
    measured.count(wanted.at_least, &mut judge);
    let mut tests = 0;
    for (index, way) in measured.oneway.ways().enumerate() {
        if !wanted.ways.is_empty() && !wanted.ways.iter().any(|wanted| wanted == way) {
            continue;
        }
        let Some(claim) = measured.claim(index) else {
            judge.offence(|| format!("{way}: there is no estimate{}", measured.reasons()));
            continue;
        };
        tests += 1 + u64::from(wanted.injected.contains_key(way));
        judge.judged(1);
        measured.judge_way(index, way, claim, wanted, &mut judge);
    }
    measured.judge_arithmetic(&mut judge);
    judge.false_alarm(tests as f64 * (1.0 - confidence));
    judge.finish()
}

/// There is no estimate, and the reason is told.
pub fn absent(facts: &Facts, name: &str, because: &str) -> Finding {
    let expected = format!("no estimate, because of {because:?}");
    let mut judge = Judge::new("oneway-absent", name, expected);
    let Some(run) = last_run(facts, name) else {
        judge.offence(|| "it was never started".to_owned());
        return judge.finish();
    };
    judge.judged(1);
    judge.demand(run.ways.is_empty(), || {
        let ways: Vec<String> = run.ways.iter().map(words).collect();
        format!("there is one: {}", ways.join("; "))
    });
    let said = run.refused.iter().chain(&run.unsure);
    judge.demand(said.clone().any(|text| text.contains(because)), || {
        let said: Vec<&str> = said.map(String::as_str).collect();
        format!("what is told is {said:?}")
    });
    judge.finish()
}

/// There is an estimate, and what it suffers from, or what was left out of it, is told.
pub fn doubt(facts: &Facts, name: &str, because: &str) -> Finding {
    let expected = format!("an estimate with a doubt about {because:?}");
    let mut judge = Judge::new("oneway-doubt", name, expected);
    let Some(run) = last_run(facts, name) else {
        judge.offence(|| "it was never started".to_owned());
        return judge.finish();
    };
    judge.judged(1);
    judge.demand(!run.ways.is_empty(), || "there is no estimate".to_owned());
    let doubts = run.ways.iter().flat_map(|way| &way.doubts);
    let said: Vec<&String> = doubts.chain(&run.unsure).collect();
    judge.demand(said.iter().any(|text| text.contains(because)), || {
        format!("what is told is {said:?}")
    });
    judge.finish()
}

/// An estimate is off by a share in this range: what correlated loss does to it.
pub fn bias(
    facts: &Facts,
    name: &str,
    way: &str,
    (at_least, at_most): (Probability, Probability),
) -> Finding {
    let (low, high) = (at_least.0, at_most.0);
    let expected = format!(
        "estimate above the taps' loss by {} to {}",
        percent(low),
        percent(high)
    );
    let mut judge = Judge::new("oneway-bias", format!("{name}, {way}"), expected);
    let Some(measured) = measured(facts, name, &mut judge) else {
        return judge.finish();
    };
    let mut ways = measured.oneway.ways();
    let index = ways.position(|other| other == way);
    let found = index.and_then(|index| Some((index, measured.claim(index)?)));
    let Some((index, claim)) = found else {
        judge.offence(|| format!("there is no estimate{}", measured.reasons()));
        return judge.finish();
    };
    let seen = measured.realised(index).share();
    let off = claim.loss - seen;
    judge.judged(1);
    judge.ratio("estimated_share", claim.loss);
    judge.ratio("realised_share", seen);
    judge.ratio("bias_share", off);
    judge.ratio("half_width_share", (claim.high - claim.low) / 2.0);
    judge.ratio("lost_together_share", measured.correlated());
    judge.demand((low..=high).contains(&off), || {
        format!(
            "estimated {}, seen {}: off by {off:+.5}",
            percent(claim.loss),
            percent(seen)
        )
    });
    judge.finish()
}

fn confidence(facts: &Facts, name: &str) -> f64 {
    let told = facts.scenario.oneway(name).and_then(|o| o.confidence);
    told.map_or(CONFIDENCE, |share| share.0)
}

/// The last run of that name.
fn last_run<'a>(facts: &'a Facts, name: &str) -> Option<&'a OnewayRun> {
    let mut runs = facts.claims.oneways.iter().rev();
    runs.find(|run| run.name == name)
}

fn measured<'a>(facts: &'a Facts, name: &str, judge: &mut Judge) -> Option<Measured<'a>> {
    let oneway = facts.scenario.oneway(name)?;
    let Some(run) = last_run(facts, name) else {
        judge.offence(|| "it was never started".to_owned());
        return None;
    };
    let all = facts.spreads.get(&(run.session, run.run));
    let all = all.map_or(&[][..], Vec::as_slice);
    let counted = run.ways.first().map_or(0, |way| way.probes + way.discarded);
    let counted = usize::try_from(counted).unwrap_or(usize::MAX);
    if counted > all.len() {
        let seen = all.len();
        judge.offence(|| {
            format!("{counted} probes are said to count or to be left out, {seen} were sent")
        });
        return None;
    }
    // A window keeps the latest, else all count from the first on.
    let last_ns = run.ways.first().map_or(0, |way| way.at_ns);
    let until = all.partition_point(|probe| probe.sent_ns <= last_ns + STAMP_SLACK_NS);
    let probes = match oneway.window {
        Some(_) => all.get(until.saturating_sub(counted)..until),
        None => all.get(..counted),
    };
    Some(Measured {
        oneway,
        run,
        probes: probes.unwrap_or_default(),
    })
}

/// A probe is stamped by the monitor so long, at most, before it is on the wire.
const STAMP_SLACK_NS: u64 = 1_000_000;

impl Measured<'_> {
    /// Up, down and the leaves are told apart by direction and place; there is one way up.
    fn claim(&self, index: usize) -> Option<&WayClaim> {
        let downs = &self.oneway.down;
        let is_it = |way: &&WayClaim| match index {
            0 => way.direction == "up",
            i if i <= downs.len() => way.direction == "down" && way.path == downs[i - 1],
            i => way.direction == "leaf" && way.path == (i - 1 - downs.len()).to_string(),
        };
        self.run.ways.iter().find(is_it)
    }

    fn reasons(&self) -> String {
        let said = self.run.refused.iter().chain(&self.run.unsure);
        let said: Vec<&str> = said.map(String::as_str).collect();
        match said.is_empty() {
            true => String::new(),
            false => format!(": {}", said.join("; ")),
        }
    }

    fn realised(&self, index: usize) -> Realised {
        let lost = |tried: u64, came: u64| Realised {
            tried,
            lost: tried - came,
        };
        let reached = self.probes.iter().filter(|p| p.router_ns.is_some());
        let at_router = reached.clone().count() as u64;
        match index {
            0 => lost(self.probes.len() as u64, at_router),
            _ => {
                let came = reached.filter(|p| p.branches_ns[index - 1].is_some());
                lost(at_router, came.count() as u64)
            }
        }
    }

    /// Of the probes that reached the router the share that no branch brought on, less what independent losses make of
    /// it: what the estimator takes for loss before the router.
    fn correlated(&self) -> f64 {
        let reached: Vec<&Spread> = self
            .probes
            .iter()
            .filter(|p| p.router_ns.is_some())
            .collect();
        let all = reached.len().max(1) as f64;
        let nowhere = |p: &&&Spread| p.branches_ns.iter().all(Option::is_none);
        let together = reached.iter().filter(nowhere).count() as f64 / all;
        let branches = self.oneway.ways().count() - 1;
        let by_chance: f64 = (1..=branches).map(|i| self.realised(i).share()).product();
        together - by_chance
    }

    fn count(&self, at_least: u64, judge: &mut Judge) {
        let (counted, discarded) = self
            .run
            .ways
            .first()
            .map_or((0, 0), |way| (way.probes, way.discarded));
        judge.figure("probes", counted);
        judge.figure("probes_left_out", discarded);
        judge.demand(counted >= at_least, || {
            format!("{counted} probes count{}", self.reasons())
        });
    }

    fn judge_way(
        &self,
        index: usize,
        way: &str,
        claim: &WayClaim,
        wanted: &Wanted<'_>,
        judge: &mut Judge,
    ) {
        let realised = self.realised(index);
        let seen = realised.share();
        judge.ratio(&format!("{way}_estimated_share"), claim.loss);
        judge.ratio(&format!("{way}_realised_share"), seen);
        judge.ratio(&format!("{way}_low_share"), claim.low);
        judge.ratio(&format!("{way}_high_share"), claim.high);
        let holds = |share: f64| (claim.low..=claim.high).contains(&share);
        judge.demand(holds(seen), || {
            let Realised { tried, lost } = realised;
            format!(
                "{}; the taps saw {lost} of {tried} lost ({})",
                words(claim),
                percent(seen)
            )
        });
        judge.demand(claim.low < claim.high, || {
            format!("{}: an interval without width", words(claim))
        });
        if let Some(injected) = wanted.injected.get(way) {
            judge.ratio(&format!("{way}_injected_share"), injected.0);
            judge.demand(holds(injected.0), || {
                format!("{}; injected were {}", words(claim), percent(injected.0))
            });
        }
        if let Some(limit) = wanted.relative_error_at_most {
            let error = (claim.loss - seen).abs() / seen;
            judge.ratio(&format!("{way}_relative_error"), error);
            // Nothing lost, nothing estimated: 0/0 is no error.
            judge.demand(error <= limit.0 || claim.loss == seen, || {
                format!(
                    "{}; the taps saw {}: off by {} of it",
                    words(claim),
                    percent(seen),
                    percent(error)
                )
            });
        }
    }

    /// Of two branches whose single probes are seen the estimate is α = n₁n₂/(N n₁₂), counted here from the taps.
    fn judge_arithmetic(&self, judge: &mut Judge) {
        let Some(claim) = self.claim(0) else { return };
        let is_single = claim.configuration != "aggregate";
        if !is_single || claim.discarded > 0 || self.oneway.ways().count() != 3 {
            return;
        }
        let reflected = claim.configuration == "reflected";
        let came = |probe: &Spread| self.seen(probe, reflected);
        let count = |wanted: fn((bool, bool)) -> bool| {
            self.probes.iter().filter(|p| wanted(came(p))).count() as f64
        };
        let (first, second) = (count(|(a, _)| a), count(|(_, b)| b));
        let both = count(|(a, b)| a && b);
        if both == 0.0 {
            return;
        }
        let pass = first * second / (self.probes.len() as f64 * both);
        let due = (1.0 - pass).max(0.0);
        judge.ratio("up_from_the_taps_counts_share", due);
        judge.demand((claim.loss - due).abs() <= SAME, || {
            let up = &self.oneway.up;
            format!(
                "{up}: estimated {}, but the taps counted {first} and {second} at the branches' ends and {both} at both, \
                 which makes {}",
                probability(claim.loss),
                probability(due)
            )
        });
    }

    /// Whether the probe came to the end of the first branch, and to that of the second.
    fn seen(&self, probe: &Spread, reflected: bool) -> (bool, bool) {
        let first = probe.branches_ns[0].is_some();
        match reflected {
            true => (first, probe.returned_ns.is_some()),
            false => (first, probe.branches_ns[1].is_some()),
        }
    }
}

fn words(claim: &WayClaim) -> String {
    format!(
        "{} {}: estimated {} ({} … {})",
        claim.direction,
        claim.path,
        percent(claim.loss),
        percent(claim.low),
        percent(claim.high)
    )
}
