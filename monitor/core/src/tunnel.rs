//! The monitor's tunnels: user-level endpoints, found by name, number or outer addresses.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use rustc_hash::FxHashMap;

use crate::control::{ErrorCode, Refusal};
use crate::fault::{Fault, Planted};
use crate::membership::{Membership, Owner, Wanted};
use crate::name::Name;
use crate::numbered::Numbered;
use crate::ping::Pinger;
use crate::report::{GroupStatus, Overhead, PingRow, Traffic, TunnelStatus};
use crate::router_clock;
use crate::spec::{Encapsulation, IgmpVersion, TunnelSpec};
use crate::time::{Instant, Span};

/// Tunnels at most.
pub const TUNNELS_MAX: usize = 16_384;
/// Groups whose traffic is counted, per tunnel.
const GROUPS_COUNTED_MAX: usize = 4_096;
/// Groups joined over one tunnel at most.
pub(crate) const GROUPS_MAX: usize = 4_096;
/// Pings no closer than this.
const PING_INTERVAL_MIN: Span = Span::from_ms(5);

/// Outer addresses and key as the monitor sees them; none for its own link.
type Ends = Option<(Ipv4Addr, Ipv4Addr, Option<u32>)>;

/// One tunnel. What every probe counts lies in its first line of the processor's cache, in this order: with many tunnels,
/// the lines that are looked at are what a packet costs.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Tunnel {
    /// By group. Mostly one or few.
    groups: Vec<(Ipv4Addr, GroupTraffic)>,
    pub(crate) overhead: Overhead,
    pub(crate) id: u32,
    pub(crate) damaged: u64,
    pub(crate) spec: TunnelSpec,
    pub(crate) pinger: Pinger,
    pub(crate) membership: Membership,
}

#[derive(Debug, Clone, Copy, Default)]
struct GroupTraffic {
    /// Joined, so that what arrives is counted.
    joined: bool,
    received: Traffic,
    sent: Traffic,
}

impl Tunnel {
    pub(crate) fn name(&self) -> &Name {
        &self.spec.name
    }

    /// Says what an owner wants of a group from now on.
    pub(crate) fn set_membership(
        &mut self,
        now: Instant,
        owner: Owner,
        group: Ipv4Addr,
        wanted: Wanted,
    ) {
        self.membership.set(now, owner, group, wanted);
        let joined = self.membership.is_joined(group);
        if joined {
            let traffic = self.group_traffic(group);
            traffic.into_iter().for_each(|t| t.joined = true);
        } else if let Ok(at) = self.find_group(group) {
            self.groups[at].1.joined = false;
            if !self.groups[at].1.has_any() {
                self.groups.remove(at);
            }
        }
    }

    /// Ends everybody's interest in everything.
    pub(crate) fn leave_all(&mut self, now: Instant) {
        self.membership.leave_all(now);
        self.groups.iter_mut().for_each(|(_, t)| t.joined = false);
    }

    /// Counts a packet that arrived here, if its group is joined.
    pub(crate) fn count_received(&mut self, group: Ipv4Addr, bytes: usize) {
        if let Ok(at) = self.find_group(group)
            && self.groups[at].1.joined
        {
            self.groups[at].1.received.count(bytes);
        }
    }

    /// Counts a packet sent here to a group.
    pub(crate) fn count_sent(&mut self, group: Ipv4Addr, bytes: usize) {
        if let Some(traffic) = self.group_traffic(group) {
            traffic.sent.count(bytes);
        }
    }

    fn group_traffic(&mut self, group: Ipv4Addr) -> Option<&mut GroupTraffic> {
        let at = match self.find_group(group) {
            Ok(at) => at,
            Err(at) if group.is_multicast() && self.groups.len() < GROUPS_COUNTED_MAX => {
                self.groups.insert(at, (group, GroupTraffic::default()));
                at
            }
            Err(_) => return None,
        };
        Some(&mut self.groups[at].1)
    }

    fn find_group(&self, group: Ipv4Addr) -> Result<usize, usize> {
        self.groups
            .binary_search_by_key(&group, |(group, _)| *group)
    }

    /// Groups joined here, and those that packets were sent to or came from.
    pub(crate) fn group_statuses(&self) -> Vec<GroupStatus> {
        let status = |group: Ipv4Addr| {
            let counted = self.find_group(group).map(|at| self.groups[at].1);
            let traffic = counted.unwrap_or_default();
            GroupStatus {
                tunnel: self.name().clone(),
                group,
                sources: Vec::new(),
                wanted_by: Vec::new(),
                received: traffic.received,
                sent: traffic.sent,
            }
        };
        let mut all: BTreeMap<_, _> = self
            .groups
            .iter()
            .filter(|(_, traffic)| traffic.has_any())
            .map(|(group, _)| (*group, status(*group)))
            .collect();
        for (group, wanted, owners) in self.membership.joined() {
            let entry = all.entry(group).or_insert_with(|| status(group));
            entry.sources = wanted.sources();
            entry.wanted_by = owners;
        }
        all.into_values().collect()
    }

    /// The tunnel as it is now. `recent` is how far back its pings are summed up.
    pub(crate) fn status(&self, now: Instant, recent: Span) -> TunnelStatus {
        let spoken = self.membership.version(now);
        TunnelStatus {
            spec: self.spec.clone(),
            overhead: self.overhead,
            damaged: self.damaged,
            ping: self.ping_row(now - recent, now, now),
            router_clock: self.pinger.clock_status(now - recent, now),
            igmp_querier: (spoken < u8::from(self.spec.igmp)).then_some(spoken),
            igmp_queries: self.membership.queries(),
            groups: self.group_statuses(),
        }
    }

    /// The pings sent in a span of time.
    pub(crate) fn ping_row(&self, start: Instant, end: Instant, now: Instant) -> PingRow {
        self.pinger.row(self.id, self.name(), start, end, now)
    }
}

impl GroupTraffic {
    fn has_any(&self) -> bool {
        self.received.packets + self.sent.packets > 0
    }
}

/// All tunnels.
#[derive(Debug)]
pub(crate) struct Tunnels {
    by_id: Numbered<Tunnel>,
    by_name: BTreeMap<Name, u32>,
    /// The same twice: by hash for every packet, in order for the damaged ones.
    by_ends: FxHashMap<Ends, u32>,
    ends_in_order: BTreeMap<Ends, u32>,
    next_id: u32,
    fault: Planted,
}

impl Tunnels {
    pub(crate) fn new(fault: Planted) -> Tunnels {
        Tunnels {
            by_id: Numbered::new(),
            by_name: BTreeMap::new(),
            by_ends: FxHashMap::default(),
            ends_in_order: BTreeMap::new(),
            next_id: 1,
            fault,
        }
    }

    /// Adds a tunnel; a refused one changes nothing.
    pub(crate) fn add(&mut self, now: Instant, mut spec: TunnelSpec) -> Result<u32, Refusal> {
        check(&spec)?;
        let cannot = |what: String, remedy: &str| {
            Err(Refusal::new(
                ErrorCode::Exists,
                format!("cannot add tunnel {}: {what}", spec.name),
                remedy,
            ))
        };
        if self.by_name.contains_key(&spec.name) {
            return cannot(
                "there is one of that name".to_owned(),
                "drop it first, or choose another name",
            );
        }
        let other = self.by_ends.get(&ends(&spec));
        if let Some(other) = other.and_then(|id| self.get(*id)) {
            let other = other.name();
            return cannot(
                format!("tunnel {other} has the same outer addresses and key"),
                "tell them apart by an address or a GRE key",
            );
        }
        let id = match spec.id {
            Some(id) if self.by_id.contains(id) => {
                return cannot(
                    format!("number {id} is taken"),
                    "choose another number, or leave it out",
                );
            }
            Some(id) => id,
            None => self.free_id(),
        };
        if spec.router_clock_error.is_some() && id > router_clock::TUNNEL_MAX {
            let what = format!(
                "number {id} is too high to ask the router's clock, which works up to {}",
                router_clock::TUNNEL_MAX
            );
            return cannot(
                what,
                "choose another number, or leave router_clock_error out",
            );
        }
        if self.by_id.len() >= TUNNELS_MAX {
            let message = format!(
                "cannot add tunnel {}: there are {TUNNELS_MAX} already",
                spec.name
            );
            return Err(Refusal::new(
                ErrorCode::Limit,
                message,
                "drop one that is no longer used",
            ));
        }
        spec.id = Some(id);
        self.by_name.insert(spec.name.clone(), id);
        self.by_ends.insert(ends(&spec), id);
        self.ends_in_order.insert(ends(&spec), id);
        let tunnel = Tunnel {
            id,
            overhead: Overhead::default(),
            damaged: 0,
            pinger: Pinger::new(spec.ping_interval, now, id, spec.router_clock_error),
            membership: Membership::new(spec.igmp, id, self.fault),
            groups: Vec::new(),
            spec,
        };
        self.by_id.insert(id, tunnel);
        Ok(id)
    }

    fn free_id(&mut self) -> u32 {
        while self.by_id.contains(self.next_id) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        self.next_id
    }

    /// Drops a tunnel.
    pub(crate) fn remove(&mut self, id: u32) -> Option<Tunnel> {
        let tunnel = self.by_id.remove(id)?;
        self.by_name.remove(tunnel.name());
        self.by_ends.remove(&ends(&tunnel.spec));
        self.ends_in_order.remove(&ends(&tunnel.spec));
        Some(tunnel)
    }

    /// The number of the tunnel of that name, or why there is none.
    pub(crate) fn find(&self, name: &Name) -> Result<u32, Refusal> {
        self.by_name.get(name).copied().ok_or_else(|| {
            let remedy = "add it with tunnel-add, or see tunnel-list for those there are";
            Refusal::new(
                ErrorCode::NotFound,
                format!("there is no tunnel {name}"),
                remedy,
            )
        })
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Tunnel> {
        self.by_id.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Tunnel> {
        self.by_id.get_mut(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Tunnel> + Clone {
        self.by_id.iter()
    }

    /// The numbers of all, ascending.
    pub(crate) fn ids(&self) -> Vec<u32> {
        self.by_id.numbers().collect()
    }

    /// The numbers from this one on, ascending, at most so many.
    pub(crate) fn ids_from(&self, first: u32, most: usize) -> Vec<u32> {
        self.by_id.numbers_from(first, most)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The tunnel between these outer addresses, the monitor's first.
    pub(crate) fn between(
        &self,
        local: Ipv4Addr,
        remote: Ipv4Addr,
        key: Option<u32>,
    ) -> Option<u32> {
        let id = *self.by_ends.get(&Some((local, remote, key)))?;
        if self.fault.is(Fault::TunnelMixUp) {
            return Some(self.mixed_up(id));
        }
        Some(id)
    }

    /// The planted fault: the last two tunnels are taken for each other.
    fn mixed_up(&self, id: u32) -> u32 {
        let mut last = self.by_id.numbers().rev();
        match (last.next(), last.next()) {
            (Some(a), Some(b)) if id == a => b,
            (Some(a), Some(b)) if id == b => a,
            _ => id,
        }
    }

    /// Any tunnel with these outer ends, whatever its key: to blame a damaged packet on.
    pub(crate) fn any_between(&self, local: Ipv4Addr, remote: Ipv4Addr) -> Option<u32> {
        let range = Some((local, remote, None))..=Some((local, remote, Some(u32::MAX)));
        self.ends_in_order.range(range).next().map(|(_, id)| *id)
    }

    /// The pseudo-tunnel onto the monitor's own link.
    pub(crate) fn native(&self) -> Option<u32> {
        self.by_ends.get(&None).copied()
    }
}

fn ends(spec: &TunnelSpec) -> Ends {
    Some((spec.outer_local?, spec.outer_remote?, spec.key))
}

/// Refuses a specification that cannot work.
pub(crate) fn check(spec: &TunnelSpec) -> Result<(), Refusal> {
    let cannot = |what: &str, remedy: &str| {
        Err(Refusal::new(
            ErrorCode::Invalid,
            format!("cannot add tunnel {}: {what}", spec.name),
            remedy,
        ))
    };
    let has_outer = (spec.outer_local.is_some(), spec.outer_remote.is_some());
    match (spec.encapsulation, has_outer) {
        (Encapsulation::Gre, (true, true)) | (Encapsulation::None, (false, false)) => {}
        (Encapsulation::Gre, _) => {
            return cannot(
                "GRE needs both outer addresses",
                "give outer_local and outer_remote",
            );
        }
        (Encapsulation::None, _) => {
            return cannot(
                "without encapsulation there are no outer addresses",
                "remove outer_local and outer_remote",
            );
        }
    }
    if spec.encapsulation == Encapsulation::None && spec.key.is_some() {
        return cannot("a key needs GRE", "remove key");
    }
    let addresses = [
        Some(spec.inner_local),
        Some(spec.inner_remote),
        spec.outer_local,
        spec.outer_remote,
    ];
    if let Some(bad) = addresses
        .into_iter()
        .flatten()
        .find(|a| a.is_multicast() || a.is_unspecified() || a.is_broadcast())
    {
        return cannot(
            &format!("{bad} is no host's address"),
            "all addresses of a tunnel are unicast",
        );
    }
    if !spec.ping_interval.is_zero() && spec.ping_interval < PING_INTERVAL_MIN {
        let what = format!(
            "ping_interval {} is shorter than {PING_INTERVAL_MIN}",
            spec.ping_interval
        );
        return cannot(&what, "ping less often, or not at all with 0s");
    }
    if spec.router_clock_error.is_some() && spec.ping_interval.is_zero() {
        let what = "router_clock_error is given, but the router's clock is asked with every ping, and there are none";
        return cannot(what, "choose a ping_interval, or leave it out");
    }
    Ok(())
}

/// Refuses single sources on a tunnel whose IGMP cannot name them.
pub(crate) fn check_sources(tunnel: &Tunnel) -> Result<(), Refusal> {
    match tunnel.spec.igmp {
        IgmpVersion::V3 => Ok(()),
        IgmpVersion::V2 => Err(Refusal::new(
            ErrorCode::Invalid,
            format!(
                "cannot join single sources over tunnel {}: it speaks IGMPv2",
                tunnel.name()
            ),
            "add the tunnel with igmp = 3, or join any source",
        )),
    }
}
