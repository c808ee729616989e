//! Each check held and failed, on a world made up by hand: two routers, one tunnel each, a task of two pairs.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use mvpnlab_emulator::plan::Plan;
use mvpnlab_emulator::scenario::{Action, LossCause, Probability, Scenario, Span};
use mvpnlab_emulator::traffic::TrafficLog;
use mvpnlab_emulator::truth::{
    Counters, CustomerArrival, CustomerId, CustomerSide, Done, MonitorFrame, MrouteCounters,
    ProbeId, Snapshot, Timeline, What,
};
use vmscope_core::control::{Overhead, Traffic};

use super::facts::{Copy, Facts, Path};
use super::*;
use crate::claims::{Claims, IntervalClaim, ProbeClaim, ProbeKey, StreamClaim, TaskRun};

const MS: u64 = 1_000_000;
const S: u64 = 1000 * MS;
/// The run begins here on the monotonic clock, the task at once, interval 0 after a second of warm-up.
const START: u64 = 100 * S;
const EPOCH: u64 = START + S;
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);

const SCENARIO: &str = r#"
title = "a world made up by hand"
duration = "30s"
nodes = { P = { role = "p" }, PE1 = { role = "pe" }, PE2 = { role = "pe" }, CE1 = { role = "ce" }, CE2 = { role = "ce" }, MON = { role = "monitor" } }
link = [{ ends = "PE1-P" }, { ends = "PE2-P" }, { ends = "P-MON" }, { ends = "PE1-CE1" }, { ends = "PE2-CE2" }]
tunnel = [{ name = "t1", at = "PE1" }, { name = "t2", at = "PE2" }]
backbone = { rp = "P" }
[mvpn.red]
default_mdt = "239.1.1.1"
sites = { PE1 = "CE1", PE2 = "CE2" }
[[source]]
name = "video"
at = "CE1"
group = "239.200.1.1"
rate = "10/s"
[[receiver]]
name = "viewer"
at = "CE2"
group = "239.200.1.1"
[[monitor.task]]
name = "red"
mvpn = "red"
rate = "10/s"
interval = "5s"
warmup = "1s"
[[expect]]
check = "intervals"
task = "red"
"#;

/// What spoils a sound world, and the words that must then be said.
type Spoiled = (fn(&mut World), &'static str);

/// Everything that [`Facts`] borrows; sound until a test spoils it.
struct World {
    scenario: Scenario,
    plan: Plan,
    claims: Claims,
    timeline: Timeline,
    copies: BTreeMap<ProbeKey, Copy>,
    traffic: TrafficLog,
    counters: Counters,
    frames: Vec<MonitorFrame>,
    side: CustomerSide,
    arrivals: BTreeMap<u32, Vec<CustomerArrival>>,
    states: BTreeMap<String, String>,
}

impl World {
    /// A second of warm-up and 200 counted probes a sender; every 20th lost on the path, 40 ms of delay of which 10 are path.
    fn new() -> Self {
        let scenario =
            Scenario::parse("world.toml", SCENARIO).unwrap_or_else(|error| panic!("{error}"));
        let plan = Plan::of(&scenario);
        let mut world = Self {
            plan,
            scenario,
            claims: Claims::default(),
            timeline: Timeline {
                start_ns: START,
                end_ns: START + 30 * S,
                done: Vec::new(),
            },
            copies: BTreeMap::new(),
            traffic: traffic(),
            counters: Counters::default(),
            frames: Vec::new(),
            side: CustomerSide {
                frames: 500,
                probes: 0,
            },
            arrivals: BTreeMap::new(),
            states: BTreeMap::new(),
        };
        world.claims.tasks.push(TaskRun {
            session: 7,
            task: 1,
            name: "red".into(),
            started_ns: START,
            epoch_ns: EPOCH,
            finished: true,
            probes_sent: 420,
        });
        for (sender, receiver) in [(1, 2), (2, 1)] {
            (0..210).for_each(|seq| world.probe(sender, receiver, seq));
            (0..4).for_each(|interval| world.row(interval, sender, receiver));
        }
        world
    }

    fn probe(&mut self, sender: u32, receiver: u32, seq: u32) {
        let key = ProbeKey {
            session: 7,
            task: 1,
            sender,
            seq,
            receiver,
        };
        let sent_ns = START + u64::from(seq) * 100 * MS + 5 * MS;
        let (warmup, lost) = (seq < 10, seq >= 10 && seq % 20 == 13);
        let arrived_ns = (!lost).then_some(sent_ns + 40 * MS);
        let path = if lost {
            Path::Lost
        } else {
            Path::Crossed {
                delay_ns: 10 * MS as i64,
            }
        };
        let cause = lost.then(|| (LossCause::Netem, "PE1-P/P".to_owned()));
        let copy = Copy {
            warmup,
            unfinished: false,
            sent_ns,
            arrived_ns,
            first_arrival_ns: arrived_ns,
            duplicates: 0,
            reordered: false,
            path,
            cause,
        };
        self.copies.insert(key, copy);
        let received_ns = arrived_ns.map(|at| at + 3_000);
        let interval = sent_ns.checked_sub(EPOCH).map(|since| since / (5 * S));
        let claim = ProbeClaim {
            sent_ns,
            received_ns,
            lost,
            duplicates: 0,
            reordered: false,
            warmup,
            interval,
        };
        self.claims.probes.insert(key, claim);
    }

    fn row(&mut self, interval: u64, sender: u32, receiver: u32) {
        let start_ns = EPOCH + interval * 5 * S;
        let (sent, lost) = (50, if interval.is_multiple_of(2) { 3 } else { 2 });
        self.claims.intervals.push(IntervalClaim {
            session: 7,
            task: 1,
            interval,
            sender,
            receiver,
            start_ns,
            end_ns: start_ns + 5 * S,
            sent,
            received: sent - lost,
            lost,
            delay_mean_ns: Some(40_003_000),
            path_delay_half_ns: Some(10_050_000),
            path_delay_low_ns: Some(2 * MS as i64),
            path_delay_high_ns: Some(20 * MS as i64),
            path_loss_half: Some(0.05),
            path_loss_low: Some(0.0),
            path_loss_high: Some(0.2),
            ..IntervalClaim::default()
        });
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            scenario: &self.scenario,
            plan: &self.plan,
            claims: &self.claims,
            timeline: &self.timeline,
            copies: self.copies.clone(),
            monitor_frames: self.frames.clone(),
            customer_side: self.side,
            customer_arrivals: self.arrivals.clone(),
            traffic: &self.traffic,
            counters: &self.counters,
            router_states: self.states.clone(),
        }
    }

    fn claim(&mut self, seq: u32) -> &mut ProbeClaim {
        self.claims.probes.get_mut(&key(seq)).unwrap()
    }

    fn copy(&mut self, seq: u32) -> &mut Copy {
        self.copies.get_mut(&key(seq)).unwrap()
    }

    fn done(&mut self, action: Action, at: u64) {
        self.timeline.done.push(Done {
            planned_ns: at - START,
            began_ns: at,
            monotonic_ns: at + MS,
            action,
        });
    }
}

fn key(seq: u32) -> ProbeKey {
    ProbeKey {
        session: 7,
        task: 1,
        sender: 1,
        seq,
        receiver: 2,
    }
}

fn traffic() -> TrafficLog {
    let json = serde_json::json!({
        "sources": [{"name": "video", "flow": 1, "at": "CE1", "group": "239.200.1.1", "sent": 200, "refused": 0}],
        "receivers": [{"name": "viewer", "at": "CE2", "foreign": 0, "received": [{"flow": 1, "packets": 190, "first_seq": 0, "last_seq": 199, "missing": 10, "duplicates": 0}]}]
    });
    serde_json::from_value(json).unwrap()
}

fn span(ms: u64) -> Span {
    Span { ns: ms * MS }
}

fn held(finding: &Finding) {
    assert!(
        finding.held(),
        "{}",
        finding.outcome.reason().unwrap_or_default()
    );
    assert!(finding.judged > 0);
}

fn failed(finding: &Finding, because: &str) {
    let reason = finding
        .outcome
        .reason()
        .unwrap_or_else(|| panic!("{} held, which it should not", finding.title()));
    assert!(reason.contains(because), "{reason}");
}

fn fates(world: &World) -> Finding {
    fates::fates(&world.facts(), "red", 400, Span::default(), None)
}

#[test]
fn fates_hold_where_log_and_taps_agree() {
    let finding = fates(&World::new());
    held(&finding);
    assert_eq!(finding.judged, 400);
    assert_eq!(finding.figures["lost"], Figure::Count(20));
}

#[test]
fn fates_name_each_kind_of_difference() {
    let spoil: [Spoiled; 7] = [
        (
            |w| {
                w.claim(20).lost = true;
            },
            "the monitor says lost, the taps saw it arrive after 40.00 ms",
        ),
        (
            |w| {
                w.claim(33).lost = false;
            },
            "the monitor says received, the taps saw it lost at PE1-P/P",
        ),
        (
            |w| {
                w.claim(20).duplicates = 1;
            },
            "1 duplicates, the taps saw 0",
        ),
        (
            |w| {
                w.copy(20).reordered = true;
            },
            "the monitor says in order, the taps saw it reordered",
        ),
        (
            |w| {
                w.claims.probes.remove(&key(20));
            },
            "the monitor's log does not have it",
        ),
        (
            |w| {
                w.copies.remove(&key(20));
            },
            "the taps never saw it expected",
        ),
        (
            |w| {
                w.claim(20).warmup = true;
            },
            "calls it warm-up",
        ),
    ];
    for (spoil, because) in spoil {
        let mut world = World::new();
        spoil(&mut world);
        failed(&fates(&world), because);
    }
}

#[test]
fn fates_need_enough_to_judge() {
    let world = World::new();
    failed(
        &fates::fates(&world.facts(), "red", 401, Span::default(), None),
        "only 400",
    );
    failed(
        &fates::fates(&world.facts(), "blue", 0, Span::default(), None),
        "nothing judged",
    );
    held(&fates::fates(
        &world.facts(),
        "red",
        100,
        span(10_000),
        Some(span(16_000)),
    ));
}

#[test]
fn a_probe_around_a_stop_may_be_missing_and_later_ones_too() {
    let mut world = World::new();
    world.done(
        Action::PeStop {
            task: "red".into(),
            tunnel: "t2".into(),
        },
        START + 15 * S,
    );
    let gone: Vec<ProbeKey> = world
        .copies
        .iter()
        .filter(|(_, copy)| copy.sent_ns > START + 15 * S)
        .map(|(k, _)| *k)
        .collect();
    world.claims.probes.retain(|key, _| !gone.contains(key));
    held(&fates::fates(
        &world.facts(),
        "red",
        200,
        Span::default(),
        None,
    ));
    world.claims.probes.remove(&key(50));
    failed(
        &fates::fates(&world.facts(), "red", 200, Span::default(), None),
        "probe 50",
    );
}

#[test]
fn a_late_arrival_on_the_edge_of_the_timeout_may_be_either() {
    let mut world = World::new();
    let copy = world.copy(20);
    copy.first_arrival_ns = Some(copy.sent_ns + 2 * S + 1_000);
    copy.arrived_ns = None;
    held(&fates(&world));
}

#[test]
fn intervals_hold_and_each_kind_of_error_is_named() {
    held(&intervals::intervals(&World::new().facts(), "red"));
    let spoil: [Spoiled; 4] = [
        (
            |w| {
                w.claims.intervals.pop();
            },
            "there is no row for its 50 probes",
        ),
        (
            |w| {
                w.claims.intervals[1].lost += 1;
            },
            "the log adds up to",
        ),
        (
            |w| {
                w.claim(60).interval = Some(0);
            },
            "counted in interval Some(0) rather than Some(1)",
        ),
        (
            |w| {
                w.claims.intervals[0].start_ns += 1;
            },
            "it should begin at",
        ),
    ];
    for (spoil, because) in spoil {
        let mut world = World::new();
        spoil(&mut world);
        failed(&intervals::intervals(&world.facts(), "red"), because);
    }
}

#[test]
fn delay_error_is_judged_at_its_99th_percentile() {
    let mut world = World::new();
    held(&delay::delay_error(
        &world.facts(),
        "red",
        Span { ns: 3_000 },
    ));
    failed(
        &delay::delay_error(&world.facts(), "red", Span { ns: 2_999 }),
        "99th percentile of the error is 3.000 µs",
    );
    world
        .claims
        .probes
        .values_mut()
        .for_each(|claim| claim.received_ns = None);
    failed(
        &delay::delay_error(&world.facts(), "red", span(1)),
        "nothing judged",
    );
}

#[test]
fn delay_must_lie_in_its_range() {
    let world = World::new();
    held(&delay::delay(
        &world.facts(),
        "red",
        (None, None),
        span(39),
        span(41),
    ));
    failed(
        &delay::delay(
            &world.facts(),
            "red",
            (Some("t1"), None),
            span(41),
            span(50),
        ),
        "t1 → t2: 40.00 ms",
    );
}

#[test]
fn loss_rate_is_tested_against_what_was_injected() {
    let world = World::new();
    let finding = loss::loss_rate(&world.facts(), "red", (None, None), Probability(0.05), 1e-6);
    held(&finding);
    assert_eq!(finding.false_alarm, Some(2e-6));
    failed(
        &loss::loss_rate(&world.facts(), "red", (None, None), Probability(0.4), 1e-6),
        "10 of 200 measured as lost",
    );
    failed(
        &loss::loss_rate(
            &world.facts(),
            "red",
            (Some("t9"), None),
            Probability(0.4),
            1e-6,
        ),
        "nothing judged",
    );
}

#[test]
fn loss_between_and_cause_are_the_truths_own() {
    let world = World::new();
    let between = |at_least, at_most| loss::Between {
        from: span(5_000),
        until: span(15_000),
        at_least: Probability(at_least),
        at_most: Probability(at_most),
    };
    held(&loss::loss_between(
        &world.facts(),
        "red",
        (None, None),
        &between(0.01, 0.1),
    ));
    failed(
        &loss::loss_between(&world.facts(), "red", (None, None), &between(0.5, 1.0)),
        "5 of 100 lost",
    );
    held(&loss::cause(&world.facts(), LossCause::Netem, 20));
    failed(
        &loss::cause(&world.facts(), LossCause::LinkDown, 1),
        "0 of 20 lost probe copies",
    );
}

#[test]
fn outages_are_measured_by_both() {
    let mut world = World::new();
    held(&outage::outage(
        &world.facts(),
        "red",
        "t1",
        "t2",
        span(50),
        span(150),
    ));
    world.claim(34).lost = true;
    failed(
        &outage::outage(&world.facts(), "red", "t1", "t2", span(50), span(150)),
        "the monitor saw 200.0 ms",
    );
}

#[test]
fn path_estimates_are_judged_against_the_taps() {
    let mut world = World::new();
    let facts = world.facts();
    held(&path::path_delay(&facts, "red", Span { ns: 50_000 }));
    failed(
        &path::path_delay(&facts, "red", Span { ns: 49_000 }),
        "estimated 10.05 ms, true 10.00 ms",
    );
    held(&path::path_bias(
        &facts,
        "red",
        "t1",
        "t2",
        Span { ns: 40_000 },
    ));
    failed(
        &path::path_bias(&facts, "red", "t1", "t2", span(1)),
        "estimated",
    );
    held(&path::path_loss(&facts, "red", Probability(0.01)));
    held(&path::path_interval(&facts, "red", None));
    world.claims.intervals[0].path_delay_low_ns = Some(11 * MS as i64);
    failed(
        &path::path_interval(&world.facts(), "red", None),
        "does not hold 10.00 ms",
    );
    held(&path::path_interval(&world.facts(), "red", Some(span(1))));
    world
        .claims
        .intervals
        .iter_mut()
        .for_each(|row| (row.path_loss_low, row.path_loss_half) = (Some(0.15), Some(0.3)));
    failed(
        &path::path_interval(&world.facts(), "red", Some(span(1))),
        "far more than 5 in 100",
    );
    failed(
        &path::path_loss(&world.facts(), "red", Probability(0.01)),
        "estimated 30.00 %",
    );
}

#[test]
fn duplicates_and_reordering_must_have_been_logged() {
    let mut world = World::new();
    failed(&fates::duplicates(&world.facts(), "red", 1), "0 logged");
    failed(&fates::reordered(&world.facts(), "red", 1), "0 logged");
    (world.claim(20).duplicates, world.claim(21).reordered) = (2, true);
    held(&fates::duplicates(&world.facts(), "red", 2));
    held(&fates::reordered(&world.facts(), "red", 1));
}

#[test]
fn the_log_before_a_kill_may_miss_only_its_end() {
    let mut world = World::new();
    failed(
        &fates::log_lost_before_kill(&world.facts(), span(1000)),
        "nothing judged",
    );
    world.done(Action::MonitorKill {}, START + 15 * S);
    // With a loss timeout of 2 s these were decided from 14 s on.
    let gone: Vec<ProbeKey> = world
        .copies
        .iter()
        .filter(|(_, copy)| copy.sent_ns > START + 12 * S)
        .map(|(k, _)| *k)
        .collect();
    world.claims.probes.retain(|key, _| !gone.contains(key));
    held(&fates::log_lost_before_kill(&world.facts(), span(1000)));
    failed(
        &fates::log_lost_before_kill(&world.facts(), span(900)),
        "decided 995.0 ms before",
    );
}

#[test]
fn customers_get_what_was_sent() {
    let world = World::new();
    held(&customer::delivered(
        &world.facts(),
        "video",
        "viewer",
        Probability(0.9),
        Probability(1.0),
    ));
    failed(
        &customer::delivered(
            &world.facts(),
            "video",
            "viewer",
            Probability(0.96),
            Probability(1.0),
        ),
        "190 of 200",
    );
    failed(
        &customer::delivered(
            &world.facts(),
            "radio",
            "viewer",
            Probability(0.0),
            Probability(1.0),
        ),
        "nothing judged",
    );
}

#[test]
fn no_probe_may_be_seen_at_customers() {
    let mut world = World::new();
    held(&segregation::no_probe_at_customer(&world.facts(), 500));
    failed(
        &segregation::no_probe_at_customer(&world.facts(), 501),
        "only 500 frames",
    );
    world.side.probes = 3;
    failed(
        &segregation::no_probe_at_customer(&world.facts(), 1),
        "3 frames at customers carry a probe",
    );
}

fn arrival(sequence: u32) -> CustomerArrival {
    CustomerArrival {
        id: CustomerId { flow: 1, sequence },
        tunnel: 2,
        ns: START + u64::from(sequence) * MS,
    }
}

#[test]
fn customer_packets_reach_the_monitors_link_and_no_further() {
    let mut world = World::new();
    world.arrivals.insert(1, (0..50).map(arrival).collect());
    failed(
        &customer::customer_packets(&world.facts(), 50, 0),
        "did not report its overhead",
    );
    world.claims.overhead = Some(Overhead::default());
    held(&customer::customer_packets(&world.facts(), 50, 0));
    failed(
        &customer::customer_packets(&world.facts(), 51, 0),
        "only 50 customer packets",
    );
    world.claims.overhead = Some(Overhead {
        customer_discarded: Traffic {
            packets: 4,
            bytes: 400,
        },
        ..Overhead::default()
    });
    failed(
        &customer::customer_packets(&world.facts(), 50, 3),
        "processed 4",
    );
}

#[test]
fn passive_streams_are_counted_exactly() {
    let mut world = World::new();
    let source = world.plan.address_of("CE1").unwrap().to_string();
    world
        .arrivals
        .insert(1, (0..50).filter(|n| *n != 7).map(arrival).collect());
    failed(
        &customer::passive_stream(&world.facts(), "video", "t2", 40),
        "reports no stream",
    );
    world.claims.streams.push(StreamClaim {
        tunnel: 2,
        source,
        group: "239.200.1.1".into(),
        packets: 49,
        rtp_lost: Some(1),
    });
    held(&customer::passive_stream(&world.facts(), "video", "t2", 40));
    failed(
        &customer::passive_stream(&world.facts(), "video", "t2", 50),
        "only 49",
    );
    held(&customer::only_customer_streams(&world.facts(), "red"));
    world.claims.streams[0].packets = 48;
    failed(
        &customer::passive_stream(&world.facts(), "video", "t2", 40),
        "counted 48 packets, the taps 49",
    );
    world.claims.streams[0].group = "239.1.1.1".into();
    failed(
        &customer::only_customer_streams(&world.facts(), "red"),
        "by no source",
    );
}

fn frame(from_monitor: bool, what: What, at: u64) -> MonitorFrame {
    MonitorFrame {
        ns: at,
        from_monitor,
        bytes: 166,
        tunnel: Some(1),
        destination: Some(GROUP),
        what,
        whole: true,
    }
}

fn probe_frame(from_monitor: bool, at: u64) -> MonitorFrame {
    frame(
        from_monitor,
        What::Probe {
            id: ProbeId {
                task: 1,
                sender: 2,
                session: 7,
                sequence: 0,
            },
            warmup: false,
        },
        at,
    )
}

#[test]
fn probe_copies_are_counted_by_tunnel_and_time() {
    let mut world = World::new();
    let copies = |at_least, at_most| segregation::Copies {
        task: Some("red"),
        from: span(1_000),
        until: Some(span(2_000)),
        at_least,
        at_most,
    };
    failed(
        &segregation::probe_copies(&world.facts(), "t1", &copies(0, Some(0))),
        "nothing judged",
    );
    world.frames = vec![
        probe_frame(true, START + S),
        probe_frame(false, START + S),
        probe_frame(false, START + 3 * S),
    ];
    held(&segregation::probe_copies(
        &world.facts(),
        "t1",
        &copies(1, Some(1)),
    ));
    held(&segregation::probe_copies(
        &world.facts(),
        "t2",
        &copies(0, Some(0)),
    ));
    failed(
        &segregation::probe_copies(&world.facts(), "t1", &copies(0, Some(0))),
        "1 came by t1",
    );
}

#[test]
fn nothing_is_sent_to_a_group_but_memberships() {
    let mut world = World::new();
    failed(
        &segregation::nothing_sent_to(&world.facts(), GROUP),
        "nothing judged",
    );
    world
        .frames
        .push(frame(true, What::Igmp { kind: 0x16 }, START));
    held(&segregation::nothing_sent_to(&world.facts(), GROUP));
    world.frames.push(probe_frame(true, START + S));
    failed(
        &segregation::nothing_sent_to(&world.facts(), GROUP),
        "Probe",
    );
}

#[test]
fn overhead_is_compared_up_to_the_moment_of_the_reply() {
    let mut world = World::new();
    failed(&overhead::overhead(&world.facts()), "did not report");
    world.frames = vec![
        probe_frame(true, START + S),
        probe_frame(false, START + 2 * S),
        probe_frame(true, START + 20 * S),
    ];
    let one = Traffic {
        packets: 1,
        bytes: 152,
    };
    world.claims.overhead = Some(Overhead {
        probes_sent: one,
        probes_received: one,
        ..Overhead::default()
    });
    world.claims.overhead_ns = Some(START + 10 * S);
    held(&overhead::overhead(&world.facts()));
    world.claims.overhead_ns = Some(START + 25 * S);
    failed(
        &overhead::overhead(&world.facts()),
        "probes sent: the monitor says 1 packets, 152 bytes; the taps 2 packets, 304 bytes",
    );
}

#[test]
fn what_routers_forward_is_read_from_their_kernel() {
    let mut world = World::new();
    failed(
        &router_state::forwarded(&world.facts(), "PE1", GROUP, None, true),
        "nothing judged",
    );
    let route: MrouteCounters = serde_json::from_value(serde_json::json!({
        "namespace": "PE1", "source": "10.2.0.2", "group": "239.1.1.1", "incoming": "vrf-red", "outgoing": ["to-P"], "packets": 5, "wrong_if": 0
    }))
    .unwrap();
    world.counters.snapshots.push(Snapshot {
        mroutes: vec![route],
        ..Snapshot::default()
    });
    held(&router_state::forwarded(&world.facts(), "PE1", GROUP, None, true));
    failed(
        &router_state::forwarded(&world.facts(), "PE1", GROUP, None, false),
        "forwards 239.1.1.1 to to-P",
    );
    held(&router_state::forwarded(
        &world.facts(),
        "PE2",
        GROUP,
        None,
        false,
    ));
    held(&router_state::forwarded(
        &world.facts(),
        "PE1",
        GROUP,
        Some("tun-b"),
        false,
    ));
    failed(
        &router_state::forwarded(&world.facts(), "PE1", GROUP, Some("tun-b"), true),
        "no entry for 239.1.1.1 that sends to tun-b",
    );
    failed(
        &router_state::forwarded(&world.facts(), "PE2", GROUP, None, true),
        "no entry",
    );
}

#[test]
fn adjacencies_are_asked_of_every_site() {
    let mut world = World::new();
    failed(
        &router_state::customer_adjacencies(&world.facts(), "red"),
        "2 of 2",
    );
    failed(
        &router_state::customer_adjacencies(&world.facts(), "blue"),
        "nothing judged",
    );
    let ends: Vec<_> = world
        .plan
        .gre
        .iter()
        .filter(|d| d.end.interface == "mdt")
        .map(|d| d.end.clone())
        .collect();
    for (own, other) in [(0, 1), (1, 0)] {
        world.states.insert(
            ends[own].namespace.clone(),
            format!("mdt  {}  00:00:10", ends[other].address.address),
        );
    }
    held(&router_state::customer_adjacencies(&world.facts(), "red"));
}

#[test]
fn a_scenario_that_expects_nothing_does_not_pass() {
    assert!(matches!(verdict(&[]), Verdict::Fail { .. }));
    assert_eq!(verdict(&[fates(&World::new())]), Verdict::Pass);
}

#[test]
fn every_expectation_of_the_scenario_is_judged_in_its_order() {
    let world = World::new();
    let findings = judge(&world.facts());
    assert_eq!(
        findings
            .iter()
            .map(|f| f.check.as_str())
            .collect::<Vec<_>>(),
        ["intervals"]
    );
    held(&findings[0]);
}
