//! Pools of data MDTs, and their timers.

use std::{collections::BTreeMap, net::Ipv4Addr};

use super::Checker;
use crate::scenario::{DataMdt, Span};

/// The agents look about them once a second: a shorter time would be a promise that they do not keep.
const SHORTEST: Span = Span::seconds(1);

impl Checker<'_> {
    /// A group of the backbone is one MVPN's default MDT, or in one pool, once.
    pub(super) fn data_mdts(&mut self) {
        let scenario = self.scenario;
        let mut taken: BTreeMap<Ipv4Addr, String> = scenario
            .mvpns
            .iter()
            .map(|(name, mvpn)| (mvpn.default_mdt, format!("the default MDT of `{name}`")))
            .collect();
        for (name, mvpn) in &scenario.mvpns {
            if let Some(data_mdt) = &mvpn.data_mdt {
                let path = format!("mvpn.{name}.data_mdt");
                self.pool(&path, name, data_mdt, &mut taken);
                self.data_mdt_timers(&path, data_mdt);
            }
        }
    }

    fn pool(
        &mut self,
        path: &str,
        name: &str,
        data_mdt: &DataMdt,
        taken: &mut BTreeMap<Ipv4Addr, String>,
    ) {
        if data_mdt.pool.is_empty() {
            self.wrong(
                &format!("{path}.pool"),
                "a pool without groups",
                "name some, as in `pool = [\"239.2.1.0/28\"]`",
            );
        }
        for (index, groups) in data_mdt.pool.iter().enumerate() {
            let at = format!("{path}.pool.{index}");
            if groups.first.octets()[0] == 232 {
                let remedy = "receiving PEs would have to join its sources by configuration: use groups in 239.0.0.0/8";
                self.wrong(
                    &at,
                    format!("{groups} is SSM, which data MDTs cannot be here"),
                    remedy,
                );
                continue;
            }
            self.backbone_group(&at, groups.first);
            for group in groups.iter() {
                if let Some(owner) = taken.insert(group, format!("in the pool of `{name}`")) {
                    let remedy = "a group of the backbone belongs to one MVPN, once";
                    self.wrong(&at, format!("{group} is {owner} already"), remedy);
                    break;
                }
            }
        }
    }

    fn data_mdt_timers(&mut self, path: &str, data_mdt: &DataMdt) {
        let timers = [
            ("delay", data_mdt.delay),
            ("timeout", data_mdt.timeout),
            ("holddown", data_mdt.holddown),
            ("interval", data_mdt.interval),
        ];
        for (name, span) in timers {
            if span < SHORTEST {
                let remedy = "at least \"1s\": PEs look at their streams once a second";
                self.wrong(
                    &format!("{path}.{name}"),
                    format!("{name} is {span}"),
                    remedy,
                );
            }
        }
        if data_mdt.timeout <= data_mdt.interval {
            let what = format!(
                "receivers forget a data MDT after {}, and hear of it every {}",
                data_mdt.timeout, data_mdt.interval
            );
            let remedy = "make `timeout` longer than `interval`; RFC 6037 has 180 s and 60 s";
            self.wrong(&format!("{path}.timeout"), what, remedy);
        }
    }
}
