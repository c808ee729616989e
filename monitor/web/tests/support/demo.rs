//! A database as a provider's may be: two MVPNs over six hours, a pause in which nobody listened, customers that come and go, a
//! data MDT, a PE that falls silent, a stranger, and what the active side measured. Always the same, but for the hour.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr};

use vmscope_core::alarm::{Alarm, Cleared, Kind, Transition, Turn};
use vmscope_core::control::{
    Configuration, OnewayRow, OnewaySpec, OnewayState, OnewayStatus, PathLoss,
};
use vmscope_core::name::Name;
use vmscope_core::report::*;
use vmscope_core::spec::{ProbeSpec, TaskSpec};
use vmscope_core::time::Instant;
use vmscope_core::view::record::{Cause, Change, Key, Neighbor, Record as Heard, Route, State};
use vmscope_store::{Counters, Entry, Limits, Location, Put, SessionStart, Writer};

const S: u64 = 1_000_000_000;
const MINUTE: u64 = 60;
/// The demonstration begins so long before its end, seconds.
pub const LENGTH_S: u64 = 6 * 3_600;
/// From when to when nobody listened, seconds from its beginning.
pub const DEAF_S: std::ops::Range<u64> = 7_200..10_800;
/// Its sessions count from here: the machine was up for an hour.
const UPTIME_S: u64 = 3_600;

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub fn pe(n: u8) -> Ipv4Addr {
    [10, 2, 0, n].into()
}

fn inner(n: u8) -> IpAddr {
    [192, 168, 7, n].into()
}

fn group(n: u8) -> IpAddr {
    [239, 1, 1, n].into()
}

fn source(n: u8) -> IpAddr {
    [10, 11, 0, n].into()
}

/// A session that writes, and the present of its clock.
pub struct Story {
    writer: Writer,
    number: u32,
    offset_ns: i64,
    /// What is to be told in the order of time, once all of it is there; nothing while all is told at once.
    held: RefCell<Option<Vec<(u64, Entry)>>>,
}

impl Story {
    /// A session that begins `at_s` after the beginning of the demonstration, which was at `began_ns` (UTC).
    pub fn begin(location: &Location, number: u32, began_ns: i64, at_s: u64) -> Story {
        let offset_ns = began_ns - (UPTIME_S * S) as i64;
        let start = SessionStart {
            session: number,
            version: "0.1.0".into(),
            interface: "eth0".into(),
            probe_port: 33900,
            at_ns: at(at_s),
            realtime_minus_monotonic_ns: offset_ns,
        };
        let writer = Writer::open(location, &start, Limits::default()).unwrap();
        Story {
            writer,
            number,
            offset_ns,
            held: RefCell::new(None),
        }
    }

    /// From here on what is said need not be in the order of time: it is told in that order in the end.
    fn hold(&self) {
        *self.held.borrow_mut() = Some(Vec::new());
    }

    fn tell(&self) {
        let mut held = self.held.take().unwrap_or_default();
        held.sort_by_key(|(at_s, _)| *at_s);
        for (at_s, entry) in held {
            self.put(at_s, entry);
        }
    }

    pub fn put(&self, at_s: u64, entry: Entry) {
        match self.held.borrow_mut().as_mut() {
            Some(held) => held.push((at_s, entry)),
            None => assert_eq!(self.writer.put(entry), Put::Queued),
        }
    }

    pub fn record(&self, at_s: u64, record: Record) {
        self.put(at_s, Entry::Record(record));
    }

    pub fn alive(&self, at_s: u64) {
        self.put(
            at_s,
            Entry::Counters(Counters {
                at_ns: at(at_s),
                capture_received: 1_000,
                ..Counters::default()
            }),
        );
    }

    pub fn watch(&self, mvpn: &str, at_s: u64) {
        self.record(
            at_s,
            Record::WatchStarted {
                mvpn: name(mvpn),
                at_ns: at(at_s),
            },
        );
    }

    pub fn said(&self, mvpn: &str, at_s: u64, (key, state): (Key, State)) {
        self.changed(mvpn, at_s, None, Some(heard(key, state, at_s)), Cause::Said);
    }

    pub fn became(
        &self,
        mvpn: &str,
        at_s: u64,
        since_s: u64,
        old: (Key, State),
        new: State,
        cause: Cause,
    ) {
        let before = heard(old.0, old.1, since_s);
        self.changed(
            mvpn,
            at_s,
            Some(before),
            Some(heard(old.0, new, at_s)),
            cause,
        );
    }

    pub fn gone(
        &self,
        mvpn: &str,
        at_s: u64,
        since_s: u64,
        (key, state): (Key, State),
        cause: Cause,
    ) {
        self.changed(mvpn, at_s, Some(heard(key, state, since_s)), None, cause);
    }

    fn changed(
        &self,
        mvpn: &str,
        at_s: u64,
        before: Option<Heard>,
        after: Option<Heard>,
        cause: Cause,
    ) {
        self.record(
            at_s,
            Record::Change(Box::new(Change {
                mvpn: name(mvpn),
                at: at(at_s),
                before,
                after,
                cause,
            })),
        );
    }

    pub fn alarm(&self, turn: Turn, at_s: u64, alarm: Alarm) {
        self.record(
            at_s,
            Record::Alarm(Box::new(Transition {
                at_ns: at(at_s),
                turn,
                alarm,
            })),
        );
    }

    pub fn expect(&self, json: &str, at_s: u64) {
        self.record(
            at_s,
            Record::Expected {
                expected: Box::new(serde_json::from_str(json).unwrap()),
                at_ns: at(at_s),
            },
        );
    }

    /// Ends in good order.
    pub fn end(self, at_s: u64) {
        self.tell();
        self.put(
            at_s,
            Entry::End {
                at_ns: at(at_s),
                realtime_minus_monotonic_ns: self.offset_ns,
            },
        );
        self.stop();
    }

    /// Ends as if it was killed, once all is written.
    pub fn stop(self) {
        self.tell();
        let number = self.number;
        let health = self.writer.finish().unwrap();
        let rejected = (health.rejected, health.dropped);
        assert_eq!(rejected, (0, 0), "session {number}: {health:?}");
    }
}

pub fn at(s: u64) -> Instant {
    Instant::from_ns((UPTIME_S + s) * S)
}

fn heard(key: Key, state: State, since_s: u64) -> Heard {
    Heard {
        key,
        state,
        since: at(since_s),
        refreshed: at(since_s),
        refreshes: 0,
        expires: None,
    }
}

pub fn neighbor(n: u8, generation_id: u32) -> (Key, State) {
    let state = State::Neighbor(Neighbor {
        address: inner(n),
        hold_time_s: Some(105),
        generation_id: Some(generation_id),
        dr_priority: Some(1),
        designated_router: n == 16,
        bidirectional: false,
        addresses: vec![],
    });
    (Key::Neighbor { pe: pe(n) }, state)
}

pub fn join(n: u8, from: u8, to: u8, upstream: u8) -> (Key, State) {
    let route = Route::Source {
        source: source(from),
        group: group(to),
    };
    let state = State::Join {
        upstream: inner(upstream),
        rp: None,
    };
    (Key::Join { pe: pe(n), route }, state)
}

pub fn shared(n: u8, to: u8, upstream: u8) -> (Key, State) {
    let route = Route::Shared { group: group(to) };
    let state = State::Join {
        upstream: inner(upstream),
        rp: Some([10, 9, 9, 9].into()),
    };
    (Key::Join { pe: pe(n), route }, state)
}

pub fn mapping(n: u8, from: u8, to: u8, data_mdt: u8) -> (Key, State) {
    let key = Key::Mapping {
        pe: pe(n),
        source: source(from),
        group: group(to),
    };
    let data_mdt = [239, 200, 0, data_mdt].into();
    (key, State::Mapping { data_mdt })
}

pub fn alarm(
    id: u64,
    mvpn: &str,
    kind: Kind,
    n: u8,
    since_s: u64,
    message: &str,
    remedy: &str,
) -> Alarm {
    Alarm {
        id,
        kind,
        severity: kind.severity(),
        mvpn: name(mvpn),
        pe: Some(pe(n)),
        pe_name: None,
        group: None,
        source: None,
        measured: None,
        since_ns: at(since_s),
        raised_ns: at(since_s + 30),
        cleared_ns: None,
        cleared_because: None,
        count: 1,
        flapping: false,
        message: message.into(),
        remedy: remedy.into(),
    }
}

pub fn over(alarm: &Alarm, at_s: u64) -> Alarm {
    Alarm {
        cleared_ns: Some(at(at_s)),
        cleared_because: Some(Cleared::Fine),
        ..alarm.clone()
    }
}

const RED: &str = r#"{"mvpn":"red","pes":{"PE1-Frankfurt":"10.2.0.11","PE2-Berlin":"10.2.0.12","PE3-Hamburg":"10.2.0.13",
  "PE4-Munich":"10.2.0.14","PE5-Vienna":"10.2.0.15","PE6-Zurich":"10.2.0.16","PE7-Basel":{"address":"10.2.0.17","presence":"optional"}},
  "groups":["239.1.0.0/16"],"sources":{"239.1.0.0/16":["10.11.0.0/16"]},"data_mdt":{"pool":["239.200.0.0/24"]}}"#;

/// Writes the whole demonstration, which ends at `end_ns` (UTC), with a monitor that goes on: it has not said that it ends.
pub fn write(location: &Location, end_ns: i64) {
    let began_ns = end_ns - (LENGTH_S * S) as i64;
    first_session(location, began_ns);
    second_session(location, began_ns);
}

fn first_session(location: &Location, began_ns: i64) {
    let story = Story::begin(location, 41, began_ns, 0);
    story.hold();
    story.expect(RED, 0);
    for mvpn in ["red", "blue"] {
        story.watch(mvpn, 1);
        let count = if mvpn == "red" { 11..=16 } else { 11..=13 };
        for n in count {
            story.said(mvpn, u64::from(n), neighbor(n, 0x1000 + u32::from(n)));
        }
    }
    for k in 0..60_u64 {
        let n = 12 + (k % 5) as u8;
        let what = join(n, 1 + (k % 3) as u8, 1 + (k % 7) as u8, 11);
        story.said("red", 60 + k * 100, what.clone());
        story.gone(
            "red",
            60 + k * 100 + 380,
            60 + k * 100,
            what,
            Cause::TakenBack,
        );
    }
    story.said("blue", 200, join(12, 1, 1, 11));
    story.end(DEAF_S.start);
}

fn second_session(location: &Location, began_ns: i64) {
    let story = Story::begin(location, 42, began_ns, DEAF_S.end);
    story.hold();
    let base = DEAF_S.end;
    story.expect(RED, base);
    for mvpn in ["red", "blue"] {
        story.watch(mvpn, base);
        let count = if mvpn == "red" { 11..=16 } else { 11..=13 };
        for n in count {
            story.said(
                mvpn,
                base + u64::from(n),
                neighbor(n, 0x2000 + u32::from(n)),
            );
        }
    }
    for n in 12..=16 {
        for to in 1..=5_u8 {
            if (n + to) % 3 != 0 {
                story.said("red", base + 60 + u64::from(n), join(n, 1, to, 11));
            }
        }
    }
    for n in [12, 14] {
        story.said("red", base + 90, shared(n, 9, 13));
    }
    story.said("red", base + 100, join(13, 7, 2, 16));
    story.said("blue", base + 95, join(12, 1, 1, 11));
    story.said("blue", base + 96, join(13, 1, 1, 11));
    // Streams switch to data MDTs, and one of them back.
    story.said("red", base + 300, mapping(11, 1, 1, 4));
    story.said("red", base + 320, mapping(11, 1, 2, 5));
    story.gone(
        "red",
        base + 4_000,
        base + 320,
        mapping(11, 1, 2, 5),
        Cause::Expired,
    );
    // A customer zaps through channels.
    for k in 0..80_u64 {
        let what = join(15, 2, 20 + (k % 9) as u8, 12);
        story.said("red", base + 1_000 + k * 97, what.clone());
        story.gone(
            "red",
            base + 1_000 + k * 97 + 61,
            base + 1_000 + k * 97,
            what,
            Cause::TakenBack,
        );
    }
    // A PE restarts; another falls silent near the end; a stranger comes.
    let restarted = neighbor(13, 0x3013).1;
    story.became(
        "red",
        base + 5_000,
        base + 13,
        neighbor(13, 0x2013),
        restarted,
        Cause::Restarted,
    );
    let missing = alarm(
        1,
        "red",
        Kind::PeMissing,
        14,
        18_000,
        "MVPN red: PE PE4-Munich (10.2.0.14) is missing: no Hello of it is valid since 30 s",
        "look whether the PE is up, and whether its VRF is on the default MDT",
    );
    story.alarm(
        Turn::Raised,
        6_000 + base,
        Alarm {
            since_ns: at(base + 5_970),
            raised_ns: at(base + 6_000),
            ..missing.clone()
        },
    );
    story.alarm(Turn::Cleared, base + 6_600, over(&missing, base + 6_600));
    let end = LENGTH_S;
    story.gone(
        "red",
        end - 900,
        base + 16,
        neighbor(16, 0x2016),
        Cause::Expired,
    );
    let silent = alarm(
        2,
        "red",
        Kind::PeMissing,
        16,
        end - 900,
        "MVPN red: PE PE6-Zurich (10.2.0.16) is missing: no Hello of it is valid since 30 s",
        "look whether the PE is up, and whether its VRF is on the default MDT",
    );
    story.alarm(Turn::Raised, end - 870, silent);
    story.said("red", end - 600, neighbor(99, 0x6666));
    let stranger = alarm(
        3,
        "red",
        Kind::PeUnexpected,
        99,
        end - 600,
        "MVPN red: PE 10.2.0.99 takes part, and is not among the PEs expected",
        "find out whose it is; if it is right, add it to `pes`",
    );
    story.alarm(Turn::Raised, end - 570, stranger);
    let foreign = alarm(
        4,
        "blue",
        Kind::SourceUnexpected,
        12,
        end - 300,
        "MVPN blue: source 10.99.0.1 may not send to group 239.1.1.1: a Join of PE 10.2.0.12",
        "find the source at the customer's site",
    );
    story.alarm(Turn::Raised, end - 270, foreign);
    measure(&story, "red", 1, 6, end);
    infer(&story, end);
    measure(&story, "blue", 2, 3, end);
    story.alive(end);
    story.stop();
}

/// A one-way measurement that goes on, and one that has found nothing yet.
fn infer(story: &Story, end: u64) {
    let spec = |name: &str| {
        let spec = format!(
            r#"{{"name":"{name}","up":"red-PE1","down":["red-PE2"],"group":"239.7.7.7","leaf":[{{"kind":"collector","peer":"m2","tunnel":"t9"}}]}}"#
        );
        serde_json::from_str::<OnewaySpec>(&spec).unwrap()
    };
    for (run, name) in [(90, "PE1-up"), (91, "PE1-later")] {
        let status = OnewayStatus {
            spec: spec(name),
            run,
            state: OnewayState::Probing,
            started_ns: at(end - 600),
            probes_sent: 0,
            row: None,
            refused: None,
            unsure: vec![],
        };
        story.record(end - 600, Record::OnewayStarted(Box::new(status)));
    }
    let loss = |loss, low, high| PathLoss {
        loss,
        deviation: (high - low) / 4.0,
        low,
        high,
    };
    let row = OnewayRow {
        run: 90,
        name: name("PE1-up"),
        at_ns: at(end - 10),
        probes: 58_000,
        blocks: 580,
        configuration: Configuration::PerPacket,
        up_tunnel: Some(name("red-PE1")),
        up: loss(0.0213, 0.0199, 0.0228),
        down: vec![(name("red-PE2"), loss(0.0004, 0.0001, 0.0011))],
        leaf: vec![loss(0.0102, 0.0092, 0.0113)],
        discarded: 100,
        doubts: vec![
            "down red-PE2: fewer than 30 losses: the interval is only roughly right".into(),
        ],
        up_delay: None,
        down_delay: vec![],
    };
    story.record(end - 10, Record::Oneway(Box::new(row)));
}

/// The last half hour of probes between all pairs of some tunnels.
fn measure(story: &Story, task: &str, number: u32, tunnels: u32, end: u64) {
    let first = number * 100;
    let names: Vec<Name> = (1..=tunnels)
        .map(|n| name(&format!("{task}-PE{n}")))
        .collect();
    for (n, name) in (1..).zip(&names) {
        let spec = format!(
            r#"{{"name":"{name}","id":{},"outer_local":"10.1.0.2","outer_remote":"10.254.{number}.{n}","inner_local":"10.77.{n}.2","inner_remote":"10.77.{n}.1"}}"#,
            first + n
        );
        story.record(
            DEAF_S.end,
            Record::TunnelAdded {
                spec: serde_json::from_str(&spec).unwrap(),
                at_ns: at(DEAF_S.end),
            },
        );
    }
    story.record(
        end - 1_800,
        Record::TaskStarted(Box::new(TaskStatus {
            spec: TaskSpec {
                name: name(task),
                group: [239, 9, 9, number as u8].into(),
                senders: names.clone(),
                receivers: names.clone(),
                source_specific: false,
                probes: ProbeSpec::default(),
            },
            task: number,
            state: TaskState::Running,
            started_ns: at(end - 1_800),
            epoch_ns: at(end - 1_800),
            probes_sent: 0,
            intervals: 0,
            first_row: 0,
            next_row: 0,
            active: vec![],
        })),
    );
    let mut row = 0;
    for interval in 0..30_u64 {
        for a in 1..=tunnels {
            for b in (1..=tunnels).filter(|b| *b != a) {
                let pair = pair(task, first, a, b, interval);
                story.record(
                    end - 1_800 + (interval + 1) * MINUTE,
                    Record::Interval(Box::new(IntervalRow {
                        row,
                        task_name: name(task),
                        task: number,
                        interval,
                        start_ns: at(end - 1_800 + interval * MINUTE),
                        end_ns: at(end - 1_800 + (interval + 1) * MINUTE),
                        capture_drops: u64::from(a == 4 && b == 2 && interval == 29),
                        pair,
                    })),
                );
                row += 1;
            }
        }
    }
}

fn pair(task: &str, first: u32, a: u32, b: u32, interval: u64) -> PairResult {
    let lost = match (a, b) {
        (_, 6) => 41 + interval % 7,
        (3, _) => 4 + interval % 3,
        (1, 5) => u64::from(interval.is_multiple_of(4)),
        _ => 0,
    };
    let sent = 3_000;
    let mean =
        6_000_000 + i64::from(a.abs_diff(b)) * 5_200_000 + if b == 6 { 71_000_000 } else { 0 };
    PairResult {
        sender: first + a,
        sender_name: name(&format!("{task}-PE{a}")),
        receiver: first + b,
        receiver_name: name(&format!("{task}-PE{b}")),
        counts: PairCounts {
            sent,
            received: sent - lost,
            lost,
            duplicates: 0,
            reordered: u64::from(a == 3),
            late: 0,
        },
        loss: Some(lost as f64 / sent as f64),
        delay: Some(Distribution {
            samples: sent - lost,
            min_ns: mean - 400_000,
            mean_ns: mean,
            p50_ns: mean - 20_000,
            p90_ns: mean + 300_000,
            p99_ns: mean + 900_000,
            p999_ns: mean + 2_000_000,
            max_ns: mean + 3_100_000,
        }),
        ipdv: None,
        pdv: None,
        corrected: Corrected {
            sender_rtt_ns: Some(2_000_000),
            receiver_rtt_ns: Some(3_000_000),
            sender_ping_loss: Some(0.0),
            receiver_ping_loss: Some(0.0),
            delay_half_ns: Some(mean - 2_500_000),
            delay_low_ns: Some(mean - 5_000_000),
            delay_high_ns: Some(mean),
            loss_half: Some(lost as f64 / sent as f64),
            loss_low: Some(lost as f64 / sent as f64 * 0.8),
            loss_high: Some(lost as f64 / sent as f64),
            ..Corrected::default()
        },
    }
}
