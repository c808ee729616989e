//! Ctrl-C and its kin, while labs are run: everything ends at once, and nothing half-made stays.

use mvpnlab_emulator::place::abandon;
use nix::sys::signal::{SigSet, Signal};

/// From here on these signals end the process cleanly. Labs end with it: the kernel sees to that. Must be called before
/// other threads are started: they must not take the signals.
pub fn end_cleanly() {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    if signals.thread_block().is_err() {
        return;
    }
    std::thread::spawn(move || {
        if let Ok(signal) = signals.wait() {
            abandon();
            std::process::exit(128 + signal as i32);
        }
    });
}
