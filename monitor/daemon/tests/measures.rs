//! The daemon, as a process, against a stand-in whose every deed is known: what it claims of
//! each probe must be what happened to it.

mod support;

use rusqlite::Connection;
use serde_json::{Value, json};
use support::daemon::Daemon;
use support::reflector::{Reflector, Way};
use support::{config, tap};

const MVPN: &str = r#"
[[mvpns]]
name = "red"
group = "239.1.1.1"
tunnels = ["t1", "t2", "t3"]
start = true
probes = { rate = "100pps", interval = "300ms", warmup = "500ms", loss_timeout = "500ms", count = 100 }
"#;

/// 50 to warm up, 100 to count.
const LAST_PROBES: u32 = 140;

fn ways(sender: u8, receiver: u8, seq: u32) -> Way {
    if seq >= LAST_PROBES {
        // Nothing would come to overtake them.
        return Way::Straight;
    }
    match (seq + u32::from(sender) * 3 + u32::from(receiver)) % 10 {
        2 => Way::Lost,
        4 => Way::Twice,
        6 => Way::Overtaken,
        8 => Way::Damaged,
        _ => Way::Straight,
    }
}

fn task_is_over(event: &Value) -> bool {
    event["event"] == "task" && event["state"] == "finished"
}

#[test]
fn every_probes_fate_is_as_it_happened() {
    let directory = tempfile::tempdir().unwrap();
    let reflector = Reflector::start(tap::enter_new_network(), ways, 2);
    let mut daemon = Daemon::start(directory.path(), &config(directory.path(), 3, MVPN));
    let mut client = daemon.client();
    client.ask(json!({"op": "subscribe", "events": ["task"]}));
    client.wait_for(task_is_over);
    let overhead = client.ask(json!({"op": "overhead"}));
    let pairs = client.ask(json!({"op": "task-stats", "name": "red"}));
    client.ask(json!({"op": "shutdown"}));
    assert_eq!(daemon.wait(), Some(0));
    let seen = reflector.seen();

    assert_eq!(pairs["pairs"].as_array().unwrap().len(), 6);
    let database = Connection::open(directory.path().join("results.sqlite")).unwrap();
    let mut statement = database
        .prepare("SELECT sender, receiver, seq, fate, duplicates, reordered, warmup FROM probe_log")
        .unwrap();
    let logged: Vec<_> = statement
        .query_map([], |row| {
            let key: (u8, u8, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let claim: (String, u32, bool, bool) =
                (row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?);
            Ok((key, claim))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    // Probes of the first milliseconds may have come before the last join.
    let counted = seen.carried.values().filter(|(_, warmup)| !warmup).count();
    assert_eq!(counted, 6 * 100);
    assert_eq!(logged.iter().filter(|(_, claim)| !claim.3).count(), counted);
    let logged_rows = logged.len();
    for (key, claim) in logged {
        let Some((way, warmup)) = seen.carried.get(&key) else {
            assert_eq!(
                (claim.0.as_str(), claim.3),
                ("lost", true),
                "{key:?} was carried nowhere"
            );
            continue;
        };
        let expected = match way {
            Way::Straight => ("received", 0, false),
            Way::Twice => ("received", 1, false),
            Way::Overtaken => ("received", 0, true),
            Way::Lost | Way::Damaged => ("lost", 0, false),
        };
        assert_eq!(
            (claim.0.as_str(), claim.1, claim.2, claim.3),
            (expected.0, expected.1, expected.2, *warmup),
            "{key:?}, {way:?}"
        );
    }

    // The command line reads the same from the file.
    let file = directory
        .path()
        .join("results.sqlite")
        .display()
        .to_string();
    let probes = daemon.cli(&format!(
        "results red --database {file} --probes --limit 100000 --json"
    ));
    assert_eq!(
        String::from_utf8(probes.stdout).unwrap().lines().count(),
        logged_rows
    );
    let table =
        String::from_utf8(daemon.cli(&format!("results red --database {file}")).stdout).unwrap();
    // Four intervals of the six pairs, at least, and a heading.
    assert!(table.lines().count() > 4 * 6, "{table}");
    assert_eq!(
        daemon
            .cli(&format!("results blue --database {file}"))
            .status
            .code(),
        Some(1)
    );

    // Customer packets came with every probe, and the kernel's filter kept all of them out.
    assert_eq!(overhead["customer_discarded"]["packets"], 0);
    assert_eq!(overhead["customer_observed"]["packets"], 0);
    let damaged = seen
        .carried
        .values()
        .filter(|(way, _)| *way == Way::Damaged)
        .count();
    assert_eq!(overhead["other_received"]["packets"], damaged);
    assert!(overhead["pings_received"]["packets"].as_u64().unwrap() > 0);
    // Joined over every tunnel, left over every tunnel, and not a complaint about GRE.
    assert_eq!(
        (seen.joined.len(), seen.left.len(), seen.complaints),
        (3, 3, 0)
    );
    let ended: Option<i64> = database
        .query_row("SELECT ended_ns FROM session", [], |row| row.get(0))
        .unwrap();
    assert!(ended.is_some());
}

#[test]
fn customers_are_observed_only_when_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let _reflector = Reflector::start(tap::enter_new_network(), ways, 2);
    let daemon = Daemon::start(directory.path(), &config(directory.path(), 3, MVPN));
    let mut client = daemon.client();
    client.ask(
        json!({"op": "passive-start", "name": "look", "tunnels": ["t2"], "group": "239.1.1.1"}),
    );
    client.ask(json!({"op": "subscribe", "events": ["task"]}));
    client.wait_for(task_is_over);
    let streams = client.ask(json!({"op": "passive-stats", "name": "look"}));
    let rows = streams["streams"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{streams}");
    assert_eq!(
        (&rows[0]["tunnel_name"], &rows[0]["pe"]),
        (&json!("t2"), &json!("10.2.0.2"))
    );
    assert_eq!(
        (&rows[0]["source"], &rows[0]["group"]),
        (&json!("192.168.1.1"), &json!("239.9.9.9"))
    );
}
