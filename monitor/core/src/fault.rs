//! Planted faults: one deliberate defect each, to prove that the laboratory catches them.
//!
//! Every hook is visible where it breaks something, as `if fault.is(Fault::X)`. Without the
//! feature `planted-faults` the question is answered `false` at compile time, and there is
//! no way to plant one.

use std::fmt;
use std::str::FromStr;

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A deliberate defect.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Fault { $($(#[$doc])* $variant,)* }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Fault] = &[$(Fault::$variant,)*];

            /// The name by which it is planted.
            pub const fn name(self) -> &'static str {
                match self { $(Fault::$variant => $name,)* }
            }
        }
    };
}

faults! {
    /// A probe that was overtaken counts as lost.
    ReorderingAsLoss = "reordering-as-loss",
    /// Every further copy counts as another probe received, and hides a loss.
    DuplicatesAsReceived = "duplicates-as-received",
    /// The first probe of each interval is counted in the one before.
    IntervalEdgeOffByOne = "interval-edge-off-by-one",
    /// The whole round trip of each tunnel is taken off, not half of it.
    WholeRoundTrip = "whole-round-trip",
    /// Packets of the last two tunnels are taken for each other's.
    TunnelMixUp = "tunnel-mix-up",
    /// Queries go unanswered, and joins are never repeated.
    IgmpNeverRefreshed = "igmp-never-refreshed",
    /// Delays are taken from a clock that steps. The hook is in the driver's clock.
    WallClockDelays = "wall-clock-delays",
    /// The results of a task's last interval are forgotten.
    LastIntervalDropped = "last-interval-dropped",
    /// Customer packets are counted as copies of probes.
    CustomerPacketsCounted = "customer-packets-counted",
    /// The tunnels' own loss is left in the result.
    TunnelLossNotRemoved = "tunnel-loss-not-removed",
    /// Groups are never left.
    LeaveNotSent = "leave-not-sent",
    /// A probe that arrives after the loss timeout counts as received.
    LateAsReceived = "late-as-received",
    /// Each probe is also sent dressed as a customer's packet, which PEs hand to CEs.
    ProbeAsCustomer = "probe-as-customer",
    /// Damaged packets are believed.
    ChecksumIgnored = "checksum-ignored",
    /// What PEs have said is believed for ever.
    HoldTimeIgnored = "hold-time-ignored",
    /// Prunes of joined routes are not taken for an end.
    PruneIgnored = "prune-ignored",
    /// A PE's new generation id is passed over.
    RestartUnnoticed = "restart-unnoticed",
    /// A data MDT that was announced once is believed for ever.
    MappingNeverEnds = "mapping-never-ends",
    /// What is said in MVPNs that are heard over one tunnel is all taken for the first one's.
    MvpnMixUp = "mvpn-mix-up",
    /// What has gone is not written down, and goes on in the database.
    PastNeverClosed = "past-never-closed",
    /// Alarms wait for a day before they are over.
    AlarmNeverCleared = "alarm-never-cleared",
    /// Alarms do not wait to be raised.
    AlarmAtOnce = "alarm-at-once",
    /// Of one-way loss, the ways up and down are taken for each other.
    UpAndDownSwapped = "up-and-down-swapped",
    /// A probe that was sent again counts as the router's own copy, too.
    ReflectedAsDirect = "reflected-as-direct",
    /// What a peer's capture dropped counts as lost on the way to it.
    CollectorDropsAsLoss = "collector-drops-as-loss",
    /// Pairs are corrected by one-way losses as if these had no error.
    InferenceErrorForgotten = "inference-error-forgotten",
    /// A router's agent that has begun anew is taken for one that ran on.
    CounterRestartBelieved = "counter-restart-believed",
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no fault has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no fault named {0:?}; the faults are {list}", list = fault_list())]
pub struct UnknownFault(String);

fn fault_list() -> String {
    let names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
    names.join(", ")
}

impl FromStr for Fault {
    type Err = UnknownFault;
    fn from_str(name: &str) -> Result<Fault, UnknownFault> {
        let found = Fault::ALL.iter().find(|fault| fault.name() == name);
        found.copied().ok_or_else(|| UnknownFault(name.to_owned()))
    }
}

/// Which fault is planted: none, except in a build made for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Planted {
    #[cfg(feature = "planted-faults")]
    fault: Option<Fault>,
}

impl Planted {
    /// No fault.
    pub const NONE: Planted = Planted {
        #[cfg(feature = "planted-faults")]
        fault: None,
    };

    /// Plants a fault.
    #[cfg(feature = "planted-faults")]
    pub const fn only(fault: Fault) -> Planted {
        Planted { fault: Some(fault) }
    }

    /// Whether this fault is planted.
    #[cfg(feature = "planted-faults")]
    pub fn is(self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Whether this fault is planted: never, in this build.
    #[cfg(not(feature = "planted-faults"))]
    #[inline(always)]
    pub const fn is(self, _: Fault) -> bool {
        false
    }

    /// The planted fault.
    pub fn planted(self) -> Option<Fault> {
        Fault::ALL.iter().copied().find(|fault| self.is(*fault))
    }
}
