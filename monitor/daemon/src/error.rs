//! Why the daemon cannot start or go on, each with what to do about it.

use std::io;
use std::path::PathBuf;

/// The daemon could not start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration file could not be read.
    #[error("cannot read the configuration {path}: {source}")]
    ConfigFile {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration makes no sense.
    #[error("{path}: {problem}")]
    Config {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The configuration names no interface.
    #[error(
        "the configuration names no interface: set `interface` to the one that faces the network"
    )]
    InterfaceMissing,
    /// There is no such interface.
    #[error(
        "there is no interface {name}: set `interface` in the configuration to one of: {present}"
    )]
    NoInterface {
        /// What was asked for.
        name: String,
        /// What there is.
        present: String,
    },
    /// The interface did not do as asked.
    #[error("cannot {attempted} the interface {name}: {source}")]
    Interface {
        /// What was attempted.
        attempted: &'static str,
        /// On which interface.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The kernel does not let us.
    #[error(
        "no permission to {attempted}: run vmscope as root, or give it the capability: setcap cap_net_raw+ep $(command -v vmscope)"
    )]
    Privilege {
        /// What was attempted.
        attempted: &'static str,
    },
    /// libpcap did not do as asked.
    #[error("cannot {attempted} on {interface}: {source}")]
    Capture {
        /// What was attempted.
        attempted: &'static str,
        /// On which interface.
        interface: String,
        /// What libpcap said.
        source: pcap::Error,
    },
    /// Frames of a kind we cannot read.
    #[error(
        "cannot capture on {interface}: its link type is {found}, and only Ethernet is understood; use another interface"
    )]
    LinkType {
        /// On which interface.
        interface: String,
        /// What it has.
        found: String,
    },
    /// The raw socket did not do as asked.
    #[error("cannot {attempted}: {source}")]
    Socket {
        /// What was attempted.
        attempted: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Another daemon is there.
    #[error(
        "another vmscope serves {path}: stop it (vmscope --socket {path} shutdown), or set `socket` in the configuration to another path"
    )]
    AlreadyRunning {
        /// Its socket.
        path: PathBuf,
    },
    /// The control socket could not be made.
    #[error(
        "cannot make the control socket {path}: {problem}; set `socket` in the configuration to a path in a directory that can be written"
    )]
    ControlSocket {
        /// Where.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// Control from afar cannot be served.
    #[error(
        "cannot serve control from afar on {listen}: {problem}; see [remote] in the configuration"
    )]
    Remote {
        /// Where.
        listen: std::net::SocketAddr,
        /// Why.
        problem: String,
    },
    /// The results database could not be used.
    #[error(transparent)]
    Store(#[from] vmscope_store::StoreError),
}

impl StartError {
    /// Whether the configuration is to blame.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            StartError::ConfigFile { .. }
                | StartError::Config { .. }
                | StartError::InterfaceMissing
        )
    }

    /// A system call's failure; lack of permission is told apart, for its remedy is another.
    pub fn socket(attempted: &'static str) -> impl FnOnce(io::Error) -> StartError {
        move |source| match source.kind() {
            io::ErrorKind::PermissionDenied => StartError::Privilege { attempted },
            _ => StartError::Socket { attempted, source },
        }
    }
}
