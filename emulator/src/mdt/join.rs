//! The MDT Join message: which customer's stream is on which data MDT (RFC 6037 section 7).

use std::net::Ipv4Addr;

use super::Stream;

/// UDP port, both ends.
pub const PORT: u16 = 3232;
/// ALL-PIM-ROUTERS: inside the default MDT it means all of the MVPN's PEs.
pub const DESTINATION: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 13);

/// Type of an IPv4 stream's TLV, and its length, both of these fields included.
const IPV4_JOIN: u8 = 1;
const IPV4_JOIN_BYTES: usize = 16;

/// One announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MdtJoin {
    /// The customer's stream.
    pub stream: Stream,
    /// The backbone group that it goes by.
    pub p_group: Ipv4Addr,
}

impl MdtJoin {
    /// A datagram with this announcement alone.
    pub fn emit(self) -> [u8; IPV4_JOIN_BYTES] {
        let mut bytes = [0; IPV4_JOIN_BYTES];
        bytes[0] = IPV4_JOIN;
        bytes[1..3].copy_from_slice(&(IPV4_JOIN_BYTES as u16).to_be_bytes());
        bytes[4..8].copy_from_slice(&self.stream.c_source.octets());
        bytes[8..12].copy_from_slice(&self.stream.c_group.octets());
        bytes[12..16].copy_from_slice(&self.p_group.octets());
        bytes
    }
}

/// The announcements of a datagram, which fill it exactly; TLVs of other types are passed over. None: it is malformed,
/// and none of it may be believed.
pub fn parse(mut bytes: &[u8]) -> Option<Vec<MdtJoin>> {
    let mut joins = Vec::new();
    while let [kind, high, low, ..] = *bytes {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (tlv, rest) = bytes.split_at_checked(length.max(3))?;
        match (kind, length) {
            (IPV4_JOIN, IPV4_JOIN_BYTES) => joins.push(MdtJoin {
                stream: Stream {
                    c_source: address(tlv, 4),
                    c_group: address(tlv, 8),
                },
                p_group: address(tlv, 12),
            }),
            (IPV4_JOIN, _) | (_, 0..=2) => return None,
            (_, _) => {}
        }
        bytes = rest;
    }
    bytes.is_empty().then_some(joins)
}

fn address(tlv: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(tlv[at], tlv[at + 1], tlv[at + 2], tlv[at + 3])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn join(last: u8) -> MdtJoin {
        MdtJoin {
            stream: Stream {
                c_source: Ipv4Addr::new(192, 168, 1, 2),
                c_group: Ipv4Addr::new(239, 9, 9, 9),
            },
            p_group: Ipv4Addr::new(239, 2, 1, last),
        }
    }

    #[test]
    fn an_announcement_is_as_the_rfc_draws_it() {
        let wanted = [1, 0, 16, 0, 192, 168, 1, 2, 239, 9, 9, 9, 239, 2, 1, 7];
        assert_eq!(join(7).emit(), wanted);
    }

    #[test]
    fn several_fill_a_datagram_and_other_types_are_passed_over() {
        let mut bytes = join(1).emit().to_vec();
        bytes.extend([4, 0, 5, 0, 0]);
        bytes.extend(join(2).emit());
        assert_eq!(parse(&bytes), Some(vec![join(1), join(2)]));
        assert_eq!(parse(&[]), Some(vec![]));
    }

    #[test]
    fn what_is_cut_or_of_a_wrong_length_is_not_believed() {
        let good = join(1).emit();
        for end in 1..good.len() {
            assert_eq!(parse(&good[..end]), None, "{end} bytes");
        }
        let mut long = good.to_vec();
        long[2] = 17;
        long.push(0);
        assert_eq!(parse(&long), None);
        assert_eq!(parse(&[4, 0, 2]), None);
    }

    proptest! {
        #[test]
        fn no_datagram_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse(&bytes);
        }
    }
}
