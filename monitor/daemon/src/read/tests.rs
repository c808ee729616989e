//! Files that are damaged in every way: never a panic, never without end, and what is held stays small.

use std::borrow::Cow;
use std::io::Cursor;
use std::path::PathBuf;
use std::time::Duration;

use pcap_file::DataLink;
use pcap_file::pcap::{PcapPacket, PcapWriter};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketBlock;
use pcap_file::pcapng::blocks::interface_description::InterfaceDescriptionBlock;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vmscope_wire::{ipv4, pim};

use super::file::{CaptureFile, Next};
use super::replay::Replay;
use super::setup::Setup;
use crate::cli::ReadArgs;

const FRAMES: u64 = 12;

fn arguments() -> ReadArgs {
    ReadArgs {
        file: PathBuf::from("damaged"),
        mvpns: vec![("red".parse().unwrap(), [239, 1, 1, 1].into())],
        plain: Some("core".parse().unwrap()),
        config: None,
        changes: false,
        database: None,
    }
}

/// A Hello as a router sends it on its link; the checksums are right.
const HELLO: [u8; 44] = [
    0x01, 0x00, 0x5e, 0, 0, 13, 2, 0, 0, 0, 0, 9, 0x08, 0x00, 0x45, 0, 0, 30, 0, 0, 0, 0, 1, 103,
    0xcf, 0x66, 10, 1, 0, 5, 224, 0, 0, 13, 0x20, 0, 0xdf, 0x93, 0, 1, 0, 2, 0, 105,
];

fn pcapng() -> Vec<u8> {
    let mut writer = PcapNgWriter::new(Vec::new()).unwrap();
    let interface = InterfaceDescriptionBlock::new(DataLink::ETHERNET, 0);
    writer.write_pcapng_block(interface).unwrap();
    for n in 0..FRAMES {
        let block = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: Duration::from_millis(1_769_860_800_000 + 700 * n),
            original_len: HELLO.len() as u32,
            data: Cow::Borrowed(&HELLO),
            options: vec![],
        };
        writer.write_pcapng_block(block).unwrap();
    }
    writer.into_inner()
}

fn pcap() -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new()).unwrap();
    for n in 0..FRAMES {
        let at = Duration::from_millis(1_769_860_800_000 + 700 * n);
        let packet = PcapPacket::new(at, HELLO.len() as u32, &HELLO[..]).unwrap();
        writer.write_packet(&packet).unwrap();
    }
    writer.into_inner()
}

/// How many frames were read, and whether to the end.
fn play(bytes: &[u8]) -> (u64, bool) {
    let input = Box::new(Cursor::new(bytes.to_vec()));
    let Ok(mut file) = CaptureFile::of("damaged".to_owned(), input) else {
        return (0, false);
    };
    let arguments = arguments();
    let mut replay = Replay::new(Setup::of(&arguments).unwrap(), &arguments, true);
    let mut frames = 0;
    // Every step takes at least a byte of the file.
    for _ in 0..=bytes.len() {
        match file.poll_next() {
            Ok(Next::Frame(frame)) => {
                frames += 1;
                replay.handle_frame(&frame).unwrap();
            }
            Ok(Next::Other) => {}
            Ok(Next::End) => return (frames, true),
            Err(_) => return (frames, false),
        }
    }
    panic!("{} bytes, and no end", bytes.len());
}

#[test]
fn whole_files_are_read_whole() {
    let packet = ipv4::Packet::new_checked(&HELLO[14..]).unwrap();
    packet.verify_checksum().unwrap();
    let message = pim::Packet::new_checked(packet.payload()).unwrap();
    pim::Repr::parse(&message).unwrap();
    assert_eq!(play(&pcapng()), (FRAMES, true));
    assert_eq!(play(&pcap()), (FRAMES, true));
}

#[test]
fn a_file_that_ends_anywhere_is_read_up_to_there() {
    for whole in [pcapng(), pcap()] {
        let mut last = 0;
        for length in 0..whole.len() {
            let (frames, _) = play(&whole[..length]);
            assert!((last..=last + 1).contains(&frames));
            last = frames;
        }
        assert_eq!(last, FRAMES - 1);
    }
}

#[test]
fn damage_does_no_harm() {
    let mut dice = ChaCha8Rng::seed_from_u64(4);
    let mut stopped = 0;
    for _ in 0..150 {
        for mut bytes in [pcapng(), pcap()] {
            for _ in 0..dice.random_range(1..6) {
                let at = dice.random_range(0..bytes.len());
                match dice.random_range(0..4) {
                    0 => bytes[at] ^= 1 << dice.random_range(0..8),
                    1 => bytes[at] = *[0, 0x7f, 0xff].get(dice.random_range(0..3)).unwrap(),
                    2 => drop(bytes.drain(at..(at + dice.random_range(1..20)).min(bytes.len()))),
                    _ => bytes.insert(at, dice.random()),
                }
                if bytes.is_empty() {
                    break;
                }
            }
            let (_, to_the_end) = play(&bytes);
            stopped += u32::from(!to_the_end);
        }
    }
    assert!(
        stopped > 30,
        "only {stopped} of 300 were too damaged to go on"
    );
}
