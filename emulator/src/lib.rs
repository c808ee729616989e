//! From a scenario to a running multicast VPN, and the truth about every packet in it.
//!
//! The data's way: a scenario file is parsed ([`scenario`]), planned ([`plan`], pure), applied
//! (`kernel`, `router`) in a place (`place`), and observed (`truth`).

pub mod kernel;
pub mod lab;
pub mod mdt;
pub mod place;
pub mod plan;
pub mod router;
pub mod scenario;
pub mod traffic;
pub mod truth;
