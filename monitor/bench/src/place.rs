//! Where the bench takes place: two network namespaces of its own and a veth pair between them, gone with the process.

use std::io;
use std::process::Command;

use nix::sched::{CloneFlags, CpuSet, sched_getaffinity, sched_setaffinity, unshare};
use nix::unistd::Pid;

use crate::frames::{GATEWAY, MONITOR, MONITOR_MAC, PES_MAC, ROUTER_MAC};

/// The monitor's end of the link.
pub const MONITOR_LINK: &str = "mon";
/// The reflector's end.
pub const PES_LINK: &str = "pes";

/// Why there is no place.
pub type Problem = String;

/// A thread's network namespace: what is run here is in it, and so are the processes it starts.
pub struct Namespace {
    jobs: std::sync::mpsc::Sender<Box<dyn FnOnce() + Send>>,
    thread_id: i32,
}

impl Namespace {
    /// Makes a namespace.
    fn new() -> Result<Namespace, Problem> {
        let (jobs, work) = std::sync::mpsc::channel::<Box<dyn FnOnce() + Send>>();
        let (said, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let made = unshare(CloneFlags::CLONE_NEWNET).map_err(|error| {
                format!("cannot make a network namespace: {error}; run this as root")
            });
            let made = made.map(|()| nix::unistd::gettid().as_raw());
            let goes_on = made.is_ok();
            let _ = said.send(made);
            while let (true, Ok(job)) = (goes_on, work.recv()) {
                job();
            }
        });
        let thread_id = heard
            .recv()
            .map_err(|_| "the namespace's thread ended".to_owned())??;
        Ok(Namespace { jobs, thread_id })
    }

    /// Runs something inside and returns what it returned.
    pub fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (said, heard) = std::sync::mpsc::channel();
        let job = Box::new(move || {
            let _ = said.send(job());
        });
        self.jobs
            .send(job)
            .expect("the namespace's thread waits for jobs");
        heard.recv().expect("a job that does not panic")
    }
}

/// Both ends of the link.
pub struct Place {
    /// Where the monitor is, and whatever is measured beside it.
    pub monitor: Namespace,
    /// Where the PEs are.
    pub pes: Namespace,
}

impl Place {
    /// Makes both namespaces and the link.
    pub fn new() -> Result<Place, Problem> {
        let place = Place {
            monitor: Namespace::new()?,
            pes: Namespace::new()?,
        };
        let far = format!(
            "/proc/{}/task/{}/ns/net",
            std::process::id(),
            place.pes.thread_id
        );
        place.monitor.run(move || {
            ip(&format!(
                "link add {MONITOR_LINK} address {} type veth peer name {PES_LINK} address {} netns {far}",
                mac(MONITOR_MAC),
                mac(PES_MAC),
            ))?;
            ip(&format!("address add {}/24 dev {MONITOR_LINK}", dotted(MONITOR)))?;
            ip(&format!("link set {MONITOR_LINK} up"))?;
            ip("link set lo up")
        })?;
        // Without an address, the kernel there throws away what it receives at once, once the reflector has seen it.
        place.pes.run(|| ip(&format!("link set {PES_LINK} up")))?;
        place.monitor.run(|| {
            // All PEs are behind one router, as they are where a monitor has one link.
            let gateway = dotted(GATEWAY);
            ip(&format!(
                "neighbour add {gateway} lladdr {} dev {MONITOR_LINK} nud permanent",
                mac(ROUTER_MAC)
            ))?;
            ip(&format!("route add 10.254.0.0/16 via {gateway}"))?;
            ip(&format!("route add 224.0.0.0/4 dev {MONITOR_LINK}"))
        })?;
        Ok(place)
    }
}

/// Makes the PEs' end of the link one of a host that can join groups.
pub fn give_pes_an_address(place: &Place) -> Result<(), Problem> {
    place.pes.run(|| {
        ip(&format!(
            "address add {}/24 dev {PES_LINK}",
            dotted(GATEWAY)
        ))?;
        ip(&format!("route add 224.0.0.0/4 dev {PES_LINK}"))
    })
}

/// `10.1.0.2`.
pub fn dotted(address: [u8; 4]) -> String {
    std::net::Ipv4Addr::from(address).to_string()
}

fn mac(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}

fn ip(arguments: &str) -> Result<(), Problem> {
    let done = Command::new("ip")
        .args(arguments.split(' '))
        .output()
        .map_err(|error| format!("cannot run `ip`: {error}; install iproute2"))?;
    if done.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&done.stderr);
    Err(format!("`ip {arguments}` said: {}", words.trim()))
}

/// Which processors the reflector has to itself, and which are left for what is measured; both all of them if there is
/// only one.
pub fn processors() -> io::Result<(CpuSet, CpuSet)> {
    let all = sched_getaffinity(Pid::from_raw(0))?;
    let allowed: Vec<usize> = (0..CpuSet::count())
        .filter(|&cpu| all.is_set(cpu).unwrap_or(false))
        .collect();
    let [.., last] = allowed[..] else {
        return Ok((all, all));
    };
    if allowed.len() == 1 {
        return Ok((all, all));
    }
    let (mut reflector, mut measured) = (CpuSet::new(), all);
    reflector.set(last)?;
    measured.unset(last)?;
    Ok((reflector, measured))
}

/// Keeps the calling thread, and what it starts, to these processors.
pub fn keep_to(processors: &CpuSet) {
    // If it cannot be, the figures are less steady, and no less true.
    let _ = sched_setaffinity(Pid::from_raw(0), processors);
}
