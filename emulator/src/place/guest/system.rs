//! The system under the lab: file systems, modules, the shared window, randomness.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Gid, Uid, chown};
use sha2::{Digest, Sha256};

use super::super::image::recipe;
use super::super::shared_memory::{PCI_ID, Window};

/// Mounts the kernel's file systems. The root is a tmpfs already, so /run and /tmp need nothing.
pub fn mount_all() -> Result<(), String> {
    let none = None::<&str>;
    for (kind, target) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        mount(Some(kind), target, Some(kind), MsFlags::empty(), none)
            .map_err(|errno| format!("could not mount {kind} on {target}: {errno}"))?;
    }
    for folder in [
        "/dev/pts",
        "/dev/shm",
        "/run/netns",
        "/run/lock",
        "/var/tmp",
        "/var/log",
    ] {
        fs::create_dir_all(folder).map_err(|e| format!("could not create {folder}: {e}"))?;
    }
    mount(
        Some("devpts"),
        "/dev/pts",
        Some("devpts"),
        MsFlags::empty(),
        none,
    )
    .map_err(|errno| format!("could not mount devpts: {errno}"))?;
    Ok(())
}

/// Finds the ivshmem device and maps it.
pub fn open_window() -> Result<Window, String> {
    let device = ivshmem().ok_or("there is no ivshmem device: the host's window is missing")?;
    fs::write(device.join("enable"), "1")
        .map_err(|e| format!("could not enable the window's device: {e}"))?;
    let memory = device.join("resource2");
    let file = OpenOptions::new().read(true).write(true).open(&memory);
    let window = file.and_then(|file| Window::map(&file));
    let window =
        window.map_err(|e| format!("could not map the window {}: {e}", memory.display()))?;
    if !window.is_prepared() {
        return Err("the window was not laid out by this version's host".into());
    }
    Ok(window)
}

fn ivshmem() -> Option<PathBuf> {
    let devices = fs::read_dir("/sys/bus/pci/devices").ok()?;
    let mut paths = devices.filter_map(Result::ok).map(|entry| entry.path());
    let is = |path: &Path, file: &str, id: &str| {
        fs::read_to_string(path.join(file)).is_ok_and(|text| text.trim() == id)
    };
    paths.find(|path| is(path, "vendor", PCI_ID.0) && is(path, "device", PCI_ID.1))
}

/// Makes the system fit for routers: randomness, modules, loopback, FRR's folders.
pub fn prepare(window: &Window) -> Result<(), String> {
    // The generator is fed and ready from the start: nothing waits for entropy, and every boot begins the same.
    add_entropy(b"mvpnlab boot")?;
    load_modules()?;
    loopback_up().map_err(|e| format!("could not bring up the loopback interface: {e}"))?;
    let (user, group) = (
        Uid::from_raw(recipe::FRR_USER_ID),
        Gid::from_raw(recipe::FRR_GROUP_ID),
    );
    for folder in ["/run/frr", "/etc/frr", "/var/log/frr", "/var/lib/frr"] {
        fs::create_dir_all(folder).map_err(|e| format!("could not create {folder}: {e}"))?;
        chown(folder, Some(user), Some(group))
            .map_err(|e| format!("could not give {folder} to frr: {e}"))?;
    }
    window.append_log(&format!(
        "guest: booted after {} virtual ms",
        monotonic_ns() / 1_000_000
    ));
    Ok(())
}

fn load_modules() -> Result<(), String> {
    let list = Path::new("/").join(recipe::MODULE_LIST);
    let list =
        fs::read_to_string(&list).map_err(|e| format!("could not read {}: {e}", list.display()))?;
    let no_arguments = CString::default();
    for path in list.lines() {
        let file =
            File::open(path).map_err(|e| format!("could not open the module {path}: {e}"))?;
        // SAFETY: the descriptor and the string live through the call.
        let result = unsafe {
            libc::syscall(
                libc::SYS_finit_module,
                file.as_raw_fd(),
                no_arguments.as_ptr(),
                0,
            )
        };
        let error = io::Error::last_os_error();
        if result != 0 && error.raw_os_error() != Some(libc::EEXIST) {
            return Err(format!("could not load the module {path}: {error}"));
        }
    }
    Ok(())
}

/// Brings up the loopback interface of this network namespace.
pub fn loopback_up() -> io::Result<()> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    // SAFETY: an all-zero ifreq is valid; the two calls read and write only it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *slot = *byte as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: as above.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Stirs the run's seed into the kernel's generator, so that forks of one lab differ by their seeds, and only by them.
pub fn reseed(seed: u64) -> Result<(), String> {
    let mut text = b"mvpnlab run ".to_vec();
    text.extend(seed.to_le_bytes());
    add_entropy(&text)
}

/// `RNDADDENTROPY` credits and `RNDRESEEDCRNG` takes effect at once (linux/random.h).
fn add_entropy(text: &[u8]) -> Result<(), String> {
    #[repr(C)]
    struct Pool {
        entropy_bits: libc::c_int,
        bytes: libc::c_int,
        content: [u8; 32],
    }
    const RNDADDENTROPY: libc::c_ulong = 0x4008_5203;
    const RNDRESEEDCRNG: libc::c_ulong = 0x5207;
    let pool = Pool {
        entropy_bits: 256,
        bytes: 32,
        content: Sha256::digest(text).into(),
    };
    let device = File::options().write(true).open("/dev/urandom");
    let device = device.map_err(|e| format!("could not open /dev/urandom: {e}"))?;
    // SAFETY: the structure is laid out as `struct rand_pool_info` and lives through the call.
    let added = unsafe { libc::ioctl(device.as_raw_fd(), RNDADDENTROPY, &pool) };
    // SAFETY: this request takes no argument.
    let stirred = unsafe { libc::ioctl(device.as_raw_fd(), RNDRESEEDCRNG) };
    match (added, stirred) {
        (0, 0) => Ok(()),
        _ => Err(format!(
            "could not seed the kernel's random generator: {}",
            io::Error::last_os_error()
        )),
    }
}

/// Counts time by a clock whose rate is the same in the host's time as in a machine's own: any but the processor's.
pub fn leave_virtual_time() -> Result<(), String> {
    const CLOCKS: &str = "/sys/devices/system/clocksource/clocksource0";
    let read = fs::read_to_string(format!("{CLOCKS}/available_clocksource"));
    let known = read.map_err(|e| format!("could not read the list of clocks: {e}"))?;
    // In the first second it goes by another name, `tsc-early`.
    let mut clocks = known.split_whitespace();
    let other = clocks.find(|clock| !clock.starts_with("tsc"));
    let other = other.ok_or_else(|| format!("there is no clock for real time among: {known}"))?;
    fs::write(format!("{CLOCKS}/current_clocksource"), other)
        .map_err(|e| format!("could not change to the clock {other}: {e}"))
}

/// Virtual nanoseconds since boot.
pub fn monotonic_ns() -> u64 {
    // The monotonic clock exists on every Linux and starts at zero.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |t| {
        t.tv_sec() as u64 * 1_000_000_000 + t.tv_nsec() as u64
    })
}
