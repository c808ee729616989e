//! Many tunnels: nothing comes in bursts, nothing is lost between the session and its driver, and what is dropped is
//! counted.

#[path = "../benches/support/fanout.rs"]
mod fanout;

use std::collections::{BTreeMap, BTreeSet};

use fanout::{BEGIN, Network, Plan};
use vmscope_core::config::Config;
use vmscope_core::control::*;
use vmscope_core::session::{Options, Purpose, Session};
use vmscope_core::time::{Instant, NS_PER_S, Span};

const S: u64 = NS_PER_S;

fn at(seconds: u64) -> Instant {
    BEGIN + Span::from_s(seconds)
}

fn plan(tunnels: u32, pes: u32, rate: &'static str, ping_interval: &'static str) -> Plan {
    Plan {
        tunnels,
        pes,
        rate,
        ping_interval,
    }
}

/// How many of a kind left in the fullest 10 ms of some time, and how many in all.
fn fullest(
    log: &[(Instant, Purpose)],
    from: Instant,
    is_one: impl Fn(&Purpose) -> bool,
) -> (u64, u64) {
    let mut slots: BTreeMap<u64, u64> = BTreeMap::new();
    for (at, _) in log.iter().filter(|(at, what)| *at >= from && is_one(what)) {
        *slots.entry(at.as_ns() / 10_000_000).or_default() += 1;
    }
    let most = slots.values().max().copied().unwrap_or(0);
    (most, slots.values().sum())
}

/// Ten thousand tunnels in a thousand MVPNs that all start at once: a minute after, membership is refreshed, tunnels are
/// pinged and probed without a 10 ms that has more than three times its share.
#[test]
fn ten_thousand_tunnels_do_not_speak_at_once() {
    let mut network = Network::new(plan(10_000, 10, "0.02pps", "10s"));
    network.run(at(100), drop, drop);
    network.log = Some(Vec::new());
    network.run(at(160), drop, drop);
    let log = network.log.take().unwrap();
    type Kind = fn(&Purpose) -> bool;
    let kinds: [(&str, Kind, u64); 3] = [
        ("refresh", |p| matches!(p, Purpose::Igmp { .. }), 10_000),
        ("ping", |p| matches!(p, Purpose::Ping { .. }), 60_000),
        ("probe", |p| matches!(p, Purpose::Probe { .. }), 12_000),
    ];
    for (kind, is_one, expected) in kinds {
        let (most, all) = fullest(&log, at(100), is_one);
        assert_eq!(all, expected, "{kind}");
        let share = all.div_ceil(6_000);
        assert!(
            most <= 3 * share,
            "{kind}: {most} in 10 ms, the share is {share}"
        );
    }
    let tunnels: BTreeSet<u32> = log
        .iter()
        .filter_map(|(_, purpose)| match purpose {
            Purpose::Igmp { tunnel } => Some(*tunnel),
            _ => None,
        })
        .collect();
    assert_eq!(
        tunnels.len(),
        10_000,
        "every one is refreshed in every minute"
    );
}

/// Ten thousand join together: a hundred at once, the rest within a second. A hundred wait for nobody.
#[test]
fn first_joins_of_ten_thousand_tunnels_are_spread_over_a_second_and_of_a_hundred_are_not() {
    let is_report = |purpose: &Purpose| matches!(purpose, Purpose::Igmp { .. });
    let joined_by = |log: &[(Instant, Purpose)], end: Instant| {
        let early = log.iter().filter(|(at, _)| *at <= end);
        let tunnels = early.filter_map(|(_, purpose)| match purpose {
            Purpose::Igmp { tunnel } => Some(*tunnel),
            _ => None,
        });
        tunnels.collect::<BTreeSet<u32>>().len()
    };
    let mut network = Network::new(plan(10_000, 10, "0.02pps", "0s"));
    network.log = Some(Vec::new());
    network.run(at(3), drop, drop);
    let log = network.log.take().unwrap();
    assert_eq!(joined_by(&log, at(0)), 100);
    assert_eq!(joined_by(&log, at(1)), 10_000);
    let (most, all) = fullest(&log, at(0), is_report);
    assert!(most <= 200, "{most} reports in 10 ms");
    assert_eq!(all, 20_000, "each says it twice");
    let mut network = Network::new(plan(100, 10, "0.02pps", "0s"));
    network.log = Some(Vec::new());
    network.run(at(3), drop, drop);
    assert_eq!(joined_by(&network.log.take().unwrap(), at(0)), 100);
}

#[test]
fn reports_of_many_tunnels_are_all_told() {
    let mut network = Network::new(plan(6_000, 10, "0.02pps", "5s"));
    let (mut written, mut told) = (Vec::new(), Vec::new());
    let record = |r| {
        if let Record::Ping(row) = r {
            written.push((row.start_ns, row.tunnel));
        }
    };
    let event = |e| {
        if let Event::Ping(row) = e {
            told.push((row.start_ns, row.tunnel));
        }
    };
    network.run(at(35), record, event);
    let expected: Vec<_> = [0, 10, 20]
        .into_iter()
        .flat_map(|s| (1..=6_000).map(move |tunnel| (at(s), tunnel)))
        .collect();
    assert!(
        written == expected && told == expected,
        "{} {}",
        written.len(),
        told.len()
    );
    let Answer::Status(status) = network.ask(Operation::Status) else {
        panic!()
    };
    assert_eq!((status.event_drops, status.record_drops), (0, 0));
}

/// 50 PEs have 2,450 pairs: rows come some at a time, each once, in order.
#[test]
fn rows_of_many_pairs_come_some_at_a_time() {
    let mut network = Network::new(plan(50, 50, "2pps", "0s"));
    let (mut rows, mut parts) = (Vec::new(), Vec::new());
    let event = |e| {
        if let Event::Interval {
            interval,
            rows: part,
            ..
        } = e
        {
            parts.push((interval, part.len()));
            rows.extend(part.into_iter().map(|row| row.row));
        }
    };
    network.run(at(30), drop, event);
    assert_eq!(rows, (0..2 * 2_450).collect::<Vec<u64>>());
    let sizes = |interval| {
        let of_it = parts.iter().filter(move |(n, _)| *n == interval);
        of_it.map(|(_, rows)| *rows).collect::<Vec<_>>()
    };
    for interval in [0, 1] {
        let sizes = sizes(interval);
        assert!(
            sizes.len() > 20 && sizes.iter().all(|rows| *rows <= 128),
            "{sizes:?}"
        );
    }
}

/// What is asked in the middle of an interval that is being closed is the same whether its rows are out or not.
#[test]
fn a_matrix_is_told_in_pages_and_is_whole_at_any_time() {
    let mut network = Network::new(plan(50, 50, "2pps", "0s"));
    for second in [17, 24, 25] {
        network.run(at(second), drop, drop);
        let mut all = Vec::new();
        let mut page = PairsQuestion {
            limit: Some(1_000),
            ..PairsQuestion::all("m0".parse().unwrap())
        };
        loop {
            let Answer::Pairs { pairs, next, .. } = network.ask(Operation::TaskStats(page.clone()))
            else {
                panic!()
            };
            all.extend(pairs);
            match next {
                Some(since) => page.since = since,
                None => break,
            }
        }
        let pairs: Vec<_> = all.iter().map(|p| (p.sender, p.receiver)).collect();
        let every = (1..=50).flat_map(|s| (1..=50).map(move |r| (s, r)));
        assert_eq!(pairs, every.filter(|(s, r)| s != r).collect::<Vec<_>>());
        // Two a second from the end of the warm-up until 2.2 s ago, give or take the phase.
        let decided = (second - 5) * 2 + 1;
        for pair in &all {
            let c = pair.counts;
            assert!(c.sent.abs_diff(decided) <= 2, "{c:?} {decided}");
            assert_eq!(c.sent, c.received + c.lost);
            assert_eq!(pair.delay.map_or(0, |d| d.samples), c.received);
        }
    }
}

#[test]
fn a_list_of_tunnels_is_told_in_pages() {
    let mut network = Network::new(plan(100, 10, "1pps", "0s"));
    let page = |since, limit| Operation::TunnelList(Page { since, limit });
    let mut numbers = |operation| match network.ask(operation) {
        Answer::Tunnels { tunnels, next } => {
            let all: Vec<u32> = tunnels.iter().filter_map(|t| t.spec.id).collect();
            (all, next)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(numbers(page(0, None)), ((1..=100).collect(), None));
    assert_eq!(numbers(page(0, Some(40))), ((1..=40).collect(), Some(41)));
    assert_eq!(numbers(page(41, Some(60))), ((41..=100).collect(), None));
    assert_eq!(numbers(page(101, Some(60))), (vec![], None));
}

/// A driver that takes nothing: what is dropped is counted, and memory is bounded.
#[test]
fn what_nobody_takes_is_dropped_and_counted() {
    let mut session = Session::new(BEGIN, Options::default());
    let config = Config::from_toml(&plan(6_000, 10, "5pps", "1s").toml()).unwrap();
    session.load(BEGIN, &config).unwrap();
    let mut now = BEGIN;
    while now < at(20) {
        now = session.next_deadline().unwrap().max(now);
        while session.poll_transmit(now).is_some() {}
    }
    let status = session.status(now);
    assert!(
        status.record_drops > 0 && status.event_drops > 0,
        "{status:?}"
    );
    let records = std::iter::from_fn(|| session.poll_record()).count();
    let events = std::iter::from_fn(|| session.poll_event()).count();
    assert_eq!(records, 1 << 18);
    assert!(events <= 4_096, "{events}");
}

fn refusal(outcome: Outcome) -> String {
    match outcome {
        Outcome::Error(refusal) => format!(
            "{:?}: {}\n    -> {}",
            refusal.code, refusal.message, refusal.remedy
        ),
        Outcome::Ok(answer) => panic!("not refused: {answer:?}"),
    }
}

#[test]
fn tasks_that_exceed_the_budget_are_refused_with_the_arithmetic() {
    let ask = |session: &mut Session, json: &str| {
        let operation = serde_json::from_str(json).unwrap();
        session
            .handle_request(BEGIN, Request { id: 1, operation })
            .outcome
    };
    let mut said = Vec::new();
    for budget in [
        "probes = \"99pps\"",
        "probes_per_pe = \"14pps\"",
        "copies = \"800pps\"",
        "copies = \"8pps\"",
        "probes = \"0.5pps\"",
    ] {
        let toml = format!("[budget]\n{budget}\n") + &plan(10, 10, "10pps", "0s").toml();
        let mut session = Session::new(BEGIN, Options::default());
        let started = session.load(BEGIN, &Config::from_toml(&toml).unwrap());
        said.push(match started {
            Ok(()) => refusal(ask(&mut session, r#"{"op":"task-start","name":"more","group":"239.9.9.9","senders":["t3"],"receivers":["t4"],"probes":{"rate":"5pps"}}"#)),
            Err(refused) => refusal(Outcome::Error(refused)),
        });
    }
    let mut session = Session::new(BEGIN, Options::default());
    session
        .load(
            BEGIN,
            &Config::from_toml(&plan(10, 10, "10pps", "0s").toml()).unwrap(),
        )
        .unwrap();
    said.push(refusal(ask(
        &mut session,
        r#"{"op":"config-load","toml":"[budget]\nprobes = \"99pps\""}"#,
    )));
    insta::assert_snapshot!(said.join("\n"));
}

/// Periodic probes that just fit are all sent; Poisson's that do not fit are shed: neither sent nor lost, and no second
/// has more than the budget.
#[test]
fn the_budget_is_kept_whatever_the_schedule() {
    for (schedule, sheds) in [("periodic", false), ("poisson", true)] {
        let budget =
            "[budget]\nprobes = \"200pps\"\nprobes_per_pe = \"20pps\"\ncopies = \"1800pps\"\n";
        let mut toml = budget.to_owned() + &plan(10, 10, "20pps", "0s").toml();
        toml = toml.replace(
            "rate = \"20pps\"",
            &format!("rate = \"20pps\", schedule = \"{schedule}\""),
        );
        let mut network = Network::new(plan(10, 10, "20pps", "0s"));
        network.session = Session::new(BEGIN, Options::default());
        network
            .session
            .load(BEGIN, &Config::from_toml(&toml).unwrap())
            .unwrap();
        network.log = Some(Vec::new());
        let mut lost = 0;
        let record = |record| {
            if let Record::Interval(row) = record {
                lost += row.pair.counts.lost;
            }
        };
        network.run(at(60), record, drop);
        let log = network.log.take().unwrap();
        let times: Vec<u64> = log
            .iter()
            .filter(|(_, what)| matches!(what, Purpose::Probe { .. }))
            .map(|(at, _)| at.as_ns())
            .collect();
        let most = times.windows(201).all(|some| some[200] - some[0] >= S);
        assert!(most, "{schedule}: 201 probes in a second");
        let Answer::Status(status) = network.ask(Operation::Status) else {
            panic!()
        };
        let budget = status.budget.expect("there is one");
        assert_eq!(budget.shed > 0, sheds, "{schedule}: {budget:?}");
        let Answer::Overhead(overhead) = network.ask(Operation::Overhead) else {
            panic!()
        };
        assert_eq!(overhead.probes_shed, budget.shed);
        assert_eq!(overhead.probes_sent.packets, times.len() as u64);
        // The network itself loses one of a thousand; what was shed is not among the lost.
        let copies = network.copies;
        assert!(lost * 300 < copies, "{schedule}: {lost} of {copies} lost");
    }
}
