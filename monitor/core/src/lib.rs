//! The VMScope monitor without I/O.

pub mod config;
pub mod control;
pub mod name;
pub mod report;
pub mod spec;
pub mod time;
