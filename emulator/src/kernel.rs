//! The kernel's parts of a lab, through rtnetlink and system calls: namespaces, wires, tunnels, impairments,
//! counters, processes. No `ip`, no `tc`.
//!
//! Everything that is made here is undone when its owner is dropped: a namespace takes its devices with it.

pub mod batch;
pub mod counters;
pub mod error;
pub mod gre;
pub mod link;
pub mod mroute;
pub mod netem;
pub mod netlink;
pub mod netns;
pub mod process;
pub mod qdisc;
pub mod route;
pub mod rule;
pub mod steer;

pub use batch::Batch;
pub use error::KernelError;
pub use netns::Netns;
pub use process::Process;
