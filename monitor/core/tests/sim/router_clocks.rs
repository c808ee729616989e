//! Routers that say what time it is: the two ways of a tunnel are told apart as far as their clocks allow.

use vmscope_core::control::*;
use vmscope_core::fault::Planted;

use crate::network::{MS, Path, S, Sim};

/// How far clocks may be apart.
const ERROR_MS: i64 = 2;
const CORE_MS: i64 = 10;

/// All pairs of three PEs. Up takes 40 ms, down 5 ms and up to 3 ms more; the clocks are ahead by so much, if they answer.
fn asymmetric(clocks_ahead_us: [Option<i64>; 3]) -> Sim {
    let mut sim = Sim::new(5, 0, Planted::NONE);
    for (pe, ahead_us) in clocks_ahead_us.into_iter().enumerate() {
        sim.pes.push(crate::network::Pe::new());
        sim.pes[pe].up.delay = 40 * MS;
        sim.pes[pe].down = Path {
            delay: 5 * MS,
            jitter: 3 * MS,
            ..Path::default()
        };
        sim.pes[pe].clock_ahead = ahead_us.map(|us| us * 1_000);
        let more = format!(r#""ping_interval":"50ms","router_clock_error":"{ERROR_MS}ms""#);
        sim.add_tunnel_with(pe, &more);
    }
    sim.ok(
        r#""op":"mvpn-add","name":"red","group":"239.1.1.1","tunnels":["t1","t2","t3"],"start":true,
            "probes":{"rate":"20pps","interval":"5s","warmup":"1s","duration":"10s","loss_timeout":"2s"}"#,
    );
    sim.run(20 * S);
    sim
}

/// Each pair's tunnels, and the low and high end of its mean delay between the PEs.
fn path_delays(sim: &mut Sim) -> Vec<([u32; 2], i64, i64)> {
    let Answer::Pairs { pairs, .. } = sim.ok(r#""op":"task-stats","name":"red""#) else {
        panic!()
    };
    let delays = pairs.iter().map(|pair| {
        let corrected = &pair.corrected;
        let ends = corrected.delay_low_ns.zip(corrected.delay_high_ns);
        let (low, high) = ends.expect("pings were answered");
        ([pair.sender, pair.receiver], low, high)
    });
    delays.collect()
}

fn clock(sim: &mut Sim, tunnel: &str) -> RouterClockStatus {
    let shown = sim.ok(&format!(r#""op":"tunnel-show","name":"{tunnel}""#));
    let Answer::Tunnel(status) = shown else {
        panic!()
    };
    status.router_clock.expect("it is asked")
}

const TRUTH_NS: i64 = CORE_MS * MS as i64;
/// Two tunnels, each known to a millisecond and the error either way; means are rounded outwards.
const WIDEST_NS: i64 = 2 * (1 + 2 * ERROR_MS) * MS as i64 + 2;

#[test]
fn clocks_near_ours_make_the_interval_narrow_and_it_holds_the_truth() {
    for ahead_us in [-1_990, -700, 0, 1_990] {
        let mut sim = asymmetric([Some(ahead_us), Some(-ahead_us), Some(0)]);
        let delays = path_delays(&mut sim);
        assert_eq!(delays.len(), 6);
        for (_, low, high) in delays {
            assert!((low..=high).contains(&TRUTH_NS), "{low}..{high}");
            assert!(high - low <= WIDEST_NS, "{low}..{high}");
        }
        let clock = clock(&mut sim, "t1");
        assert!(clock.asked >= 300 && clock.answered >= 300, "{clock:?}");
        assert_eq!((clock.nonstandard, clock.contradictory), (0, 0));
        let up = clock.up.expect("answered");
        assert!(
            (up.low_ns..=up.high_ns).contains(&(40 * MS as i64)),
            "{up:?}"
        );
    }
}

/// The third's clock is off by a second: what it says is not used, and the pairs without it are as narrow as before.
#[test]
fn a_clock_that_breaks_its_promise_narrows_nothing() {
    let mut sim = asymmetric([Some(0), Some(0), Some(1_000_000)]);
    for (tunnels, low, high) in path_delays(&mut sim) {
        assert!((low..=high).contains(&TRUTH_NS), "{low}..{high}");
        let is_narrow = high - low <= WIDEST_NS;
        assert_eq!(
            is_narrow,
            !tunnels.contains(&3),
            "{tunnels:?} {low}..{high}"
        );
    }
    let clock = clock(&mut sim, "t3");
    assert_eq!((clock.up, clock.contradictory), (None, clock.answered));
    assert!(clock.answered > 0);
}

#[test]
fn routers_that_do_not_answer_leave_the_round_trip() {
    let mut sim = asymmetric([None; 3]);
    for (_, low, high) in path_delays(&mut sim) {
        assert!((low..=high).contains(&TRUTH_NS), "{low}..{high}");
        assert!(high - low > 50 * MS as i64, "{low}..{high}");
    }
    let clock = clock(&mut sim, "t1");
    assert!(clock.asked > 0);
    assert_eq!((clock.answered, clock.up), (0, None));
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let mut sim = Sim::new(5, 0, Planted::NONE);
    let refused = |sim: &mut Sim, more: &str| {
        let outcome = sim.request(&format!(
            r#""op":"tunnel-add","name":"x","outer_local":"10.1.0.2","outer_remote":"10.9.9.9","inner_local":"10.8.0.2","inner_remote":"10.8.0.1","router_clock_error":"1ms",{more}"#
        ));
        match outcome {
            Outcome::Error(refusal) => refusal.to_string(),
            Outcome::Ok(_) => panic!("{more} was accepted"),
        }
    };
    insta::assert_snapshot!(refused(&mut sim, r#""ping_interval":"0s""#), @"cannot add tunnel x: router_clock_error is given, but the router's clock is asked with every ping, and there are none (choose a ping_interval, or leave it out)");
    insta::assert_snapshot!(refused(&mut sim, r#""id":2147483648"#), @"cannot add tunnel x: number 2147483648 is too high to ask the router's clock, which works up to 2147483647 (choose another number, or leave router_clock_error out)");
}
