//! Alarms over simulated views and a simulated clock.

mod announced;
mod bench;
mod expectations;
mod figures;
mod oracle;
mod random;
mod suppressed;
mod thresholds;
mod transitions;
