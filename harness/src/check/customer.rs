//! Customers' traffic: what reached them, what reached the monitor, and what the monitor made of it.

use mvpnlab_emulator::scenario::{self, Probability};
use mvpnlab_emulator::truth::CustomerArrival;

use super::Finding;
use super::facts::Facts;
use super::judge::Judge;
use crate::report::format::percent;

/// Packets of a source that reached a receiver's socket, as a share of those sent.
pub fn delivered(
    facts: &Facts,
    source: &str,
    receiver: &str,
    at_least: Probability,
    at_most: Probability,
) -> Finding {
    let (low, high) = (at_least.0, at_most.0);
    let about = format!("{source} → {receiver}");
    let mut judge = Judge::new(
        "delivered",
        about,
        format!(
            "from {} to {} of what was sent",
            percent(low),
            percent(high)
        ),
    );
    let sent = facts.traffic.sources.iter().find(|log| log.name == source);
    let got = facts
        .traffic
        .receivers
        .iter()
        .find(|log| log.name == receiver);
    if let (Some(sent), Some(got)) = (sent, got) {
        let received: u64 = got
            .received
            .iter()
            .filter(|flow| flow.flow == sent.flow)
            .map(|flow| flow.packets)
            .sum();
        judge.judged(sent.sent);
        judge.figure("sent", sent.sent);
        judge.figure("received", received);
        let share = if sent.sent > 0 {
            received as f64 / sent.sent as f64
        } else {
            0.0
        };
        judge.demand((low..=high).contains(&share), || {
            format!(
                "{received} of {} packets arrived ({})",
                sent.sent,
                percent(share)
            )
        });
    }
    judge.finish()
}

/// Customers' packets on the monitor's link, and how many of them the monitor processed.
pub fn customer_packets(facts: &Facts, arrived_at_least: u64, processed_at_most: u64) -> Finding {
    let expected = format!(
        "at least {arrived_at_least} at the monitor's link, at most {processed_at_most} of them processed"
    );
    let mut judge = Judge::new("customer-packets", "", expected);
    let arrived = facts
        .customer_arrivals
        .values()
        .map(|arrivals| arrivals.len() as u64)
        .sum::<u64>();
    judge.judged(arrived);
    judge.figure("arrived", arrived);
    judge.demand(arrived >= arrived_at_least, || {
        format!("only {arrived} customer packets came to the monitor's link")
    });
    match &facts.claims.overhead {
        Some(overhead) => {
            let processed =
                overhead.customer_discarded.packets + overhead.customer_observed.packets;
            judge.figure("processed", processed);
            judge.demand(processed <= processed_at_most, || {
                format!("the monitor processed {processed} customer packets")
            });
        }
        None => judge.offence(|| "the monitor did not report its overhead".into()),
    }
    judge.finish()
}

/// The monitor's count and loss of a source's stream by one tunnel, against the taps: exact, but for packets that came
/// while the observation was being started.
pub fn passive_stream(facts: &Facts, source: &str, tunnel: &str, at_least: u64) -> Finding {
    let about = format!("{source} by {tunnel}");
    let mut judge = Judge::new(
        "passive-stream",
        about,
        format!("as many packets and losses as the taps saw, at least {at_least}"),
    );
    let flow = facts.traffic.sources.iter().find(|log| log.name == source);
    let (Some(flow), Some(id)) = (flow, facts.tunnel(tunnel)) else {
        return judge.finish();
    };
    let asked_ns = facts.claims.passive_since_ns.unwrap_or(0);
    let seen = |from_ns: u64| Seen::of(facts.customer_arrivals.get(&flow.flow), id, from_ns);
    let (most, least) = (
        seen(asked_ns.saturating_sub(START_SLACK_NS)),
        seen(asked_ns + START_SLACK_NS),
    );
    judge.judged(least.packets);
    judge.figure("true_packets", most.packets);
    judge.figure("true_rtp_lost", most.missing);
    judge.demand(least.packets >= at_least, || {
        format!("only {} packets came by {tunnel}", least.packets)
    });
    let group = flow.group.to_string();
    let address = source_address(facts, source);
    let claim = facts.claims.streams.iter().find(|stream| {
        stream.tunnel == id
            && stream.group == group
            && address
                .as_ref()
                .is_none_or(|address| stream.source == *address)
    });
    let Some(claim) = claim else {
        judge.offence(|| format!("the monitor reports no stream to {group} by {tunnel}"));
        return judge.finish();
    };
    judge.figure("measured_packets", claim.packets);
    judge.demand(
        (least.packets..=most.packets).contains(&claim.packets),
        || {
            format!(
                "the monitor counted {} packets, the taps {}",
                claim.packets, most.packets
            )
        },
    );
    let missing = least.missing.min(most.missing)..=least.missing.max(most.missing);
    judge.demand(
        claim.rtp_lost.is_some_and(|lost| missing.contains(&lost)),
        || {
            let lost = claim.rtp_lost.map_or_else(
                || "nothing of RTP".into(),
                |lost| format!("{lost} lost by RTP sequence"),
            );
            format!("the monitor says {lost}, the taps {}", most.missing)
        },
    );
    judge.finish()
}

/// How long around the request an observation may begin.
const START_SLACK_NS: u64 = 200_000_000;

/// A customer's packets by one tunnel.
struct Seen {
    packets: u64,
    /// Expected from the sequence numbers, less received: negative with duplicates (RFC 3550 appendix A.3).
    missing: i64,
}

impl Seen {
    fn of(arrivals: Option<&Vec<CustomerArrival>>, tunnel: u32, from_ns: u64) -> Self {
        let own = arrivals
            .into_iter()
            .flatten()
            .filter(|arrival| arrival.tunnel == tunnel && arrival.ns >= from_ns);
        let numbers: Vec<u32> = own.map(|arrival| arrival.id.sequence).collect();
        let expected = match (numbers.iter().min(), numbers.iter().max()) {
            (Some(first), Some(last)) => i64::from(last - first) + 1,
            (None, _) | (_, None) => 0,
        };
        Self {
            packets: numbers.len() as u64,
            missing: expected - numbers.len() as i64,
        }
    }
}

/// 224.0.0.0/24 (RFC 5771 section 4).
fn is_link_local(group: std::net::Ipv4Addr) -> bool {
    group.octets()[..3] == [224, 0, 0]
}

/// Every stream that the monitor reports is one that a source of the scenario sent, or the routing of the customer's own
/// routers (link-local groups: PIM hellos over the MDT).
pub fn only_customer_streams(facts: &Facts, mvpn: &str) -> Finding {
    let mut judge = Judge::new(
        "only-customer-streams",
        mvpn,
        "every reported stream is a customer's",
    );
    let sources: Vec<(Option<String>, String)> = facts
        .scenario
        .sources
        .iter()
        .map(|source| {
            (
                source_address(facts, &source.name),
                source.group.to_string(),
            )
        })
        .collect();
    let own = |group: &str| group.parse().is_ok_and(is_link_local);
    for stream in facts.claims.streams.iter().filter(|s| !own(&s.group)) {
        judge.judged(1);
        let known = sources.iter().any(|(address, group)| {
            *group == stream.group && address.as_ref().is_none_or(|a| *a == stream.source)
        });
        judge.demand(known, || {
            format!(
                "{} → {} was sent by no source of the scenario",
                stream.source, stream.group
            )
        });
    }
    judge.finish()
}

/// The address that a source's packets bear.
fn source_address(facts: &Facts, name: &str) -> Option<String> {
    let source: &scenario::Source = facts
        .scenario
        .sources
        .iter()
        .find(|source| source.name == name)?;
    facts
        .plan
        .address_of(&source.at)
        .map(|address| address.to_string())
}
