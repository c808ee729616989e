//! A lab that never was: packets are sent through a plan by rules that the test gives, and everything that a real lab
//! would leave behind is written down. What must be found is known exactly.

use std::{
    collections::{BTreeMap, VecDeque},
    net::Ipv4Addr,
};

use mvpnlab_emulator::{
    plan::{Plan, TunnelPlan, WireKind},
    scenario::{Action, Scenario},
    traffic::TrafficLog,
    truth::{
        ClockLog, Counters, Disagreement, Done, Epoch, Files, Lane, Lanes, Observation, Snapshot,
        TapSummary, Timeline, Truth, TruthError, file,
        lane::{Side, Tap},
        record::{Direction, Record, RecordWriter},
    },
};

use super::{
    frames,
    walk::{Form, Walk},
};

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000 * MS;
/// The run's zero.
pub const START: u64 = 100 * SECOND;
const EPOCH: i64 = 1_767_225_600_000_000_000;
pub const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);

/// ```text
///  MON --- P --- PE1
///          +---- PE2
/// ```
pub const TWO: &str = r#"
title = "Two PEs"
duration = "10s"
[nodes]
MON = { role = "monitor" }
P = { role = "p" }
PE1 = { role = "pe" }
PE2 = { role = "pe" }
[[link]]
ends = "MON-P"
[[link]]
ends = "PE1-P"
[[link]]
ends = "P-PE2"
[[tunnel]]
name = "a"
at = "PE1"
[[tunnel]]
name = "b"
at = "PE2"
key = 5
[[tunnel]]
name = "c"
at = "PE1"
"#;

/// The two PEs, and customers of an MVPN behind them.
pub fn two_with_customers() -> String {
    let customers = r#"
[[link]]
ends = "CE1-PE1"
[[link]]
ends = "PE2-CE2"
[mvpn.red]
default_mdt = "239.1.1.1"
sites = { PE1 = "CE1", PE2 = "CE2" }
[[tunnel]]
name = "a"
"#;
    let nodes = "CE1 = { role = \"ce\" }\nCE2 = { role = \"ce\" }\n[[link]]\nends = \"MON-P\"";
    let text = TWO
        .replacen("[[tunnel]]\nname = \"a\"\n", &customers[1..], 1)
        .replace("[[link]]\nends = \"MON-P\"", nodes);
    text.replace("[nodes]", "[backbone]\nrp = \"P\"\n[nodes]")
}

/// One copy leaving a wire.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    pub transit_ns: u64,
    /// Bit of the frame that is flipped.
    pub flip: Option<usize>,
}

pub fn out(transit_ns: u64) -> Out {
    Out {
        transit_ns,
        flip: None,
    }
}

/// What the network does to packets.
pub trait Net {
    /// Copies that leave; none: lost.
    fn wire(&mut self, _lane: &str, _ns: u64) -> Vec<Out> {
        vec![out(20_000)]
    }
    /// The node passes it on over this lane.
    fn node(&mut self, _node: &str, _lane: &str, _ns: u64) -> bool {
        true
    }
}

/// Nothing happens to anything.
pub struct Perfect;
impl Net for Perfect {}

/// Rules for wires only.
pub struct Wires<F>(pub F);
impl<F: FnMut(&str, u64) -> Vec<Out>> Net for Wires<F> {
    fn wire(&mut self, lane: &str, ns: u64) -> Vec<Out> {
        (self.0)(lane, ns)
    }
}

/// Rules for nodes only.
pub struct Nodes<F>(pub F);
impl<F: FnMut(&str, &str, u64) -> bool> Net for Nodes<F> {
    fn node(&mut self, node: &str, lane: &str, ns: u64) -> bool {
        (self.0)(node, lane, ns)
    }
}

#[derive(Debug, Clone)]
struct Event {
    ns: u64,
    tap: Tap,
    direction: Direction,
    frame: Vec<u8>,
}

/// What the generator did to one probe.
#[derive(Debug, Clone, Default)]
pub struct Deed {
    /// Arrivals by receiver tunnel id.
    pub arrivals: BTreeMap<u32, Vec<u64>>,
    /// Where copies that would have reached a receiver were lost, by receiver tunnel id; `P` or `PE1-P/P`.
    pub lost_at: BTreeMap<u32, Vec<String>>,
    /// Lanes where a bit was flipped, and the copy went on.
    pub hurt_at: Vec<String>,
    /// Copies that arrived under another probe's name.
    pub misnamed: Vec<Misnamed>,
}

/// An arrival that no receiver can tell from that of the probe whose name it bears.
#[derive(Debug, Clone, Copy)]
pub struct Misnamed {
    /// Session, task, sender, sequence number.
    pub name: [u32; 4],
    pub receiver: u32,
    pub ns: u64,
}

/// A probe to be sent.
#[derive(Debug, Clone, Copy)]
pub struct Send<'a> {
    pub sender: &'a str,
    pub sequence: u32,
    pub ns: u64,
    pub ttl: u8,
}

pub struct Lab {
    pub scenario: Scenario,
    pub plan: Plan,
    pub lanes: Lanes,
    events: Vec<Event>,
    /// Frames that the queueing discipline says that it dropped, by lane key and time.
    pub drops: Vec<(String, u64)>,
    pub timeline: Timeline,
    /// Steps of the wall clock: (when, by).
    pub steps: Vec<(u64, i64)>,
    pub tap: TapSummary,
    pub session: u32,
    /// Probes are held in the node for this long before they enter this lane in a tunnel.
    pub hold: Option<(String, u64)>,
}

impl Lab {
    pub fn new(text: &str) -> Self {
        let text = &format!("{text}[[expect]]\ncheck = \"overhead\"\n");
        let scenario =
            Scenario::parse("truth.toml", text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let plan = Plan::of(&scenario);
        let end_ns = START + scenario.duration.ns;
        Self {
            lanes: Lanes::of(&plan),
            timeline: Timeline {
                start_ns: START,
                end_ns,
                done: Vec::new(),
            },
            tap: TapSummary {
                snap_bytes: 256,
                started_ns: START - SECOND,
                stopped_ns: end_ns + 2 * SECOND,
                ..TapSummary::default()
            },
            scenario,
            plan,
            events: Vec::new(),
            drops: Vec::new(),
            steps: Vec::new(),
            session: 77,
            hold: None,
        }
    }

    pub fn lane(&self, key: &str) -> Lane {
        self.lanes
            .by_key(key)
            .unwrap_or_else(|| panic!("no lane {key}"))
    }

    pub fn tunnel(&self, name: &str) -> TunnelPlan {
        self.plan
            .tunnel(name)
            .unwrap_or_else(|| panic!("no tunnel {name}"))
            .clone()
    }

    /// An action of the timeline, done at once.
    pub fn act(&mut self, after_start_ns: u64, action: Action) {
        let ns = START + after_start_ns;
        self.timeline.done.push(Done {
            planned_ns: after_start_ns,
            began_ns: ns,
            monotonic_ns: ns + 1_000,
            action,
        });
    }

    /// A frame at one tap.
    pub fn see(&mut self, lane: &str, direction: Direction, ns: u64, frame: Vec<u8>) {
        let lane = self.lane(lane);
        let side = if direction == Direction::Left {
            lane.toward
        } else {
            lane.toward.other()
        };
        self.events.push(Event {
            ns,
            tap: Tap {
                wire: lane.wire,
                side,
            },
            direction,
            frame,
        });
    }

    /// A frame crosses a wire; what left, with its bytes.
    pub fn cross(
        &mut self,
        lane: &str,
        ns: u64,
        frame: &[u8],
        outs: &[Out],
    ) -> Vec<(u64, Vec<u8>)> {
        self.see(lane, Direction::Entered, ns, frame.to_vec());
        if outs.is_empty() {
            self.drops.push((lane.to_owned(), ns));
        }
        let mut left = Vec::new();
        for out in outs {
            let mut frame = frame.to_vec();
            if let Some(bit) = out.flip {
                frame[bit / 8] ^= 1 << (bit % 8);
            }
            self.see(lane, Direction::Left, ns + out.transit_ns, frame.clone());
            left.push((ns + out.transit_ns, frame));
        }
        left
    }

    /// Sends a probe along the shortest paths to every tunnel.
    pub fn probe(&mut self, send: Send<'_>, net: &mut dyn Net) -> Deed {
        let sender = self.tunnel(send.sender);
        let name = [self.session, 1, sender.id, send.sequence];
        let payload = frames::probe_payload(self.session, 1, sender.id, send.sequence, false);
        let inner = frames::udp(sender.monitor_inner, GROUP, 33900, send.ttl, &payload);
        let first = self.monitor_lane(true);
        let tree = self.tree(&sender.at);
        let mut walk = Walk {
            tree,
            lab: self,
            net,
            sender,
            name,
            deed: Deed::default(),
        };
        walk.over(&first, Form::Up, send.ns, inner);
        walk.deed
    }

    pub fn monitor_lane(&self, from_monitor: bool) -> String {
        let wire = self.plan.monitor.as_ref().expect("a monitor").wire as u16;
        let lanes = [Side::A, Side::B].map(|toward| Lane { wire, toward });
        let found = lanes
            .iter()
            .find(|lane| (self.lanes.from(**lane) == "MON") == from_monitor);
        self.lanes
            .key(*found.expect("the monitor's wire"))
            .to_string()
    }

    /// The lane by which each backbone node is reached from the root, breadth first.
    fn tree(&self, root: &str) -> BTreeMap<String, Lane> {
        let mut by = BTreeMap::new();
        let mut queue = VecDeque::from([root.to_owned()]);
        while let Some(node) = queue.pop_front() {
            for lane in self
                .lanes
                .iter()
                .filter(|lane| self.lanes.from(*lane) == node)
            {
                let next = self.lanes.to(lane).to_owned();
                if *self.lanes.kind(lane) == WireKind::Backbone
                    && next != root
                    && !by.contains_key(&next)
                {
                    by.insert(next.clone(), lane);
                    queue.push_back(next);
                }
            }
        }
        by
    }

    /// Lanes from a tree's root to a node.
    pub fn path(&self, from: &str, to: &str) -> Vec<String> {
        let tree = self.tree(from);
        let mut path = Vec::new();
        let mut node = to.to_owned();
        while let Some(lane) = tree.get(&node) {
            path.push(self.lanes.key(*lane).to_string());
            node = self.lanes.from(*lane).to_owned();
        }
        path.reverse();
        path
    }

    /// What the lab leaves behind; `tamper` may falsify the counters.
    pub fn files(&self, tamper: impl FnOnce(&mut Counters)) -> Files {
        let mut events = self.events.clone();
        events.sort_by_key(|event| event.ns);
        let mut counters = self.counters(&events);
        tamper(&mut counters);
        let mut writer = RecordWriter::new(self.tap.snap_bytes);
        for event in &events {
            let kept = event.frame.len().min(usize::from(self.tap.snap_bytes));
            writer.push(&Record {
                realtime_ns: (event.ns as i64 + self.offset(event.ns)) as u64,
                tap: event.tap,
                direction: event.direction,
                original_bytes: event.frame.len() as u16,
                frame: &event.frame[..kept],
            });
        }
        let tap = TapSummary {
            records: writer.records(),
            ..self.tap
        };
        let json = |value: serde_json::Value| value.to_string().into_bytes();
        let to =
            |value: Result<serde_json::Value, serde_json::Error>| json(value.expect("plain data"));
        Files::from([
            (file::PLAN.into(), to(serde_json::to_value(&self.plan))),
            (
                file::SCENARIO.into(),
                to(serde_json::to_value(&self.scenario)),
            ),
            (file::TAPS.into(), writer.to_bytes()),
            (file::TAP_SUMMARY.into(), to(serde_json::to_value(tap))),
            (file::CLOCK.into(), to(serde_json::to_value(self.clock()))),
            (file::COUNTERS.into(), to(serde_json::to_value(counters))),
            (
                file::TIMELINE.into(),
                to(serde_json::to_value(&self.timeline)),
            ),
            (
                file::TRAFFIC.into(),
                to(serde_json::to_value(TrafficLog::default())),
            ),
        ])
    }

    fn offset(&self, ns: u64) -> i64 {
        EPOCH
            + self
                .steps
                .iter()
                .filter(|(at, _)| *at <= ns)
                .map(|(_, by)| by)
                .sum::<i64>()
    }

    fn clock(&self) -> ClockLog {
        let edges = self.steps.iter().flat_map(|(at, _)| [at - 500, at + 500]);
        let times = [self.tap.started_ns]
            .into_iter()
            .chain(edges)
            .chain([self.tap.stopped_ns]);
        let epoch = |at| Epoch {
            at_monotonic_ns: at,
            realtime_minus_monotonic_ns: self.offset(at),
        };
        ClockLog {
            epochs: times.map(epoch).collect(),
        }
    }

    /// True counters at the start, around every action, and at the end.
    fn counters(&self, events: &[Event]) -> Counters {
        let around = self
            .timeline
            .done
            .iter()
            .flat_map(|done| [done.began_ns - 10_000, done.monotonic_ns + 10_000]);
        let times = [START + 1_000]
            .into_iter()
            .chain(around)
            .chain([self.tap.stopped_ns - SECOND / 2]);
        Counters {
            snapshots: times.map(|ns| self.snapshot(ns, events)).collect(),
        }
    }

    fn snapshot(&self, ns: u64, events: &[Event]) -> Snapshot {
        let mut snapshot = Snapshot {
            monotonic_ns: ns,
            until_ns: ns + 5_000,
            label: format!("at {}", ns / MS),
            ..Snapshot::default()
        };
        for lane in self.lanes.iter() {
            let key = self.lanes.key(lane).to_string();
            for side in [Side::A, Side::B] {
                let device = Tap {
                    wire: lane.wire,
                    side,
                }
                .device();
                snapshot
                    .interfaces
                    .entry(format!("wires/{device}"))
                    .or_default();
            }
            let qdisc = snapshot.qdiscs.entry(key.clone()).or_default();
            qdisc.dropped = self
                .drops
                .iter()
                .filter(|(at, time)| *at == key && *time <= ns)
                .count() as u64;
        }
        for event in events.iter().filter(|event| event.ns <= ns) {
            let device = snapshot
                .interfaces
                .entry(format!("wires/{}", event.tap.device()))
                .or_default();
            match event.direction {
                Direction::Entered => device.rx_packets += 1,
                Direction::Left => {
                    device.tx_packets += 1;
                    let key = self
                        .lanes
                        .key(Lane {
                            wire: event.tap.wire,
                            toward: event.tap.side,
                        })
                        .to_string();
                    snapshot.qdiscs.entry(key).or_default().sent_packets += 1;
                }
            }
        }
        snapshot
    }

    pub fn truth(&self) -> Truth {
        let files = self.files(|_| {});
        let observation = Observation::of(&files).expect("a readable observation");
        Truth::of(&observation).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The lab's disagreements, with tampered counters.
    pub fn disagreements(&self, tamper: impl FnOnce(&mut Counters)) -> Vec<Disagreement> {
        let files = self.files(tamper);
        let observation = Observation::of(&files).expect("a readable observation");
        let insisted = Truth::of(&observation).map(|_| ());
        let (_, found) = Truth::read(&observation).expect("a truth");
        match insisted {
            Ok(()) => assert_eq!(found, []),
            Err(TruthError::Disagreement(insisted)) => assert_eq!(found, insisted),
            Err(other) => panic!("{other}"),
        }
        found
    }

    /// As one text.
    pub fn complaints(&self) -> String {
        self.disagreements(|_| {})
            .iter()
            .map(|found| format!("{found}\n"))
            .collect()
    }
}
