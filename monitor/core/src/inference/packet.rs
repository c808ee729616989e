//! What became of single probes: the counts that the per-packet estimators need, and no more.

use super::doubt::InferenceError;

/// Probes sent into the shared path over one block of time, and where copies of them arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketCounts {
    /// Probes sent.
    pub sent: u64,
    /// Probes of which a copy arrived at one leaf or more.
    pub any: u64,
    /// Each leaf, in an order that all blocks share.
    pub leaves: Vec<LeafCounts>,
}

/// One leaf of [`PacketCounts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeafCounts {
    /// Probes of which a copy arrived at this leaf.
    pub received: u64,
    /// Probes of which a copy arrived at another leaf, whether at this one or not.
    pub others: u64,
    /// Probes of which a copy arrived at this leaf and at another.
    pub both: u64,
}

impl PacketCounts {
    /// None yet, of so many leaves.
    pub fn new(leaves: usize) -> PacketCounts {
        PacketCounts {
            sent: 0,
            any: 0,
            leaves: vec![LeafCounts::default(); leaves],
        }
    }

    /// Two leaves, by how many of the probes `sent` arrived at the first, at the second, and at both. Whether that
    /// can be is for the estimator to say.
    pub fn of_two(sent: u64, first: u64, second: u64, both: u64) -> PacketCounts {
        let leaf = |received, others| LeafCounts {
            received,
            others,
            both,
        };
        PacketCounts {
            sent,
            any: first.saturating_add(second).saturating_sub(both),
            leaves: vec![leaf(first, second), leaf(second, first)],
        }
    }

    /// Counts so many probes that had the same fate: `arrived` says for each leaf whether a copy came. Leaves it does
    /// not mention got none.
    pub fn add(&mut self, arrived: &[bool], probes: u64) {
        let copies = arrived.iter().filter(|&&came| came).count();
        let count = |sum: &mut u64, counts: bool| {
            *sum = sum.saturating_add(if counts { probes } else { 0 })
        };
        count(&mut self.sent, true);
        count(&mut self.any, copies > 0);
        for (index, leaf) in self.leaves.iter_mut().enumerate() {
            let here = arrived.get(index).copied().unwrap_or(false);
            let elsewhere = copies > usize::from(here);
            count(&mut leaf.received, here);
            count(&mut leaf.others, elsewhere);
            count(&mut leaf.both, here && elsewhere);
        }
    }

    /// Adds those of another time, of the same leaves.
    pub fn absorb(&mut self, other: &PacketCounts) {
        self.sent = self.sent.saturating_add(other.sent);
        self.any = self.any.saturating_add(other.any);
        for (sum, leaf) in self.leaves.iter_mut().zip(&other.leaves) {
            sum.received = sum.received.saturating_add(leaf.received);
            sum.others = sum.others.saturating_add(leaf.others);
            sum.both = sum.both.saturating_add(leaf.both);
        }
    }

    /// Whether these can be counts of probes at all, and of so many leaves.
    pub(super) fn check(&self, leaves: usize) -> Result<(), InferenceError> {
        let wrong = |found: String| {
            Err(InferenceError::inconsistent(
                "probes seen one by one",
                found,
            ))
        };
        if self.leaves.len() != leaves {
            return wrong(format!(
                "{} leaves in one block, {leaves} in another",
                self.leaves.len()
            ));
        }
        if self.any > self.sent {
            return wrong(format!("{} probes received, {} sent", self.any, self.sent));
        }
        for (index, leaf) in self.leaves.iter().enumerate() {
            let number = index + 1;
            if leaf.received > self.any || leaf.others > self.any {
                return wrong(format!(
                    "leaf {number} and the others received {} and {}, all together {}",
                    leaf.received, leaf.others, self.any
                ));
            }
            if leaf.both > leaf.received.min(leaf.others) {
                return wrong(format!(
                    "leaf {number} shared {} probes of its {} and the others' {}",
                    leaf.both, leaf.received, leaf.others
                ));
            }
            let united = leaf.received.saturating_add(leaf.others - leaf.both);
            if united != self.any {
                return wrong(format!(
                    "{united} probes at leaf {number} or another, {} at any",
                    self.any
                ));
            }
        }
        Ok(())
    }
}

/// Counts as real numbers: a sum of blocks, or what is left of one without a block, or divided for dependence.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tally {
    pub(super) sent: f64,
    pub(super) any: f64,
    /// Received, received by others, received by both, for each leaf.
    pub(super) leaves: Vec<[f64; 3]>,
}

impl Tally {
    /// The sum of blocks that have been checked.
    pub(super) fn of(blocks: &[PacketCounts]) -> Tally {
        let mut sum = Tally {
            sent: 0.0,
            any: 0.0,
            leaves: vec![[0.0; 3]; blocks.first().map_or(0, |b| b.leaves.len())],
        };
        blocks.iter().for_each(|block| sum.add(block, 1.0));
        sum
    }

    /// What is left without one block.
    pub(super) fn without(&self, block: &PacketCounts) -> Tally {
        let mut rest = self.clone();
        rest.add(block, -1.0);
        rest
    }

    fn add(&mut self, block: &PacketCounts, sign: f64) {
        self.sent += sign * block.sent as f64;
        self.any += sign * block.any as f64;
        for (sum, leaf) in self.leaves.iter_mut().zip(&block.leaves) {
            for (sum, count) in sum.iter_mut().zip([leaf.received, leaf.others, leaf.both]) {
                *sum += sign * count as f64;
            }
        }
    }
}
