//! What a peer is served with in configuration A: which of its probes arrived here.
//!
//! Numbers are kept until their receipt is acknowledged, so that no answer that is lost on the way loses any. What is
//! kept is bounded, and what finds no room is told. A collection that nobody asks about ends by itself.
//!
//! **Too late.** The two monitors' clocks have nothing to do with each other, but both run at one pace: arrival by ours
//! less sending by theirs is the delay and a constant. Above the least of the last one to two minutes, which the clocks'
//! drift hardly changes, it is the delay above the least: a copy that exceeds that by the loss timeout is late.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::ranges::Ranges;
use super::report::{Collected, CollectedRange};
use super::spec::CollectSpec;
use crate::control::{ErrorCode, Refusal};
use crate::name::Name;
use crate::packet::ProbeHeader;
use crate::time::{Instant, Span};

/// Ranges that one collection may keep: some minutes of a lossy path at a high rate.
const RANGES_MAX: usize = 1 << 16;
/// Collections at a time.
const COLLECTIONS_MAX: usize = 64;
/// The least delay is of so much time, and of as much before.
const LEAST_DELAY_OVER: Span = Span::from_s(60);

/// What was counted.
#[derive(Debug, Default)]
struct Tally {
    flows: BTreeMap<(u32, u32), Ranges>,
    ranges: usize,
    forgotten: u64,
    late: u64,
}

impl Tally {
    fn count(&mut self, probe: &ProbeHeader) {
        let flow = (probe.task, probe.tunnel);
        let needs_room = self
            .flows
            .get(&flow)
            .is_none_or(|ranges| ranges.needs_room(probe.seq));
        if needs_room && self.ranges >= RANGES_MAX {
            self.forgotten += 1;
            return;
        }
        let ranges = self.flows.entry(flow).or_default();
        let before = ranges.len();
        ranges.insert(probe.seq);
        self.ranges = (self.ranges + ranges.len()).saturating_sub(before);
    }

    fn absorb(&mut self, fresh: Tally) {
        for (flow, ranges) in fresh.flows {
            self.flows.entry(flow).or_default().extend(&ranges);
        }
        self.ranges = self.flows.values().map(Ranges::len).sum();
        self.forgotten += fresh.forgotten;
        self.late += fresh.late;
        // No more than twice the bound can have come together; what is beyond it goes, and is told.
        while self.ranges > RANGES_MAX {
            let Some((_, ranges)) = self.flows.pop_last() else {
                return;
            };
            self.ranges -= ranges.len();
            let numbers = ranges
                .iter()
                .map(|(first, last)| u64::from(last - first) + 1);
            self.forgotten += numbers.sum::<u64>();
        }
    }

    fn ranges(&self) -> Vec<CollectedRange> {
        let of_flow = |(flow, ranges): (&(u32, u32), &Ranges)| {
            let (task, tunnel) = *flow;
            let each = ranges.iter().map(move |(first, last)| CollectedRange {
                task,
                tunnel,
                first,
                last,
            });
            each.collect::<Vec<_>>()
        };
        self.flows.iter().flat_map(of_flow).collect()
    }
}

/// The least of late, over a minute or two.
#[derive(Debug, Default)]
pub(super) struct Least {
    since: Option<Instant>,
    current: Option<i64>,
    before: Option<i64>,
}

impl Least {
    pub(super) fn note(&mut self, now: Instant, value: i64) {
        if self
            .since
            .is_none_or(|since| now.since(since) > LEAST_DELAY_OVER)
        {
            self.since = Some(now);
            self.before = self.current.take();
        }
        self.current = Some(self.current.map_or(value, |least| least.min(value)));
    }

    pub(super) fn get(&self) -> Option<i64> {
        [self.current, self.before].into_iter().flatten().min()
    }
}

/// One collection.
#[derive(Debug)]
pub(crate) struct Collection {
    pub(crate) spec: CollectSpec,
    pub(crate) tunnel: u32,
    lease_until: Instant,
    /// The last answer's number, and the last that is known to have been got.
    cursor: u64,
    acknowledged: u64,
    /// In the last answer already, but not acknowledged.
    given: Tally,
    fresh: Tally,
    /// Drops of the capture in all, at the answers of these two numbers.
    drops_at_cursor: u64,
    drops_at_acknowledged: u64,
    least_delay: Least,
}

/// What an answer needs of the rest of the monitor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Host {
    pub(crate) session: u32,
    pub(crate) probe_port: u16,
    /// Drops of its capture since it began.
    pub(crate) drops: u64,
    /// The wall clock less the monotonic clock.
    pub(crate) realtime_minus_monotonic_ns: Option<i64>,
}

impl Collection {
    fn new(spec: CollectSpec, tunnel: u32, now: Instant, drops: u64) -> Collection {
        Collection {
            lease_until: now + spec.lease,
            spec,
            tunnel,
            cursor: 0,
            acknowledged: 0,
            given: Tally::default(),
            fresh: Tally::default(),
            drops_at_cursor: drops,
            drops_at_acknowledged: drops,
            least_delay: Least::default(),
        }
    }

    fn handle_copy(&mut self, stamp: Instant, probe: &ProbeHeader) {
        let delay = stamp.signed_since(probe.sent);
        self.least_delay.note(stamp, delay);
        let least = self.least_delay.get().unwrap_or(delay);
        let above_least = delay.saturating_sub(least).unsigned_abs();
        if above_least > self.spec.loss_timeout.as_ns() {
            self.fresh.late += 1;
        } else if !probe.warmup {
            self.fresh.count(probe);
        }
    }

    /// What was counted since `after` was answered.
    fn take(&mut self, now: Instant, after: u64, host: Host) -> Result<Collected, Refusal> {
        if after == self.cursor {
            self.given = Tally::default();
            self.acknowledged = self.cursor;
            self.drops_at_acknowledged = self.drops_at_cursor;
        } else if after != self.acknowledged {
            let message = format!(
                "cannot take what collection {} counted after {after}: its last answer was {}, and {} was acknowledged",
                self.spec.name, self.cursor, self.acknowledged
            );
            let remedy = "say the cursor of the last answer that was got; or stop, and start again";
            return Err(Refusal::new(ErrorCode::State, message, remedy));
        }
        self.lease_until = now + self.spec.lease;
        self.given.absorb(std::mem::take(&mut self.fresh));
        self.cursor += 1;
        self.drops_at_cursor = host.drops;
        let offset = host.realtime_minus_monotonic_ns;
        Ok(Collected {
            name: self.spec.name.clone(),
            session: host.session,
            probe_port: host.probe_port,
            at_ns: now,
            cursor: self.cursor,
            ranges: self.given.ranges(),
            capture_drops: host.drops.saturating_sub(self.drops_at_acknowledged),
            forgotten: self.given.forgotten,
            late: self.given.late,
            least_delay_ns: self
                .least_delay
                .get()
                .zip(offset)
                .map(|(least, offset)| least.saturating_add(offset)),
        })
    }
}

/// All collections.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    collections: BTreeMap<Name, Collection>,
}

impl Collector {
    /// Whether this would begin anew; the error says why it cannot.
    pub(crate) fn is_new(&self, spec: &CollectSpec) -> Result<bool, Refusal> {
        match self.collections.get(&spec.name) {
            Some(there) if there.spec == *spec => Ok(false),
            Some(_) => Err(Refusal::new(
                ErrorCode::Exists,
                format!(
                    "cannot collect for {}: there is another collection of that name",
                    spec.name
                ),
                "choose another name, or stop it first",
            )),
            None if self.collections.len() >= COLLECTIONS_MAX => Err(Refusal::new(
                ErrorCode::Limit,
                format!(
                    "cannot collect for {}: there are {COLLECTIONS_MAX} collections",
                    spec.name
                ),
                "stop one, or wait until its lease is over",
            )),
            None => Ok(true),
        }
    }

    pub(crate) fn start(&mut self, now: Instant, spec: CollectSpec, tunnel: u32, drops: u64) {
        let collection = Collection::new(spec, tunnel, now, drops);
        self.collections
            .insert(collection.spec.name.clone(), collection);
    }

    /// An answer; without `after`, to whoever asks for it to begin.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        name: &Name,
        after: Option<u64>,
        host: Host,
    ) -> Result<Collected, Refusal> {
        let Some(collection) = self.collections.get_mut(name) else {
            return Err(not_found(name));
        };
        let after = after.unwrap_or(collection.acknowledged);
        collection.take(now, after, host)
    }

    pub(crate) fn stop(&mut self, name: &Name) -> Result<Collection, Refusal> {
        self.collections.remove(name).ok_or_else(|| not_found(name))
    }

    /// A copy of another monitor's probe. `false` if nobody wants to know.
    pub(crate) fn handle_copy(
        &mut self,
        stamp: Instant,
        tunnel: u32,
        group: Ipv4Addr,
        probe: &ProbeHeader,
    ) -> bool {
        // A packet that was sent again by a reflector is no copy of the router's.
        let wanted = |c: &&mut Collection| {
            (c.tunnel, c.spec.group, c.spec.session) == (tunnel, group, probe.session)
                && !probe.reflected
        };
        let mut counted = false;
        for collection in self.collections.values_mut().filter(wanted) {
            collection.handle_copy(stamp, probe);
            counted = true;
        }
        counted
    }

    pub(crate) fn uses(&self, tunnel: u32) -> Option<&Name> {
        let mut all = self.collections.iter();
        all.find(|(_, c)| c.tunnel == tunnel).map(|(name, _)| name)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.collections.values().map(|c| c.lease_until).min()
    }

    /// The next collection that nobody has asked about for too long; all of them, if `all`.
    pub(crate) fn poll_over(&mut self, now: Instant, all: bool) -> Option<Collection> {
        let mut over = self.collections.iter();
        let name = over
            .find(|(_, c)| all || c.lease_until <= now)
            .map(|(name, _)| name.clone())?;
        self.collections.remove(&name)
    }
}

fn not_found(name: &Name) -> Refusal {
    Refusal::new(
        ErrorCode::NotFound,
        format!("there is no collection {name}"),
        "start it; it may have ended because nobody asked for longer than its lease, or with the monitor's last run",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: Ipv4Addr = Ipv4Addr::new(239, 7, 7, 7);

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Span::from_ms(ms)
    }

    fn host(drops: u64) -> Host {
        Host {
            session: 5,
            probe_port: 33_900,
            drops,
            realtime_minus_monotonic_ns: None,
        }
    }

    fn name() -> Name {
        Name::new("x").unwrap()
    }

    fn collecting() -> Collector {
        let mut collector = Collector::default();
        let spec = CollectSpec {
            name: name(),
            session: 9,
            tunnel: Name::new("t").unwrap(),
            group: GROUP,
            source: None,
            loss_timeout: Span::from_s(2),
            lease: Span::from_s(30),
        };
        assert_eq!(collector.is_new(&spec), Ok(true));
        collector.start(at(0), spec.clone(), 1, 100);
        assert_eq!(collector.is_new(&spec), Ok(false));
        let other = CollectSpec {
            session: 10,
            ..spec
        };
        assert!(collector.is_new(&other).is_err());
        collector
    }

    /// A probe that was sent at some time of another clock, and took 10 ms and so much more.
    fn arrives(collector: &mut Collector, seq: u32, more_ms: u64) -> bool {
        let sent = 7_000_000 + u64::from(seq);
        let probe = ProbeHeader {
            session: 9,
            task: 3,
            tunnel: 2,
            seq,
            warmup: false,
            reflected: false,
            sent: at(sent),
        };
        let stamp = at(u64::from(seq) + 10 + more_ms);
        collector.handle_copy(stamp, 1, GROUP, &probe)
    }

    fn take(collector: &mut Collector, after: u64, drops: u64) -> (u64, Vec<(u32, u32)>, u64) {
        let got = collector
            .take(at(1_000), &name(), Some(after), host(drops))
            .unwrap();
        let ranges = got.ranges.iter().map(|range| (range.first, range.last));
        (got.cursor, ranges.collect(), got.capture_drops)
    }

    #[test]
    fn what_is_not_acknowledged_is_said_again_and_what_is_acknowledged_is_not() {
        let mut collector = collecting();
        (0..5).for_each(|seq| assert!(arrives(&mut collector, seq, 0)));
        assert_eq!(take(&mut collector, 0, 100), (1, vec![(0, 4)], 0));
        (5..8).for_each(|seq| assert!(arrives(&mut collector, seq, 0)));
        // The answer was lost.
        assert_eq!(take(&mut collector, 0, 103), (2, vec![(0, 7)], 3));
        assert!(arrives(&mut collector, 9, 0));
        assert_eq!(take(&mut collector, 2, 104), (3, vec![(9, 9)], 1));
        assert_eq!(take(&mut collector, 3, 104), (4, vec![], 0));
        let odd = collector
            .take(at(1_000), &name(), Some(1), host(0))
            .unwrap_err();
        assert_eq!(odd.code, ErrorCode::State);
    }

    #[test]
    fn a_copy_that_is_slower_than_the_fastest_by_the_loss_timeout_is_late() {
        let mut collector = collecting();
        for (seq, more_ms) in [(0, 5), (1, 0), (2, 2_000), (3, 2_001)] {
            arrives(&mut collector, seq, more_ms);
        }
        let got = collector.take(at(9_000), &name(), None, host(100)).unwrap();
        assert_eq!(
            (got.ranges[0].first, got.ranges[0].last, got.late),
            (0, 2, 1)
        );
        assert_eq!(got.ranges.len(), 1);
    }

    #[test]
    fn what_finds_no_room_is_told() {
        let mut collector = collecting();
        let more = 10;
        (0..RANGES_MAX as u32 + more).for_each(|n| {
            arrives(&mut collector, 2 * n, 0);
        });
        let got = collector.take(at(9_000), &name(), None, host(100)).unwrap();
        assert_eq!(
            (got.ranges.len(), got.forgotten),
            (RANGES_MAX, u64::from(more))
        );
        // Not acknowledged: as much again does not fit beside it.
        (0..10).for_each(|n| {
            arrives(&mut collector, 2 * (RANGES_MAX as u32 + more + n), 0);
        });
        let got = collector.take(at(9_000), &name(), None, host(100)).unwrap();
        assert!(
            got.ranges.len() <= RANGES_MAX && got.forgotten > u64::from(more),
            "{}",
            got.forgotten
        );
    }

    #[test]
    fn others_probes_and_reflected_ones_are_not_counted() {
        let mut collector = collecting();
        let probe = ProbeHeader {
            session: 9,
            task: 3,
            tunnel: 2,
            seq: 1,
            warmup: false,
            reflected: false,
            sent: at(0),
        };
        let reflected = ProbeHeader {
            reflected: true,
            ..probe
        };
        let foreign = ProbeHeader {
            session: 8,
            ..probe
        };
        let elsewhere = Ipv4Addr::new(239, 7, 7, 8);
        assert!(!collector.handle_copy(at(1), 1, GROUP, &reflected));
        assert!(!collector.handle_copy(at(1), 1, GROUP, &foreign));
        assert!(!collector.handle_copy(at(1), 2, GROUP, &probe));
        assert!(!collector.handle_copy(at(1), 1, elsewhere, &probe));
        assert!(collector.handle_copy(at(1), 1, GROUP, &probe));
    }

    #[test]
    fn what_nobody_asks_about_ends() {
        let mut collector = collecting();
        assert_eq!(collector.next_deadline(), Some(at(30_000)));
        take(&mut collector, 0, 100);
        assert!(
            collector.poll_over(at(30_500), false).is_none(),
            "the lease began anew at 1 s"
        );
        assert!(collector.poll_over(at(31_000), false).is_some());
        assert!(
            collector
                .take(at(31_000), &name(), Some(1), host(0))
                .is_err()
        );
    }
}
