//! One probe's walk through the lab: up its tunnel, along the shortest paths, into every other tunnel.

use std::collections::{BTreeMap, BTreeSet};

use mvpnlab_emulator::{plan::TunnelPlan, truth::Lane};

use super::{
    frames,
    lab::{Deed, GROUP, Lab, Misnamed, Net},
};

/// How a probe is wrapped; down a tunnel with this place in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    Up,
    Native,
    Down(usize),
}

/// Nobody looks at the Ethernet source, at GRE's ignored flags, or which group's MAC address it is.
fn is_accepted(sent: &[u8], seen: &[u8], form: Form) -> bool {
    let mut masked = seen.to_vec();
    masked[6..12].copy_from_slice(&sent[6..12]);
    if form != Form::Native {
        masked[34] = (masked[34] & !3) | (sent[34] & 3);
        masked[35] = (masked[35] & !0xf8) | (sent[35] & 0xf8);
    } else if seen[0] & 1 == 1 {
        masked[..6].copy_from_slice(&sent[..6]);
    }
    masked == sent
}

pub struct Walk<'a> {
    pub lab: &'a mut Lab,
    pub net: &'a mut dyn Net,
    pub sender: TunnelPlan,
    pub tree: BTreeMap<String, Lane>,
    /// As it was sent: session, task, sender, sequence number.
    pub name: [u32; 4],
    pub deed: Deed,
}

impl Walk<'_> {
    /// The datagram goes over a lane in a form, and on from there.
    pub fn over(&mut self, lane: &str, form: Form, ns: u64, inner: Vec<u8>) {
        let frame = self.wrap(form, &inner);
        let outs = self.net.wire(lane, ns);
        if outs.is_empty() {
            self.lose(form, lane, lane);
        }
        for (ns, frame) in self.lab.cross(lane, ns, &frame, &outs) {
            let headers = frame.len() - inner.len() + 20;
            let arrived = frame[frame.len() - inner.len()..].to_vec();
            // A flipped bit in a header is noticed by the next node, if it looks there; one in the payload travels on.
            if is_accepted(&self.wrap(form, &inner)[..headers], &frame[..headers], form) {
                if arrived != inner {
                    self.deed.hurt_at.push(lane.to_owned());
                }
                self.at(lane, form, ns, arrived);
            } else {
                self.lose(form, lane, lane);
            }
        }
    }

    fn at(&mut self, lane: &str, form: Form, ns: u64, inner: Vec<u8>) {
        let node = self.lab.lanes.to(self.lab.lane(lane)).to_owned();
        let next = ns + 5_000;
        match form {
            Form::Up if node != self.sender.at => {
                let lane = self.lab.path(&node, &self.sender.at)[0].clone();
                self.forward(&node, &lane, Form::Up, next, inner);
            }
            Form::Up | Form::Native => self.branch(&node, next, inner),
            Form::Down(tunnel) if node == "MON" => {
                let receiver = self.lab.plan.tunnels[tunnel].id;
                let name = frames::taken_for(&inner);
                if name == Some(self.name) {
                    self.deed.arrivals.entry(receiver).or_default().push(ns);
                    return;
                }
                // Two flipped bits may cancel out in the checksum, and the name may be another's then.
                self.deed
                    .misnamed
                    .extend(name.map(|name| Misnamed { name, receiver, ns }));
                let lost_at = self.deed.lost_at.entry(receiver).or_default();
                lost_at.push("damaged".into());
            }
            Form::Down(_) => {
                let near = self.near_monitor();
                let lane = match node == near {
                    true => self.lab.monitor_lane(false),
                    false => self.lab.path(&node, &near)[0].clone(),
                };
                self.forward(&node, &lane, form, next, inner);
            }
        }
    }

    fn near_monitor(&self) -> String {
        self.lab
            .lanes
            .from(self.lab.lane(&self.lab.monitor_lane(false)))
            .to_owned()
    }

    /// Out of every lane of the tree, and into every tunnel here but the sender's own.
    fn branch(&mut self, node: &str, ns: u64, inner: Vec<u8>) {
        let onward: BTreeSet<Lane> = self
            .tree
            .values()
            .copied()
            .filter(|lane| self.lab.lanes.from(*lane) == node)
            .collect();
        let inner = match inner[8] {
            1 => return self.lose_all_below(node, &onward),
            _ => frames::forwarded(&inner),
        };
        for lane in onward {
            let key = self.lab.lanes.key(lane).to_string();
            self.forward_native(node, &key, ns, inner.clone());
        }
        for tunnel in 0..self.lab.plan.tunnels.len() {
            let plan = self.lab.plan.tunnels[tunnel].clone();
            if plan.at == node && plan.id != self.sender.id {
                let near = self.near_monitor();
                let lane = match node == near {
                    true => self.lab.monitor_lane(false),
                    false => self.lab.path(node, &near)[0].clone(),
                };
                self.forward(node, &lane, Form::Down(tunnel), ns, inner.clone());
            }
        }
    }

    fn lose_all_below(&mut self, node: &str, onward: &BTreeSet<Lane>) {
        for lane in onward {
            let key = self.lab.lanes.key(*lane).to_string();
            self.lose(Form::Native, &key, node);
        }
        for tunnel in self.lab.plan.tunnels.clone() {
            if tunnel.at == node {
                self.deed
                    .lost_at
                    .entry(tunnel.id)
                    .or_default()
                    .push(node.to_owned());
            }
        }
    }

    fn forward_native(&mut self, node: &str, lane: &str, ns: u64, inner: Vec<u8>) {
        self.forward(node, lane, Form::Native, ns, inner);
    }

    fn forward(&mut self, node: &str, lane: &str, form: Form, ns: u64, inner: Vec<u8>) {
        let held = self
            .lab
            .hold
            .as_ref()
            .filter(|(at, _)| at == lane && matches!(form, Form::Down(_)));
        let ns = ns + held.map_or(0, |(_, hold_ns)| *hold_ns);
        match self.net.node(node, lane, ns) {
            true => self.over(lane, form, ns, inner),
            false => self.lose(form, lane, node),
        }
    }

    /// Every receiver that this copy would have reached.
    fn lose(&mut self, form: Form, lane: &str, place: &str) {
        let below = |node: &str| {
            let path = self.lab.path(&self.sender.at, node);
            match form {
                Form::Up => true,
                Form::Native => path.iter().any(|key| key == lane),
                Form::Down(_) => false,
            }
        };
        for (at, tunnel) in self.lab.plan.tunnels.iter().enumerate() {
            if below(&tunnel.at) || form == Form::Down(at) {
                self.deed
                    .lost_at
                    .entry(tunnel.id)
                    .or_default()
                    .push(place.to_owned());
            }
        }
    }

    fn wrap(&self, form: Form, inner: &[u8]) -> Vec<u8> {
        let (mac, datagram) = match form {
            Form::Up => {
                let tunnel = &self.sender;
                (
                    [2, 0, 0, 0, 0, 1],
                    frames::gre(tunnel.monitor_outer, tunnel.router_outer, tunnel.key, inner),
                )
            }
            Form::Native => (frames::multicast_mac(GROUP), inner.to_vec()),
            Form::Down(tunnel) => {
                let tunnel = &self.lab.plan.tunnels[tunnel];
                (
                    [2, 0, 0, 0, 0, 2],
                    frames::gre(tunnel.router_outer, tunnel.monitor_outer, tunnel.key, inner),
                )
            }
        };
        frames::ethernet(mac, 0x0800, &datagram)
    }
}
