//! The least a program can do: send probes with `sendmmsg`, read what comes back from a packet ring, count it, and nothing
//! else. What a monitor does beyond that is what it costs.
//!
//! It sends no more than the path carries: so many copies on their way at most. What it reaches is the path's own rate.

use std::time::{Duration, Instant};

use crate::frames;
use crate::place::MONITOR_LINK;
use crate::ring::{Ring, Sees};
use crate::sender::{FRAMES_AT_ONCE, Sender, Way};
use crate::socket;

/// Copies on their way at most: a tenth of what the rings hold.
const COPIES_AWAY_MAX: u64 = 16_384;
/// As the monitor reads.
const READ_EVERY: Duration = Duration::from_millis(25);
/// So long nothing came: what is still missing is lost.
const PATIENCE: Duration = Duration::from_millis(200);

/// What the reference does.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Tunnels, numbered from 1.
    pub tunnels: u32,
    /// Tunnels of a group: the first so many are one group, and so on.
    pub per_group: u32,
    /// UDP payload of probes, bytes.
    pub payload_bytes: usize,
    /// How long it sends.
    pub time: Duration,
}

/// What it reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reached {
    /// Probes a second.
    pub sent_per_s: f64,
    /// Copies a second.
    pub received_per_s: f64,
    /// Copies that did not come.
    pub lost: u64,
}

/// The group of a tunnel.
pub fn group(tunnel: u32, per_group: u32) -> [u8; 4] {
    let number = (tunnel - 1) / per_group;
    [239, 1, (number >> 8) as u8, number as u8]
}

/// Runs the loop on the link of the calling thread's network namespace.
pub fn run(options: Options) -> std::io::Result<Reached> {
    let _silencer = socket::silence_gre()?;
    let mut ring = Ring::open(MONITOR_LINK, Sees::Incoming)?;
    let mut sender = Sender::open(MONITOR_LINK, Way::Bypass)?;
    join_all(&mut sender, options);
    // The reflector reads a block that is not full after a millisecond.
    std::thread::sleep(Duration::from_millis(50));

    let mut probes = probes(options);
    let copies_of_one = u64::from(options.per_group - 1);
    let (mut sent, mut received, mut sum) = (0_u64, 0_u64, 0_u64);
    let mut next = 0;
    let begun = Instant::now();
    let mut heard = begun;
    loop {
        let now = Instant::now();
        let sends = now.duration_since(begun) < options.time;
        if !sends && (received >= sent * copies_of_one || now.duration_since(heard) > PATIENCE) {
            break;
        }
        if sends && sent * copies_of_one < received + COPIES_AWAY_MAX {
            let room = (received + COPIES_AWAY_MAX - sent * copies_of_one).div_ceil(copies_of_one);
            for _ in 0..room.min(FRAMES_AT_ONCE as u64) {
                let (header, inner) = &mut probes[next];
                frames::number(inner, sent as u32);
                // SAFETY: no probe is put twice before the flush, unless there are fewer than go at once; then the
                // kernel sees one number twice, and nobody counts numbers here.
                unsafe { sender.put(header, inner) };
                next = (next + 1) % probes.len();
                sent += 1;
            }
            sender.flush();
        }
        let mut count = (0_u64, 0_u64);
        let frames = ring.poll_block(
            &mut count,
            |count, frame| {
                // Each packet is looked at, as whoever receives it must.
                if let Some((_, seq)) = frame
                    .bytes
                    .get(frames::TUNNEL_BYTES..)
                    .and_then(frames::probe_of)
                {
                    count.0 += 1;
                    count.1 = count.1.wrapping_add(u64::from(seq));
                }
            },
            |_| {},
        );
        received += count.0;
        sum = sum.wrapping_add(count.1);
        if frames > 0 {
            heard = now;
        } else if !sends || sent * copies_of_one >= received + COPIES_AWAY_MAX {
            ring.wait(1);
        }
    }
    std::hint::black_box(sum);
    let seconds = heard.duration_since(begun).as_secs_f64();
    Ok(Reached {
        sent_per_s: sent as f64 / seconds,
        received_per_s: received as f64 / seconds,
        lost: (sent * copies_of_one).saturating_sub(received),
    })
}

/// Sends so many probes a second, each at its time, as frames that all sockets see, and reads the ring both ways every
/// [`READ_EVERY`]: what sleeping, sending and being shown packets costs whoever does it. The share of a processor it used.
pub fn run_paced(options: Options, probes_per_s: f64) -> std::io::Result<f64> {
    let _silencer = socket::silence_gre()?;
    let mut ring = Ring::open(MONITOR_LINK, Sees::Both)?;
    let mut sender = Sender::open(MONITOR_LINK, Way::Queue)?;
    socket::wake_precisely();
    join_all(&mut sender, options);
    std::thread::sleep(Duration::from_millis(50));
    let mut probes = probes(options);
    let places = probes.len();
    let gap = Duration::from_secs_f64(1.0 / probes_per_s);
    let (begun, used) = (Instant::now(), socket::thread_time());
    let (mut next, mut read_at) = (begun, begun);
    let (mut sent, mut seen) = (0_usize, 0);
    while next < begun + options.time {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        let (header, inner) = &mut probes[sent % places];
        frames::number(inner, sent as u32);
        // SAFETY: it is sent before anything is changed.
        unsafe { sender.put(header, inner) };
        sender.flush();
        sent += 1;
        next += gap;
        if next >= read_at {
            while ring.poll_block(&mut seen, |seen, _| *seen += 1, |_| {}) > 0 {}
            read_at = next + READ_EVERY;
        }
    }
    std::hint::black_box(seen);
    let used = socket::thread_time() - used;
    Ok(used.as_secs_f64() / begun.elapsed().as_secs_f64())
}

fn probes(options: Options) -> Vec<([u8; frames::TUNNEL_BYTES], Vec<u8>)> {
    let probe = |id| {
        let group = group(id, options.per_group);
        let inner = frames::reference_probe(id, group, options.payload_bytes);
        (frames::tunnel_header(id, false, inner.len()), inner)
    };
    (1..=options.tunnels).map(probe).collect()
}

fn join_all(sender: &mut Sender, options: Options) {
    for id in 1..=options.tunnels {
        let inner = frames::join(id, group(id, options.per_group));
        let header = frames::tunnel_header(id, false, inner.len());
        // SAFETY: flushed while both are there.
        unsafe { sender.put(&header, &inner) };
        sender.flush();
    }
}
