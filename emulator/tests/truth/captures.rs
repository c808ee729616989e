//! Captures for people: what was tapped stands in them, per wire, and nothing else.

use std::fmt::Write;

use mvpnlab_emulator::truth::{file, pcapng};
use pcap_file::pcapng::{
    Block, PcapNgReader,
    blocks::{enhanced_packet::EnhancedPacketOption, opt_common::CommonOption},
};

use crate::{
    fates::send,
    lab::{Lab, Perfect, TWO},
};

/// One line a block: the interfaces, then each packet's interface, time of day, length and comment.
fn listed(bytes: &[u8]) -> String {
    let mut reader = PcapNgReader::new(bytes).expect("a pcapng file");
    let mut text = String::new();
    while let Some(block) = reader.next_block() {
        match block.expect("a block").0 {
            Block::InterfaceDescription(interface) => {
                for option in &interface.options {
                    writeln!(text, "{option:?}").unwrap();
                }
            }
            Block::EnhancedPacket(packet) => {
                let comment = packet.options.iter().find_map(|option| match option {
                    EnhancedPacketOption::Common(CommonOption::Comment(comment)) => {
                        Some(comment.to_string())
                    }
                    _ => None,
                });
                let ns = packet.timestamp.as_nanos() % 1_000_000_000;
                writeln!(
                    text,
                    "{} {ns} {} {}",
                    packet.interface_id,
                    packet.original_len,
                    comment.unwrap_or_default()
                )
                .unwrap();
            }
            _ => {}
        }
    }
    text
}

#[test]
fn each_wire_has_its_frames_with_names_and_directions() {
    let mut lab = Lab::new(TWO);
    lab.probe(send(0), &mut Perfect);
    let files = lab.files(|_| {});
    let captures = pcapng::export(&files[file::TAPS], &lab.plan).unwrap();
    assert_eq!(
        captures.keys().collect::<Vec<_>>(),
        ["MON-P.pcapng", "P-PE2.pcapng", "PE1-P.pcapng"]
    );
    insta::assert_snapshot!(listed(&captures["P-PE2.pcapng"]), @r#"
    IfName("P/to-PE2")
    IfDescription("wire P-PE2 at its end in P")
    IfTsResol(InterfaceTsResolution { is_bin: false, resol: 9 })
    IfName("PE2/to-P")
    IfDescription("wire P-PE2 at its end in PE2")
    IfTsResol(InterfaceTsResolution { is_bin: false, resol: 9 })
    0 75000 102 entered the wire
    1 95000 102 left the wire
    1 100000 130 entered the wire
    0 120000 130 left the wire
    "#);
}

#[test]
fn a_damaged_capture_is_an_error() {
    let lab = Lab::new(TWO);
    let error = pcapng::export(b"nothing", &lab.plan)
        .unwrap_err()
        .to_string();
    assert!(error.contains("does not begin with MVLBTAPS"), "{error}");
}
