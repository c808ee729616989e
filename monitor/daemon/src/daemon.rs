//! Being the monitor: everything opened in order, driven, and closed in order.

use std::fs;
use std::path::{Path, PathBuf};

use vmscope_core::config::{Config, LogLevel};
use vmscope_core::control::{ShardStatus, Unseen};
use vmscope_core::fault::Planted;
use vmscope_core::probe_files::ProbeFilesSpec;
use vmscope_core::retention::{RetentionSpec, Size};
use vmscope_core::session::{Options, Session};
use vmscope_store::{
    Limits, Location, ProbeFileLimits, ProbeFiles, Retention, SessionStart, StoreError, Writer,
};

use crate::agents::Agents;
use crate::alarm::Notifier;
use crate::capture::Capture;
use crate::cli::DaemonArgs;
use crate::clock::{self, Reading, StampClock, StepWatch};
use crate::control_socket::ControlSocket;
use crate::driver::{self, Parts};
use crate::error::StartError;
use crate::exit::Exit;
use crate::interface::{HearsAllMulticast, Interface};
use crate::journal::Journal;
use crate::mailbox::mailbox;
use crate::remote::{Listener, Peers};
use crate::transmit::Transmitter;
use crate::wakefulness::{self, Wakefulness};

/// Readings of both clocks at the start, to know their difference well.
const FIRST_READINGS: usize = 64;
/// Where a planted fault is named, in a build made for it.
const FAULT: &str = "VMSCOPE_FAULT";

/// Runs the daemon, or only checks its configuration.
pub fn run(arguments: &DaemonArgs, socket: &Path) -> Exit {
    let outcome = read_config(&arguments.config).and_then(|mut config| {
        arguments.keep.amend(&mut config.retention);
        log_to_stderr(arguments.log.map_or(config.log, LogLevel::from));
        let recipe = Recipe::new(&arguments.config, config, arguments.monitor.as_deref())?;
        recipe.interface()?;
        let files = recipe.config.parquet.as_ref();
        if let Some(problem) = files.and_then(ProbeFilesSpec::problem) {
            return Err(bad_config(&recipe.path, problem));
        }
        // Whether the configuration makes sense is known before anything is opened.
        recipe.begin()?;
        if arguments.check {
            Ok(())
        } else {
            serve(&recipe, socket)
        }
    });
    match outcome {
        Ok(()) if arguments.check => {
            println!(
                "{}: the configuration makes sense",
                arguments.config.display()
            );
            Exit::Done
        }
        Ok(()) => Exit::Done,
        Err(error) => {
            eprintln!("vmscope: {error}");
            if error.is_usage() {
                Exit::Usage
            } else {
                Exit::Unable
            }
        }
    }
}

/// Says on stderr what is at least this important.
pub fn log_to_stderr(level: LogLevel) {
    let level = match level {
        LogLevel::Error => tracing::Level::ERROR,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Debug => tracing::Level::DEBUG,
    };
    let logger = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_timer(tracing_subscriber::fmt::time::uptime())
        .with_max_level(level);
    // It can only be set already, and then somebody else reads what we say.
    let _ = logger.try_init();
}

/// What a run of the monitor is made from.
struct Recipe {
    path: PathBuf,
    config: Config,
    options: Options,
}

impl Recipe {
    /// `monitor` is which of those that share the configuration this is; the host's name unless told.
    fn new(path: &Path, config: Config, monitor: Option<&str>) -> Result<Recipe, StartError> {
        let host = nix::unistd::gethostname().unwrap_or_default();
        let host = host.to_string_lossy();
        let part = config.part_of(monitor.unwrap_or(&host));
        let (config, shard) = part.map_err(|error| bad_config(path, error.to_string()))?;
        let options = Options {
            session: rand::random(),
            seed: rand::random(),
            probe_port: config.probe_port,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            logs_probes: config.log_probes || config.parquet.is_some(),
            shard,
            fault: planted().map_err(|problem| bad_config(path, problem))?,
            ..Options::default()
        };
        Ok(Recipe {
            path: path.to_owned(),
            config,
            options,
        })
    }

    fn interface(&self) -> Result<&str, StartError> {
        self.config
            .interface
            .as_deref()
            .ok_or(StartError::InterfaceMissing)
    }

    /// A session, begun now, in which all of the configuration is in force.
    fn begin(&self) -> Result<Session, StartError> {
        let now = clock::now();
        let mut session = Session::new(now, self.options.clone());
        let loaded = session.load(now, &self.config);
        loaded.map_err(|refusal| bad_config(&self.path, refusal.to_string()))?;
        Ok(session)
    }

    fn start(&self, interface: &Interface, stamps: &StampClock) -> SessionStart {
        SessionStart {
            session: self.options.session,
            version: self.options.version.clone(),
            interface: interface.name.clone(),
            probe_port: self.config.probe_port,
            at_ns: clock::now(),
            realtime_minus_monotonic_ns: stamps.offset_ns(),
        }
    }
}

fn bad_config(path: &Path, problem: String) -> StartError {
    StartError::Config {
        path: path.to_owned(),
        problem,
    }
}

/// Reads a configuration file.
pub fn read_config(path: &Path) -> Result<Config, StartError> {
    let text = fs::read_to_string(path).map_err(|source| StartError::ConfigFile {
        path: path.to_owned(),
        source,
    })?;
    Config::from_toml(&text).map_err(|error| bad_config(path, error.to_string()))
}

fn serve(recipe: &Recipe, socket: &Path) -> Result<(), StartError> {
    let config = &recipe.config;
    let interface = Interface::named(recipe.interface()?)?;
    let capture = Capture::open(&interface)?;
    let transmitter = Transmitter::open(&interface, config.sending)?;
    let _hears = HearsAllMulticast::on(&interface)
        .map_err(StartError::socket("hear all multicast on the interface"))?;
    let steps = StepWatch::new().map_err(StartError::socket("watch the wall clock"))?;
    let stamps = stamp_clock(recipe.options.fault);

    let (mailbox, inbox) = mailbox().map_err(StartError::socket("make an event descriptor"))?;
    let (peers, peer_tasks) =
        Peers::open(&config.peer).map_err(|error| bad_config(&recipe.path, error.to_string()))?;
    let agents = Agents::open(&config.agent, &mailbox)
        .map_err(|error| bad_config(&recipe.path, error.to_string()))?;
    let listener = config.remote.as_ref().map(Listener::bind).transpose()?;
    let socket = config.socket.as_deref().unwrap_or(socket);
    let socket = ControlSocket::open(socket, listener, peer_tasks, mailbox)?;
    let notifier = Notifier::open(&config.alarms.sinks)
        .map_err(|error| bad_config(&recipe.path, error.to_string()))?;
    say_what_is_unseen(recipe.options.shard.as_ref());
    let _awake = config.keep_awake.then(keep_awake).flatten();
    let begun = open_journal(recipe, &recipe.start(&interface, &stamps))
        .map_err(StartError::from)
        // Last of all: from here on, tasks send and warm up.
        .and_then(|journal| Ok((journal, recipe.begin()?)));
    let outcome = begun.and_then(|(journal, session)| {
        let (number, tunnels) = (recipe.options.session, config.tunnels.len());
        tracing::info!("session {number} on {}, {tunnels} tunnels", interface.name);
        driver::run(Parts {
            session,
            capture,
            transmitter,
            stamps,
            steps,
            inbox,
            journal,
            notifier,
            peers,
            agents,
        })
    });
    socket.close();
    outcome
}

/// Without it everything works, and probes leave less punctually.
fn keep_awake() -> Option<Wakefulness> {
    let kept = Wakefulness::keep();
    kept.inspect_err(|error| {
        tracing::warn!(
            "cannot keep the processors awake, so probes may leave some tens of microseconds late: {}: {error}; \
             be root on a kernel with PM QoS, or leave `keep_awake` out",
            wakefulness::LATENCY
        );
    })
    .ok()
}

/// Pairs that no monitor measures are no secret.
fn say_what_is_unseen(shard: Option<&ShardStatus>) {
    let Some(shard) = shard else { return };
    let (monitor, tunnels, all) = (&shard.monitor, shard.tunnels, shard.tunnels_of_all);
    tracing::info!("monitor {monitor}: {tunnels} of {all} tunnels are this one's");
    for Unseen { name, pairs, of } in &shard.unseen {
        tracing::warn!(
            "{pairs} of the {of} pairs of {name} are measured by no monitor: their tunnels belong to different ones"
        );
    }
}

fn open_journal(recipe: &Recipe, start: &SessionStart) -> Result<Journal, StoreError> {
    let files = recipe.config.parquet.as_ref().map(|spec| {
        let limits = ProbeFileLimits {
            bytes: spec.size.as_bytes(),
            age: spec.every,
            ..ProbeFileLimits::default()
        };
        ProbeFiles::open(spec.directory.clone(), start, limits)
    });
    let files = files.transpose()?;
    let writer = open_database(recipe, start)?;
    let offset_ns = start.realtime_minus_monotonic_ns;
    Ok(Journal::new(writer, recipe.config.log_probes).with_probe_files(files, offset_ns))
}

fn open_database(recipe: &Recipe, start: &SessionStart) -> Result<Option<Writer>, StoreError> {
    let config = &recipe.config;
    let Some(path) = &config.database else {
        return Ok(None);
    };
    let mut location = Location::from(path);
    if let Some(shard) = &recipe.options.shard {
        location = location.of_monitor(&shard.monitor);
    }
    let limits = Limits {
        retention: retention(&config.retention),
        ..Limits::default()
    };
    Writer::open(location, start, limits).map(Some)
}

fn retention(spec: &RetentionSpec) -> Retention {
    Retention {
        history: spec.history.span(),
        probes: spec.probes.span(),
        intervals: spec.intervals.span(),
        bytes: spec.size.map(Size::as_bytes),
    }
}

fn stamp_clock(fault: Planted) -> StampClock {
    let first: Reading = clock::reading();
    let mut stamps = StampClock::new(first, fault);
    for _ in 0..FIRST_READINGS {
        // A step just now would be one like any other later.
        let _ = stamps.handle_reading(clock::reading());
    }
    stamps
}

/// The fault named in the environment; an error where there can be none.
fn planted() -> Result<Planted, String> {
    match std::env::var(FAULT) {
        Ok(name) => plant(&name),
        Err(_) => Ok(Planted::NONE),
    }
}

#[cfg(feature = "planted-faults")]
fn plant(name: &str) -> Result<Planted, String> {
    let fault: vmscope_core::fault::Fault = name
        .parse()
        .map_err(|e: vmscope_core::fault::UnknownFault| e.to_string())?;
    tracing::warn!("a fault is planted: {fault}; nothing this monitor says is to be believed");
    Ok(Planted::only(fault))
}

#[cfg(not(feature = "planted-faults"))]
fn plant(name: &str) -> Result<Planted, String> {
    Err(format!(
        "{FAULT}={name} is set, but this build has no faults to plant: unset it, or build with the feature planted-faults"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configurations_defaults_are_the_databases() {
        assert_eq!(retention(&RetentionSpec::default()), Retention::default());
    }
}
