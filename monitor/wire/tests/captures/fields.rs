//! Our reading of a packet, in tshark's names and notation.

mod pim;

use vmscope_wire::icmp::IcmpType;
use vmscope_wire::{
    EtherType, GrePacket, IcmpPacket, IcmpRepr, IgmpPacket, IgmpRepr, IpProtocol, Ipv4Option,
    Ipv4Packet, Records, RtpPacket, Sources, UdpPacket,
};

use super::fixture::Fields;

/// tshark's verdicts on a checksum.
const BAD: &str = "0";
const GOOD: &str = "1";
const UNVERIFIED: &str = "2";
const NONE: &str = "3";

/// All fields of a packet and of what it carries, outermost first.
pub fn fields_of(packet: &Ipv4Packet<'_>) -> Fields {
    let mut reading = Reading::default();
    reading.ipv4(packet, Context::Whole);
    reading.fields
}

#[derive(Clone, Copy, PartialEq)]
enum Context {
    Whole,
    /// Quoted by an ICMP error. tshark still verifies UDP there, if all of it was quoted, but not ICMP.
    Quoted,
    /// A fragment, or cut short: no checksum but the header's can be verified.
    Part,
}

#[derive(Default)]
struct Reading {
    fields: Fields,
}

impl Reading {
    fn add(&mut self, name: &str, value: impl ToString) {
        self.fields
            .entry(name.to_owned())
            .or_default()
            .push(value.to_string());
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.add(name, u8::from(value));
    }

    fn status(&mut self, name: &str, context: Context, verified: bool) {
        let verdict = match (context, verified) {
            (Context::Part, _) => UNVERIFIED,
            (Context::Whole | Context::Quoted, true) => GOOD,
            (Context::Whole | Context::Quoted, false) => BAD,
        };
        self.add(name, verdict);
    }

    fn ipv4(&mut self, packet: &Ipv4Packet<'_>, context: Context) {
        self.add("ip.src", packet.src());
        self.add("ip.dst", packet.dst());
        self.add("ip.proto", u8::from(packet.protocol()));
        self.add("ip.ttl", packet.ttl());
        self.add("ip.len", packet.total_len());
        self.add("ip.id", format!("{:#06x}", packet.identification()));
        self.add("ip.dsfield", format!("{:#04x}", packet.tos()));
        self.flag("ip.flags.df", packet.dont_fragment());
        self.flag("ip.flags.mf", packet.more_fragments());
        // tshark 4.0 shows the field as it is, in units of 8 bytes.
        self.add("ip.frag_offset", packet.fragment_offset() / 8);
        self.add("ip.checksum", format!("{:#06x}", packet.checksum()));
        self.status(
            "ip.checksum.status",
            Context::Whole,
            packet.verify_checksum().is_ok(),
        );
        for option in packet.options() {
            if let Ipv4Option::RouterAlert(value) = option.expect("a good option") {
                self.add("ip.opt.ra", value);
            }
        }
        // A Null-Register has a header and nothing behind it.
        if packet.fragment_offset() == 0 && !packet.payload().is_empty() {
            let part = packet.is_fragment() || packet.is_cut_short();
            self.payload(packet, if part { Context::Part } else { context });
        }
    }

    fn payload(&mut self, packet: &Ipv4Packet<'_>, context: Context) {
        match packet.protocol() {
            IpProtocol::Udp => self.udp(packet, context),
            IpProtocol::Icmp => self.icmp(packet.payload(), context),
            IpProtocol::Igmp => self.igmp(packet.payload()),
            IpProtocol::Gre => self.gre(packet.payload()),
            IpProtocol::Pim => self.pim(packet.payload()),
            // RFC 3692, for experiments: what our generated Registers carry.
            IpProtocol::Unknown(253) => {}
            other => panic!("no fixture has {other}"),
        }
    }

    fn udp(&mut self, packet: &Ipv4Packet<'_>, context: Context) {
        let datagram = UdpPacket::new_cut_short(packet.payload()).expect("UDP");
        self.add("udp.srcport", datagram.src_port());
        self.add("udp.dstport", datagram.dst_port());
        self.add("udp.length", datagram.length());
        self.add(
            "udp.checksum",
            format!("{:#06x}", datagram.checksum().unwrap_or(0)),
        );
        match datagram.checksum() {
            None => self.add("udp.checksum.status", NONE),
            Some(_) => {
                let verified = datagram.verify_checksum(packet.src(), packet.dst()).is_ok();
                self.status("udp.checksum.status", context, verified);
            }
        }
        if datagram.dst_port() == 5004 {
            self.rtp(datagram.payload());
        }
    }

    fn icmp(&mut self, bytes: &[u8], context: Context) {
        let message = IcmpPacket::new_checked(bytes).expect("ICMP");
        self.add("icmp.type", u8::from(message.kind()));
        self.add("icmp.code", message.code());
        self.add("icmp.checksum", format!("{:#06x}", message.checksum()));
        let verifiable = if context == Context::Whole {
            Context::Whole
        } else {
            Context::Part
        };
        let verified = message.verify_checksum().is_ok();
        self.status("icmp.checksum.status", verifiable, verified);
        if let IcmpType::EchoRequest | IcmpType::EchoReply = message.kind() {
            let [a, b, c, d] = message.rest_of_header();
            self.add("icmp.ident", u16::from_be_bytes([a, b]));
            self.add("icmp.seq", u16::from_be_bytes([c, d]));
        }
        if context == Context::Whole {
            let repr = IcmpRepr::parse(&message).expect("an ICMP message");
            if let Some(quoted) = repr.quoted_packet() {
                self.ipv4(&quoted.expect("a quoted header"), Context::Quoted);
            }
        }
    }

    fn igmp(&mut self, bytes: &[u8]) {
        let message = IgmpPacket::new_checked(bytes).expect("IGMP");
        self.add("igmp.type", format!("{:#04x}", u8::from(message.kind())));
        self.add("igmp.checksum", format!("{:#06x}", message.checksum()));
        self.status(
            "igmp.checksum.status",
            Context::Whole,
            message.verify_checksum().is_ok(),
        );
        match IgmpRepr::parse(&message).expect("an IGMP message") {
            IgmpRepr::QueryV2 {
                max_response_tenths,
                group,
            } => {
                self.igmp_v1_or_v2(2, Some(max_response_tenths.get()), group);
            }
            IgmpRepr::QueryV3(query) => {
                self.add("igmp.version", 3);
                self.add("igmp.max_resp", query.max_response_tenths.value());
                self.add("igmp.maddr", query.group);
                self.flag("igmp.s", query.suppress_router_side);
                self.add("igmp.qrv", query.robustness);
                self.add("igmp.qqic", query.interval_seconds.0);
                self.sources(query.sources);
            }
            IgmpRepr::ReportV1 { group } => self.igmp_v1_or_v2(1, None, group),
            IgmpRepr::ReportV2 { group } | IgmpRepr::LeaveV2 { group } => {
                self.igmp_v1_or_v2(2, Some(message.code()), group);
            }
            IgmpRepr::ReportV3 { records } => self.records(records),
            other @ (IgmpRepr::QueryV1 | IgmpRepr::Unknown { .. }) => {
                panic!("no fixture has {other}")
            }
        }
    }

    fn igmp_v1_or_v2(&mut self, version: u8, max_resp: Option<u8>, group: std::net::Ipv4Addr) {
        self.add("igmp.version", version);
        if let Some(tenths) = max_resp {
            self.add("igmp.max_resp", tenths);
        }
        self.add("igmp.maddr", group);
    }

    fn records(&mut self, records: Records<'_>) {
        self.add("igmp.version", 3);
        self.add("igmp.num_grp_recs", records.len());
        for record in records {
            self.add("igmp.record_type", u8::from(record.kind));
            self.add("igmp.maddr", record.group);
            self.sources(record.sources);
        }
    }

    fn sources(&mut self, sources: Sources<'_>) {
        self.add("igmp.num_src", sources.len());
        for source in sources {
            self.add("igmp.saddr", source);
        }
    }

    fn gre(&mut self, bytes: &[u8]) {
        let packet = GrePacket::new_checked(bytes).expect("GRE");
        self.add(
            "gre.proto",
            format!("{:#06x}", u16::from(packet.protocol())),
        );
        if let Some(checksum) = packet.checksum() {
            self.add("gre.checksum", format!("{checksum:#06x}"));
            self.status(
                "gre.checksum.status",
                Context::Whole,
                packet.verify_checksum().is_ok(),
            );
        }
        if let Some(key) = packet.key() {
            self.add("gre.key", format!("{key:#010x}"));
        }
        if let Some(sequence) = packet.sequence() {
            self.add("gre.sequence_number", sequence);
        }
        if packet.protocol() == EtherType::Ipv4 {
            let inner = Ipv4Packet::new_checked(packet.payload()).expect("an inner packet");
            self.ipv4(&inner, Context::Whole);
        }
    }

    fn rtp(&mut self, bytes: &[u8]) {
        let packet = RtpPacket::new_checked(bytes).expect("RTP");
        self.add("rtp.version", packet.version());
        self.flag("rtp.marker", packet.marker());
        self.add("rtp.p_type", packet.payload_type());
        self.add("rtp.seq", packet.sequence());
        self.add("rtp.timestamp", packet.timestamp());
        self.add("rtp.ssrc", format!("{:#010x}", packet.ssrc()));
    }
}
