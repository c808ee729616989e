//! What a customer's packet carries: an RTP header (RFC 3550 section 5.1), then magic, flow and sequence number.

/// UDP destination port of customer traffic.
pub const PORT: u16 = 5004;
/// RTP header and ours.
pub const HEADER_BYTES: usize = 24;
const MAGIC: [u8; 4] = *b"MVLB";
const RTP_VERSION_2: u8 = 0x80;
const PAYLOAD_TYPE: u8 = 96;

/// Writes a packet over the whole buffer. `rtp_time`: the 90 kHz RTP timestamp.
///
/// The buffer holds at least [`HEADER_BYTES`]; the rest is padded with zeros.
pub fn emit(buffer: &mut [u8], flow: u32, sequence: u32, rtp_time: u32) {
    buffer.fill(0);
    let fields: [&[u8]; 7] = [
        &[RTP_VERSION_2, PAYLOAD_TYPE],
        &(sequence as u16).to_be_bytes(),
        &rtp_time.to_be_bytes(),
        &flow.to_be_bytes(),
        &MAGIC,
        &flow.to_be_bytes(),
        &sequence.to_be_bytes(),
    ];
    let header = fields.concat();
    let fits = header.len().min(buffer.len());
    buffer[..fits].copy_from_slice(&header[..fits]);
}

/// Flow and sequence number, if it is one of ours.
pub fn parse(payload: &[u8]) -> Option<(u32, u32)> {
    let ours =
        payload.len() >= HEADER_BYTES && payload[0] == RTP_VERSION_2 && payload[12..16] == MAGIC;
    ours.then(|| (word(payload, 16), word(payload, 20)))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_emitted_is_parsed_and_is_rtp() {
        let mut buffer = [0xff; 100];
        emit(&mut buffer, 3, 0x0001_0002, 90_000);
        assert_eq!(parse(&buffer), Some((3, 0x0001_0002)));
        assert_eq!(buffer[..12], [0x80, 96, 0, 2, 0, 1, 0x5f, 0x90, 0, 0, 0, 3]);
        assert_eq!(buffer[24..], [0; 76]);
    }

    #[test]
    fn others_are_not_ours() {
        let mut buffer = [0; 32];
        emit(&mut buffer, 3, 4, 5);
        assert_eq!(parse(&buffer[..23]), None);
        buffer[12] = b'X';
        assert_eq!(parse(&buffer), None);
    }
}
