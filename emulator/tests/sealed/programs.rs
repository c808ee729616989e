//! The programs that run inside the guest.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};

use mvpnlab_emulator::place::{Files, Line, Pace, Program, shell};

/// Finds a program for the guest's init.
pub fn by_name(name: &str) -> Option<Box<dyn Program>> {
    match name {
        shell::NAME => Some(Box::new(shell::Shell)),
        "echo" => Some(Box::new(Echo)),
        "idle" => Some(Box::new(Idle)),
        "parrot" => Some(Box::new(Parrot)),
        "misbehave" => Some(Box::new(Misbehave { how: String::new() })),
        _ => None,
    }
}

/// Returns its job, and its topology under another name.
struct Echo;

impl Program for Echo {
    fn build(&mut self, _: &Files, _: &mut dyn FnMut(&str)) -> Result<(), String> {
        Ok(())
    }

    fn run(&mut self, job: &Files, _: &mut dyn FnMut(&str)) -> Result<Files, String> {
        Ok(job.clone())
    }
}

/// Says what it hears, after a second; on `.` it fails.
struct Parrot;

impl Program for Parrot {
    fn build(&mut self, _: &Files, _: &mut dyn FnMut(&str)) -> Result<(), String> {
        Ok(())
    }

    fn run(&mut self, _: &Files, _: &mut dyn FnMut(&str)) -> Result<Files, String> {
        Err("parrots do not run".into())
    }

    fn live(&mut self, _: &Files, line: &Line) -> Result<(), String> {
        line.log(line.pace().name());
        loop {
            let heard = line.receive();
            if heard == b"." {
                return Err("fell off its perch".into());
            }
            if !heard.is_empty() {
                std::thread::sleep(Duration::from_secs(1));
            }
            let mut rest = heard.as_slice();
            while !rest.is_empty() {
                rest = &rest[line.send(rest)..];
                line.stand_still(true);
            }
            match line.pace() {
                Pace::Virtual => line.stand_still(false),
                Pace::Real => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }
}

/// Sleeps for an hour and says how long it was, in nanoseconds; and what the random generator gave.
struct Idle;

impl Program for Idle {
    fn build(&mut self, _: &Files, _: &mut dyn FnMut(&str)) -> Result<(), String> {
        Ok(())
    }

    fn run(&mut self, _: &Files, _: &mut dyn FnMut(&str)) -> Result<Files, String> {
        let before = std::time::Instant::now();
        std::thread::sleep(Duration::from_secs(3600));
        let slept = before.elapsed().as_nanos().to_string();
        Ok(Files::from([("slept_ns".to_owned(), slept.into_bytes())]))
    }
}

/// Fails in the way its topology's entry `how` says.
struct Misbehave {
    how: String,
}

impl Program for Misbehave {
    fn build(&mut self, topology: &Files, log: &mut dyn FnMut(&str)) -> Result<(), String> {
        self.how = String::from_utf8_lossy(&topology["how"]).into_owned();
        log("building badly");
        match self.how.as_str() {
            "fail in build" => Err("no such wire".into()),
            "panic in build" => panic!("the wires are crossed"),
            _ => Ok(()),
        }
    }

    fn run(&mut self, _: &Files, log: &mut dyn FnMut(&str)) -> Result<Files, String> {
        log("running badly");
        match self.how.as_str() {
            "fail in run" => return Err("the routers went home".into()),
            "panic in run" => panic!("lost in the {}", "woods"),
            "die" => raise(Signal::SIGKILL).map_err(|e| e.to_string())?,
            "exit" => std::process::exit(7),
            "crash the kernel" => {
                fs::write("/proc/sysrq-trigger", "c").map_err(|e| e.to_string())?
            }
            "switch off" => fs::write("/proc/sysrq-trigger", "o").map_err(|e| e.to_string())?,
            _ => {}
        }
        loop {
            // "hang": busy, so that the clock has nothing to skip.
            std::hint::spin_loop();
        }
    }
}
