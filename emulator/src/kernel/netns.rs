//! Network namespaces: made, entered, fitted for routing, removed.

use std::{
    collections::BTreeMap,
    fs, io,
    os::fd::{AsFd, OwnedFd},
};

use netns_rs::NetNs;

use super::{KernelError, netlink::Netlink};

/// First index given to a device of ours; far above `lo`, the fallback tunnels and the register devices that the kernel numbers.
const FIRST_INDEX: u32 = 100;

/// A network namespace that is removed when dropped.
#[derive(Debug)]
pub struct Netns {
    name: String,
    inner: Option<NetNs>,
    netlink: Netlink,
    devices: BTreeMap<String, u32>,
    next_index: u32,
}

/// What a namespace is for, as far as its kernel settings go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarding {
    /// A router.
    On,
    /// A host.
    Off,
}

impl Netns {
    /// Creates `<prefix><name>`; a leftover of that name, of a lab that was killed, is replaced.
    pub fn create(prefix: &str, name: &str) -> Result<Self, KernelError> {
        let full = format!("{prefix}{name}");
        let error =
            |what: &str, found: &dyn std::fmt::Display| KernelError::new(what, &full, found);
        if let Ok(leftover) = NetNs::get(&full) {
            leftover
                .remove()
                .map_err(|e| error("remove a leftover namespace", &e))?;
        }
        let inner = NetNs::new(&full).map_err(|e| error("create the namespace", &e))?;
        let netlink = inner
            .run(|_| Netlink::open())
            .map_err(|e| error("enter the namespace", &e))?
            .map_err(|e| error("open a netlink socket", &e))?;
        Ok(Self {
            name: name.to_owned(),
            inner: Some(inner),
            netlink,
            devices: BTreeMap::from([("lo".to_owned(), 1)]),
            next_index: FIRST_INDEX,
        })
    }

    /// Name in the plan, without the lab's prefix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its routing socket.
    pub fn netlink(&self) -> &Netlink {
        &self.netlink
    }

    /// A new descriptor of the namespace, for setns(2).
    pub fn open(&self) -> io::Result<OwnedFd> {
        self.inner().file().as_fd().try_clone_to_owned()
    }

    /// Runs something in here, on this thread. What it opens stays here.
    pub fn inside<T>(&self, run: impl FnOnce() -> T) -> Result<T, KernelError> {
        self.inner()
            .run(|_| run())
            .map_err(|e| self.error("enter the namespace", e))
    }

    /// An error of this namespace.
    pub fn error(
        &self,
        attempted: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> KernelError {
        KernelError::new(attempted, &self.name, found)
    }

    /// The index of a device made by [`Netns::register`].
    pub fn index(&self, device: &str) -> Result<u32, KernelError> {
        let index = self.devices.get(device).copied();
        index.ok_or_else(|| {
            self.error(
                format!("find the device {device}"),
                "no such device was made",
            )
        })
    }

    /// All devices and their indices.
    pub fn devices(&self) -> &BTreeMap<String, u32> {
        &self.devices
    }

    /// Gives a new device its index: counted, so that a lab is the same every time.
    pub fn register(&mut self, device: &str) -> u32 {
        let index = self.next_index;
        self.next_index += 1;
        self.devices.insert(device.to_owned(), index);
        index
    }

    /// Forgets a device that was deleted.
    pub fn forget(&mut self, device: &str) {
        self.devices.remove(device);
    }

    /// Kernel settings before any device is made: no IPv6 chatter, no reverse path filter, room for memberships.
    pub fn prepare(&self, forwarding: Forwarding) -> Result<(), KernelError> {
        self.sysctl("net/ipv4/igmp_max_memberships", "4096")?;
        self.sysctl("net/ipv4/igmp_max_msf", "512")?;
        for which in ["all", "default"] {
            self.sysctl(&format!("net/ipv4/conf/{which}/rp_filter"), "0")?;
            self.sysctl(&format!("net/ipv4/conf/{which}/send_redirects"), "0")?;
            self.sysctl(&format!("net/ipv4/conf/{which}/accept_redirects"), "0")?;
            if self.inside(|| fs::exists("/proc/sys/net/ipv6").unwrap_or(false))? {
                self.sysctl(&format!("net/ipv6/conf/{which}/disable_ipv6"), "1")?;
            }
        }
        self.set_forwarding(forwarding)
    }

    /// IPv4 forwarding, of all devices present and to come.
    pub fn set_forwarding(&self, forwarding: Forwarding) -> Result<(), KernelError> {
        let value = match forwarding {
            Forwarding::On => "1",
            Forwarding::Off => "0",
        };
        self.sysctl("net/ipv4/ip_forward", value)
    }

    fn sysctl(&self, key: &str, value: &str) -> Result<(), KernelError> {
        let path = format!("/proc/sys/{key}");
        self.inside(|| fs::write(&path, value))?
            .map_err(|e| self.error(format!("set {key} to {value}"), e))
    }

    fn inner(&self) -> &NetNs {
        self.inner.as_ref().expect("taken only by drop")
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take()
            && let Err(error) = inner.remove()
        {
            tracing::warn!(namespace = self.name, %error, "cannot remove the namespace");
        }
    }
}
