//! The bytes on the link, written and read by hand: a defect of the monitor's codec must not cancel itself out here.
//!
//! ```text
//! 0 Ethernet   14 outer IPv4   34 GRE   38 inner IPv4   58 UDP   66 probe
//! ```

/// Address of the monitor's end of the link, Ethernet.
pub const MONITOR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// Address of the reflector's end.
pub const PES_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// Address that the monitor sends to: not the other end's own, so that the kernel there, which would look for a route in the
/// sender's processor time, drops at once what only the reflector is to see.
pub const ROUTER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 3];
/// Outer address of the monitor's end of every tunnel.
pub const MONITOR: [u8; 4] = [10, 1, 0, 2];
/// The router on the link, behind which all PEs are.
pub const GATEWAY: [u8; 4] = [10, 1, 0, 1];
/// UDP port of probes.
pub const PROBE_PORT: u16 = 33_900;
/// Bytes in front of a tunnel's inner packet: Ethernet, IPv4, GRE.
pub const TUNNEL_BYTES: usize = 14 + 20 + 4;
/// From the inner IPv4 header to the probe: IPv4, UDP.
const PROBE_AT: usize = 20 + 8;
/// Tunnels that can be told apart by their addresses.
pub const TUNNELS_MAX: u32 = 0xffff;

/// Outer address of the PE at the other end of tunnel `id`, which is not 0.
pub fn pe(id: u32) -> [u8; 4] {
    [10, 254, (id >> 8) as u8, id as u8]
}

/// The tunnel whose PE has this outer address.
pub fn tunnel_of(address: &[u8]) -> Option<u32> {
    match address {
        [10, 254, high, low] => Some(u32::from(*high) << 8 | u32::from(*low)),
        _ => None,
    }
}

/// The monitor's and the PE's address inside tunnel `id`.
pub fn inner_ends(id: u32) -> ([u8; 4], [u8; 4]) {
    let [_, _, high, low] = pe(id);
    ([10, 77, high, low], [10, 78, high, low])
}

/// The ones' complement sum of an IPv4 header or an ICMP message.
pub fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// An IPv4 header in front of `payload_bytes` bytes.
fn ipv4(protocol: u8, source: [u8; 4], destination: [u8; 4], payload_bytes: usize) -> [u8; 20] {
    let mut header = [0; 20];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&(20 + payload_bytes as u16).to_be_bytes());
    header[8] = 64;
    header[9] = protocol;
    header[12..16].copy_from_slice(&source);
    header[16..20].copy_from_slice(&destination);
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

/// What goes in front of an inner packet of `inner_bytes` on its way from the monitor into tunnel `id`, or back.
pub fn tunnel_header(id: u32, to_monitor: bool, inner_bytes: usize) -> [u8; TUNNEL_BYTES] {
    let (to, from) = if to_monitor {
        (MONITOR_MAC, PES_MAC)
    } else {
        (ROUTER_MAC, MONITOR_MAC)
    };
    let (source, destination) = if to_monitor {
        (pe(id), MONITOR)
    } else {
        (MONITOR, pe(id))
    };
    let mut header = [0; TUNNEL_BYTES];
    header[0..6].copy_from_slice(&to);
    header[6..12].copy_from_slice(&from);
    header[12..14].copy_from_slice(&[0x08, 0x00]);
    header[14..34].copy_from_slice(&ipv4(47, source, destination, 4 + inner_bytes));
    header[34..38].copy_from_slice(&[0, 0, 0x08, 0x00]);
    header
}

/// A probe's inner packet as the reference sends it: a probe in all but its UDP checksum.
pub fn reference_probe(id: u32, group: [u8; 4], payload_bytes: usize) -> Vec<u8> {
    let mut udp = vec![0; 8 + payload_bytes];
    udp[0..2].copy_from_slice(&PROBE_PORT.to_be_bytes());
    udp[2..4].copy_from_slice(&PROBE_PORT.to_be_bytes());
    udp[4..6].copy_from_slice(&(8 + payload_bytes as u16).to_be_bytes());
    udp[8..12].copy_from_slice(b"VMSP");
    udp[24..28].copy_from_slice(&id.to_be_bytes());
    [&ipv4(17, inner_ends(id).0, group, udp.len())[..], &udp].concat()
}

/// Puts a number into a packet of [`reference_probe`].
pub fn number(probe: &mut [u8], seq: u32) {
    probe[PROBE_AT + 20..PROBE_AT + 24].copy_from_slice(&seq.to_be_bytes());
}

/// An IGMPv3 report that joins a group from any source (RFC 3376 section 4.2), as an inner packet.
pub fn join(id: u32, group: [u8; 4]) -> Vec<u8> {
    let mut report = [&[0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0][..], &group].concat();
    let sum = checksum(&report);
    report[2..4].copy_from_slice(&sum.to_be_bytes());
    [
        &ipv4(2, inner_ends(id).0, [224, 0, 0, 22], report.len())[..],
        &report,
    ]
    .concat()
}

/// Which probe an inner packet is: sender and number.
pub fn probe_of(inner: &[u8]) -> Option<(u32, u32)> {
    let probe = inner.get(PROBE_AT..PROBE_AT + 32)?;
    let word =
        |at: usize| u32::from_be_bytes([probe[at], probe[at + 1], probe[at + 2], probe[at + 3]]);
    (inner[9] == 17 && probe.starts_with(b"VMSP")).then(|| (word(16), word(20)))
}

/// One hop less to live, and the header's checksum to match (RFC 1624). False if it must not go on.
pub fn forward(inner: &mut [u8]) -> bool {
    if inner[8] <= 1 {
        return false;
    }
    inner[8] -= 1;
    let sum = u32::from(u16::from_be_bytes([inner[10], inner[11]])) + 0x100;
    inner[10..12].copy_from_slice(&((sum + (sum >> 16)) as u16).to_be_bytes());
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_sum_to_nothing_before_and_after_a_hop() {
        let mut packet = reference_probe(300, [239, 1, 0, 1], 100);
        for _ in 0..63 {
            assert_eq!(checksum(&packet[..20]), 0);
            assert!(forward(&mut packet));
        }
        assert_eq!(checksum(&packet[..20]), 0);
        assert!(!forward(&mut packet), "the last hop");
        assert_eq!(checksum(&tunnel_header(300, true, packet.len())[14..34]), 0);
    }

    #[test]
    fn a_probe_is_known_by_sender_and_number_and_nothing_else_is_a_probe() {
        let mut packet = reference_probe(300, [239, 1, 0, 1], 100);
        number(&mut packet, 7);
        assert_eq!(probe_of(&packet), Some((300, 7)));
        packet[28] = b'X';
        assert_eq!(probe_of(&packet), None);
        assert_eq!(probe_of(&packet[..40]), None);
        assert_eq!(tunnel_of(&pe(300)), Some(300));
        assert_eq!(tunnel_of(&GATEWAY), None);
    }
}
