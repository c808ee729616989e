//! What is watched in a capture: from a configuration file, from the command line, or both.

use std::net::Ipv4Addr;

use vmscope_core::config::Config;
use vmscope_core::name::Name;
use vmscope_core::session::{Options, Session};
use vmscope_core::spec::{Encapsulation, IgmpVersion, MvpnSpec, ProbeSpec, TunnelSpec, WatchSpec};
use vmscope_core::time::{Instant, Span};
use vmscope_core::view::ALL_PIM_ROUTERS;

use super::error::ReadError;
use super::filter::Filter;
use crate::cli::ReadArgs;
use crate::error::StartError;

/// The pseudo-tunnel for what was captured outside all tunnels.
const LINK: &str = "capture";
/// Its two ends are nobody (RFC 5737): nothing is sent to them.
const NOBODY: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)];

/// How a capture is to be read.
pub struct Setup {
    /// What the session is to know: tunnels and watched MVPNs, nothing to send.
    pub config: Config,
    /// The filter that the session wants.
    pub filter: Filter,
    /// Whether what is in a monitor's tunnel counts as captured itself, because no tunnel is configured.
    pub opens_tunnels: bool,
}

impl Setup {
    /// Reads the configuration, and tries it: what makes no sense is known before anything is opened.
    pub fn of(arguments: &ReadArgs) -> Result<Setup, ReadError> {
        let mut config = match &arguments.config {
            Some(path) => for_listening(crate::daemon::read_config(path)?),
            None => Config::default(),
        };
        let opens_tunnels = config
            .tunnels
            .iter()
            .all(|tunnel| tunnel.encapsulation == Encapsulation::None);
        let link = link(&mut config)?;
        let tunnels: Vec<Name> = config.tunnels.iter().map(|t| t.name.clone()).collect();
        for mvpn in &mut config.mvpns {
            let own = match &mvpn.watch {
                Some(watch) => watch.tunnels.clone(),
                None => mvpn.tunnels.clone(),
            };
            listen(mvpn, own.into_iter().chain([link.clone()]));
        }
        let named = arguments.mvpns.iter().map(|(name, group)| (name, *group));
        let plain = arguments.plain.iter().map(|name| (name, ALL_PIM_ROUTERS));
        for (name, group) in named.chain(plain) {
            let mut mvpn = mvpn(name, group);
            listen(&mut mvpn, tunnels.iter().cloned());
            config.mvpns.push(mvpn);
        }
        if config.mvpns.is_empty() {
            let problem =
                "the configuration has no MVPN to look for: name some with --mvpn NAME=GROUP";
            return Err(ReadError::Mvpns(problem.to_owned()));
        }
        let trial =
            session(Instant::ZERO, 0, &config).map_err(|refusal| match &arguments.config {
                Some(path) => ReadError::Setup(StartError::Config {
                    path: path.clone(),
                    problem: refusal,
                }),
                None => ReadError::Mvpns(refusal),
            })?;
        Ok(Setup {
            filter: Filter::compile(trial.filter())?,
            config,
            opens_tunnels,
        })
    }
}

/// A session in which all of the configuration is in force. The same capture gives the same results: nothing is drawn.
pub fn session(now: Instant, number: u32, config: &Config) -> Result<Session, String> {
    let options = Options {
        session: number,
        probe_port: config.probe_port,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Options::default()
    };
    let mut session = Session::new(now, options);
    match session.load(now, config) {
        Ok(()) => Ok(session),
        Err(refusal) => Err(refusal.to_string()),
    }
}

/// What a live monitor would send, and whom it would tell, is of no use for a capture.
fn for_listening(mut config: Config) -> Config {
    config.tasks.clear();
    config.sends.clear();
    config.joins.clear();
    config.alarms.sinks.clear();
    for tunnel in &mut config.tunnels {
        tunnel.ping_interval = Span::ZERO;
        tunnel.router_clock_error = None;
    }
    config
}

/// The name of the pseudo-tunnel onto the link: the configuration's own, or one more.
fn link(config: &mut Config) -> Result<Name, ReadError> {
    let own = |tunnel: &&TunnelSpec| tunnel.encapsulation == Encapsulation::None;
    if let Some(tunnel) = config.tunnels.iter().find(own) {
        return Ok(tunnel.name.clone());
    }
    let name = Name::new(LINK).map_err(|error| ReadError::Mvpns(error.to_string()))?;
    let [inner_local, inner_remote] = NOBODY;
    config.tunnels.push(TunnelSpec {
        name: name.clone(),
        id: None,
        encapsulation: Encapsulation::None,
        outer_local: None,
        outer_remote: None,
        inner_local,
        inner_remote,
        key: None,
        igmp: IgmpVersion::V3,
        ping_interval: Span::ZERO,
        router_clock_error: None,
    });
    Ok(name)
}

/// Watches an MVPN there, and does nothing else with it. Whose packets come was the network's to decide when they were
/// captured: sources that a live monitor would have to join make no difference.
fn listen(mvpn: &mut MvpnSpec, tunnels: impl Iterator<Item = Name>) {
    let mut tunnels: Vec<Name> = tunnels.collect();
    tunnels.sort();
    tunnels.dedup();
    mvpn.start = false;
    mvpn.watch = Some(WatchSpec {
        tunnels,
        sources: Vec::new(),
    });
}

fn mvpn(name: &Name, group: Ipv4Addr) -> MvpnSpec {
    MvpnSpec {
        name: name.clone(),
        group,
        source_specific: false,
        tunnels: Vec::new(),
        probes: ProbeSpec::default(),
        start: false,
        watch: None,
    }
}
