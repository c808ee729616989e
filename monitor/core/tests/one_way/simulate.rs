//! A minute of probing, by Monte Carlo: which probes each path loses, and what the configurations see of it.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vmscope_core::inference::*;

/// Probes between a direct copy's passage of the way back and the reflected one's: a round trip.
const REFLECTION_LAG: u32 = 40;
/// Aggregates that consecutive probes are dealt out over.
const DEALT_OVER: usize = 40;

/// How a path loses probes: at a rate, singly or in bursts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// Share of probes lost.
    pub rate: f64,
    /// Mean number of consecutive probes lost: 1 for independent losses, else by Gilbert and Elliott's two states, of
    /// which the bad one loses everything.
    pub burst: f64,
}

impl Loss {
    pub fn single(rate: f64) -> Loss {
        Loss { rate, burst: 1.0 }
    }

    /// Numbers of the probes lost, ascending.
    fn lost(&self, probes: u32, rng: &mut ChaCha8Rng) -> Vec<u32> {
        let mut lost = Vec::with_capacity((1.2 * self.rate * f64::from(probes)) as usize + 16);
        if self.rate <= 0.0 {
            return lost;
        }
        let single = self.burst <= 1.0;
        let start = if single {
            self.rate
        } else {
            self.rate / ((1.0 - self.rate) * self.burst)
        };
        let starts_lost = !single && rng.random::<f64>() < self.rate;
        let mut at = if starts_lost {
            0
        } else {
            geometric(start, rng)
        };
        while at < u64::from(probes) {
            let length = if single {
                1
            } else {
                1 + geometric(1.0 / self.burst, rng)
            };
            lost.extend((at..(at + length).min(u64::from(probes))).map(|probe| probe as u32));
            at += length + u64::from(!single) + geometric(start, rng);
        }
        lost
    }
}

/// Failures before the first success.
fn geometric(success: f64, rng: &mut ChaCha8Rng) -> u64 {
    let u: f64 = 1.0 - rng.random::<f64>();
    (u.ln() / (-success).ln_1p()) as u64
}

/// What a run of probing is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// Probes sent.
    pub probes: u32,
    /// Blocks of time they are counted by.
    pub blocks: u32,
    /// Probes in an aggregate.
    pub aggregate: u32,
    /// Whether consecutive probes are dealt out over aggregates.
    pub dealt: bool,
    /// The shared path, and the two behind it.
    pub paths: [Loss; 3],
    /// Loss that strikes both paths behind the branching point at once, in addition.
    pub common: Loss,
}

/// What the estimators are told of a run.
pub struct Run {
    sent: u32,
    setting: Setting,
    /// Probes with a fate other than arriving at both leaves: number, and whether missing at the first and at the
    /// second.
    fates: Vec<(u32, [bool; 2])>,
}

impl Setting {
    /// A minute at so many probes a second, with a loss rate of all paths.
    pub fn minute(rate: u32, loss: f64) -> Setting {
        Setting {
            probes: 60 * rate,
            blocks: 60,
            aggregate: 50,
            dealt: false,
            paths: [Loss::single(loss); 3],
            common: Loss::single(0.0),
        }
    }

    /// The same with bursts of so many probes.
    pub fn bursty(mut self, burst: f64) -> Setting {
        self.paths.iter_mut().for_each(|path| path.burst = burst);
        self
    }

    /// Configurations A and B: the second and the third path lead to the leaves.
    pub fn tree(&self, seed: u64) -> Run {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let [shared, first, second] = self.paths.map(|path| path.lost(self.probes, &mut rng));
        let common = self.common.lost(self.probes, &mut rng);
        Run::of(
            *self,
            &[&shared, &first, &common],
            &[&shared, &second, &common],
        )
    }

    /// Configuration C: the second path leads back, the third to the second host and back to the router.
    pub fn reflection(&self, seed: u64) -> Run {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shared = self.paths[0].lost(self.probes, &mut rng);
        let reflection = self.paths[2].lost(self.probes, &mut rng);
        let mut back = self.paths[1].lost(self.probes + REFLECTION_LAG, &mut rng);
        let again = if self.paths[1].burst > 1.0 {
            // A burst loses whatever passes: the direct copies of some probes and the reflected ones of earlier probes.
            back.iter()
                .filter_map(|probe| probe.checked_sub(REFLECTION_LAG))
                .collect()
        } else {
            self.paths[1].lost(self.probes, &mut rng)
        };
        back.truncate(back.partition_point(|&probe| probe < self.probes));
        Run::of(*self, &[&shared, &back], &[&shared, &reflection, &again])
    }
}

impl Run {
    fn of(setting: Setting, first: &[&[u32]], second: &[&[u32]]) -> Run {
        let mut missing: Vec<(u32, usize)> = Vec::new();
        for (leaf, losses) in [first, second].into_iter().enumerate() {
            losses
                .iter()
                .for_each(|lost| missing.extend(lost.iter().map(|&probe| (probe, leaf))));
        }
        missing.sort_unstable();
        let mut fates: Vec<(u32, [bool; 2])> = Vec::with_capacity(missing.len());
        for (probe, leaf) in missing {
            match fates.last_mut() {
                Some(last) if last.0 == probe => last.1[leaf] = true,
                _ => fates.push((probe, [leaf == 0, leaf == 1])),
            }
        }
        Run {
            sent: setting.probes,
            setting,
            fates,
        }
    }

    /// Counts of single probes, block by block.
    pub fn packets(&self) -> Vec<PacketCounts> {
        let size = self.sent.div_ceil(self.setting.blocks);
        let mut blocks = vec![[0u64; 3]; self.setting.blocks as usize];
        for &(probe, [first, second]) in &self.fates {
            let block = &mut blocks[(probe / size) as usize];
            block[0] += u64::from(first);
            block[1] += u64::from(second);
            block[2] += u64::from(first || second);
        }
        let sent = u64::from(size);
        let counts = |[first, second, either]: [u64; 3]| {
            PacketCounts::of_two(sent, sent - first, sent - second, sent - either)
        };
        blocks.into_iter().map(counts).collect()
    }

    /// Counts of aggregates, block by block.
    pub fn aggregates(&self) -> Vec<Vec<AggregateCounts>> {
        let (n, size) = (
            self.setting.aggregate,
            self.sent.div_ceil(self.setting.blocks) as usize,
        );
        let full = u64::from(n);
        let mut all = vec![[full, full]; (self.sent / n) as usize];
        for &(probe, missing) in &self.fates {
            let index = if self.setting.dealt {
                let round = n as usize * DEALT_OVER;
                probe as usize / round * DEALT_OVER + probe as usize % DEALT_OVER
            } else {
                (probe / n) as usize
            };
            for (count, missing) in all[index].iter_mut().zip(missing) {
                *count -= u64::from(missing);
            }
        }
        let counts = |&[first, second]: &[u64; 2]| AggregateCounts {
            sent: full,
            first,
            second,
        };
        all.chunks(size / n as usize)
            .map(|block| block.iter().map(counts).collect())
            .collect()
    }
}

/// The configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Configuration {
    A,
    B,
    C,
}

impl Configuration {
    /// A run's estimates of its three paths.
    pub fn estimate(self, setting: &Setting, seed: u64) -> [Estimate; 3] {
        let of_tree = |tree: TreeEstimate| {
            let [first, second] =
                <[Estimate; 2]>::try_from(tree.leaves).expect("there are two leaves");
            [tree.shared, first, second]
        };
        let estimates = match self {
            Configuration::A => {
                per_packet(&setting.tree(seed).packets(), Confidence::P95).map(of_tree)
            }
            Configuration::B => {
                aggregate(&setting.tree(seed).aggregates(), Confidence::P95).map(of_tree)
            }
            Configuration::C => reflected(&setting.reflection(seed).packets(), Confidence::P95)
                .map(|r| [r.outward, r.back, r.reflection]),
        };
        estimates.unwrap_or_else(|error| panic!("{self:?} with seed {seed}: {error}"))
    }

    /// The Cramér-Rao bound on the variance of a path's loss, were single probes seen and losses independent.
    pub fn bound(self, setting: &Setting, path: usize) -> f64 {
        let [shared, first, second] = setting.paths.map(|path| path.rate);
        let sent = f64::from(setting.probes);
        match (self, path) {
            (Configuration::C, 2) => reflection_bound(sent, shared, first, second),
            (Configuration::C, path) => bound(
                sent,
                &[shared, first, 1.0 - (1.0 - first) * (1.0 - second)],
                path,
            ),
            (Configuration::A | Configuration::B, path) => {
                bound(sent, &[shared, first, second], path)
            }
        }
    }
}

/// How estimates of one path were, over many seeds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Quality {
    /// Runs.
    pub runs: f64,
    /// Sum of errors.
    pub error: f64,
    /// Sum of absolute errors.
    pub absolute: f64,
    /// Sum of squared errors.
    pub square: f64,
    /// Sum of the variances the estimates claimed.
    pub claimed: f64,
    /// Intervals that held the truth.
    pub held: f64,
    /// Runs that said losses come together.
    pub dependent: f64,
    /// Runs that said there were few losses to go by.
    pub few: f64,
}

impl Quality {
    pub fn add(&mut self, estimate: &Estimate, truth: f64) {
        let error = estimate.loss - truth;
        self.runs += 1.0;
        self.error += error;
        self.absolute += error.abs();
        self.square += error * error;
        self.claimed += estimate.variance;
        self.held += f64::from(u8::from(estimate.low <= truth && truth <= estimate.high));
        let dependent = estimate
            .doubts
            .iter()
            .any(|doubt| matches!(doubt, Doubt::Dependent { .. }));
        self.dependent += f64::from(u8::from(dependent));
        let few = estimate
            .doubts
            .iter()
            .any(|doubt| matches!(doubt, Doubt::FewEvents { .. }));
        self.few += f64::from(u8::from(few));
    }

    pub fn merge(&mut self, other: &Quality) {
        self.runs += other.runs;
        self.error += other.error;
        self.absolute += other.absolute;
        self.square += other.square;
        self.claimed += other.claimed;
        self.held += other.held;
        self.dependent += other.dependent;
        self.few += other.few;
    }

    pub fn bias(&self) -> f64 {
        self.error / self.runs
    }

    pub fn mean_absolute(&self) -> f64 {
        self.absolute / self.runs
    }

    pub fn variance(&self) -> f64 {
        self.square / self.runs - self.bias() * self.bias()
    }

    pub fn coverage(&self) -> f64 {
        self.held / self.runs
    }
}

/// The quality of a configuration's three paths over so many seeds, worked out by so many threads.
pub fn quality(
    configuration: Configuration,
    setting: &Setting,
    seeds: u64,
    threads: u64,
) -> [Quality; 3] {
    let part = |thread: u64| {
        let mut quality = [Quality::default(); 3];
        for seed in (thread..seeds).step_by(threads as usize) {
            let estimates = configuration.estimate(setting, seed);
            for (path, estimate) in estimates.iter().enumerate() {
                quality[path].add(estimate, setting.paths[path].rate);
            }
        }
        quality
    };
    let mut all = [Quality::default(); 3];
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || part(thread)))
            .collect();
        for part in parts {
            let part = part.join().expect("a thread of the simulation panicked");
            all.iter_mut()
                .zip(&part)
                .for_each(|(all, part)| all.merge(part));
        }
    });
    all
}
