//! How a guest stops itself at one exact instruction, so that its host can look, place input, or take a snapshot.
//!
//! The guest writes to the port of QEMU's pvpanic device; with `-action panic=pause` QEMU stops the machine right
//! there. A stop asked for from outside would come at an instruction that depends on the host's load, and two warm
//! labs made of the same files would differ.

use std::io;

/// The port of QEMU's `pvpanic` ISA device, and the bit that means "panicked" (QEMU, docs/specs/pvpanic).
#[cfg(target_arch = "x86_64")]
const PORT: u16 = 0x505;
#[cfg(target_arch = "x86_64")]
const PANICKED: u8 = 1;

/// Asks the guest's kernel for the port; once per process, before [`ring`].
#[cfg(target_arch = "x86_64")]
pub fn open() -> io::Result<()> {
    // SAFETY: changes this process's port permissions only.
    match unsafe { libc::ioperm(libc::c_ulong::from(PORT), 1, 1) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Stops the machine; returns when the host lets it go on.
#[cfg(target_arch = "x86_64")]
pub fn ring() {
    // SAFETY: a one-byte port write that touches no memory; `open` has made it legal, else it is a SIGSEGV.
    unsafe {
        core::arch::asm!("out dx, al", in("dx") PORT, in("al") PANICKED, options(nostack, preserves_flags))
    }
}

/// The sealed lab is an x86-64 machine; an executable for another one cannot be its init.
#[cfg(not(target_arch = "x86_64"))]
pub fn open() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// See [`open`].
#[cfg(not(target_arch = "x86_64"))]
pub fn ring() {}
