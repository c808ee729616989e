//! The daemon keeps history for as long as it was told to, and no longer.

mod support;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pcap_file::Endianness;
use rusqlite::Connection;
use support::captures::{ETHERNET, pcapng};
use support::daemon::{Daemon, vmscope};
use support::mdt::*;
use support::{config, tap};

const DAY_NS: u64 = 24 * 3_600 * 1_000_000_000;
/// Batches of the writer, of at most half a second each, after which its first round of tidying up is long over.
const BATCHES: i64 = 6;
const PATIENCE: Duration = Duration::from_secs(30);

/// A PE's Hello, a hundred days ago, in the daemon's own database.
fn history_of_old(directory: &Path) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let then = now.as_nanos() as u64 - 100 * DAY_NS;
    let said = on_mdt(
        [10, 2, 0, 2],
        [239, 1, 1, 1],
        &pim([172, 16, 1, 2], hello(105, 1)),
    );
    let story = [(then, said.clone()), (then + DAY_NS, said)];
    let capture = directory.join("old.pcapng");
    std::fs::write(&capture, pcapng(&story, &[ETHERNET], Endianness::Little)).unwrap();
    let read = vmscope()
        .arg("read")
        .arg(&capture)
        .args(["--mvpn", "red=239.1.1.1", "--database"])
        .arg(directory.join("results.sqlite"))
        .output()
        .unwrap();
    assert!(read.status.success(), "{read:?}");
}

fn past_states(database: &Connection) -> i64 {
    database
        .query_row("SELECT count(*) FROM mvpn_past", [], |row| row.get(0))
        .unwrap()
}

/// Waits until the daemon has written for a while, or until nothing is left; how much is left.
fn left_after_a_while(directory: &Path) -> i64 {
    let database = Connection::open(directory.join("results.sqlite")).unwrap();
    let batches = || -> i64 {
        let sql = "SELECT coalesce(sum(batches), 0) FROM session";
        database.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let before = batches();
    let began = Instant::now();
    loop {
        let left = past_states(&database);
        let written = batches() - before;
        if left == 0 || written >= BATCHES {
            return left;
        }
        assert!(
            began.elapsed() < PATIENCE,
            "only {written} batches are written"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn history_goes_when_its_time_is_over_and_not_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    history_of_old(path);
    let _link = tap::enter_new_network();
    let text = config(path, 1, "");
    for (keep, options, is_kept) in [
        ("", &[][..], true),
        ("[retention]\nhistory = \"120d\"\n", &[], true),
        (
            "[retention]\nhistory = \"90d\"\n",
            &["--keep-history", "for-ever"],
            true,
        ),
        (
            "[retention]\nhistory = \"120d\"\n",
            &["--keep-history", "90d"],
            false,
        ),
    ] {
        let daemon = Daemon::start_with(path, &(text.clone() + keep), options);
        let left = left_after_a_while(path);
        assert_eq!(left > 0, is_kept, "{keep} {options:?}: {left} are left");
        drop(daemon);
    }
}

#[test]
fn what_cannot_be_kept_is_refused_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vmscope.toml");
    std::fs::write(&path, "interface = \"lo\"\n[retention]\nhistory = \"5m\"\n").unwrap();
    let check = |options: &[&str]| {
        let mut command = vmscope();
        command
            .args(["daemon", "--check", "--config"])
            .arg(&path)
            .args(options);
        command.output().unwrap()
    };
    let refused = check(&[]);
    assert_eq!(refused.status.code(), Some(2));
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(
        words.contains("1h is the least") && words.contains("line 3"),
        "{words}"
    );
    std::fs::write(&path, "interface = \"lo\"\n").unwrap();
    assert_eq!(check(&[]).status.code(), Some(0));
    let refused = check(&["--keep-size", "20"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("20GB"));
}
