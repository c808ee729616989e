//! No bytes make a reader panic: random ones, and good packets with some bytes changed.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::oracle;
use crate::pim::{mdt_join, pim};
use crate::strategies::*;

/// Every reader reads it.
fn read_as_everything(data: &[u8]) {
    oracle::ipv4(data);
    oracle::udp(data);
    oracle::icmp(data);
    oracle::igmp(data);
    oracle::gre(data);
    oracle::pim(data);
    oracle::mdt_join(data);
    oracle::probe(data);
    oracle::rtp(data);
    oracle::link(data);
    oracle::tunnel(data);
}

fn damaged(mut bytes: Vec<u8>, changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    for (at, value) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *value;
    }
    bytes
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    vec(any::<(prop::sample::Index, u8)>(), 1..=4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn random_bytes(data in bytes(200)) {
        read_as_everything(&data);
    }

    #[test]
    fn a_first_byte_that_gets_further(first in prop_oneof![0x45u8..=0x4f, 0x80u8..=0x8f, 0x10u8..=0x2f], data in bytes(120)) {
        read_as_everything(&[&[first][..], &data].concat());
    }

    #[test]
    fn a_damaged_tunnel((_, _, bytes) in tunnelled_probe(), changes in changes()) {
        oracle::tunnel(&damaged(bytes, &changes));
    }

    #[test]
    fn a_damaged_igmp_message(message in igmp(), changes in changes()) {
        let records = message.records();
        let repr = message.repr(&records);
        oracle::igmp(&damaged(written(repr.buffer_len(), |b| repr.emit(b)), &changes));
    }

    #[test]
    fn a_damaged_pim_message(repr in pim(), changes in changes()) {
        oracle::pim(&damaged(written(repr.buffer_len(), |b| repr.emit(b)), &changes));
    }

    #[test]
    fn a_damaged_mdt_join(tlvs in mdt_join(), changes in changes()) {
        let length = vmscope_wire::mdt_join::buffer_len(tlvs.iter().copied());
        let bytes = written(length, |b| vmscope_wire::mdt_join::emit(tlvs, b).map(|_| ()));
        oracle::mdt_join(&damaged(bytes, &changes));
    }

    #[test]
    fn a_damaged_ipv4_header(repr in ipv4(0), changes in changes()) {
        oracle::ipv4(&damaged(written(repr.buffer_len(), |b| repr.emit(b, |_| Ok(()))), &changes));
    }

    #[test]
    fn a_damaged_icmp_message(message in icmp(), changes in changes()) {
        let repr = message.repr();
        oracle::icmp(&damaged(written(repr.buffer_len(), |b| repr.emit(b)), &changes));
    }
}
