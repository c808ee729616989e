//! Agents at routers: net-snmp's snmpd and pmacct's pmacctd, as Debian ships them, started with the run.
//!
//! softflowd is no choice here: it opens libpcap without a timeout, and on a quiet link sees nothing for ever.

pub mod route_mib;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Lab, LabError, unknown};
use crate::{
    kernel::Process,
    place::{Files, overlay},
    plan::Plan,
    scenario::{Agent, Flow, FlowProtocol, Scenario, Snmp, Span},
};

/// UDP port of SNMP agents.
pub const SNMP_PORT: u16 = 161;
/// UDP port of the monitor to which the first agent's flows are exported; each agent has its own.
const FLOW_PORT: u16 = 2055;
/// The argument with which our own executable answers an SNMP agent's questions for multicast routes.
pub const ROUTE_MIB: &str = "route-mib";

/// UDP port of the monitor to which an agent's flows are exported.
pub fn flow_port(scenario: &Scenario, agent: &str) -> u16 {
    let place = scenario.agents.iter().position(|other| other.name == agent);
    FLOW_PORT + place.unwrap_or(0) as u16
}

/// Agents that have been started, by name.
#[derive(Debug, Default)]
pub(super) struct Agents(Vec<Running>);

#[derive(Debug)]
struct Running {
    agent: Agent,
    /// To which flows are exported.
    port: u16,
    folder: PathBuf,
    /// None: killed.
    process: Option<Process>,
}

impl Lab {
    /// Starts all agents of a scenario. They may need some time before they answer.
    pub fn begin_agents(&mut self, scenario: &Scenario) -> Result<(), LabError> {
        for agent in &scenario.agents {
            self.agents.0.push(Running {
                agent: agent.clone(),
                port: flow_port(scenario, &agent.name),
                folder: self.folder.join("agents").join(&agent.name),
                process: None,
            });
            self.agent_restart(&agent.name)?;
        }
        Ok(())
    }

    /// SIGKILL.
    pub fn agent_kill(&mut self, name: &str) -> Result<(), LabError> {
        let process = self.agent(name)?.process.take();
        match process {
            Some(mut process) => process.kill().map(drop).map_err(refused("kill", name)),
            None => Err(refused("kill", name)(io::Error::other("it does not run"))),
        }
    }

    /// Starts it, again; what it counted itself begins at nothing.
    pub fn agent_restart(&mut self, name: &str) -> Result<(), LabError> {
        let plan = self.plan.clone();
        let running = self.agent(name)?;
        if running.process.is_some() {
            let found = io::Error::other("it runs already");
            return Err(refused("start", name)(found));
        }
        let command = running.prepare(&plan).map_err(refused("start", name))?;
        let (at, log) = (running.agent.at.clone(), running.log());
        let process = self.spawn(&at, command, &log)?;
        self.agent(name)?.process = Some(process);
        Ok(())
    }

    /// `agents/<name>.log`: what the agents said.
    pub fn agent_logs(&self) -> Files {
        let log = |running: &Running| {
            let content = fs::read(running.log()).ok()?;
            Some((format!("agents/{}.log", running.agent.name), content))
        };
        self.agents.0.iter().filter_map(log).collect()
    }

    fn agent(&mut self, name: &str) -> Result<&mut Running, LabError> {
        let names: Vec<String> = self.agents.0.iter().map(|r| r.agent.name.clone()).collect();
        let mut all = self.agents.0.iter_mut();
        let found = all.find(|running| running.agent.name == name);
        found.ok_or_else(|| unknown("agent", name, &names))
    }
}

fn refused(verb: &str, name: &str) -> impl FnOnce(io::Error) -> LabError {
    let attempted = format!("{verb} the agent {name}");
    move |found| LabError::Refused {
        attempted,
        found: found.to_string(),
    }
}

impl Running {
    fn log(&self) -> PathBuf {
        self.folder.join("log.txt")
    }

    fn prepare(&self, plan: &Plan) -> io::Result<Command> {
        fs::create_dir_all(&self.folder)?;
        match (&self.agent.snmp, &self.agent.flow) {
            (Some(snmp), _) => snmpd(&self.agent, snmp, plan, &self.folder),
            (None, Some(flow)) => pmacctd(&self.agent, flow, plan, (&self.folder, self.port)),
            (None, None) => Err(io::Error::other("it is neither of SNMP nor of flows")),
        }
    }
}

/// At the router's own address; whoever knows the community may read.
fn snmpd(agent: &Agent, snmp: &Snmp, plan: &Plan, folder: &Path) -> io::Result<Command> {
    let address = plan.address_of_router(&agent.at);
    let address = address.ok_or_else(|| io::Error::other("its router has no address"))?;
    let mut text = format!(
        "agentaddress udp:{address}:{SNMP_PORT}\nrocommunity {}\n",
        snmp.community
    );
    if let Some(write) = &snmp.write_community {
        text.push_str(&format!("rwcommunity {write}\n"));
    }
    let words = overlay::own_command().map_err(io::Error::other)?.join(" ");
    let base = route_mib::BASE;
    text.push_str(&format!("pass_persist {base} {words} {ROUTE_MIB}\n"));
    let config = folder.join("snmpd.conf");
    fs::write(&config, text)?;
    let mut command = Command::new("/usr/sbin/snmpd");
    command
        .args(["-f", "-Lo", "-C", "-I", "-hr_disk", "-c"])
        .arg(config)
        // No file says what the numbers mean, nor does it have to.
        .env("MIBS", "")
        .env("SNMP_PERSISTENT_DIR", folder);
    Ok(command)
}

/// Watches one link of its router, and exports to the monitor under test, which believes the router's own address only.
fn pmacctd(
    agent: &Agent,
    flow: &Flow,
    plan: &Plan,
    (folder, port): (&Path, u16),
) -> io::Result<Command> {
    let missing = |what: &str| io::Error::other(format!("there is no {what}"));
    let monitor = plan.monitor.as_ref().ok_or_else(|| missing("monitor"))?;
    let (_, wire) = plan.wire(&flow.link).ok_or_else(|| missing("such link"))?;
    let side = wire.side_of(&agent.at).ok_or_else(|| missing("end here"))?;
    let address = plan.address_of_router(&agent.at);
    let address = address.ok_or_else(|| missing("address of its router"))?;
    let version = match flow.protocol {
        FlowProtocol::Netflow9 => 9,
        FlowProtocol::Ipfix => 10,
    };
    let seconds = |span: Span| span.ns.div_ceil(1_000_000_000).max(1);
    let (active, inactive) = (seconds(flow.active), seconds(flow.inactive));
    let config = folder.join("pmacctd.conf");
    let text = format!(
        "daemonize: false\npcap_interface: {}\npcap_filter: udp and ip multicast\n\
         nfprobe_source_ip: {address}\n\
         aggregate: src_host, dst_host, src_port, dst_port, proto, tos\nplugins: nfprobe\n\
         nfprobe_receiver: {}:{port}\nnfprobe_version: {version}\n\
         nfprobe_timeouts: udp={inactive}:general={inactive}:expint=1:maxlife={active}\n",
        wire.end(side).interface,
        monitor.address,
    );
    fs::write(&config, text)?;
    let mut command = Command::new("/usr/sbin/pmacctd");
    command.arg("-f").arg(config);
    Ok(command)
}
