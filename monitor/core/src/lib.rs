//! The VMScope monitor without I/O: no socket, no clock, no runtime.
//!
//! One host measures a multicast VPN from inside: through GRE tunnels to its PEs it sends
//! probes down the multicast tree and gets the copies back (see [`session`] for how it is
//! driven, [`control`] for what it can be asked). [`session::Session`] owns everything else.
//!
//! | file | noun |
//! |---|---|
//! | `session` | the monitor as a whole; requests, packets, transmissions |
//! | `tunnel`, `membership`, `ping` | one tunnel: its ends, its IGMP, its round trips |
//! | `task`, `schedule`, `probe`, `ledger`, `distribution`, `histogram` | one task: members, timetable, probes in flight, accounts, quantiles |
//! | `due`, `numbered` | what is due when, and things by number, found without looking at all |
//! | `budget` | how much may be probed |
//! | `correction` | the tunnels' part taken out, and what cannot be known |
//! | `inference` | loss of each direction, inferred from copies that part on the way |
//! | `counters` | routers' counters: which probes a count is of, and which counts are none |
//! | `oneway` | one-way loss: measurements, and what this monitor does for others' |
//! | `passive` | customer streams, when asked for |
//! | `view` | who is in which MVPN, as its control messages say |
//! | `alarm` | what is not as expected, or above a threshold |
//! | `filter`, `cover`, `packet` | what the capture lets through; bytes to meaning |
//! | `control`, `spec`, `report`, `config`, `shard` | the public contract |

pub mod alarm;
pub mod budget;
pub mod config;
pub mod control;
pub mod correction;
pub mod counters;
mod cover;
mod distribution;
mod due;
pub mod fault;
mod filter;
mod histogram;
pub mod inference;
mod ledger;
mod membership;
pub mod name;
mod numbered;
pub mod oneway;
mod overhead;
mod packet;
mod passive;
pub mod percent;
mod ping;
mod probe;
pub mod probe_files;
pub mod report;
pub mod retention;
mod router_clock;
mod schedule;
mod series;
pub mod session;
pub mod shard;
pub mod spec;
mod task;
mod template;
pub mod time;
mod tunnel;
pub mod view;
