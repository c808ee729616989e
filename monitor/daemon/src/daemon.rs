//! Being the monitor: everything opened in order, driven, and closed in order.

use std::fs;
use std::path::Path;

use vmscope_core::config::{Config, LogLevel};
use vmscope_core::fault::Planted;
use vmscope_core::session::{Options, Session};
use vmscope_store::{Limits, SessionStart, StoreError, Writer};

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
use crate::transmit::Transmitter;

/// Readings of both clocks at the start, to know their difference well.
const FIRST_READINGS: usize = 64;
/// Where a planted fault is named, in a build made for it.
const FAULT: &str = "VMSCOPE_FAULT";

/// Runs the daemon, or only checks its configuration.
pub fn run(arguments: &DaemonArgs, socket: &Path) -> Exit {
    let outcome = read_config(&arguments.config).and_then(|config| {
        log_to_stderr(arguments.log.map_or(config.log, LogLevel::from));
        let prepared = prepare(&arguments.config, config)?;
        if arguments.check {
            Ok(())
        } else {
            serve(prepared, socket)
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

fn log_to_stderr(level: LogLevel) {
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

/// A configuration, and a session in which all of it is in force.
struct Prepared {
    config: Config,
    session: Session,
    number: u32,
}

fn read_config(path: &Path) -> Result<Config, StartError> {
    let text = fs::read_to_string(path).map_err(|source| StartError::ConfigFile {
        path: path.to_owned(),
        source,
    })?;
    Config::from_toml(&text).map_err(|error| StartError::Config {
        path: path.to_owned(),
        problem: error.to_string(),
    })
}

fn prepare(path: &Path, config: Config) -> Result<Prepared, StartError> {
    let problem = |problem: String| StartError::Config {
        path: path.to_owned(),
        problem,
    };
    let number = rand::random();
    let options = Options {
        session: number,
        seed: rand::random(),
        probe_port: config.probe_port,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        fault: planted().map_err(problem)?,
        ..Options::default()
    };
    let now = clock::now();
    let mut session = Session::new(now, options);
    session
        .load(now, &config)
        .map_err(|refusal| problem(refusal.to_string()))?;
    Ok(Prepared {
        config,
        session,
        number,
    })
}

fn serve(prepared: Prepared, socket: &Path) -> Result<(), StartError> {
    let Prepared {
        config,
        session,
        number,
    } = prepared;
    let name = config
        .interface
        .as_deref()
        .ok_or(StartError::InterfaceMissing)?;
    let interface = Interface::named(name)?;
    let capture = Capture::open(&interface)?;
    let transmitter = Transmitter::open(&interface)?;
    let _hears = HearsAllMulticast::on(&interface)
        .map_err(StartError::socket("hear all multicast on the interface"))?;
    let steps = StepWatch::new().map_err(StartError::socket("watch the wall clock"))?;
    let stamps = stamp_clock(session.fault());

    let (mailbox, inbox) = mailbox().map_err(StartError::socket("make an event descriptor"))?;
    let socket = ControlSocket::open(config.socket.as_deref().unwrap_or(socket), mailbox)?;
    let start = SessionStart {
        session: number,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        interface: interface.name.clone(),
        probe_port: config.probe_port,
        at_ns: clock::now(),
        realtime_minus_monotonic_ns: stamps.offset_ns(),
    };
    let outcome = open_database(&config, &start)
        .map_err(StartError::from)
        .and_then(|writer| {
            tracing::info!(
                "session {number} on {}, {} tunnels",
                interface.name,
                config.tunnels.len()
            );
            let journal = Journal::new(writer, config.log_probes);
            driver::run(Parts {
                session,
                capture,
                transmitter,
                stamps,
                steps,
                inbox,
                journal,
            })
        });
    socket.close();
    outcome
}

fn open_database(config: &Config, start: &SessionStart) -> Result<Option<Writer>, StoreError> {
    let Some(path) = &config.database else {
        return Ok(None);
    };
    Writer::open(path, start, Limits::default()).map(Some)
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
