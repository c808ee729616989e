//! A provider's network as a session sees it, and no more: what is sent into one tunnel of an MVPN comes back over all
//! the others, pings are answered. For benches and examples that want many tunnels and little besides.
//!
//! A copy takes 10 ms and up to 50 µs more; one of a thousand is lost. Everything repeats.

#![allow(dead_code)]

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use vmscope_core::config::Config;
use vmscope_core::control::{Answer, Event, Operation, Outcome, Request};
use vmscope_core::report::Record;
use vmscope_core::session::{Direction, Options, Purpose, Session, Transmit};
use vmscope_core::time::{Instant, Span};
use vmscope_wire::inner::{Addressing, Inner};
use vmscope_wire::tunnel::{Outer, decapsulate, encapsulate, encapsulated_len};
use vmscope_wire::{content::Content, icmp};

const MONITOR: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 2);
/// Outer IPv4 and GRE.
const OUTER_BYTES: usize = 24;
const DELAY: Span = Span::from_ms(10);
const JITTER_NS: u64 = 50_000;
const ONE_LOST_OF: u64 = 1_000;
/// When the first MVPN starts.
pub const BEGIN: Instant = Instant::from_ns(1_000_000_000_000);

/// What a network is made of.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub tunnels: u32,
    /// PEs of an MVPN; a tunnel belongs to one.
    pub pes: u32,
    /// Probes of each PE, as a rate: `10pps`.
    pub rate: &'static str,
    /// Of pings; `0s` for none.
    pub ping_interval: &'static str,
}

/// A packet on its way back to the monitor.
struct OnTheWay {
    at: Instant,
    kind: Kind,
    bytes: Vec<u8>,
}

enum Kind {
    /// A probe, sent into this tunnel: its copies come back over the others.
    Copies(u32),
    /// The answer to a ping, as it is.
    Answer,
}

pub struct Network {
    pub session: Session,
    pub plan: Plan,
    pub now: Instant,
    /// Time spent in the session.
    pub spent: Duration,
    pub probes: u64,
    pub copies: u64,
    /// What left when, if that is wanted.
    pub log: Option<Vec<(Instant, Purpose)>>,
    on_the_way: VecDeque<OnTheWay>,
    /// What stands before a copy of the latest length, by tunnel.
    outers: Vec<[u8; OUTER_BYTES]>,
    outers_for: usize,
}

pub fn outer(tunnel: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0afe_0000 + tunnel)
}

fn inner_pe(tunnel: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x6440_0000 + 2 * tunnel)
}

fn inner_monitor(tunnel: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x6440_0001 + 2 * tunnel)
}

impl Plan {
    /// The configuration, as an operator would write it.
    pub fn toml(&self) -> String {
        let mut toml = String::new();
        for n in 0..self.tunnels {
            toml += &format!(
                "[[tunnels]]\nname = \"t{n}\"\nid = {}\nouter_local = \"{MONITOR}\"\nouter_remote = \"{}\"\n\
                 inner_local = \"{}\"\ninner_remote = \"{}\"\nping_interval = \"{}\"\n",
                n + 1,
                outer(n),
                inner_monitor(n),
                inner_pe(n),
                self.ping_interval,
            );
        }
        for m in 0..self.tunnels / self.pes {
            let names = (m * self.pes..(m + 1) * self.pes).map(|n| format!("\"t{n}\""));
            let names = names.collect::<Vec<_>>().join(", ");
            toml += &format!(
                "[[mvpns]]\nname = \"m{m}\"\ngroup = \"{}\"\ntunnels = [{names}]\nstart = true\nprobes = {{ rate = \"{}\" }}\n",
                Ipv4Addr::from(0xef01_0000 + m),
                self.rate,
            );
        }
        toml
    }
}

/// A number that looks random and is always the same for the same two.
fn mix(a: u64, b: u64) -> u64 {
    let mut x = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    x = (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^ (x >> 32)
}

impl Network {
    pub fn new(plan: Plan) -> Network {
        Network::with(plan, "")
    }

    /// With more in the configuration, at its top.
    pub fn with(plan: Plan, more: &str) -> Network {
        Network::of(plan, more, Options::default())
    }

    /// A session that does not hand out the fate of every single probe, as who probes much has it.
    pub fn without_probe_log(plan: Plan) -> Network {
        let options = Options {
            logs_probes: false,
            ..Options::default()
        };
        Network::of(plan, "", options)
    }

    fn of(plan: Plan, more: &str, options: Options) -> Network {
        let mut session = Session::new(BEGIN, options);
        let toml = more.to_owned() + &plan.toml();
        let config = Config::from_toml(&toml).expect("the plan writes what can be read");
        session.load(BEGIN, &config).expect("the plan is possible");
        Network {
            session,
            plan,
            now: BEGIN,
            spent: Duration::ZERO,
            probes: 0,
            copies: 0,
            log: None,
            on_the_way: VecDeque::new(),
            outers: Vec::new(),
            outers_for: 0,
        }
    }

    /// Lets time pass; hands out what is written down and what is told.
    pub fn run(
        &mut self,
        until: Instant,
        mut record: impl FnMut(Record),
        mut event: impl FnMut(Event),
    ) {
        loop {
            let due = self.session.next_deadline();
            let arrival = self.on_the_way.front().map(|packet| packet.at);
            let Some(next) = [due, arrival].into_iter().flatten().min() else {
                break;
            };
            if next >= until {
                break;
            }
            self.now = self.now.max(next);
            match self.on_the_way.pop_front_if(|packet| packet.at <= self.now) {
                Some(packet) => self.arrive(&packet),
                None => self.send(),
            }
            let before = std::time::Instant::now();
            while let Some(said) = self.session.poll_record() {
                record(said);
            }
            while let Some(said) = self.session.poll_event() {
                event(said);
            }
            self.spent += before.elapsed();
        }
        self.now = until;
    }

    /// Asks the session something that it does not refuse.
    pub fn ask(&mut self, operation: Operation) -> Answer {
        let request = Request { id: 1, operation };
        match self.session.handle_request(self.now, request).outcome {
            Outcome::Ok(answer) => answer,
            Outcome::Error(refusal) => panic!("{refusal}"),
        }
    }

    /// Everything that is due now leaves, and is seen leaving.
    fn send(&mut self) {
        loop {
            let before = std::time::Instant::now();
            let sent = self.session.poll_transmit(self.now);
            if let Some(sent) = &sent {
                self.session
                    .handle_packet(self.now, self.now, &sent.bytes, Direction::Outgoing);
            } else {
                std::hint::black_box(self.session.next_deadline());
            }
            self.spent += before.elapsed();
            match sent {
                Some(sent) => self.leave(sent),
                None => return,
            }
        }
    }

    fn leave(&mut self, sent: Transmit) {
        if let Some(log) = &mut self.log {
            log.push((self.now, sent.purpose));
        }
        let (kind, bytes) = match sent.purpose {
            Purpose::Probe { sender, .. } => {
                self.probes += 1;
                (Kind::Copies(sender - 1), sent.bytes)
            }
            Purpose::Ping { tunnel, .. } => (Kind::Answer, answer(tunnel - 1, &sent.bytes)),
            Purpose::RouterClock { .. }
            | Purpose::Igmp { .. }
            | Purpose::Reflection { .. }
            | Purpose::Disguised => return,
        };
        let at = self.now + DELAY;
        self.on_the_way.push_back(OnTheWay { at, kind, bytes });
    }

    fn arrive(&mut self, packet: &OnTheWay) {
        match packet.kind {
            Kind::Copies(sender) => self.arrive_everywhere(sender, packet),
            Kind::Answer => {
                let before = std::time::Instant::now();
                let (now, bytes) = (self.now, &packet.bytes);
                self.session
                    .handle_packet(now, packet.at, bytes, Direction::Incoming);
                self.spent += before.elapsed();
            }
        }
    }

    fn arrive_everywhere(&mut self, sender: u32, packet: &OnTheWay) {
        let length = packet.bytes.len();
        self.put_outers(length);
        let first = sender - sender % self.plan.pes;
        let others = (first..first + self.plan.pes).filter(|tunnel| *tunnel != sender);
        let fate = |tunnel: u32| mix(packet.at.as_ns(), u64::from(tunnel));
        let arriving: Vec<u32> = others
            .filter(|tunnel| fate(*tunnel) % ONE_LOST_OF != 0)
            .collect();
        let mut all = Vec::with_capacity(arriving.len() * length);
        for tunnel in &arriving {
            all.extend(self.outers[*tunnel as usize]);
            all.extend(&packet.bytes[OUTER_BYTES..]);
        }
        self.copies += arriving.len() as u64;
        let now = self.now + Span::from_ns(JITTER_NS);
        let before = std::time::Instant::now();
        for (tunnel, bytes) in arriving.iter().zip(all.chunks_exact(length)) {
            let at = packet.at + Span::from_ns(fate(*tunnel) / ONE_LOST_OF % JITTER_NS);
            self.session
                .handle_packet(now, at, bytes, Direction::Incoming);
        }
        self.spent += before.elapsed();
    }

    fn put_outers(&mut self, length: usize) {
        if self.outers_for == length {
            return;
        }
        self.outers_for = length;
        self.outers = (0..self.plan.tunnels)
            .map(|tunnel| {
                let carried = vmscope_wire::gre::Repr::ipv4(None, length - OUTER_BYTES);
                let ip = vmscope_wire::ipv4::Repr::new(
                    outer(tunnel),
                    MONITOR,
                    vmscope_wire::ipv4::IpProtocol::Gre,
                    carried.buffer_len(),
                );
                let mut bytes = vec![0; ip.buffer_len()];
                ip.emit(&mut bytes, |b| carried.emit(b, |_| Ok(())))
                    .expect("it fits");
                bytes[..OUTER_BYTES].try_into().expect("as long as that")
            })
            .collect();
    }
}

/// A PE's answer to a ping.
fn answer(tunnel: u32, ping: &[u8]) -> Vec<u8> {
    let opened = decapsulate(ping).expect("the session sends whole packets");
    let Ok(Content::Icmp(icmp::Repr::EchoRequest {
        identifier,
        sequence,
        data,
    })) = opened.content()
    else {
        panic!("no ping");
    };
    let message = icmp::Repr::EchoReply {
        identifier,
        sequence,
        data,
    };
    let ip = Addressing::new(inner_pe(tunnel), inner_monitor(tunnel));
    let inner = Inner::Icmp { ip, message };
    let outer = Outer::new(outer(tunnel), MONITOR, None);
    let mut bytes = vec![0; encapsulated_len(&outer, &inner)];
    encapsulate(&outer, &inner, &mut bytes).expect("it fits");
    bytes
}
