//! Real agents (net-snmp's snmpd, pmacct's pmacctd) in a network namespace of their own, and what is made of what they say.
//!
//! ```text
//!   trains of UDP to a group ──▶ va ═══ vb ◀── counted by the kernel; snmpd answers for it, pmacctd exports flows of it
//! ```
//! What is "lost" is not sent in the first place: so the true count of each train is known.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket2::{Domain, Socket, Type};
use vmscope_agent::{Exporter, Snmp};
use vmscope_core::counters::{
    Aggregate, Discard, FlowSpec, Flows, Fresh, Question, Reading, TrainSpec, Trains, Width,
};
use vmscope_core::time::{Instant, Span};

const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);
const PAYLOAD_BYTES: usize = 50;
/// What each train of ten loses; no two neighbours the same, so that a train taken for its neighbour shows.
const LOSSES: [u64; 5] = [1, 3, 0, 10, 2];

fn now() -> Instant {
    static BEGAN: OnceLock<std::time::Instant> = OnceLock::new();
    let began = BEGAN.get_or_init(std::time::Instant::now);
    Instant::from_ns(1_000_000_000 + began.elapsed().as_nanos() as u64)
}

fn pause(ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
}

fn ip(line: &str) {
    let status = Command::new("ip").args(line.split(' ')).status();
    let status = status.expect("these tests need iproute2: run ci/setup");
    assert!(status.success(), "ip {line}: {status}");
}

/// A network namespace with a wire whose two ends are both here.
fn enter_new_network() {
    unshare(CloneFlags::CLONE_NEWNET)
        .expect("these tests make a network namespace: run them as root, or under `unshare -Urn`");
    ip("link set lo up");
    ip("link add va type veth peer name vb");
    // Nothing but probes on the wire.
    for end in ["va", "vb"] {
        let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{end}/disable_ipv6"), "1");
        ip(&format!("link set {end} up"));
    }
    ip("addr add 10.99.0.1/24 dev va");
}

/// A process that ends with the test.
struct Process(Child);

impl Process {
    fn start(program: &str, arguments: &[&str]) -> Process {
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Process(child.unwrap_or_else(|error| panic!("{program}: {error}; run ci/setup")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // pmacctd's core ends its plugins on SIGINT, and leaves them behind when it is killed.
        let _ = kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGINT);
        for _ in 0..100 {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            pause(20);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Who has been up for so long is not taken for one that may have begun anew unnoticed.
const OLD_ENOUGH_TICKS: u32 = 200;
const AGENT: &str = "127.0.0.1:1161";

fn snmpd(folder: &Path) -> Process {
    let config = folder.join("snmpd.conf");
    let routes = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mroute-mib");
    let text = format!(
        "agentAddress udp:{AGENT}\nrocommunity public 127.0.0.1\n\
         pass_persist .1.3.6.1.2.1.83.1.1.2.1 /bin/sh {}\n",
        routes.display()
    );
    fs::write(&config, text).unwrap();
    let log = format!("-Lf{}", folder.join("snmpd.log").display());
    let config = config.to_str().unwrap();
    Process::start(
        "/usr/sbin/snmpd",
        &["-f", &log, "-C", "-c", config, "-I", "-hr_disk"],
    )
}

fn agent() -> Snmp {
    Snmp::new(AGENT.parse().unwrap(), "public")
}

fn vb() -> Question {
    Question::Interface("vb".to_owned())
}

/// The first answer of an agent that has just started and is old enough to be believed.
fn first_answer(agent: &mut Snmp) -> Reading {
    for _ in 0..80 {
        if let Ok(reading) = agent.read(&vb(), now)
            && reading.uptime_ticks > OLD_ENOUGH_TICKS
        {
            return reading;
        }
        pause(100);
    }
    panic!("snmpd does not answer: {:?}", agent.read(&vb(), now));
}

/// Probes towards the group, from a port.
fn sender(port: u16) -> UdpSocket {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_multicast_if_v4(&SOURCE).unwrap();
    let here: SocketAddr = SocketAddrV4::new(SOURCE, port).into();
    socket.bind(&here.into()).unwrap();
    socket.into()
}

fn send(socket: &UdpSocket) {
    let sent = socket.send_to(&[7; PAYLOAD_BYTES], (GROUP, 5555));
    assert_eq!(sent.unwrap(), PAYLOAD_BYTES);
}

fn spec(fresh: Fresh) -> TrainSpec {
    TrainSpec {
        probes: 10,
        datagram_bytes: PAYLOAD_BYTES as u64 + 28,
        settle: Span::from_ms(50),
        every: Span::from_ms(100),
        patience: Span::from_s(12),
        fresh,
        exclusive: false,
    }
}

/// A train a loss, read until all are settled; before each, what is to happen then.
fn run(
    trains: &mut Trains,
    mut before: impl FnMut(usize),
    mut read: impl FnMut() -> Option<Reading>,
) -> Vec<Aggregate> {
    let socket = sender(40_000);
    let mut truth = Vec::new();
    let mut seq = 0;
    let began = now();
    while truth.len() < LOSSES.len() || !trains.is_settled() {
        assert!(
            now().since(began) < Span::from_s(120),
            "it never ends: {truth:?}"
        );
        if trains.may_send() && truth.len() < LOSSES.len() {
            let index = truth.len();
            before(index);
            truth.push(Aggregate {
                first: seq,
                last: seq + 9,
                counted: 10 - LOSSES[index],
            });
            for place in 0..10 {
                if place >= LOSSES[index] {
                    send(&socket);
                }
                trains.handle_sent(now(), seq);
                seq += 1;
            }
        }
        if trains.poll_ask(now()) {
            match read() {
                Some(reading) => trains.handle_reading(now(), reading),
                None => trains.handle_no_answer(),
            }
        }
        pause(10);
    }
    truth
}

/// Packets and octets that the kernel has received by vb.
fn kernel() -> (u64, u64) {
    let text = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("vb:"))
        .unwrap();
    let fields: Vec<u64> = line
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    (fields[1], fields[0])
}

#[test]
fn trains_are_counted_exactly_through_a_cache_of_three_seconds() {
    enter_new_network();
    let folder = tempfile::tempdir().unwrap();
    let _snmpd = snmpd(folder.path());
    let mut agent = agent();
    let first = first_answer(&mut agent);
    assert_eq!(first.packets.width, Width::Bits64);
    // A read without the pulse, for comparison: just after a train, the agent does not know of it.
    let socket = sender(40_001);
    for _ in 0..10 {
        send(&socket);
    }
    let stale = agent.read(&vb(), now).unwrap();
    assert_eq!(
        stale.packets.since(first.packets),
        Some(0),
        "the cache is what this test is about"
    );

    let mut trains = Trains::new(now(), spec(Fresh::ByPulse));
    let truth = run(&mut trains, |_| {}, || agent.read(&vb(), now).ok());
    let (said, discards) = trains.judge();
    assert_eq!(said, truth, "{discards:?}");
    // In the end the agent says what the kernel says.
    pause(3_500);
    let last = agent.read(&vb(), now).unwrap();
    let octets = last.octets.unwrap().value;
    assert_eq!((last.packets.value, octets), kernel());
}

#[test]
fn an_agent_that_begins_anew_costs_its_train_and_no_more() {
    enter_new_network();
    let folder = tempfile::tempdir().unwrap();
    let mut process = Some(snmpd(folder.path()));
    let mut agent = agent();
    first_answer(&mut agent);
    let mut trains = Trains::new(now(), spec(Fresh::ByPulse));
    let again = |index: usize| {
        if index == 1 {
            drop(process.take());
            process = Some(snmpd(folder.path()));
        }
    };
    let truth = run(&mut trains, again, || agent.read(&vb(), now).ok());
    let (said, discards) = trains.judge();
    let expected: Vec<Aggregate> = [0, 2, 3, 4].map(|index| truth[index]).into();
    assert_eq!(said, expected);
    assert_eq!(
        discards.by_reason().collect::<Vec<_>>(),
        [(Discard::Restarted, 10)]
    );
}

#[test]
fn nobody_is_believed_who_is_not_there_or_knows_no_such_thing() {
    enter_new_network();
    let refused = agent().read(&vb(), now).unwrap_err().to_string();
    assert!(refused.contains("does not answer"), "{refused}");
    let folder = tempfile::tempdir().unwrap();
    let _snmpd = snmpd(folder.path());
    let mut agent = agent();
    first_answer(&mut agent);
    let none = Question::Interface("vc".to_owned());
    let refused = agent.read(&none, now).unwrap_err().to_string();
    assert!(refused.contains("has no interface vc"), "{refused}");
    let refused = agent
        .read(&Question::Route(GROUP, SOURCE), now)
        .unwrap_err()
        .to_string();
    assert!(refused.contains("multicast route"), "{refused}");
    let mut stranger = Snmp::new(AGENT.parse().unwrap(), "wrong");
    let refused = stranger.read(&vb(), now).unwrap_err().to_string();
    assert!(refused.contains("community"), "{refused}");
}

fn pmacctd(folder: &Path, collector: SocketAddr, version: u8) -> Process {
    let config = folder.join("pmacctd.conf");
    let text = format!(
        "daemonize: false\npcap_interface: vb\npcap_filter: udp and dst net 239.0.0.0/8\n\
         aggregate: src_host, dst_host, src_port, dst_port, proto\nplugins: nfprobe\n\
         nfprobe_receiver: {collector}\nnfprobe_version: {version}\n\
         nfprobe_timeouts: udp=1:general=1:expint=1:maxlife=60\n"
    );
    fs::write(&config, text).unwrap();
    Process::start("pmacctd", &["-f", config.to_str().unwrap()])
}

/// An exporter is believed once its stream is known, and as long as it goes on: so something else must flow before and after.
#[test]
fn flows_are_counted_exactly_by_their_keys() {
    for version in [5, 9, 10] {
        std::thread::spawn(move || flows(version)).join().unwrap();
    }
}

fn flows(version: u8) {
    enter_new_network();
    let folder = tempfile::tempdir().unwrap();
    let collector = UdpSocket::bind("127.0.0.1:0").unwrap();
    collector.set_nonblocking(true).unwrap();
    let address = collector.local_addr().unwrap();
    let _pmacctd = pmacctd(folder.path(), address, version);
    let mut exporter = Exporter::default();
    let mut flows = Flows::new(FlowSpec {
        probes: 10,
        source: SOURCE,
        group: GROUP,
        exported_within: Span::from_s(4),
        patience: Span::from_s(20),
    });
    let mut truth: Vec<Aggregate> = Vec::new();
    let (mut seq, mut heard, mut buffer) = (0, 0, vec![0; 65_536]);
    let other = sender(1_234);
    let began = now();
    while truth.len() < LOSSES.len() || !flows.is_settled() {
        assert!(
            now().since(began) < Span::from_s(90),
            "v{version} never ends: {heard} heard"
        );
        send(&other);
        while let Ok((length, _)) = collector.recv_from(&mut buffer) {
            for export in exporter.read(&buffer[..length]) {
                // As for agents; IPFIX tells nothing of it.
                let young_ms = 10 * OLD_ENOUGH_TICKS + 2_000;
                heard += u64::from(export.uptime_ms.is_none_or(|ms| ms > young_ms));
                flows.handle_export(now(), &export);
            }
        }
        flows.handle_time(now());
        if heard > 0 && truth.len() < LOSSES.len() {
            let (losses, socket) = (LOSSES[truth.len()], sender(flows.port().unwrap()));
            truth.push(Aggregate {
                first: seq,
                last: seq + 9,
                counted: 10 - losses,
            });
            for place in 0..10 {
                if place >= losses {
                    send(&socket);
                }
                flows.handle_sent(now(), seq);
                seq += 1;
            }
        }
        // The other flow ends now and then, or the exporter would have nothing to say.
        pause(1_700);
    }
    let (said, discards) = flows.judge();
    assert_eq!(said, truth, "v{version}: {discards:?}");
}
