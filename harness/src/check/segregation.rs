//! Segregation: probes stay away from customers, and come back to the monitor by the tunnels they should.

use std::net::Ipv4Addr;

use mvpnlab_emulator::scenario::Span;
use mvpnlab_emulator::truth::What;

use super::Finding;
use super::facts::Facts;
use super::judge::Judge;

/// No probe on any link between a VRF and its CE, nor behind it.
pub fn no_probe_at_customer(facts: &Facts, frames: u64) -> Finding {
    let mut judge = Judge::new(
        "no-probe-at-customer",
        "",
        format!("not one probe among at least {frames} frames at customers"),
    );
    let side = facts.customer_side;
    judge.judged(side.frames);
    judge.demand(side.frames >= frames, || {
        format!("only {} frames were to be seen there", side.frames)
    });
    judge.demand(side.probes == 0, || {
        format!("{} frames at customers carry a probe", side.probes)
    });
    judge.finish()
}

/// When and how many copies.
pub struct Copies<'a> {
    /// Only of this task.
    pub task: Option<&'a str>,
    /// Arrival, after the start of the run.
    pub from: Span,
    /// Arrival, before.
    pub until: Option<Span>,
    /// Least number.
    pub at_least: u64,
    /// Greatest number.
    pub at_most: Option<u64>,
}

/// Probes that came to the monitor's link by this tunnel: so many, or none.
pub fn probe_copies(facts: &Facts, tunnel: &str, copies: &Copies) -> Finding {
    let about = copies
        .task
        .map_or_else(|| tunnel.to_owned(), |task| format!("{tunnel}, {task}"));
    let expected = match copies.at_most {
        None => format!("at least {}", copies.at_least),
        Some(0) => "none".into(),
        Some(most) => format!("{} to {most}", copies.at_least),
    };
    let mut judge = Judge::new("probe-copies", about, expected);
    let window = facts.at(copies.from)..copies.until.map_or(u64::MAX, |until| facts.at(until));
    let tasks: Option<Vec<(u32, u32)>> = copies.task.map(|name| {
        facts
            .claims
            .runs(name)
            .map(|run| (run.session, run.task))
            .collect()
    });
    let Some(id) = facts.tunnel(tunnel) else {
        return judge.finish();
    };
    let mut found: u64 = 0;
    for frame in facts
        .monitor_frames
        .iter()
        .filter(|frame| window.contains(&frame.ns))
    {
        // Everything on the link was looked at: silence among nothing would prove nothing.
        judge.judged(1);
        let What::Probe { id: probe, .. } = frame.what else {
            continue;
        };
        let of_task = tasks
            .as_ref()
            .is_none_or(|tasks| tasks.contains(&(probe.session, probe.task)));
        found += u64::from(!frame.from_monitor && frame.tunnel == Some(id) && of_task);
    }
    judge.figure("copies", found);
    let range = copies.at_least..=copies.at_most.unwrap_or(u64::MAX);
    judge.demand(range.contains(&found), || {
        format!("{found} came by {tunnel}")
    });
    judge.finish()
}

/// The monitor sent nothing to this group but memberships.
pub fn nothing_sent_to(facts: &Facts, group: Ipv4Addr) -> Finding {
    let mut judge = Judge::new("nothing-sent-to", group, "the monitor sends nothing there");
    for frame in facts
        .monitor_frames
        .iter()
        .filter(|frame| frame.from_monitor)
    {
        judge.judged(1);
        let membership = matches!(frame.what, What::Igmp { .. });
        let sent = frame.destination == Some(group) && !membership;
        judge.demand(!sent, || {
            format!("at {}: {:?}", facts.clock(frame.ns), frame.what)
        });
    }
    judge.finish()
}
