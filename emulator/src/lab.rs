//! A running lab: what a plan says, built in this kernel; then changed, asked and taken down.
//!
//! Every link is a *wire*: both its ends are veth pairs into one namespace, the wire room, where what arrives at one
//! end is redirected to the other. Impairments, link states and taps all live there, out of every router's reach.

pub mod agents;
mod build;
mod capture;
mod change;
mod control_plane;
mod echo;
mod mdts;
mod observe;
mod rogue;
pub mod show;
mod split_horizon;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use agents::Agents;
pub use capture::{CaptureError, LinkCapture};
pub use control_plane::VrfWords;
use mdts::Mdts;
pub use mdts::{MdtRow, TEND_EVERY};

pub use crate::kernel::{
    Process,
    process::{Ended, Session, place},
};
use crate::{
    kernel::{KernelError, Netns, process::Mounts},
    plan::{Fact, Plan, Wire},
    router::{
        converge::{self, ConvergeError},
        daemon::Daemons,
    },
    scenario::{Impairment, Suite},
};

/// Name of the wire room's namespace.
pub const WIRE_ROOM: &str = "wires";

/// Longest convergence, in the lab's time: what pimd misses it tries again a minute later, perhaps more than once.
const CONVERGENCE: Duration = Duration::from_secs(600);

/// What goes wrong in a lab. Always the lab's fault, never the monitor's.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// The routers did not come up.
    #[error(transparent)]
    Converge(#[from] ConvergeError),
    /// A name that the plan does not have.
    #[error("there is no {kind} {name:?} in this lab; there are: {known}")]
    Unknown {
        /// Wire, tunnel, node or namespace.
        kind: &'static str,
        /// As asked for.
        name: String,
        /// What exists.
        known: String,
    },
    /// A step that does not fit the lab's state.
    #[error("cannot {attempted}: {found}")]
    Refused {
        /// What was attempted.
        attempted: String,
        /// What stands against it.
        found: String,
    },
}

/// What wires can do besides carrying.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wires {
    /// They are impaired and counted by netem: what every verdict needs.
    Impairable,
    /// Nothing, for a kernel that lacks netem; such a kernel seldom has the matchall filter either.
    Plain,
}

/// A lab that is up. Dropping it takes everything down.
#[derive(Debug)]
pub struct Lab {
    // Dropped in this order: processes, then the namespaces they are in.
    agents: Agents,
    routers: BTreeMap<String, Daemons>,
    namespaces: BTreeMap<String, Netns>,
    wire_room: Netns,
    plan: Plan,
    folder: PathBuf,
    /// By link and node, or tunnel and nothing.
    impairments: BTreeMap<(String, String), Impairment>,
    /// VRFs of rogues that have joined.
    rogues: BTreeSet<String>,
    mdts: Mdts,
}

impl Lab {
    /// Builds everything that is there from the start, and starts the routers. Needs root and a tokio runtime with
    /// I/O and time on this thread.
    pub async fn up(plan: &Plan, log: &mut dyn FnMut(&str)) -> Result<Self, LabError> {
        Self::up_as("", Wires::Impairable, plan, log).await
    }

    /// The same with a prefix to all namespaces, which is how labs share a native host, and with wires of a kind.
    pub async fn up_as(
        prefix: &str,
        wires: Wires,
        plan: &Plan,
        log: &mut dyn FnMut(&str),
    ) -> Result<Self, LabError> {
        let mut lab = build::network(prefix, wires, plan).await?;
        log(&format!(
            "built {} namespaces, {} wires, {} GRE devices",
            lab.namespaces.len(),
            plan.wires.len(),
            plan.gre.iter().filter(|g| g.present).count()
        ));
        lab.start_routers(log).await?;
        log(&format!(
            "started the routers of {} namespaces",
            lab.routers.len()
        ));
        Ok(lab)
    }

    /// Waits until every fact of the plan holds.
    pub async fn converge(&mut self, log: &mut dyn FnMut(&str)) -> Result<(), LabError> {
        Ok(converge::until(
            &self.plan.converged,
            &self.namespaces,
            &mut self.routers,
            CONVERGENCE,
            log,
        )
        .await?)
    }

    /// Waits until these facts hold, for at most so long in the lab's time.
    pub async fn wait_for(
        &mut self,
        facts: &[Fact],
        deadline: Duration,
        log: &mut dyn FnMut(&str),
    ) -> Result<(), LabError> {
        Ok(converge::until(facts, &self.namespaces, &mut self.routers, deadline, log).await?)
    }

    /// Takes everything down; dropping does the same.
    pub fn down(self) {}

    /// What is built here.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The wire room, for the taps: setns(2) there, and all wires are in sight.
    pub fn wire_room(&self) -> Result<OwnedFd, LabError> {
        self.wire_room
            .open()
            .map_err(|e| self.wire_room.error("open the wire room", e).into())
    }

    /// A namespace's descriptor by its name in the plan, for setns(2).
    pub fn open_namespace(&self, name: &str) -> io::Result<OwnedFd> {
        let namespace = self
            .namespace(name)
            .map_err(|e| io::Error::new(io::ErrorKind::NotFound, e.to_string()))?;
        namespace.open()
    }

    /// Runs something inside a namespace, on this thread.
    pub fn enter<T>(&self, name: &str, run: impl FnOnce() -> T) -> Result<T, LabError> {
        Ok(self.namespace(name)?.inside(run)?)
    }

    /// Starts a process in a namespace, its output appended to `log`. It is killed when dropped.
    pub fn spawn(&self, name: &str, command: Command, log: &Path) -> Result<Process, LabError> {
        Ok(Process::spawn(
            self.namespace(name)?,
            command,
            Mounts::Shared,
            log,
        )?)
    }

    fn namespace(&self, name: &str) -> Result<&Netns, LabError> {
        let found = self.namespaces.get(name);
        found.ok_or_else(|| unknown("namespace", name, self.namespaces.keys()))
    }

    /// A link's own name, from that or from its ends the other way round.
    pub fn link_name(&self, asked: &str) -> Result<String, LabError> {
        let turned = asked.split_once('-').map(|(a, b)| format!("{b}-{a}"));
        let found = turned.and_then(|turned| self.wire(&turned).ok());
        found
            .map_or_else(|| self.wire(asked), Ok)
            .map(|(_, wire)| wire.name.clone())
    }

    fn wire(&self, name: &str) -> Result<(usize, &Wire), LabError> {
        let mut wires = self.plan.wires.iter().enumerate();
        wires
            .find(|(_, w)| w.name == name)
            .ok_or_else(|| unknown("link", name, self.plan.wires.iter().map(|w| &w.name)))
    }

    async fn start_routers(&mut self, log: &mut dyn FnMut(&str)) -> Result<(), LabError> {
        let plan = &self.plan;
        for router in plan.routers.iter().filter(|r| !plan.is_rogue(&r.namespace)) {
            let namespace = self.namespace(&router.namespace)?;
            let daemons = Daemons::prepare(namespace, router, &self.folder)?;
            self.routers.insert(router.namespace.clone(), daemons);
        }
        let all: Vec<String> = self.routers.keys().cloned().collect();
        let plan = &self.plan;
        if plan
            .routers
            .iter()
            .any(|router| router.suite == Suite::Pimd)
        {
            // troglobit's pimd settles what is there when it starts; a source that comes later it may never join.
            self.start_frr(&all).await?;
            let unicast = |fact: &Fact| matches!(fact, Fact::OspfFull { .. } | Fact::Route { .. });
            self.wait_for_the_backbone(unicast, log).await?;
            return self.start_pimd(&all);
        }
        // A customer who speaks before the RP can hear is told to be silent for a minute (RFC 7761 section 4.4.1).
        let (backbone, customers): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|name| plan.is_backbone(name));
        self.start_frr(&backbone).await?;
        self.wait_for_the_backbone(|_| true, log).await?;
        self.start_frr(&customers).await
    }

    /// Waits for what the backbone must know of itself, whoever sends: for those of these facts that are meant.
    async fn wait_for_the_backbone(
        &mut self,
        meant: impl Fn(&Fact) -> bool,
        log: &mut dyn FnMut(&str),
    ) -> Result<(), LabError> {
        let facts: Vec<Fact> = self
            .plan
            .converged
            .iter()
            .filter(|fact| {
                self.plan.is_backbone(fact.namespace()) && !fact.needs_a_source() && meant(fact)
            })
            .cloned()
            .collect();
        let mut log = |line: &str| log(&format!("backbone: {line}"));
        self.wait_for(&facts, CONVERGENCE, &mut log).await
    }

    /// All daemons of some nodes, at once.
    async fn start_daemons(&mut self, names: &[String]) -> Result<(), LabError> {
        self.start_frr(names).await?;
        self.start_pimd(names)
    }

    fn start_pimd(&mut self, names: &[String]) -> Result<(), LabError> {
        for name in names {
            if let (Some(namespace), Some(daemons)) =
                (self.namespaces.get(name), self.routers.get_mut(name))
            {
                daemons.start_last(namespace)?;
            }
        }
        Ok(())
    }

    /// Step by step for all together: each waits for its own zebra only as long as all zebras take.
    async fn start_frr(&mut self, names: &[String]) -> Result<(), LabError> {
        let (namespaces, routers) = (&self.namespaces, &mut self.routers);
        for name in names {
            if let (Some(namespace), Some(daemons)) = (namespaces.get(name), routers.get_mut(name))
            {
                daemons.start_first(namespace)?;
            }
        }
        for name in names {
            if let (Some(namespace), Some(daemons)) = (namespaces.get(name), routers.get_mut(name))
            {
                daemons.start_rest(namespace).await?;
            }
        }
        for name in names {
            if let (Some(namespace), Some(daemons)) = (namespaces.get(name), routers.get_mut(name))
            {
                daemons.settle(namespace).await?;
            }
        }
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.agents = Agents::default();
        self.routers.clear();
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::debug!(%error, "the routers' folder stays");
        }
    }
}

fn unknown<'a>(
    kind: &'static str,
    name: &str,
    known: impl IntoIterator<Item = &'a String>,
) -> LabError {
    let known = known
        .into_iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    LabError::Unknown {
        kind,
        name: name.to_owned(),
        known,
    }
}

/// The wire room's device at a wire's first (`a`) or second (`b`) end.
pub fn wire_device(wire: usize, side: char) -> String {
    format!("w{wire}{side}")
}
