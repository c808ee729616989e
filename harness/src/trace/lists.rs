//! Lists: what there is to be asked about, and what was lost.

use serde::Serialize;

use mvpnlab_emulator::scenario::LossCause;
use mvpnlab_emulator::truth::Fate;

use super::customer::{self, Flow};
use super::probe;
use super::scene::{Scene, Stream};
use super::what::What;

/// What there is. Moments are nanoseconds into the run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Contents {
    /// The scenario's title.
    pub title: String,
    /// Length of the run.
    pub duration_ns: u64,
    /// Frames that were seen entering links.
    pub frames: usize,
    /// Probe streams.
    pub probes: Vec<Row>,
    /// Customers' flows.
    pub customers: Vec<Row>,
}

/// The packets of one sender.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// As it can be asked for.
    pub name: String,
    /// Where the packets come from, in words.
    pub from: String,
    /// Packets, those that only warm a tree up not counted.
    pub sent: usize,
    /// Those.
    pub warmup: usize,
    /// Lowest and highest sequence number.
    pub sequences: (u32, u32),
    /// First and last sending.
    pub sent_ns: (i64, i64),
    /// What became of them.
    pub receivers: Vec<Count>,
}

/// What became of a sender's packets at one receiver.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Count {
    /// A tunnel, or a customer's receiver.
    pub receiver: String,
    /// Came, in time.
    pub received: usize,
    /// Never came, or too late.
    pub lost: usize,
    /// Copies beyond the first.
    pub duplicates: usize,
    /// Nothing can be said, or nothing was to be expected.
    pub uncounted: usize,
}

/// Packets that were lost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LostPackets {
    /// How many; warm-up is not counted.
    pub total: usize,
    /// The first of them, in order of sending.
    pub packets: Vec<LostPacket>,
}

/// One of them, on its way to one receiver.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LostPacket {
    /// As it can be asked for.
    pub packet: String,
    /// Sent then.
    pub sent_ns: i64,
    /// Where, in words.
    pub place: String,
    /// Seen last then, after its sending.
    pub seen_after_sending_ns: Option<i64>,
    /// The same as reports write it: `PE2-P/P` on a link, `P` in a node.
    pub lost_at: Option<String>,
    /// Why, in a word.
    pub cause: Option<LossCause>,
    /// Why, in words.
    pub why: String,
}

/// Everything that fits the question, counted.
pub fn contents(scene: &Scene<'_>, what: &What) -> Contents {
    let truth = scene.truth;
    Contents {
        title: scene.scenario.title.clone(),
        duration_ns: truth.end_ns.saturating_sub(truth.start_ns),
        frames: truth.crossings.all.len(),
        probes: what
            .streams(scene)
            .map(|stream| stream_row(scene, stream, what))
            .collect(),
        customers: what
            .flows(scene)
            .map(|flow| flow_row(scene, &flow, what))
            .collect(),
    }
}

fn stream_row(scene: &Scene<'_>, stream: &Stream, what: &What) -> Row {
    let tunnels = &scene.truth.tunnels;
    let at = tunnels.iter().find(|tunnel| tunnel.name == stream.sender);
    let count = |receiver: &String| {
        let mut count = Count {
            receiver: receiver.clone(),
            ..Count::default()
        };
        for probe in scene
            .pair(stream, receiver)
            .iter()
            .filter(|probe| !probe.warmup)
        {
            count.duplicates += probe.duplicates as usize;
            match probe.fate {
                Fate::Received => count.received += 1,
                Fate::Late | Fate::Lost(_) => count.lost += 1,
                Fate::Unfinished => count.uncounted += 1,
            }
        }
        count
    };
    let warmup = stream.sent.iter().filter(|sent| sent.warmup).count();
    let sequences = stream.sent.iter().map(|sent| sent.id.sequence);
    let times = stream.sent.iter().map(|sent| scene.run_ns(sent.ns));
    Row {
        name: stream.name(),
        from: format!("by {}", at.map_or("?", |tunnel| tunnel.at.as_str())),
        sent: stream.sent.len() - warmup,
        warmup,
        sequences: ends(sequences),
        sent_ns: ends(times),
        receivers: what.receivers(stream).map(count).collect(),
    }
}

fn flow_row(scene: &Scene<'_>, flow: &Flow<'_>, what: &What) -> Row {
    let counts = what.customers(flow).map(|receiver| {
        let mut count = Count {
            receiver: receiver.name.clone(),
            ..Count::default()
        };
        for sequence in flow.packets.keys() {
            match flow.fate(*sequence, receiver) {
                customer::Fate::Received(arrivals) => {
                    count.received += 1;
                    count.duplicates += arrivals.len() - 1;
                }
                customer::Fate::Lost(_) => count.lost += 1,
                customer::Fate::NotJoined | customer::Fate::Unfinished => count.uncounted += 1,
            }
        }
        count
    });
    let times = flow
        .packets
        .keys()
        .filter_map(|sequence| flow.sent_ns(*sequence));
    Row {
        name: flow.source.name.clone(),
        from: format!("at {} to {}", flow.source.at, flow.source.group),
        sent: flow.packets.len(),
        warmup: 0,
        sequences: ends(flow.packets.keys().copied()),
        sent_ns: ends(times.map(|ns| scene.run_ns(ns))),
        receivers: counts.collect(),
    }
}

fn ends<T: Ord + Copy + Default>(values: impl Iterator<Item = T> + Clone) -> (T, T) {
    (
        values.clone().min().unwrap_or_default(),
        values.max().unwrap_or_default(),
    )
}

/// Lost packets that fit the question; customers' only where one is named, as everything else is about the monitor.
pub fn lost(scene: &Scene<'_>, what: &What, most: usize) -> LostPackets {
    let mut packets: Vec<LostPacket> = Vec::new();
    for stream in what.streams(scene) {
        for receiver in what.receivers(stream) {
            packets.extend(lost_probes(scene, stream, receiver));
        }
    }
    if what.name.is_some() {
        for flow in what.flows(scene) {
            packets.extend(lost_of_flow(scene, &flow, what));
        }
    }
    packets.sort_by(|a, b| (a.sent_ns, &a.packet).cmp(&(b.sent_ns, &b.packet)));
    let total = packets.len();
    packets.truncate(most);
    LostPackets { total, packets }
}

fn lost_probes(scene: &Scene<'_>, stream: &Stream, receiver: &str) -> Vec<LostPacket> {
    let probes = scene.pair(stream, receiver);
    let counted = probes.iter().filter(|probe| !probe.warmup);
    let lost = counted.filter_map(|probe| {
        let explained = match probe.fate {
            Fate::Lost(loss) => probe::lost(scene, receiver, stream, probe, loss),
            Fate::Late => probe::late(stream, probe),
            Fate::Received | Fate::Unfinished => return None,
        };
        let name = format!("{}/{receiver}#{}", stream.name(), probe.id.sequence);
        Some(row(name, scene.run_ns(probe.sent_ns), explained))
    });
    lost.collect()
}

fn lost_of_flow(scene: &Scene<'_>, flow: &Flow<'_>, what: &What) -> Vec<LostPacket> {
    let mut packets = Vec::new();
    for receiver in what.customers(flow) {
        for sequence in flow.packets.keys() {
            if let customer::Fate::Lost(loss) = flow.fate(*sequence, receiver) {
                let name = format!("{}/{}#{sequence}", flow.source.name, receiver.name);
                let sent_ns = scene.run_ns(flow.sent_ns(*sequence).unwrap_or_default());
                packets.push(row(name, sent_ns, flow.lost(*sequence, loss)));
            }
        }
    }
    packets
}

fn row(packet: String, sent_ns: i64, lost: probe::Lost) -> LostPacket {
    LostPacket {
        packet,
        sent_ns,
        place: lost.place,
        seen_after_sending_ns: lost.after_ns,
        lost_at: lost.at,
        cause: lost.cause,
        why: lost.why,
    }
}
