//! What one message says: PIM's Hello and Join/Prune (RFC 7761 section 4.9), and the MDT Join (RFC 6037 section 7).
//!
//! The customers here are IPv4's; of other families nothing is read.

use std::net::Ipv4Addr;

use crate::mdt::{Stream, join};

/// PIM's header, and UDP's.
const PIM_HEADER_BYTES: usize = 4;
const UDP_HEADER_BYTES: usize = 8;
/// RFC 7761 section 4.9: message types.
const HELLO: u8 = 0;
const JOIN_PRUNE: u8 = 3;
/// Address family IPv4 in its native encoding (section 4.9.1).
const IPV4: [u8; 2] = [1, 0];
/// Flags of an encoded source (section 4.9.1): wildcard, and on the RP's tree.
const WILDCARD: u8 = 2;
const RP_TREE: u8 = 1;
/// Default_Hello_Holdtime (section 4.11), where a Hello names none.
const DEFAULT_HOLD_S: u16 = 105;

/// A message, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The PE is there.
    Hello(Hello),
    /// What it asks of a neighbour.
    JoinPrune(JoinPrune),
    /// Which streams it has on data MDTs.
    MdtJoin(Vec<(Stream, Ipv4Addr)>),
    /// Another type of PIM.
    Other {
        /// The type.
        kind: u8,
    },
}

/// A Hello's options, as far as they say something of the PE.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hello {
    /// How long it is believed, seconds; all ones for ever.
    pub hold_s: u16,
    /// Option 20.
    pub generation_id: Option<u32>,
    /// Option 19.
    pub dr_priority: Option<u32>,
    /// Option 22 (RFC 5015).
    pub bidirectional: bool,
    /// Option 24: further addresses.
    pub addresses: Vec<Ipv4Addr>,
}

/// A Join/Prune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinPrune {
    /// Of whom it asks.
    pub upstream: Ipv4Addr,
    /// How long joins are believed, seconds.
    pub hold_s: u16,
    /// By group.
    pub groups: Vec<Group>,
}

/// What is asked of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The customer's group.
    pub group: Ipv4Addr,
    /// Joined sources.
    pub joins: Vec<Source>,
    /// Pruned sources.
    pub prunes: Vec<Source>,
}

/// An entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The source, or of a wildcard the RP.
    pub address: Ipv4Addr,
    /// What it stands for.
    pub tree: Tree,
}

/// Which of a group's trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tree {
    /// (*,G).
    Shared,
    /// (S,G).
    Source,
    /// (S,G,rpt).
    SourceOnShared,
}

impl Said {
    /// Reads an IPv4 payload: of PIM, or a UDP datagram. None: it makes no sense, or is not all there.
    pub fn read(is_pim: bool, payload: &[u8]) -> Option<Self> {
        if !is_pim {
            let announced = join::parse(payload.get(UDP_HEADER_BYTES..)?)?;
            let pairs = announced
                .into_iter()
                .map(|join| (join.stream, join.p_group));
            return Some(Self::MdtJoin(pairs.collect()));
        }
        let kind = payload.first()? & 0x0f;
        let mut body = Body(payload.get(PIM_HEADER_BYTES..)?);
        match kind {
            HELLO => body.hello().map(Self::Hello),
            JOIN_PRUNE => body.join_prune().map(Self::JoinPrune),
            kind => Some(Self::Other { kind }),
        }
    }
}

/// What is left to read.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn short(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn address(&mut self) -> Option<Ipv4Addr> {
        self.take::<4>().map(Ipv4Addr::from)
    }

    /// Section 4.9.1, Encoded-Unicast.
    fn unicast(&mut self) -> Option<Ipv4Addr> {
        (self.take()? == IPV4).then_some(())?;
        self.address()
    }

    /// Section 4.9.1, Encoded-Group and Encoded-Source: flags and address. Only single ones are asked for.
    fn flagged(&mut self) -> Option<(u8, Ipv4Addr)> {
        (self.take()? == IPV4).then_some(())?;
        let [flags, mask_bits] = self.take()?;
        (mask_bits == 32).then_some(())?;
        Some((flags, self.address()?))
    }

    /// Section 4.9.2.
    fn hello(&mut self) -> Option<Hello> {
        let mut hello = Hello {
            hold_s: DEFAULT_HOLD_S,
            ..Hello::default()
        };
        while !self.0.is_empty() {
            let (kind, length) = (self.short()?, self.short()?);
            let mut value = Body(self.bytes(usize::from(length))?);
            match kind {
                1 => hello.hold_s = value.short()?,
                19 => hello.dr_priority = Some(u32::from_be_bytes(value.take()?)),
                20 => hello.generation_id = Some(u32::from_be_bytes(value.take()?)),
                22 => hello.bidirectional = true,
                24 => {
                    while !value.0.is_empty() {
                        hello.addresses.push(value.unicast()?);
                    }
                }
                _ => {}
            }
        }
        Some(hello)
    }

    /// Section 4.9.5.
    fn join_prune(&mut self) -> Option<JoinPrune> {
        let upstream = self.unicast()?;
        let [_reserved, count] = self.take()?;
        let hold_s = self.short()?;
        let groups: Option<Vec<Group>> = (0..count).map(|_| self.group()).collect();
        Some(JoinPrune {
            upstream,
            hold_s,
            groups: groups?,
        })
    }

    fn group(&mut self) -> Option<Group> {
        let (_, group) = self.flagged()?;
        let (joined, pruned) = (self.short()?, self.short()?);
        Some(Group {
            group,
            joins: (0..joined).map(|_| self.source()).collect::<Option<_>>()?,
            prunes: (0..pruned).map(|_| self.source()).collect::<Option<_>>()?,
        })
    }

    /// Section 4.9.5.1: which combinations of flags mean what.
    fn source(&mut self) -> Option<Source> {
        let (flags, address) = self.flagged()?;
        let tree = match (flags & WILDCARD != 0, flags & RP_TREE != 0) {
            (true, true) => Tree::Shared,
            (false, false) => Tree::Source,
            (false, true) => Tree::SourceOnShared,
            (true, false) => return None,
        };
        Some(Source { address, tree })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Written by hand after RFC 7761 section 4.9.2, with the options that FRR sends.
    const HELLO_BYTES: [u8; 34] = [
        0x20, 0, 0, 0, 0, 1, 0, 2, 0, 17, 0, 2, 0, 4, 1, 0xf4, 9, 0xc4, 0, 19, 0, 4, 0, 0, 0, 1, 0,
        20, 0, 4, 1, 2, 3, 4,
    ];

    fn join_prune() -> Vec<u8> {
        let mut bytes = vec![0x23, 0, 0, 0, 1, 0, 172, 16, 2, 1, 0, 1, 0, 17];
        bytes.extend([1, 0, 0, 32, 239, 100, 1, 1, 0, 2, 0, 1]);
        bytes.extend([1, 0, 7, 32, 172, 31, 2, 1]);
        bytes.extend([1, 0, 4, 32, 192, 168, 1, 2]);
        bytes.extend([1, 0, 5, 32, 192, 168, 3, 2]);
        bytes
    }

    #[test]
    fn a_hello_is_its_options() {
        let hello = Hello {
            hold_s: 17,
            generation_id: Some(0x0102_0304),
            dr_priority: Some(1),
            ..Hello::default()
        };
        assert_eq!(Said::read(true, &HELLO_BYTES), Some(Said::Hello(hello)));
    }

    #[test]
    fn flags_say_which_tree_is_asked_for() {
        let Some(Said::JoinPrune(asked)) = Said::read(true, &join_prune()) else {
            panic!("a Join/Prune");
        };
        let source = |address: [u8; 4], tree| Source {
            address: address.into(),
            tree,
        };
        assert_eq!(asked.upstream, Ipv4Addr::new(172, 16, 2, 1));
        let [group] = &asked.groups[..] else {
            panic!("one group")
        };
        assert_eq!(
            group.joins,
            [
                source([172, 31, 2, 1], Tree::Shared),
                source([192, 168, 1, 2], Tree::Source)
            ]
        );
        assert_eq!(
            group.prunes,
            [source([192, 168, 3, 2], Tree::SourceOnShared)]
        );
    }

    #[test]
    fn what_is_cut_off_is_not_believed() {
        let whole = join_prune();
        for end in 0..whole.len() {
            assert_eq!(Said::read(true, &whole[..end]), None, "{end} bytes");
        }
        // A Hello may end after any of its options.
        assert_eq!(Said::read(true, &HELLO_BYTES[..7]), None);
    }

    proptest! {
        #[test]
        fn no_message_panics(is_pim: bool, bytes in proptest::collection::vec(any::<u8>(), 0..128)) {
            let _ = Said::read(is_pim, &bytes);
        }
    }
}
