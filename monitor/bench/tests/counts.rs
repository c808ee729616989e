//! The real monitor against the bench's reflector: what is counted is what was sent, what did not come is not counted, and
//! what the monitor itself dropped is called so. Makes network namespaces of its own: needs root.

use std::path::PathBuf;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use vmscope_bench::bench::Bench;
use vmscope_bench::daemon::{Daemon, Log, Probing};
use vmscope_bench::frames;
use vmscope_bench::place::{PES_LINK, Place, processors};
use vmscope_bench::ring::{Frame, Ring, Sees};
use vmscope_bench::sender::{Sender, Way};

const TUNNELS: u32 = 10;

/// A bench whose monitor's configuration says more; none, and why, where there can be none.
fn bench_with(more: &str) -> Option<Bench> {
    let here = std::thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET)).join();
    if let Ok(Err(error)) = here {
        eprintln!("skipped: cannot make a network namespace: {error}; run as root");
        return None;
    }
    // target/release/deps/counts-…
    let built = std::env::current_exe().unwrap();
    let executable: PathBuf = built.ancestors().nth(2).unwrap().join("vmscope");
    assert!(
        executable.exists(),
        "{} is not there: build it with `cargo build --release -p vmscope`",
        executable.display()
    );
    let place = Place::new().unwrap();
    let processors = processors().unwrap();
    Some(Bench {
        place,
        executable,
        payload_bytes: 100,
        tells: false,
        more: more.to_owned(),
        processors,
    })
}

fn bench() -> Option<Bench> {
    bench_with("")
}

fn probing(name: &str) -> Probing {
    probing_among(TUNNELS, name)
}

fn probing_among(tunnels: u32, name: &str) -> Probing {
    Probing {
        name: name.to_owned(),
        tunnels,
        per_group: tunnels,
        probes_per_s: 1_000.0,
        payload_bytes: 100,
        warmup: Duration::from_millis(500),
        time: Duration::from_secs(1),
        interval: Duration::from_millis(250),
    }
}

fn packets(daemon: &mut Daemon, kind: &str) -> u64 {
    daemon.ask(&json!({"op": "overhead"})).unwrap()[kind]["packets"]
        .as_u64()
        .unwrap()
}

#[test]
fn every_copy_is_counted_once() {
    count_all(
        "",
        "packet socket on mon, up to 64 a system call, next hops known: 1",
    );
}

#[test]
fn every_copy_is_counted_once_by_the_raw_socket_too() {
    count_all(
        "sending = \"raw\"",
        "raw socket on mon, up to 64 a system call, as configured",
    );
}

fn count_all(more: &str, sends_by: &str) {
    let Some(bench) = bench_with(more) else {
        return;
    };
    let reflector = bench.reflector(TUNNELS, false).unwrap();
    let mut daemon = bench.daemon(TUNNELS, Log::Intervals).unwrap();
    let probing = probing("all");
    probing.start(&mut daemon).unwrap();
    probing.wait(&mut daemon).unwrap();
    let counted = probing.counted(&mut daemon).unwrap();
    let (sent, received) = (
        packets(&mut daemon, "probes_sent"),
        packets(&mut daemon, "probes_received"),
    );
    let status = daemon.ask(&json!({"op": "status"})).unwrap();
    let deeds = reflector.stop();
    assert_eq!(
        (counted.expected, counted.received, counted.lost),
        (9_000, 9_000, 0)
    );
    assert_eq!((sent, received), (deeds.probes, deeds.copies));
    assert_eq!(status["capture_drops"], 0);
    assert!(
        status["transmit"].as_str().unwrap().contains(sends_by),
        "{status}"
    );
}

/// More routers than the capture filter names one by one: of none are all copies missed.
#[test]
fn copies_from_many_routers_are_counted_too() {
    let Some(bench) = bench() else { return };
    for tunnels in [65, 100, 131] {
        let reflector = bench.reflector(tunnels, false).unwrap();
        let mut daemon = bench.daemon(tunnels, Log::Intervals).unwrap();
        let probing = probing_among(tunnels, "many");
        probing.start(&mut daemon).unwrap();
        probing.wait(&mut daemon).unwrap();
        let counted = probing.counted(&mut daemon).unwrap();
        reflector.stop();
        assert!(counted.received > 60_000, "{tunnels}: {counted:?}");
        assert_eq!(counted.lost, 0, "{tunnels}");
    }
}

#[test]
fn what_nobody_joined_does_not_arrive() {
    let Some(bench) = bench() else { return };
    let reflector = bench.reflector(TUNNELS, false).unwrap();
    let mut daemon = bench.daemon(TUNNELS, Log::Intervals).unwrap();
    daemon
        .ask(&json!({"op": "send-start", "name": "s", "tunnel": "t1", "group": "239.1.0.9", "probes": {"rate": "1000pps", "count": 100, "warmup": "0s"}}))
        .unwrap();
    while daemon
        .ask(&json!({"op": "task-show", "name": "s"}))
        .unwrap()["state"]
        != "finished"
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    let deeds = reflector.stop();
    assert_eq!((deeds.probes, deeds.copies), (100, 0));
    assert_eq!(packets(&mut daemon, "probes_received"), 0);
}

#[test]
fn what_the_capture_drops_is_the_monitors_own_loss() {
    /// More than any ring of the monitor's holds.
    const FLOOD: u64 = 40_000;
    let Some(bench) = bench() else { return };
    let reflector = bench.reflector(TUNNELS, false).unwrap();
    let mut daemon = bench.daemon(TUNNELS, Log::Intervals).unwrap();
    let probing = probing("all");
    probing.start(&mut daemon).unwrap();
    std::thread::sleep(Duration::from_millis(900));
    let process = Pid::from_raw(daemon.process().cast_signed());
    kill(process, Signal::SIGSTOP).unwrap();
    let sent = bench.place.pes.run(|| {
        let inner = frames::reference_probe(1, [239, 1, 0, 0], 100);
        let header = frames::tunnel_header(2, true, inner.len());
        let mut sender = Sender::open(PES_LINK, Way::Bypass).unwrap();
        // SAFETY: both pieces live until the flush.
        (0..FLOOD).for_each(|_| unsafe { sender.put(&header, &inner) });
        sender.flush();
        sender.counts().sent
    });
    kill(process, Signal::SIGCONT).unwrap();
    probing.wait(&mut daemon).unwrap();
    let (lossy, own) = probing.lossy_rows(&mut daemon).unwrap();
    let dropped_in = probing.rows_with_drops(&mut daemon).unwrap();
    // Of another session: no probes of ours, and read all the same.
    let read = packets(&mut daemon, "other_received");
    let drops = daemon.ask(&json!({"op": "status"})).unwrap()["capture_drops"]
        .as_u64()
        .unwrap();
    reflector.stop();
    assert!(
        drops > 0 && read < sent,
        "the flood fitted: {read} of {sent} read"
    );
    // Own frames may have found the ring full, too.
    assert!(
        (sent - read..=sent - read + 2_000).contains(&drops),
        "{sent} sent, {read} read, {drops} dropped"
    );
    assert_eq!(
        lossy, own,
        "a loss of the monitor's own is called one of the network's"
    );
    assert!(dropped_in > 0, "no interval says that packets were dropped");
}

/// Why the monitor's own frames pass the queueing discipline: its capture would not see them leave otherwise.
#[test]
fn frames_that_bypass_the_queueing_discipline_are_shown_to_nobody() {
    let Some(bench) = bench() else { return };
    let seen = |way| {
        bench.place.pes.run(move || {
            let mut ring = Ring::open(PES_LINK, Sees::Both).unwrap();
            let inner = frames::reference_probe(1, [239, 1, 0, 0], 100);
            let header = frames::tunnel_header(2, true, inner.len());
            let mut sender = Sender::open(PES_LINK, way).unwrap();
            // SAFETY: both pieces live until the flush.
            (0..100).for_each(|_| unsafe { sender.put(&header, &inner) });
            sender.flush();
            std::thread::sleep(Duration::from_millis(50));
            let mut outgoing = 0;
            let count =
                |outgoing: &mut u32, frame: Frame<'_>| *outgoing += u32::from(frame.is_outgoing);
            while ring.poll_block(&mut outgoing, count, |_| {}) > 0 {}
            outgoing
        })
    };
    assert_eq!((seen(Way::Queue), seen(Way::Bypass)), (100, 0));
}
