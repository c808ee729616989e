//! The configuration file: the control interface's structures, in TOML.
//!
//! ```toml
//! interface = "eth0"
//! socket = "/run/vmscope.sock"
//! database = "/var/lib/vmscope/results.sqlite"
//!
//! [[tunnels]]
//! name = "pe1"
//! outer_local = "10.1.0.2"
//! outer_remote = "10.254.1.1"
//! inner_local = "10.77.1.2"
//! inner_remote = "10.77.1.1"
//! ping_interval = "100ms"
//!
//! [[mvpns]]
//! name = "red"
//! group = "239.1.1.1"
//! tunnels = ["pe1", "pe2"]
//! start = true
//! probes = { rate = "50pps", interval = "10s", warmup = "2s" }
//! ```

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::alarm::AlarmSpec;
use crate::budget::BudgetSpec;
use crate::oneway::spec::{AgentSpec, OnewaySpec, PeerSpec, RemoteSpec};
use crate::probe_files::ProbeFilesSpec;
use crate::retention::RetentionSpec;
use crate::shard::ShardSpec;
use crate::spec::{JoinSpec, MvpnSpec, PROBE_PORT, PassiveSpec, SendSpec, TaskSpec, TunnelSpec};
use crate::view::Expected;

/// A configuration. What the driver needs at its start is ignored when a configuration is
/// loaded into a running monitor (`config-load`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Interface on which packets are sent and captured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// Path of the control socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// The results database: path of an SQLite file, or a PostgreSQL connection string (`postgres://user@host/database`).
    /// None is kept when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<PathBuf>,
    /// How long what is in the database is kept. Taken from here at the monitor's start only.
    pub retention: RetentionSpec,
    /// How much the daemon says on stderr.
    pub log: LogLevel,
    /// Whether every probe's fate is written to the database, or interval results only.
    pub log_probes: bool,
    /// Every probe's fate in Parquet files, whether there is a database or not. Taken from here at the monitor's start only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parquet: Option<ProbeFilesSpec>,
    /// UDP port of probes.
    pub probe_port: u16,
    /// How probes are sent.
    pub sending: Sending,
    /// Whether the host's processors are kept from sleeping deeply while the monitor runs: probes leave more punctually, and the
    /// host needs more power. Taken from here at the monitor's start only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_awake: bool,
    /// The monitors that share this configuration, each of which takes its part: see [`Config::part_of`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<ShardSpec>,
    /// How much may be probed.
    #[serde(skip_serializing_if = "is_unbounded")]
    pub budget: BudgetSpec,
    /// Tunnels.
    pub tunnels: Vec<TunnelSpec>,
    /// Groups joined for the operator.
    pub joins: Vec<JoinSpec>,
    /// MVPNs.
    pub mvpns: Vec<MvpnSpec>,
    /// Tasks, started at once.
    pub tasks: Vec<TaskSpec>,
    /// Sends, started at once.
    pub sends: Vec<SendSpec>,
    /// Passive observations, begun at once.
    pub passive: Vec<PassiveSpec>,
    /// The control channel for peers. Taken from here at the monitor's start only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteSpec>,
    /// Other monitors that this one may ask.
    pub peer: Vec<PeerSpec>,
    /// Readers of routers' counters.
    pub agent: Vec<AgentSpec>,
    /// Measurements of one-way loss, started at once.
    pub oneway: Vec<OnewaySpec>,
    /// What MVPNs ought to be.
    pub expected: Vec<Expected>,
    /// When what is not so is told, and to whom. Where notices go is taken from here at the monitor's start only.
    pub alarms: AlarmSpec,
}

fn is_unbounded(budget: &BudgetSpec) -> bool {
    *budget == BudgetSpec::default()
}

impl Default for Config {
    fn default() -> Self {
        Config {
            interface: None,
            socket: None,
            database: None,
            retention: RetentionSpec::default(),
            log: LogLevel::default(),
            log_probes: true,
            parquet: None,
            probe_port: PROBE_PORT,
            sending: Sending::default(),
            keep_awake: false,
            shard: None,
            budget: BudgetSpec::default(),
            tunnels: Vec::new(),
            joins: Vec::new(),
            mvpns: Vec::new(),
            tasks: Vec::new(),
            sends: Vec::new(),
            passive: Vec::new(),
            remote: None,
            peer: Vec::new(),
            agent: Vec::new(),
            oneway: Vec::new(),
            expected: Vec::new(),
            alarms: AlarmSpec::default(),
        }
    }
}

/// How probes are sent. Pings and IGMP always go by the raw socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sending {
    /// By a packet socket where the kernel knows the next hop: fastest, but past the host's own packet filters and IPsec.
    #[default]
    Auto,
    /// By the raw socket, as everything else: filters and IPsec policies of this host see probes too.
    Raw,
}

/// How much the daemon says on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Results are missing.
    Error,
    /// Results may be affected.
    Warn,
    /// Good to know.
    #[default]
    Info,
    /// Every request, every change of the filter.
    Debug,
}

/// A configuration that could not be read; says line, column and what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot read the configuration: {0}")]
pub struct ConfigError(String);

impl Config {
    /// Reads a configuration from TOML.
    pub fn from_toml(text: &str) -> Result<Config, ConfigError> {
        toml::from_str(text).map_err(|error| ConfigError(error.to_string().trim_end().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = r#"
        interface = "eth0"
        [[tunnels]]
        name = "pe1"
        outer_local = "10.1.0.2"
        outer_remote = "10.254.1.1"
        inner_local = "10.77.1.2"
        inner_remote = "10.77.1.1"
        ping_interval = "100ms"
        igmp = 2
        [[mvpns]]
        name = "red"
        group = "239.1.1.1"
        tunnels = ["pe1"]
        start = true
        probes = { rate = "0.5pps", schedule = "poisson" }
    "#;

    #[test]
    fn a_configuration_reads_back_as_written() {
        let config = Config::from_toml(EXAMPLE).unwrap();
        assert_eq!(config.mvpns[0].probes.rate.as_millipps(), 500);
        let again = Config::from_toml(&toml::to_string(&config).unwrap()).unwrap();
        assert_eq!(config, again);
    }

    #[test]
    fn a_misspelt_field_is_named_with_its_line() {
        let error =
            Config::from_toml(&EXAMPLE.replace("ping_interval", "ping_intervall")).unwrap_err();
        insta::assert_snapshot!(error);
    }

    #[test]
    fn a_span_without_a_unit_is_refused() {
        assert!(Config::from_toml(&EXAMPLE.replace("\"100ms\"", "100")).is_err());
        assert!(Config::from_toml(&EXAMPLE.replace("\"100ms\"", "\"100\"")).is_err());
    }
}
