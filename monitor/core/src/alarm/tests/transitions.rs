//! The whole transition table of a condition: every phase, every input.

use crate::alarm::condition::{Condition, Phase, Step, Timing};
use crate::alarm::notice::Cleared;
use crate::time::{Instant, Span};

const TIMING: Timing = Timing {
    raise_after: Span::from_s(30),
    clear_after: Span::from_s(60),
    flap_count: 3,
    flap_window: Span::from_s(600),
    momentary: false,
};
const MOMENTARY: Timing = Timing {
    raise_after: Span::ZERO,
    momentary: true,
    ..TIMING
};

fn at(s: u64) -> Instant {
    Instant::from_ns(0) + Span::from_s(s)
}

/// A condition in each of the phases, as it is 100 s after its making.
fn quiet() -> Condition {
    Condition::new(at(100))
}

fn held() -> Condition {
    let mut condition = quiet();
    condition.set_evidence(at(100), 1, &TIMING);
    condition
}

fn raised() -> Condition {
    let mut condition = held();
    assert_eq!(condition.handle_timeout(at(130), &TIMING), Step::Raise);
    condition
}

fn fine() -> Condition {
    let mut condition = raised();
    condition.set_evidence(at(140), 0, &TIMING);
    condition
}

type Make = fn() -> Condition;
const PHASES: [(&str, Make); 4] = [
    ("quiet", quiet),
    ("held", held),
    ("raised", raised),
    ("fine", fine),
];

fn after(make: Make, input: impl Fn(&mut Condition)) -> Phase {
    let mut condition = make();
    input(&mut condition);
    condition.phase()
}

fn due(s: u64) -> Instant {
    at(s)
}

#[test]
fn a_phase_is_what_its_name_says() {
    let expected = [
        Phase::Quiet,
        Phase::Held { due: due(130) },
        Phase::Raised,
        Phase::Fine { due: due(200) },
    ];
    for ((name, make), phase) in PHASES.into_iter().zip(expected) {
        assert_eq!(make().phase(), phase, "{name}");
        assert_eq!(
            make().is_active(),
            name == "raised" || name == "fine",
            "{name}"
        );
    }
}

#[test]
fn rising() {
    let expected = [
        Phase::Held { due: due(180) },
        Phase::Held { due: due(130) },
        Phase::Raised,
        Phase::Raised,
    ];
    for ((name, make), phase) in PHASES.into_iter().zip(expected) {
        let rise = |condition: &mut Condition| condition.set_evidence(at(150), 2, &TIMING);
        assert_eq!(after(make, rise), phase, "{name}");
    }
    assert_eq!(fine().count(), 1);
    let mut again = fine();
    again.set_evidence(at(150), 1, &TIMING);
    assert_eq!((again.count(), again.is_flapping()), (2, false));
}

#[test]
fn falling() {
    let expected = [
        Phase::Quiet,
        Phase::Quiet,
        Phase::Fine { due: due(210) },
        Phase::Fine { due: due(200) },
    ];
    for ((name, make), phase) in PHASES.into_iter().zip(expected) {
        let fall = |condition: &mut Condition| condition.set_evidence(at(150), 0, &TIMING);
        assert_eq!(after(make, fall), phase, "{name}");
    }
}

#[test]
fn being_covered_and_uncovered_again() {
    let covered = [
        Phase::Quiet,
        Phase::Quiet,
        Phase::Raised,
        Phase::Fine { due: due(200) },
    ];
    let uncovered = [
        Phase::Quiet,
        Phase::Held { due: due(190) },
        Phase::Raised,
        Phase::Fine { due: due(200) },
    ];
    for (index, (name, make)) in PHASES.into_iter().enumerate() {
        let cover = |condition: &mut Condition| condition.set_covered(at(150), true, &TIMING);
        assert_eq!(after(make, cover), covered[index], "{name}");
        let both = |condition: &mut Condition| {
            cover(condition);
            condition.set_covered(at(160), false, &TIMING);
        };
        assert_eq!(after(make, both), uncovered[index], "{name}");
    }
}

#[test]
fn what_rises_while_covered_waits() {
    let rise_covered = |condition: &mut Condition| {
        condition.set_covered(at(150), true, &TIMING);
        condition.set_evidence(at(155), 1, &TIMING);
    };
    assert_eq!(after(quiet, rise_covered), Phase::Quiet);
    assert_eq!(after(fine, rise_covered), Phase::Fine { due: due(200) });
    let and_uncovered = |condition: &mut Condition| {
        rise_covered(condition);
        condition.set_covered(at(160), false, &TIMING);
    };
    assert_eq!(after(quiet, and_uncovered), Phase::Held { due: due(190) });
    assert_eq!(after(fine, and_uncovered), Phase::Raised);
}

#[test]
fn being_ended() {
    for (name, make) in PHASES {
        let mut condition = make();
        condition.set_evidence(at(150), 0, &TIMING);
        condition.end(Cleared::Unwatched);
        let step = condition.handle_timeout(at(150), &TIMING);
        let cleared = step == Step::Clear(Cleared::Unwatched);
        assert_eq!(
            cleared,
            name == "raised" || name == "fine",
            "{name}: {step:?}"
        );
        assert_eq!(condition.phase(), Phase::Quiet, "{name}");
    }
}

#[test]
fn what_still_holds_when_it_is_ended_is_held_anew() {
    let mut condition = raised();
    condition.end(Cleared::Covered);
    let step = condition.handle_timeout(at(150), &TIMING);
    assert_eq!(step, Step::Clear(Cleared::Covered));
    assert_eq!(condition.phase(), Phase::Held { due: due(180) });
}

#[test]
fn its_time_coming() {
    let expected = [
        // (a moment before, at the moment, phase after)
        (699, Step::None, Step::Forget, Phase::Quiet),
        (129, Step::None, Step::Raise, Phase::Raised),
        (9_999, Step::None, Step::None, Phase::Raised),
        (199, Step::None, Step::Clear(Cleared::Fine), Phase::Quiet),
    ];
    let fallen: Make = || {
        let mut condition = held();
        condition.set_evidence(at(110), 0, &TIMING);
        condition
    };
    let phases: [(&str, Make); 4] = [
        ("fallen", fallen),
        ("held", held),
        ("raised", raised),
        ("fine", fine),
    ];
    for ((name, make), (before, early, late, phase)) in phases.into_iter().zip(expected) {
        let mut condition = make();
        assert_eq!(
            condition.handle_timeout(at(before), &TIMING),
            early,
            "{name}"
        );
        assert_eq!(
            condition.handle_timeout(at(before + 1), &TIMING),
            late,
            "{name}"
        );
        assert_eq!(condition.phase(), phase, "{name}");
    }
    let nothing_to_remember = quiet().handle_timeout(at(100), &TIMING);
    assert_eq!(nothing_to_remember, Step::Forget);
}

/// It never holds for 30 s, and yet is an alarm: with its third rise in ten minutes.
#[test]
fn flapping_too_fast_to_be_held() {
    let mut condition = quiet();
    for n in 0..3 {
        assert_eq!(
            condition.handle_timeout(at(100 + 20 * n), &TIMING),
            if n == 0 { Step::Forget } else { Step::None }
        );
        condition.set_evidence(at(100 + 20 * n), 1, &TIMING);
        if n < 2 {
            condition.set_evidence(at(110 + 20 * n), 0, &TIMING);
        }
    }
    assert_eq!(condition.handle_timeout(at(140), &TIMING), Step::Raise);
    assert!(condition.is_flapping());
    condition.set_evidence(at(150), 0, &TIMING);
    // It is over only when it has been quiet for ten minutes.
    assert_eq!(condition.handle_timeout(at(749), &TIMING), Step::None);
    assert_eq!(
        condition.handle_timeout(at(750), &TIMING),
        Step::Clear(Cleared::Fine)
    );
    assert_eq!(condition.handle_timeout(at(750), &TIMING), Step::Forget);
}

#[test]
fn an_alarm_that_begins_to_flap_says_so_once_and_ceases_to() {
    let mut condition = raised();
    for n in 0..4 {
        condition.set_evidence(at(140 + 20 * n), 0, &TIMING);
        condition.set_evidence(at(150 + 20 * n), 1, &TIMING);
        let expected = if n == 1 { Step::Change } else { Step::None };
        assert_eq!(
            condition.handle_timeout(at(150 + 20 * n), &TIMING),
            expected,
            "{n}"
        );
    }
    assert_eq!((condition.count(), condition.is_flapping()), (5, true));
    assert_eq!(condition.handle_timeout(at(809), &TIMING), Step::None);
    assert_eq!(condition.handle_timeout(at(810), &TIMING), Step::Change);
    assert_eq!(
        (condition.phase(), condition.is_flapping()),
        (Phase::Raised, false)
    );
}

#[test]
fn slow_comings_and_goings_do_not_flap() {
    let mut condition = raised();
    for n in 1..10 {
        condition.set_evidence(at(100 + 301 * n - 10), 0, &TIMING);
        condition.set_evidence(at(100 + 301 * n), 1, &TIMING);
        assert!(!condition.is_flapping(), "{n}");
    }
}

#[test]
fn what_happens_rather_than_lasts() {
    let mut condition = quiet();
    condition.happen(at(100), &MOMENTARY);
    assert_eq!(condition.handle_timeout(at(100), &MOMENTARY), Step::Raise);
    assert_eq!(condition.phase(), Phase::Fine { due: due(160) });
    condition.happen(at(150), &MOMENTARY);
    assert_eq!(condition.phase(), Phase::Fine { due: due(210) });
    assert_eq!(condition.count(), 2);
    assert_eq!(condition.handle_timeout(at(209), &MOMENTARY), Step::None);
    assert_eq!(
        condition.handle_timeout(at(210), &MOMENTARY),
        Step::Clear(Cleared::Fine)
    );
}
