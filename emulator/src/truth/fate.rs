//! Fates: what became of each probe, per (task, sender, receiver), and how long each part of its way took.

use super::{
    Truth,
    attribution::Loss,
    crossing::{Crossing, Exit},
    decode::{ProbeId, What},
    journey::{Journey, is_in_tunnel_down, is_in_tunnel_up},
};
use crate::plan::TunnelPlan;

/// What became of one probe at one receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrived in time.
    Received,
    /// It arrived, but later than the loss timeout: counts as lost.
    Late,
    /// It never arrived whole.
    Lost(Loss),
    /// The capture ended before its loss timeout did.
    Unfinished,
}

impl Fate {
    /// As the monitor must log it; None: not to be judged.
    pub fn is_received(self) -> Option<bool> {
        match self {
            Self::Received => Some(true),
            Self::Late | Self::Lost(_) => Some(false),
            Self::Unfinished => None,
        }
    }
}

/// The truth about one probe at one receiver. All times CLOCK_MONOTONIC of the lab, nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeTruth {
    /// Which.
    pub id: ProbeId,
    /// It only warmed the tree up.
    pub warmup: bool,
    /// It entered the monitor's wire.
    pub sent_ns: u64,
    /// What became of it.
    pub fate: Fate,
    /// Each whole copy leaving the receiver's tunnel towards the monitor, in order; late ones too.
    pub arrivals_ns: Vec<u64>,
    /// Copies beyond the first that came within the loss timeout.
    pub duplicates: u32,
    /// A higher sequence number of its stream had arrived before (RFC 4737 section 3.2).
    pub reordered: bool,
    /// The parts of its way, as far as it came.
    pub parts: Parts,
}

impl ProbeTruth {
    /// First arrival minus sending, tunnels included.
    pub fn end_to_end_ns(&self) -> Option<u64> {
        self.arrivals_ns
            .first()
            .map(|arrived| arrived - self.sent_ns)
    }
}

/// How long the parts of a way took. With both tunnels at one router the path is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// Monitor's wire to the sender's router.
    pub tunnel_up_ns: Option<u64>,
    /// Into the sender's router to into the receiver's.
    pub path_ns: Option<u64>,
    /// Into the receiver's router to the monitor's wire.
    pub tunnel_down_ns: Option<u64>,
}

/// A question: one pair of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Task id, as in the probes.
    pub task: u32,
    /// Sender tunnel's id.
    pub sender: u32,
    /// Receiver tunnel's id.
    pub receiver: u32,
    /// A later arrival is a loss.
    pub loss_timeout_ns: u64,
}

/// A probe's sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Which.
    pub id: ProbeId,
    /// It only warms the tree up.
    pub warmup: bool,
    /// It entered the monitor's wire then.
    pub ns: u64,
}

impl Truth {
    /// Every probe that a task's sender put into its own tunnel, by session and sequence number.
    pub fn sent(&self, task: u32, sender: u32) -> impl Iterator<Item = Sent> + '_ {
        let tunnel = self.tunnel(sender);
        self.journeys.probes_of(task, sender).filter_map(move |id| {
            let crossing = self.sending(self.journey(id), tunnel?)?;
            let warmup = matches!(crossing.decoded.what, What::Probe { warmup: true, .. });
            Some(Sent {
                id,
                warmup,
                ns: crossing.entered_ns,
            })
        })
    }

    /// The truth about every probe of a pair, by session and sequence number.
    pub fn pair(&self, pair: Pair) -> Vec<ProbeTruth> {
        let (Some(sender), Some(receiver)) = (self.tunnel(pair.sender), self.tunnel(pair.receiver))
        else {
            return Vec::new();
        };
        let sent: Vec<Sent> = self.sent(pair.task, pair.sender).collect();
        let arrivals: Vec<Vec<Exit>> = sent
            .iter()
            .map(|sent| self.arrivals(sent, receiver))
            .collect();
        let reordered = reordered(&sent, &arrivals);
        let losses = self.losses(sender, receiver, &sent, &arrivals);
        let probes = sent.iter().zip(arrivals).zip(reordered).zip(losses);
        probes
            .map(|(((sent, arrivals), reordered), loss)| {
                let fate = self.fate(sent, &arrivals, loss, pair.loss_timeout_ns);
                let in_time = |exit: &&Exit| exit.ns - sent.ns <= pair.loss_timeout_ns;
                ProbeTruth {
                    id: sent.id,
                    warmup: sent.warmup,
                    sent_ns: sent.ns,
                    fate,
                    duplicates: (arrivals.iter().filter(in_time).count() as u32).saturating_sub(1),
                    reordered,
                    parts: self.parts(sent, &arrivals, sender, receiver),
                    arrivals_ns: arrivals.iter().map(|exit| exit.ns).collect(),
                }
            })
            .collect()
    }

    fn fate(
        &self,
        sent: &Sent,
        arrivals: &[Exit],
        loss: Option<Loss>,
        loss_timeout_ns: u64,
    ) -> Fate {
        match (arrivals.first(), loss) {
            (Some(first), _) if first.ns - sent.ns <= loss_timeout_ns => Fate::Received,
            (Some(_), _) => Fate::Late,
            (None, _) if sent.ns + loss_timeout_ns > self.stopped_ns => Fate::Unfinished,
            (None, Some(loss)) => Fate::Lost(loss),
            // `losses` answers for every probe without arrivals.
            (None, None) => Fate::Unfinished,
        }
    }

    /// The probe entering the monitor's wire in the sender's tunnel.
    fn sending<'a>(&self, journey: Journey<'a>, sender: &TunnelPlan) -> Option<&'a Crossing> {
        let (from_monitor, _) = self.monitor_lanes?;
        journey.iter().find(|crossing| {
            crossing.lane == from_monitor && is_in_tunnel_up(&crossing.decoded, sender)
        })
    }

    /// Every whole copy that left the monitor's wire in the receiver's tunnel, in order. What did so before the probe was
    /// sent is another's, to which corruption gave this name.
    fn arrivals(&self, sent: &Sent, receiver: &TunnelPlan) -> Vec<Exit> {
        let Some((_, to_monitor)) = self.monitor_lanes else {
            return Vec::new();
        };
        let journey = self.journey(sent.id);
        let crossings = journey.iter().filter(|crossing| {
            crossing.lane == to_monitor && is_in_tunnel_down(&crossing.decoded, receiver)
        });
        let exits = crossings.flat_map(Crossing::whole_exits).copied();
        let mut arrivals: Vec<Exit> = exits.filter(|exit| exit.ns >= sent.ns).collect();
        arrivals.sort_unstable_by_key(|exit| exit.order);
        arrivals
    }

    fn parts(
        &self,
        sent: &Sent,
        arrivals: &[Exit],
        sender: &TunnelPlan,
        receiver: &TunnelPlan,
    ) -> Parts {
        let journey = self.journey(sent.id);
        let into_sender = self.first_into(journey, &sender.at, |crossing| {
            is_in_tunnel_up(&crossing.decoded, sender)
        });
        let into_receiver = match sender.at == receiver.at {
            true => into_sender,
            false => self.first_into(journey, &receiver.at, |crossing| {
                crossing.decoded.tunnel.is_none()
            }),
        };
        let arrived = arrivals.first().map(|exit| exit.ns);
        let between = |from: Option<u64>, to: Option<u64>| to?.checked_sub(from?);
        Parts {
            tunnel_up_ns: between(Some(sent.ns), into_sender),
            path_ns: between(into_sender, into_receiver),
            tunnel_down_ns: between(into_receiver, arrived),
        }
    }

    /// When a whole copy in the wanted form first left a wire into this node.
    pub(super) fn first_into(
        &self,
        journey: Journey<'_>,
        node: &str,
        wanted: impl Fn(&Crossing) -> bool,
    ) -> Option<u64> {
        let crossings = journey
            .iter()
            .filter(|crossing| self.lanes.to(crossing.lane) == node && wanted(crossing));
        crossings
            .filter_map(|crossing| crossing.arrival().map(|exit| exit.ns))
            .min()
    }
}

/// RFC 4737 section 3.3: in order of arrival, a first copy is reordered if its number is lower than one already there.
fn reordered(sent: &[Sent], arrivals: &[Vec<Exit>]) -> Vec<bool> {
    let mut firsts: Vec<_> = arrivals
        .iter()
        .enumerate()
        .filter_map(|(at, exits)| Some((exits.first()?.order, at)))
        .collect();
    firsts.sort_unstable();
    let mut reordered = vec![false; sent.len()];
    // Sessions follow one another; each counts its own sequence numbers.
    let mut highest = std::collections::BTreeMap::new();
    for (_, at) in firsts {
        let id = sent[at].id;
        let top = highest.entry(id.session).or_insert(id.sequence);
        reordered[at] = id.sequence < *top;
        *top = id.sequence.max(*top);
    }
    reordered
}
