//! The truth's own decoder: what a frame is, through all its wrappings, and whether it is still whole.
//!
//! Independent on purpose: it shares no line with the monitor's codec. Ethernet, IPv4 and UDP are etherparse's;
//! GRE (RFC 2784, RFC 2890), PIM (RFC 7761 section 4.9), IGMP and the payloads are a few lines here.

use std::net::Ipv4Addr;

use etherparse::{Ethernet2HeaderSlice, Ipv4HeaderSlice, UdpHeaderSlice, checksum::Sum16BitWords};

use crate::traffic::payload;

/// UDP destination port of probes.
pub const PROBE_PORT: u16 = 33900;
const PROBE_MAGIC: u32 = 0x564d_5350;
const PROBE_VERSION: u8 = 1;
const PROBE_HEADER_BYTES: usize = 32;
const ECHO_MAGIC: u32 = 0x564d_5345;
/// RFC 2784 sections 2.2 and 2.3: source routing, bits 4 and 5, and any version but 0 make a receiver discard.
const REFUSED_FLAGS: u16 = 0x4c07;
const ETHERTYPE_IPV4: u16 = 0x0800;
const ICMP: u8 = 1;
const IGMP: u8 = 2;
const UDP: u8 = 17;
const GRE: u8 = 47;
const PIM: u8 = 103;

/// Name of a probe; its copies all share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId {
    /// Task.
    pub task: u32,
    /// Sender tunnel's id.
    pub sender: u32,
    /// Random per start of the daemon.
    pub session: u32,
    /// Sequence number within the three.
    pub sequence: u32,
}

/// Name of a customer's packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomerId {
    /// Flow: index of the source plus one.
    pub flow: u32,
    /// Sequence number, from 0.
    pub sequence: u32,
}

/// What is inside all wrappings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A probe of the monitor.
    Probe {
        /// Which.
        id: ProbeId,
        /// Flag bit 0: it only warms the tree up.
        warmup: bool,
    },
    /// A probe that a peer of the monitor has sent again.
    Reflection {
        /// Which.
        id: ProbeId,
    },
    /// A packet of the lab's customers.
    Customer(CustomerId),
    /// The monitor's round trip measurement.
    Echo {
        /// Request, not reply.
        request: bool,
        /// Tunnel id in its data.
        tunnel: u32,
        /// Sequence number in its data.
        sequence: u32,
    },
    /// Any other ICMP.
    Icmp {
        /// Its type.
        kind: u8,
    },
    /// IGMP.
    Igmp {
        /// Its type: 0x11 query, 0x16 and 0x17 version 2 report and leave, 0x22 version 3 report.
        kind: u8,
    },
    /// PIM.
    Pim {
        /// Its type.
        kind: u8,
    },
    /// Any other UDP.
    Udp {
        /// Destination port.
        port: u16,
    },
    /// Any other IPv4, fragments included.
    Ip {
        /// Protocol number.
        protocol: u8,
    },
    /// Not IPv4.
    Other {
        /// Ethertype.
        ethertype: u16,
    },
}

/// An IPv4 header, as far as the truth needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Source.
    pub source: Ipv4Addr,
    /// Destination.
    pub destination: Ipv4Addr,
    /// Time to live.
    pub ttl: u8,
}

/// An outer header of GRE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gre {
    /// The IPv4 header around it.
    pub head: Head,
    /// Key (RFC 2890).
    pub key: Option<u32>,
}

/// What a frame turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// Ethernet destination.
    pub to_mac: [u8; 6],
    /// GRE to a unicast address: a monitor tunnel.
    pub tunnel: Option<Gre>,
    /// PIM Register around it.
    pub register: Option<Head>,
    /// GRE to a group: a default MDT, or a data MDT.
    pub mdt: Option<Gre>,
    /// The innermost IPv4 header.
    pub ip: Option<Head>,
    /// Its payload's meaning.
    pub what: What,
    /// A checksum or a header field is wrong: no receiver would take it.
    pub damage: Option<Damage>,
    /// Where the innermost IPv4 payload lies in the frame.
    pub inner_at: u16,
}

/// What is wrong with a damaged frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// Not an IPv4 header, its checksum is wrong, or it is longer than the frame.
    Ipv4,
    /// GRE version, routing bit or protocol type.
    Gre,
    /// UDP length or checksum.
    Udp,
    /// ICMP or IGMP checksum.
    Icmp,
    /// PIM version or checksum.
    Pim,
}

/// Decodes a captured frame. `complete`: nothing was cut off, so that checksums can be verified.
pub fn decode(frame: &[u8], complete: bool) -> Decoded {
    let mut decoded = Decoded {
        to_mac: [0; 6],
        tunnel: None,
        register: None,
        mdt: None,
        ip: None,
        what: What::Other { ethertype: 0 },
        damage: None,
        inner_at: 0,
    };
    let Ok(ethernet) = Ethernet2HeaderSlice::from_slice(frame) else {
        return decoded;
    };
    decoded.to_mac = ethernet.destination();
    let ethertype = ethernet.ether_type().0;
    decoded.what = What::Other { ethertype };
    if ethertype == ETHERTYPE_IPV4 {
        Walk {
            frame,
            complete,
            decoded: &mut decoded,
        }
        .ipv4(ethernet.slice().len());
    }
    decoded
}

struct Walk<'a> {
    frame: &'a [u8],
    complete: bool,
    decoded: &'a mut Decoded,
}

/// One IPv4 layer.
struct Layer {
    head: Head,
    protocol: u8,
    fragment: bool,
    payload_at: usize,
    /// End of the datagram; beyond it is Ethernet padding. More than was captured if it was cut.
    end: usize,
}

impl Walk<'_> {
    fn damage(&mut self, damage: Damage) {
        self.decoded.damage.get_or_insert(damage);
    }

    fn ipv4(&mut self, at: usize) {
        let Some(layer) = self.layer(at) else {
            // A header that was cut off says nothing; one that is there and wrong is damage.
            if self.complete {
                self.damage(Damage::Ipv4);
            }
            return;
        };
        self.decoded.ip = Some(layer.head);
        self.decoded.what = What::Ip {
            protocol: layer.protocol,
        };
        self.decoded.inner_at = layer.payload_at as u16;
        if layer.fragment {
            return;
        }
        match layer.protocol {
            GRE => self.gre(&layer),
            PIM => self.pim(&layer),
            UDP => self.udp(&layer),
            ICMP => self.icmp(&layer),
            IGMP => self.igmp(&layer),
            _ => {}
        }
    }

    fn layer(&mut self, at: usize) -> Option<Layer> {
        let bytes = self.frame.get(at..)?;
        let header = Ipv4HeaderSlice::from_slice(bytes).ok()?;
        let end = at + usize::from(header.total_len());
        let payload_at = at + header.slice().len();
        let too_long = (self.complete && end > self.frame.len()) || end < payload_at;
        // RFC 1071: the sum over a header with a right checksum is zero.
        if too_long
            || Sum16BitWords::new()
                .add_slice(header.slice())
                .ones_complement()
                != 0
        {
            self.damage(Damage::Ipv4);
        }
        let head = Head {
            source: header.source_addr(),
            destination: header.destination_addr(),
            ttl: header.ttl(),
        };
        Some(Layer {
            head,
            protocol: header.protocol().0,
            fragment: header.is_fragmenting_payload(),
            payload_at,
            end,
        })
    }

    /// The payload, if all of it is there.
    fn payload(&self, layer: &Layer) -> Option<&[u8]> {
        self.frame.get(layer.payload_at..layer.end)
    }

    /// What of the payload was captured.
    fn captured(&self, layer: &Layer) -> &[u8] {
        let end = layer.end.min(self.frame.len());
        self.frame.get(layer.payload_at..end).unwrap_or_default()
    }

    /// RFC 2784 section 2, RFC 2890 section 2.1: flags, protocol type, then checksum, key and sequence if flagged.
    fn gre(&mut self, layer: &Layer) {
        let gre = self.captured(layer);
        if gre.len() < 4 {
            return self.damage(Damage::Gre);
        }
        let (flags, protocol) = (u16_at(gre, 0), u16_at(gre, 2));
        let key_at = if flags & 0x8000 != 0 { 8 } else { 4 };
        let has_key = flags & 0x2000 != 0;
        let key = has_key.then(|| u32_at(gre, key_at)).flatten();
        let length = key_at + if has_key { 4 } else { 0 } + if flags & 0x1000 != 0 { 4 } else { 0 };
        let bad =
            flags & REFUSED_FLAGS != 0 || protocol != ETHERTYPE_IPV4 || (has_key && key.is_none());
        let wrap = Gre {
            head: layer.head,
            key,
        };
        if layer.head.destination.is_multicast() {
            self.decoded.mdt = Some(wrap);
        } else {
            self.decoded.tunnel = Some(wrap);
        }
        if bad {
            self.damage(Damage::Gre);
        } else {
            self.ipv4(layer.payload_at + length);
        }
    }

    /// RFC 7761 section 4.9: version 2, type, checksum; a Register carries a whole datagram after 8 bytes.
    fn pim(&mut self, layer: &Layer) {
        const REGISTER: u8 = 1;
        const NULL_REGISTER: u8 = 0x40;
        let pim = self.captured(layer);
        if pim.len() < 4 || pim[0] >> 4 != 2 {
            return self.damage(Damage::Pim);
        }
        let kind = pim[0] & 0x0f;
        let null = pim.get(4).is_none_or(|flags| flags & NULL_REGISTER != 0);
        // Section 4.9.3: a Register's checksum covers its first 8 bytes only; receivers take the whole sum too.
        let header_sound = kind == REGISTER && pim.get(..8).is_some_and(sums_to_zero);
        let sound = header_sound || self.payload(layer).is_none_or(sums_to_zero);
        if !sound {
            self.damage(Damage::Pim);
        }
        self.decoded.what = What::Pim { kind };
        if kind == REGISTER && !null {
            self.decoded.register = Some(layer.head);
            self.ipv4(layer.payload_at + 8);
        }
    }

    fn udp(&mut self, layer: &Layer) {
        let datagram = self.captured(layer);
        let Ok(header) = UdpHeaderSlice::from_slice(datagram) else {
            return self.damage(Damage::Udp);
        };
        let port = header.destination_port();
        let data = &datagram[header.slice().len()..];
        let what = probe(port, data).or_else(|| {
            payload::parse(data)
                .map(|(flow, sequence)| What::Customer(CustomerId { flow, sequence }))
        });
        let sound = self
            .payload(layer)
            .is_none_or(|whole| udp_is_sound(layer.head, whole));
        self.decoded.what = what.unwrap_or(What::Udp { port });
        if !sound {
            self.damage(Damage::Udp);
        }
    }

    fn icmp(&mut self, layer: &Layer) {
        let icmp = self.captured(layer);
        let Some(kind) = icmp.first().copied() else {
            return self.damage(Damage::Icmp);
        };
        let (reply, request) = (kind == 0, kind == 8);
        let echo = icmp
            .get(8..24)
            .filter(|data| (reply || request) && u32_at(data, 0) == Some(ECHO_MAGIC));
        let sound = self.payload(layer).is_none_or(sums_to_zero);
        self.decoded.what = match echo {
            Some(data) => What::Echo {
                request,
                tunnel: u32_at(data, 8).unwrap_or_default(),
                sequence: u32_at(data, 12).unwrap_or_default(),
            },
            None => What::Icmp { kind },
        };
        if !sound {
            self.damage(Damage::Icmp);
        }
    }

    fn igmp(&mut self, layer: &Layer) {
        let Some(kind) = self.captured(layer).first().copied() else {
            return self.damage(Damage::Icmp);
        };
        let sound = self.payload(layer).is_none_or(sums_to_zero);
        self.decoded.what = What::Igmp { kind };
        if !sound {
            self.damage(Damage::Icmp);
        }
    }
}

/// The probe's header: see the monitor's documentation; written down again here on purpose.
fn probe(port: u16, data: &[u8]) -> Option<What> {
    let ours = data.len() >= PROBE_HEADER_BYTES
        && port == PROBE_PORT
        && u32_at(data, 0) == Some(PROBE_MAGIC)
        && data[4] == PROBE_VERSION
        && usize::from(u16_at(data, 6)) == PROBE_HEADER_BYTES;
    if !ours {
        return None;
    }
    let id = ProbeId {
        session: u32_at(data, 8)?,
        task: u32_at(data, 12)?,
        sender: u32_at(data, 16)?,
        sequence: u32_at(data, 20)?,
    };
    Some(match data[5] & 2 {
        0 => What::Probe {
            id,
            warmup: data[5] & 1 != 0,
        },
        _ => What::Reflection { id },
    })
}

/// RFC 768: length, and the checksum over pseudo header and datagram; 0 means that none was sent.
fn udp_is_sound(head: Head, datagram: &[u8]) -> bool {
    let length = usize::from(u16_at(datagram, 4));
    let Some(covered) = datagram.get(..length).filter(|covered| covered.len() >= 8) else {
        return false;
    };
    let sum = Sum16BitWords::new()
        .add_slice(&head.source.octets())
        .add_slice(&head.destination.octets())
        .add_2bytes([0, UDP])
        .add_2bytes((length as u16).to_be_bytes())
        .add_slice(covered);
    u16_at(datagram, 6) == 0 || sum.ones_complement() == 0
}

fn sums_to_zero(bytes: &[u8]) -> bool {
    Sum16BitWords::new().add_slice(bytes).ones_complement() == 0
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes
        .get(at..at + 2)
        .map_or(0, |two| u16::from_be_bytes([two[0], two[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)
        .map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
}
