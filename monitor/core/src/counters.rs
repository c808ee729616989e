//! Routers' counters as measurements: how many of which probes a counter counted (OL-03, OL-09).
//!
//! A counter says how much, never of what. An aggregate estimator needs both: X of exactly *these* n probes arrived. Two
//! readings of a running counter bracket an unknown set of probes, since the moment at which a value was true is known
//! neither exactly (it was some time between question and answer) nor even nearly (agents answer from caches: net-snmp's
//! interface table is three seconds old, other agents' older). A probe on the wrong side of a reading is a loss in one
//! aggregate and a surplus in the next: noise in the one place where the estimator looks, in the covariance. There are two ways
//! out, and both make the clock irrelevant.
//!
//! **Trains** ([`Trains`], running counters). Probes go in trains of n, and then there is silence. A reading that was true at any
//! moment of the silence has counted all of the train and none of the next, whichever moment it was. So it only has to be
//! shown that the moment lies in the silence. Silence begins once the last probe has had its time, S. An answer asked for
//! after S and got before the next train is not enough, for it may come from a cache filled before S. It is shown by one of:
//!
//! - *A pulse*: another value of the same table, read in the same request, which moves without our probes (the octets of
//!   all interfaces: the questions themselves move them). Let a and b be readings, both asked for after S, whose pulses
//!   differ. When a was answered, the agent still had a's table; b's is newer, so it was read after a was asked for, that is
//!   after S, and before b's answer came, that is before the next train. Nothing is assumed of how old a cache may be.
//! - *An age* that the operator vouches for, for agents without a cache: asked for later than S + age.
//!
//! A train is used or discarded by what is known of its *readings*, never by what was counted, but for a count above n,
//! which no loss makes: discarding what looks lossy would bias the estimate. What else the counter counts is found the same way:
//! all probes have one length, so that octets ≠ packets × length shows foreign packets, whatever was lost. Foreign packets of
//! the probes' very length are not seen; a multicast route counts none.
//!
//! **Flow keys** ([`Flows`], exporters of flows). Each aggregate has a UDP source port of its own, so that the exporter's records say
//! themselves which aggregate they are of. Probes need no pause, timeouts of the exporter may cut a flow anywhere: records of
//! one key add up. What is to be shown is that no record is missing, which is what export sequence numbers are for: an
//! aggregate counts if the exporter's stream was known before it began and is unbroken until after its last record must have
//! been sent. Then no record means that no packet was seen. A sampling exporter is refused.
//!
//! What that does not find: IPFIX tells no uptime. An exporter that begins anew twice, so that what it sent between is lost
//! but for a few records, may come to the very sequence number that is expected. NetFlow v5 and v9 tell theirs: use them where
//! exporters are that frail. A router that samples and does not say so loses packets, as far as anybody can tell.
//!
//! What is discarded is counted by reason ([`Discard`]). Everything here is without I/O; what comes from the network is
//! taken for hostile.
//!
//! An agent or counter that has run for no longer than clocks may differ by (half a second and a twentieth of what has passed; for an
//! exporter two seconds) may have begun anew unnoticed: nothing is compared with what it said then.

mod discard;
mod flows;
mod question;
mod reading;
mod trains;

#[cfg(test)]
mod tests;

pub use discard::{Discard, Discards};
pub use flows::{Export, FlowRecord, FlowSpec, Flows};
pub use question::Question;
pub use reading::{Count, Reading, Width};
pub use trains::{Fresh, TrainSpec, Trains};

/// A number of probes sent one after another, and how many of them a counter counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aggregate {
    /// Sequence number of its first probe.
    pub first: u64,
    /// Of its last; all between belong to it.
    pub last: u64,
    /// Probes counted; at most `last` − `first` + 1.
    pub counted: u64,
}

impl Aggregate {
    /// Probes sent.
    pub fn sent(&self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}
