//! The lab's own customers: multicast sources and receivers with real kernel sockets.
//!
//! A [`Flow`](spec::SourceSpec) is a source's stream, numbered by the source's place in the scenario
//! plus one. Every packet carries flow and sequence number ([`payload`]), so that receivers and taps
//! can tell them apart without knowing addresses. Bulk transfers by TCP are load, and only counted.

pub mod log;
pub mod payload;
pub mod run;
pub mod socket;
pub mod spec;
mod transfer;

pub use log::{FlowLog, ReceiverLog, SourceLog, TrafficLog, TransferLog};
pub use run::{Traffic, TrafficError};
pub use spec::{ReceiverSpec, SourceSpec, TrafficSpec, TransferSpec};
