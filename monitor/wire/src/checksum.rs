//! The Internet checksum (RFC 1071): the ones' complement of the ones' complement sum of 16-bit words.

use core::net::Ipv4Addr;

use crate::ipv4::IpProtocol;

/// A running sum. Pieces may be added in any lengths, in the order in which they lie in the packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    words: u64,
    /// An odd number of bytes came so far: the next byte is the low half of a word.
    odd: bool,
}

impl Sum {
    /// The sum of one piece.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::default().and(bytes)
    }

    /// The sum of the pseudo header that UDP's checksum covers (RFC 768). `length` is in bytes.
    #[must_use]
    pub fn of_pseudo_header(
        src: Ipv4Addr,
        dst: Ipv4Addr,
        protocol: IpProtocol,
        length: u16,
    ) -> Self {
        let [high, low] = length.to_be_bytes();
        Self::default().and(&src.octets()).and(&dst.octets()).and(&[
            0,
            u8::from(protocol),
            high,
            low,
        ])
    }

    /// The sum with one more piece behind it.
    #[must_use]
    pub fn and(self, bytes: &[u8]) -> Self {
        let Some((&first, rest)) = bytes.split_first() else {
            return self;
        };
        if self.odd {
            let words = self.words + u64::from(first);
            return Self { words, odd: false }.and(rest);
        }
        // A big-endian 32-bit word is congruent to the sum of its halves modulo 0xffff, so half
        // as many steps do; 2^32 of them fit before the accumulator overflows.
        let mut chunks = bytes.chunks_exact(4);
        let mut words = self.words;
        for chunk in chunks.by_ref() {
            words += u64::from(u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]));
        }
        let mut last = [0; 4];
        last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
        Self {
            words: words + u64::from(u32::from_be_bytes(last)),
            odd: bytes.len() % 2 == 1,
        }
    }

    /// The checksum field that makes the whole sum to all ones.
    #[must_use]
    pub fn checksum(self) -> u16 {
        let mut sum = self.words;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }
}

/// The checksum of `bytes` as if the 16-bit field at `offset` (even) were zero.
#[must_use]
pub(crate) fn checksum_without(bytes: &[u8], offset: usize) -> u16 {
    Sum::of(&bytes[..offset])
        .and(&bytes[offset + 2..])
        .checksum()
}
