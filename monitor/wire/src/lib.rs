//! Wire formats of multicast VPN monitoring: bytes to meaning and back, the monitor's only codec.
//!
//! Every protocol has one file and two types. A `Packet` is a *view*: it borrows bytes, its checked
//! constructor looks at lengths and versions, its getters read fields where they lie. A `Repr` is what
//! makes *sense*: `parse` reads it from a view and verifies checksums, `buffer_len` says how many bytes
//! it takes, `emit` writes them. What is not known is kept in `Unknown` arms. Nothing allocates, nothing
//! panics on any bytes, and an error says protocol, field, offset, what was expected and what was found.
//!
//! [`tunnel`] composes them: [`tunnel::encapsulate`] writes a probe, an IGMP or an ICMP message with the
//! GRE tunnel around it in one buffer; [`tunnel::decapsulate`] opens what arrives, down to a customer's
//! packet on an MDT, without copying a byte. [`link`] strips what a capture puts in front.
//!
//! [`pim`] and [`mdt_join`] are what routers tell one another on an MDT and on the backbone. An MDT Join is
//! nothing but a list, so its view is all there is to it.
//!
//! Not here: IPv6 (but for addresses in PIM and MDT Join), reassembly of fragments, GRE source routing (RFC 1701), RTCP.

mod bytes;
mod open_enum;

pub mod checksum;
pub mod content;
pub mod echo;
pub mod error;
pub mod ethernet;
pub mod gre;
pub mod icmp;
pub mod igmp;
pub mod inner;
pub mod ipv4;
pub mod ipv4_options;
pub mod link;
pub mod mdt_join;
pub mod pim;
pub mod probe;
pub mod probe_template;
pub mod rtp;
pub mod tunnel;
pub mod udp;

pub use content::{Content, Customer};
pub use echo::{Packet as EchoPacket, Repr as EchoRepr};
pub use error::{Expected, Fault, Protocol, Result, WireError};
pub use ethernet::{EtherType, MacAddress, Packet as EthernetPacket, Repr as EthernetRepr};
pub use gre::{Packet as GrePacket, Repr as GreRepr};
pub use icmp::{
    IcmpType, Packet as IcmpPacket, Repr as IcmpRepr, TimeExceededCode, UnreachableCode,
};
pub use igmp::{
    FloatCode, GroupRecord, IgmpType, Packet as IgmpPacket, QueryV3, RecordType, Records,
    Repr as IgmpRepr, Sources,
};
pub use inner::{Addressing, Inner};
pub use ipv4::{IpProtocol, Packet as Ipv4Packet, Repr as Ipv4Repr};
pub use ipv4_options::{Ipv4Option, Options as Ipv4Options};
pub use link::{Captured, Direction, LinkType};
pub use mdt_join::{Packet as MdtJoinPacket, Tlv as MdtJoinTlv, Tlvs as MdtJoinTlvs};
pub use pim::{Packet as PimPacket, PimType, Repr as PimRepr};
pub use probe::{Packet as ProbePacket, Repr as ProbeRepr};
pub use probe_template::ProbeTemplate;
pub use rtp::{Packet as RtpPacket, Repr as RtpRepr};
pub use tunnel::{Decapsulated, Outer, decapsulate, encapsulate};
pub use udp::{Packet as UdpPacket, Repr as UdpRepr};
