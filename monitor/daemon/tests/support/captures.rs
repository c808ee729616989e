//! Captures as other people's tools write them.

use std::borrow::Cow;
use std::time::Duration;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapTsResolution, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption, InterfaceTsResolution,
};
use pcap_file::{DataLink, Endianness};

/// An IPv4 packet and when it was captured, nanoseconds of UTC.
pub type Captured = (u64, Vec<u8>);

/// What a packet was captured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    Ethernet,
    /// Ethernet with an IEEE 802.1Q tag.
    Vlan,
    Raw,
    /// Linux cooked, both versions.
    Sll,
    Sll2,
}

impl Link {
    fn number(self) -> DataLink {
        DataLink::from(match self {
            Link::Ethernet | Link::Vlan => 1,
            Link::Raw => 101,
            Link::Sll => 113,
            Link::Sll2 => 276,
        })
    }

    /// The frame around a packet.
    pub fn frame(self, packet: &[u8]) -> Vec<u8> {
        let macs = [1, 0, 0x5e, 1, 1, 1, 2, 0, 0, 0, 0, 9];
        let header: Vec<u8> = match self {
            Link::Ethernet => [&macs[..], &[8, 0]].concat(),
            Link::Vlan => [&macs[..], &[0x81, 0, 0, 7, 8, 0]].concat(),
            Link::Raw => vec![],
            Link::Sll => vec![0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 9, 0, 0, 8, 0],
            Link::Sll2 => vec![8, 0, 0, 0, 0, 0, 0, 3, 0, 1, 2, 6, 2, 0, 0, 0, 0, 9, 0, 0],
        };
        [&header[..], packet].concat()
    }
}

/// One interface of a pcapng file.
#[derive(Debug, Clone, Copy)]
pub struct Interface {
    pub link: Link,
    pub resolution: InterfaceTsResolution,
    /// Seconds that its stamps lack (if_tsoffset).
    pub offset_s: i64,
}

pub const ETHERNET: Interface = Interface {
    link: Link::Ethernet,
    resolution: InterfaceTsResolution::NANO,
    offset_s: 0,
};

/// A pcapng file; the packets are dealt out to the interfaces in turn.
pub fn pcapng(packets: &[Captured], interfaces: &[Interface], order: Endianness) -> Vec<u8> {
    let mut writer = PcapNgWriter::with_endianness(Vec::new(), order).unwrap();
    for interface in interfaces {
        let block = InterfaceDescriptionBlock {
            linktype: interface.link.number(),
            snaplen: 0,
            options: vec![
                InterfaceDescriptionOption::IfTsResol(interface.resolution),
                InterfaceDescriptionOption::IfTsOffset(interface.offset_s),
            ],
        };
        writer.write_pcapng_block(block).unwrap();
    }
    for (n, (at_ns, packet)) in packets.iter().enumerate() {
        let id = n % interfaces.len();
        let frame = interfaces[id].link.frame(packet);
        let block = EnhancedPacketBlock {
            interface_id: id as u32,
            timestamp: Duration::from_nanos(*at_ns),
            original_len: frame.len() as u32,
            data: Cow::Owned(frame),
            options: vec![],
        };
        writer.write_pcapng_block(block).unwrap();
    }
    writer.into_inner()
}

/// A pcap file with microseconds.
pub fn pcap(packets: &[Captured], link: Link, endianness: Endianness) -> Vec<u8> {
    let header = PcapHeader {
        datalink: link.number(),
        ts_resolution: PcapTsResolution::MicroSecond,
        endianness,
        ..PcapHeader::default()
    };
    let mut writer = PcapWriter::with_header(Vec::new(), header).unwrap();
    for (at_ns, packet) in packets {
        let frame = link.frame(packet);
        let at = Duration::from_nanos(*at_ns);
        let packet = PcapPacket::new(at, frame.len() as u32, frame).unwrap();
        writer.write_packet(&packet).unwrap();
    }
    writer.into_inner()
}
