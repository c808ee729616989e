//! PIM messages of every type with random fields, written here and read by tshark once: `generated-*.txt`.

use std::net::Ipv4Addr;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use vmscope_wire::pim::{AttributeType, PimType, Register};
use vmscope_wire::{IpProtocol, Ipv4Repr, PimRepr};

use super::pim::pim_by_kind;

const EACH: usize = 6;
const SRC: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 1);
const DST: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 13);
const SEED: [u8; 32] = *b"PIM messages shown to tshark.   ";

/// File, and packets: IPv4 with TTL 1 and a message in it.
pub fn packets() -> Vec<(String, Vec<Vec<u8>>)> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &SEED);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let kinds = pim_by_kind().into_iter().map(|(name, strategy)| {
        let draws = std::iter::from_fn(|| Some(strategy.new_tree(&mut runner).ok()?.current()));
        let messages = draws.filter(|message| !has_values_that_tshark_reads(message));
        let packets = messages.map(|message| packet(as_tshark_reads_it(message)));
        (format!("generated-{name}"), packets.take(EACH).collect())
    });
    kinds.collect()
}

/// Random bytes are no RLOC (RFC 8059).
fn has_values_that_tshark_reads(message: &PimRepr<'_>) -> bool {
    let (PimRepr::JoinPrune(message) | PimRepr::Graft(message) | PimRepr::GraftAck(message)) =
        message
    else {
        return false;
    };
    let mut attributes = message.entries().flat_map(|entry| entry.source.attributes);
    let read = [AttributeType::Transport, AttributeType::ReceiverRloc];
    attributes.any(|attribute| read.contains(&attribute.kind))
}

/// A Register holds a packet, for else tshark makes one of the bytes; and what is unknown here must be so there.
fn as_tshark_reads_it(message: PimRepr<'static>) -> PimRepr<'static> {
    match message {
        PimRepr::Register(register) => {
            let payload_len = if register.is_null {
                0
            } else {
                register.packet.len()
            };
            let protocol = IpProtocol::from(253);
            let group = Ipv4Addr::new(239, 1, 1, payload_len as u8);
            let header = Ipv4Repr::new(SRC, group, protocol, payload_len);
            let mut inner = vec![0; header.buffer_len()];
            let fill = |payload: &mut [u8]| {
                payload.copy_from_slice(&register.packet[..payload_len]);
                Ok(())
            };
            header.emit(&mut inner, fill).expect("room");
            let packet = inner.leak();
            PimRepr::Register(Register { packet, ..register })
        }
        PimRepr::Unknown { flags, body, .. } => PimRepr::Unknown {
            kind: PimType::from(13 + flags % 3),
            flags,
            body,
        },
        other => other,
    }
}

fn packet(message: PimRepr<'_>) -> Vec<u8> {
    let header = Ipv4Repr {
        ttl: 1,
        ..Ipv4Repr::new(SRC, DST, IpProtocol::Pim, message.buffer_len())
    };
    let mut buffer = vec![0; header.buffer_len()];
    header
        .emit(&mut buffer, |payload| message.emit(payload))
        .expect("room");
    buffer
}
