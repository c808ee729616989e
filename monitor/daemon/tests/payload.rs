//! Nothing of the customer's payload is stored or logged (VS-08, PC-01): packets of every kind carry a random mark, and
//! then all that was written anywhere is searched for any eight bytes of it.

mod support;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use pcap_file::Endianness;
use serde_json::{Value, json};
use support::captures::{Captured, ETHERNET, Link, pcapng};
use support::daemon::{Client, Daemon, vmscope};
use support::mark::{Mark, PIECE_BYTES};
use support::mdt::*;
use support::{MONITOR, config, router, tap};

const RED: Address = [239, 1, 1, 1];
const DATA_MDT: Address = [239, 2, 1, 1];
const PE: Address = [10, 2, 0, 2];
const VRF: Address = [172, 16, 1, 1];
const SOURCE: Address = [192, 168, 1, 2];
const GROUP: Address = [232, 1, 1, 1];
const RP: Address = [10, 9, 9, 9];
/// Says Hello behind all others: when it is there, they have been read.
const LAST_PE: Address = [10, 2, 0, 99];

/// Everything on: two observations that read customers' headers, alarms in a file, and the most verbose log.
fn observing(directory: &Path) -> String {
    let path = directory.display();
    let more = format!(
        r#"
[[tunnels]]
name = "lan"
encapsulation = "none"
inner_local = "10.1.0.2"
inner_remote = "10.1.0.1"
ping_interval = "0s"

[[mvpns]]
name = "red"
group = "239.1.1.1"
watch = {{ tunnels = ["t1", "lan"] }}

[[mvpns]]
name = "core"
group = "224.0.0.13"
watch = {{ tunnels = ["lan"] }}

[[passive]]
name = "streams"
group = "239.1.1.1"
tunnels = ["t1"]

[[passive]]
name = "on-data-mdt"
group = "239.2.1.1"
tunnels = ["lan"]

[[expected]]
mvpn = "red"
pes = {{ PE1 = "10.2.0.1" }}
groups = []

[alarms]
raise_after = "0s"
listen_first = "0s"
sinks = [{{ type = "file", path = "{path}/alarms.jsonl" }}, {{ type = "log" }}]
"#
    );
    config(directory, 1, &more)
}

/// What customers and PEs may put on an MDT, marked wherever a sender is free to write what it likes.
fn marked(mark: &[u8]) -> Vec<Vec<u8>> {
    let rtp = |n: u8| [&[0x80, 96, 0, n, 0, 0, 0, n, 1, 2, 3, 4], mark].concat();
    let stream = |n: u8| ipv4(17, SOURCE, GROUP, &udp(5_004, 5_004, &rtp(n)));
    let mut customers: Vec<Vec<u8>> = (0..20).map(stream).collect();
    customers.extend([
        ipv4(17, SOURCE, GROUP, &udp(33_900, 33_900, mark)),
        ipv4(
            17,
            SOURCE,
            GROUP,
            &udp(33_900, 33_900, &[b"VMSP", mark].concat()),
        ),
        ipv4(6, SOURCE, GROUP, mark),
        ipv4(1, SOURCE, GROUP, &[&[8, 0, 0, 0], mark].concat()),
        ipv4(2, SOURCE, GROUP, &[&[0x22, 0, 0, 0], mark].concat()),
        ipv4(47, SOURCE, GROUP, &gre(mark)),
        fragment(ipv4(17, SOURCE, GROUP, &udp(5_004, 5_004, mark)), 0x2000),
        fragment(ipv4(17, SOURCE, GROUP, mark), 185),
        // To the PIM routers, which is read.
        fragment(
            ipv4(
                103,
                VRF,
                ALL_PIM_ROUTERS,
                &[&[0x20, 0, 0, 0], mark].concat(),
            ),
            0x2000,
        ),
        fragment(ipv4(103, VRF, ALL_PIM_ROUTERS, mark), 185),
        ipv4(17, VRF, ALL_PIM_ROUTERS, &udp(3_232, 3_232, mark)),
        ipv4(
            17,
            VRF,
            ALL_PIM_ROUTERS,
            &udp(3_232, 3_232, &[&[9, 0, 99], mark].concat()),
        ),
        ipv4(
            17,
            VRF,
            ALL_PIM_ROUTERS,
            &udp(3_232, 3_232, &[&[1, 0, 16], mark].concat()),
        ),
        ipv4(17, VRF, ALL_PIM_ROUTERS, &udp(5_004, 5_004, mark)),
        ipv4(89, VRF, ALL_PIM_ROUTERS, mark),
        pim(VRF, mark.to_vec()),
        pim(VRF, summed(register(mark))),
        ipv4(103, VRF, RP, &summed(register(mark))),
        // Hello: its hold time, then an option that nobody knows; and one that is longer than the message.
        pim(VRF, hello_with(&[&[0xfd, 0xe8, 0, 96], mark].concat())),
        pim(VRF, hello_with(&[&[0, 24, 0xff, 0xff], mark].concat())),
    ]);
    for kind in 0..=15 {
        customers.push(pim(VRF, summed([&[0x20 | kind, 0, 0, 0], mark].concat())));
        customers.push(pim(VRF, [&[0x20 | kind, 0, 1, 2], mark].concat()));
    }
    // A Join/Prune that promises more groups than it has.
    let mut torn = join_prune(VRF, 210, GROUP, &[SOURCE], &[]);
    torn[11] = 200;
    torn.extend(mark);
    customers.push(pim(VRF, summed(torn)));
    customers
}

fn register(mark: &[u8]) -> Vec<u8> {
    let inside = ipv4(17, SOURCE, GROUP, &udp(5_004, 5_004, mark));
    [&[0x21, 0, 0, 0, 0, 0, 0, 0], &inside[..]].concat()
}

fn hello_with(option: &[u8]) -> Vec<u8> {
    summed([&[0x20, 0, 0, 0, 0, 1, 0, 2, 0, 105], option].concat())
}

/// Flags and offset of a fragment (RFC 791), with the checksum that they call for.
fn fragment(mut packet: Vec<u8>, flags_and_offset: u16) -> Vec<u8> {
    packet[6..8].copy_from_slice(&flags_and_offset.to_be_bytes());
    packet[10..12].fill(0);
    let sum = sum(&packet[..20]);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// The packets at every place where a monitor meets them: on the default MDT and a data MDT, in its tunnel and on its
/// link, without any MDT, and torn.
fn everywhere(mark: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![on_mdt(PE, RED, &pim(VRF, hello(105, 1)))];
    for customer in marked(mark) {
        for mdt in [RED, DATA_MDT] {
            let carried = on_mdt(PE, mdt, &customer);
            all.push(in_tunnel(router(1), MONITOR, &carried));
            all.push(in_tunnel(router(1), MONITOR, &carried)[..90].to_vec());
            all.push(carried);
        }
        all.push(in_tunnel(router(1), MONITOR, &customer));
        all.push(customer);
    }
    // A PE whose customers' packets are no packets.
    all.push(on_mdt(PE, RED, mark));
    all.push(in_tunnel(router(1), MONITOR, mark));
    all.push(on_mdt(LAST_PE, RED, &pim([172, 16, 1, 99], hello(105, 1))));
    all
}

/// All that a client can ask, written into a file.
fn ask_everything(client: &mut Client, answers: &Path) -> Vec<Value> {
    let questions = [
        json!({"op": "status"}),
        json!({"op": "tunnel-list"}),
        json!({"op": "group-list"}),
        json!({"op": "mvpn-list"}),
        json!({"op": "mvpn-show", "name": "red"}),
        json!({"op": "mvpn-show", "name": "core"}),
        json!({"op": "alarm-list"}),
        json!({"op": "passive-list"}),
        json!({"op": "passive-stats", "name": "streams"}),
        json!({"op": "passive-stats", "name": "on-data-mdt"}),
        json!({"op": "overhead"}),
        json!({"op": "filter"}),
    ];
    let replies: Vec<Value> = questions
        .into_iter()
        .map(|question| client.outcome(question))
        .collect();
    std::fs::write(answers, json!(replies).to_string()).unwrap();
    replies
}

fn send(link: &mut File, packet: &[u8]) {
    link.write_all(&Link::Ethernet.frame(packet)).unwrap();
    // No faster than any link of a customer.
    std::thread::sleep(Duration::from_micros(200));
}

#[test]
fn a_daemon_at_its_most_talkative_writes_nothing_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let mark = Mark::random();
    let mut link = tap::enter_new_network();
    let mut daemon = Daemon::start(path, &observing(path));
    let mut client = daemon.client();
    client.ask(json!({"op": "subscribe", "events": []}));
    for packet in everywhere(&mark.bytes) {
        send(&mut link, &packet);
    }
    let is_last = |event: &Value| event.to_string().contains("10.2.0.99");
    let mut events = vec![client.wait_for(is_last)];
    // A report of streams and pings is due every ten seconds.
    events.push(client.wait_for(|event| event["event"] == "ping"));
    let replies = ask_everything(&mut client, &path.join("answers.json"));
    events.extend(client.heard());
    std::fs::write(path.join("events.json"), json!(events).to_string()).unwrap();

    // It has seen them: read what it may, counted what it cannot read, observed what it was told to.
    let red = &replies[4]["ok"];
    assert!(red["heard"]["malformed"].as_u64() > Some(30), "{red}");
    assert!(red["heard"]["latest_fault"].is_string(), "{red}");
    for observation in [8, 9] {
        let streams = replies[observation]["ok"]["streams"].as_array().unwrap();
        let is_rtp = |stream: &Value| stream["group"] == "232.1.1.1" && stream["rtp"].is_object();
        assert!(streams.iter().any(is_rtp), "{streams:?}");
    }

    // While it runs there is a write-ahead log, and what is in it is not in the database yet.
    let (found, files) = mark.search(path);
    assert_eq!(found, [""; 0]);
    assert!(path.join("results.sqlite-wal").exists() && files >= 5);
    client.ask(json!({"op": "shutdown"}));
    assert_eq!(daemon.wait(), Some(0));
    std::fs::write(path.join("log.txt"), daemon.log()).unwrap();
    let log = std::fs::read_to_string(path.join("log.txt")).unwrap();
    assert!(log.contains("DEBUG"), "{log}");
    let alarms = std::fs::read_to_string(path.join("alarms.jsonl")).unwrap();
    assert!(alarms.contains("10.2.0.2"), "{alarms}");
    assert_eq!(mark.search(path).0, [""; 0]);
}

#[test]
fn reading_a_capture_writes_nothing_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let (path, captures) = (directory.path().join("out"), directory.path().join("in"));
    std::fs::create_dir_all(&path).unwrap();
    std::fs::create_dir_all(&captures).unwrap();
    let mark = Mark::random();
    let packets = everywhere(&mark.bytes).into_iter().enumerate();
    let captured: Vec<Captured> = packets
        .map(|(n, packet)| (1_769_860_800_000_000_000 + 100_000_000 * n as u64, packet))
        .collect();
    let capture = captures.join("capture.pcapng");
    let bytes = pcapng(&captured, &[ETHERNET], Endianness::Little);
    std::fs::write(&capture, &bytes).unwrap();
    let torn = captures.join("torn.pcapng");
    std::fs::write(&torn, &bytes[..bytes.len() / 3]).unwrap();
    let configured = captures.join("vmscope.toml");
    std::fs::write(&configured, observing(&path)).unwrap();
    for (n, file) in [&capture, &torn].into_iter().enumerate() {
        for (form, how) in [
            ("text", &["--changes"][..]),
            ("json", &["--changes", "--json"]),
        ] {
            let output = vmscope()
                .arg("read")
                .arg(file)
                .arg("--config")
                .arg(&configured)
                .args(how)
                .arg("--database")
                .arg(path.join(format!("{n}-{form}.sqlite")))
                .output()
                .unwrap();
            let said = [&output.stdout[..], &output.stderr].concat();
            assert!(
                String::from_utf8_lossy(&said).contains("10.2.0.2"),
                "{output:?}"
            );
            std::fs::write(path.join(format!("{n}-{form}.txt")), said).unwrap();
        }
    }
    let (found, files) = mark.search(&path);
    assert_eq!(found, [""; 0]);
    assert!(files >= 8, "{files} files");
    // The same search finds it where it is.
    assert_eq!(mark.search(&captures).0.len(), 2);
}

#[test]
fn the_search_finds_any_piece_in_every_form_and_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let mark = Mark::random();
    let noise: Vec<u8> = (0..4_096u32).map(|n| (n * 7 / 3) as u8).collect();
    assert_eq!(mark.find(&noise), None);
    for from in [0, 13, mark.bytes.len() - PIECE_BYTES] {
        let piece = &mark.bytes[from..from + PIECE_BYTES];
        let hex: String = piece.iter().map(|byte| format!("{byte:02x}")).collect();
        let forms = [
            piece.to_vec(),
            hex.into_bytes(),
            format!("{piece:?}").into_bytes(),
        ];
        for form in forms {
            let whole = [&noise[..1_001], &form, &noise[1_001..]].concat();
            assert!(mark.find(&whole).is_some(), "{piece:?} from {from}");
            std::fs::write(directory.path().join("hidden"), whole).unwrap();
            assert_eq!(mark.search(directory.path()).0.len(), 1);
        }
        assert_eq!(mark.find(&piece[1..]), None);
    }
}
