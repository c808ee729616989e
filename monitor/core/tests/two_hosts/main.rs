//! One-way loss by two monitors: whole sessions on a seeded network and a virtual clock.

mod budget;
mod collects;
mod corrects;
#[cfg(feature = "planted-faults")]
mod faults;
mod network;
mod reflects;
mod repeats;
mod trouble;
