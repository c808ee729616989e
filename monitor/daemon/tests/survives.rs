//! What a monitor must survive: being killed, being asked nonsense, being started twice.

mod support;

use std::os::unix::process::CommandExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rusqlite::Connection;
use serde_json::{Value, json};
use support::daemon::{Daemon, vmscope};
use support::reflector::{Reflector, Way};
use support::{config, tap};

const TASK: &str = r#"
[[tasks]]
name = "x"
group = "239.1.1.1"
senders = ["t1"]
receivers = ["t2"]
probes = { rate = "200pps", interval = "250ms", warmup = "0s", loss_timeout = "200ms" }
"#;

fn straight(_: u8, _: u8, _: u32) -> Way {
    Way::Straight
}

fn process(daemon: &Daemon) -> Pid {
    Pid::from_raw(daemon.process().cast_signed())
}

fn is_interval(number: u64) -> impl Fn(&Value) -> bool {
    move |event| event["event"] == "interval" && event["interval"] == number
}

#[test]
fn killed_without_warning_it_comes_back_and_the_log_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let _reflector = Reflector::start(tap::enter_new_network(), straight, 0);
    let text = config(directory.path(), 2, TASK);
    let mut daemon = Daemon::start(directory.path(), &text);
    let mut client = daemon.client();
    client.ask(json!({"op": "subscribe", "events": ["interval"]}));
    client.wait_for(is_interval(7));
    daemon.kill();

    let database = Connection::open(directory.path().join("results.sqlite")).unwrap();
    let count = |sql: &str| {
        database
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    // Interval 7 was out; what was out a second earlier, interval 3, is in the file.
    let kept = count("SELECT max(interval) FROM interval_result");
    assert!((3..=7).contains(&kept), "the last interval kept is {kept}");
    let first_run = count("SELECT count(*) FROM probe_log");
    assert!(first_run >= 150, "{first_run} probes kept");

    // Its socket is still there, and no hindrance.
    assert!(directory.path().join("run/vmscope.sock").exists());
    let mut daemon = Daemon::start(directory.path(), &text);
    let mut client = daemon.client();
    client.ask(json!({"op": "subscribe", "events": ["interval"]}));
    client.wait_for(is_interval(1));
    client.ask(json!({"op": "shutdown"}));
    assert_eq!(daemon.wait(), Some(0));
    assert_eq!(count("SELECT count(*) FROM session"), 2);
    assert_eq!(
        count("SELECT count(*) FROM session WHERE ended_ns IS NULL"),
        1
    );
    assert!(count("SELECT count(*) FROM probe_log") > first_run);
    assert!(!directory.path().join("run/vmscope.sock").exists());
}

#[test]
fn nonsense_is_answered_with_a_remedy_and_harms_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let _reflector = Reflector::start(tap::enter_new_network(), straight, 0);
    let daemon = Daemon::start(directory.path(), &config(directory.path(), 2, TASK));
    let mut client = daemon.client();
    let too_long = [vec![b'x'; 2 << 20], b"\n".to_vec()].concat();
    let nonsense: [&[u8]; 8] = [
        b"hello\n",
        b"{\"id\":7}\n",
        b"{\"id\":7,\"request\":{\"op\":\"dance\"}}\n",
        b"{\"id\":7,\"request\":{\"op\":\"tunnel-show\",\"name\":\"t1\",\"colour\":\"red\"}}\n",
        b"{\"id\":7,\"request\":{\"op\":\"tunnel-show\",\"name\":\"not a name\"}}\n",
        b"[]\n",
        b"\xff\xfe\n",
        &too_long,
    ];
    for bytes in nonsense {
        let reply = client.say(bytes);
        assert_eq!(reply["error"]["code"], "malformed", "{reply}");
        assert!(!reply["error"]["remedy"].as_str().unwrap().is_empty());
    }
    // A client that leaves in the middle of a line, and one that never reads.
    drop({
        let mut rude = daemon.client();
        rude.say(b"{\"id\":1,\"request\":{\"op\":\"status\"}}\n{\"id\":2,");
        rude
    });
    for _ in 0..200 {
        let reply =
            client.outcome(json!({"op": "group-join", "tunnel": "nowhere", "group": "239.1.1.1"}));
        assert_eq!(reply["error"]["code"], "not-found");
    }
    assert_eq!(client.ask(json!({"op": "status"}))["tunnels"], 2);
}

#[test]
fn it_is_not_started_twice_and_ends_when_told() {
    let directory = tempfile::tempdir().unwrap();
    let _reflector = Reflector::start(tap::enter_new_network(), straight, 0);
    let mut daemon = Daemon::start(directory.path(), &config(directory.path(), 2, TASK));
    let second = vmscope()
        .args(["daemon", "--config"])
        .arg(directory.path().join("vmscope.toml"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(3), "{said}");
    assert!(said.contains("another vmscope serves"), "{said}");

    kill(process(&daemon), Signal::SIGTERM).unwrap();
    assert_eq!(daemon.wait(), Some(0));
    let database = Connection::open(directory.path().join("results.sqlite")).unwrap();
    let unfinished: i64 = database
        .query_row("SELECT count(*) FROM task WHERE NOT finished", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(unfinished, 0);
}

/// More copies lie in the capture then than are read at once, and the time of all of them is over.
#[test]
fn stopped_for_longer_than_it_waits_for_probes_it_loses_none() {
    const STOPS: usize = 5;
    let directory = tempfile::tempdir().unwrap();
    let _reflector = Reflector::start(tap::enter_new_network(), straight, 0);
    let task = TASK.replace("200pps", "2000pps");
    let daemon = Daemon::start(directory.path(), &config(directory.path(), 2, &task));
    let mut client = daemon.client();
    client.ask(json!({"op": "subscribe", "events": ["interval", "task"]}));
    for _ in 0..STOPS {
        client.wait_for(|event| event["event"] == "interval");
        kill(process(&daemon), Signal::SIGSTOP).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(700));
        kill(process(&daemon), Signal::SIGCONT).unwrap();
    }
    let stopped = client.ask(json!({"op": "task-stop", "name": "x"}));
    assert_eq!(stopped["state"], "draining", "{stopped}");
    client.wait_for(|event| event["event"] == "task" && event["state"] == "finished");
    let counts = &client.ask(json!({"op": "task-stats", "name": "x"}))["pairs"][0]["counts"];
    assert!(counts["sent"].as_u64().unwrap() > 2_000, "{counts}");
    assert_eq!(counts["lost"], 0, "{counts}");
}

#[test]
fn processors_are_kept_awake_if_it_is_told_to() {
    const LATENCY: &str = "/dev/cpu_dma_latency";
    if !std::path::Path::new(LATENCY).exists() {
        eprintln!("skipped: this kernel has no {LATENCY}");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let _reflector = Reflector::start(tap::enter_new_network(), straight, 0);
    for (keep_awake, held) in [(false, false), (true, true)] {
        let text = format!(
            "keep_awake = {keep_awake}\n{}",
            config(directory.path(), 2, "")
        );
        let mut daemon = Daemon::start(directory.path(), &text);
        let files = std::fs::read_dir(format!("/proc/{}/fd", daemon.process())).unwrap();
        let mut links = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
        let is_held = links.any(|link| link == std::path::Path::new(LATENCY));
        assert_eq!(is_held, held);
        daemon.client().ask(json!({"op": "shutdown"}));
        assert_eq!(daemon.wait(), Some(0));
    }
}

#[test]
fn the_command_line_speaks_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let _reflector = Reflector::start(tap::enter_new_network(), straight, 0);
    let mut daemon = Daemon::start(directory.path(), &config(directory.path(), 2, ""));
    let added = "tunnel add t9 --outer-local 10.1.0.2 --outer-remote 10.254.1.9 --inner-local 10.77.9.2 --inner-remote 10.77.9.1";
    assert_eq!(daemon.cli(added).status.code(), Some(0));
    let again = daemon.cli(added);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).starts_with("vmscope: "));
    let filter = String::from_utf8(daemon.cli("filter").stdout).unwrap();
    assert!(filter.contains("10.254.1.9"), "{filter}");
    let listed: Value = serde_json::from_slice(&daemon.cli("tunnel list --json").stdout).unwrap();
    assert_eq!(listed["ok"]["tunnels"].as_array().unwrap().len(), 3);
    assert_eq!(daemon.cli("tunnel frobnicate").status.code(), Some(2));
    assert_eq!(daemon.cli("shutdown").status.code(), Some(0));
    assert_eq!(daemon.wait(), Some(0));
    let gone = daemon.cli("status");
    assert_eq!(gone.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&gone.stderr).contains("start one"));
}

#[test]
fn the_console_runs_line_after_line() {
    let directory = tempfile::tempdir().unwrap();
    let _reflector = Reflector::start(tap::enter_new_network(), straight, 0);
    let daemon = Daemon::start(directory.path(), &config(directory.path(), 2, ""));
    let lines = "tunnel list\n\nfrobnicate\njoin t1 239.7.7.7\njoin t9 239.7.7.7\nstats group\nexit\nshutdown\n";
    let output = daemon.cli_with_input("console", lines);
    let (shown, said) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(
        shown.contains("10.254.1.2") && shown.contains("239.7.7.7"),
        "{shown}"
    );
    assert!(
        said.contains("unrecognized subcommand 'frobnicate'"),
        "{said}"
    );
    assert!(said.contains("there is no tunnel t9"), "{said}");
    // What stands after `exit` is not run.
    assert_eq!(daemon.cli("status").status.code(), Some(0));
}

#[test]
fn what_keeps_it_from_starting_is_said_with_a_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let _link = tap::enter_new_network();
    let path = directory.path().join("c.toml");
    let start = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let output = vmscope()
            .args(["daemon", "--config"])
            .arg(&path)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    for (text, code, words) in [
        ("interfaces = \"tap0\"", 2, "unknown field"),
        ("", 2, "names no interface"),
        ("interface = \"eth7\"", 3, "there is no interface eth7"),
        (
            "interface = \"tap0\"\nsocket = \"/proc/nowhere/s\"",
            3,
            "set `socket`",
        ),
        (
            "interface = \"tap0\"\nsocket = \"SOCKET\"\ndatabase = \"/proc/nowhere/db\"",
            3,
            "results database",
        ),
    ] {
        let socket = directory.path().join("s").display().to_string();
        let (exit, said) = start(&text.replace("SOCKET", &socket));
        assert_eq!(exit, Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    }
    let absent = vmscope()
        .args(["daemon", "--config", "/nowhere.toml"])
        .output()
        .unwrap();
    assert_eq!(absent.status.code(), Some(2));
    // The wrong end of privilege: nobody.
    std::fs::write(&path, "interface = \"tap0\"").unwrap();
    let public: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), public).unwrap();
    let output = vmscope()
        .args(["daemon", "--config"])
        .arg(&path)
        .uid(65_534)
        .gid(65_534)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("cap_net_raw"), "{said}");
}
