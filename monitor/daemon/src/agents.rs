//! Readers of routers' counters: a thread for each, which asks an SNMP agent or hears an exporter of flows.
//!
//! The driver hands a question over and goes on; the answer, or why there is none, comes back through the mailbox. An agent
//! that is slow, silent or speaks nonsense keeps its own thread busy, and nobody else.

mod flows;
mod snmp;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::{self, TrySendError};

use vmscope_core::control::AgentSpec;
use vmscope_core::name::Name;
use vmscope_core::oneway::{AgentFailure, AgentRequest};

use crate::mailbox::Mailbox;
pub use flows::Place;

/// Questions that wait for an agent's thread at most.
const QUESTIONS_WAITING_MAX: usize = 16;

/// A reader that cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The community cannot be read.
    #[error("agent {agent}: cannot read the community in {path}: {problem}")]
    Community {
        /// Whose.
        agent: Name,
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Nobody can be heard there.
    #[error(
        "agent {agent}: cannot listen for flows on {listen}: {source}; set `listen` to a free port of this host"
    )]
    Listen {
        /// Whose.
        agent: Name,
        /// Where.
        listen: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// No thread.
    #[error("agent {agent}: cannot start its thread: {source}")]
    Thread {
        /// Whose.
        agent: Name,
        /// Why.
        source: io::Error,
    },
}

/// All agents of the configuration: the driver's side.
#[derive(Debug, Default)]
pub struct Agents {
    questions: BTreeMap<Name, mpsc::SyncSender<AgentRequest>>,
    /// Dropped, it ends those who only listen.
    _listening: Vec<flows::Listening>,
}

impl Agents {
    /// Reads what each agent needs, and starts its thread.
    pub fn open(specs: &[AgentSpec], mailbox: &Mailbox) -> Result<Agents, AgentError> {
        let mut agents = Agents::default();
        for spec in specs {
            match spec {
                AgentSpec::Snmp {
                    name,
                    address,
                    community_file,
                    ..
                } => {
                    let reader = snmp::Reader::open(name, *address, community_file)?;
                    let (sender, questions) = mpsc::sync_channel(QUESTIONS_WAITING_MAX);
                    let mailbox = mailbox.clone();
                    start(name, move || reader.run(&questions, &mailbox))?;
                    agents.questions.insert(name.clone(), sender);
                }
                AgentSpec::Flows {
                    name,
                    listen,
                    exporter,
                    ..
                } => {
                    let (hearer, listening) = flows::Hearer::open(name, *listen, *exporter)?;
                    let mailbox = mailbox.clone();
                    start(name, move || hearer.run(&mailbox))?;
                    agents._listening.push(listening);
                }
            }
        }
        Ok(agents)
    }

    /// Hands a question over. The failure, if that is not possible, is for the core.
    pub fn ask(&self, request: AgentRequest) -> Result<(), AgentFailure> {
        let name = request.agent.clone();
        let failed = |found: &str| {
            let message = format!("cannot ask agent {name}: {found}");
            Err(AgentFailure::NoAnswer(message))
        };
        let Some(sender) = self.questions.get(&request.agent) else {
            return failed("it was added to a running monitor; start the monitor anew");
        };
        match sender.try_send(request) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => failed("too many questions wait for it"),
            Err(TrySendError::Disconnected(_)) => failed("its thread has ended"),
        }
    }
}

fn start(agent: &Name, work: impl FnOnce() + Send + 'static) -> Result<(), AgentError> {
    let thread = std::thread::Builder::new().name(format!("agent-{agent}"));
    match thread.spawn(work) {
        // It ends when the driver does: nobody waits for an agent's last answer.
        Ok(_) => Ok(()),
        Err(source) => Err(AgentError::Thread {
            agent: agent.clone(),
            source,
        }),
    }
}
