//! A year of a large MVPN, written and asked about, with figures.
//!
//! ```text
//! cargo run --release -p vmscope-store --example year -- /tmp/year.sqlite
//! cargo run --release -p vmscope-store --example year -- postgres://user@host/database 1000
//! ```
//!
//! The MVPN has 200 PEs and 10,000 (S,G). Each (S,G) has one PE before its source and five PEs whose customers come
//! and go; every tenth switches to a data MDT and back. The second argument is how many changes there are a day (10,000
//! if absent; 0: none is written, only asked), the third how many days (365). Nine changes of ten are a Join or a Prune, of the rest nearly all a data
//! MDT's, and one of a hundred a PE's restart. Some customers flap and others stay for months: the key that
//! changes is drawn as `u³` of a uniform `u`, from a fixed seed.
//!
//! All goes through the [`Writer`], as a monitor's results do, as fast as it takes it; then each question is asked of a
//! [`Reader`], five times at moments all over the year. The first answer may come from a cold cache, so the worst is
//! printed beside the median. Bytes are those of the file or of all relations, indexes included, over the rows of the
//! history.

mod support;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant as WallInstant};

use support::{Arguments, OFFSET, Problem, measure, session};
use vmscope_core::name::Name;
use vmscope_core::report::Record as Outcome;
use vmscope_core::time::Instant;
use vmscope_core::view::record::{Cause, Change, Key, Neighbor, Record, Route, State};
use vmscope_store::mvpn::{Filter, Kind, Slice, Utc};
use vmscope_store::{Entry, Limits, Location, Put, Reader, Retention, Writer};

const PES: u64 = 200;
const STREAMS: u64 = 10_000;
const RECEIVERS: u64 = 5;
const DAY_NS: u64 = 24 * 3_600 * 1_000_000_000;
const MVPN: &str = "large";

fn main() -> Result<(), Problem> {
    let arguments = Arguments::of_process();
    let location = arguments.location()?;
    let (per_day, days) = (arguments.number(1, 10_000)?, arguments.number(2, 365)?);
    if per_day > 0 {
        write(&location, per_day * days, days * DAY_NS)?;
    }
    ask(&location, days * DAY_NS)
}

/// A fixed sequence of numbers (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) % bound
    }

    /// Small numbers much oftener than large ones.
    fn skewed(&mut self, bound: u64) -> u64 {
        let u = self.below(1 << 20) as f64 / f64::from(1 << 20);
        (u * u * u * bound as f64) as u64
    }
}

fn pe(n: u64) -> Ipv4Addr {
    Ipv4Addr::from(0x0a00_0001 + n as u32)
}

fn inner(n: u64) -> IpAddr {
    Ipv4Addr::from(0xc0a8_0001 + n as u32).into()
}

fn group(stream: u64) -> IpAddr {
    Ipv4Addr::from(0xe801_0000 + (stream / 4) as u32).into()
}

fn source(stream: u64) -> IpAddr {
    Ipv4Addr::from(0xac10_0001 + stream as u32).into()
}

fn neighbor(n: u64, generation: u64) -> (Key, State) {
    let state = Neighbor {
        address: inner(n),
        hold_time_s: Some(105),
        generation_id: Some(generation as u32),
        dr_priority: Some(1),
        designated_router: n + 1 == PES,
        bidirectional: false,
        addresses: vec![],
    };
    (Key::Neighbor { pe: pe(n) }, State::Neighbor(state))
}

fn join(stream: u64, receiver: u64) -> (Key, State) {
    let route = Route::Source {
        source: source(stream),
        group: group(stream),
    };
    let key = Key::Join {
        pe: pe((stream * 7 + receiver * 31 + 1) % PES),
        route,
    };
    let upstream = inner(stream % PES);
    (key, State::Join { upstream, rp: None })
}

fn mapping(stream: u64) -> (Key, State) {
    let key = Key::Mapping {
        pe: pe(stream % PES),
        source: source(stream),
        group: group(stream),
    };
    let data_mdt = Ipv4Addr::from(0xefc0_0000 + (stream % 256) as u32);
    (key, State::Mapping { data_mdt })
}

/// The MVPN as it is, and where its changes go.
struct Year {
    mvpn: Name,
    writer: Writer,
    records: HashMap<Key, Record>,
    put: u64,
}

impl Year {
    fn put(&mut self, entry: Entry) {
        // In this hurry, somebody must wait.
        while self.put - self.writer.health().written > 50_000 {
            std::thread::sleep(Duration::from_millis(1));
        }
        match self.writer.put(entry) {
            Put::Queued => self.put += 1,
            Put::Dropped => eprintln!("dropped"),
        }
    }

    fn change(&mut self, at: Instant, key: Key, state: Option<State>, cause: Cause) {
        let mut before = self.records.remove(&key);
        if let Some(before) = &mut before {
            before.refreshes = at.since(before.since).as_ns() / 60_000_000_000;
            before.refreshed = at;
        }
        let after = state.map(|state| Record {
            key,
            state,
            since: at,
            refreshed: at,
            refreshes: 0,
            expires: None,
        });
        self.records
            .extend(after.clone().map(|record| (key, record)));
        self.put(Entry::Record(Outcome::Change(Box::new(Change {
            mvpn: self.mvpn.clone(),
            at,
            before,
            after,
            cause,
        }))));
    }

    /// Comes if it is not there, goes if it is.
    fn toggle(&mut self, at: Instant, (key, state): (Key, State)) {
        match self.records.contains_key(&key) {
            true => self.change(at, key, None, Cause::TakenBack),
            false => self.change(at, key, Some(state), Cause::Said),
        }
    }
}

fn write(location: &Location, changes: u64, length_ns: u64) -> Result<(), Problem> {
    let start = session("year", Instant::ZERO);
    let limits = Limits {
        retention: Retention::FOR_EVER,
        ..Limits::default()
    };
    let mut year = Year {
        mvpn: Name::new(MVPN)?,
        writer: Writer::open(location, &start, limits)?,
        records: HashMap::new(),
        put: 0,
    };
    let began = WallInstant::now();
    let first = Instant::from_ns(1);
    for n in 0..PES {
        let (key, state) = neighbor(n, 0);
        year.change(first, key, Some(state), Cause::Said);
    }
    for stream in 0..STREAMS {
        for receiver in 0..RECEIVERS {
            year.toggle(first, join(stream, receiver));
        }
    }
    let mut dice = Dice(0x5eed);
    for n in 0..changes {
        let at = Instant::from_ns(1_000_000_000 + (length_ns / changes) * n);
        match dice.below(1_000) {
            0..900 => {
                let one = dice.skewed(STREAMS * RECEIVERS);
                year.toggle(at, join(one / RECEIVERS, one % RECEIVERS));
            }
            900..990 => {
                let stream = dice.skewed(STREAMS / 10) * 10;
                year.toggle(at, mapping(stream));
            }
            _ => {
                let (key, state) = neighbor(dice.below(PES), n);
                year.change(at, key, Some(state), Cause::Restarted);
            }
        }
    }
    let (put, holds) = (year.put, year.records.len());
    let health = year.writer.finish()?;
    let took = began.elapsed();
    println!("{location}: {health:?}");
    println!(
        "{put} changes written in {:.1} s: {:.0} a second; {holds} states hold at the end",
        took.as_secs_f64(),
        put as f64 / took.as_secs_f64()
    );
    Ok(())
}

fn ask(location: &Location, length_ns: u64) -> Result<(), Problem> {
    let reader = Reader::open(location)?;
    let size = reader.size()?;
    println!(
        "{} states of the past, {} of the present, {} keys; {:.1} MB, {:.0} bytes a state",
        size.past,
        size.now,
        size.keys,
        size.bytes as f64 / 1e6,
        size.bytes as f64 / (size.past + size.now) as f64
    );
    let all = Filter::ALL;
    let hour = DAY_NS / 24;
    let utc = |ns: u64| Utc::from_ns(ns as i64 + OFFSET);
    let pe_only = Filter {
        pe: Some(pe(17)),
        ..all
    };
    let group_only = Filter {
        group: Some(group(40)),
        ..all
    };
    let source_only = Filter {
        source: Some(source(4_000)),
        ..all
    };
    let whole = utc(0)..utc(length_ns);

    let state = |filter: Filter| {
        let reader = &reader;
        move |t| {
            Ok(reader
                .mvpn_state(MVPN, utc(t), &filter, Slice::ALL)?
                .states
                .len())
        }
    };
    let changes = |filter: Filter, ns: u64| {
        let reader = &reader;
        move |t| {
            let found = reader.mvpn_changes(MVPN, utc(t)..utc(t + ns), &filter, Slice::ALL)?;
            Ok(found.changes.len())
        }
    };
    measure("state, all of it", length_ns, state(all))?;
    measure("state, a first page of 1000", length_ns, |t| {
        Ok(reader
            .mvpn_state(MVPN, utc(t), &all, Slice::first(1_000))?
            .states
            .len())
    })?;
    measure("state now, all of it", length_ns, |_| {
        Ok(reader
            .mvpn_state(MVPN, Utc::NOW, &all, Slice::ALL)?
            .states
            .len())
    })?;
    measure("state of a PE", length_ns, state(pe_only))?;
    measure("state of a group", length_ns, state(group_only))?;
    measure("state of a source", length_ns, state(source_only))?;
    measure("mappings", length_ns, state(Filter::kind(Kind::Mapping)))?;
    measure("active PEs", length_ns, |t| {
        Ok(reader.active_pes(MVPN, utc(t))?.answer.len())
    })?;
    measure("active groups", length_ns, |t| {
        Ok(reader.active_groups(MVPN, utc(t))?.answer.len())
    })?;
    measure("who wants and sends a group", length_ns, |t| {
        Ok(reader
            .members(MVPN, group(40), utc(t))?
            .answer
            .wanted_by
            .len())
    })?;
    measure("up- and downstream of a PE", length_ns, |t| {
        let trees = reader.pe_trees(MVPN, pe(17), utc(t))?.answer;
        Ok(trees.upstream.len() + trees.downstream.len())
    })?;
    measure("changes of an hour", length_ns, changes(all, hour))?;
    measure("changes of a day", length_ns, changes(all, DAY_NS))?;
    measure("changes of a year, a first page of 1000", length_ns, |_| {
        let found = reader.mvpn_changes(MVPN, whole.clone(), &all, Slice::first(1_000))?;
        Ok(found.changes.len())
    })?;
    measure("changes of a group in a year", length_ns, |_| {
        Ok(reader
            .mvpn_changes(MVPN, whole.clone(), &group_only, Slice::ALL)?
            .changes
            .len())
    })?;
    for (what, ns) in [
        ("difference over an hour", hour),
        ("difference over 30 days", 30 * DAY_NS),
    ] {
        measure(what, length_ns, |t| {
            Ok(reader
                .mvpn_diff(MVPN, utc(t.saturating_sub(ns) + 1), utc(t), &all)?
                .differences
                .len())
        })?;
    }
    Ok(())
}
