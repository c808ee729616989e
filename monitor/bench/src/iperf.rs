//! iperf2 over the same link, multicast, at the same payload: the highest rate at which it loses nothing.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bench::Bench;
use crate::place::{self, Problem};

const GROUP: &str = "239.2.2.2";
/// How long a rate is tried, seconds.
const TRIAL_S: u64 = 2;
/// Rates tried at most.
const TRIALS_MAX: u32 = 6;
/// The first rate, packets a second.
const FIRST_PER_S: f64 = 100_000.0;

/// Packets a second without loss; none if there is no such rate.
pub fn measure(bench: &Bench) -> Result<Option<f64>, Problem> {
    let present = Command::new("iperf")
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if let Err(error) = present {
        return Err(format!(
            "cannot run iperf: {error}; Debian's package `iperf` has it"
        ));
    }
    place::give_pes_an_address(&bench.place)?;
    let (mut clean, mut dirty) = (None, None::<f64>);
    let mut next = FIRST_PER_S;
    for _ in 0..TRIALS_MAX {
        let (lost, total) = run(bench, next)?;
        bench.say(&format!(
            "iperf2: told {next:.0} packets/s, {total} came or are missing, {lost} lost"
        ));
        if lost == 0 && total > 0 {
            clean = Some((next, total as f64 / TRIAL_S as f64));
        } else {
            dirty = Some(next);
        }
        next = match (clean, dirty) {
            (Some((clean, _)), None) => clean * 2.0,
            (Some((clean, _)), Some(dirty)) => (clean + dirty) / 2.0,
            (None, _) => next / 2.0,
        };
    }
    // It sends less than it was told to where it cannot.
    Ok(clean.map(|(told, came)| came.min(told)))
}

/// Packets lost, and all of them, at a rate.
fn run(bench: &Bench, per_s: f64) -> Result<(u64, u64), Problem> {
    let (reflectors, measured) = bench.processors;
    let payload = bench.payload_bytes.to_string();
    let length = payload.clone();
    let server = bench.place.pes.run(move || {
        place::keep_to(&reflectors);
        Command::new("iperf")
            .args(["-s", "-u", "-B", GROUP, "-l", &length])
            .stdout(Stdio::piped())
            .spawn()
    });
    let mut server = server.map_err(|error| format!("cannot start iperf: {error}"))?;
    std::thread::sleep(Duration::from_millis(200));
    let client = bench.place.monitor.run(move || {
        place::keep_to(&measured);
        let rate = format!("{per_s:.0}pps");
        let time = TRIAL_S.to_string();
        Command::new("iperf")
            .args([
                "-c", GROUP, "-u", "-T", "4", "-l", &payload, "-b", &rate, "-t", &time,
            ])
            .output()
    });
    client.map_err(|error| format!("cannot run iperf: {error}"))?;
    std::thread::sleep(Duration::from_millis(300));
    // It says what it counted when it is interrupted, if it has not yet.
    let _ = kill(Pid::from_raw(server.id().cast_signed()), Signal::SIGINT);
    let mut said = String::new();
    if let Some(out) = &mut server.stdout {
        out.read_to_string(&mut said)
            .map_err(|error| format!("cannot read what iperf says: {error}"))?;
    }
    server.wait().map_err(|error| error.to_string())?;
    read(&said).ok_or_else(|| format!("iperf said nothing of losses: {said}"))
}

/// `… 0.003 ms 12/200000 (0.006%)`.
fn read(said: &str) -> Option<(u64, u64)> {
    let line = said
        .lines()
        .rfind(|line| line.contains(" ms ") && line.contains('/'))?;
    let counts = line.split_once(" ms ")?.1.split('(').next()?;
    let (lost, total) = counts.split_once('/')?;
    Some((
        lost.trim().parse().ok()?,
        total.split_whitespace().next()?.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_iperf_says_is_read() {
        let said = "[ ID] Interval       Transfer     Bandwidth        Jitter   Lost/Total Datagrams\n\
                    [  1] 0.0000-1.9999 sec  19.1 MBytes  80.0 Mbits/sec   0.003 ms 12/200000 (0.006%)\n";
        assert_eq!(read(said), Some((12, 200_000)));
        assert_eq!(
            read(&said.replace("12/200000", "0/ 8504")),
            Some((0, 8_504))
        );
        assert_eq!(read("read failed: Connection refused"), None);
    }
}
