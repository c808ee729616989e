//! One QEMU process: its command line, its descriptors, and its end.
//!
//! Everything it is given is an inherited descriptor or a file of the cache, so nothing of a run is left on disk.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::error::{LAST_LINES, LastWords, PlaceError};
use super::gate;
use super::overlay;
use super::processor::Processor;
use super::qmp::{Qmp, QmpError};
use super::shared_memory::{WINDOW_BYTES, Window};

/// The QEMU executable of this host.
#[derive(Debug, Clone)]
pub struct Qemu {
    program: PathBuf,
    /// Its first version line.
    pub version: String,
}

/// What the guest boots from.
pub enum Boot<'a> {
    /// Kernel and root from the start; RAM in memory shared with us, so that it can be kept.
    Fresh {
        /// The root archive with our overlay behind it.
        initrd: &'a File,
        /// The guest's RAM.
        ram: &'a File,
    },
    /// A kept machine, to be used up: its RAM is mapped privately. Its devices are still to be restored.
    Fork {
        /// The RAM's file, which stays as it is.
        ram: &'a Path,
        /// Whose time it goes on in.
        pace: Pace,
    },
    /// A kept machine, to be kept again: its RAM is changed. Its devices are still to be restored.
    Continue {
        /// A copy of the RAM.
        ram: &'a File,
    },
}

/// Whose time a machine lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Its own: counted in instructions, idle time is jumped over, the same every time.
    Virtual,
    /// The host's, for people.
    Real,
}

impl Pace {
    /// As a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Virtual => "virtual",
            Self::Real => "real",
        }
    }

    /// From a word.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Virtual, Self::Real]
            .into_iter()
            .find(|pace| pace.name() == name)
    }
}

/// A running machine and our ends of what connects us.
pub struct Machine {
    child: Child,
    /// The control connection.
    pub qmp: Qmp,
    /// The memory shared with the guest.
    pub window: Window,
    /// How far the guest's log has been read.
    pub log_cursor: u64,
    console: File,
    stderr: File,
}

const PANIC: &str = "Kernel panic";
const DEFAULT_PROGRAM: &str = "qemu-system-x86_64";
/// The guest's clock starts here, whatever the time is.
const EPOCH: &str = "2026-01-01T00:00:00";

impl Qemu {
    /// Finds QEMU (`MVPNLAB_QEMU`, else on PATH) and asks for its version.
    ///
    /// # Errors
    /// [`PlaceError::NoQemu`].
    pub fn find() -> Result<Self, PlaceError> {
        Self::at(
            std::env::var_os("MVPNLAB_QEMU").map_or_else(|| DEFAULT_PROGRAM.into(), PathBuf::from),
        )
    }

    /// Takes a QEMU by path or name.
    ///
    /// # Errors
    /// [`PlaceError::NoQemu`].
    pub fn at(program: PathBuf) -> Result<Self, PlaceError> {
        let missing = |reason: String| PlaceError::NoQemu {
            program: program.display().to_string(),
            reason,
        };
        let output = Command::new(&program)
            .arg("--version")
            .stdin(Stdio::null())
            .output();
        let output = output.map_err(|e| missing(e.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        match text
            .lines()
            .next()
            .filter(|line| output.status.success() && line.starts_with("QEMU"))
        {
            Some(line) => Ok(Self {
                version: line.to_owned(),
                program,
            }),
            None => Err(missing(format!(
                "it does not answer --version like QEMU, {}",
                output.status
            ))),
        }
    }

    /// What decides how a guest of this QEMU behaves, for cache keys: version and command line, but no descriptors.
    pub fn identity(&self, memory_mib: u32) -> String {
        let words: Vec<String> = machine_arguments(memory_mib, Pace::Virtual)
            .into_iter()
            .map(|a| a.to_string_lossy().into_owned())
            .collect();
        format!(
            "{}\n{}\n{}\n{}",
            self.version,
            gate::id(),
            words.join(" "),
            kernel_arguments()
        )
    }

    /// Starts a machine, on one processor if it is given one. A fork is left stopped until it is told to go on.
    ///
    /// # Errors
    /// [`PlaceError::NoQemu`], or what could not be prepared for it.
    pub fn start(
        &self,
        boot: &Boot,
        kernel: &Path,
        memory_mib: u32,
        processor: Option<&Processor>,
        prepare: &dyn Fn(&Window) -> Result<(), PlaceError>,
        deadline: Instant,
    ) -> Result<Machine, PlaceError> {
        let shared = memory_file("window", WINDOW_BYTES as u64)?;
        let window =
            Window::map(&shared).map_err(|e| PlaceError::io("map", "the shared window", e))?;
        prepare(&window)?;
        let (ours, theirs) =
            UnixStream::pair().map_err(|e| PlaceError::io("make", "a control socket", e))?;
        let console = memory_file("console", 0)?;
        let stderr = memory_file("stderr", 0)?;

        let pace = match boot {
            Boot::Fork { pace, .. } => *pace,
            Boot::Fresh { .. } | Boot::Continue { .. } => Pace::Virtual,
        };
        let mut command = Command::new(&self.program);
        if let Some(processor) = processor {
            let held = processor.hold(&mut command);
            held.map_err(|e| PlaceError::io("choose", "a processor for QEMU", e))?;
        }
        let gate = match pace {
            Pace::Virtual => Some(gate::put_before(&mut command)?),
            Pace::Real => None,
        };
        let mut inherited = [&shared, &console].map(AsRawFd::as_raw_fd).to_vec();
        inherited.push(theirs.as_raw_fd());
        inherited.extend(gate.as_ref().map(AsRawFd::as_raw_fd));
        command
            .args(machine_arguments(memory_mib, pace))
            .arg("-kernel")
            .arg(kernel)
            .args(["-append", &kernel_arguments()]);
        command.arg("-object").arg(backend(
            "window",
            &descriptor(&shared),
            WINDOW_BYTES as u64,
            true,
        ));
        command.args(["-device", "ivshmem-plain,memdev=window,master=on"]);
        command.arg("-chardev").arg(format!(
            "file,id=console,path={}",
            descriptor(&console).display()
        ));
        command.args(["-serial", "chardev:console", "-chardev"]);
        command.arg(format!("socket,id=control,fd={}", theirs.as_raw_fd()));
        command.args(["-mon", "chardev=control,mode=control"]);
        let ram_bytes = u64::from(memory_mib) << 20;
        match boot {
            Boot::Fresh { initrd, ram } => {
                command
                    .arg("-object")
                    .arg(backend("ram", &descriptor(ram), ram_bytes, true));
                command.arg("-initrd").arg(descriptor(initrd));
                inherited.extend([initrd.as_raw_fd(), ram.as_raw_fd()]);
            }
            Boot::Fork { ram, .. } => {
                command
                    .arg("-object")
                    .arg(backend("ram", ram, ram_bytes, false));
                command.args(["-incoming", "defer"]);
            }
            Boot::Continue { ram } => {
                command
                    .arg("-object")
                    .arg(backend("ram", &descriptor(ram), ram_bytes, true));
                command.args(["-incoming", "defer"]);
                inherited.push(ram.as_raw_fd());
            }
        }
        let errors = stderr
            .try_clone()
            .map_err(|e| PlaceError::io("duplicate", "a descriptor", e))?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors);
        let child = spawn(command, inherited).map_err(|e| PlaceError::NoQemu {
            program: self.program.display().to_string(),
            reason: e.to_string(),
        })?;
        drop(theirs);
        let mut guard = Guard(Some(child));
        match Qmp::open(ours, deadline) {
            Ok(_) if gate.is_some() && !gate::is_in(guard.id()) => Err(PlaceError::NoGate {
                program: self.program.display().to_string(),
            }),
            Ok(qmp) => Ok(Machine {
                child: guard.take(),
                qmp,
                window,
                log_cursor: 0,
                console,
                stderr,
            }),
            Err(error) => {
                let words = LastWords {
                    qemu: LastWords::tail(&end_of(&stderr)),
                    ..LastWords::default()
                };
                Err(guard.failed(error, words))
            }
        }
    }
}

/// What every machine of a size and pace has in common.
fn machine_arguments(memory_mib: u32, pace: Pace) -> Vec<OsString> {
    let mut words = [
        "-M",
        "q35,memory-backend=ram",
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-accel",
        "tcg",
        // The plainest processor is emulated fastest: a newer one's string instructions and wide registers are slow
        // here, and programs choose them where they find them. It has no random numbers of its own either: the
        // kernel's generator is fed by us alone.
        "-cpu",
        "qemu64",
        "-smp",
        "1",
        "-rtc",
        &format!("base={EPOCH},clock=vm"),
        "-seed",
        "1",
        "-no-reboot",
        "-action",
        "panic=pause",
        "-device",
        "pvpanic",
        "-m",
        &format!("{memory_mib}M"),
    ]
    .map(OsString::from)
    .to_vec();
    if pace == Pace::Virtual {
        // Two virtual nanoseconds an instruction, and idle time is jumped over.
        words.extend(["-icount", "shift=1,sleep=off"].map(OsString::from));
    }
    words
}

/// What keeps the kernel from work that a lab has no use for: every instruction is emulated. Without `rep_good` it clears and
/// copies memory by plain loops: of a repeated string instruction every single turn is emulated by itself.
const KERNEL_AT_REST: &str = "quiet nokaslr mitigations=off cryptomgr.notests \
    initcall_blacklist=load_system_certificate_list init_on_alloc=0 hardened_usercopy=off \
    randomize_kstack_offset=off psi=0 audit=0 lsm=capability nowatchdog transparent_hugepage=never \
    cgroup_disable=memory,cpu,cpuacct,blkio tsc=reliable clearcpuid=rep_good";

fn kernel_arguments() -> String {
    let (name, value) = overlay::LIBRARY_PATH;
    format!(
        "console=ttyS0 panic=-1 iomem=relaxed {KERNEL_AT_REST} rdinit={} {name}={value} -- guest",
        overlay::INIT
    )
}

fn backend(id: &str, path: &Path, bytes: u64, share: bool) -> OsString {
    let share = if share { "on" } else { "off" };
    let mut argument = OsString::from(format!(
        "memory-backend-file,id={id},size={bytes},share={share},mem-path="
    ));
    // A comma in a path is doubled, as QEMU's option syntax asks.
    argument.push(path.to_string_lossy().replace(',', ",,"));
    argument
}

/// The path by which a child that inherits a file finds it.
pub fn descriptor(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// A file that has no name and no disk, and ends with its last user.
pub fn memory_file(name: &'static str, bytes: u64) -> Result<File, PlaceError> {
    let file: OwnedFd = memfd_create(name, MFdFlags::MFD_CLOEXEC)
        .map_err(|e| PlaceError::io("make memory for", name, e.into()))?;
    let file = File::from(file);
    file.set_len(bytes)
        .map_err(|e| PlaceError::io("size memory for", name, e))?;
    Ok(file)
}

/// Starts `command` with `inherited` open, to die with the thread that started it.
pub fn spawn(mut command: Command, inherited: Vec<RawFd>) -> io::Result<Child> {
    let parent = std::process::id();
    // SAFETY: between fork and exec only async-signal-safe system calls are made.
    unsafe {
        command.pre_exec(move || {
            for fd in &inherited {
                if libc::fcntl(*fd, libc::F_SETFD, 0) == -1 {
                    return Err(io::Error::last_os_error());
                }
            }
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == -1 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the request was in place.
            if libc::getppid() as u32 != parent {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            Ok(())
        });
    }
    command.spawn()
}

impl Machine {
    /// The process, for a test that kills it.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Turns a broken connection into what has become of the machine.
    pub fn failure(&mut self, error: QmpError) -> PlaceError {
        let words = self.last_words();
        if matches!(error, QmpError::Closed)
            && let Some(status) = wait(&mut self.child)
        {
            return ended(status, words);
        }
        PlaceError::Qmp(error, words)
    }

    /// The ends of the guest's log and console, and of what QEMU wrote.
    pub fn last_words(&self) -> LastWords {
        let log = self.window.log_since(&mut 0);
        let log = log[log.len().saturating_sub(LAST_LINES)..].to_vec();
        LastWords {
            log,
            console: console_end(&self.console),
            qemu: LastWords::tail(&end_of(&self.stderr)),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a child that has not become a machine yet.
struct Guard(Option<Child>);

impl Guard {
    fn id(&self) -> u32 {
        self.0.as_ref().map_or(0, Child::id)
    }

    fn take(&mut self) -> Child {
        self.0
            .take()
            .expect("the guard is asked once, while it holds the child")
    }

    fn failed(mut self, error: QmpError, words: LastWords) -> PlaceError {
        let status = self
            .0
            .as_mut()
            .filter(|_| matches!(error, QmpError::Closed))
            .and_then(wait);
        match status {
            Some(status) => ended(status, words),
            None => PlaceError::Qmp(error, words),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            end(child);
        }
    }
}

fn ended(status: ExitStatus, words: LastWords) -> PlaceError {
    use std::os::unix::process::ExitStatusExt;
    let panicked = words.console.iter().any(|line| line.contains(PANIC));
    match (panicked, status.success()) {
        (true, _) => PlaceError::GuestPanic { words },
        (false, true) => PlaceError::EarlyExit { words },
        // A store into memory that could not be had.
        (false, false) if status.signal() == Some(libc::SIGBUS) => PlaceError::NoSpace {
            path: PathBuf::from("the guest's memory (RAM or /dev/shm)"),
        },
        (false, false) => PlaceError::QemuDied { status, words },
    }
}

/// Kills and reaps; nothing can be done about a failure, and none is known.
fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Its status, if it ends within the moment a process needs after it has closed its connections; else it is killed.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    use nix::poll::{PollFd, PollFlags, poll};
    // SAFETY: a plain system call on a child of ours that is not reaped yet.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) };
    if fd >= 0 {
        use std::os::fd::FromRawFd;
        // SAFETY: the call above has just made this descriptor, nobody else owns it.
        let pidfd = unsafe { OwnedFd::from_raw_fd(fd as RawFd) };
        let _ = poll(
            &mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)],
            2000u16,
        );
    }
    child.try_wait().ok().flatten()
}

/// The end of the console; of a kernel panic its beginning, which says why.
fn console_end(file: &File) -> Vec<String> {
    let text = end_of(file);
    match text.find(PANIC) {
        Some(at) => {
            let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
            text[line..]
                .lines()
                .take(LAST_LINES)
                .map(|line| line.trim_end().to_owned())
                .collect()
        }
        None => LastWords::tail(&text),
    }
}

fn end_of(file: &File) -> String {
    const ENOUGH: u64 = 64 << 10;
    let length = file.metadata().map(|m| m.len()).unwrap_or(0);
    let start = length.saturating_sub(ENOUGH);
    let mut bytes = vec![0; (length - start) as usize];
    let count = file.read_at(&mut bytes, start).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

/// Reads a small file into memory files: the image's root and the overlay behind it.
pub fn join(root: &Path, overlay: &[u8]) -> Result<File, PlaceError> {
    use std::io::Write;
    let mut joined = memory_file("initrd", 0)?;
    let mut bytes = Vec::new();
    File::open(root)
        .and_then(|mut f| f.read_to_end(&mut bytes))
        .map_err(|e| PlaceError::io("read", root, e))?;
    for part in [bytes.as_slice(), overlay] {
        joined
            .write_all(part)
            .map_err(|e| PlaceError::io("write", "the initramfs", e))?;
    }
    Ok(joined)
}
