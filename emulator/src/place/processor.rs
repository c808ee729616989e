//! One of the host's processors for one machine in virtual time.
//!
//! Such a machine works in one thread at a time: QEMU's processor's thread, and now and then its main loop, which take
//! turns; where QEMU does not export what the gate needs, a thousand times a virtual second of traffic. On one processor a
//! turn is a switch; between two it is an interrupt and cold caches. So each machine is held to one, and no two to the
//! same while another is free.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::cache::{Cache, Lock};

/// A processor that no other machine of this cache is held to, until this is dropped or the process ends.
#[derive(Debug)]
pub struct Processor {
    number: usize,
    _lock: Lock,
}

impl Processor {
    /// A free one of those that this process may run on. None when all are taken, or when locks cannot be had: then the
    /// host's scheduler decides, and nothing but time is lost.
    pub fn free(cache: &Cache) -> Option<Self> {
        let ours = sched_getaffinity(Pid::from_raw(0)).ok()?;
        (0..CpuSet::count())
            .filter(|&number| ours.is_set(number).unwrap_or(false))
            .find_map(|number| {
                let path = cache.lock_path(&format!("processor-{number}"));
                let lock = Lock::try_exclusive(&path).ok()??;
                Some(Self {
                    number,
                    _lock: lock,
                })
            })
    }

    /// Holds what the command starts, with all its threads, to this processor.
    ///
    /// # Errors
    /// When the number fits no set of processors.
    pub fn hold(&self, command: &mut Command) -> io::Result<()> {
        let mut only = CpuSet::new();
        only.set(self.number)?;
        let hold = move || Ok(sched_setaffinity(Pid::from_raw(0), &only)?);
        // SAFETY: between fork and exec only an async-signal-safe system call is made.
        unsafe { command.pre_exec(hold) };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> usize {
        let ours = sched_getaffinity(Pid::from_raw(0)).unwrap();
        (0..CpuSet::count())
            .filter(|&n| ours.is_set(n).unwrap())
            .count()
    }

    #[test]
    fn no_two_machines_get_the_same_and_what_is_given_back_is_free_again() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let mut held: Vec<Processor> = std::iter::from_fn(|| Processor::free(&cache)).collect();
        let mut numbers: Vec<usize> = held.iter().map(|p| p.number).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), allowed());
        let back = held.pop().map(|p| p.number);
        assert_eq!(Processor::free(&cache).map(|p| p.number), back);
    }

    #[test]
    fn what_is_started_runs_there_and_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        let processor = Processor::free(&Cache::at(folder.path())).unwrap();
        let mut command = Command::new("grep");
        command.args(["Cpus_allowed_list", "/proc/self/status"]);
        processor.hold(&mut command).unwrap();
        let said = String::from_utf8(command.output().unwrap().stdout).unwrap();
        let list = said.split_whitespace().last();
        assert_eq!(list, Some(processor.number.to_string().as_str()));
    }

    #[test]
    fn without_a_place_for_locks_the_scheduler_decides() {
        assert!(Processor::free(&Cache::at("/dev/null")).is_none());
    }
}
