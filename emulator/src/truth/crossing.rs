//! Crossings: every frame that entered a wire, paired with what left it.
//!
//! Frames are paired by their bytes: netem changes none, except that corruption flips one bit. A copy of the same bytes
//! that leaves again is a duplicate; one that never leaves was lost on the wire.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    mem,
};

use super::{
    TruthError,
    clock::Converter,
    condition::{Conditions, SLACK_NS, Shares},
    decode::{Decoded, What, decode},
    lane::{Lane, Lanes},
    observation::Observation,
    record::{Direction, Record, RecordReader},
    transit::RARE_LATE_NS,
    view::mentions_probe,
};
use crate::plan::WireKind;

/// A frame's way over one wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crossing {
    /// Which direction of which wire.
    pub lane: Lane,
    /// It entered then, CLOCK_MONOTONIC.
    pub entered_ns: u64,
    /// Place in the capture: tells order exactly, where times are equal.
    pub order: u32,
    /// Length without FCS.
    pub bytes: u16,
    /// Captured as a whole.
    pub complete: bool,
    /// What it is. A damaged copy whose origin is known keeps the name that it had before.
    pub decoded: Decoded,
    /// On a customer's wire: a probe's magic stands somewhere in it.
    pub mentions_probe: bool,
    /// Other frames in the lane's queue when it entered.
    pub occupancy: u32,
    /// Leaving: none, once, or more often. In order.
    pub exits: Vec<Exit>,
    /// It may still have been on the wire when the capture ended.
    pub unfinished: bool,
}

impl Crossing {
    /// It entered and never left, though there was time.
    pub fn is_lost(&self) -> bool {
        self.exits.is_empty() && !self.unfinished
    }

    /// The exits that a receiver would take.
    pub fn whole_exits(&self) -> impl Iterator<Item = &Exit> {
        self.exits.iter().filter(|exit| match exit.state {
            ExitState::Intact => self.decoded.damage.is_none(),
            ExitState::Harmless => true,
            ExitState::Damaged => false,
        })
    }

    /// The first of them.
    pub fn arrival(&self) -> Option<&Exit> {
        self.whole_exits().next()
    }
}

/// A frame leaving a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// When, CLOCK_MONOTONIC.
    pub ns: u64,
    /// Place in the capture.
    pub order: u32,
    /// How it looked.
    pub state: ExitState,
}

/// What corruption did to a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitState {
    /// Nothing.
    Intact,
    /// One bit, and a receiver takes it: nobody looks there, or it mends what an earlier wire did.
    Harmless,
    /// One bit, and no receiver would take it.
    Damaged,
}

/// A frame that left a wire without having entered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phantom {
    /// Where.
    pub lane: Lane,
    /// When.
    pub ns: u64,
}

/// Everything that the capture says.
#[derive(Debug, Clone)]
pub struct Crossings {
    /// In order of entering.
    pub all: Vec<Crossing>,
    /// Left without having entered.
    pub phantoms: Vec<Phantom>,
    /// Records read.
    pub records: u64,
}

impl Crossings {
    /// Reads and pairs the whole capture.
    pub fn of(
        observation: &Observation<'_>,
        lanes: &Lanes,
        conditions: &Conditions,
    ) -> Result<Self, TruthError> {
        let clock = Converter::new(&observation.clock)?;
        let mut clock = clock.lenient(observation.tap_summary.is_excerpt);
        let mut pairing = Pairing::new(lanes, conditions);
        for record in RecordReader::new(observation.taps)? {
            let record = record?;
            let lane = Lane::of(&record);
            if !lanes.contains(lane) {
                return Err(TruthError::NoSuchWire {
                    wire: lane.wire,
                    wires: lanes.len() / 2,
                });
            }
            pairing.handle(lane, &record, clock.convert(record.realtime_ns)?);
        }
        Ok(pairing.finish(observation.tap_summary.stopped_ns))
    }
}

/// The pairing's memory of one lane.
struct Track<'a> {
    /// Crossings by content, oldest first.
    by_content: HashMap<u64, Vec<u32>>,
    /// All crossings with their bytes, oldest first.
    frames: Vec<(u32, &'a [u8])>,
    window_ns: u64,
    is_customer: bool,
}

struct Pairing<'a> {
    conditions: &'a Conditions,
    tracks: Vec<Track<'a>>,
    all: Vec<Crossing>,
    phantoms: Vec<Phantom>,
    /// Names of packets by their damaged bytes, for as long as they travel on.
    renamed: HashMap<Vec<u8>, What>,
    /// What left with a flipped bit, by place in the capture.
    flipped: HashMap<u32, &'a [u8]>,
    order: u32,
}

impl<'a> Pairing<'a> {
    fn new(lanes: &Lanes, conditions: &'a Conditions) -> Self {
        let track = |lane| Track {
            by_content: HashMap::new(),
            frames: Vec::new(),
            window_ns: conditions.longest_transit_ns(lane),
            is_customer: matches!(lanes.kind(lane), WireKind::Customer { .. }),
        };
        Self {
            conditions,
            tracks: lanes.iter().map(track).collect(),
            all: Vec::new(),
            phantoms: Vec::new(),
            renamed: HashMap::new(),
            flipped: HashMap::new(),
            order: 0,
        }
    }

    fn handle(&mut self, lane: Lane, record: &Record<'a>, ns: u64) {
        match record.direction {
            Direction::Entered => self.entered(lane, record, ns),
            Direction::Left => self.left(lane, record, ns),
        }
        self.order += 1;
    }

    fn entered(&mut self, lane: Lane, record: &Record<'a>, ns: u64) {
        let complete = record.is_complete();
        let mut decoded = decode(record.frame, complete);
        if decoded.damage.is_some() && !self.renamed.is_empty() {
            let bytes = record
                .frame
                .get(usize::from(decoded.inner_at)..)
                .unwrap_or_default();
            decoded.what = self.renamed.get(bytes).copied().unwrap_or(decoded.what);
        }
        let index = self.all.len() as u32;
        self.all.push(Crossing {
            lane,
            entered_ns: ns,
            order: self.order,
            bytes: record.original_bytes,
            complete,
            decoded,
            mentions_probe: self.tracks[lane.index()].is_customer && mentions_probe(record.frame),
            occupancy: 0,
            exits: Vec::new(),
            unfinished: false,
        });
        let track = &mut self.tracks[lane.index()];
        track
            .by_content
            .entry(content(record))
            .or_default()
            .push(index);
        track.frames.push((index, record.frame));
    }

    fn left(&mut self, lane: Lane, record: &Record<'a>, ns: u64) {
        let order = self.order;
        if let Some(index) = self.same_content(lane, record, ns) {
            self.all[index as usize].exits.push(Exit {
                ns,
                order,
                state: ExitState::Intact,
            });
        } else if let Some(index) = self.one_bit_off(lane, record, ns) {
            let state = self.inspect_damage(index, record.frame, record.is_complete());
            self.flipped.insert(order, record.frame);
            self.all[index as usize]
                .exits
                .push(Exit { ns, order, state });
        } else {
            self.phantoms.push(Phantom { lane, ns });
        }
    }

    /// The same bytes may have entered many times: hellos, and copies that were made upstream.
    fn same_content(&self, lane: Lane, record: &Record<'a>, ns: u64) -> Option<u32> {
        let track = &self.tracks[lane.index()];
        let candidates = track.by_content.get(&content(record))?;
        self.likeliest(lane, ns, candidates.iter().rev().copied())
    }

    /// A frame of the same length from which exactly one bit differs.
    fn one_bit_off(&self, lane: Lane, record: &Record<'a>, ns: u64) -> Option<u32> {
        let track = &self.tracks[lane.index()];
        let fits = |(index, frame): &&(u32, &'a [u8])| {
            self.all[*index as usize].bytes == record.original_bytes
                && differs_by_one_bit(frame, record.frame)
        };
        let recent = |(index, _): &&(u32, &'a [u8])| {
            self.all[*index as usize].entered_ns + track.window_ns >= ns
        };
        let frames = track.frames.iter().rev().take_while(recent).filter(fits);
        let candidates: Vec<u32> = frames.map(|(index, _)| *index).collect();
        self.likeliest(lane, ns, candidates.into_iter())
    }

    /// Of frames that each may be the one that leaves, youngest first: one that is due, a second copy of one that was due
    /// if copies were asked for, one that the machine held up, and at last whichever there is.
    fn likeliest(
        &self,
        lane: Lane,
        ns: u64,
        candidates: impl ExactSizeIterator<Item = u32> + Clone,
    ) -> Option<u32> {
        if candidates.len() < 2 {
            return candidates.clone().next();
        }
        let crossing = |index: &u32| &self.all[*index as usize];
        let inside = |index: &u32| crossing(index).exits.is_empty();
        let doubling = |index: &u32| self.asked(crossing(index)).duplicate > 0.0;
        let window_ns = self.tracks[lane.index()].window_ns;
        let recent = candidates
            .clone()
            .take_while(|index| crossing(index).entered_ns + window_ns >= ns);
        let due = |late_ns| {
            let is_due = move |index: &u32| self.is_due(crossing(index), ns, late_ns);
            recent.clone().filter(is_due)
        };
        // What keeps its order leaves after exactly the delay, so it is the youngest; jitter and queues leave a guess.
        let leaving = |late_ns| match self.conditions.keeps_delay(lane, ns) {
            true => due(late_ns).find(inside),
            false => due(late_ns).filter(inside).last(),
        };
        leaving(RARE_LATE_NS)
            .or_else(|| due(RARE_LATE_NS).find(doubling))
            .or_else(|| leaving(SLACK_NS))
            .or_else(|| candidates.clone().find(inside))
            .or_else(|| candidates.clone().next())
    }

    /// What it was asked to meet lets it leave then, on a machine that is at most this late.
    fn is_due(&self, crossing: &Crossing, ns: u64, late_ns: u64) -> bool {
        let (lane, entered_ns) = (crossing.lane, crossing.entered_ns);
        let shortest_ns = self.conditions.shortest_transit_ns(lane, entered_ns);
        let longest_ns = self.conditions.longest_hold_ns(lane, entered_ns) + late_ns;
        (entered_ns + shortest_ns..=entered_ns + longest_ns).contains(&ns)
    }

    /// Judges one flipped bit, and remembers the packet's name if routers may carry it on.
    fn inspect_damage(&mut self, index: u32, frame: &[u8], complete: bool) -> ExitState {
        let before = self.all[index as usize].decoded;
        let after = decode(frame, complete);
        let same_meaning = after.what == before.what
            && after.tunnel.map(|gre| gre.key) == before.tunnel.map(|gre| gre.key);
        if after.damage.is_none() && same_meaning && reaches_same(&before.to_mac, &after.to_mac) {
            return ExitState::Harmless;
        }
        if let Some(bytes) = frame.get(usize::from(after.inner_at)..) {
            self.renamed.insert(bytes.to_vec(), before.what);
        }
        ExitState::Damaged
    }

    /// A flipped bit may make one frame the image of another on the same wire, or what another could have become: then
    /// the other seems to leave twice, and the one never. Where a flip is likelier than a loss and a second copy, it gets
    /// its leaving back.
    fn part_images(&mut self) {
        for lane in 0..self.tracks.len() {
            let frames = mem::take(&mut self.tracks[lane].frames);
            let those = |wanted: &dyn Fn(&Crossing) -> bool| {
                let wanted = |(index, _): &&(u32, _)| wanted(&self.all[*index as usize]);
                frames.iter().filter(wanted).copied().collect::<Vec<_>>()
            };
            let missing =
                those(&|crossing| crossing.exits.is_empty() && self.asked(crossing).corrupt > 0.0);
            let doubled = those(&|crossing| crossing.exits.len() > 1);
            for one in missing {
                let found = doubled
                    .iter()
                    .find_map(|other| Some((*other, self.mistaken_exit(one, *other)?)));
                if let Some(((other, image), at)) = found {
                    let exit = self.all[other as usize].exits.remove(at);
                    let bytes = self.flipped.get(&exit.order).copied().unwrap_or(image);
                    let complete = self.all[other as usize].complete;
                    let state = self.inspect_damage(one.0, bytes, complete);
                    self.all[one.0 as usize].exits.push(Exit { state, ..exit });
                }
            }
            self.tracks[lane].frames = frames;
        }
    }

    /// Which leaving of a doubled frame may be that of a missing one with a flipped bit.
    fn mistaken_exit(&self, missing: (u32, &[u8]), doubled: (u32, &[u8])) -> Option<usize> {
        let ((one, frame), (other, image)) = (missing, doubled);
        let (one, other) = (&self.all[one as usize], &self.all[other as usize]);
        let fits = |exit: &Exit| {
            exit.order > one.order
                && self.is_due(one, exit.ns, SLACK_NS)
                && differs_by_one_bit(frame, self.flipped.get(&exit.order).unwrap_or(&image))
        };
        let mut exits = other.exits.iter();
        // What entered first leaves first.
        let at = match one.order < other.order {
            true => exits.position(fits),
            false => exits.rposition(fits),
        };
        at.filter(|_| other.exits.len() > 1 && self.is_flip_likelier(one, other))
    }

    fn is_flip_likelier(&self, missing: &Crossing, doubled: &Crossing) -> bool {
        let conditions = self.conditions;
        let asked = self.asked(missing);
        let limited = conditions
            .possible(missing.lane, missing.entered_ns)
            .any(|impairment| impairment.queue_packets.is_some());
        // Outages and full queues lose frames that no share was asked for.
        let loss = match limited || !conditions.outages(missing.lane).is_empty() {
            true => 1.0,
            false => asked.loss,
        };
        let same_bit = asked.corrupt / (8.0 * f64::from(missing.bytes));
        same_bit > self.asked(doubled).duplicate * loss
    }

    fn asked(&self, crossing: &Crossing) -> Shares {
        self.conditions.shares(crossing.lane, crossing.entered_ns)
    }

    fn finish(mut self, stopped_ns: u64) -> Crossings {
        self.part_images();
        for crossing in &mut self.all {
            let window_ns = self.tracks[crossing.lane.index()].window_ns;
            crossing.unfinished =
                crossing.exits.is_empty() && crossing.entered_ns + window_ns > stopped_ns;
        }
        for track in &self.tracks {
            occupy(
                &mut self.all,
                track.frames.iter().map(|(index, _)| *index as usize),
            );
        }
        Crossings {
            all: self.all,
            phantoms: self.phantoms,
            records: u64::from(self.order),
        }
    }
}

/// How full the lane's queue was when each frame entered: what has entered, and leaves later.
fn occupy(all: &mut [Crossing], lane: impl Iterator<Item = usize>) {
    let mut inside = BinaryHeap::new();
    for index in lane {
        let order = all[index].order;
        while inside.peek().is_some_and(|Reverse(exit)| *exit < order) {
            inside.pop();
        }
        all[index].occupancy = inside.len() as u32;
        inside.extend(all[index].exits.iter().map(|exit| Reverse(exit.order)));
    }
}

/// On a wire between two, every group address reaches the other end.
fn reaches_same(before: &[u8; 6], after: &[u8; 6]) -> bool {
    before == after || (before[0] & after[0] & 1) == 1
}

fn content(record: &Record<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    record.original_bytes.hash(&mut hasher);
    record.frame.hash(&mut hasher);
    hasher.finish()
}

fn differs_by_one_bit(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut bits = 0;
    for (a, b) in one.iter().zip(other) {
        bits += (a ^ b).count_ones();
        if bits > 1 {
            return false;
        }
    }
    bits == 1
}
