//! Counting what monitoring costs (VS-16).

use std::ops::AddAssign;

use crate::report::{Overhead, Traffic};

impl Traffic {
    /// One packet more.
    pub fn count(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Traffic) {
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

impl AddAssign for Overhead {
    fn add_assign(&mut self, other: Overhead) {
        self.probes_sent += other.probes_sent;
        self.probes_received += other.probes_received;
        self.pings_sent += other.pings_sent;
        self.pings_received += other.pings_received;
        self.igmp_sent += other.igmp_sent;
        self.igmp_received += other.igmp_received;
        self.customer_discarded += other.customer_discarded;
        self.customer_observed += other.customer_observed;
        self.control_received += other.control_received;
        self.other_received += other.other_received;
        self.probes_shed += other.probes_shed;
    }
}
