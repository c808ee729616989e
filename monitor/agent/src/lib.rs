//! Readers of routers' counters: one asks an SNMP agent, the other reads what an exporter of flows sends.
//!
//! Neither decides anything: what they read goes to [`vmscope_core::counters`] as it is, with when it was asked and answered.

mod flow;
mod snmp;

pub use flow::Exporter;
pub use snmp::{AgentError, Snmp};
