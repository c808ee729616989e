//! The longest outage of a pair, as the truth and the monitor each see it.

use mvpnlab_emulator::scenario::Span;

use super::Finding;
use super::facts::Facts;
use super::judge::Judge;
use crate::report::format::duration;

/// Both lie in the range.
pub fn outage(
    facts: &Facts,
    task: &str,
    sender: &str,
    receiver: &str,
    at_least: Span,
    at_most: Span,
) -> Finding {
    let range = at_least.ns..=at_most.ns;
    let show = |ns: u64| duration(ns.cast_signed());
    let expected = format!(
        "longest outage from {} to {}",
        show(*range.start()),
        show(*range.end())
    );
    let mut judge = Judge::new("outage", format!("{task}, {sender} → {receiver}"), expected);
    for pair in facts.pairs(task, Some(sender), Some(receiver)) {
        let copies = facts.counted(task, &pair);
        let seen: Vec<(u64, bool)> = copies
            .iter()
            .filter_map(|both| both.truth)
            .map(|copy| (copy.sent_ns, copy.lost()))
            .collect();
        let claimed: Vec<(u64, bool)> = copies
            .iter()
            .filter_map(|both| both.claim)
            .map(|claim| (claim.sent_ns, claim.lost))
            .collect();
        for (who, series) in [("the taps", seen), ("the monitor", claimed)] {
            if series.is_empty() {
                continue;
            }
            judge.judged(1);
            let longest = longest(&series);
            judge.figure(
                if who == "the taps" {
                    "true_ns"
                } else {
                    "measured_ns"
                },
                longest,
            );
            judge.demand(range.contains(&longest), || {
                format!("{who} saw {}", show(longest))
            });
        }
    }
    judge.finish()
}

/// From the first lost probe of a row to the first that arrives again, or to the last one sent.
fn longest(series: &[(u64, bool)]) -> u64 {
    let (mut longest, mut since) = (0, None);
    for &(at, lost) in series {
        let began = *since.get_or_insert(at);
        longest = if lost || began < at {
            longest.max(at - began)
        } else {
            longest
        };
        if !lost {
            since = None;
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_lasts_from_the_first_loss_to_the_next_arrival() {
        let series = |lost: &[bool]| -> Vec<(u64, bool)> {
            lost.iter()
                .enumerate()
                .map(|(i, lost)| (10 * i as u64, *lost))
                .collect()
        };
        assert_eq!(longest(&series(&[false, false])), 0);
        assert_eq!(longest(&series(&[false, true, false])), 10);
        assert_eq!(
            longest(&series(&[false, true, true, true, false, true, false])),
            30
        );
        assert_eq!(longest(&series(&[false, true, true])), 10);
        assert_eq!(longest(&[]), 0);
    }
}
