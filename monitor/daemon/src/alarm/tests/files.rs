use std::path::Path;

use super::{NOW, PATIENCE, notice, open, outcome, raise, settled, sink};
use crate::alarm::Notifier;
use vmscope_core::alarm::Turn;

fn lines(path: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_file_gets_an_object_a_line_and_may_be_moved_away() {
    let directory = tempfile::tempdir().unwrap();
    let (path, old) = (
        directory.path().join("alarms.jsonl"),
        directory.path().join("old"),
    );
    let notifier = open(&format!("type = 'file'\npath = '{}'", path.display()));
    raise(&notifier, 1);
    notifier.put(notice(1, Turn::Cleared), NOW);
    let health = settled(&notifier);
    assert_eq!((health.delivered, health.failing.as_ref()), (2, None));
    assert_eq!(notifier.health(), [health]);
    std::fs::rename(&path, &old).unwrap();
    raise(&notifier, 2);
    assert_eq!(outcome(notifier), (3, 0, 0));
    let turns: Vec<_> = lines(&old)
        .iter()
        .map(|line| line["turn"].clone())
        .collect();
    assert_eq!(turns, ["raised", "cleared"]);
    let notice: vmscope_core::alarm::Notice =
        serde_json::from_value(lines(&path)[0].clone()).unwrap();
    assert_eq!(notice, super::notice(2, Turn::Raised));
}

#[test]
fn a_file_that_cannot_be_written_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    // A directory is no file, not even to root.
    let notifier = open(&format!(
        "type = 'file'\npath = '{}'",
        directory.path().display()
    ));
    raise(&notifier, 1);
    let health = settled(&notifier);
    assert_eq!((health.delivered, health.failed), (0, 1));
    assert!(health.failing.unwrap().contains("cannot append to it"));
}

#[test]
fn a_sink_gets_what_matters_enough_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, severity: &str| {
        let path = directory.path().join(name);
        sink(&format!(
            "type = 'file'\npath = '{}'\nseverity_min = '{severity}'",
            path.display()
        ))
    };
    let specs = [
        file("all", "warning"),
        file("worst", "critical"),
        sink("type = 'log'"),
    ];
    let notifier = Notifier::open(&specs).unwrap();
    raise(&notifier, 1);
    let delivered: Vec<u64> = notifier
        .finish(PATIENCE)
        .iter()
        .map(|sink| sink.delivered)
        .collect();
    assert_eq!(delivered, [1, 0, 1]);
    assert!(!directory.path().join("worst").exists());
}
