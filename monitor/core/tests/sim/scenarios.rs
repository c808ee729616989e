//! Scenarios that the monitor must survive, each returning what went wrong: nothing, without a fault.

use std::net::Ipv4Addr;

use crate::judge::{Expected, contradictions};
use crate::network::{MS, Path, S, Sim};
use vmscope_core::control::*;
use vmscope_core::fault::Planted;

pub const RED: Ipv4Addr = Ipv4Addr::new(239, 1, 1, 1);

/// Three PEs, all pairs, over a core that loses, delays, overtakes, doubles, damages and stalls.
/// The tunnels are symmetric and lose, too.
pub fn impaired(seed: u64, fault: Planted) -> Vec<String> {
    let mut sim = Sim::new(seed, 3, fault);
    sim.core = Path {
        delay: 20 * MS,
        jitter: 60 * MS,
        loss: 0.02,
        duplicate: 0.03,
        corrupt: 0.02,
        stall: 0.01,
    };
    for pe in &mut sim.pes {
        pe.up = Path {
            delay: 15 * MS,
            loss: 0.06,
            ..Path::default()
        };
        pe.down = pe.up;
    }
    sim.ok(
        r#""op":"mvpn-add","name":"red","group":"239.1.1.1","tunnels":["t1","t2","t3"],"start":true,
            "probes":{"rate":"50pps","interval":"5s","warmup":"1s","duration":"42s","loss_timeout":"2s"}"#,
    );
    sim.run(60 * S);
    let expected = Expected::of(&mut sim, "red");
    let mut found = contradictions(&mut sim, &expected);
    found.extend(correction(&mut sim));
    found
}

/// With symmetric tunnels the half rule is right, and the interval must hold the truth:
/// 50 ms mean delay; 5 % of loss (2 % lost, 2 % damaged, 1 % late; less what a duplicate saves).
fn correction(sim: &mut Sim) -> Vec<String> {
    let Answer::Pairs { pairs, .. } = sim.ok(r#""op":"task-stats","name":"red""#) else {
        panic!()
    };
    let mut found = Vec::new();
    for pair in &pairs {
        let c = &pair.corrected;
        let delay = c.delay_half_ns.unwrap_or_default();
        // Of duplicates the first counts, so the mean is a little below 50 ms.
        if delay.abs_diff(49_400_000) > 2_500_000 {
            found.push(format!("delay of {pair:?}"));
        }
        let (low, half, high) = (
            c.loss_low.unwrap(),
            c.loss_half.unwrap(),
            c.loss_high.unwrap(),
        );
        if !(low..=high).contains(&0.05) || !(0.01..=0.09).contains(&half) {
            found.push(format!("loss {low} {half} {high} of {pair:?}"));
        }
    }
    let expected = 6;
    if pairs.len() != expected {
        found.push(format!("{} pairs, not {expected}", pairs.len()));
    }
    found
}

/// Ten minutes with queries each 30 s: joins must outlive the routers' 61 s of patience.
pub fn long_membership(seed: u64, fault: Planted) -> Vec<String> {
    let mut sim = Sim::new(seed, 2, fault);
    sim.query_every(30 * S);
    sim.ok(
        r#""op":"task-start","name":"x","group":"239.1.1.1","senders":["t1"],"receivers":["t2"],
            "probes":{"rate":"1pps","interval":"60s","warmup":"1s","duration":"600s"}"#,
    );
    sim.run(610 * S);
    let expected = Expected::of(&mut sim, "x");
    let mut found = contradictions(&mut sim, &expected);
    found.extend((sim.expired > 0).then(|| format!("{} memberships expired", sim.expired)));
    let lost: u64 = sim
        .records
        .iter()
        .filter(|r| matches!(r, Record::Probe(p) if p.fate == Fate::Lost))
        .count() as u64;
    found.extend((lost > 0).then(|| format!("{lost} probes lost in a network that loses none")));
    found
}

/// A stopped task leaves its group: another sender's packets must no longer come down.
pub fn leaving(seed: u64, fault: Planted) -> Vec<String> {
    let mut sim = Sim::new(seed, 3, fault);
    sim.ok(r#""op":"task-start","name":"x","group":"239.1.1.1","senders":["t1"],"receivers":["t2","t3"],"probes":{"rate":"10pps"}"#);
    sim.run(5 * S);
    sim.ok(r#""op":"task-stop","name":"x""#);
    sim.run(5 * S);
    let mut found: Vec<String> = (0..3)
        .filter(|pe| !sim.joined(*pe).is_empty())
        .map(|pe| format!("PE {pe} is still joined"))
        .collect();
    let before = sim.handed_down.clone();
    sim.ok(r#""op":"send-start","name":"y","group":"239.1.1.1","tunnel":"t1","probes":{"rate":"10pps","count":20}"#);
    sim.run(5 * S);
    found.extend((sim.handed_down != before).then(|| "copies still come down".to_owned()));
    found
}

/// Customers send on the MDT beside the probes: counted as theirs, never looked into, and no
/// probe ever among them.
pub fn customers(seed: u64, fault: Planted) -> Vec<String> {
    let mut sim = Sim::new(seed, 3, fault);
    sim.core.loss = 0.1;
    sim.ok(
        r#""op":"task-start","name":"x","group":"239.1.1.1","senders":["t1","t2"],"receivers":["t2","t3"],
            "probes":{"rate":"20pps","interval":"2s","warmup":"1s","duration":"10s"}"#,
    );
    for i in 0..600 {
        sim.customer_packet(0, RED, i);
        sim.run(20 * MS);
    }
    sim.run(10 * S);
    let expected = Expected::of(&mut sim, "x");
    let mut found = contradictions(&mut sim, &expected);
    found.extend((sim.leaked > 0).then(|| format!("{} probes reached a CE", sim.leaked)));
    let Answer::Overhead(overhead) = sim.ok(r#""op":"overhead""#) else {
        panic!()
    };
    if overhead.customer_discarded.packets == 0 || overhead.customer_observed.packets > 0 {
        found.push(format!("{overhead:?}"));
    }
    found
}
