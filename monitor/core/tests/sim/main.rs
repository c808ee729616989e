//! Whole sessions on a seeded simulated network and a virtual clock.

#[path = "../support/down.rs"]
mod down;
mod faults;
mod judge;
mod network;
#[path = "../support/path.rs"]
mod path;
mod random;
mod router_clocks;
mod scenarios;
mod sessions;
