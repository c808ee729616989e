//! What counts of a run's probes, and what does not: single probes by blocks, or sums by aggregates.

use super::aggregates::Aggregates;
use super::blocks::{Block, Blocks};
use super::estimates::Estimates;
use super::link::Role;
use super::spec::{LeafSpec, OnewaySpec};
use super::why::{Discards, Why};
use super::window::Probe;
use crate::counters;
use crate::fault::Planted;
use crate::inference::{Confidence, InferenceError, PacketCounts};
use crate::time::{Instant, Span};

/// One of the two kinds.
#[derive(Debug)]
pub(super) enum Tally {
    Packets(Packets),
    Aggregates(Aggregates),
}

/// Single probes, of which is known at which leaves they arrived.
#[derive(Debug)]
pub(super) struct Packets {
    downs: usize,
    leaves: usize,
    role: Option<Role>,
    blocks: Blocks,
    discards: Discards,
}

impl Tally {
    pub(super) fn new(spec: &OnewaySpec) -> Tally {
        let window = spec.window.map(|window| whole_blocks(window, spec.block));
        let role = match spec.leaf.first() {
            Some(LeafSpec::Counters {
                agent, aggregate, ..
            }) => return Tally::Aggregates(Aggregates::new(agent.clone(), *aggregate, window)),
            Some(LeafSpec::Collector { .. }) => Some(Role::Collects),
            Some(LeafSpec::Reflector { .. }) => Some(Role::Reflects),
            None => None,
        };
        let downs = spec.down.len();
        Tally::Packets(Packets {
            downs,
            leaves: downs + spec.leaf.len(),
            role,
            blocks: Blocks::new(window),
            discards: Discards::default(),
        })
    }

    /// A probe that counts is sent.
    pub(super) fn handle_sent(&mut self, number: u64) {
        match self {
            // Known once its block is closed.
            Tally::Packets(_) => {}
            Tally::Aggregates(aggregates) => aggregates.handle_sent(number),
        }
    }

    /// The time of a block's probes is over: here they are, and why they do not count, if they do not. Blocks come in order.
    pub(super) fn close(
        &mut self,
        block: u64,
        probes: impl Iterator<Item = (u64, Probe)>,
        lost: Option<Why>,
    ) {
        let probes = probes.filter(|(_, probe)| !probe.ignored);
        match self {
            Tally::Packets(packets) => packets.close(block, probes, lost),
            Tally::Aggregates(aggregates) => aggregates.close(block, probes, lost.as_ref()),
        }
    }

    /// What a counter has told so far.
    pub(super) fn handle_counted(
        &mut self,
        counted: &[counters::Aggregate],
        discards: &counters::Discards,
    ) {
        match self {
            Tally::Packets(_) => {}
            Tally::Aggregates(aggregates) => aggregates.handle_counted(counted, discards),
        }
    }

    /// Probes that count.
    pub(super) fn sent(&self) -> u64 {
        match self {
            Tally::Packets(packets) => packets.blocks.sent(),
            Tally::Aggregates(aggregates) => aggregates.sent(),
        }
    }

    /// When the last of them was sent.
    pub(super) fn last(&self) -> Option<Instant> {
        match self {
            Tally::Packets(packets) => packets.blocks.last(),
            Tally::Aggregates(aggregates) => aggregates.last(),
        }
    }

    pub(super) fn discards(&self) -> &Discards {
        match self {
            Tally::Packets(packets) => &packets.discards,
            Tally::Aggregates(aggregates) => aggregates.discards(),
        }
    }

    /// What is said of an estimate beside its own doubts: where a router counts, what was left out of it.
    pub(super) fn doubts(&self) -> Vec<String> {
        match self {
            Tally::Packets(_) => Vec::new(),
            Tally::Aggregates(aggregates) => aggregates.discards().sentences().collect(),
        }
    }

    /// The estimates, and how many blocks they were made of.
    pub(super) fn estimate(
        &self,
        confidence: Confidence,
        fault: Planted,
    ) -> Result<(Estimates, usize), InferenceError> {
        match self {
            Tally::Packets(packets) => {
                let Packets {
                    downs,
                    role,
                    blocks,
                    ..
                } = packets;
                let counts = blocks.counts();
                let found = Estimates::of(&counts, *downs, *role, confidence, fault)?;
                Ok((found, counts.len()))
            }
            Tally::Aggregates(aggregates) => {
                let counts = aggregates.by_block();
                let found = Estimates::of_aggregates(&counts, confidence, fault)?;
                Ok((found, counts.len()))
            }
        }
    }
}

impl Packets {
    fn close(
        &mut self,
        number: u64,
        probes: impl Iterator<Item = (u64, Probe)>,
        lost: Option<Why>,
    ) {
        let mut block = Block {
            counts: PacketCounts::new(self.leaves),
            last: Instant::ZERO,
        };
        let mut arrived = vec![false; self.leaves];
        for (_, probe) in probes {
            for (leaf, came) in arrived.iter_mut().enumerate() {
                *came = probe.arrived_at(leaf);
            }
            block.counts.add(&arrived, 1);
            block.last = block.last.max(probe.sent);
        }
        let sent = block.counts.sent;
        match lost {
            Some(why) if sent > 0 => self.discards.count(why, sent),
            Some(_) => {}
            None if sent > 0 => self.blocks.add(number, block),
            None => {}
        }
        self.blocks.forget_before(number);
    }
}

fn whole_blocks(window: Span, block: Span) -> u64 {
    window.as_ns().div_ceil(block.as_ns().max(1)).max(1)
}
