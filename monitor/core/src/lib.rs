//! The VMScope monitor without I/O.

pub mod config;
pub mod control;
pub mod correction;
mod distribution;
pub mod fault;
mod membership;
pub mod name;
mod ping;
pub mod report;
mod schedule;
pub mod spec;
pub mod time;
