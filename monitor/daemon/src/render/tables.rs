//! One function for each thing that is shown in rows.

use vmscope_core::alarm::{Alarm, AlarmCounts};
use vmscope_core::control::{DelayRange, MvpnStatus, PassiveSpec};
use vmscope_core::name::Name;
use vmscope_core::report::{
    Fate, GroupStatus, IntervalRow, Overhead, PairResult, PingRow, ProbeRecord, StreamRow,
    TaskStatus, Traffic, TunnelStatus,
};

use super::table::Column::{Number, Words};
use super::table::{Column, details, table};
use super::units::{NOTHING, maybe_ms, ms_range, of, percent, percent_range, task_state};

fn or_nothing<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| NOTHING.to_owned(), |v| v.to_string())
}

fn list<T: ToString>(values: &[T], none: &str) -> String {
    if values.is_empty() {
        return none.to_owned();
    }
    values
        .iter()
        .map(T::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

/// Pings in words.
pub fn ping(row: &PingRow) -> String {
    let rtt = |figure| of(&row.rtt, figure);
    format!(
        "{} sent, {} lost, round trip min {} mean {} p99 {} max {} ms",
        row.sent,
        row.lost,
        rtt(|d| d.min_ns),
        rtt(|d| d.mean_ns),
        rtt(|d| d.p99_ns),
        rtt(|d| d.max_ns)
    )
}

/// All tunnels.
pub fn tunnels(tunnels: &[TunnelStatus]) -> String {
    let columns = [
        Number("id"),
        Words("name"),
        Words("router"),
        Words("inside"),
        Number("pings"),
        Number("lost"),
        Number("rtt mean ms"),
        Number("rtt max ms"),
        Number("groups"),
    ];
    table(
        &columns,
        tunnels.iter().map(|t| {
            vec![
                or_nothing(t.spec.id),
                t.spec.name.to_string(),
                or_nothing(t.spec.outer_remote),
                format!("{} > {}", t.spec.inner_local, t.spec.inner_remote),
                t.ping.sent.to_string(),
                t.ping.lost.to_string(),
                of(&t.ping.rtt, |d| d.mean_ns),
                of(&t.ping.rtt, |d| d.max_ns),
                t.groups.len().to_string(),
            ]
        }),
    )
}

/// One tunnel in full.
pub fn tunnel(t: &TunnelStatus) -> String {
    let outside = match (t.spec.outer_local, t.spec.outer_remote) {
        (Some(local), Some(remote)) => format!("{local} > {remote}"),
        (None, _) | (_, None) => "the link itself".to_owned(),
    };
    let querier = match t.igmp_querier {
        Some(version) => format!(", from a querier of IGMPv{version}"),
        None => String::new(),
    };
    let head = details([
        (
            "tunnel",
            format!("{} ({})", t.spec.name, or_nothing(t.spec.id)),
        ),
        ("outside", outside),
        (
            "inside",
            format!("{} > {}", t.spec.inner_local, t.spec.inner_remote),
        ),
        ("key", or_nothing(t.spec.key)),
        ("pings", ping(&t.ping)),
        ("clock", router_clock(t)),
        ("queries", format!("{} heard{querier}", t.igmp_queries)),
        ("damaged", format!("{} packets", t.damaged)),
    ]);
    let joined = match t.groups.as_slice() {
        [] => "no group joined\n".to_owned(),
        some => groups(some),
    };
    format!("{head}\n{}\n{joined}", overhead(&t.overhead))
}

/// What the router's own clock says of the two ways, or why it says nothing.
fn router_clock(t: &TunnelStatus) -> String {
    let (Some(clock), Some(error)) = (&t.router_clock, t.spec.router_clock_error) else {
        return "not asked".to_owned();
    };
    let answers = format!("{} of {} answered", clock.answered, clock.asked);
    let useless = [
        (clock.nonstandard, "without a time of day"),
        (clock.contradictory, "further off than it may be"),
    ];
    let useless = useless.into_iter().filter(|(n, _)| *n > 0);
    let useless: String = useless.map(|(n, what)| format!(", {n} {what}")).collect();
    let way = |range: Option<DelayRange>| {
        let (low, high) = range.map(|r| (r.low_ns, r.high_ns)).unzip();
        ms_range(low, high)
    };
    let (up, down) = (way(clock.up), way(clock.down));
    format!("within {error}, {answers}{useless}, up {up} ms, down {down} ms")
}

/// Groups over tunnels.
pub fn groups(groups: &[GroupStatus]) -> String {
    let columns = [
        Words("tunnel"),
        Words("group"),
        Words("sources"),
        Words("wanted by"),
        Number("received"),
        Number("bytes"),
        Number("sent"),
        Number("bytes"),
    ];
    table(
        &columns,
        groups.iter().map(|g| {
            vec![
                g.tunnel.to_string(),
                g.group.to_string(),
                list(&g.sources, "any"),
                list(&g.wanted_by, NOTHING),
                g.received.packets.to_string(),
                g.received.bytes.to_string(),
                g.sent.packets.to_string(),
                g.sent.bytes.to_string(),
            ]
        }),
    )
}

/// Tasks.
pub fn tasks<T: std::borrow::Borrow<TaskStatus>>(tasks: &[T]) -> String {
    let columns = [
        Number("run"),
        Words("name"),
        Words("state"),
        Words("group"),
        Words("senders"),
        Words("receivers"),
        Words("rate"),
        Number("sent"),
        Number("intervals"),
    ];
    table(
        &columns,
        tasks.iter().map(T::borrow).map(|t| {
            vec![
                t.task.to_string(),
                t.spec.name.to_string(),
                task_state(t.state).to_owned(),
                t.spec.group.to_string(),
                list(&t.spec.senders, NOTHING),
                list(&t.spec.receivers, NOTHING),
                t.spec.probes.rate.to_string(),
                t.probes_sent.to_string(),
                t.intervals.to_string(),
            ]
        }),
    )
}

/// MVPNs.
pub fn mvpns<T: std::borrow::Borrow<MvpnStatus>>(mvpns: &[T]) -> String {
    let columns = [
        Words("name"),
        Words("default MDT"),
        Words("state"),
        Words("PEs"),
        Words("taking part"),
    ];
    table(
        &columns,
        mvpns.iter().map(T::borrow).map(|m| {
            vec![
                m.spec.name.to_string(),
                m.spec.group.to_string(),
                if m.running { "running" } else { "stopped" }.to_owned(),
                list(&m.spec.tunnels, NOTHING),
                list::<Name>(&m.active, NOTHING),
            ]
        }),
    )
}

/// Active alarms.
pub fn alarms(alarms: &[Alarm], counts: &AlarmCounts) -> String {
    let columns = [
        Number("alarm"),
        Words("severity"),
        Words("kind"),
        Words("MVPN"),
        Words("what"),
    ];
    let rows = alarms.iter().map(|alarm| {
        vec![
            alarm.id.to_string(),
            alarm.severity.as_str().to_owned(),
            alarm.kind.as_str().to_owned(),
            alarm.mvpn.to_string(),
            alarm.message.clone(),
        ]
    });
    let missed = match counts.missed {
        0 => String::new(),
        missed => format!("{missed} times there was no room to note what was wrong\n"),
    };
    table(&columns, rows) + &missed
}

const PAIR_COLUMNS: [super::table::Column; 13] = [
    Words("from"),
    Words("to"),
    Number("sent"),
    Number("lost"),
    Number("dup"),
    Number("reord"),
    Number("loss %"),
    Number("delay mean"),
    Number("p99"),
    Number("max ms"),
    Number("path delay ms"),
    Words("certain"),
    Number("path loss %"),
];

fn pair_cells(pair: &PairResult) -> Vec<String> {
    vec![
        pair.sender_name.to_string(),
        pair.receiver_name.to_string(),
        pair.counts.sent.to_string(),
        pair.counts.lost.to_string(),
        pair.counts.duplicates.to_string(),
        pair.counts.reordered.to_string(),
        percent(pair.loss),
        of(&pair.delay, |d| d.mean_ns),
        of(&pair.delay, |d| d.p99_ns),
        of(&pair.delay, |d| d.max_ns),
        maybe_ms(pair.corrected.delay_half_ns),
        ms_range(pair.corrected.delay_low_ns, pair.corrected.delay_high_ns),
        percent(pair.corrected.loss_half),
        percent_range(pair.corrected.loss_low, pair.corrected.loss_high),
    ]
}

/// The pair matrix of a task.
pub fn pairs(pairs: &[PairResult]) -> String {
    let inferred = Inferred::of(pairs.iter());
    let columns = [&PAIR_COLUMNS[..], &[Words("certain")], inferred.columns()].concat();
    let cells = |pair| [pair_cells(pair), inferred.cells(pair)].concat();
    table(&columns, pairs.iter().map(cells))
}

/// Whether one-way losses have corrected any pair: only then there is something to show of them.
struct Inferred(bool);

impl Inferred {
    fn of<'a>(mut pairs: impl Iterator<Item = &'a PairResult>) -> Inferred {
        Inferred(pairs.any(|pair| pair.corrected.loss_inferred.is_some()))
    }

    fn columns(&self) -> &'static [Column] {
        const COLUMNS: [Column; 2] = [Number("inferred loss %"), Words("interval")];
        match self.0 {
            true => &COLUMNS,
            false => &[],
        }
    }

    fn cells(&self, pair: &PairResult) -> Vec<String> {
        let found = &pair.corrected;
        match self.0 {
            true => vec![
                percent(found.loss_inferred),
                percent_range(found.loss_inferred_low, found.loss_inferred_high),
            ],
            false => Vec::new(),
        }
    }
}

/// Interval rows.
pub fn intervals(rows: &[IntervalRow]) -> String {
    let inferred = Inferred::of(rows.iter().map(|row| &row.pair));
    let columns = [
        &[Number("row"), Number("interval")],
        &PAIR_COLUMNS[..],
        &[Words("certain"), Number("not captured")],
        inferred.columns(),
    ]
    .concat();
    table(
        &columns,
        rows.iter().map(|row| {
            let mut cells = vec![row.row.to_string(), row.interval.to_string()];
            cells.extend(pair_cells(&row.pair));
            cells.push(row.capture_drops.to_string());
            cells.extend(inferred.cells(&row.pair));
            cells
        }),
    )
}

/// The per-probe log.
pub fn probes(probes: &[ProbeRecord]) -> String {
    let columns = [
        Number("from"),
        Number("to"),
        Number("seq"),
        Number("interval"),
        Words("fate"),
        Number("delay ms"),
        Number("dup"),
        Words("reordered"),
        Number("late"),
    ];
    table(
        &columns,
        probes.iter().map(|p| {
            let delay_ns = p
                .received_ns
                .map(|received| received.signed_since(p.sent_ns));
            vec![
                p.sender.to_string(),
                p.receiver.to_string(),
                p.seq.to_string(),
                p.interval
                    .map_or_else(|| "warm-up".to_owned(), |i| i.to_string()),
                match p.fate {
                    Fate::Received => "received",
                    Fate::Lost => "lost",
                }
                .to_owned(),
                maybe_ms(delay_ns),
                p.duplicates.to_string(),
                if p.reordered { "yes" } else { "" }.to_owned(),
                p.late.to_string(),
            ]
        }),
    )
}

/// Passive observations.
pub fn passives(passives: &[PassiveSpec]) -> String {
    let columns = [
        Words("name"),
        Words("group"),
        Words("sources"),
        Words("tunnels"),
    ];
    table(
        &columns,
        passives.iter().map(|p| {
            vec![
                p.name.to_string(),
                p.group.to_string(),
                list(&p.sources, "any"),
                list(&p.tunnels, NOTHING),
            ]
        }),
    )
}

/// Customer streams.
pub fn streams(streams: &[StreamRow], unlisted_packets: u64) -> String {
    let columns = [
        Words("tunnel"),
        Words("PE"),
        Words("source"),
        Words("group"),
        Number("packets"),
        Number("bytes"),
        Number("bit/s"),
        Number("RTP expected"),
        Number("RTP lost"),
        Number("jitter units"),
    ];
    let shown = table(
        &columns,
        streams.iter().map(|s| {
            vec![
                s.tunnel_name.to_string(),
                or_nothing(s.pe),
                format!("{}:{}", s.source, s.source_port),
                format!("{}:{}", s.group, s.destination_port),
                s.received.packets.to_string(),
                s.received.bytes.to_string(),
                or_nothing(s.bits_per_second),
                or_nothing(s.rtp.map(|r| r.expected)),
                or_nothing(s.rtp.map(|r| r.lost)),
                or_nothing(s.rtp.map(|r| r.jitter_units)),
            ]
        }),
    );
    match unlisted_packets {
        0 => shown,
        more => {
            format!("{shown}and {more} packets of streams beyond the number that is remembered\n")
        }
    }
}

/// What monitoring costs.
pub fn overhead(o: &Overhead) -> String {
    let row = |kind: &str, traffic: Traffic| {
        vec![
            kind.to_owned(),
            traffic.packets.to_string(),
            traffic.bytes.to_string(),
        ]
    };
    let shed = match o.probes_shed {
        0 => String::new(),
        shed => {
            format!("{shed} probes more were due, and not sent: the budget did not allow them\n")
        }
    };
    let shown = table(
        &[Words("kind"), Number("packets"), Number("bytes")],
        [
            row("probes sent", o.probes_sent),
            row("probes received", o.probes_received),
            row("pings sent", o.pings_sent),
            row("pings received", o.pings_received),
            row("IGMP sent", o.igmp_sent),
            row("IGMP received", o.igmp_received),
            row("customer packets discarded", o.customer_discarded),
            row("customer packets observed", o.customer_observed),
            row("other received", o.other_received),
        ],
    );
    shown + &shed
}
