//! Whole sessions on a seeded simulated network and a virtual clock.

mod faults;
mod judge;
mod network;
mod random;
mod router_clocks;
mod scenarios;
mod sessions;
