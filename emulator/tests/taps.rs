//! The tap and the customers on this kernel: two nodes, and a wire room between them that bridges instead of
//! redirecting, because not every host has the lab's traffic control. Needs root; makes its own namespaces.

use std::{
    io,
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use mvpnlab_emulator::{
    kernel::{Batch, Netns, link},
    plan::Cidr,
    traffic::{ReceiverSpec, SourceSpec, Traffic, TrafficLog, TrafficSpec, payload, socket},
    truth::{
        CustomerId, SNAP_BYTES, Taps, What,
        clock::{ClockLog, Converter, monotonic_ns},
        decode::decode,
        record::{Direction, Record, RecordReader},
    },
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoBridge, InfoData, LinkAttribute},
};
use rtnetlink::{LinkBridge, LinkUnspec};
use socket2::{Domain, Protocol, Socket, Type};

const A: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const B: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 9, 9, 9);
const SSM: Ipv4Addr = Ipv4Addr::new(232, 9, 9, 9);
const SILENT: Ipv4Addr = Ipv4Addr::new(239, 9, 9, 10);
const PACKETS: u64 = 40;
const PERIOD_NS: u64 = 2_000_000;

/// `A/to-b == wires/w0a ~bridge~ wires/w0b == B/to-a`
struct Room {
    a: Netns,
    b: Netns,
    wires: Netns,
}

async fn build() -> Room {
    // SAFETY: geteuid always succeeds.
    let root = unsafe { libc::geteuid() } == 0;
    assert!(
        root,
        "this test makes network namespaces and packet sockets: run it as root"
    );
    let prefix = format!("tap{}-", std::process::id());
    let make = |name| Netns::create(&prefix, name).expect("a namespace");
    let mut room = Room {
        a: make("a"),
        b: make("b"),
        wires: make("wires"),
    };
    for netns in [&room.a, &room.b, &room.wires] {
        netns
            .prepare(mvpnlab_emulator::kernel::netns::Forwarding::Off)
            .expect("settings");
    }
    join(&mut room.a, "to-b", A, &mut room.wires, "w0a", 1).await;
    join(&mut room.b, "to-a", B, &mut room.wires, "w0b", 2).await;
    bridge(&mut room.wires).await;
    room
}

async fn join(
    node: &mut Netns,
    device: &str,
    address: Ipv4Addr,
    wires: &mut Netns,
    tap: &str,
    number: u8,
) {
    node.register(device);
    wires.register(tap);
    let (node, wires) = (&*node, &*wires);
    let end = |namespace, device, side| link::VethEnd {
        namespace,
        device,
        mac: [2, 0, 0, 0, side, number],
    };
    let mut batch = Batch::new();
    link::create_veth(&mut batch, end(node, device, 1), end(wires, tap, 2), 1500)
        .expect("registered");
    batch.send().await.expect("a veth pair");
    link::offloads_off(node, [device]).expect("offloads off");
    link::offloads_off(wires, [tap]).expect("offloads off");
    let mut batch = Batch::new();
    let address = Cidr {
        address,
        prefix: 24,
    };
    link::add_address(&mut batch, node, device, address).expect("registered");
    link::up(&mut batch, node, device).expect("registered");
    link::up(&mut batch, wires, tap).expect("registered");
    batch.send().await.expect("an address, and up");
}

async fn bridge(wires: &mut Netns) {
    let index = wires.register("br");
    let snooping_off = InfoData::Bridge(vec![InfoBridge::MulticastSnooping(false)]);
    let message = LinkBridge::new("br")
        .index(index)
        .set_info_data(snooping_off)
        .build();
    wires
        .netlink()
        .act(RouteNetlinkMessage::NewLink(message), 0x600)
        .await
        .expect("a bridge");
    for tap in ["w0a", "w0b"] {
        let port = LinkUnspec::new_with_index(wires.index(tap).expect("made above"))
            .append_extra_attribute(LinkAttribute::Controller(index))
            .build();
        wires
            .netlink()
            .act(RouteNetlinkMessage::SetLink(port), 0)
            .await
            .expect("a port");
    }
    let mut batch = Batch::new();
    link::up(&mut batch, wires, "br").expect("registered");
    batch.send().await.expect("up");
}

fn source(name: &str, flow: u32, group: Ipv4Addr) -> SourceSpec {
    SourceSpec {
        name: name.into(),
        flow,
        at: "A".into(),
        namespace: "a".into(),
        interface: A,
        group,
        size_bytes: 100,
        period_ns: PERIOD_NS,
        start_ns: 10 * PERIOD_NS,
        stop_ns: Some((10 + PACKETS) * PERIOD_NS),
        bursts: None,
    }
}

fn receiver(name: &str, group: Ipv4Addr, source: Option<Ipv4Addr>) -> ReceiverSpec {
    ReceiverSpec {
        name: name.into(),
        at: "B".into(),
        namespace: "b".into(),
        interface: B,
        group,
        source,
        start_ns: 0,
        stop_ns: None,
    }
}

/// Sources to two groups; receivers that must hear, and receivers that must not.
fn spec() -> TrafficSpec {
    let late = ReceiverSpec {
        start_ns: (10 + PACKETS / 2) * PERIOD_NS - PERIOD_NS / 2,
        ..receiver("late", GROUP, None)
    };
    TrafficSpec {
        sources: vec![source("any", 1, GROUP), source("ssm", 2, SSM)],
        receivers: vec![
            receiver("hears", GROUP, None),
            receiver("wrong group", SILENT, None),
            receiver("right source", SSM, Some(A)),
            receiver("wrong source", SSM, Some(Ipv4Addr::new(10, 9, 0, 77))),
            late,
        ],
        transfers: Vec::new(),
    }
}

/// A plain socket at B, to wait on: when it has heard the last packet, everybody has.
fn witness(room: &Room) -> Socket {
    let make = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddrV4::new(SSM, payload::PORT).into())?;
        socket.join_ssm_v4(&A, &SSM, &B)?;
        socket.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(socket)
    };
    socket::inside(room.b.open().expect("open"), make).expect("a socket at B")
}

/// A bridge's ports forward only once their carrier has been noticed: ask until a datagram comes through.
fn wait_for_bridge(room: &Room) {
    let to = SocketAddrV4::new(GROUP, 9);
    let hear = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind(&to.into())?;
        socket.join_multicast_v4(&GROUP, &B)?;
        socket.set_read_timeout(Some(Duration::from_millis(10)))?;
        Ok(socket)
    };
    let say = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_multicast_if_v4(&A)?;
        Ok(socket)
    };
    let heard = socket::inside(room.b.open().expect("open"), hear).expect("a socket at B");
    let said = socket::inside(room.a.open().expect("open"), say).expect("a socket at A");
    let asked = (0..1000).any(|_| {
        said.send_to(b"?", &to.into()).expect("sending");
        io::Read::read(&mut &heard, &mut [0; 8]).is_ok()
    });
    assert!(asked, "the bridge does not forward");
}

fn wait_for_last(witness: &Socket) {
    let mut buffer = [0; 2048];
    loop {
        let length =
            io::Read::read(&mut &*witness, &mut buffer).expect("the last packet within 20 s");
        if payload::parse(&buffer[..length]) == Some((2, PACKETS as u32 - 1)) {
            return;
        }
    }
}

fn check_log(log: &TrafficLog) {
    let sent: Vec<_> = log
        .sources
        .iter()
        .map(|source| (source.flow, source.sent, source.refused))
        .collect();
    assert_eq!(sent, [(1, PACKETS, 0), (2, PACKETS, 0)]);
    let heard = |name: &str| {
        let receiver = log
            .receivers
            .iter()
            .find(|receiver| receiver.name == name)
            .expect("a receiver");
        assert_eq!(receiver.foreign, 0);
        receiver.received.clone()
    };
    for (name, flow) in [("hears", 1), ("right source", 2)] {
        let [only] = heard(name)[..] else {
            panic!("{name}: {:?}", heard(name))
        };
        assert_eq!(
            (only.flow, only.packets, only.missing, only.duplicates),
            (flow, PACKETS, 0, 0),
            "{name}"
        );
    }
    assert_eq!(heard("wrong group"), []);
    assert_eq!(heard("wrong source"), []);
    let [late] = heard("late")[..] else {
        panic!("{:?}", heard("late"))
    };
    assert!(
        late.first_seq > 0 && late.packets < PACKETS,
        "it joined in the middle: {late:?}"
    );
    assert_eq!(late.last_seq, PACKETS as u32 - 1);
}

/// Every customer's packet entered at A's end and left at B's, once each, in order, and never the other way.
fn check_records(bytes: &[u8], clock: &ClockLog) {
    let mut converter = Converter::new(clock).expect("a clock");
    let mut seen: Vec<(CustomerId, String, Direction, u64)> = Vec::new();
    for record in RecordReader::new(bytes).expect("a capture") {
        let record: Record<'_> = record.expect("a record");
        let ns = converter
            .convert(record.realtime_ns)
            .expect("a stamp within the clock's epochs");
        let decoded = decode(record.frame, record.is_complete());
        if let What::Customer(id) = decoded.what {
            assert_eq!(decoded.damage, None, "checksums are true on the wire");
            seen.push((id, record.tap.device(), record.direction, ns));
        }
    }
    for flow in [1, 2] {
        for sequence in 0..PACKETS as u32 {
            let id = CustomerId { flow, sequence };
            let own: Vec<_> = seen.iter().filter(|(other, ..)| *other == id).collect();
            let places: Vec<_> = own
                .iter()
                .map(|(_, device, direction, _)| (device.as_str(), *direction))
                .collect();
            assert_eq!(
                places,
                [("w0a", Direction::Entered), ("w0b", Direction::Left)],
                "{id:?}"
            );
            assert!(own[0].3 <= own[1].3, "{own:?}");
        }
    }
}

#[tokio::test]
async fn every_packet_is_tapped_twice_and_heard_by_those_who_joined() {
    let room = build().await;
    wait_for_bridge(&room);
    let mut clock = ClockLog::start();
    let taps = Taps::start(room.wires.open().expect("open"), SNAP_BYTES).expect("taps");
    let witness = witness(&room);
    let open = |name: &str| {
        if name == "a" {
            room.a.open()
        } else {
            room.b.open()
        }
    };
    let traffic = Traffic::start(spec(), &open, monotonic_ns()).expect("traffic");
    wait_for_last(&witness);
    let log = traffic.stop().expect("a log");
    let capture = taps.stop().expect("a capture");
    clock.note();
    check_log(&log);
    assert_eq!(capture.summary.kernel_drops, 0);
    assert!(capture.summary.started_ns < capture.summary.stopped_ns);
    check_records(&capture.records, &clock);
}

#[tokio::test]
async fn a_wire_room_that_is_none_is_an_error_that_says_so() {
    let file = std::fs::File::open("/dev/null").expect("/dev/null");
    let error = Taps::start(file.into(), SNAP_BYTES)
        .expect_err("not a namespace")
        .to_string();
    assert!(
        error.starts_with("tapping the wires: entering the wire room: "),
        "{error}"
    );
}
