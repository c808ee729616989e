//! Frames, byte by byte: no codec of the product makes them.

use std::net::Ipv4Addr;

/// RFC 1071.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let bytes = parts.concat();
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)])));
    let mut sum: u32 = words.sum();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

pub fn ethernet(to: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [
        &to[..],
        &[2, 0, 0, 0, 0, 9],
        &ethertype.to_be_bytes(),
        payload,
    ]
    .concat()
}

pub fn ipv4(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    ttl: u8,
    payload: &[u8],
) -> Vec<u8> {
    let length = (20 + payload.len()) as u16;
    let mut header = [
        0x45, 0, 0, 0, 0, 1, 0, 0, ttl, protocol, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    header[2..4].copy_from_slice(&length.to_be_bytes());
    header[12..16].copy_from_slice(&source.octets());
    header[16..20].copy_from_slice(&destination.octets());
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum);
    [&header[..], payload].concat()
}

/// The same datagram one hop further.
pub fn forwarded(datagram: &[u8]) -> Vec<u8> {
    let mut next = datagram.to_vec();
    next[8] -= 1;
    next[10..12].fill(0);
    let sum = checksum(&[&next[..20]]);
    next[10..12].copy_from_slice(&sum);
    next
}

pub fn udp(source: Ipv4Addr, destination: Ipv4Addr, port: u16, ttl: u8, data: &[u8]) -> Vec<u8> {
    let length = ((8 + data.len()) as u16).to_be_bytes();
    let header = [&port.to_be_bytes()[..], &port.to_be_bytes(), &length].concat();
    let pseudo = [
        &source.octets()[..],
        &destination.octets(),
        &[0, 17],
        &length,
    ]
    .concat();
    let sum = checksum(&[&pseudo, &header, &[0, 0], data]);
    ipv4(
        source,
        destination,
        17,
        ttl,
        &[&header[..], &sum, data].concat(),
    )
}

pub fn gre(source: Ipv4Addr, destination: Ipv4Addr, key: Option<u32>, inner: &[u8]) -> Vec<u8> {
    let key = key.map(u32::to_be_bytes);
    let flags: [u8; 2] = if key.is_some() { [0x20, 0] } else { [0, 0] };
    let key = key.as_ref().map_or(&[][..], |key| &key[..]);
    ipv4(
        source,
        destination,
        47,
        63,
        &[&flags[..], &[8, 0], key, inner].concat(),
    )
}

pub fn register(source: Ipv4Addr, rp: Ipv4Addr, inner: &[u8]) -> Vec<u8> {
    let header = [0x21, 0, 0, 0, 0, 0, 0, 0];
    let sum = checksum(&[&header]);
    let header = [&header[..2], &sum, &header[4..]].concat();
    ipv4(source, rp, 103, 255, &[&header[..], inner].concat())
}

pub fn icmp_echo(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    request: bool,
    tunnel: u32,
    sequence: u32,
) -> Vec<u8> {
    let data = [
        &b"VMSE"[..],
        &7u32.to_be_bytes(),
        &tunnel.to_be_bytes(),
        &sequence.to_be_bytes(),
    ]
    .concat();
    let header = [if request { 8 } else { 0 }, 0, 0, 0, 0, 1, 0, 2];
    let sum = checksum(&[&header, &data]);
    ipv4(
        source,
        destination,
        1,
        64,
        &[&header[..2], &sum, &header[4..], &data].concat(),
    )
}

pub fn igmp(source: Ipv4Addr, destination: Ipv4Addr, kind: u8) -> Vec<u8> {
    let body = [kind, 0, 0, 0, 239, 1, 1, 1];
    let sum = checksum(&[&body]);
    ipv4(
        source,
        destination,
        2,
        1,
        &[&body[..2], &sum, &body[4..]].concat(),
    )
}

/// A probe's payload, 60 bytes.
pub fn probe_payload(session: u32, task: u32, sender: u32, sequence: u32, warmup: bool) -> Vec<u8> {
    let head = [&b"VMSP"[..], &[1, u8::from(warmup), 0, 32]].concat();
    let names = [session, task, sender, sequence]
        .map(u32::to_be_bytes)
        .concat();
    [&head[..], &names, &[0; 8], &[0; 28]].concat()
}

/// Session, task, sender and sequence number, if a receiver's UDP and a monitor take the datagram for a probe.
pub fn taken_for(datagram: &[u8]) -> Option<[u32; 4]> {
    let udp = &datagram[20..];
    let length = usize::from(u16::from_be_bytes([udp[4], udp[5]]));
    let udp = udp.get(..length).filter(|udp| udp.len() >= 40)?;
    let pseudo = [&datagram[12..20], &[0, 17], &udp[4..6]].concat();
    let is_sound = udp[6..8] == [0, 0] || checksum(&[&pseudo, udp]) == [0, 0];
    let data = &udp[8..];
    let is_probe = udp[2..4] == 33900u16.to_be_bytes()
        && data[..5] == *b"VMSP\x01"
        && data[6..8] == 32u16.to_be_bytes();
    let number =
        |at: usize| u32::from_be_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]);
    (is_sound && is_probe).then(|| [8, 12, 16, 20].map(number))
}

pub fn multicast_mac(group: Ipv4Addr) -> [u8; 6] {
    let [_, b, c, d] = group.octets();
    [1, 0, 0x5e, b & 0x7f, c, d]
}
