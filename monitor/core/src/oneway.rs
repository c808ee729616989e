//! One-way loss in the monitor: what `inference` needs is probed for, collected, counted, and its estimates kept.
//!
//! ```text
//!              up            ┌──────── down ────────▶ us
//!   us ═══════════════▶ router
//!                            └──────── leaf ────────▶ a peer, which counts (A) or sends again (C); a router's counter (B)
//! ```

mod peer;
pub mod report;
pub mod spec;

pub(crate) use peer::Peers;
pub use peer::{PEER_TIMEOUT, PeerFailure, PeerRequest};
