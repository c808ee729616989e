//! The daemon writes every probe into Parquet files, the same as into its database, or without one.

mod support;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use parquet::file::reader::SerializedFileReader;
use parquet::record::{Row, RowAccessor};
use rusqlite::Connection;
use serde_json::{Value, json};
use support::daemon::{Daemon, vmscope};
use support::reflector::{Reflector, Way};
use support::{config, tap};

const MVPN: &str = r#"
[[mvpns]]
name = "red"
group = "239.1.1.1"
tunnels = ["t1", "t2", "t3"]
start = true
probes = { rate = "100pps", interval = "300ms", warmup = "300ms", loss_timeout = "300ms", count = 300 }
"#;

fn ways(_: u8, _: u8, seq: u32) -> Way {
    match seq % 10 {
        3 => Way::Lost,
        7 => Way::Twice,
        _ => Way::Straight,
    }
}

fn with_files(directory: &Path, more: &str) -> String {
    let files = directory.join("probes");
    std::fs::create_dir(&files).unwrap();
    let parquet = format!(
        "[parquet]\ndirectory = \"{}\"\nevery = \"1s\"\n",
        files.display()
    );
    config(directory, 3, &format!("{MVPN}{parquet}{more}"))
}

/// Runs a daemon until its task is over; what it says of its files before it ends.
fn measure(directory: &Path, config: &str) -> Value {
    let _reflector = Reflector::start(tap::enter_new_network(), ways, 0);
    let mut daemon = Daemon::start(directory, config);
    let mut client = daemon.client();
    client.ask(json!({"op": "subscribe", "events": ["task"]}));
    client.wait_for(|event| event["event"] == "task" && event["state"] == "finished");
    let status = client.ask(json!({"op": "status"}));
    let words = daemon.cli("status");
    let words = String::from_utf8(words.stdout).unwrap();
    assert!(words.contains("probes in closed files in"), "{words}");
    client.ask(json!({"op": "shutdown"}));
    assert_eq!(daemon.wait(), Some(0));
    assert_eq!(status["record_drops"], 0);
    status["probe_files"].clone()
}

/// Task, sender, receiver, number, when it was sent, its delay.
type Fate = (u32, u32, u32, u32, i64, Option<i64>);

/// What all files hold, and how many there are.
fn filed(directory: &Path) -> (BTreeSet<Fate>, usize) {
    let (mut fates, mut files) = (BTreeSet::new(), 0);
    for entry in std::fs::read_dir(directory.join("probes")).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(path.extension().unwrap(), "parquet", "{}", path.display());
        files += 1;
        for row in SerializedFileReader::new(File::open(path).unwrap()).unwrap() {
            let fate = fate(&row.unwrap());
            assert!(fates.insert(fate), "twice: {fate:?}");
        }
    }
    (fates, files)
}

fn fate(row: &Row) -> Fate {
    let number = |column| row.get_uint(column).unwrap();
    assert_eq!(row.get_string(2).unwrap(), "red");
    assert_eq!(row.get_string(4).unwrap(), &format!("t{}", number(3)));
    let (sent_ns, delay_ns) = (row.get_long(10).unwrap(), row.get_long(11).ok());
    (
        number(1),
        number(3),
        number(5),
        number(7),
        sent_ns,
        delay_ns,
    )
}

#[test]
fn files_hold_what_the_database_holds() {
    let directory = tempfile::tempdir().unwrap();
    let status = measure(directory.path(), &with_files(directory.path(), ""));
    assert_eq!(status["dropped"], 0);
    assert!(
        status["written"].as_u64().unwrap() > 0,
        "a file a second: {status}"
    );
    let database = Connection::open(directory.path().join("results.sqlite")).unwrap();
    let sql = "SELECT task, sender, receiver, seq, sent_ns, received_ns - sent_ns FROM probe_log";
    let mut statement = database.prepare(sql).unwrap();
    let logged = statement.query_map([], |row| {
        Ok((
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
            row.get(5)?,
        ))
    });
    let logged: BTreeSet<Fate> = logged.unwrap().map(Result::unwrap).collect();
    let (filed, files) = filed(directory.path());
    assert!(
        logged.len() >= 1_800 && files >= 2,
        "{} {files}",
        logged.len()
    );
    assert_eq!(filed, logged);
}

#[test]
fn files_are_written_without_a_database_too() {
    let directory = tempfile::tempdir().unwrap();
    let text = with_files(directory.path(), "");
    let lines = text.lines().filter(|line| !line.starts_with("database"));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    measure(directory.path(), &text);
    let (filed, _) = filed(directory.path());
    let lost = filed.iter().filter(|fate| fate.5.is_none()).count();
    assert!(
        filed.len() >= 1_800 && lost >= 180,
        "{} {lost}",
        filed.len()
    );
    assert!(!directory.path().join("results.sqlite").exists());
}

#[test]
fn what_cannot_be_is_refused_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vmscope.toml");
    let started = |parquet: &str, options: &[&str]| {
        let text = format!("interface = \"lo\"\n[parquet]\n{parquet}\n");
        std::fs::write(&path, text).unwrap();
        let mut command = vmscope();
        command
            .args(["daemon", "--config"])
            .arg(&path)
            .args(options);
        command.arg("--socket").arg(directory.path().join("socket"));
        let output = command.output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    for (parquet, word) in [
        ("directory = \"/tmp\"\nevery = \"10ms\"", "1s is the least"),
        ("directory = \"/tmp\"\nsize = \"1MB\"", "16MB is the least"),
        ("every = \"10m\"", "directory"),
        ("directory = \"/tmp\"\nrotate = true", "rotate"),
    ] {
        let (code, said) = started(parquet, &["--check"]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(word), "{said}");
    }
    assert_eq!(started("directory = \"/tmp\"", &["--check"]).0, Some(0));
    let (code, said) = started("directory = \"/proc/none\"", &[]);
    assert!(
        code != Some(0) && said.contains("/proc/none") && said.contains("[parquet]"),
        "{said}"
    );
}
