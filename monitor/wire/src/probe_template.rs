//! A probe that is sent again and again: of two probes of one sender only flags, number, time and checksum differ.
//!
//! The checksum is brought up to date from what has changed, without looking at the rest (RFC 1624 section 3).

use crate::bytes::{put_u16, put_u32, put_u64, u16_at};
use crate::error::{Expected, Field, Protocol, Result};
use crate::probe::{self, Repr};
use crate::udp;

const fn field(name: &'static str, offset: usize) -> Field {
    Field {
        protocol: Protocol::Probe,
        name,
        offset,
    }
}

/// What is to be known of a packet to make further probes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeTemplate {
    /// Where the probe's header is in the packet.
    probe_at: usize,
    packet_len: usize,
    /// The ones' complement sum that the packet's UDP checksum stands for.
    sum: u16,
}

impl ProbeTemplate {
    /// Of a packet that ends with a probe of this payload, number and send time zero and not for warm-up: a whole IPv4
    /// packet with a UDP checksum, in a tunnel or not. GRE must have no checksum, which would cover the probe.
    pub fn new(packet: &[u8], payload_len: usize) -> Result<Self> {
        let probe_at = packet.len().saturating_sub(payload_len);
        field("packet", 0).at_least(udp::HEADER_LEN, probe_at)?;
        let view =
            probe::Packet::new_checked(&packet[probe_at..]).map_err(|e| e.within(probe_at))?;
        let Repr {
            warm_up,
            sequence,
            sent_ns,
            ..
        } = Repr::parse(&view);
        let blank = !warm_up && sequence == 0 && sent_ns == 0;
        let expected = Expected::Words("a template: flags, number and time zero");
        field("sequence", probe_at + probe::SEQUENCE_AT).holds(blank, expected, sequence)?;
        Ok(Self {
            probe_at,
            packet_len: packet.len(),
            sum: !u16_at(packet, probe_at - CHECKSUM_BEFORE),
        })
    }

    /// Makes a copy of the packet into the probe of this number.
    pub fn fill(
        &self,
        packet: &mut [u8],
        warm_up: bool,
        sequence: u32,
        sent_ns: u64,
    ) -> Result<()> {
        field("packet", 0).fits(self.packet_len, packet)?;
        let probe = &mut packet[self.probe_at..];
        let flags = probe::flags(warm_up, false);
        probe[probe::FLAGS_AT] = flags;
        put_u32(probe, probe::SEQUENCE_AT, sequence);
        put_u64(probe, probe::SENT_AT, sent_ns);
        // All of it was zero and lies on whole words but for the flags, the low half of theirs: what is added is what is there.
        let words = [sequence.into(), sent_ns & 0xffff_ffff, sent_ns >> 32];
        let added: u64 = words
            .iter()
            .map(|word| (word >> 16) + (word & 0xffff))
            .sum();
        let sum = u64::from(self.sum) + u64::from(flags) + added;
        let checksum = udp::on_the_wire(!fold(sum));
        put_u16(packet, self.probe_at - CHECKSUM_BEFORE, checksum);
        Ok(())
    }
}

/// The UDP checksum lies so many bytes before the probe.
const CHECKSUM_BEFORE: usize = udp::HEADER_LEN - udp::CHECKSUM_AT;

/// The ones' complement sum of a few 16-bit words, from their plain sum.
fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}
