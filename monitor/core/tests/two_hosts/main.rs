//! One-way loss by two monitors: whole sessions on a seeded network and a virtual clock.

mod agent;
mod budget;
mod collects;
mod corrects;
mod counts;
#[cfg(feature = "planted-faults")]
mod faults;
mod network;
mod reflects;
mod repeats;
mod spare;
mod trouble;
