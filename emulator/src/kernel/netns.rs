//! Network namespaces: made, entered, fitted for routing, removed.

use std::{
    collections::BTreeMap,
    fmt::Display,
    fs, io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use netns_rs::{DefaultEnv, Env, NetNs};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use super::{KernelError, netlink::Netlink};

/// First index given to a device of ours; far above `lo`, the fallback tunnels and the register devices that the kernel numbers.
const FIRST_INDEX: u32 = 100;

/// A network namespace that is removed when dropped.
#[derive(Debug)]
pub struct Netns {
    name: String,
    mounted: Mounted,
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
    /// Creates `<prefix><name>` for each name; leftovers of these names, of a lab that was killed, are replaced. Needs a
    /// tokio runtime with I/O on this thread. After an error none is left.
    pub fn create_all(prefix: &str, names: &[&str]) -> Result<Vec<Self>, KernelError> {
        // A thread that makes a namespace is in it for good: one for all of them, because starting one a namespace
        // takes longer than the namespaces on a busy machine.
        let made = std::thread::scope(|scope| {
            let make = || {
                names
                    .iter()
                    .map(|name| Mounted::make(prefix, name))
                    .collect()
            };
            scope.spawn(make).join()
        });
        let made: Vec<Mounted> = made.unwrap_or_else(|_| {
            let found = "the thread that makes them panicked";
            Err(KernelError::new("create the namespaces", prefix, found))
        })?;
        made.into_iter()
            .zip(names)
            .map(|(mounted, name)| Self::enter(mounted, name))
            .collect()
    }

    /// Creates a single one.
    pub fn create(prefix: &str, name: &str) -> Result<Self, KernelError> {
        let made = Self::create_all(prefix, &[name])?;
        made.into_iter()
            .next()
            .ok_or_else(|| KernelError::new("create the namespace", name, "none was made"))
    }

    fn enter(mounted: Mounted, name: &str) -> Result<Self, KernelError> {
        let error = |what: &str, found: &dyn Display| KernelError::new(what, name, found);
        let netlink = mounted
            .inner()
            .run(|_| Netlink::open())
            .map_err(|e| error("enter the namespace", &e))?
            .map_err(|e| error("open a netlink socket", &e))?;
        Ok(Self {
            name: name.to_owned(),
            mounted,
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
        self.as_fd().try_clone_to_owned()
    }

    /// Runs something in here, on this thread. What it opens stays here.
    pub fn inside<T>(&self, run: impl FnOnce() -> T) -> Result<T, KernelError> {
        self.inner()
            .run(|_| run())
            .map_err(|e| self.error("enter the namespace", e))
    }

    /// An error of this namespace.
    pub fn error(&self, attempted: impl Into<String>, found: impl Display) -> KernelError {
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
        self.inside(|| {
            set("net/ipv4/igmp_max_memberships", "4096")?;
            set("net/ipv4/igmp_max_msf", "512")?;
            let with_ipv6 = fs::exists("/proc/sys/net/ipv6").unwrap_or(false);
            for which in ["all", "default"] {
                set(&format!("net/ipv4/conf/{which}/rp_filter"), "0")?;
                set(&format!("net/ipv4/conf/{which}/send_redirects"), "0")?;
                set(&format!("net/ipv4/conf/{which}/accept_redirects"), "0")?;
                if with_ipv6 {
                    set(&format!("net/ipv6/conf/{which}/disable_ipv6"), "1")?;
                }
            }
            set_forwarding(forwarding)
        })?
        .map_err(|(attempted, error)| self.error(attempted, error))
    }

    /// IPv4 forwarding, of all devices present and to come.
    pub fn set_forwarding(&self, forwarding: Forwarding) -> Result<(), KernelError> {
        self.inside(|| set_forwarding(forwarding))?
            .map_err(|(attempted, error)| self.error(attempted, error))
    }

    fn inner(&self) -> &NetNs {
        self.mounted.inner()
    }
}

/// A namespace kept alive under a name, where `ip netns` looks for it; the name goes when this is dropped.
#[derive(Debug)]
struct Mounted(Option<NetNs>);

impl Mounted {
    /// Makes it and leaves the calling thread in it.
    fn make(prefix: &str, name: &str) -> Result<Self, KernelError> {
        let full = format!("{prefix}{name}");
        let error = |what: &str, found: &dyn Display| KernelError::new(what, &full, found);
        if let Ok(leftover) = NetNs::get(&full) {
            leftover
                .remove()
                .map_err(|e| error("remove a leftover namespace", &e))?;
        }
        mount_new(&full).map_err(|e| error("create the namespace", &e))?;
        match NetNs::get(&full) {
            Ok(inner) => Ok(Self(Some(inner))),
            Err(found) => Err(error("open the namespace", &found)),
        }
    }

    fn inner(&self) -> &NetNs {
        self.0.as_ref().expect("taken only by drop")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let Some(inner) = self.0.take() else { return };
        let path = inner.path().to_owned();
        if let Err(error) = inner.remove() {
            tracing::warn!(path = %path.display(), %error, "cannot remove the namespace");
        }
    }
}

/// `NetNs::new` without the thread that it starts.
fn mount_new(name: &str) -> io::Result<()> {
    DefaultEnv.init().map_err(io::Error::other)?;
    let path = DefaultEnv.persist_dir().join(name);
    fs::File::create(&path)?;
    let none = None::<&str>;
    let mounted = unshare(CloneFlags::CLONE_NEWNET).and_then(|()| {
        let own = Some("/proc/thread-self/ns/net");
        mount(own, &path, none, MsFlags::MS_BIND, none)
    });
    mounted.map_err(|errno| {
        // Nothing is mounted there, so this takes away the name alone; the first error is the one to report.
        let _ = fs::remove_file(&path);
        errno.into()
    })
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner().file().as_fd()
    }
}

fn set_forwarding(forwarding: Forwarding) -> Result<(), (String, io::Error)> {
    let value = match forwarding {
        Forwarding::On => "1",
        Forwarding::Off => "0",
    };
    set("net/ipv4/ip_forward", value)
}

/// Writes a setting of the namespace that this thread is in; an error comes with what was attempted.
fn set(key: &str, value: &str) -> Result<(), (String, io::Error)> {
    fs::write(format!("/proc/sys/{key}"), value)
        .map_err(|error| (format!("set {key} to {value}"), error))
}
