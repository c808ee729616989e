//! What a peer is served with in configuration C: its probes are sent again, into the tunnel they came by.
//!
//! Never without end: a reflected packet says that it is one and is not reflected again, by nobody; its TTL goes on
//! falling; no more than so many a second are sent, nor more than the budget allows; and the reflection ends when its lease does.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::collector::Host;
use super::report::Reflecting;
use super::spec::ReflectSpec;
use crate::control::{ErrorCode, Refusal};
use crate::name::Name;
use crate::packet::ProbeHeader;
use crate::time::{Instant, Rate, Span};

/// Reflections at a time.
const REFLECTIONS_MAX: usize = 64;
/// Fastest reflection.
pub(crate) const REFLECTED_RATE_MAX: Rate = Rate::from_pps(1_000_000);
/// What comes together within this time is not too much: the network bunches packets.
const BURST: Span = Span::from_ms(20);
/// But so many may come together in any case.
const BURST_PACKETS: u64 = 10;

/// One reflection.
#[derive(Debug)]
pub(crate) struct Reflection {
    pub(crate) spec: ReflectSpec,
    pub(crate) tunnel: u32,
    number: u32,
    source: Ipv4Addr,
    lease_until: Instant,
    /// When the next packet would be due at the highest rate (the generic cell rate algorithm, ITU-T I.371).
    due: Instant,
    reflected: u64,
    limited: u64,
    unsent: u64,
    drops_at_start: u64,
}

impl Reflection {
    /// Whether one more may be sent now.
    fn admits(&mut self, stamp: Instant) -> bool {
        let gap = self.spec.rate_max.gap().unwrap_or(Span::from_s(1));
        let tolerance = BURST.max(gap.times(BURST_PACKETS));
        if self.due > stamp + tolerance {
            return false;
        }
        self.due = self.due.max(stamp) + gap;
        true
    }

    fn status(&self, host: Host) -> Reflecting {
        Reflecting {
            name: self.spec.name.clone(),
            session: host.session,
            probe_port: host.probe_port,
            source: self.source,
            reflected: self.reflected,
            limited: self.limited,
            unsent: self.unsent,
            capture_drops: host.drops.saturating_sub(self.drops_at_start),
        }
    }
}

/// All reflections.
#[derive(Debug, Default)]
pub(crate) struct Reflector {
    reflections: BTreeMap<Name, Reflection>,
    next_number: u32,
}

impl Reflector {
    /// Whether this would begin anew; the error says why it cannot.
    pub(crate) fn is_new(&self, spec: &ReflectSpec, tunnel: u32) -> Result<bool, Refusal> {
        let cannot = |code, what: String, remedy: &str| {
            let message = format!("cannot reflect for {}: {what}", spec.name);
            Err(Refusal::new(code, message, remedy))
        };
        let same = |other: &&Reflection| {
            (other.tunnel, other.spec.group, other.spec.session)
                == (tunnel, spec.group, spec.session)
        };
        match self.reflections.get(&spec.name) {
            Some(there) if there.spec == *spec => return Ok(false),
            Some(_) => {
                let what = "there is another reflection of that name".to_owned();
                return cannot(
                    ErrorCode::Exists,
                    what,
                    "choose another name, or stop it first",
                );
            }
            None => {}
        }
        if let Some(other) = self.reflections.values().find(same) {
            let what = format!(
                "reflection {} sends the same packets again",
                other.spec.name
            );
            return cannot(
                ErrorCode::InUse,
                what,
                "use another group, or stop it first",
            );
        }
        if self.reflections.len() >= REFLECTIONS_MAX {
            let what = format!("there are {REFLECTIONS_MAX} reflections");
            let remedy = "stop one, or wait until its lease is over";
            return cannot(ErrorCode::Limit, what, remedy);
        }
        Ok(true)
    }

    pub(crate) fn start(
        &mut self,
        now: Instant,
        spec: ReflectSpec,
        (tunnel, source): (u32, Ipv4Addr),
        drops: u64,
    ) {
        self.next_number = self.next_number.wrapping_add(1);
        let reflection = Reflection {
            lease_until: now + spec.lease,
            tunnel,
            number: self.next_number,
            source,
            due: now,
            reflected: 0,
            limited: 0,
            unsent: 0,
            drops_at_start: drops,
            spec,
        };
        self.reflections
            .insert(reflection.spec.name.clone(), reflection);
    }

    /// The lease begins anew.
    pub(crate) fn renew(&mut self, now: Instant, name: &Name, host: Host) -> Option<Reflecting> {
        let reflection = self.reflections.get_mut(name)?;
        reflection.lease_until = now + reflection.spec.lease;
        Some(reflection.status(host))
    }

    pub(crate) fn stop(&mut self, name: &Name) -> Result<Reflection, Refusal> {
        self.reflections.remove(name).ok_or_else(|| {
            Refusal::new(
                ErrorCode::NotFound,
                format!("there is no reflection {name}"),
                "it may have ended because nobody asked for longer than its lease",
            )
        })
    }

    /// A copy of another monitor's probe: whether anybody wants it, and the number of the reflection that is to send it
    /// again.
    pub(crate) fn handle_copy(
        &mut self,
        stamp: Instant,
        tunnel: u32,
        group: Ipv4Addr,
        probe: &ProbeHeader,
    ) -> (bool, Option<u32>) {
        let wanted = |r: &&mut Reflection| {
            (r.tunnel, r.spec.group, r.spec.session) == (tunnel, group, probe.session)
        };
        let Some(reflection) = self.reflections.values_mut().find(wanted) else {
            return (false, None);
        };
        if probe.reflected {
            return (true, None);
        }
        if !reflection.admits(stamp) {
            reflection.limited += 1;
            return (true, None);
        }
        reflection.reflected += 1;
        (true, Some(reflection.number))
    }

    /// What was to be sent again could not be.
    pub(crate) fn handle_unsent(&mut self, number: u32) {
        if let Some(reflection) = self.take_back(number) {
            reflection.unsent += 1;
        }
    }

    /// What was to be sent again was too much for the budget.
    pub(crate) fn handle_shed(&mut self, number: u32) {
        if let Some(reflection) = self.take_back(number) {
            reflection.limited += 1;
        }
    }

    /// The reflection of which one fewer was sent again than was counted.
    fn take_back(&mut self, number: u32) -> Option<&mut Reflection> {
        let mut all = self.reflections.values_mut();
        let reflection = all.find(|r| r.number == number)?;
        reflection.reflected = reflection.reflected.saturating_sub(1);
        Some(reflection)
    }

    /// Tunnels into which something may be sent again.
    pub(crate) fn tunnels(&self) -> impl Iterator<Item = u32> + '_ {
        self.reflections.values().map(|r| r.tunnel)
    }

    pub(crate) fn uses(&self, tunnel: u32) -> Option<&Name> {
        let mut all = self.reflections.iter();
        all.find(|(_, r)| r.tunnel == tunnel).map(|(name, _)| name)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.reflections.values().map(|r| r.lease_until).min()
    }

    /// The next reflection whose lease is over; all of them, if `all`.
    pub(crate) fn poll_over(&mut self, now: Instant, all: bool) -> Option<Reflection> {
        let mut over = self.reflections.iter();
        let name = over
            .find(|(_, r)| all || r.lease_until <= now)
            .map(|(name, _)| name.clone())?;
        self.reflections.remove(&name)
    }
}
