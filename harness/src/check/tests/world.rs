//! The made-up world that the tests spoil, and what all of them use.

pub(super) use std::collections::BTreeMap;
pub(super) use std::net::Ipv4Addr;

pub(super) use mvpnlab_emulator::mdt::{Deed, MdtEvent, MdtLog, Stream};
pub(super) use mvpnlab_emulator::plan::Plan;
pub(super) use mvpnlab_emulator::scenario::{
    Action, LossCause, MdtKind, Probability, Scenario, Span,
};
pub(super) use mvpnlab_emulator::traffic::TrafficLog;
pub(super) use mvpnlab_emulator::truth::{
    Counters, CustomerArrival, CustomerId, CustomerSide, Done, MdtArrival, MonitorFrame,
    MrouteCounters, ProbeId, Snapshot, Spread, Timeline, Utterance, What,
};
pub(super) use vmscope_core::control::{Overhead, Traffic};

pub(super) use super::super::facts::{Copy, Facts, Path};
pub(super) use super::super::*;
pub(super) use crate::claims::history::History;
pub(super) use crate::claims::{
    Claims, IntervalClaim, ProbeClaim, ProbeKey, StreamClaim, TaskRun, Told,
};

pub const MS: u64 = 1_000_000;
pub const S: u64 = 1000 * MS;
/// The run begins here on the monotonic clock, the task at once, interval 0 after a second of warm-up.
pub const START: u64 = 100 * S;
pub const EPOCH: u64 = START + S;
pub const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);

pub const SCENARIO: &str = r#"
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
pub type Spoiled = (fn(&mut World), &'static str);

/// Everything that [`Facts`] borrows; sound until a test spoils it.
pub struct World {
    pub scenario: Scenario,
    pub plan: Plan,
    pub claims: Claims,
    pub timeline: Timeline,
    pub copies: BTreeMap<ProbeKey, Copy>,
    pub spreads: BTreeMap<(u32, u32), Vec<Spread>>,
    pub traffic: TrafficLog,
    pub counters: Counters,
    pub frames: Vec<MonitorFrame>,
    pub side: CustomerSide,
    pub arrivals: BTreeMap<u32, Vec<CustomerArrival>>,
    pub mdt_arrivals: BTreeMap<u32, Vec<MdtArrival>>,
    pub mdts: MdtLog,
    pub utterances: Vec<Utterance>,
    pub history: Option<History>,
    pub states: BTreeMap<String, String>,
}

impl World {
    /// A second of warm-up and 200 counted probes a sender; every 20th lost on the path, 40 ms of delay of which 10 are path.
    pub fn new() -> Self {
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
            spreads: BTreeMap::new(),
            traffic: traffic(),
            counters: Counters::default(),
            frames: Vec::new(),
            side: CustomerSide {
                frames: 500,
                probes: 0,
            },
            arrivals: BTreeMap::new(),
            mdt_arrivals: BTreeMap::new(),
            mdts: MdtLog::default(),
            utterances: Vec::new(),
            history: None,
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

    pub fn facts(&self) -> Facts<'_> {
        Facts {
            scenario: &self.scenario,
            plan: &self.plan,
            claims: &self.claims,
            timeline: &self.timeline,
            copies: self.copies.clone(),
            spreads: self.spreads.clone(),
            monitor_frames: self.frames.clone(),
            customer_side: self.side,
            customer_arrivals: self.arrivals.clone(),
            mdt_arrivals: self.mdt_arrivals.clone(),
            mdts: &self.mdts,
            utterances: self.utterances.clone(),
            history: self.history.clone(),
            traffic: &self.traffic,
            counters: &self.counters,
            router_states: self.states.clone(),
        }
    }

    pub fn claim(&mut self, seq: u32) -> &mut ProbeClaim {
        self.claims.probes.get_mut(&key(seq)).unwrap()
    }

    pub fn copy(&mut self, seq: u32) -> &mut Copy {
        self.copies.get_mut(&key(seq)).unwrap()
    }

    pub fn done(&mut self, action: Action, at: u64) {
        self.timeline.done.push(Done {
            planned_ns: at - START,
            began_ns: at,
            monotonic_ns: at + MS,
            action,
        });
    }
}

pub fn key(seq: u32) -> ProbeKey {
    ProbeKey {
        session: 7,
        task: 1,
        sender: 1,
        seq,
        receiver: 2,
    }
}

pub fn traffic() -> TrafficLog {
    let json = serde_json::json!({
        "sources": [{"name": "video", "flow": 1, "at": "CE1", "group": "239.200.1.1", "sent": 200, "refused": 0}],
        "receivers": [{"name": "viewer", "at": "CE2", "foreign": 0, "received": [{"flow": 1, "packets": 190, "first_seq": 0, "last_seq": 199, "missing": 10, "duplicates": 0}]}]
    });
    serde_json::from_value(json).unwrap()
}

pub fn span(ms: u64) -> Span {
    Span { ns: ms * MS }
}

pub fn held(finding: &Finding) {
    assert!(
        finding.held(),
        "{}",
        finding.outcome.reason().unwrap_or_default()
    );
    assert!(finding.judged > 0);
}

pub fn failed(finding: &Finding, because: &str) {
    let reason = finding
        .outcome
        .reason()
        .unwrap_or_else(|| panic!("{} held, which it should not", finding.title()));
    assert!(reason.contains(because), "{reason}");
}

pub fn fates(world: &World) -> Finding {
    fates::fates(&world.facts(), "red", 400, Span::default(), None)
}
