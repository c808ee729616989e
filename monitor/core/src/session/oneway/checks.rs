//! What is refused of one-way measurements, and why.

mod counters;

use std::collections::BTreeSet;

use super::super::tasks::{check_group, check_probes};
use super::super::{Ending, Session};
use crate::control::{ErrorCode, LeafSpec, OnewaySpec, Refusal};
use crate::oneway::LEAVES_MAX;
use crate::probe::WINDOW_MAX;
use crate::time::{NS_PER_S, Span};
use crate::tunnel::check_sources;

/// Measurements that are not over, at most.
const RUNS_MAX: usize = 64;
/// Measurements by name, over or not.
const NAMES_MAX: usize = 256;
const BLOCK_MIN: Span = Span::from_ms(100);
const BLOCK_MAX: Span = Span::from_s(60);
/// Longest that probes stay open beyond their loss timeout: a silent peer's time.
const OPEN_BEYOND: Span = Span::from_s(12);

impl Session {
    /// Refuses what cannot work, or would take unbounded memory.
    pub(super) fn check_oneway(&self, spec: &OnewaySpec) -> Result<(), Refusal> {
        let what = format!("one-way measurement {}", spec.name);
        let cannot = |code, found: String, remedy: &str| {
            let message = format!("cannot start {what}: {found}");
            Err(Refusal::new(code, message, remedy))
        };
        let invalid =
            |found: &str, remedy: &str| cannot(ErrorCode::Invalid, found.to_owned(), remedy);
        if self.ending != Ending::No {
            return cannot(
                ErrorCode::State,
                "the monitor is shutting down".to_owned(),
                "start it again",
            );
        }
        let there = self.oneway.names.get(&spec.name);
        let there = there.and_then(|id| self.oneway.runs.get(id));
        if there.is_some_and(|run| !run.is_over()) {
            let remedy = "stop it first, or choose another name";
            return cannot(ErrorCode::Exists, "it is not over".to_owned(), remedy);
        }
        if there.is_none() && self.oneway.names.len() >= NAMES_MAX {
            let found = format!("there are {NAMES_MAX}");
            return cannot(ErrorCode::Limit, found, "drop one first");
        }
        if self
            .oneway
            .runs
            .values()
            .filter(|run| !run.is_over())
            .count()
            >= RUNS_MAX
        {
            return cannot(
                ErrorCode::Limit,
                format!("{RUNS_MAX} are running"),
                "stop one first",
            );
        }
        check_group(spec.group)?;
        check_probes(&what, &spec.probes)?;
        self.check_oneway_apart(spec)?;
        self.check_ways(spec, &invalid)?;
        self.check_leaves(spec, &invalid)?;
        check_blocks(spec, &invalid)
    }

    fn check_ways(&self, spec: &OnewaySpec, invalid: &Invalid<'_>) -> Result<(), Refusal> {
        self.tunnels.find(&spec.up)?;
        if spec.down.is_empty() {
            return invalid(
                "no copy would come back",
                "name another tunnel of the same router in `down`",
            );
        }
        if spec.down.contains(&spec.up) {
            let found = "a router never sends out of the interface that a packet came in by";
            return invalid(found, "come back over another tunnel to the same router");
        }
        if spec.down.iter().collect::<BTreeSet<_>>().len() != spec.down.len() {
            return invalid("a tunnel is named twice", "name each way down once");
        }
        for down in &spec.down {
            let id = self.tunnels.find(down)?;
            match self.tunnels.get(id) {
                Some(tunnel) if spec.source_specific => check_sources(tunnel)?,
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    fn check_leaves(&self, spec: &OnewaySpec, invalid: &Invalid<'_>) -> Result<(), Refusal> {
        let leaves = spec.down.len() + spec.leaf.len();
        if leaves < 2 {
            let found =
                "copies arrive at one place only, which cannot tell the ways up and down apart";
            return invalid(
                found,
                "name a leaf at a peer, or a second tunnel `down` that shares no path with the first",
            );
        }
        if leaves > LEAVES_MAX {
            let found = format!("{leaves} leaves are more than {LEAVES_MAX}");
            return invalid(&found, "name fewer");
        }
        for leaf in &spec.leaf {
            match leaf {
                LeafSpec::Reflector { .. } if spec.leaf.len() > 1 || spec.down.len() > 1 => {
                    let found = "with a reflector there are one way down and no other leaf";
                    return invalid(found, "leave the others out, or use collectors");
                }
                LeafSpec::Counters {
                    agent,
                    counter,
                    aggregate,
                } => self.check_counter(spec, (agent, counter, *aggregate), invalid)?,
                LeafSpec::Collector { .. } | LeafSpec::Reflector { .. } => {}
            }
            if let Some(peer) = leaf
                .peer()
                .filter(|peer| self.oneway.peers.get(peer).is_none())
            {
                let message = format!(
                    "cannot start one-way measurement {}: there is no peer {peer}",
                    spec.name
                );
                let remedy = "add a [[peer]] to the configuration, or see peer-list";
                return Err(Refusal::new(ErrorCode::NotFound, message, remedy));
            }
        }
        Ok(())
    }
}

type Invalid<'a> = dyn Fn(&str, &str) -> Result<(), Refusal> + 'a;

fn check_blocks(spec: &OnewaySpec, invalid: &Invalid<'_>) -> Result<(), Refusal> {
    if !(BLOCK_MIN..=BLOCK_MAX).contains(&spec.block) {
        let remedy = format!("use {BLOCK_MIN} to {BLOCK_MAX}");
        return invalid(&format!("block {} is out of range", spec.block), &remedy);
    }
    if spec.window.is_some_and(|window| window < spec.block) {
        return invalid(
            "the window is shorter than a block",
            "make it at least 20 blocks long",
        );
    }
    if spec.window.is_some() && spec.until.is_some() {
        let found = "what has a window does not get narrower with time";
        return invalid(found, "leave out `window`, or `until`");
    }
    let open = spec.block + spec.probes.loss_timeout + OPEN_BEYOND;
    let probes = u128::from(spec.probes.rate.as_millipps()) * u128::from(open.as_ns())
        / u128::from(1_000 * NS_PER_S);
    if probes > WINDOW_MAX as u128 {
        let found = format!("{probes} probes would be open at a time, more than {WINDOW_MAX}");
        return invalid(&found, "lower the rate, the loss timeout or the block");
    }
    Ok(())
}
