//! Big-endian reads and writes at an offset. Callers have checked that the bytes are there:
//! every view's constructor does so before any getter can run.

use core::net::Ipv4Addr;

pub(crate) fn array_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[offset..offset + N]);
    array
}

pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_be_bytes(array_at(bytes, offset))
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_be_bytes(array_at(bytes, offset))
}

pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_be_bytes(array_at(bytes, offset))
}

pub(crate) fn address_at(bytes: &[u8], offset: usize) -> Ipv4Addr {
    Ipv4Addr::from(array_at::<4>(bytes, offset))
}

pub(crate) fn put(buffer: &mut [u8], offset: usize, bytes: &[u8]) {
    buffer[offset..offset + bytes.len()].copy_from_slice(bytes);
}

pub(crate) fn put_u16(buffer: &mut [u8], offset: usize, value: u16) {
    put(buffer, offset, &value.to_be_bytes());
}

pub(crate) fn put_u32(buffer: &mut [u8], offset: usize, value: u32) {
    put(buffer, offset, &value.to_be_bytes());
}

pub(crate) fn put_u64(buffer: &mut [u8], offset: usize, value: u64) {
    put(buffer, offset, &value.to_be_bytes());
}

pub(crate) fn put_address(buffer: &mut [u8], offset: usize, address: Ipv4Addr) {
    put(buffer, offset, &address.octets());
}
