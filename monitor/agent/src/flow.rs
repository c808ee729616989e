//! Exported flows: NetFlow v5 and v9, IPFIX, made into what the core knows.

use std::net::Ipv4Addr;

use netflow_parser::variable_versions::ipfix::lookup::{IANAIPFixField, IPFixField};
use netflow_parser::variable_versions::{ipfix, v9};
use netflow_parser::{DataNumber, FieldValue, NetflowPacket, NetflowParser, V9Field};
use vmscope_core::counters::{Export, FlowRecord};

/// Reads one exporter's datagrams. It remembers the exporter's templates, a bounded number of them.
#[derive(Default)]
pub struct Exporter {
    parser: NetflowParser,
}

impl Exporter {
    /// What a datagram holds; nothing of what cannot be read, but for that something was missing.
    pub fn read(&mut self, datagram: &[u8]) -> Vec<Export> {
        let parsed = self.parser.parse_bytes(datagram);
        let is_whole = parsed.error.is_none();
        let mut exports: Vec<Export> = parsed.packets.iter().filter_map(export).collect();
        if !is_whole && let Some(last) = exports.last_mut() {
            last.next_sequence = None;
        }
        exports
    }
}

fn export(packet: &NetflowPacket) -> Option<Export> {
    match packet {
        NetflowPacket::V5(packet) => {
            let header = &packet.header;
            let record = |flow: &netflow_parser::static_versions::v5::FlowSet| FlowRecord {
                source: flow.src_addr,
                destination: flow.dst_addr,
                source_port: flow.src_port,
                packets: flow.d_pkts.into(),
            };
            // The two upper bits say how it samples.
            let one_in = u32::from(header.sampling_interval & 0x3fff);
            Some(Export {
                stream: 5 << 32 | u64::from(header.engine_type) << 8 | u64::from(header.engine_id),
                sequence: header.flow_sequence,
                next_sequence: Some(header.flow_sequence.wrapping_add(header.count.into())),
                sent_s: header.unix_secs,
                uptime_ms: Some(header.sys_up_time),
                sampling: (one_in > 1).then_some(one_in),
                records: packet.flowsets.iter().map(record).collect(),
            })
        }
        NetflowPacket::V9(packet) => Some(export_v9(packet)),
        NetflowPacket::IPFix(packet) => Some(export_ipfix(packet)),
        _ => None,
    }
}

fn export_v9(packet: &v9::V9) -> Export {
    let mut found = Found::default();
    for set in &packet.flowsets {
        match &set.body {
            v9::FlowSetBody::Data(data) => data.fields.iter().for_each(|fields| {
                found.add(
                    fields
                        .iter()
                        .filter_map(|(field, value)| Some((kind_v9(field)?, value))),
                );
            }),
            v9::FlowSetBody::OptionsData(data) => data.fields.iter().for_each(|record| {
                let fields = record.options_fields.iter();
                found.add(fields.filter_map(|(field, value)| Some((kind_v9(field)?, value))));
            }),
            v9::FlowSetBody::NoTemplate(_) => found.unread = true,
            _ => {}
        }
    }
    let header = &packet.header;
    Export {
        stream: 9 << 32 | u64::from(header.source_id),
        sequence: header.sequence_number,
        // Datagrams are counted, not records (RFC 3954 §5.1).
        next_sequence: (!found.unread).then(|| header.sequence_number.wrapping_add(1)),
        sent_s: header.unix_secs,
        uptime_ms: Some(header.sys_up_time),
        sampling: found.sampling,
        records: found.records,
    }
}

fn export_ipfix(packet: &ipfix::IPFix) -> Export {
    let mut found = Found::default();
    let mut count = 0_u32;
    for set in &packet.flowsets {
        let records = match &set.body {
            ipfix::FlowSetBody::Data(data) => &data.fields,
            ipfix::FlowSetBody::OptionsData(data) => &data.fields,
            ipfix::FlowSetBody::NoTemplate(_) => {
                found.unread = true;
                continue;
            }
            _ => continue,
        };
        for record in records {
            count = count.wrapping_add(1);
            found.add(
                record
                    .iter()
                    .filter_map(|(field, value)| Some((kind_ipfix(field)?, value))),
            );
        }
    }
    let header = &packet.header;
    Export {
        stream: 10 << 32 | u64::from(header.observation_domain_id),
        sequence: header.sequence_number,
        // Data records are counted (RFC 7011 §3.1).
        next_sequence: (!found.unread).then(|| header.sequence_number.wrapping_add(count)),
        sent_s: header.export_time,
        uptime_ms: None,
        sampling: found.sampling,
        records: found.records,
    }
}

/// What is looked for in a record.
#[derive(Clone, Copy)]
enum Kind {
    Source,
    Destination,
    SourcePort,
    Packets,
    /// One of so many is counted.
    OneIn,
    /// So many are left out between those that are counted.
    Skipped,
}

#[derive(Default)]
struct Found {
    records: Vec<FlowRecord>,
    sampling: Option<u32>,
    unread: bool,
}

impl Found {
    fn add<'a>(&mut self, fields: impl Iterator<Item = (Kind, &'a FieldValue)>) {
        let (mut source, mut destination, mut port, mut packets) = (None, None, None, None);
        for (kind, value) in fields {
            match kind {
                Kind::Source => source = address(value),
                Kind::Destination => destination = address(value),
                Kind::SourcePort => port = number(value).and_then(|port| u16::try_from(port).ok()),
                Kind::Packets => packets = number(value),
                Kind::OneIn => self.samples(number(value).unwrap_or(0)),
                Kind::Skipped => self.samples(number(value).unwrap_or(0).saturating_add(1)),
            }
        }
        if let (Some(source), Some(destination), Some(source_port), Some(packets)) =
            (source, destination, port, packets)
        {
            self.records.push(FlowRecord {
                source,
                destination,
                source_port,
                packets,
            });
        }
    }

    fn samples(&mut self, one_in: u64) {
        if one_in > 1 {
            self.sampling = Some(u32::try_from(one_in).unwrap_or(u32::MAX));
        }
    }
}

fn kind_v9(field: &V9Field) -> Option<Kind> {
    Some(match field {
        V9Field::Ipv4SrcAddr => Kind::Source,
        V9Field::Ipv4DstAddr => Kind::Destination,
        V9Field::L4SrcPort => Kind::SourcePort,
        V9Field::InPkts => Kind::Packets,
        V9Field::SamplingInterval | V9Field::FlowSamplerRandomInterval => Kind::OneIn,
        _ => return None,
    })
}

fn kind_ipfix(field: &IPFixField) -> Option<Kind> {
    let IPFixField::IANA(field) = field else {
        return None;
    };
    Some(match field {
        IANAIPFixField::SourceIpv4address => Kind::Source,
        IANAIPFixField::DestinationIpv4address => Kind::Destination,
        IANAIPFixField::SourceTransportPort => Kind::SourcePort,
        IANAIPFixField::PacketDeltaCount => Kind::Packets,
        IANAIPFixField::SamplingInterval | IANAIPFixField::SamplerRandomInterval => Kind::OneIn,
        IANAIPFixField::SamplingPacketSpace => Kind::Skipped,
        _ => return None,
    })
}

fn address(value: &FieldValue) -> Option<Ipv4Addr> {
    match value {
        FieldValue::Ip4Addr(address) => Some(*address),
        _ => None,
    }
}

fn number(value: &FieldValue) -> Option<u64> {
    let FieldValue::DataNumber(number) = value else {
        return None;
    };
    match number {
        DataNumber::U8(n) => Some((*n).into()),
        DataNumber::U16(n) => Some((*n).into()),
        DataNumber::U24(n) | DataNumber::U32(n) => Some((*n).into()),
        DataNumber::U64(n) => Some(*n),
        _ => None,
    }
}
