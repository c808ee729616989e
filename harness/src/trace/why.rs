//! Why a packet went no further, in words: what was in force there and then.

use mvpnlab_emulator::scenario::{Impairment, LossCause};
use mvpnlab_emulator::truth::condition::Outage;
use mvpnlab_emulator::truth::{Loss, Place, crossing::Crossing};

use super::scene::Scene;
use super::text::moment;

/// The place in words: `on PE2-P towards P`, `at P`.
pub fn place(scene: &Scene<'_>, place: Place) -> String {
    let lanes = &scene.truth.lanes;
    match place {
        Place::Wire(lane) => format!("on {} towards {}", lanes.wire(lane), lanes.to(lane)),
        Place::Node(lane) => format!("at {}", lanes.to(lane)),
    }
}

/// The reason for a loss. `last` is where the packet was seen last; `receiver` the tunnel that it did not reach.
pub fn reason(
    scene: &Scene<'_>,
    loss: Loss,
    last: Option<&Crossing>,
    receiver: Option<&str>,
) -> String {
    match loss.place {
        Place::Wire(lane) => {
            let ns = last.map_or(scene.truth.start_ns, |crossing| crossing.entered_ns);
            let asked: Vec<&Impairment> = scene.truth.conditions.possible(lane, ns).collect();
            let waiting = last.map(|crossing| crossing.occupancy);
            wire(scene, loss, ns, &asked, waiting)
        }
        Place::Node(_) => node(scene, loss, last, receiver),
    }
}

/// When a packet was seen last: entering the wire that lost it, or arriving at the node that did.
pub fn seen_ns(loss: Loss, last: &Crossing) -> u64 {
    match loss.place {
        Place::Wire(_) => last.entered_ns,
        Place::Node(_) => last.exits.first().map_or(last.entered_ns, |exit| exit.ns),
    }
}

fn wire(
    scene: &Scene<'_>,
    loss: Loss,
    ns: u64,
    asked: &[&Impairment],
    waiting: Option<u32>,
) -> String {
    let (Place::Wire(lane) | Place::Node(lane)) = loss.place;
    match loss.cause {
        Some(LossCause::Netem) => random(asked),
        Some(LossCause::QueueOverflow) => overflow(asked, waiting),
        Some(LossCause::Corruption) => format!(
            "a bit was flipped ({} was in force), and {} refused it",
            corruption(asked),
            scene.truth.lanes.to(lane)
        ),
        Some(LossCause::LinkDown) => {
            format!(
                "the link was {}",
                down(scene, scene.truth.conditions.outages(lane), ns)
            )
        }
        Some(cause @ (LossCause::NoRoute | LossCause::Ttl | LossCause::NodeDown)) => {
            node_words(scene, cause, scene.truth.lanes.from(lane), ns)
        }
        None => UNEXPLAINED.into(),
    }
}

const UNEXPLAINED: &str = "nothing that was asked for explains it, so the lab is to blame";

fn node(scene: &Scene<'_>, loss: Loss, last: Option<&Crossing>, receiver: Option<&str>) -> String {
    let (Place::Wire(lane) | Place::Node(lane)) = loss.place;
    let node = scene.truth.lanes.to(lane);
    let ns = last.map_or(scene.truth.start_ns, |last| seen_ns(loss, last));
    let asked: Vec<&Impairment> = receiver
        .map(|tunnel| {
            scene
                .truth
                .conditions
                .possible_on_tunnel(tunnel, ns)
                .collect()
        })
        .unwrap_or_default();
    let tunnel = receiver.unwrap_or("?");
    match loss.cause {
        Some(LossCause::Netem) => format!("in tunnel {tunnel}, {}", random(&asked)),
        Some(LossCause::QueueOverflow) => format!("in tunnel {tunnel}, {}", overflow(&asked, None)),
        Some(LossCause::Corruption) => match asked.is_empty() {
            true => format!("it came damaged to {node}, which refused it"),
            false => format!("in tunnel {tunnel}, {} was in force", corruption(&asked)),
        },
        Some(LossCause::LinkDown) => format!("{node} had it, and the link onwards was down"),
        Some(cause @ (LossCause::NoRoute | LossCause::Ttl | LossCause::NodeDown)) => {
            node_words(scene, cause, node, ns)
        }
        None => UNEXPLAINED.into(),
    }
}

fn node_words(scene: &Scene<'_>, cause: LossCause, node: &str, ns: u64) -> String {
    match cause {
        LossCause::Ttl => format!("{node} did not send it on, because its TTL had run out"),
        LossCause::NodeDown => {
            let outages = scene.truth.conditions.node_outages(node);
            format!("{node} was {}", down(scene, outages, ns))
        }
        _ => format!(
            "{node} did not send it on: no route or forwarding entry leads there, or the RPF check failed"
        ),
    }
}

fn random(asked: &[&Impairment]) -> String {
    let kinds = asked
        .iter()
        .filter_map(|asked| match (asked.burst, asked.loss) {
            (Some(burst), _) => Some(format!("loss in bursts (p {}, r {})", burst.p, burst.r)),
            (None, Some(loss)) if loss.0 > 0.0 => Some(format!("random loss of {loss}")),
            (None, _) => None,
        });
    format!("{} was in force", either(kinds, "random loss"))
}

fn overflow(asked: &[&Impairment], waiting: Option<u32>) -> String {
    let limits = asked.iter().filter_map(|asked| asked.queue_packets);
    let limits = either(limits.map(|limit| format!("of {limit} packets")), "");
    let waiting = waiting.map_or(String::new(), |frames| format!(" ({frames} were waiting)"));
    format!("the queue {limits} was full{waiting}").replace("  ", " ")
}

fn corruption(asked: &[&Impairment]) -> String {
    let shares = asked.iter().filter_map(|asked| asked.corrupt);
    either(
        shares.map(|share| format!("corruption of {share}")),
        "corruption",
    )
}

/// While an action takes effect two states may hold.
fn either(words: impl Iterator<Item = String>, none: &str) -> String {
    let mut words: Vec<String> = words.collect();
    words.dedup();
    match words.is_empty() {
        true => none.into(),
        false => words.join(" or "),
    }
}

/// What was inside a queue when the wire went down is gone too: then the outage after `ns` is the one.
fn down(scene: &Scene<'_>, outages: &[Outage], ns: u64) -> String {
    let during = outages.iter().find(|outage| outage.holds(ns));
    let outage = during.or_else(|| outages.iter().find(|outage| outage.began_ns >= ns));
    let Some(outage) = outage else {
        return "down".into();
    };
    let from = moment(scene.run_ns(outage.began_ns));
    match outage.ended_ns {
        u64::MAX => format!("down from {from}"),
        ended_ns => format!("down from {from} to {}", moment(scene.run_ns(ended_ns))),
    }
}
