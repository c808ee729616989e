//! A large MVPN for hours on a virtual clock: what the core holds in memory, counted to the byte.
//!
//! ```text
//! cargo run --release -p vmscope --example hours -- 9
//! ```
//!
//! 200 PEs and 10,000 (S,G), five PEs before each, said again every minute as an MDT brings it; Hellos every 30 s. Every
//! ten seconds some routes are pruned and asked for again, a stream moves to a data MDT or is forgotten, and now and then a
//! PE restarts. The argument is how many hours. After each the bytes that are allocated are printed, as the allocator was
//! asked for them, and beside them what the process takes of the system, which includes what the allocator keeps.

#![allow(dead_code)]

#[path = "../tests/support/mdt.rs"]
mod mdt;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use mdt::*;
use vmscope_core::config::Config;
use vmscope_core::control::{Answer, MvpnQuestion, Operation, Outcome, Request};
use vmscope_core::session::{Direction, Options, Session};
use vmscope_core::time::{Instant, Span};

const PES: u32 = 200;
const STREAMS: u32 = 10_000;
const RECEIVERS: u32 = 5;
const RED: Address = [239, 1, 1, 1];
const CONFIG: &str = r#"
[[tunnels]]
name = "lan"
encapsulation = "none"
inner_local = "10.1.0.2"
inner_remote = "10.1.0.1"
ping_interval = "0s"
[[mvpns]]
name = "red"
group = "239.1.1.1"
watch = { tunnels = ["lan"] }
"#;

struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work; only sizes are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn pe(n: u32) -> Address {
    (0x0a02_0001 + n).to_be_bytes()
}

fn vrf(n: u32) -> Address {
    (0xac10_0001 + n).to_be_bytes()
}

fn source(stream: u32) -> Address {
    (0xc0a8_0001 + stream).to_be_bytes()
}

fn group(stream: u32) -> Address {
    (0xe801_0000 + stream / 4).to_be_bytes()
}

/// Who asks for a stream.
fn receiver(stream: u32, n: u32) -> u32 {
    (stream * 7 + n * 31 + 1) % PES
}

struct World {
    session: Session,
    now: Instant,
    dice: u64,
    messages: u64,
}

impl World {
    fn below(&mut self, bound: u32) -> u32 {
        self.dice ^= self.dice >> 12;
        self.dice ^= self.dice << 25;
        self.dice ^= self.dice >> 27;
        ((self.dice.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % u64::from(bound)) as u32
    }

    fn says(&mut self, n: u32, packet: &[u8]) {
        self.messages += 1;
        let bytes = on_mdt(pe(n), RED, packet);
        self.session
            .handle_packet(self.now, self.now, &bytes, Direction::Incoming);
        self.take_out();
    }

    fn joins(&mut self, stream: u32, n: u32, joined: bool) {
        let from = receiver(stream, n);
        let all = [source(stream)];
        let (joins, prunes) = match joined {
            true => (&all[..], &[][..]),
            false => (&[][..], &all[..]),
        };
        let message = join_prune(vrf(stream % PES), 210, group(stream), joins, prunes);
        self.says(from, &pim(vrf(from), message));
    }

    fn maps(&mut self, stream: u32) {
        let from = stream % PES;
        let message = mdt_join(vrf(from), source(stream), group(stream), [239, 2, 1, 1]);
        self.says(from, &message);
    }

    fn take_out(&mut self) {
        while self.session.poll_record().is_some() {}
        while self.session.poll_event().is_some() {}
        while self.session.poll_notice().is_some() {}
    }

    fn second(&mut self, second: u32) {
        self.now = self.now + Span::from_s(1);
        while let Some(due) = self.session.next_deadline()
            && due <= self.now
        {
            while self.session.poll_transmit(self.now).is_some() {}
            self.take_out();
        }
        let of_this = |all: u32, period: u32| {
            let slot = second % period;
            all * slot / period..all * (slot + 1) / period
        };
        for n in of_this(PES, 30) {
            // A restart now and then: another generation id.
            let generation = self.now.as_ns() / 7_200_000_000_000 + u64::from(n / 150);
            self.says(n, &pim(vrf(n), hello(105, generation as u32)));
        }
        for stream in of_this(STREAMS, 60) {
            for n in 0..RECEIVERS {
                self.joins(stream, n, true);
            }
            if stream.is_multiple_of(10) && self.below(50) != 0 {
                self.maps(stream);
            }
        }
        if second.is_multiple_of(10) {
            for _ in 0..20 {
                let (stream, n) = (self.below(STREAMS), self.below(RECEIVERS));
                self.joins(stream, n, false);
            }
        }
    }

    fn records(&mut self) -> usize {
        let operation = Operation::MvpnShow(MvpnQuestion {
            name: self.name(),
            pe: None,
            group: None,
        });
        let request = Request { id: 1, operation };
        match self.session.handle_request(self.now, request).outcome {
            Outcome::Ok(Answer::MvpnState { records, .. }) => records.len(),
            Outcome::Ok(_) | Outcome::Error(_) => 0,
        }
    }

    fn name(&self) -> vmscope_core::name::Name {
        vmscope_core::name::Name::new("red").expect("a name")
    }
}

/// Bytes that the process takes of the system's memory.
fn resident() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hours: u32 = std::env::args().nth(1).map_or(Ok(9), |text| text.parse())?;
    let begin = Instant::from_ns(1);
    let mut session = Session::new(begin, Options::default());
    session.load(begin, &Config::from_toml(CONFIG)?)?;
    let mut world = World {
        session,
        now: begin,
        dice: 0x5eed,
        messages: 0,
    };
    for hour in 1..=hours {
        for second in 0..3_600 {
            world.second(second);
        }
        let allocated = ALLOCATED.load(Ordering::Relaxed);
        let resident = resident().unwrap_or(0);
        println!(
            "hour {hour}: {allocated} bytes allocated, {resident} kB resident; {} states, {} messages",
            world.records(),
            world.messages,
        );
    }
    Ok(())
}
