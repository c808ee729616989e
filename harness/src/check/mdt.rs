//! Data MDTs: by which tree a customer's packets came to a PE, and what the PEs did about it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use mvpnlab_emulator::mdt::{Deed, Stream};
use mvpnlab_emulator::scenario::{MdtKind, Span};

use super::Finding;
use super::facts::Facts;
use super::judge::Judge;

/// By which tree, when, and how many packets.
pub struct Wanted {
    /// Default or data MDT.
    pub mdt: MdtKind,
    /// Arrival, after the start of the run.
    pub from: Span,
    /// Arrival, before.
    pub until: Option<Span>,
    /// Least number.
    pub at_least: u64,
    /// Greatest number.
    pub at_most: Option<u64>,
}

/// Packets of a source that came to a PE by the default MDT or by a data MDT, as the taps saw them.
pub fn mdt_packets(facts: &Facts, source: &str, pe: &str, wanted: &Wanted) -> Finding {
    let tree = match wanted.mdt {
        MdtKind::Default => "default",
        MdtKind::Data => "data",
    };
    let expected = match wanted.at_most {
        None => format!("at least {}", wanted.at_least),
        Some(0) => "none".into(),
        Some(most) => format!("{} to {most}", wanted.at_least),
    };
    let about = format!("{source} to {pe} by its {tree} MDT");
    let mut judge = Judge::new("mdt-packets", about, expected);
    let Some((flow, default_mdt)) =
        stream(facts, source).map(|found| (found.flow, found.default_mdt))
    else {
        return judge.finish();
    };
    let window = facts.at(wanted.from)..wanted.until.map_or(u64::MAX, |until| facts.at(until));
    let arrivals = facts.mdt_arrivals.get(&flow).into_iter().flatten();
    let mut found: u64 = 0;
    for arrival in arrivals {
        // Whatever came to any router at any time was looked at: silence among nothing would prove nothing.
        judge.judged(1);
        let is_default = arrival.p_group == default_mdt;
        let is_wanted = match wanted.mdt {
            MdtKind::Default => is_default,
            MdtKind::Data => !is_default,
        };
        let is_there = arrival.node == pe && window.contains(&arrival.ns);
        found += u64::from(is_there && is_wanted);
    }
    judge.figure("packets", found);
    let range = wanted.at_least..=wanted.at_most.unwrap_or(u64::MAX);
    judge.demand(range.contains(&found), || format!("{found} came to {pe}"));
    judge.finish()
}

/// How often a source's stream moved and returned, and who joined for it, by the PEs' own log.
pub fn data_mdt(
    facts: &Facts,
    source: &str,
    (moves, returns): (u64, u64),
    joined: &[String],
) -> Finding {
    let expected = format!(
        "{moves} times to a data MDT, {returns} times back, joined by {}",
        match joined {
            [] => "nobody".into(),
            some => some.join(", "),
        }
    );
    let mut judge = Judge::new("data-mdt", source, expected);
    let Some(found) = stream(facts, source) else {
        return judge.finish();
    };
    let own: Vec<_> = facts
        .mdts
        .events
        .iter()
        .filter(|e| e.mvpn == found.mvpn)
        .collect();
    judge.judged(own.len() as u64);
    let is_ours = |of: &Stream| of.c_group == found.c_group && Some(of.c_source) == found.c_source;
    let (mut moved, mut returned, mut groups) = (0, 0, BTreeSet::new());
    let mut joiners = BTreeSet::new();
    for event in own {
        match event.did {
            Deed::Announced { stream, p_group } if is_ours(&stream) => {
                groups.insert(p_group);
            }
            Deed::Moved { stream, .. } if is_ours(&stream) => moved += 1,
            Deed::Returned { stream, .. } if is_ours(&stream) => returned += 1,
            Deed::Joined { p_group } if groups.contains(&p_group) => {
                joiners.insert(event.pe.as_str());
            }
            Deed::Announced { .. }
            | Deed::Moved { .. }
            | Deed::Returned { .. }
            | Deed::Joined { .. }
            | Deed::Left { .. }
            | Deed::Exhausted { .. } => {}
        }
    }
    judge.figure("moves", moved);
    judge.figure("returns", returned);
    judge.demand(moved == moves, || format!("it moved {moved} times"));
    judge.demand(returned == returns, || {
        format!("it came back {returned} times")
    });
    let wanted: BTreeSet<&str> = joined.iter().map(String::as_str).collect();
    judge.demand(joiners == wanted, || {
        let joiners: Vec<&str> = joiners.iter().copied().collect();
        format!("joined by {}", joiners.join(", "))
    });
    judge.finish()
}

/// What is known of a source's stream.
struct Found<'a> {
    flow: u32,
    mvpn: &'a str,
    default_mdt: Ipv4Addr,
    c_source: Option<Ipv4Addr>,
    c_group: Ipv4Addr,
}

fn stream<'a>(facts: &'a Facts, source: &str) -> Option<Found<'a>> {
    let sent = facts
        .traffic
        .sources
        .iter()
        .find(|log| log.name == source)?;
    let mvpn = facts.scenario.mvpn_of(&sent.at)?;
    Some(Found {
        flow: sent.flow,
        mvpn,
        default_mdt: facts.plan.mvpns.get(mvpn)?.default_mdt,
        c_source: facts.plan.address_of(&sent.at),
        c_group: sent.group,
    })
}
