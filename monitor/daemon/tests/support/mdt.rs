//! What PEs tell each other on a default MDT, byte by byte: a defect of the monitor's codec must not cancel itself out.

pub type Address = [u8; 4];

/// 224.0.0.13.
pub const ALL_PIM_ROUTERS: Address = [224, 0, 0, 13];

/// GRE without options around an IPv4 packet (RFC 2784).
pub fn gre(packet: &[u8]) -> Vec<u8> {
    [&[0, 0, 0x08, 0x00], packet].concat()
}

/// A VRF's packet as its PE sends it into an MDT (RFC 6037 §4).
pub fn on_mdt(pe: Address, mdt: Address, packet: &[u8]) -> Vec<u8> {
    ipv4(47, pe, mdt, &gre(packet))
}

/// The same, as a router sends it to a monitor.
pub fn in_tunnel(router: Address, monitor: Address, packet: &[u8]) -> Vec<u8> {
    ipv4(47, router, monitor, &gre(packet))
}

/// A PIM message from an address to all PIM routers.
pub fn pim(from: Address, message: Vec<u8>) -> Vec<u8> {
    ipv4(103, from, ALL_PIM_ROUTERS, &message)
}

/// Hello with hold time, DR priority 1 and generation id (RFC 7761 §4.9.2).
pub fn hello(hold_s: u16, generation: u32) -> Vec<u8> {
    let mut message = vec![0x20, 0, 0, 0, 0, 1, 0, 2];
    message.extend(hold_s.to_be_bytes());
    message.extend([0, 19, 0, 4, 0, 0, 0, 1, 0, 20, 0, 4]);
    message.extend(generation.to_be_bytes());
    summed(message)
}

/// A Join/Prune of one group (RFC 7761 §4.9.5): (S,G) joins and (S,G) prunes.
pub fn join_prune(
    upstream: Address,
    hold_s: u16,
    group: Address,
    joins: &[Address],
    prunes: &[Address],
) -> Vec<u8> {
    let mut message = vec![0x23, 0, 0, 0, 1, 0];
    message.extend(upstream);
    message.extend([0, 1]);
    message.extend(hold_s.to_be_bytes());
    message.extend([1, 0, 0, 32]);
    message.extend(group);
    message.extend((joins.len() as u16).to_be_bytes());
    message.extend((prunes.len() as u16).to_be_bytes());
    for source in joins.iter().chain(prunes) {
        message.extend([1, 0, 4, 32]);
        message.extend(source);
    }
    summed(message)
}

/// An MDT Join of one stream (RFC 6037 §7.2), in UDP from an address to all PIM routers.
pub fn mdt_join(from: Address, source: Address, group: Address, data_mdt: Address) -> Vec<u8> {
    let tlv = [&[1, 0, 16, 0], &source[..], &group, &data_mdt].concat();
    ipv4(17, from, ALL_PIM_ROUTERS, &udp(3232, 3232, &tlv))
}

/// A UDP datagram without checksum.
pub fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len() as u16).to_be_bytes();
    let header = [from.to_be_bytes(), to.to_be_bytes(), length, [0, 0]].concat();
    [&header[..], payload].concat()
}

/// Puts the checksum into a PIM message.
pub fn summed(mut message: Vec<u8>) -> Vec<u8> {
    let sum = sum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// An IPv4 packet without options.
pub fn ipv4(protocol: u8, source: [u8; 4], destination: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len()) as u16;
    let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    packet.extend_from_slice(&source);
    packet.extend_from_slice(&destination);
    let sum = sum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// The Internet checksum (RFC 1071).
pub fn sum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0)));
    let mut total: u32 = words.sum();
    while total >> 16 != 0 {
        total = (total & 0xffff) + (total >> 16);
    }
    !(total as u16)
}
