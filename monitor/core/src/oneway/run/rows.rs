//! Rows: what the blocks that count say, at every interval and at the looks of the stopping rule.

use super::super::estimates::Estimates;
use super::super::report::{DelayRange, OnewayRow, OnewayState, PathLoss};
use super::super::spec::{OnewaySpec, Until};
use super::{Output, Phase, Run, Sight};
use crate::inference::{BLOCKS_LEAST, Stopping, StoppingRule, Verdict, Width};
use crate::name::Name;
use crate::time::{Instant, NS_PER_S, Span};

impl Run {
    /// A row when its time has come, and at the looks of the stopping rule.
    pub(super) fn look(&mut self, now: Instant, sight: &impl Sight, out: &mut Vec<Output>) {
        let sent = self.tally.sent();
        let stops = self
            .stopping
            .is_some_and(|stopping| sent >= stopping.next_look());
        let due = self.next_row.is_some_and(|at| at <= now);
        if !matches!(self.phase, Phase::Probing { .. }) || !(stops || due) {
            return;
        }
        while self.next_row.is_some_and(|at| at <= now) {
            self.next_row = self.next_row.map(|at| at + self.spec.probes.interval);
        }
        self.infer(sight, out);
        if stops && self.verdict(sent) == Verdict::Narrow {
            self.state = OnewayState::Narrow;
            self.stop_sending(now);
        }
    }

    pub(super) fn verdict(&mut self, sent: u64) -> Verdict {
        let estimates = self
            .estimates
            .as_ref()
            .map(Estimates::all)
            .unwrap_or_default();
        match &mut self.stopping {
            Some(stopping) => stopping.handle_estimates(sent, &estimates),
            None => Verdict::Spent,
        }
    }

    /// Makes a row of what counts.
    pub(super) fn infer(&mut self, sight: &impl Sight, out: &mut Vec<Output>) {
        self.look_at_counters();
        let found = self.tally.estimate(self.confidence, self.fault);
        let (found, blocks, last) = match (found, self.tally.last()) {
            (Ok((found, blocks)), Some(last)) => (found, blocks, last),
            (Err(error), Some(_)) => {
                self.refused = Some(error.to_string());
                (self.estimates, self.row) = (None, None);
                return;
            }
            (_, None) => {
                self.refused = Some("no block of probes counts yet".to_owned());
                (self.estimates, self.row) = (None, None);
                return;
            }
        };
        self.refused = None;
        let names = self.spec.down.iter().cloned();
        let (up_delay, down_delay) = self.delays(sight);
        self.row = Some(OnewayRow {
            run: self.id,
            name: self.spec.name.clone(),
            at_ns: last,
            probes: self.tally.sent(),
            blocks: blocks as u32,
            configuration: found.configuration,
            up_tunnel: Some(self.spec.up.clone()),
            up: PathLoss::from(&found.up),
            down: names.zip(found.down.iter().map(PathLoss::from)).collect(),
            leaf: found.leaf.iter().map(PathLoss::from).collect(),
            discarded: self.tally.discards().probes(),
            doubts: [found.doubts(), self.tally.doubts()].concat(),
            up_delay,
            down_delay,
        });
        self.estimates = Some(found);
        out.push(Output::Row);
    }

    /// The ways' delays, as far as all sums that were seen say.
    fn delays(&self, sight: &impl Sight) -> (Option<DelayRange>, Vec<(Name, DelayRange)>) {
        let at_peers = self.links().filter_map(|link| {
            let error = sight.clock_error(&link.peer)?.as_ns() as i64;
            let here = sight.realtime_minus_monotonic_ns()?;
            let least = link.least_delay_ns?.saturating_sub(here);
            Some(least.saturating_add(error))
        });
        let up = self.loops.up(at_peers.chain(sight.least_up_ns(self.up)));
        let down = self.downs.iter().zip(&self.spec.down).enumerate();
        let down = down.filter_map(|(index, (id, name))| {
            let range = self.loops.down(index, sight.least_down_ns(*id))?;
            Some((name.clone(), range))
        });
        (up, down.collect())
    }
}

/// The rule by which it stops before its budget is spent, if it is to.
pub(super) fn stopping(spec: &OnewaySpec) -> Option<Stopping> {
    let width = match spec.until? {
        Until::Absolute(share) => Width::Absolute(share.share()),
        Until::Relative(share) => Width::Relative(share.share()),
    };
    let rate = u128::from(spec.probes.rate.as_millipps());
    let probes_in = |span: Span| {
        let probes = rate * u128::from(span.as_ns()) / u128::from(1_000 * NS_PER_S);
        u64::try_from(probes).unwrap_or(u64::MAX).max(1)
    };
    let budgets = [spec.probes.count, spec.probes.duration.map(probes_in)];
    Some(Stopping::new(StoppingRule {
        width,
        probes_first: probes_in(spec.block.times(BLOCKS_LEAST as u64)),
        probes_max: budgets.into_iter().flatten().min().unwrap_or(u64::MAX),
    }))
}
