//! From counted blocks to the loss of each path.

use super::link::Role;
use super::report::{Configuration, PathLoss};
use crate::fault::{Fault, Planted};
use crate::inference::{
    AggregateCounts, Confidence, Estimate, InferenceError, PacketCounts, ReflectedEstimate,
    TreeEstimate, aggregate, per_packet, reflected,
};

/// The loss of each path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Estimates {
    pub(crate) configuration: Configuration,
    pub(crate) up: Estimate,
    /// In the order of the specification.
    pub(crate) down: Vec<Estimate>,
    pub(crate) leaf: Vec<Estimate>,
}

impl Estimates {
    /// From blocks whose leaves are first those `down`, then the others.
    pub(super) fn of(
        blocks: &[PacketCounts],
        down: usize,
        role: Option<Role>,
        confidence: Confidence,
        fault: Planted,
    ) -> Result<Estimates, InferenceError> {
        let estimates = match role {
            Some(Role::Reflects) => Estimates::of_reflected(reflected(blocks, confidence)?),
            Some(Role::Collects) | None => {
                let tree = per_packet(blocks, confidence)?;
                Estimates::of_tree(tree, down, Configuration::PerPacket)
            }
        };
        Ok(estimates.with(fault))
    }

    /// From aggregates whose first leaf is the way down, and whose second is the router that counts.
    pub(super) fn of_aggregates(
        blocks: &[Vec<AggregateCounts>],
        confidence: Confidence,
        fault: Planted,
    ) -> Result<Estimates, InferenceError> {
        let tree = aggregate(blocks, confidence)?;
        Ok(Estimates::of_tree(tree, 1, Configuration::Aggregate).with(fault))
    }

    fn with(mut self, fault: Planted) -> Estimates {
        if fault.is(Fault::UpAndDownSwapped)
            && let Some(first) = self.down.first_mut()
        {
            std::mem::swap(&mut self.up, first);
        }
        self
    }

    fn of_tree(tree: TreeEstimate, down: usize, configuration: Configuration) -> Estimates {
        let mut leaves = tree.leaves;
        let leaf = leaves.split_off(down.min(leaves.len()));
        Estimates {
            configuration,
            up: tree.shared,
            down: leaves,
            leaf,
        }
    }

    fn of_reflected(found: ReflectedEstimate) -> Estimates {
        Estimates {
            configuration: Configuration::Reflected,
            up: found.outward,
            down: vec![found.back],
            leaf: vec![found.reflection],
        }
    }

    /// All of them, for whoever wants all to be narrow.
    pub(super) fn all(&self) -> Vec<&Estimate> {
        let below = self.down.iter().chain(&self.leaf);
        std::iter::once(&self.up).chain(below).collect()
    }

    /// What they suffer from, each doubt with the path it is of.
    pub(super) fn doubts(&self) -> Vec<String> {
        let up = std::iter::once(("up".to_owned(), &self.up));
        let down = (1..).zip(&self.down).map(|(n, e)| (format!("down {n}"), e));
        let leaf = (1..).zip(&self.leaf).map(|(n, e)| (format!("leaf {n}"), e));
        up.chain(down)
            .chain(leaf)
            .flat_map(|(path, estimate)| {
                let each = estimate.doubts.iter();
                each.map(move |doubt| format!("{path}: {doubt}"))
            })
            .collect()
    }
}

impl From<&Estimate> for PathLoss {
    fn from(estimate: &Estimate) -> PathLoss {
        PathLoss {
            loss: estimate.loss,
            deviation: estimate.variance.sqrt(),
            low: estimate.low,
            high: estimate.high,
        }
    }
}
