//! How a guest stops itself at one exact instruction, so that its host can look, place input, or take a snapshot.
//!
//! The guest writes to the port of QEMU's pvpanic device; with `-action panic=pause` QEMU stops the machine right
//! there. A stop asked for from outside would come at an instruction that depends on the host's load, and two warm
//! labs made of the same files would differ.
//!
//! One race is left, inside QEMU: after the processor has stopped and before the machine has, QEMU's main loop may find
//! the processor idle and, under `-icount sleep=off`, jump to the next timer; or it may not, as the host's scheduler
//! likes. So no timer may be pending: [`Doorbell::open`] stops the real-time clock for good, [`Doorbell::ring`] masks
//! the local APIC's timer while it rings. Then there is nothing to jump to.

#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]

use std::fs::OpenOptions;
use std::io;
use std::num::NonZeroUsize;
use std::ptr::NonNull;

use nix::sys::mman::{MapFlags, ProtFlags, mmap};

/// The port of QEMU's `pvpanic` ISA device, and the bit that means "panicked" (QEMU, docs/specs/pvpanic).
const PVPANIC: (u16, u8) = (0x505, 1);
/// The real-time clock's index and data ports, and its register A (MC146818).
const RTC_INDEX: u16 = 0x70;
const RTC_DATA: u16 = 0x71;
const RTC_REGISTER_A: u8 = 0x0a;
/// The ports above: first, and how many.
const PORTS: [(u16, u16); 2] = [(PVPANIC.0, 1), (RTC_INDEX, 2)];
/// Dividers held in reset: the clock stands and raises no alarm.
const RTC_STOPPED: u8 = 0x66;

/// The local APIC's page, and its registers (Intel SDM volume 3, table 10-1).
const APIC: i64 = 0xfee0_0000;
const APIC_BYTES: usize = 4096;
const LVT_TIMER: usize = 0x320;
const INITIAL_COUNT: usize = 0x380;
const MASKED: u32 = 1 << 16;

/// A process's access to the doorbell. It is inherited by children made by fork.
pub struct Doorbell {
    apic: NonNull<u8>,
}

impl Doorbell {
    /// Asks the guest's kernel for the ports and the APIC. The kernel must have booted with `iomem=relaxed`.
    ///
    /// # Errors
    /// What the kernel refuses: this is no sealed lab, or we are not its root.
    pub fn open() -> io::Result<Self> {
        for (port, count) in PORTS {
            set_ports(port, count, true)?;
        }
        let memory = OpenOptions::new().read(true).write(true).open("/dev/mem")?;
        let size = NonZeroUsize::new(APIC_BYTES).ok_or(io::ErrorKind::InvalidInput)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice; it is never unmapped.
        let apic = unsafe { mmap(None, size, access, MapFlags::MAP_SHARED, &memory, APIC) }?.cast();
        write_port(RTC_INDEX, RTC_REGISTER_A);
        write_port(RTC_DATA, RTC_STOPPED);
        Ok(Self { apic })
    }

    /// Stops the machine; returns when the host lets it go on.
    pub fn ring(&self) {
        let timer = self.read(LVT_TIMER);
        self.write(LVT_TIMER, timer | MASKED);
        write_port(PVPANIC.0, PVPANIC.1);
        self.write(LVT_TIMER, timer);
        // The one-shot that was pending is lost: a new one, due at once, makes the kernel look at all its timers.
        self.write(INITIAL_COUNT, 1);
    }

    fn read(&self, register: usize) -> u32 {
        // SAFETY: an aligned register inside the page that `open` has mapped.
        unsafe { self.apic.byte_add(register).cast::<u32>().read_volatile() }
    }

    fn write(&self, register: usize, value: u32) {
        // SAFETY: as in `read`. The timer's registers touch no memory.
        unsafe {
            self.apic
                .byte_add(register)
                .cast::<u32>()
                .write_volatile(value)
        }
    }
}

/// Gives up what a child inherits of [`Doorbell::open`]: with ports of its own, the kernel copies a map of them whenever it
/// comes back from a system call. One system call a range, nothing else.
pub fn leave_ports() {
    for (port, count) in PORTS {
        // None where no doorbell was opened; a child that keeps them is slower, no more.
        let _ = set_ports(port, count, false);
    }
}

#[cfg(target_arch = "x86_64")]
fn set_ports(first: u16, count: u16, on: bool) -> io::Result<()> {
    let (first, count) = (libc::c_ulong::from(first), libc::c_ulong::from(count));
    // SAFETY: changes this process's port permissions only.
    match unsafe { libc::ioperm(first, count, libc::c_int::from(on)) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(target_arch = "x86_64")]
fn write_port(port: u16, value: u8) {
    // SAFETY: a one-byte port write that touches no memory; `open` has made it legal, else it is a SIGSEGV.
    unsafe {
        core::arch::asm!("out dx, al", in("dx") port, in("al") value, options(nostack, preserves_flags))
    }
}

/// The sealed lab is an x86-64 machine; an executable for another one cannot be its init.
#[cfg(not(target_arch = "x86_64"))]
fn set_ports(_: u16, _: u16, _: bool) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(not(target_arch = "x86_64"))]
fn write_port(_: u16, _: u8) {}
