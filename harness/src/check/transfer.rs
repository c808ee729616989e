//! Bulk transfers: how fast they were.

use mvpnlab_emulator::scenario::Bitrate;

use super::Finding;
use super::facts::Facts;
use super::judge::Judge;

/// Bytes came at such a rate, from the first to the last.
pub fn transferred(facts: &Facts, name: &str, (at_least, at_most): (Bitrate, Bitrate)) -> Finding {
    let expected = format!("from {at_least} to {at_most}");
    let mut judge = Judge::new("transferred", name, expected);
    let mut transfers = facts.traffic.transfers.iter();
    let Some(log) = transfers.find(|log| log.name == name) else {
        return judge.finish();
    };
    judge.judged(log.bytes);
    judge.figure("bytes", log.bytes);
    judge.figure("segments_sent_again", log.retransmitted);
    let seconds = log.last_ns.saturating_sub(log.first_ns) as f64 / 1e9;
    let rate = if seconds > 0.0 {
        log.bytes as f64 * 8.0 / seconds
    } else {
        0.0
    };
    judge.figure("bits_per_second", rate as i64);
    let range = at_least.0 as f64..=at_most.0 as f64;
    judge.demand(range.contains(&rate), || {
        format!("{} bytes came in {seconds:.3} s", log.bytes)
    });
    judge.finish()
}
