//! What there is, and questions that lead nowhere.

use super::lab::{Perfect, Wires, out};
use super::*;

/// 20 probes of which one is lost, and five of a second run.
fn files() -> Files {
    let mut lab = two("P-PE2", "impair_to.PE2 = { loss = \"20%\" }");
    for sequence in 0..20 {
        let mut rule = |lane: &str, _| match (lane, sequence) {
            ("P-PE2/PE2", 7) => vec![],
            _ => vec![out(20_000)],
        };
        lab.probe(send(sequence), &mut Wires(&mut rule));
    }
    lab.session = 78;
    for sequence in 0..5 {
        let later = Send {
            ns: send(sequence).ns + 3 * SECOND,
            ..send(sequence)
        };
        lab.probe(later, &mut Perfect);
    }
    lab.files(|_| {})
}

#[test]
fn without_a_question_there_is_a_list_of_what_can_be_asked() {
    insta::assert_snapshot!(asked(&files(), ""));
}

#[test]
fn runs_of_a_task_are_told_apart() {
    let files = files();
    let first = asked(&files, "mdt/a#2");
    assert!(
        first.contains("mdt/a#2: a probe") && first.contains("see also mdt@2/a#2"),
        "{first}"
    );
    let second = asked(&files, "mdt@2/a/b#2");
    assert!(
        second.contains("mdt@2/a/b#2: a probe") && second.contains("sent at 4.100"),
        "{second}"
    );
    assert!(!asked(&files, "mdt/a#17").contains("see also"));
}

#[test]
fn names_that_lead_nowhere_are_answered_with_those_that_do() {
    let files = files();
    for (what, said) in [
        (
            "mtd",
            "no probes of a task of that name were seen (mdt were), and no customers' source has it (video)",
        ),
        ("mdt/x", "sent no probes into that tunnel; it did into a"),
        ("mdt/a/a", "the receivers of mdt are b, c"),
        ("mdt@3/a", "mdt was started 2 times"),
        ("mdt/a#20", "there are #0 to #19"),
        ("mdt@2/a#5", "there are #0 to #4"),
        ("video#1", "none was sent"),
        ("video/b", "there are viewer"),
        ("video@2", "neither runs nor tunnels"),
    ] {
        let answer = asked(&files, what);
        assert!(
            answer.starts_with(&format!("cannot trace {what:?}: ")) && answer.contains(said),
            "{what}: {answer}"
        );
    }
}
