//! What was going on: the probe streams and customers' flows of an observation, under the scenario's names.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use mvpnlab_emulator::plan::WireKind;
use mvpnlab_emulator::scenario::{Oneway, Scenario, Source, Task};
use mvpnlab_emulator::truth::{
    CustomerId, Disagreement, Pair, ProbeTruth, Sent, Truth, crossing::Crossing,
};

/// How long a probe of a task that the scenario does not know may take.
const LOSS_TIMEOUT_NS: u64 = 2_000_000_000;

/// Names of tasks by session and number, as far as somebody knows them.
pub type TaskNames = BTreeMap<(u32, u32), String>;

/// Everything that questions are answered from, wherever it was observed.
pub struct Scene<'a> {
    /// What the taps saw.
    pub truth: &'a Truth,
    /// What was asked for.
    pub scenario: &'a Scenario,
    /// What contradicts the truth.
    pub disagreements: &'a [Disagreement],
    /// Probe streams, by task name, run and sender.
    pub streams: Vec<Stream>,
}

/// The probes of one run of a task from one sender tunnel.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Name of the task.
    pub task: String,
    /// Which run of the task, from 1.
    pub run: usize,
    /// Name of the sender tunnel.
    pub sender: String,
    /// Names of the receiver tunnels.
    pub receivers: Vec<String>,
    /// Every probe, by sequence number.
    pub sent: Vec<Sent>,
    loss_timeout_ns: u64,
    number: u32,
    sender_id: u32,
    session: u32,
}

impl Stream {
    /// `red-mdt/a`, or `red-mdt@2/a` for a second run.
    pub fn name(&self) -> String {
        match self.run {
            1 => format!("{}/{}", self.task, self.sender),
            run => format!("{}@{run}/{}", self.task, self.sender),
        }
    }

    /// A probe that takes longer counts as lost.
    pub fn loss_timeout_ns(&self) -> u64 {
        self.loss_timeout_ns
    }

    /// The probe of this number.
    pub fn probe(&self, sequence: u32) -> Option<&Sent> {
        self.sent.iter().find(|sent| sent.id.sequence == sequence)
    }
}

impl<'a> Scene<'a> {
    /// Sorts out what the truth holds. A task that nobody names is told by the group that its probes were sent to.
    pub fn new(
        truth: &'a Truth,
        scenario: &'a Scenario,
        disagreements: &'a [Disagreement],
        names: &TaskNames,
    ) -> Self {
        let mut this = Self {
            truth,
            scenario,
            disagreements,
            streams: Vec::new(),
        };
        let mut streams: Vec<Stream> = truth
            .journeys
            .streams()
            .into_iter()
            .filter_map(|stream| this.stream(stream, names))
            .collect();
        number_runs(&mut streams);
        streams.sort_by(|a, b| (&a.task, a.run, a.sender_id).cmp(&(&b.task, b.run, b.sender_id)));
        this.streams = streams;
        this
    }

    fn stream(
        &self,
        (number, sender_id, session): (u32, u32, u32),
        names: &TaskNames,
    ) -> Option<Stream> {
        let sender = self.truth.tunnel(sender_id)?.name.clone();
        let of_session = self.truth.sent(number, sender_id);
        let sent: Vec<Sent> = of_session
            .filter(|sent| sent.id.session == session)
            .collect();
        let first = sent.first()?;
        let task = match names.get(&(session, number)) {
            Some(name) => self.scenario.task(name),
            None => self.task_of(first, &sender),
        };
        let oneway = match task {
            Some(_) => None,
            None => self.oneway_of(first, &sender),
        };
        let told = names.get(&(session, number)).cloned();
        let name = told
            .or_else(|| task.map(|task| task.name.clone()))
            .or_else(|| oneway.map(|oneway| oneway.name.clone()));
        Some(Stream {
            task: name.unwrap_or_else(|| format!("task{number}")),
            run: 1,
            receivers: match oneway {
                Some(oneway) => oneway.down.clone(),
                None => self.receivers(task, &sender),
            },
            loss_timeout_ns: task
                .map(|task| task.loss_timeout)
                .or(oneway.map(|oneway| oneway.loss_timeout))
                .map_or(LOSS_TIMEOUT_NS, |timeout| timeout.ns),
            sender,
            sent,
            number,
            sender_id,
            session,
        })
    }

    /// The scenario's task whose probes look like this one; the first that fits.
    fn task_of(&self, sent: &Sent, sender: &str) -> Option<&'a Task> {
        let group = self.group_of(sent)?;
        self.scenario.monitor.tasks.iter().find(|task| {
            let senders = self.scenario.task_senders(task);
            self.scenario.task_group(task) == Some(group) && senders.iter().any(|s| s == sender)
        })
    }

    /// The one-way measurement, likewise.
    fn oneway_of(&self, sent: &Sent, sender: &str) -> Option<&'a Oneway> {
        let group = self.group_of(sent)?;
        let mut oneways = self.scenario.monitor.oneways.iter();
        oneways.find(|oneway| oneway.group == group && oneway.up == sender)
    }

    fn group_of(&self, sent: &Sent) -> Option<Ipv4Addr> {
        let probe = self.truth.journey(sent.id);
        Some(probe.iter().next()?.decoded.ip?.destination)
    }

    fn receivers(&self, task: Option<&Task>, sender: &str) -> Vec<String> {
        let all = match task {
            Some(task) => self.scenario.task_receivers(task),
            None => self.scenario.own_tunnel_names(),
        };
        all.into_iter().filter(|name| name != sender).collect()
    }

    /// What became of each of a stream's probes at a receiver.
    pub fn pair(&self, stream: &Stream, receiver: &str) -> Vec<ProbeTruth> {
        let named = |tunnel: &&mvpnlab_emulator::plan::TunnelPlan| tunnel.name == receiver;
        let Some(receiver) = self.truth.tunnels.iter().find(named) else {
            return Vec::new();
        };
        let pair = Pair {
            task: stream.number,
            sender: stream.sender_id,
            receiver: receiver.id,
            loss_timeout_ns: stream.loss_timeout_ns,
        };
        let mut probes = self.truth.pair(pair);
        probes.retain(|probe| probe.id.session == stream.session);
        probes
    }

    /// Customers' sources with the number of their flow.
    pub fn flows(&self) -> impl Iterator<Item = (u32, &'a Source)> {
        (1..).zip(&self.scenario.sources)
    }

    /// A flow's packets by sequence number, each with its crossings in order of entering.
    pub fn packets(&self, flow: u32) -> BTreeMap<u32, Vec<&'a Crossing>> {
        let mut packets: BTreeMap<u32, Vec<&Crossing>> = BTreeMap::new();
        let journeys = &self.truth.journeys;
        for (CustomerId { sequence, .. }, crossing) in journeys.flow(&self.truth.crossings, flow) {
            packets.entry(sequence).or_default().push(crossing);
        }
        packets
    }

    /// The MVPN whose customer has this node.
    pub fn customer_of(&self, node: &str) -> Option<&'a str> {
        let lanes = &self.truth.lanes;
        let of = |lane| match lanes.kind(lane) {
            WireKind::Customer { mvpn } => Some(mvpn.as_str()),
            WireKind::Backbone | WireKind::Monitor => None,
        };
        let mut own = lanes.iter().filter(|lane| lanes.from(*lane) == node);
        own.find_map(of)
    }

    /// A moment as nanoseconds into the run; before its start they are negative.
    pub fn run_ns(&self, ns: u64) -> i64 {
        ns.cast_signed() - self.truth.start_ns.cast_signed()
    }
}

/// Runs of a task are counted in the order in which their first probes were sent.
fn number_runs(streams: &mut [Stream]) {
    let first_ns = |stream: &Stream| stream.sent.first().map(|sent| sent.ns);
    let mut runs: BTreeMap<(String, u32, u32), Option<u64>> = BTreeMap::new();
    for stream in streams.iter() {
        let key = (stream.task.clone(), stream.session, stream.number);
        let first = runs.entry(key).or_insert_with(|| first_ns(stream));
        *first = (*first).min(first_ns(stream));
    }
    for stream in streams.iter_mut() {
        let own = runs.get(&(stream.task.clone(), stream.session, stream.number));
        let earlier = runs
            .iter()
            .filter(|((task, ..), first)| *task == stream.task && Some(*first) < own);
        stream.run = earlier.count() + 1;
    }
}
