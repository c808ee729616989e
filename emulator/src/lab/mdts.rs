//! Data MDTs done in the kernel, as each VRF's agent orders: once a second its forwarding table is read, and what came
//! by the MDT.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind, Read},
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use serde::Serialize;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::{Lab, LabError, build};
use crate::{
    kernel::{
        Batch, Netns, gre, link, mroute,
        steer::{self, Turn},
    },
    mdt::{
        Agent, MdtEvent, MdtLog, Order, Settings, Stream,
        agent::MDT,
        join::{self, MdtJoin},
    },
    plan::{Plan, Site},
    scenario::{DataMdt, Scenario},
    truth::clock::monotonic_ns,
};

/// From one look about to the next.
pub const TEND_EVERY: Duration = Duration::from_secs(1);

/// Priority of the first turned stream's filter.
const FIRST_PRIORITY: u16 = 16;

/// All agents of a lab.
#[derive(Debug, Default)]
pub(super) struct Mdts {
    /// By VRF.
    vrfs: BTreeMap<String, Vrf>,
    log: MdtLog,
}

#[derive(Debug)]
struct Vrf {
    mvpn: String,
    pe: String,
    settings: Settings,
    overlay: Ipv4Addr,
    mdt_source: Ipv4Addr,
    underlay: String,
    /// None: the node is down.
    running: Option<Running>,
    /// Numbers, for names and priorities that are never used twice.
    legs: u32,
    turns: u16,
}

/// What an agent holds in the kernel.
#[derive(Debug)]
struct Running {
    agent: Agent,
    socket: Socket,
    /// Devices of joined groups.
    legs: BTreeMap<Ipv4Addr, String>,
    /// Filters of moved streams.
    turned: BTreeMap<Stream, u16>,
}

/// A data MDT at a PE, as it stands.
#[derive(Debug, Clone, Serialize)]
pub struct MdtRow {
    /// VRF.
    pub node: String,
    /// Backbone group.
    pub p_group: Ipv4Addr,
    /// `announces`, `sends` or `receives`.
    pub role: &'static str,
    /// The customer's source; empty where the PE receives.
    pub c_source: String,
    /// The customer's group.
    pub c_group: String,
}

impl Lab {
    /// Starts the agents of all MVPNs that have data MDTs.
    pub async fn begin_data_mdts(&mut self, scenario: &Scenario) -> Result<(), LabError> {
        for (name, mvpn) in &scenario.mvpns {
            let (Some(data_mdt), Some(planned)) = (&mvpn.data_mdt, self.plan.mvpns.get(name))
            else {
                continue;
            };
            for (index, site) in planned.sites.iter().enumerate() {
                let place = (index, planned.sites.len());
                let vrf = vrf(
                    &self.plan,
                    name,
                    site,
                    settings(&self.plan, site, data_mdt, place),
                );
                self.mdts.vrfs.insert(site.vrf.clone(), vrf);
                let namespace = self.namespace(&site.vrf)?;
                let mut batch = Batch::new();
                steer::prepare(&mut batch, namespace, MDT)?;
                batch.send().await?;
            }
        }
        let nodes: Vec<String> = self.mdts.vrfs.values().map(|vrf| vrf.pe.clone()).collect();
        for node in nodes {
            self.begin_data_mdts_of(&node).await?;
        }
        Ok(())
    }

    /// Whether there is anything to tend.
    pub fn has_data_mdts(&self) -> bool {
        !self.mdts.vrfs.is_empty()
    }

    /// One look about, and what follows from it. Call it every [`TEND_EVERY`]; `now_ns`, CLOCK_MONOTONIC, is when that
    /// was to be: timers of whole seconds then end when they should, not a look later.
    pub async fn tend_data_mdts(&mut self, now_ns: u64) -> Result<(), LabError> {
        let Mdts { vrfs, log } = &mut self.mdts;
        for (name, vrf) in vrfs {
            let namespace = build::get(&mut self.namespaces, name)?;
            vrf.tend(now_ns, namespace, log).await?;
        }
        Ok(())
    }

    /// What they have done so far.
    pub fn data_mdt_log(&self) -> &MdtLog {
        &self.mdts.log
    }

    /// Data MDTs as they stand, of a node and its VRFs or of all.
    pub fn data_mdts(&self, node: Option<&str>) -> Result<Vec<MdtRow>, LabError> {
        let asked: Vec<String> = self.asked(node)?.into_iter().map(|n| n.name).collect();
        let vrfs = self
            .mdts
            .vrfs
            .iter()
            .filter(|(name, _)| asked.contains(name));
        Ok(vrfs.flat_map(|(name, vrf)| vrf.rows(name)).collect())
    }

    /// Agents of a node begin with nothing known.
    pub(super) async fn begin_data_mdts_of(&mut self, node: &str) -> Result<(), LabError> {
        let (namespaces, mdts) = (&self.namespaces, &mut self.mdts);
        for (name, vrf) in mdts.vrfs.iter_mut().filter(|(_, vrf)| vrf.pe == node) {
            if let Some(namespace) = namespaces.get(name) {
                vrf.begin(namespace)?;
            }
        }
        Ok(())
    }

    /// A node's agents crashed with it: nothing is moved, nothing joined any more.
    pub(super) async fn forget_data_mdts(&mut self, node: &str) -> Result<(), LabError> {
        let (namespaces, mdts) = (&mut self.namespaces, &mut self.mdts);
        for (name, vrf) in mdts.vrfs.iter_mut().filter(|(_, vrf)| vrf.pe == node) {
            let namespace = build::get(namespaces, name)?;
            if let Some(running) = vrf.running.take() {
                running.end(namespace).await?;
            }
        }
        Ok(())
    }
}

fn vrf(plan: &Plan, mvpn: &str, site: &Site, settings: Settings) -> Vrf {
    let attachment = plan.attachment(&site.vrf);
    Vrf {
        mvpn: mvpn.to_owned(),
        pe: site.pe.clone(),
        settings,
        overlay: site.overlay,
        mdt_source: site.mdt_source,
        underlay: attachment.map_or_else(String::new, |a| a.vrf.interface.clone()),
        running: None,
        legs: 0,
        turns: 0,
    }
}

/// PEs take groups from different places of the pool, so that two which need one at the same moment, before either has
/// heard of the other, do not take the same.
fn settings(plan: &Plan, site: &Site, data_mdt: &DataMdt, (index, of): (usize, usize)) -> Settings {
    let mut pool: Vec<Ipv4Addr> = data_mdt
        .pool
        .iter()
        .flat_map(|groups| groups.iter())
        .collect();
    let first = index * pool.len() / of.max(1);
    pool.rotate_left(first);
    Settings {
        pool,
        site: plan
            .ends_in(&site.vrf)
            .map(|(_, end)| end.interface.clone())
            .collect(),
        threshold_bits: data_mdt.threshold.0,
        delay_ns: data_mdt.delay.ns,
        timeout_ns: data_mdt.timeout.ns,
        holddown_ns: data_mdt.holddown.ns,
        interval_ns: data_mdt.interval.ns,
    }
}

impl Vrf {
    fn begin(&mut self, namespace: &Netns) -> Result<(), LabError> {
        let socket = namespace.inside(|| open(self.overlay))?;
        let socket = socket.map_err(|e| namespace.error("open a socket for MDT Joins", e))?;
        self.running = Some(Running {
            agent: Agent::new(self.settings.clone()),
            socket,
            legs: BTreeMap::new(),
            turned: BTreeMap::new(),
        });
        Ok(())
    }

    async fn tend(
        &mut self,
        now_ns: u64,
        namespace: &mut Netns,
        log: &mut MdtLog,
    ) -> Result<(), LabError> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        let joins = running
            .receive()
            .map_err(|e| namespace.error("receive MDT Joins", e))?;
        let routes = mroute::read(namespace)?;
        for join in joins {
            running.agent.handle_join(now_ns, join);
        }
        running.agent.handle_routes(now_ns, &routes);
        while let Some(order) = self
            .running
            .as_mut()
            .and_then(|running| running.agent.poll())
        {
            self.carry_out(namespace, order).await?;
            log.events.push(MdtEvent {
                at_ns: monotonic_ns(),
                mvpn: self.mvpn.clone(),
                pe: self.pe.clone(),
                did: order.deed(),
            });
        }
        Ok(())
    }

    async fn carry_out(&mut self, namespace: &mut Netns, order: Order) -> Result<(), LabError> {
        let Some(running) = &mut self.running else {
            return Ok(());
        };
        match order {
            Order::Announce(announcement) => {
                let to = SocketAddrV4::new(join::DESTINATION, join::PORT);
                let sent = running.socket.send_to(&announcement.emit(), &to.into());
                sent.map_err(|e| namespace.error("send an MDT Join", e))?;
            }
            Order::Move(MdtJoin { stream, p_group }) => {
                let priority = FIRST_PRIORITY.wrapping_add(self.turns);
                self.turns = self.turns.wrapping_add(1) % (u16::MAX - FIRST_PRIORITY);
                running.turned.insert(stream, priority);
                let turn = Turn {
                    priority,
                    source: stream.c_source,
                    group: stream.c_group,
                    outer: p_group,
                };
                let mut batch = Batch::new();
                steer::turn(&mut batch, namespace, MDT, turn)?;
                batch.send().await?;
            }
            Order::Return { join, was_moved: _ } => {
                if let Some(priority) = running.turned.remove(&join.stream) {
                    let mut batch = Batch::new();
                    steer::turn_back(&mut batch, namespace, MDT, priority)?;
                    batch.send().await?;
                }
            }
            Order::Join(group) => {
                self.legs += 1;
                let name = format!("data{}", self.legs);
                let leg = gre::Leg {
                    name: &name,
                    local: self.mdt_source,
                    group,
                    underlay: &self.underlay,
                };
                gre::join(namespace, &leg, MDT).await?;
                running.legs.insert(group, name);
            }
            Order::Leave(group) => {
                if let Some(name) = running.legs.remove(&group) {
                    link::delete(namespace, &name).await?;
                }
            }
            Order::Keep(_) => {}
        }
        Ok(())
    }

    fn rows(&self, name: &str) -> Vec<MdtRow> {
        let row = |p_group, role, stream: Option<Stream>| MdtRow {
            node: name.to_owned(),
            p_group,
            role,
            c_source: stream.map_or_else(String::new, |s| s.c_source.to_string()),
            c_group: stream.map_or_else(String::new, |s| s.c_group.to_string()),
        };
        let Some(running) = &self.running else {
            return Vec::new();
        };
        let sent = running.agent.sent().map(|(stream, group, is_moved)| {
            let role = if is_moved { "sends" } else { "announces" };
            row(group, role, Some(stream))
        });
        let joined = running.agent.joined().iter();
        sent.chain(joined.map(|group| row(*group, "receives", None)))
            .collect()
    }
}

impl Running {
    /// Everything that has come; what is malformed is no announcement.
    fn receive(&mut self) -> io::Result<Vec<MdtJoin>> {
        let mut joins = Vec::new();
        let mut buffer = [0; 2048];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(length) => joins.extend(join::parse(&buffer[..length]).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(joins),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn end(self, namespace: &mut Netns) -> Result<(), LabError> {
        let mut batch = Batch::new();
        for priority in self.turned.into_values() {
            steer::turn_back(&mut batch, namespace, MDT, priority)?;
        }
        batch.send().await?;
        for name in self.legs.into_values() {
            link::delete(namespace, &name).await?;
        }
        Ok(())
    }
}

/// RFC 6037 section 7: MDT Joins are sent and believed on the default MDT alone, so the socket is bound to its device.
/// They go no further than one hop of the customer's network, which the MDT is.
fn open(overlay: Ipv4Addr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    socket.bind_device(Some(MDT.as_bytes()))?;
    socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, join::PORT).into())?;
    socket.set_multicast_if_v4(&overlay)?;
    socket.set_multicast_ttl_v4(1)?;
    socket.set_multicast_loop_v4(false)?;
    let interface = InterfaceIndexOrAddress::Address(overlay);
    socket.join_multicast_v4_n(&join::DESTINATION, &interface)?;
    Ok(socket)
}
