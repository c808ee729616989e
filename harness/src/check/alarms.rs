//! Alarms that were raised and cleared, against those that had to be.

use std::net::{IpAddr, Ipv4Addr};

use mvpnlab_emulator::scenario::{ExpectedAlarm, Span};
use vmscope_core::alarm::{Alarm, Turn};

use super::Finding;
use super::facts::Facts;
use super::judge::Judge;

/// One alarm's life, as the monitor told it. Monotonic nanoseconds.
struct Life<'a> {
    alarm: &'a Alarm,
    raised_ns: u64,
    cleared_ns: Option<u64>,
}

/// What an alarm is about.
type Subject = (String, Option<Ipv4Addr>, Option<IpAddr>, Option<IpAddr>);

/// Exactly these alarms of an MVPN, each raised and cleared in its time, and what is active at the end is what was not
/// cleared.
pub fn alarms(facts: &Facts, mvpn: &str, wanted: &[ExpectedAlarm]) -> Finding {
    let expected = format!(
        "{} alarms, each raised and cleared in its time, and no other",
        wanted.len()
    );
    let mut judge = Judge::new("alarms", mvpn, expected);
    let mut lives = lives(&mut judge, facts, mvpn);
    judge.figure("raised", lives.len());
    judge_active(&mut judge, facts, mvpn, &lives);
    for alarm in wanted {
        judge.judged(1);
        let subject = match wanted_subject(facts, mvpn, alarm) {
            Some(subject) => subject,
            None => {
                judge.offence(|| {
                    format!("{}: nobody has the addresses that it is about", alarm.kind)
                });
                continue;
            }
        };
        let is_it = |life: &Life| {
            subject_of(life.alarm) == subject && is_in(facts, alarm.raised, life.raised_ns)
        };
        match lives.iter().position(is_it) {
            Some(index) => judge_clearing(&mut judge, facts, alarm, &lives.remove(index)),
            None => judge.offence(|| {
                let [from, until] = alarm.raised;
                format!("{}: not raised from {from} until {until}", words(&subject))
            }),
        }
    }
    for life in &lives {
        judge.judged(1);
        judge.offence(|| {
            let (subject, at) = (words(&subject_of(life.alarm)), facts.clock(life.raised_ns));
            format!(
                "{subject}: raised at {at}, and not expected then: {}",
                life.alarm.message
            )
        });
    }
    judge.finish()
}

/// From the turns that were told: an alarm keeps its number as long as it is one.
fn lives<'a>(judge: &mut Judge, facts: &'a Facts, mvpn: &str) -> Vec<Life<'a>> {
    let mut lives: Vec<Life> = Vec::new();
    let told = facts.claims.alarms.iter().map(|told| &told.what);
    for transition in told.filter(|transition| transition.alarm.mvpn.as_str() == mvpn) {
        let (alarm, at_ns) = (&transition.alarm, transition.at_ns.as_ns());
        let known = lives.iter_mut().find(|life| life.alarm.id == alarm.id);
        match (transition.turn, known) {
            (Turn::Raised, None) => lives.push(Life {
                alarm,
                raised_ns: at_ns,
                cleared_ns: None,
            }),
            (Turn::Cleared, Some(life)) if life.cleared_ns.is_none() => {
                life.cleared_ns = Some(at_ns);
            }
            (Turn::Changed, Some(_)) => {}
            (Turn::Raised, Some(_)) | (Turn::Changed, None) | (Turn::Cleared, _) => {
                judge.offence(|| {
                    format!(
                        "alarm {} was {} out of turn",
                        alarm.id,
                        transition.turn.as_str()
                    )
                });
            }
        }
    }
    lives
}

/// The monitor's list at the end holds those that were raised and not cleared.
fn judge_active(judge: &mut Judge, facts: &Facts, mvpn: &str, lives: &[Life]) {
    let Some(active) = &facts.claims.active_alarms else {
        return judge.offence(|| "the monitor gave no list of its alarms at the end".into());
    };
    let mut listed: Vec<u64> = active
        .iter()
        .filter(|a| a.mvpn.as_str() == mvpn)
        .map(|a| a.id)
        .collect();
    let open = lives.iter().filter(|life| life.cleared_ns.is_none());
    let mut open: Vec<u64> = open.map(|life| life.alarm.id).collect();
    listed.sort_unstable();
    open.sort_unstable();
    judge.demand(listed == open, || {
        format!("alarms {listed:?} are listed as active at the end; raised and not cleared were {open:?}")
    });
}

fn judge_clearing(judge: &mut Judge, facts: &Facts, wanted: &ExpectedAlarm, life: &Life) {
    let subject = words(&subject_of(life.alarm));
    match (wanted.cleared, life.cleared_ns) {
        (None, None) => {}
        (None, Some(at)) => judge.offence(|| {
            format!(
                "{subject}: cleared at {}, and it was to stay",
                facts.clock(at)
            )
        }),
        (Some([_, until]), None) => {
            judge.offence(|| format!("{subject}: not cleared until {until}, nor later"));
        }
        (Some(window), Some(at)) => judge.demand(is_in(facts, window, at), || {
            let ([from, until], at) = (window, facts.clock(at));
            format!("{subject}: cleared at {at}, and not from {from} until {until}")
        }),
    }
}

fn is_in(facts: &Facts, [from, until]: [Span; 2], at_ns: u64) -> bool {
    (facts.at(from)..facts.at(until)).contains(&at_ns)
}

fn subject_of(alarm: &Alarm) -> Subject {
    (
        alarm.kind.as_str().to_owned(),
        alarm.pe,
        alarm.group,
        alarm.source,
    )
}

/// By addresses, as the monitor says it; none if the plan does not know one.
fn wanted_subject(facts: &Facts, mvpn: &str, alarm: &ExpectedAlarm) -> Option<Subject> {
    let plan = facts.plan.mvpns.get(mvpn)?;
    let mut sites = plan.sites.iter().chain(&plan.rogues);
    let pe = match &alarm.pe {
        Some(pe) => Some(sites.find(|site| site.pe == *pe)?.mdt_source),
        None => None,
    };
    let source = match &alarm.source {
        Some(node) => Some(IpAddr::V4(facts.plan.address_of(node)?)),
        None => None,
    };
    Some((
        alarm.kind.name().to_owned(),
        pe,
        alarm.group.map(IpAddr::V4),
        source,
    ))
}

fn words((kind, pe, group, source): &Subject) -> String {
    let mut words = kind.clone();
    for (noun, address) in [
        ("PE", pe.map(IpAddr::V4)),
        ("group", *group),
        ("source", *source),
    ] {
        if let Some(address) = address {
            words += &format!(" {noun} {address}");
        }
    }
    words
}
