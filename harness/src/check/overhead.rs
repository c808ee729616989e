//! What the monitor says it costs, against the taps' count on its own link: exact.

use mvpnlab_emulator::scenario::Action;
use mvpnlab_emulator::truth::{MonitorFrame, What};
use vmscope_core::control::Traffic;

use super::Finding;
use super::facts::{CLOCK_SLACK_NS, Facts};
use super::judge::Judge;

/// The monitor counts from the outermost IPv4 header on, the taps count frames.
const ETHERNET_BYTES: u64 = 14;
/// An IGMP query.
const IGMP_QUERY: u8 = 0x11;
/// How long around the monitor's start, and around the reply, a frame may or may not have been counted.
const SLACK_NS: u64 = 20 * CLOCK_SLACK_NS;

/// Name, what the monitor says, and which frames it should be.
type Kind = (&'static str, Traffic, fn(&MonitorFrame) -> bool);

/// Packets and bytes of probes, pings and memberships, both ways, up to the moment of the reply.
pub fn overhead(facts: &Facts) -> Finding {
    let mut judge = Judge::new("overhead", "", "packets and bytes as the taps counted them");
    let Some((claimed, asked_ns)) = &facts.claims.overhead.zip(facts.claims.overhead_ns) else {
        judge.offence(|| "the monitor did not report its overhead".into());
        return judge.finish();
    };
    let kinds: [Kind; 6] = [
        ("probes sent", claimed.probes_sent, |f| {
            f.from_monitor && matches!(f.what, What::Probe { .. })
        }),
        ("probes received", claimed.probes_received, |f| {
            !f.from_monitor && f.whole && f.tunnel.is_some() && matches!(f.what, What::Probe { .. })
        }),
        ("pings sent", claimed.pings_sent, |f| {
            f.from_monitor && matches!(f.what, What::Echo { request: true, .. })
        }),
        ("pings received", claimed.pings_received, |f| {
            !f.from_monitor && f.whole && matches!(f.what, What::Echo { request: false, .. })
        }),
        ("memberships sent", claimed.igmp_sent, |f| {
            f.from_monitor && matches!(f.what, What::Igmp { .. })
        }),
        ("queries received", claimed.igmp_received, |f| {
            !f.from_monitor
                && f.whole
                && f.tunnel.is_some()
                && matches!(f.what, What::Igmp { kind: IGMP_QUERY })
        }),
    ];
    let begun = began(facts);
    for (name, said, is_of) in kinds {
        let frames: Vec<&MonitorFrame> = facts.monitor_frames.iter().filter(|f| is_of(f)).collect();
        let within = |from: u64, until: u64| {
            let counted = frames.iter().filter(|f| (from..=until).contains(&f.ns));
            counted.fold(Traffic::default(), |sum, frame| Traffic {
                packets: sum.packets + 1,
                bytes: sum.bytes + u64::from(frame.bytes).saturating_sub(ETHERNET_BYTES),
            })
        };
        let (least, most) = (
            within(begun + SLACK_NS, asked_ns.saturating_sub(SLACK_NS)),
            within(begun.saturating_sub(SLACK_NS), asked_ns + SLACK_NS),
        );
        judge.judged(1);
        judge.figure(&name.replace(' ', "_"), said.packets);
        let fits = (least.packets..=most.packets).contains(&said.packets)
            && (least.bytes..=most.bytes).contains(&said.bytes);
        judge.demand(fits, || {
            format!(
                "{name}: the monitor says {} packets, {} bytes; the taps {} packets, {} bytes",
                said.packets, said.bytes, most.packets, most.bytes
            )
        });
    }
    judge.finish()
}

/// Counters begin with the monitor's last start: as it says itself, or else when it was told to.
fn began(facts: &Facts) -> u64 {
    if let Some(status) = &facts.claims.status {
        return status.now_ns.as_ns().saturating_sub(status.uptime_ns);
    }
    let starts = facts
        .timeline
        .done
        .iter()
        .filter(|done| matches!(done.action, Action::MonitorRestart {}));
    starts.map(|done| done.began_ns).max().unwrap_or(0)
}
