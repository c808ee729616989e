//! `vmscope read` as a user meets it: what it says, in which form, and what it makes of captures that are none.

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use pcap_file::Endianness;
use serde_json::Value;
use support::captures::{Captured, ETHERNET, Interface, Link, pcap, pcapng};
use support::daemon::vmscope;
use support::mdt::*;

const RED: [&str; 2] = ["--mvpn", "red=239.1.1.1"];
/// 2026-01-31T12:00:00Z.
const BEGIN_NS: u64 = 1_769_860_800_000_000_000;
const S: u64 = 1_000_000_000;

/// Two PEs meet, one asks for a stream, the other announces a data MDT for it; after 50 s the first falls silent.
fn a_short_story() -> Vec<Captured> {
    let (one, other) = ([172, 16, 1, 1], [172, 16, 1, 2]);
    let (source, group) = ([192, 168, 1, 2], [232, 1, 1, 1]);
    let said = |s: u64, pe: u8, packet: Vec<u8>| {
        let mut packet = on_mdt([10, 2, 0, pe], [239, 1, 1, 1], &packet);
        packet[8] -= pe;
        (BEGIN_NS + s * S, summed_header(packet))
    };
    let mut story = vec![
        said(1, 1, pim(one, hello(35, 7))),
        said(2, 2, pim(other, hello(35, 8))),
        said(3, 1, pim(one, join_prune(other, 70, group, &[source], &[]))),
        said(4, 2, mdt_join(other, source, group, [239, 2, 1, 1])),
        said(
            5,
            2,
            ipv4(17, source, group, &udp(5_004, 5_004, b"a customer's own")),
        ),
    ];
    story.extend((1..10).map(|n| said(10 * n, 2, pim(other, hello(35, 8)))));
    story.sort();
    story
}

fn summed_header(mut packet: Vec<u8>) -> Vec<u8> {
    packet[10..12].fill(0);
    let sum = sum(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

fn file(directory: &Path, bytes: &[u8]) -> PathBuf {
    let path = directory.join("story.pcapng");
    std::fs::write(&path, bytes).unwrap();
    path
}

fn read(path: &Path, how: &[&str]) -> Output {
    vmscope().arg("read").arg(path).args(how).output().unwrap()
}

fn story_file(directory: &Path) -> PathBuf {
    file(
        directory,
        &pcapng(&a_short_story(), &[ETHERNET], Endianness::Little),
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What was said, without the directory that the test made.
fn said(output: &Output, directory: &Path) -> String {
    let all = text(&output.stdout) + &text(&output.stderr);
    all.replace(&format!("{}/", directory.display()), "")
}

#[test]
fn who_is_in_the_mvpn_at_the_end_and_what_led_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = story_file(directory.path());
    let output = read(&path, &["--mvpn", "red=239.1.1.1", "--changes"]);
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!(said(&output, directory.path()));
}

#[test]
fn the_same_as_json_line_by_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = story_file(directory.path());
    let output = read(&path, &["--mvpn", "red=239.1.1.1", "--changes", "--json"]);
    let lines: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let is_change = |line: &&Value| line["event"] == "change";
    assert_eq!(lines.iter().filter(is_change).count(), lines.len() - 2);
    let [state, capture] = &lines[lines.len() - 2..] else {
        panic!("{lines:?}");
    };
    assert_eq!(state["kind"], "mvpn-state");
    assert_eq!(state["mvpn"], "red");
    let kinds: Vec<_> = state["records"].as_array().unwrap().iter().collect();
    assert_eq!(kinds.len(), 2, "PE 2, and its data MDT: {state}");
    assert_eq!(capture["kind"], "capture");
    assert_eq!(capture["capture"]["frames"], 14);
    assert_eq!(
        capture["capture"]["read"], 13,
        "all but the customer's packet"
    );
}

#[test]
fn a_pipe_and_every_link_and_format_say_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let story = a_short_story();
    let truth = read(&story_file(directory.path()), &RED);
    let state = |output: &Output| {
        assert!(output.status.success(), "{output:?}");
        let said = text(&output.stdout);
        said.split("\n\n").next().unwrap().to_owned()
    };
    let on = |link| pcapng(&story, &[Interface { link, ..ETHERNET }], Endianness::Big);
    let captures = [
        on(Link::Raw),
        on(Link::Sll),
        on(Link::Sll2),
        on(Link::Vlan),
        pcap(&story, Link::Raw, Endianness::Little),
        pcap(&story, Link::Ethernet, Endianness::Big),
    ];
    for capture in &captures {
        let path = file(directory.path(), capture);
        assert_eq!(state(&read(&path, &RED)), state(&truth));
    }
    let mut child = vmscope()
        .args(["read", "-"])
        .args(RED)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&captures[0]).unwrap();
    assert_eq!(state(&child.wait_with_output().unwrap()), state(&truth));
}

#[test]
fn other_mvpns_and_the_links_own_routers_are_not_mixed_up() {
    let directory = tempfile::tempdir().unwrap();
    let mut story = a_short_story();
    story.push((BEGIN_NS + 91 * S, pim([10, 1, 0, 5], hello(35, 3))));
    let path = file(
        directory.path(),
        &pcapng(&story, &[ETHERNET], Endianness::Little),
    );
    let output = read(
        &path,
        &["--mvpn", "blue=239.1.1.2", "--plain", "core", "--json"],
    );
    let lines: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["records"].as_array().unwrap().len(), 0, "blue");
    let core = lines[1]["records"].as_array().unwrap();
    assert_eq!(core.len(), 1, "core");
    assert_eq!(core[0]["state"]["address"], "10.1.0.5");
}

#[test]
fn the_history_is_asked_for_afterwards() {
    let directory = tempfile::tempdir().unwrap();
    let path = story_file(directory.path());
    let database = directory.path().join("history.sqlite");
    let kept = [
        "--mvpn",
        "red=239.1.1.1",
        "--database",
        database.to_str().unwrap(),
    ];
    assert!(read(&path, &kept).status.success());
    let ask = |question: &[&str]| {
        let output = vmscope()
            .args(["mvpn"])
            .args(question)
            .arg("--database")
            .arg(&database)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        text(&output.stdout)
    };
    let at = |s: u64| format!("2026-01-31T12:00:{s:02}Z");
    insta::assert_snapshot!(ask(&["show", "red", "--at", &at(6)]));
    insta::assert_snapshot!(ask(&["diff", "red", &at(6), "2026-01-31T12:01:20Z"]));
    let before = ask(&["show", "red", "--at", "2026-01-31T11:00:00Z"]);
    assert!(before.contains("nobody listened then"), "{before}");
    // Read once more, it is another watch of the same time.
    assert!(read(&path, &kept).status.success());
    assert!(ask(&["show", "red", "--at", &at(6)]).contains("10.2.0.1"));
}

#[test]
fn a_capture_that_ends_early_is_said_and_what_it_held_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let whole = pcapng(&a_short_story(), &[ETHERNET], Endianness::Little);
    let database = directory.path().join("history.sqlite");
    let path = file(directory.path(), &whole[..whole.len() - 7]);
    let output = read(
        &path,
        &[
            "--mvpn",
            "red=239.1.1.1",
            "--database",
            database.to_str().unwrap(),
        ],
    );
    assert_eq!(output.status.code(), Some(3));
    insta::assert_snapshot!(said(&output, directory.path()));
    let known = vmscope()
        .args([
            "mvpn",
            "show",
            "red",
            "--at",
            "2026-01-31T12:01:19Z",
            "--database",
        ])
        .arg(&database)
        .output()
        .unwrap();
    assert!(text(&known.stdout).contains("10.2.0.2"), "{known:?}");
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let whole = pcapng(&a_short_story(), &[ETHERNET], Endianness::Little);
    let mut torn = whole.clone();
    let middle = (torn.len() / 2) & !3;
    torn[middle..middle + 64].fill(0xa5);
    let mut lengthy = whole.clone();
    let last = lengthy.len() - 4;
    lengthy[last..].copy_from_slice(&[0xff, 0xff, 0xff, 0xfc]);
    let mut words = String::new();
    for (what, bytes, code) in [
        ("empty", &b""[..], 3),
        ("text", b"GET / HTTP/1.1\r\n", 3),
        ("gzip", &[0x1f, 0x8b, 8, 0, 0, 0], 3),
        ("header only", &whole[..20], 3),
        ("torn", &torn, 3),
        ("lengths that differ", &lengthy, 3),
        (
            "nothing captured",
            &pcapng(&[], &[ETHERNET], Endianness::Little),
            0,
        ),
    ] {
        let output = read(&file(directory.path(), bytes), &RED);
        assert_eq!(output.status.code(), Some(code), "{what}: {output:?}");
        words += &format!("== {what}\n{}", said(&output, directory.path()));
    }
    let path = story_file(directory.path());
    for (what, how) in [
        (
            "twice the same group",
            &["--mvpn", "red=239.1.1.1", "--mvpn", "blue=239.1.1.1"][..],
        ),
        ("no group", &["--mvpn", "red=10.1.1.1"]),
        ("no equals sign", &["--mvpn", "red"]),
        ("nothing to look for", &[]),
        (
            "no such configuration",
            &["--config", "/nonexistent/vmscope.toml"],
        ),
    ] {
        let output = read(&path, how);
        assert_eq!(output.status.code(), Some(2), "{what}: {output:?}");
        words += &format!("== {what}\n{}", said(&output, directory.path()));
    }
    let output = read(Path::new("/nonexistent/story.pcapng"), &RED);
    assert_eq!(output.status.code(), Some(3));
    words += &said(&output, directory.path());
    insta::assert_snapshot!(words);
}

#[test]
fn stamps_that_go_back_links_that_are_strange_and_packets_cut_short_are_said() {
    let directory = tempfile::tempdir().unwrap();
    let mut story = a_short_story();
    story.push((BEGIN_NS - 3_600 * S, story[0].1.clone()));
    let mut capture = pcapng(&story, &[ETHERNET], Endianness::Little);
    // Linux's netlink, and a packet of which the capture holds 60 bytes.
    let strange = pcapng(
        &story[..1],
        &[Interface {
            link: Link::Raw,
            ..ETHERNET
        }],
        Endianness::Little,
    );
    capture.extend(with_link(strange, 253));
    let short = (BEGIN_NS + 100 * S, story[0].1[..60].to_vec());
    capture.extend(pcapng(&[short], &[ETHERNET], Endianness::Little));
    let output = read(&file(directory.path(), &capture), &RED);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = said(&output, directory.path());
    let summary = said.split("\n\n").last().unwrap();
    insta::assert_snapshot!(summary);
}

/// Another link type in the first interface of a little-endian pcapng file: behind the Section Header Block of 28 bytes.
fn with_link(mut capture: Vec<u8>, link: u16) -> Vec<u8> {
    let at = u32::from_le_bytes(capture[4..8].try_into().unwrap()) as usize + 8;
    capture[at..at + 2].copy_from_slice(&link.to_le_bytes());
    capture
}
