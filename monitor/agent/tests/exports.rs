//! Datagrams of a real exporter, whole and damaged.

use std::net::Ipv4Addr;

use proptest::prelude::*;
use vmscope_agent::Exporter;
use vmscope_core::counters::{Export, FlowRecord};

fn datagram(text: &str) -> Vec<u8> {
    let digits = text.trim().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn v5() -> Vec<u8> {
    datagram(include_str!("fixtures/pmacct-v5.hex"))
}

fn v9() -> Vec<u8> {
    datagram(include_str!("fixtures/pmacct-v9.hex"))
}

fn ipfix() -> Vec<u8> {
    datagram(include_str!("fixtures/pmacct-v10.hex"))
}

fn only(bytes: &[u8]) -> Export {
    let mut exports = Exporter::default().read(bytes);
    assert_eq!(exports.len(), 1);
    exports.remove(0)
}

#[test]
fn all_three_protocols_say_the_same() {
    let record = |source_port| FlowRecord {
        source: Ipv4Addr::new(10, 9, 0, 1),
        destination: Ipv4Addr::new(239, 1, 1, 1),
        source_port,
        packets: 12,
    };
    let records = vec![record(5001), record(5002), record(5003)];
    let (five, nine, ten) = (only(&v5()), only(&v9()), only(&ipfix()));
    for export in [&five, &nine, &ten] {
        assert_eq!(export.records, records);
        assert_eq!(export.sampling, None);
    }
    assert_eq!((five.sequence, five.next_sequence), (0, Some(3)));
    assert_eq!((nine.sequence, nine.next_sequence), (1, Some(2)));
    assert_eq!((ten.sequence, ten.next_sequence), (0, Some(3)));
    assert_eq!(
        (five.uptime_ms, nine.uptime_ms, ten.uptime_ms),
        (Some(4_991), Some(3_980), None)
    );
}

#[test]
fn a_sampling_interval_is_seen() {
    let mut bytes = v5();
    // The last two bytes of the header: mode and interval.
    bytes[22..24].copy_from_slice(&[0x40, 100]);
    assert_eq!(only(&bytes).sampling, Some(100));
}

/// Templates come with the first datagram; one whose templates were never heard is not taken for one without records.
#[test]
fn what_cannot_be_read_is_missed() {
    let bytes = v9();
    // Behind the header of 20 bytes are four sets of templates; the set of data comes last.
    let mut at = 20;
    while bytes[at] < 1 {
        at += usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
    }
    let without_templates = [&bytes[..20], &bytes[at..]].concat();
    let export = only(&without_templates);
    assert_eq!((export.records, export.next_sequence), (vec![], None));
}

proptest! {
    #[test]
    fn nothing_panics_on_arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let mut exporter = Exporter::default();
        exporter.read(&v9());
        exporter.read(&bytes);
        exporter.read(&v9());
    }

    #[test]
    fn nothing_panics_on_damaged_datagrams(
        which in 0..3_usize,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = [v5(), v9(), ipfix()][which].clone();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(length.index(bytes.len()) + 1);
        let mut exporter = Exporter::default();
        exporter.read(&bytes);
        exporter.read(&ipfix());
    }
}
