//! Single cases: what the standards say about one packet, and what people read.

mod gre;
mod igmp;
mod ipv4;
mod link;
mod mdt_join;
mod pim;
mod received;
mod rtp;
mod texts;
mod udp_and_icmp;

use vmscope_wire::{Expected, Fault, Protocol, WireError};

/// The error that names this field and says that it must be something else.
fn unexpected(
    protocol: Protocol,
    field: &'static str,
    offset: usize,
    expected: Expected,
    found: u64,
) -> WireError {
    WireError {
        protocol,
        field,
        offset,
        fault: Fault::Unexpected { expected, found },
    }
}

/// The bytes of a packet.
fn written(length: usize, emit: impl FnOnce(&mut [u8]) -> vmscope_wire::Result<()>) -> Vec<u8> {
    let mut buffer = vec![0xa5; length];
    emit(&mut buffer).expect("a buffer of the right length");
    buffer
}
