//! The lab as a program of a place: what runs inside, natively or sealed.
//!
//! Built from `plan.json`; run with the job that [`job`] packs on the host.

use std::path::Path;
use std::process::Command;

use mvpnlab_emulator::lab::Lab;
use mvpnlab_emulator::place::{Files, Line, PlaceError, Program, overlay, shell};
use mvpnlab_emulator::plan::Plan;
use mvpnlab_emulator::scenario::Scenario;
use mvpnlab_emulator::truth::file;
use serde::de::DeserializeOwned;

use crate::drive::{self, Orders, SOCKET};
use crate::live::desk;

/// The job's entry that names a fault planted in the monitor.
const FAULT: &str = "fault";
/// The job's entry of a lab without monitor and traffic.
pub const BARE: &str = "bare";
/// Where people's commands find the monitor's command line.
const CLIENTS: &str = "/run/mvpnlab/bin";
const NOT_BUILT: &str = "the lab was not built before it was to run";
/// The monitor's executable, by the name that the overlay knows it by.
const MONITOR: &str = "vmscope";

/// The lab.
#[derive(Default)]
pub struct LabProgram {
    running: Option<Running>,
}

struct Running {
    runtime: tokio::runtime::Runtime,
    plan: Plan,
    lab: Lab,
}

/// What [`Program::build`] is given: the plan alone, so that scenarios of one topology share a warm lab.
pub fn topology(plan: &Plan) -> Files {
    Files::from([(file::PLAN.to_owned(), to_json(plan))])
}

/// What [`Program::run`] is given, or [`Program::live`]; that may do without a monitor.
///
/// # Errors
/// The monitor's executable cannot be read.
pub fn job(
    scenario: &Scenario,
    seed: u64,
    monitor: Option<&Path>,
    fault: Option<&str>,
) -> Result<Files, PlaceError> {
    let mut files = monitor.map_or_else(|| Ok(Files::new()), overlay::collect)?;
    files.insert(file::SCENARIO.to_owned(), to_json(scenario));
    files.insert(file::SEED.to_owned(), seed.to_string().into_bytes());
    if let Some(fault) = fault {
        files.insert(FAULT.to_owned(), fault.into());
    }
    Ok(files)
}

impl Program for LabProgram {
    fn build(&mut self, topology: &Files, log: &mut dyn FnMut(&str)) -> Result<(), String> {
        let plan: Plan = from_json(topology, file::PLAN)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| format!("cannot start the lab's event loop: {e}"))?;
        let lab = runtime.block_on(async {
            let mut lab = Lab::up(&plan, log).await?;
            lab.converge(log).await?;
            Ok::<_, mvpnlab_emulator::lab::LabError>(lab)
        });
        let lab = lab.map_err(|e| e.to_string())?;
        self.running = Some(Running { runtime, plan, lab });
        Ok(())
    }

    fn run(&mut self, job: &Files, log: &mut dyn FnMut(&str)) -> Result<Files, String> {
        let running = self.running.as_mut().ok_or(NOT_BUILT)?;
        let scenario: Scenario = from_json(job, file::SCENARIO)?;
        let orders = Orders {
            scenario: &scenario,
            plan: &running.plan,
            monitor: &|| monitor(job),
        };
        let outcome = running
            .runtime
            .block_on(drive::run(&mut running.lab, &orders, log));
        let mut files = outcome.map_err(|e| e.to_string())?;
        files.insert(file::PLAN.to_owned(), to_json(&running.plan));
        for name in [file::SCENARIO, file::SEED] {
            files.insert(name.to_owned(), job.get(name).cloned().unwrap_or_default());
        }
        Ok(files)
    }

    fn live(&mut self, job: &Files, line: &Line) -> Result<(), String> {
        let running = self.running.as_mut().ok_or(NOT_BUILT)?;
        let scenario: Scenario = from_json(job, file::SCENARIO)?;
        let orders = Orders {
            scenario: &scenario,
            plan: &running.plan,
            monitor: &|| monitor(job),
        };
        let mut path = std::env::var("PATH").unwrap_or_default();
        if !line.is_native() {
            shell::link_applets()?;
        }
        let is_bare = job.contains_key(BARE);
        if !is_bare {
            desk::install_client(&monitor(job)?, SOCKET, CLIENTS)?;
            path = format!("{CLIENTS}:{path}");
        }
        let setup = desk::Setup {
            orders: &orders,
            is_bare,
            path,
        };
        let served = running
            .runtime
            .block_on(desk::serve(&mut running.lab, &setup, line));
        served.map_err(|e| e.to_string())
    }
}

/// Installs the monitor's executable and says how it is started.
fn monitor(job: &Files) -> Result<Command, String> {
    let mut command = overlay::install(job, MONITOR, Path::new("/run/vmscope"))?;
    if let Some(fault) = job.get(FAULT) {
        command.env("VMSCOPE_FAULT", String::from_utf8_lossy(fault).as_ref());
    }
    Ok(command)
}

fn to_json<T: serde::Serialize>(value: &T) -> Vec<u8> {
    // Plain data of our own: maps have string keys, so writing cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}

fn from_json<T: DeserializeOwned>(files: &Files, name: &str) -> Result<T, String> {
    let bytes = files
        .get(name)
        .ok_or_else(|| format!("the lab was handed no {name}"))?;
    serde_json::from_slice(bytes).map_err(|e| format!("cannot read {name}, handed to the lab: {e}"))
}
