//! What the kernel knows of the interface we send and capture on.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::net::if_::{if_nameindex, if_nametoindex};

use crate::error::StartError;

/// An Ethernet address.
pub type MacAddress = [u8; 6];

/// The monitor's interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Name.
    pub name: String,
    /// Index.
    pub index: u32,
    /// Largest IP datagram it sends, bytes.
    pub mtu_bytes: u32,
    /// Its Ethernet address; zeros if it has none.
    pub mac: MacAddress,
}

impl Interface {
    /// Looks an interface up by its name.
    pub fn named(name: &str) -> Result<Interface, StartError> {
        let index = if_nametoindex(name).map_err(|_| StartError::NoInterface {
            name: name.to_owned(),
            present: present(),
        })?;
        let failed = |attempted| {
            let name = name.to_owned();
            move |source| StartError::Interface {
                attempted,
                name,
                source,
            }
        };
        let mtu = ask(name, libc::SIOCGIFMTU).map_err(failed("read the MTU of"))?;
        let hardware = ask(name, libc::SIOCGIFHWADDR).map_err(failed("read the address of"))?;
        // SAFETY: each request filled in the field of its name, and any bits are a valid integer or array.
        let (mtu_bytes, hardware) = unsafe {
            (
                mtu.ifr_ifru.ifru_mtu.unsigned_abs(),
                hardware.ifr_ifru.ifru_hwaddr.sa_data,
            )
        };
        let mut mac = [0; 6];
        for (to, from) in mac.iter_mut().zip(hardware) {
            *to = from.cast_unsigned();
        }
        Ok(Interface {
            name: name.to_owned(),
            index,
            mtu_bytes,
            mac,
        })
    }
}

/// Names of the interfaces there are, for an error message.
fn present() -> String {
    let Ok(interfaces) = if_nameindex() else {
        return "none that can be listed".to_owned();
    };
    let names: Vec<_> = interfaces
        .iter()
        .map(|i| i.name().to_string_lossy().into_owned())
        .collect();
    names.join(", ")
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Asks the kernel one thing about an interface.
fn ask(name: &str, what: libc::Ioctl) -> io::Result<libc::ifreq> {
    // SAFETY: an ifreq of zeros is valid; its name is shorter than IFNAMSIZ, for the kernel knows it;
    // the requests used here write within the structure.
    unsafe {
        let socket = OwnedFd::from_raw_fd(check(libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0))?);
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from.cast_signed();
        }
        check(libc::ioctl(socket.as_raw_fd(), what, &mut request))?;
        Ok(request)
    }
}

/// Makes the interface hear every multicast frame for as long as this is kept.
///
/// A tunnel without encapsulation joins groups by IGMP messages that we write ourselves, so
/// the kernel does not know that it should listen to them.
pub struct HearsAllMulticast {
    _socket: OwnedFd,
}

impl HearsAllMulticast {
    /// Asks for it.
    pub fn on(interface: &Interface) -> io::Result<HearsAllMulticast> {
        // SAFETY: plain system calls on a structure of the size we state. Protocol 0: the socket receives nothing.
        unsafe {
            let socket =
                OwnedFd::from_raw_fd(check(libc::socket(libc::AF_PACKET, libc::SOCK_DGRAM, 0))?);
            let mut membership: libc::packet_mreq = std::mem::zeroed();
            membership.mr_ifindex = interface.index.cast_signed();
            membership.mr_type = libc::PACKET_MR_ALLMULTI as libc::c_ushort;
            check(libc::setsockopt(
                socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
                std::ptr::from_ref(&membership).cast(),
                size_of::<libc::packet_mreq>() as libc::socklen_t,
            ))?;
            Ok(HearsAllMulticast { _socket: socket })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_found_with_its_mtu() {
        let loopback = Interface::named("lo").unwrap();
        assert!(loopback.index > 0 && loopback.mtu_bytes >= 1_500);
    }

    #[test]
    fn an_absent_interface_is_refused_with_those_present() {
        let error = Interface::named("eth-nowhere").unwrap_err().to_string();
        assert!(
            error.contains("eth-nowhere") && error.contains("lo"),
            "{error}"
        );
    }
}
