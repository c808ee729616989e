//! Captures for people: one wire of `taps.bin` as pcapng, for Wireshark and its kin.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use pcap_file::{
    DataLink,
    pcapng::{
        PcapNgWriter,
        blocks::{
            enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption},
            interface_description::{
                InterfaceDescriptionBlock, InterfaceDescriptionOption, InterfaceTsResolution,
            },
            opt_common::CommonOption,
        },
    },
};
use thiserror::Error;

use super::{
    lane::{Lane, Lanes, Side},
    record::{Direction, Record, RecordError, RecordReader},
};
use crate::plan::Plan;

/// pcapng's epb_flags, bits 0 and 1: direction.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// Why a capture could not be written.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The taps could not be read.
    #[error(transparent)]
    Capture(#[from] RecordError),
    /// The writer refused.
    #[error("writing the capture of wire {wire}: {what}")]
    Write {
        /// Which wire.
        wire: String,
        /// What the writer said.
        what: String,
    },
}

/// One file per wire, by name (`PE1-P.pcapng`). Each has two interfaces, one per end, named `<namespace>/<interface>` and
/// seen from that node: what entered the wire is outbound there, what left it is inbound. Stamps are the lab's wall clock.
pub fn export(taps: &[u8], plan: &Plan) -> Result<BTreeMap<String, Vec<u8>>, ExportError> {
    let lanes = Lanes::of(plan);
    let mut files = Vec::new();
    for wire in 0..plan.wires.len() {
        files.push(WireFile::new(wire as u16, &lanes)?);
    }
    for record in RecordReader::new(taps)? {
        let record = record?;
        if let Some(file) = files.get_mut(usize::from(record.tap.wire)) {
            file.write(&record)?;
        }
    }
    Ok(files
        .into_iter()
        .map(|file| (format!("{}.pcapng", file.name), file.writer.into_inner()))
        .collect())
}

/// The capture of one wire, as it grows.
pub struct WireFile {
    name: String,
    writer: PcapNgWriter<Vec<u8>>,
}

impl WireFile {
    /// Begins with the description of both ends.
    pub fn new(wire: u16, lanes: &Lanes) -> Result<Self, ExportError> {
        let name = lanes
            .wire(Lane {
                wire,
                toward: Side::A,
            })
            .to_owned();
        let writer = PcapNgWriter::new(Vec::new()).map_err(|error| refusal(&name, &error))?;
        let mut this = Self { name, writer };
        for side in [Side::A, Side::B] {
            let lane = Lane { wire, toward: side };
            let (namespace, interface) = lanes.to_interface(lane);
            let description = format!("wire {} at its end in {}", lanes.wire(lane), lanes.to(lane));
            let block = InterfaceDescriptionBlock {
                linktype: DataLink::ETHERNET,
                snaplen: 0,
                options: vec![
                    InterfaceDescriptionOption::IfName(Cow::Owned(format!(
                        "{namespace}/{interface}"
                    ))),
                    InterfaceDescriptionOption::IfDescription(Cow::Owned(description)),
                    InterfaceDescriptionOption::IfTsResol(InterfaceTsResolution::NANO),
                ],
            };
            this.writer
                .write_pcapng_block(block)
                .map_err(|error| refusal(&this.name, &error))?;
        }
        Ok(this)
    }

    /// Takes what was written since this was asked last.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.get_mut())
    }

    /// Appends a frame.
    pub fn write(&mut self, record: &Record<'_>) -> Result<(), ExportError> {
        let (flags, comment) = match record.direction {
            Direction::Entered => (OUTBOUND, "entered the wire"),
            Direction::Left => (INBOUND, "left the wire"),
        };
        let block = EnhancedPacketBlock {
            interface_id: match record.tap.side {
                Side::A => 0,
                Side::B => 1,
            },
            timestamp: Duration::from_nanos(record.realtime_ns),
            original_len: u32::from(record.original_bytes),
            data: Cow::Borrowed(record.frame),
            options: vec![
                EnhancedPacketOption::Common(CommonOption::Comment(Cow::Borrowed(comment))),
                EnhancedPacketOption::Flags(flags),
            ],
        };
        self.writer
            .write_pcapng_block(block)
            .map_err(|error| refusal(&self.name, &error))?;
        Ok(())
    }
}

fn refusal(wire: &str, error: &dyn std::fmt::Display) -> ExportError {
    ExportError::Write {
        wire: wire.to_owned(),
        what: error.to_string(),
    }
}
