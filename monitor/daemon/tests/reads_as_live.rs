//! A capture that is read says what a live monitor says that hears the same packets: record by record, wherever, on
//! whatever link and in whichever format it was captured.

mod support;

use std::path::{Path, PathBuf};

use pcap::{Capture, Linktype};
use pcap_file::Endianness;
use pcap_file::pcapng::blocks::interface_description::InterfaceTsResolution;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use support::captures::{Captured, ETHERNET, Interface, Link, pcap, pcapng};
use support::daemon::vmscope;
use support::mdt::*;
use vmscope_core::config::Config;
use vmscope_core::control::{Operation, Request};
use vmscope_core::session::{Direction, Options, Session};
use vmscope_core::time::Instant;
use vmscope_store::{Entry, Limits, Put, SessionStart, Writer};

/// 2026-01-31T12:00:00Z.
const BEGIN_NS: u64 = 1_769_860_800_000_000_000;
/// What the live monitor's monotonic clock shows then.
const MONOTONIC_NS: u64 = 7_000_000_000;
const MS: u64 = 1_000_000;

const CONFIG: &str = r#"
interface = "eth0"
[[tunnels]]
name = "pe1"
outer_local = "10.1.0.2"
outer_remote = "10.254.1.1"
inner_local = "10.77.1.2"
inner_remote = "10.77.1.1"
ping_interval = "0s"
[[mvpns]]
name = "red"
group = "239.1.1.1"
watch = { tunnels = ["pe1"] }
[[mvpns]]
name = "blue"
group = "239.1.1.2"
watch = { tunnels = ["pe1"] }
"#;
const ON_THE_COMMAND_LINE: [&str; 4] = ["--mvpn", "red=239.1.1.1", "--mvpn", "blue=239.1.1.2"];

/// What PEs say on the MDTs of red and blue, and on one that nobody watches; customers' packets among it.
fn heard_in_the_backbone(seed: u64) -> Vec<Captured> {
    let mut dice = ChaCha8Rng::seed_from_u64(seed);
    let mut at = BEGIN_NS;
    let mut generations = [1u32; 5];
    let mut packets = Vec::new();
    for n in 0..4_000u16 {
        // Whole microseconds, for that is what some formats keep.
        at += match (n, dice.random_range(0..50)) {
            (2_000, _) => 40 * 3_600 * 1_000 * MS,
            (_, 0) => dice.random_range(1..60_000) * MS,
            _ => dice.random_range(1..50_000) * 1_000,
        };
        let pe = dice.random_range(0..5u8);
        let mdt = [239, 1, 1, dice.random_range(1..4)];
        let from = [192, 168, mdt[3], pe + 1];
        let group = [232, 1, 1, dice.random_range(1..6)];
        let source = |dice: &mut ChaCha8Rng| [172, 16, 0, dice.random_range(1..5)];
        let (one, other) = (source(&mut dice), source(&mut dice));
        let upstream = [192, 168, mdt[3], dice.random_range(1..3)];
        let packet = match dice.random_range(0..12) {
            0..4 => {
                generations[usize::from(pe)] += u32::from(dice.random_range(0..40) == 0);
                pim(from, hello(35, generations[usize::from(pe)]))
            }
            4..7 => pim(from, join_prune(upstream, 70, group, &[one], &[])),
            7 => pim(from, join_prune(upstream, 70, group, &[one], &[other])),
            8 => pim(from, join_prune(upstream, 70, group, &[], &[one])),
            9 => mdt_join(from, one, group, [239, 2, 1, dice.random_range(1..9)]),
            10 => pim(from, vec![0x23, 0, 1, 2, 3]),
            _ => ipv4(17, one, group, &udp(5_004, 5_004, b"a customer's own")),
        };
        packets.push((at, numbered(n, on_mdt([10, 2, 0, pe], mdt, &packet))));
    }
    packets
}

/// A sender gives each packet an identification of its own (RFC 791).
fn numbered(n: u16, mut packet: Vec<u8>) -> Vec<u8> {
    packet[4..6].copy_from_slice(&n.to_be_bytes());
    packet[10..12].fill(0);
    let sum = sum(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// Each packet again, at another interface, a hop further and a little later; but for the last, that both captures end alike.
fn twice(packets: &[Captured]) -> Vec<Captured> {
    let mut all = Vec::new();
    for (at, packet) in packets {
        let mut further = packet.clone();
        further[8] -= 1;
        let number = u16::from_be_bytes([packet[4], packet[5]]);
        all.push((*at, packet.clone()));
        all.push((at + 70_000, numbered(number, further)));
    }
    all.pop();
    all
}

/// The same, as it reaches a monitor.
fn heard_by_a_monitor(backbone: &[Captured]) -> Vec<Captured> {
    let arrives = |(at, packet): &Captured| {
        let packet = in_tunnel([10, 254, 1, 1], [10, 1, 0, 2], packet);
        (*at, packet)
    };
    backbone.iter().map(arrives).collect()
}

/// A live monitor, with a real capture filter in front and a database behind.
fn live(packets: &[Captured], database: &Path) {
    let on_its_clock = |at_ns: u64| Instant::from_ns(at_ns - BEGIN_NS + MONOTONIC_NS);
    let begin = on_its_clock(packets[0].0);
    let mut session = Session::new(begin, Options::default());
    session
        .load(begin, &Config::from_toml(CONFIG).unwrap())
        .unwrap();
    let start = SessionStart {
        session: 1,
        version: "live".to_owned(),
        interface: "eth0".to_owned(),
        probe_port: 33_900,
        at_ns: begin,
        realtime_minus_monotonic_ns: (BEGIN_NS - MONOTONIC_NS) as i64,
    };
    let writer = Writer::open(database, &start, Limits::default()).unwrap();
    let filter = Capture::dead(Linktype::ETHERNET)
        .unwrap()
        .compile(session.filter(), true)
        .unwrap();
    let mut now = begin;
    for (at_ns, packet) in packets {
        let stamp = on_its_clock(*at_ns);
        while let Some(due) = session.next_deadline()
            && due <= stamp
        {
            now = now.max(due);
            while session.poll_transmit(now).is_some() {}
        }
        now = stamp;
        if filter.filter(&Link::Ethernet.frame(packet)) {
            session.handle_packet(now, stamp, packet, Direction::Incoming);
        }
        put(&mut session, &writer);
    }
    let operation = Operation::Shutdown;
    session.handle_request(now, Request { id: 1, operation });
    while !session.is_finished() {
        while session.poll_transmit(now).is_some() {}
    }
    put(&mut session, &writer);
    let health = writer.finish().unwrap();
    assert_eq!((health.dropped, health.rejected), (0, 0));
}

fn put(session: &mut Session, writer: &Writer) {
    while let Some(record) = session.poll_record() {
        assert_eq!(writer.put(Entry::Record(record)), Put::Queued);
    }
}

/// What a database answers about red and blue: all that changed, and what held at some moments.
fn answers(database: &Path, packets: &[Captured]) -> Vec<Value> {
    let moment = |ns: u64| {
        jiff::Timestamp::from_nanosecond(i128::from(ns))
            .unwrap()
            .to_string()
    };
    let (first, last) = (packets[0].0, packets[packets.len() - 1].0);
    let mut answers = Vec::new();
    for mvpn in ["red", "blue"] {
        let ask = |question: &[&str]| -> Value {
            let asked = vmscope()
                .args(["--json", "mvpn", "show", mvpn, "--database"])
                .arg(database)
                .args(question)
                .output()
                .unwrap();
            assert!(asked.status.success(), "{asked:?}");
            serde_json::from_slice(&asked.stdout).unwrap()
        };
        let all = ask(&["--between", &moment(first), &moment(last + 1)]);
        answers.push(all["changes"].clone());
        for n in 1..8 {
            let (at, _) = packets[n * packets.len() / 8];
            answers.push(ask(&["--at", &moment(at)])["states"].clone());
        }
    }
    answers
}

/// What reading a capture writes into a database.
fn read(directory: &Path, capture: &[u8], how: &[&str]) -> PathBuf {
    let (file, database) = (directory.join("capture"), directory.join("read.sqlite"));
    std::fs::write(&file, capture).unwrap();
    let _ = std::fs::remove_file(&database);
    let read = vmscope()
        .arg("read")
        .arg(&file)
        .args(how)
        .arg("--database")
        .arg(&database)
        .output()
        .unwrap();
    assert!(read.status.success(), "{read:?}");
    database
}

#[test]
fn the_same_packets_make_the_same_history_live_and_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let backbone = heard_in_the_backbone(1);
    let monitor = heard_by_a_monitor(&backbone);
    live(&monitor, &path.join("live.sqlite"));
    let truth = answers(&path.join("live.sqlite"), &backbone);
    let changes = truth[0].as_array().unwrap();
    assert!(changes.len() > 500, "{} changes", changes.len());
    for cause in ["said", "taken-back", "expired", "restarted"] {
        let some = changes.iter().any(|change| change["cause"] == cause);
        assert!(some, "nothing is {cause}");
    }

    std::fs::write(path.join("vmscope.toml"), CONFIG).unwrap();
    let config = path.join("vmscope.toml");
    let with_config = ["--config", config.to_str().unwrap()];
    let named = &ON_THE_COMMAND_LINE[..];
    let little = Endianness::Little;
    let slow = Interface {
        link: Link::Sll2,
        resolution: InterfaceTsResolution::MICRO,
        offset_s: 1_000_000,
    };
    let raw = Interface {
        link: Link::Raw,
        ..ETHERNET
    };
    let sll = Interface {
        link: Link::Sll,
        ..ETHERNET
    };
    let captures = [
        (
            "at the monitor, configured",
            pcapng(&monitor, &[ETHERNET], little),
            &with_config[..],
        ),
        (
            "at the monitor, any tunnel",
            pcapng(&monitor, &[ETHERNET], little),
            named,
        ),
        (
            "in the backbone, configured",
            pcapng(&backbone, &[ETHERNET], little),
            &with_config[..],
        ),
        (
            "in the backbone",
            pcapng(&backbone, &[ETHERNET], Endianness::Big),
            named,
        ),
        (
            "pcap",
            pcap(&backbone, Link::Ethernet, Endianness::Big),
            named,
        ),
        (
            "pcap with a VLAN",
            pcap(&monitor, Link::Vlan, little),
            named,
        ),
        (
            "three interfaces",
            pcapng(&backbone, &[slow, raw, sll], little),
            named,
        ),
        (
            "both ends of a link",
            pcapng(&twice(&backbone), &[ETHERNET, raw], little),
            named,
        ),
        (
            "out of order",
            pcapng(&shuffled(&backbone), &[ETHERNET, raw], little),
            named,
        ),
    ];
    for (which, capture, how) in captures {
        let database = read(path, &capture, how);
        assert!(
            answers(&database, &backbone) == truth,
            "{which}: another history"
        );
    }

    // And what differs is seen.
    let mut less = backbone.clone();
    let is_hello = |(_, packet): &Captured| packet.get(44) == Some(&0x20);
    less.remove(less.iter().position(is_hello).unwrap());
    let database = read(path, &pcapng(&less, &[ETHERNET], little), named);
    assert!(
        answers(&database, &backbone) != truth,
        "a Hello less, and the same history"
    );
}

/// As a capture of several interfaces is written: not in the order of stamps, but never much out of it.
fn shuffled(packets: &[Captured]) -> Vec<Captured> {
    let mut dice = ChaCha8Rng::seed_from_u64(9);
    let mut places: Vec<(u64, usize)> = packets
        .iter()
        .enumerate()
        .map(|(n, (at, _))| (at + dice.random_range(0..400) * MS, n))
        .collect();
    places.sort();
    places
        .into_iter()
        .map(|(_, n)| packets[n].clone())
        .collect()
}
