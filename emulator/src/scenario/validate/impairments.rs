//! What netem can and cannot be told.

use std::collections::BTreeSet;

use super::Checker;
use crate::scenario::Impairment;

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
        for problem in impair.problems() {
            self.wrong(
                &format!("{path}.{}", problem.field),
                problem.what,
                problem.remedy,
            );
        }
    }
}
