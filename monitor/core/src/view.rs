//! Who is in which MVPN: the state of its control plane, as heard on the default MDT (PC-01 to PC-06).
//!
//! A [`View`] listens to one MVPN. The PEs' VRFs speak PIM to each other on the default MDT as on a
//! LAN (RFC 6037 §5.1), so whoever receives it knows all that they told each other. Nothing is sent,
//! and of customers' packets nothing but their control messages is read.
//!
//! A PE that hears another ask its own upstream neighbour for the same route holds its own Join back (RFC 7761 §4.5.4). So
//! a route that a PE has ceased to ask for is believed as long as another PE asks, and the PE neither says Prune nor is gone.
//!
//! Times are arguments: [`View::handle_packet`] says when a message was captured,
//! [`View::handle_timeout`] what time it is, and [`View::next_deadline`] when that is wanted next.

mod election;
pub mod expected;
mod message;
pub mod record;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};
use vmscope_wire::ipv4::{IpProtocol, Packet};
use vmscope_wire::pim::PimType;
use vmscope_wire::{mdt_join, pim, udp};

use crate::fault::{Fault, Planted};
use crate::name::Name;
use crate::time::{Instant, Span};
pub use expected::Expected;
pub use record::{Cause, Change, Key, Neighbor, Record, Refresh, Refreshes, Route, State};
use table::Table;

/// 224.0.0.13: where all that a view reads is sent to, PIM and MDT Joins alike.
pub const ALL_PIM_ROUTERS: Ipv4Addr = pim::ALL_PIM_ROUTERS;
/// How long an announced data MDT is believed (RFC 6037 §7.2: MDT_DATA_TIMEOUT).
const MAPPING_HOLD: Span = Span::from_s(180);

/// What was heard, in messages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// PIM messages by type, in the RFC's words.
    pub pim: BTreeMap<String, u64>,
    /// MDT Joins.
    pub mdt_joins: u64,
    /// Joins and prunes of PEs that had not said Hello: routers ignore them (RFC 7761 §4.3.1), and so does a view.
    pub from_strangers: u64,
    /// Messages that could not be read.
    pub malformed: u64,
    /// What was wrong with the latest of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_fault: Option<String>,
    /// Packets to the PIM routers that are neither PIM nor an MDT Join.
    pub other: u64,
    /// Statements that there was no room for.
    pub unlisted: u64,
}

/// What is known of one MVPN.
#[derive(Debug)]
pub struct View {
    table: Table,
    heard: Heard,
    fault: Planted,
    /// PIM messages by type, of which there are sixteen (RFC 7761 §4.9).
    pim_heard: [u64; 16],
}

impl View {
    /// A view that has heard nothing yet.
    pub fn new(mvpn: Name) -> View {
        View {
            table: Table::new(mvpn),
            heard: Heard::default(),
            fault: Planted::NONE,
            pim_heard: [0; 16],
        }
    }

    /// The same with a planted fault.
    pub(crate) fn with_fault(self, fault: Planted) -> View {
        View { fault, ..self }
    }

    /// Whether a customer's packet on the MDT is one to read: all others are customers' own.
    pub fn reads(customer: &Packet<'_>) -> bool {
        customer.dst() == ALL_PIM_ROUTERS
    }

    /// A packet that [`View::reads`], from the MDT of this MVPN, where the PE `pe` had sent it.
    pub fn handle_packet(&mut self, stamp: Instant, pe: Ipv4Addr, customer: &Packet<'_>) {
        self.handle_timeout(stamp);
        if customer.is_fragment() {
            self.heard.other += 1;
            return;
        }
        let from = message::From {
            pe,
            address: IpAddr::V4(customer.src()),
        };
        let read = match customer.protocol() {
            IpProtocol::Pim => pim::Packet::new_checked(customer.payload())
                .and_then(|packet| pim::Repr::parse(&packet))
                .map(|message| {
                    self.pim_heard[usize::from(u8::from(message.kind()) & 0x0f)] += 1;
                    self.handle_pim(stamp, from, &message);
                }),
            IpProtocol::Udp => udp::Packet::new_checked(customer.payload()).and_then(|datagram| {
                udp::Repr::parse(&datagram, customer.src(), customer.dst())?;
                if datagram.dst_port() != mdt_join::PORT {
                    self.heard.other += 1;
                    return Ok(());
                }
                let joins = mdt_join::Packet::new_checked(datagram.payload())?;
                self.heard.mdt_joins += 1;
                self.handle_mdt_join(stamp, from, &joins);
                Ok(())
            }),
            IpProtocol::Icmp
            | IpProtocol::Igmp
            | IpProtocol::Tcp
            | IpProtocol::Gre
            | IpProtocol::Unknown(_) => {
                self.heard.other += 1;
                Ok(())
            }
        };
        if let Err(error) = read {
            self.heard.malformed += 1;
            self.heard.latest_fault = Some(format!("from PE {pe}: {error}"));
        }
    }

    /// When [`View::handle_timeout`] has something to do, if nothing is heard before.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.fault.is(Fault::HoldTimeIgnored) {
            return None;
        }
        self.table.next_deadline()
    }

    /// Ends what was not repeated in time.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.fault.is(Fault::HoldTimeIgnored) {
            return;
        }
        let gone = self.table.expire(now);
        let pes = gone
            .iter()
            .filter(|key| matches!(key, Key::Neighbor { .. }));
        let pes: Vec<Ipv4Addr> = pes.map(Key::pe).collect();
        for pe in &pes {
            self.end_forwarding(now, *pe, Cause::Expired);
        }
        if !pes.is_empty() {
            self.elect(now);
        }
    }

    /// Nobody listens from now on.
    pub fn stop(&mut self, now: Instant) {
        self.handle_timeout(now);
        self.table.end_all(now, Cause::Unwatched);
    }

    /// The next change, oldest first.
    pub fn poll_change(&mut self) -> Option<Change> {
        self.table.poll_change()
    }

    /// What is so now, in the order of keys.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.table.records()
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.table.len() == 0
    }

    /// What was heard so far.
    pub fn heard(&self) -> Heard {
        let kinds = (0u8..).zip(self.pim_heard).filter(|(_, count)| *count > 0);
        Heard {
            pim: kinds
                .map(|(kind, count)| (PimType::from(kind).to_string(), count))
                .collect(),
            unlisted: self.table.unlisted,
            ..self.heard.clone()
        }
    }

    #[cfg(test)]
    fn queued(&self) -> usize {
        self.table.queued()
    }
}
