//! A plan as people read it: one line a thing, aligned.

use std::fmt;

use super::{Fact, GrePurpose, Plan, WireKind};

impl Plan {
    /// The whole plan as text, but for the daemons' configurations, which [`Plan::configuration`] shows.
    pub fn describe(&self) -> String {
        let sections = [
            ("namespaces", self.namespace_rows()),
            ("wires", self.wire_rows()),
            ("attachments", self.attachment_rows()),
            ("GRE devices", self.gre_rows()),
            ("MVPNs", self.mvpn_rows()),
            ("tunnels of the monitor", self.tunnel_rows()),
            ("static routes", self.route_rows()),
            ("routers", self.router_rows()),
            (
                "converged when",
                self.converged
                    .iter()
                    .map(|fact| vec![fact.to_string()])
                    .collect(),
            ),
        ];
        let mut text = String::new();
        for (title, rows) in sections.iter().filter(|(_, rows)| !rows.is_empty()) {
            text.push_str(&format!("{title}\n{}\n", table(rows)));
        }
        text
    }

    /// The configuration files of one namespace's daemons, one after the other.
    pub fn configuration(&self, namespace: &str) -> String {
        let router = self
            .routers
            .iter()
            .find(|router| router.namespace == namespace);
        let daemons = router
            .map(|router| router.daemons.as_slice())
            .unwrap_or_default();
        daemons
            .iter()
            .map(|daemon| format!("=== {:?}\n{}", daemon.program, daemon.config))
            .collect()
    }

    fn namespace_rows(&self) -> Vec<Vec<String>> {
        let row = |n: &super::Namespace| {
            let what = match &n.vrf {
                Some(mvpn) => format!("VRF of {mvpn}"),
                None => format!("{:?}", n.role).to_uppercase(),
            };
            let forwards = if n.forwards { "forwards" } else { "" };
            vec![n.name.clone(), what, forwards.into(), join(&n.loopback)]
        };
        self.namespaces.iter().map(row).collect()
    }

    fn wire_rows(&self) -> Vec<Vec<String>> {
        let row = |(number, wire): (usize, &super::Wire)| {
            let kind = match &wire.kind {
                WireKind::Backbone => "backbone".to_owned(),
                WireKind::Monitor => "monitor".to_owned(),
                WireKind::Customer { mvpn } => format!("customer {mvpn}"),
            };
            vec![
                format!("w{number}"),
                wire.name.clone(),
                kind,
                wire.a.to_string(),
                "=".into(),
                wire.b.to_string(),
            ]
        };
        self.wires.iter().enumerate().map(row).collect()
    }

    fn attachment_rows(&self) -> Vec<Vec<String>> {
        self.attachments
            .iter()
            .map(|a| vec![a.pe.to_string(), "=".into(), a.vrf.to_string()])
            .collect()
    }

    fn gre_rows(&self) -> Vec<Vec<String>> {
        let row = |gre: &super::GreDevice| {
            let purpose = match &gre.purpose {
                GrePurpose::DefaultMdt { mvpn } => format!("default MDT of {mvpn}"),
                GrePurpose::MonitorTunnel { tunnel } => format!("monitor tunnel {tunnel}"),
            };
            let over = gre
                .underlay
                .as_ref()
                .map_or(String::new(), |device| format!(" over {device}"));
            let key = gre.key.map_or(String::new(), |key| format!(" key {key}"));
            let absent = if gre.present { "" } else { " (added later)" };
            let outer = format!(
                "{} > {}{over}{key} ttl {}{absent}",
                gre.local, gre.remote, gre.ttl
            );
            vec![gre.end.to_string(), purpose, outer]
        };
        self.gre.iter().map(row).collect()
    }

    fn mvpn_rows(&self) -> Vec<Vec<String>> {
        let rows = self.mvpns.iter().flat_map(|(name, mvpn)| {
            let head = vec![
                name.clone(),
                format!("default MDT {}", mvpn.default_mdt),
                format!("RP {}", mvpn.customer_rp),
            ];
            let own = mvpn.sites.iter().map(|site| (site, "no CE"));
            let rogues = mvpn.rogues.iter().map(|site| (site, "a rogue"));
            let sites = own.chain(rogues).map(|(site, without_ce)| {
                let ce = site.ce.as_deref().unwrap_or(without_ce);
                vec![
                    String::new(),
                    format!("{} {ce}", site.vrf),
                    format!("{} sends as {}", site.overlay, site.mdt_source),
                ]
            });
            std::iter::once(head).chain(sites)
        });
        rows.collect()
    }

    fn tunnel_rows(&self) -> Vec<Vec<String>> {
        let row = |t: &super::TunnelPlan| {
            let outer = format!("outer {} = {}", t.router_outer, t.monitor_outer);
            let inner = format!("inner {} = {}", t.router_inner, t.monitor_inner);
            let host = t.peer.iter().map(|peer| format!("from {peer}"));
            let own = [
                t.id.to_string(),
                t.name.clone(),
                format!("at {}", t.at),
                outer,
                inner,
                format!("IGMPv{}", t.igmp),
            ];
            own.into_iter().chain(host).collect()
        };
        self.tunnels.iter().map(row).collect()
    }

    fn route_rows(&self) -> Vec<Vec<String>> {
        self.routes
            .iter()
            .map(|r| {
                vec![
                    r.namespace.clone(),
                    r.to.to_string(),
                    format!("via {}", r.via),
                ]
            })
            .collect()
    }

    fn router_rows(&self) -> Vec<Vec<String>> {
        let row = |router: &super::Router| {
            let programs: Vec<String> = router
                .daemons
                .iter()
                .map(|daemon| format!("{:?}", daemon.program))
                .collect();
            vec![router.namespace.clone(), programs.join(" ")]
        };
        self.routers.iter().map(row).collect()
    }
}

impl fmt::Display for super::End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {}", self.namespace, self.interface, self.address)
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OspfFull {
                namespace,
                interface,
            } => write!(f, "{namespace} is an OSPF neighbour on {interface}"),
            Self::Route { namespace, to } => write!(f, "{namespace} has a route to {to}"),
            Self::PimNeighbor {
                namespace,
                interface,
                neighbor,
            } => {
                write!(
                    f,
                    "{namespace} has the PIM neighbour {neighbor} on {interface}"
                )
            }
            Self::RpKnown { namespace, rp } => write!(f, "{namespace} reaches the RP {rp}"),
            Self::Forwards {
                namespace,
                source,
                group,
                outgoing,
            } => {
                let source = source.map_or("*".to_owned(), |source| source.to_string());
                write!(
                    f,
                    "{namespace} forwards ({source}, {group}) to {}",
                    outgoing.join(", ")
                )
            }
        }
    }
}

fn join(items: &[impl fmt::Display]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Columns as wide as their widest cell, two blanks apart.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(format!("  {}", cells.join("  ")).trim_end());
        text.push('\n');
    }
    text
}
