//! What the monitor is told: from the scenario's monitor section to the monitor's own
//! configuration and control requests. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mvpnlab_emulator::plan::{Plan, TunnelPlan};
use mvpnlab_emulator::scenario::{self, Scenario};
use vmscope_core::alarm::AlarmSpec;
use vmscope_core::config::Config;
use vmscope_core::control::{
    Encapsulation, IgmpVersion, MvpnPe, MvpnSpec, Named, Operation, PassiveLayer, PassiveSpec,
    ProbeSpec, RtpMode, Schedule, TaskSpec, TunnelSpec, WatchSpec,
};
use vmscope_core::name::Name;
use vmscope_core::time::{Rate, Span};
use vmscope_core::view::Expected;
use vmscope_core::view::expected::{DataMdt, Pe, Prefix, PrefixError};

/// Where the monitor keeps its things inside the lab.
pub struct MonitorPaths {
    /// Configuration file.
    pub config: PathBuf,
    /// Control socket.
    pub socket: PathBuf,
    /// Results.
    pub database: PathBuf,
    /// Standard error.
    pub log: PathBuf,
}

/// The scenario asks for something that cannot be said to a monitor.
#[derive(Debug, thiserror::Error)]
#[error("cannot put {what} into words for the monitor: {found}")]
pub struct OrderError {
    pub(super) what: String,
    pub(super) found: String,
}

pub(super) fn named(what: &str, text: &str) -> Result<Name, OrderError> {
    Name::new(text).map_err(|e| OrderError {
        what: format!("{what} {text:?}"),
        found: e.to_string(),
    })
}

pub(super) fn names(what: &str, texts: &[String]) -> Result<Vec<Name>, OrderError> {
    texts.iter().map(|t| named(what, t)).collect()
}

pub(super) fn span(s: scenario::Span) -> Span {
    Span::from_ns(s.ns)
}

/// The configuration file that the monitor starts with: its place, and the tunnels that are there
/// from the start. Tasks are started over the control socket, at their time.
pub fn configuration(
    scenario: &Scenario,
    plan: &Plan,
    interface: &str,
    paths: &MonitorPaths,
) -> Result<Config, OrderError> {
    let tunnels = plan
        .own_tunnels()
        .filter(|t| t.present)
        .map(|t| tunnel(scenario, t));
    Ok(Config {
        interface: Some(interface.to_owned()),
        socket: Some(paths.socket.clone()),
        database: Some(paths.database.clone()),
        tunnels: tunnels.collect::<Result<_, _>>()?,
        alarms: alarms(&scenario.monitor.alarms),
        peer: super::oneway::peers(plan)?,
        agent: super::oneway::agents(scenario, plan)?,
        ..Config::default()
    })
}

/// A tunnel as the monitor has to know it.
pub fn tunnel(scenario: &Scenario, plan: &TunnelPlan) -> Result<TunnelSpec, OrderError> {
    Ok(TunnelSpec {
        name: named("tunnel", &plan.name)?,
        id: Some(plan.id),
        encapsulation: Encapsulation::Gre,
        outer_local: Some(plan.monitor_outer),
        outer_remote: Some(plan.router_outer),
        inner_local: plan.monitor_inner,
        inner_remote: plan.router_inner,
        key: plan.key,
        igmp: if plan.igmp == 2 {
            IgmpVersion::V2
        } else {
            IgmpVersion::V3
        },
        ping_interval: scenario.monitor.ping.map(span).unwrap_or(Span::from_s(0)),
        router_clock_error: scenario
            .tunnel(&plan.name)
            .and_then(|tunnel| tunnel.router_clock_error.map(span)),
    })
}

/// How a task is started: an MVPN's all-pairs task goes by the MVPN's own operations, so that
/// single PEs can come and go; everything else is a plain task.
pub fn start_task(
    scenario: &Scenario,
    task: &scenario::Task,
) -> Result<Vec<Operation>, OrderError> {
    let (senders, receivers) = (scenario.task_senders(task), scenario.task_receivers(task));
    let name = named("task", &task.name)?;
    let group = scenario.task_group(task).ok_or_else(|| OrderError {
        what: format!("task {:?}", task.name),
        found: "it names neither a known MVPN nor a group".into(),
    })?;
    let source_specific = is_ssm(group);
    let probes = probes(task);
    if is_all_pairs(task, &senders, &receivers) {
        let tunnels = names("tunnel", &senders)?;
        let spec = MvpnSpec {
            name: name.clone(),
            group,
            source_specific,
            tunnels,
            probes,
            start: false,
            watch: None,
        };
        return Ok(vec![
            Operation::MvpnAdd(spec),
            Operation::MvpnStart(Named { name }),
        ]);
    }
    Ok(vec![Operation::TaskStart(TaskSpec {
        name,
        group,
        senders: names("tunnel", &senders)?,
        receivers: names("tunnel", &receivers)?,
        source_specific,
        probes,
    })])
}

/// How it is started again after a stop in the same run of the monitor.
pub fn resume_task(
    scenario: &Scenario,
    task: &scenario::Task,
) -> Result<Vec<Operation>, OrderError> {
    let mut operations = start_task(scenario, task)?;
    operations.retain(|o| !matches!(o, Operation::MvpnAdd(_)));
    Ok(operations)
}

/// How a task is stopped.
pub fn stop_task(scenario: &Scenario, task: &scenario::Task) -> Result<Operation, OrderError> {
    let named = Named {
        name: named("task", &task.name)?,
    };
    let (senders, receivers) = (scenario.task_senders(task), scenario.task_receivers(task));
    Ok(if is_all_pairs(task, &senders, &receivers) {
        Operation::MvpnStop(named)
    } else {
        Operation::TaskStop(named)
    })
}

/// One PE of an MVPN task taken in or out.
pub fn mvpn_pe(task: &str, tunnel: &str) -> Result<MvpnPe, OrderError> {
    Ok(MvpnPe {
        mvpn: named("task", task)?,
        tunnel: named("tunnel", tunnel)?,
    })
}

/// Observing a customer's traffic on its default MDT.
pub fn passive(
    scenario: &Scenario,
    plan: &Plan,
    passive: &scenario::Passive,
) -> Result<Operation, OrderError> {
    let mvpn = plan.mvpns.get(&passive.mvpn).ok_or_else(|| OrderError {
        what: format!("passive observation of {:?}", passive.mvpn),
        found: "no such MVPN".into(),
    })?;
    let sources = match mvpn.ssm {
        true => mvpn.sites.iter().map(|s| s.mdt_source).collect(),
        false => Vec::new(),
    };
    Ok(Operation::PassiveStart(PassiveSpec {
        name: named("MVPN", &passive.mvpn)?,
        tunnels: names("tunnel", &scenario.expand_tunnels(&passive.tunnels))?,
        group: mvpn.default_mdt,
        sources,
        layer: PassiveLayer::Mdt,
        rtp: RtpMode::Auto,
    }))
}

/// Watching an MVPN's control plane.
pub fn watch(
    scenario: &Scenario,
    plan: &Plan,
    watch: &scenario::Watch,
) -> Result<Operation, OrderError> {
    let mvpn = plan.mvpns.get(&watch.mvpn).ok_or_else(|| OrderError {
        what: format!("the watch of {:?}", watch.mvpn),
        found: "no such MVPN".into(),
    })?;
    let sources = match mvpn.ssm {
        true => mvpn.sites.iter().map(|s| s.mdt_source).collect(),
        false => Vec::new(),
    };
    Ok(Operation::MvpnAdd(MvpnSpec {
        name: named("MVPN", &watch.mvpn)?,
        group: mvpn.default_mdt,
        source_specific: mvpn.ssm,
        tunnels: Vec::new(),
        probes: ProbeSpec::default(),
        start: false,
        watch: Some(WatchSpec {
            tunnels: names("tunnel", &scenario.expand_tunnels(&watch.tunnels))?,
            sources,
        }),
    }))
}

fn alarms(alarms: &scenario::Alarms) -> AlarmSpec {
    let own = AlarmSpec::default();
    AlarmSpec {
        raise_after: alarms.raise_after.map_or(own.raise_after, span),
        clear_after: alarms.clear_after.map_or(own.clear_after, span),
        listen_first: alarms.listen_first.map_or(own.listen_first, span),
        ..own
    }
}

/// What an MVPN ought to be, by addresses.
pub fn expect(plan: &Plan, wanted: &scenario::ExpectedMvpn) -> Result<Operation, OrderError> {
    let unknown = |what: String| OrderError {
        what,
        found: "the plan has no address of it".into(),
    };
    let mvpn = &wanted.mvpn;
    let sites = plan.mvpns.get(mvpn).into_iter();
    let sites = || sites.clone().flat_map(|m| m.sites.iter().chain(&m.rogues));
    let pe = |name: &String| {
        let site = sites().find(|site| site.pe == *name);
        let site = site.ok_or_else(|| unknown(format!("PE {name} of {mvpn}")))?;
        Ok((named("PE", name)?, Pe::required(site.mdt_source)))
    };
    let pes = wanted.pes.as_ref().map(|pes| pes.iter().map(pe).collect());
    let source = |node: &String| {
        let address = plan.address_of(node);
        let address = address.ok_or_else(|| unknown(format!("source {node}")))?;
        prefix(&address.to_string())
    };
    let sources = wanted.sources.iter().map(|(group, nodes)| {
        let sources: Result<Vec<Prefix>, OrderError> = nodes.iter().map(source).collect();
        Ok((prefix(&group.to_string())?, sources?))
    });
    let sources: BTreeMap<Prefix, Vec<Prefix>> = sources.collect::<Result<_, OrderError>>()?;
    let data_mdt = DataMdt {
        pool: prefixes(wanted.data_mdts.as_deref())?,
        groups: prefixes(wanted.on_data_mdts.as_deref())?,
    };
    Ok(Operation::MvpnExpect(Expected {
        mvpn: named("MVPN", mvpn)?,
        pes: pes.transpose()?,
        groups: prefixes(wanted.groups.as_deref())?,
        sources: (!sources.is_empty()).then_some(sources),
        sites: None,
        data_mdt: (data_mdt != DataMdt::default()).then_some(data_mdt),
    }))
}

fn prefixes(groups: Option<&[scenario::Groups]>) -> Result<Option<Vec<Prefix>>, OrderError> {
    let all = groups.map(|groups| groups.iter().map(|g| prefix(&g.to_string())).collect());
    all.transpose()
}

fn prefix(text: &str) -> Result<Prefix, OrderError> {
    text.parse().map_err(|error: PrefixError| OrderError {
        what: text.to_owned(),
        found: error.to_string(),
    })
}

pub(super) fn is_ssm(group: std::net::Ipv4Addr) -> bool {
    group.octets()[0] == 232
}

fn is_all_pairs(task: &scenario::Task, senders: &[String], receivers: &[String]) -> bool {
    task.mvpn.is_some() && senders == receivers
}

fn probes(task: &scenario::Task) -> ProbeSpec {
    ProbeSpec {
        rate: rate(task.rate),
        payload_bytes: task.size_bytes,
        interval: span(task.interval),
        warmup: span(task.warmup),
        schedule: if task.poisson {
            Schedule::Poisson
        } else {
            Schedule::Periodic
        },
        ttl: task.ttl,
        loss_timeout: span(task.loss_timeout),
        count: None,
        duration: None,
    }
}

pub(super) fn rate(rate: scenario::Rate) -> Rate {
    // Both sides keep thousandths of a packet per second; the text form carries them exactly.
    format!("{:.3}pps", rate.0)
        .parse()
        .unwrap_or(Rate::from_pps(1))
}
