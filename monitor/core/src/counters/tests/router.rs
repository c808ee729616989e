//! A router with a running counter, an agent with a cache, and a link that loses, in simulated time.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::{Aggregate, Count, Discard, Discards, Fresh, Reading, TrainSpec, Trains, Width};
use crate::time::{Instant, Span};

const STEP_MS: u64 = 5;
const DATAGRAM: u64 = 96;
/// Octets of a probe as the router counts them.
const LENGTH: u64 = DATAGRAM + 14;

/// What is wrong with a router.
#[derive(Debug, Clone)]
struct Faults {
    loss: f64,
    width: Width,
    start: u64,
    /// The agent looks at the counter only so often.
    cache_ms: u64,
    /// Per train, the probability of each.
    foreign: f64,
    restart: f64,
    reset: f64,
    /// Per question.
    unanswered: f64,
    delay_ms_max: u64,
}

impl Faults {
    fn none() -> Faults {
        Faults {
            loss: 0.1,
            width: Width::Bits64,
            start: 1_000,
            cache_ms: 0,
            foreign: 0.0,
            restart: 0.0,
            reset: 0.0,
            unanswered: 0.0,
            delay_ms_max: 10,
        }
    }
}

fn spec() -> TrainSpec {
    TrainSpec {
        probes: 10,
        datagram_bytes: DATAGRAM,
        settle: Span::from_ms(60),
        every: Span::from_ms(100),
        patience: Span::from_s(8),
        fresh: Fresh::ByPulse,
        exclusive: false,
    }
}

/// What the agent has in its table.
#[derive(Debug, Clone, Copy)]
struct Table {
    packets: u64,
    octets: u64,
    pulse: u64,
    discontinuity: u32,
    read_ms: u64,
}

struct World {
    faults: Faults,
    random: ChaCha8Rng,
    now_ms: u64,
    live: Table,
    cached: Option<Table>,
    booted_ms: i64,
    /// Arrivals to come: when, octets.
    coming: Vec<(u64, u64)>,
    /// Answers to come.
    answers: Vec<(u64, Option<Reading>)>,
    truth: Vec<Aggregate>,
}

impl World {
    fn new(faults: Faults, seed: u64) -> World {
        let live = Table {
            packets: faults.start,
            octets: faults.start,
            pulse: 0,
            discontinuity: 0,
            read_ms: 0,
        };
        World {
            faults,
            random: ChaCha8Rng::seed_from_u64(seed),
            now_ms: 0,
            live,
            cached: None,
            booted_ms: -100_000,
            coming: Vec::new(),
            answers: Vec::new(),
            truth: Vec::new(),
        }
    }

    fn now(&self) -> Instant {
        Instant::from_ns(self.now_ms * 1_000_000)
    }

    fn happens(&mut self, probability: f64) -> bool {
        self.random.random_bool(probability)
    }

    fn send(&mut self, seq: u64) {
        if seq.is_multiple_of(10) {
            self.begin_train(seq);
        }
        if self.happens(self.faults.loss) {
            return;
        }
        if let Some(train) = self.truth.last_mut() {
            train.counted += 1;
        }
        let at = self.now_ms + self.random.random_range(5..50);
        self.coming.push((at, LENGTH));
    }

    fn begin_train(&mut self, seq: u64) {
        self.truth.push(Aggregate {
            first: seq,
            last: seq + 9,
            counted: 0,
        });
        if self.happens(self.faults.foreign) {
            let octets = self.random.random_range(60..1500);
            if octets != LENGTH {
                let at = self.now_ms + self.random.random_range(0..400);
                self.coming.push((at, octets));
            }
        }
        if self.happens(self.faults.restart) {
            self.booted_ms = self.now_ms as i64;
            (self.live.packets, self.live.octets, self.cached) = (0, 0, None);
            // It is told by the agent's time, which begins here.
            self.live.discontinuity = 0;
        }
        if self.happens(self.faults.reset) {
            (self.live.packets, self.live.octets) = (0, 0);
            self.live.discontinuity = (self.now_ms as i64 - self.booted_ms) as u32 / 10;
        }
    }

    fn ask(&mut self) {
        self.live.pulse += 70;
        let fresh = |table: &Table| self.now_ms < table.read_ms + self.faults.cache_ms;
        let table = self.cached.filter(fresh).unwrap_or(Table {
            read_ms: self.now_ms,
            ..self.live
        });
        self.cached = Some(table);
        let delay = self.random.random_range(0..=self.faults.delay_ms_max);
        let answered_ms = self.now_ms + delay;
        let count = |value: u64| Count {
            value: match self.faults.width {
                Width::Bits32 => value & 0xffff_ffff,
                Width::Bits64 => value,
            },
            width: self.faults.width,
        };
        let reading = Reading {
            asked: self.now(),
            answered: Instant::from_ns(answered_ms * 1_000_000),
            uptime_ticks: ((self.now_ms as i64 - self.booted_ms) / 10) as u32,
            discontinuity_ticks: table.discontinuity,
            age_ticks: None,
            packets: count(table.packets),
            octets: Some(count(table.octets)),
            pulse: Some(table.pulse),
        };
        let answered = !self.happens(self.faults.unanswered);
        let lost_after = if answered { 0 } else { 300 };
        self.answers
            .push((answered_ms + lost_after, answered.then_some(reading)));
    }

    fn step(&mut self, trains: &mut Trains) {
        self.now_ms += STEP_MS;
        let now_ms = self.now_ms;
        for (_, octets) in self.coming.extract_if(.., |(at, _)| *at <= now_ms) {
            self.live.packets += 1;
            self.live.octets += octets;
            self.live.pulse += octets;
        }
        let came: Vec<_> = self
            .answers
            .extract_if(.., |(at, _)| *at <= now_ms)
            .collect();
        for (_, answer) in came {
            match answer {
                Some(reading) => trains.handle_reading(self.now(), reading),
                None => trains.handle_no_answer(),
            }
        }
        if trains.poll_ask(self.now()) {
            self.ask();
        }
    }
}

/// So many trains; what was true, what is said, and what is not.
fn run(
    faults: Faults,
    spec: TrainSpec,
    seed: u64,
    count: u64,
) -> (Vec<Aggregate>, Vec<Aggregate>, Discards) {
    let mut world = World::new(faults, seed);
    let mut trains = Trains::new(world.now(), spec);
    let mut seq = 0;
    while seq < 10 * count || !trains.is_settled() {
        world.step(&mut trains);
        if trains.may_send() && seq < 10 * count {
            world.send(seq);
            trains.handle_sent(world.now(), seq);
            seq += 1;
        }
        assert!(world.now_ms < 10_000_000, "it never ends");
    }
    let (said, discards) = trains.judge();
    (world.truth, said, discards)
}

fn agrees(truth: &[Aggregate], said: &[Aggregate], discards: &Discards) {
    for aggregate in said {
        assert!(
            truth.contains(aggregate),
            "{aggregate:?} is not among {truth:?}"
        );
    }
    let sent: u64 = truth.iter().map(Aggregate::sent).sum();
    let counted: u64 = said.iter().map(Aggregate::sent).sum();
    assert_eq!(counted + discards.probes(), sent, "probes went amiss");
}

#[test]
fn a_good_counter_is_believed_whole_however_old_its_cache() {
    for cache_ms in [0, 1_000, 3_000] {
        let faults = Faults {
            cache_ms,
            ..Faults::none()
        };
        let (truth, said, discards) = run(faults, spec(), 1, 20);
        assert_eq!(said, truth);
        assert_eq!(discards, Discards::default());
    }
}

#[test]
fn a_counter_that_wraps_is_believed() {
    let faults = Faults {
        width: Width::Bits32,
        start: u64::from(u32::MAX) - 50,
        ..Faults::none()
    };
    let (truth, said, _) = run(faults, spec(), 2, 20);
    assert_eq!(said, truth);
}

fn only(reason: Discard, probes: u64) -> Discards {
    let mut discards = Discards::default();
    discards.add(reason, probes);
    discards
}

#[test]
fn a_cache_that_is_never_renewed_yields_nothing() {
    let faults = Faults {
        cache_ms: u64::MAX / 2,
        ..Faults::none()
    };
    let mut world = World::new(faults, 3);
    let mut trains = Trains::new(world.now(), spec());
    for _ in 0..20_000 {
        world.step(&mut trains);
        assert!(!trains.may_send());
    }
    assert_eq!(trains.judge(), (vec![], Discards::default()));
}

#[test]
fn without_octets_an_interface_is_not_believed_and_a_route_is() {
    for exclusive in [false, true] {
        let spec = TrainSpec {
            exclusive,
            fresh: Fresh::ByAge(Span::from_ms(0)),
            ..spec()
        };
        let mut trains = Trains::new(Instant::from_ns(0), spec);
        let mut at_ms = 100;
        let mut counted = 0;
        for train in 0..5 {
            let mut reading = plain(at_ms, counted);
            reading.octets = None;
            assert!(trains.poll_ask(reading.asked));
            trains.handle_reading(reading.answered, reading);
            for seq in 0..10 {
                trains.handle_sent(reading.answered, train * 10 + seq);
            }
            counted += 7;
            at_ms += 1_000;
        }
        let (said, discards) = trains.judge();
        match exclusive {
            true => assert_eq!((said.len(), discards), (4, Discards::default())),
            false => assert_eq!((said.len(), discards), (0, only(Discard::NoOctets, 40))),
        }
    }
}

fn plain(at_ms: u64, packets: u64) -> Reading {
    let count = |value| Count {
        value,
        width: Width::Bits64,
    };
    Reading {
        asked: Instant::from_ns(at_ms * 1_000_000),
        answered: Instant::from_ns((at_ms + 1) * 1_000_000),
        uptime_ticks: (60_000 + at_ms / 10) as u32,
        discontinuity_ticks: 0,
        age_ticks: None,
        packets: count(packets),
        octets: Some(count(packets * LENGTH)),
        pulse: None,
    }
}

#[test]
fn a_surplus_is_no_count_and_a_probe_that_never_left_spoils_its_train() {
    let spec = TrainSpec {
        fresh: Fresh::ByAge(Span::from_ms(0)),
        ..spec()
    };
    let mut trains = Trains::new(Instant::from_ns(0), spec);
    // Four good trains, so that the length is known; then one counted twice, then one with a probe that never left.
    let counts = [0, 10, 19, 29, 38, 58, 67];
    for (train, packets) in (0..).zip(counts) {
        let reading = plain(100 + 1_000 * train, packets);
        assert!(trains.poll_ask(reading.asked));
        trains.handle_reading(reading.answered, reading);
        for seq in 0..10 {
            trains.handle_sent(reading.answered, train * 10 + seq);
        }
        if train == 5 {
            trains.handle_unsent(53);
        }
    }
    let (said, discards) = trains.judge();
    assert_eq!(said.len(), 4);
    let mut expected = only(Discard::AboveSent, 10);
    expected.add(Discard::NotSent, 10);
    assert_eq!(discards, expected);
}

proptest! {
    /// The one thing that matters: whatever goes wrong, what is said is true, and what is not said is accounted for.
    #[test]
    fn hostile_counters_are_never_believed(
        seed: u64,
        loss in 0.0..0.6,
        narrow: bool,
        start in prop_oneof![Just(0_u64), Just((1 << 32) - 30), 0..1_u64 << 40],
        cache_ms in prop_oneof![Just(0_u64), 0..4_000_u64, Just(20_000)],
        foreign in 0.0..0.3,
        restart in 0.0..0.2,
        reset in 0.0..0.2,
        unanswered in 0.0..0.5,
        delay_ms_max in 0..80_u64,
    ) {
        let width = if narrow { Width::Bits32 } else { Width::Bits64 };
        let faults = Faults { loss, width, start, cache_ms, foreign, restart, reset, unanswered, delay_ms_max };
        let (truth, said, discards) = run(faults, spec(), seed, 12);
        agrees(&truth, &said, &discards);
    }
}
