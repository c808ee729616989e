//! Customer traffic, measured without injecting anything (VS-14). Off unless asked for.

mod rtp;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use vmscope_wire::content::{Content, Customer};
use vmscope_wire::ipv4::{IpProtocol, Packet};
use vmscope_wire::udp;

use crate::name::Name;
use crate::report::{StreamRow, Traffic};
use crate::spec::{PassiveLayer, PassiveSpec, RtpMode};
use crate::time::{Instant, NS_PER_S};
use rtp::RtpStream;

/// Streams remembered per observation.
const STREAMS_MAX: usize = 4_096;

/// What tells streams apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct StreamKey {
    tunnel: u32,
    pe: Option<Ipv4Addr>,
    source: Ipv4Addr,
    group: Ipv4Addr,
    protocol: u8,
    source_port: u16,
    destination_port: u16,
}

#[derive(Debug)]
struct Stream {
    received: Traffic,
    first: Instant,
    last: Instant,
    rtp: Option<RtpStream>,
}

/// One observation.
#[derive(Debug)]
pub(crate) struct Passive {
    pub(crate) spec: PassiveSpec,
    /// Numbers and names of the tunnels watched.
    pub(crate) tunnels: BTreeMap<u32, Name>,
    streams: BTreeMap<StreamKey, Stream>,
    unlisted: u64,
}

impl Passive {
    pub(crate) fn new(spec: PassiveSpec, tunnels: BTreeMap<u32, Name>) -> Passive {
        Passive {
            spec,
            tunnels,
            streams: BTreeMap::new(),
            unlisted: 0,
        }
    }

    /// Whether a packet of this group over this tunnel is to be looked at. `on_mdt`: it is GRE once more.
    pub(crate) fn watches(&self, tunnel: u32, group: Ipv4Addr, on_mdt: bool) -> bool {
        let layer = if on_mdt {
            PassiveLayer::Mdt
        } else {
            PassiveLayer::Plain
        };
        self.spec.layer == layer && self.spec.group == group && self.tunnels.contains_key(&tunnel)
    }

    /// Looks at a packet that [`Passive::watches`] claimed.
    pub(crate) fn handle_packet(&mut self, tunnel: u32, packet: &Packet<'_>, stamp: Instant) {
        match self.spec.layer {
            PassiveLayer::Plain => self.count(tunnel, None, packet, stamp),
            PassiveLayer::Mdt => match Content::of(packet) {
                Ok(Content::Mdt(Customer::Ipv4(customer))) => {
                    self.count(tunnel, Some(packet.src()), &customer, stamp)
                }
                Ok(_) | Err(_) => self.unlisted += 1,
            },
        }
    }

    fn count(&mut self, tunnel: u32, pe: Option<Ipv4Addr>, packet: &Packet<'_>, stamp: Instant) {
        let datagram = match packet.protocol() {
            IpProtocol::Udp if !packet.is_fragment() => {
                udp::Packet::new_cut_short(packet.payload()).ok()
            }
            _ => None,
        };
        let ports = datagram
            .as_ref()
            .map_or((0, 0), |d| (d.src_port(), d.dst_port()));
        let key = StreamKey {
            tunnel,
            pe,
            source: packet.src(),
            group: packet.dst(),
            protocol: packet.protocol().into(),
            source_port: ports.0,
            destination_port: ports.1,
        };
        if self.streams.len() >= STREAMS_MAX && !self.streams.contains_key(&key) {
            self.unlisted += 1;
            return;
        }
        let stream = self.streams.entry(key).or_insert(Stream {
            received: Traffic::default(),
            first: stamp,
            last: stamp,
            rtp: None,
        });
        stream.received.count(packet.total_len());
        stream.last = stream.last.max(stamp);
        if let (RtpMode::Auto, Some(datagram)) = (self.spec.rtp, datagram) {
            rtp::observe(&mut stream.rtp, datagram.payload(), stamp);
        }
    }

    /// All streams, by tunnel and addresses.
    pub(crate) fn rows(&self) -> Vec<StreamRow> {
        self.streams
            .iter()
            .filter_map(|(key, stream)| self.row(key, stream))
            .collect()
    }

    fn row(&self, key: &StreamKey, stream: &Stream) -> Option<StreamRow> {
        let elapsed = u128::from(stream.last.since(stream.first).as_ns());
        // A rate needs two packets; the last one's bytes come after the time that was measured.
        let bits = u128::from(stream.received.bytes) * 8 * u128::from(NS_PER_S);
        Some(StreamRow {
            passive: self.spec.name.clone(),
            tunnel: key.tunnel,
            tunnel_name: self.tunnels.get(&key.tunnel)?.clone(),
            pe: key.pe,
            source: key.source,
            group: key.group,
            protocol: key.protocol,
            source_port: key.source_port,
            destination_port: key.destination_port,
            received: stream.received,
            first_ns: stream.first,
            last_ns: stream.last,
            bits_per_second: bits.checked_div(elapsed).map(|rate| rate as u64),
            rtp: stream.rtp.as_ref().and_then(RtpStream::row),
        })
    }

    /// Packets that are in no stream's row.
    pub(crate) fn unlisted(&self) -> u64 {
        self.unlisted
    }
}
