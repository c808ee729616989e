//! What netem can and cannot be told.

use std::collections::BTreeSet;

use super::Checker;
use crate::scenario::{Impairment, Probability, Span};

impl Checker<'_> {
    pub(super) fn impairments(&mut self) {
        let scenario = self.scenario;
        for (index, link) in scenario.links.iter().enumerate() {
            if let Some(impairment) = &link.impair {
                self.impairment(&format!("link.{index}.impair"), impairment);
            }
            for (to, impairment) in &link.impair_to {
                self.impairment(&format!("link.{index}.impair_to.{to}"), impairment);
            }
        }
        let mut seen = BTreeSet::new();
        for (index, entry) in scenario.tunnel_impairments.iter().enumerate() {
            let path = format!("impair_tunnel.{index}");
            self.known_tunnel(&format!("{path}.tunnel"), &entry.tunnel);
            self.impairment(&format!("{path}.impair"), &entry.impair);
            if !seen.insert(&entry.tunnel) {
                let what = format!("`{}` is impaired twice", entry.tunnel);
                self.wrong(
                    &format!("{path}.tunnel"),
                    what,
                    "put all of it into one `impair`",
                );
            }
        }
    }

    /// Contradictions within one impairment.
    pub(super) fn impairment(&mut self, path: &str, impair: &Impairment) {
        let at = |field: &str| format!("{path}.{field}");
        let delay = impair.delay.unwrap_or_default();
        if impair.loss.is_some() && impair.burst.is_some() {
            self.wrong(
                &at("burst"),
                "`loss` and `burst` both",
                "netem has one loss model: keep one of the two",
            );
        }
        if impair.jitter.is_some_and(|jitter| jitter > delay) {
            let remedy =
                "the spread would be cut off at zero: make `delay` at least as long as `jitter`";
            self.wrong(&at("jitter"), "more `jitter` than `delay`", remedy);
        }
        if impair.distribution.is_some() && impair.jitter.is_none() {
            self.wrong(
                &at("distribution"),
                "a `distribution` of nothing",
                "add `jitter`, or remove it",
            );
        }
        if impair.reorder.is_some() && delay == Span::ZERO {
            let remedy = "packets overtake only those that wait: add `delay`";
            self.wrong(&at("reorder"), "`reorder` without `delay`", remedy);
        }
        if impair.queue_packets == Some(0) {
            self.wrong(&at("queue_packets"), "a queue of no packets", "at least 1");
        }
        if impair.queue_packets.is_some() && impair.rate.is_none() && delay == Span::ZERO {
            let remedy = "nothing ever waits there: add `rate` or `delay`";
            self.wrong(
                &at("queue_packets"),
                "a queue limit without a queue",
                remedy,
            );
        }
        if delay > Span::seconds(60) {
            self.wrong(
                &at("delay"),
                format!("a delay of {delay}"),
                "at most \"60s\"",
            );
        }
        if let Some(burst) = impair.burst {
            for (field, value) in [("p", burst.p), ("r", burst.r)] {
                if value == Probability(0.0) {
                    let remedy = "the state would never change: more than \"0%\", or use `loss`";
                    self.wrong(
                        &at(&format!("burst.{field}")),
                        format!("`{field}` is 0%"),
                        remedy,
                    );
                }
            }
        }
    }
}
