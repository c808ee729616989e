//! Why a capture could not be read, or not to its end.

use std::io;

use vmscope_store::StoreError;

use crate::error::StartError;

/// A capture could not be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be opened.
    #[error("cannot open the capture {name}: {source}")]
    Open {
        /// Which.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// It is no capture.
    #[error("{name} is no capture: {found}; {remedy}")]
    NotACapture {
        /// Which.
        name: String,
        /// How it begins.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// It ends within a packet.
    #[error(
        "{name} ends in the middle of a packet, after {frames} whole ones, or claims one of more than {most} bytes: it was \
         cut short or is damaged; what was read up to there stands"
    )]
    EndsEarly {
        /// Which.
        name: String,
        /// Packets before.
        frames: u64,
        /// The longest block that is read, bytes.
        most: usize,
    },
    /// It makes no sense from some place on.
    #[error(
        "{name} is damaged after {frames} packets: {problem}; what was read up to there stands"
    )]
    Damaged {
        /// Which.
        name: String,
        /// Packets before.
        frames: u64,
        /// What was found.
        problem: String,
    },
    /// The operating system could not read it.
    #[error(
        "cannot read {name} any further, after {frames} packets: {source}; what was read up to there stands"
    )]
    Io {
        /// Which.
        name: String,
        /// Packets before.
        frames: u64,
        /// Why.
        source: io::Error,
    },
    /// The configuration cannot be used.
    #[error(transparent)]
    Setup(#[from] StartError),
    /// The MVPNs named on the command line cannot be watched.
    #[error("{0}")]
    Mvpns(String),
    /// libpcap did not take the filter.
    #[error("cannot compile the capture filter: {0}")]
    Filter(#[from] pcap::Error),
    /// The database could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database could be opened, and then not be written.
    #[error(
        "cannot write results: {0}; what was written before is in the database, and reading ends here"
    )]
    Results(String),
}

impl ReadError {
    /// Whether the command line or the configuration is to blame.
    pub fn is_usage(&self) -> bool {
        match self {
            ReadError::Setup(error) => error.is_usage(),
            ReadError::Mvpns(_) => true,
            ReadError::Open { .. }
            | ReadError::NotACapture { .. }
            | ReadError::EndsEarly { .. }
            | ReadError::Damaged { .. }
            | ReadError::Io { .. }
            | ReadError::Filter(_)
            | ReadError::Store(_)
            | ReadError::Results(_) => false,
        }
    }
}
