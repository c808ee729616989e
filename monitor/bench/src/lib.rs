//! What vmscope can take: `make bench`.
//!
//! ```text
//!   namespace of the monitor                namespace of the PEs
//!   vmscope daemon  ─┐                  ┌─  the reflector: N PEs in one thread
//!   the reference   ─┴── mon ════ pes ──┘
//! ```
//!
//! The real daemon, as a process, is driven through its control socket. Beside it, in the same run and on the same path, a
//! loop that does the least: what counts is the ratio, for that depends less on the machine.

pub mod bench;
pub mod daemon;
pub mod frames;
pub mod iperf;
pub mod machine;
pub mod many;
pub mod matrix;
pub mod overload;
pub mod paced;
pub mod place;
pub mod rate;
pub mod reference;
pub mod reflector;
pub mod report;
pub mod ring;
pub mod sender;
pub mod socket;
