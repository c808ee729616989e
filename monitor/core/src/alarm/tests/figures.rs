//! A storm of storms, and what it costs: `cargo test --release -p vmscope-core figures -- --nocapture`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::bench::{Bench, hello, join, s, shared};
use crate::alarm::{AlarmSpec, Kind, Notice};
use crate::name::Name;
use crate::view::{Cause, Change, Expected, Record};

const MVPNS: u32 = 50;
const PES: u8 = 200;

fn red(n: u32) -> Name {
    Name::new(format!("red{n}")).unwrap()
}

fn change(bench: &Bench, n: u32, pe: u8, is_there: bool) -> Change {
    let (key, state) = hello(pe, 1);
    let record = Record {
        key,
        state,
        since: bench.now,
        refreshed: bench.now,
        refreshes: 0,
        expires: None,
    };
    let (before, after) = if is_there {
        (None, Some(record))
    } else {
        (Some(record), None)
    };
    Change {
        mvpn: red(n),
        at: bench.now,
        before,
        after,
        cause: if is_there {
            Cause::Said
        } else {
            Cause::Expired
        },
    }
}

/// 50 MVPNs of 200 PEs: all but one PE of each go, come back, and go, thirty times over.
#[test]
fn ten_thousand_pes_that_come_and_go() {
    let mut bench = Bench::new(AlarmSpec::default());
    for n in 0..MVPNS {
        let pes: Vec<String> = (1..=PES)
            .map(|pe| format!("PE{pe} = '{}'", Ipv4Addr::new(10, 2, 0, pe)))
            .collect();
        let toml = format!("mvpn = 'red{n}'\npes = {{ {} }}", pes.join(", "));
        let expected: Expected = toml::from_str(&toml).unwrap();
        bench
            .alarms
            .handle_expected(bench.now, expected, [])
            .unwrap();
        bench.alarms.handle_watched(bench.now, &red(n));
    }
    let mut changes = 0u64;
    let began = std::time::Instant::now();
    let mut all = |bench: &mut Bench, first: u8, is_there: bool| {
        for n in 0..MVPNS {
            for pe in first..=PES {
                let change = change(bench, n, pe, is_there);
                bench.alarms.handle_change(&change);
                changes += 1;
            }
        }
    };
    all(&mut bench, 1, true);
    bench.pass(s(300));
    assert_eq!(bench.transitions.len(), 0);
    for _ in 0..30 {
        all(&mut bench, 2, false);
        bench.pass(s(45));
        all(&mut bench, 2, true);
        bench.pass(s(45));
    }
    bench.pass(s(2_000));
    let counts = bench.alarms.counts();
    let mut by_phase = BTreeMap::<&str, u64>::new();
    for notice in &bench.notices {
        let phase = match notice {
            Notice::Alarm(transition) => transition.turn.as_str(),
            Notice::Storm(storm) => storm.phase.as_str(),
        };
        *by_phase.entry(phase).or_default() += 1;
    }
    println!(
        "{changes} changes in {:?}: {} alarms raised, {} transitions, {} notices ({by_phase:?})",
        began.elapsed(),
        counts.raised,
        bench.transitions.len(),
        bench.notices.len()
    );
    assert_eq!(counts.active, 0);
    assert_eq!(counts.missed, 0);
    assert!(bench.notices.len() < 200, "{} notices", bench.notices.len());
}

/// A million joins for groups that must not be, of which a hundred thousand find room.
#[test]
fn more_than_there_is_room_for() {
    let mut bench = Bench::watching(AlarmSpec::default(), "groups = ['239.1.0.0/16']");
    bench.say(hello(1, 1));
    let began = std::time::Instant::now();
    for n in 0..1_000_000u32 {
        let group = Ipv4Addr::from(0xe8_00_00_00 + n).to_string();
        let (key, state) = join(2, shared(&group), 1);
        let record = Record {
            key,
            state,
            since: bench.now,
            refreshed: bench.now,
            refreshes: 0,
            expires: None,
        };
        bench.alarms.handle_change(&Change {
            mvpn: super::bench::name("red"),
            at: bench.now,
            before: None,
            after: Some(record),
            cause: Cause::Said,
        });
    }
    bench.pass(s(120));
    let counts = bench.alarms.counts();
    println!(
        "{counts:?}, {} notices, in {:?}",
        bench.notices.len(),
        began.elapsed()
    );
    assert_eq!((counts.active, counts.missed), (100_000, 900_000));
    assert_eq!(counts.conditions, 100_000);
    assert!(bench.notices.len() < 20);
    let kinds: Vec<Kind> = bench.kinds();
    assert!(kinds.iter().all(|kind| *kind == Kind::GroupUnexpected));
}
