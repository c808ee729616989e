//! A conversation with the real core, on a clock that only moves when told: the same answers
//! every time, for documentation and snapshots. Two routers, 10 ms apart, lose a probe in nine.

use vmscope_core::config::Config;
use vmscope_core::control::{Answer, Collected, CollectedRange, Event, Operation, Reply, Request};
use vmscope_core::session::{CaptureStatus, Direction, Options, Session};
use vmscope_core::time::{Instant, Span};

/// What was asked, and what came back.
pub struct Exchange {
    pub request: Request,
    pub reply: Reply,
}

/// Requests in the order of the conversation; `wait` lets time pass.
pub const SCRIPT: &[&str] = &[
    r#"{"op":"hello"}"#,
    r#"{"op":"tunnel-add","name":"pe1","outer_local":"10.1.0.2","outer_remote":"10.254.1.1","inner_local":"10.77.1.2","inner_remote":"10.77.1.1"}"#,
    r#"{"op":"tunnel-add","name":"pe2","outer_local":"10.1.0.2","outer_remote":"10.254.2.1","inner_local":"10.77.2.2","inner_remote":"10.77.2.1","igmp":2,"ping_interval":"500ms"}"#,
    r#"{"op":"tunnel-add","name":"pe3","outer_local":"10.1.0.2","outer_remote":"10.254.3.1","inner_local":"10.77.3.2","inner_remote":"10.77.3.1","key":7}"#,
    r#"{"op":"tunnel-drop","name":"pe3"}"#,
    r#"{"op":"mvpn-add","name":"red","group":"239.1.1.1","tunnels":["pe1","pe2"],"probes":{"rate":"20pps","interval":"5s","warmup":"1s"}}"#,
    r#"{"op":"mvpn-start","name":"red"}"#,
    r#"{"op":"group-join","tunnel":"pe1","group":"232.1.1.1","sources":["10.0.0.1"]}"#,
    r#"{"op":"send-start","name":"noise","tunnel":"pe2","group":"239.2.2.2","probes":{"rate":"1pps","count":3}}"#,
    r#"{"op":"passive-start","name":"look","tunnels":["pe2"],"group":"239.1.1.1"}"#,
    r#"{"op":"oneway-start","name":"up1","up":"pe1","down":["pe2"],"group":"239.5.5.5","leaf":[{"kind":"collector","peer":"m2","tunnel":"pe1"}],"probes":{"rate":"20pps","interval":"5s","duration":"15s"}}"#,
    r#"{"op":"collect-start","name":"1234abcd-1-0","session":305441741,"tunnel":"pe2","group":"239.6.6.6","lease":"30s"}"#,
    r#"{"op":"reflect-start","name":"1234abcd-2-0","session":305441741,"tunnel":"pe2","group":"239.6.6.7","rate_max":"400pps","lease":"30s"}"#,
    r#"{"op":"mvpn-add","name":"blue","group":"239.1.1.2","watch":{"tunnels":["pe1"]}}"#,
    r#"{"op":"mvpn-expect","mvpn":"blue","pes":{"PE9":"10.2.0.9"}}"#,
    "wait",
    r#"{"op":"mvpn-show","name":"blue"}"#,
    r#"{"op":"status"}"#,
    r#"{"op":"tunnel-show","name":"pe1"}"#,
    r#"{"op":"tunnel-list"}"#,
    r#"{"op":"group-list"}"#,
    r#"{"op":"group-show","group":"239.1.1.1"}"#,
    r#"{"op":"group-leave","tunnel":"pe1","group":"232.1.1.1"}"#,
    r#"{"op":"task-start","name":"once","group":"239.3.3.3","senders":["pe1"],"receivers":["pe2"],"probes":{"count":10}}"#,
    r#"{"op":"task-list"}"#,
    r#"{"op":"task-show","name":"red"}"#,
    r#"{"op":"task-stats","name":"red"}"#,
    r#"{"op":"results","name":"red","since":1,"limit":1}"#,
    r#"{"op":"mvpn-list"}"#,
    r#"{"op":"mvpn-pe-stop","mvpn":"red","tunnel":"pe1"}"#,
    r#"{"op":"mvpn-pe-start","mvpn":"red","tunnel":"pe1"}"#,
    r#"{"op":"oneway-show","name":"up1"}"#,
    r#"{"op":"oneway-stop","name":"up1"}"#,
    r#"{"op":"oneway-list"}"#,
    r#"{"op":"peer-list"}"#,
    r#"{"op":"agent-list"}"#,
    r#"{"op":"collect-take","name":"1234abcd-1-0","after":1}"#,
    r#"{"op":"collect-stop","name":"1234abcd-1-0"}"#,
    r#"{"op":"reflect-stop","name":"1234abcd-2-0"}"#,
    r#"{"op":"passive-list"}"#,
    r#"{"op":"passive-stats","name":"look"}"#,
    r#"{"op":"passive-stop","name":"look"}"#,
    r#"{"op":"overhead"}"#,
    r#"{"op":"filter"}"#,
    r#"{"op":"config-load","toml":"[[joins]]\ntunnel = \"pe2\"\ngroup = \"239.4.4.4\"\n"}"#,
    r#"{"op":"task-stop","name":"once"}"#,
    r#"{"op":"send-stop","name":"noise"}"#,
    r#"{"op":"mvpn-stop","name":"red"}"#,
    "wait",
    "wait",
    r#"{"op":"alarm-list","mvpn":"blue"}"#,
    r#"{"op":"mvpn-drop","name":"blue"}"#,
    r#"{"op":"task-drop","name":"once"}"#,
    r#"{"op":"mvpn-drop","name":"red"}"#,
    r#"{"op":"oneway-drop","name":"up1"}"#,
    r#"{"op":"tunnel-show","name":"pe9"}"#,
    r#"{"op":"shutdown"}"#,
];

/// Who helps with one-way loss.
const HELPERS: &str = r#"
[[peer]]
name = "m2"
address = "192.0.2.2:8471"
certificate = "m2.pem"
token_file = "m2.token"

[[agent]]
kind = "snmp"
name = "pe2"
address = "10.254.1.2:161"
community_file = "pe2.community"

[[agent]]
kind = "flows"
name = "p1-flows"
listen = "0.0.0.0:2055"
exporter = "10.254.0.1"
exported_within = "20s"
"#;

/// Has the conversation; the events came meanwhile.
pub fn conversation() -> (Vec<Exchange>, Vec<Event>) {
    let mut world = World::new();
    let mut exchanges = Vec::new();
    for line in SCRIPT {
        if *line == "wait" {
            world.pass(Span::from_s(20));
            continue;
        }
        let operation: Operation =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        let request = Request {
            id: exchanges.len() as u64 + 1,
            operation,
        };
        let reply = world.session.handle_request(world.now, request.clone());
        exchanges.push(Exchange { request, reply });
    }
    (exchanges, world.events)
}

struct World {
    now: Instant,
    session: Session,
    /// Packets on their way to the monitor, and when they arrive.
    flying: Vec<(Instant, Vec<u8>)>,
    events: Vec<Event>,
    sent: u32,
    sent_one_way: u32,
}

impl World {
    fn new() -> World {
        let now = Instant::from_ns(1_000_000_000);
        let options = Options {
            session: 3_735_928_559,
            version: "0.1.0".to_owned(),
            ..Options::default()
        };
        let mut session = Session::new(now, options);
        session
            .load(now, &Config::from_toml(HELPERS).unwrap())
            .unwrap();
        session.handle_capture_status(
            now,
            CaptureStatus {
                mode: "libpcap on eth0".to_owned(),
                received: 1_000,
                drops: 0,
            },
        );
        World {
            now,
            session,
            flying: Vec::new(),
            events: Vec::new(),
            sent: 0,
            sent_one_way: 0,
        }
    }

    fn pass(&mut self, span: Span) {
        let end = self.now + span;
        self.flying.push((self.now + Span::from_ms(1), hello()));
        while self.now < end {
            self.now = self.now + Span::from_ms(1);
            let now = self.now;
            let (here, flying) = std::mem::take(&mut self.flying)
                .into_iter()
                .partition(|(at, _)| *at <= now);
            self.flying = flying;
            for (_, bytes) in here {
                self.session
                    .handle_packet(now, now, &bytes, Direction::Incoming);
            }
            while let Some(transmit) = self.session.poll_transmit(now) {
                self.session
                    .handle_packet(now, now, &transmit.bytes, Direction::Outgoing);
                self.carry(transmit.bytes);
            }
            while let Some(asked) = self.session.poll_peer() {
                if let Some(answer) = m2_answers(now, asked.operation) {
                    let session = &mut self.session;
                    session.handle_peer_reply(now, &asked.peer, asked.id, Ok(answer));
                }
            }
            while self.session.poll_record().is_some() {}
            while let Some(event) = self.session.poll_event() {
                self.events.push(event);
            }
        }
    }

    /// Echo requests come back through the same tunnel, probes through the other one.
    fn carry(&mut self, mut bytes: Vec<u8>) {
        let inner = if bytes[20] & 0x20 == 0 { 24 } else { 28 };
        let tunnel = bytes[18];
        let (from, delay_ms) = match bytes[inner + 9] {
            1 => (tunnel, 4),
            17 => (3 - tunnel, 14),
            _ => return,
        };
        if bytes[inner + 9] == 1 {
            bytes[inner + 20] = 0;
            set_sum(&mut bytes[inner + 20..], 2);
            for at in 12..16 {
                bytes.swap(inner + at, inner + at + 4);
            }
        } else if bytes[inner + 16..inner + 20] == [239, 5, 5, 5] {
            self.sent_one_way += 1;
            if self.sent_one_way.is_multiple_of(25) {
                return;
            }
        } else {
            self.sent += 1;
            if self.sent.is_multiple_of(9) {
                return;
            }
        }
        bytes[16..20].copy_from_slice(&[10, 1, 0, 2]);
        bytes[12..16].copy_from_slice(&[10, 254, from, 1]);
        set_sum(&mut bytes[..20], 10);
        self.flying
            .push((self.now + Span::from_ms(delay_ms), bytes));
    }
}

/// The peer got every probe but each thirty-second.
fn m2_answers(now: Instant, operation: Operation) -> Option<Answer> {
    let (name, cursor) = match operation {
        Operation::CollectStart(spec) => (spec.name, 1),
        Operation::CollectTake { name, after } => (name, after + 1),
        _ => return None,
    };
    let task = name.as_str().split('-').nth(1)?.parse().ok()?;
    let range = |n: u32| CollectedRange {
        task,
        tunnel: 1,
        first: 32 * n,
        last: 32 * n + 30,
    };
    Some(Answer::Collected(Collected {
        name,
        session: 4_022_250_974,
        probe_port: 33_900,
        at_ns: now,
        cursor,
        ranges: (0..20).map(range).collect(),
        capture_drops: 0,
        forgotten: 0,
        late: 0,
        least_delay_ns: None,
    }))
}

/// A PE's Hello on the MDT of "blue", through the first tunnel.
fn hello() -> Vec<u8> {
    let mut pim = vec![
        0x20, 0, 0, 0, // Hello
        0, 1, 0, 2, 0, 105, // Holdtime
        0, 19, 0, 4, 0, 0, 0, 1, // DR Priority
        0, 20, 0, 4, 0, 0, 0, 7, // Generation ID
    ];
    set_sum(&mut pim, 2);
    let gre = |payload: Vec<u8>| [&[0, 0, 8, 0], &payload[..]].concat();
    let customer = ip([172, 16, 1, 1], [224, 0, 0, 13], 103, &pim);
    let on_mdt = ip([10, 2, 0, 2], [239, 1, 1, 2], 47, &gre(customer));
    ip([10, 254, 1, 1], [10, 1, 0, 2], 47, &gre(on_mdt))
}

fn ip(source: [u8; 4], destination: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = (20 + payload.len() as u16).to_be_bytes();
    let mut header = vec![0x45, 0xc0, high, low, 0, 1, 0, 0, 64, protocol, 0, 0];
    header.extend(source.into_iter().chain(destination));
    set_sum(&mut header, 10);
    header.extend(payload);
    header
}

/// The Internet checksum (RFC 1071) of `bytes`, put at `at`.
fn set_sum(bytes: &mut [u8], at: usize) {
    bytes[at..at + 2].fill(0);
    let words = bytes
        .chunks(2)
        .map(|w| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0)));
    let mut total: u32 = words.sum();
    while total >> 16 != 0 {
        total = (total & 0xffff) + (total >> 16);
    }
    bytes[at..at + 2].copy_from_slice(&(!(total as u16)).to_be_bytes());
}
