//! The host side of IGMPv2 (RFC 2236) and IGMPv3 (RFC 3376) on one tunnel.
//!
//! Several owners (the operator, tasks, observations) may want the same group; the router is
//! told of their union. There is one host on a tunnel, so reports are never suppressed by
//! another's (paper §3.2). Besides answering queries, every group is reported again about a
//! query interval after it was last, or a minute, in case the router's queries do not get through.

mod group;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::Ipv4Addr;

use rand::{Rng, RngExt};
use vmscope_wire::igmp::RecordType;

use crate::fault::{Fault, Planted};
use crate::name::Name;
use crate::schedule::turn;
use crate::spec::IgmpVersion;
use crate::time::{Instant, Span};
use group::Group;

/// RFC 3376 §8.1: Robustness Variable, until a query says otherwise.
const ROBUSTNESS: u8 = 2;
/// RFC 3376 §8.2: Query Interval, until a query says otherwise.
const QUERY_INTERVAL: Span = Span::from_s(125);
/// RFC 3376 §8.11: Unsolicited Report Interval.
const UNSOLICITED_V3: Span = Span::from_s(1);
/// RFC 2236 §8.10: the same for older versions.
const UNSOLICITED_V2: Span = Span::from_s(10);
/// RFC 3376 §8.3: Query Response Interval, for the time an IGMPv1 querier is remembered.
const QUERY_RESPONSE: Span = Span::from_s(10);
/// Every group is reported unasked once in so long at most, half to one and a half times that after it was last reported:
/// well below the 260 s after which a router forgets it (§8.4). Each tunnel has its own moment for it, so that thousands do
/// not speak at once.
const REFRESH: Span = Span::from_s(60);
/// A router that asks more often forgets sooner, too: then once in its query interval, but no more often than this. Of a
/// query and its answer either may be lost, so as many reports again come unasked.
const REFRESH_LEAST: Span = Span::from_s(5);
/// Records in one report stay below this, so that it fits any tunnel's MTU.
const REPORT_BYTES_MAX: usize = 1_200;
/// Reports waiting to be sent; the driver takes them at once, so this is never reached in practice.
const REPORTS_WAITING_MAX: usize = 4_096;

/// Who wants a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// Whoever asked for `group-join`.
    Operator,
    /// A run of a task.
    Task(Name, u32),
    /// A passive observation.
    Passive(Name),
    /// The watch of an MVPN.
    Watch(Name),
    /// A run of a one-way measurement.
    Oneway(Name, u32),
    /// A peer's one-way measurement, which this monitor helps with.
    Peer(Name),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Operator => f.write_str("operator"),
            Owner::Task(name, _) => write!(f, "task {name}"),
            Owner::Passive(name) => write!(f, "passive {name}"),
            Owner::Watch(name) => write!(f, "watch {name}"),
            Owner::Oneway(name, _) => write!(f, "one-way {name}"),
            Owner::Peer(name) => write!(f, "peer's {name}"),
        }
    }
}

/// Which sources of a group are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// All: (*,G), filter mode EXCLUDE with no source.
    Any,
    /// These: (S,G), filter mode INCLUDE.
    Sources(BTreeSet<Ipv4Addr>),
}

impl Wanted {
    /// Nothing: a group that is not joined (RFC 3376 §3.2).
    pub fn nothing() -> Wanted {
        Wanted::Sources(BTreeSet::new())
    }

    /// Any source if none is named, else the named ones.
    pub fn from_list(sources: &[Ipv4Addr]) -> Wanted {
        match sources {
            [] => Wanted::Any,
            some => Wanted::Sources(some.iter().copied().collect()),
        }
    }

    /// Whether this is nothing at all.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Wanted::Sources(sources) if sources.is_empty())
    }

    /// The sources; none where any is wanted.
    pub fn sources(&self) -> Vec<Ipv4Addr> {
        match self {
            Wanted::Any => Vec::new(),
            Wanted::Sources(sources) => sources.iter().copied().collect(),
        }
    }
}

/// A query, of whatever version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Version of the querier: 1, 2 or 3.
    pub version: u8,
    /// The group asked about; all if absent.
    pub group: Option<Ipv4Addr>,
    /// Sources asked about; all if empty.
    pub sources: Vec<Ipv4Addr>,
    /// Answer within this time.
    pub max_response: Span,
    /// Querier's robustness variable, version 3 only; 0 says nothing.
    pub robustness: u8,
    /// Querier's query interval, version 3 only; zero says nothing.
    pub interval: Span,
}

/// A message to the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// IGMPv1 report.
    V1(Ipv4Addr),
    /// IGMPv2 report.
    V2(Ipv4Addr),
    /// IGMPv2 leave.
    LeaveV2(Ipv4Addr),
    /// IGMPv3 report.
    V3(Vec<Record>),
}

/// A group record of an IGMPv3 report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it says.
    pub kind: RecordType,
    /// About which group.
    pub group: Ipv4Addr,
    /// And which sources.
    pub sources: Vec<Ipv4Addr>,
}

/// When groups are reported unasked: every `period`, at `turn` of it.
#[derive(Debug, Clone, Copy)]
struct Refresh {
    turn: Span,
    period: Span,
}

impl Refresh {
    /// The next turn that is not too soon after a report at `now`.
    fn after(self, now: Instant) -> Instant {
        let earliest = now + Span::from_ns(self.period.as_ns() / 2);
        let turn = Span::from_ns(self.turn.as_ns() % self.period.as_ns().max(1));
        (earliest - turn).next_multiple_of(self.period) + turn
    }
}

/// All groups of one tunnel, and the timers of their reports.
#[derive(Debug)]
pub struct Membership {
    configured: IgmpVersion,
    /// When this tunnel's groups are reported unasked.
    refresh: Refresh,
    groups: BTreeMap<Ipv4Addr, Group>,
    /// When a general query is to be answered (version 3).
    general_answer: Option<Instant>,
    robustness: u8,
    query_interval: Span,
    /// Until when an older querier is taken to be present (RFC 3376 §7.2.1).
    older_v1_until: Instant,
    older_v2_until: Instant,
    queries: u64,
    outgoing: VecDeque<Report>,
    fault: Planted,
}

impl Membership {
    /// No groups yet, on the tunnel of this number.
    pub fn new(configured: IgmpVersion, tunnel: u32, fault: Planted) -> Membership {
        Membership {
            configured,
            refresh: Refresh {
                turn: turn(tunnel, REFRESH),
                period: REFRESH,
            },
            groups: BTreeMap::new(),
            general_answer: None,
            robustness: ROBUSTNESS,
            query_interval: QUERY_INTERVAL,
            older_v1_until: Instant::ZERO,
            older_v2_until: Instant::ZERO,
            queries: 0,
            outgoing: VecDeque::new(),
            fault,
        }
    }

    /// Says what an owner wants of a group from now on; nothing ends its interest.
    pub fn set(&mut self, now: Instant, owner: Owner, group: Ipv4Addr, wanted: Wanted) {
        if wanted.is_nothing() && !self.groups.contains_key(&group) {
            return;
        }
        let refresh = self.refresh;
        let entry = self
            .groups
            .entry(group)
            .or_insert_with(|| Group::new(group, refresh));
        entry.set(now, owner, wanted, self.robustness);
        if self.fault.is(Fault::LeaveNotSent) && !entry.is_joined() {
            self.groups.remove(&group);
        }
    }

    /// Ends everybody's interest in everything.
    pub fn leave_all(&mut self, now: Instant) {
        let all = self
            .groups
            .values()
            .flat_map(|g| g.owners().map(|owner| (owner.clone(), g.address)));
        for (owner, group) in all.collect::<Vec<_>>() {
            self.set(now, owner, group, Wanted::nothing());
        }
    }

    /// Whether this owner wants anything of the group.
    pub fn is_wanted_by(&self, owner: &Owner, group: Ipv4Addr) -> bool {
        self.groups
            .get(&group)
            .is_some_and(|g| g.wants(owner).is_some())
    }

    /// Groups joined: group, sources, owners.
    pub fn joined(&self) -> impl Iterator<Item = (Ipv4Addr, &Wanted, Vec<String>)> {
        self.groups
            .values()
            .filter(|g| g.is_joined())
            .map(|g| (g.address, &g.state, g.owner_names()))
    }

    /// Whether the group is joined.
    pub fn is_joined(&self, group: Ipv4Addr) -> bool {
        self.groups.get(&group).is_some_and(Group::is_joined)
    }

    /// How many groups there are, joined or being left.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Queries heard so far.
    pub fn queries(&self) -> u64 {
        self.queries
    }

    /// The version spoken at this moment: 1, 2 or 3.
    pub fn version(&self, now: Instant) -> u8 {
        match self.configured {
            _ if now < self.older_v1_until => 1,
            IgmpVersion::V2 => 2,
            IgmpVersion::V3 if now < self.older_v2_until => 2,
            IgmpVersion::V3 => 3,
        }
    }

    /// The router asks. Timers are set as RFC 3376 §5.2 says, or RFC 2236 §3 where an older version is spoken.
    pub fn handle_query(&mut self, now: Instant, query: &Query, rng: &mut impl Rng) {
        self.queries += 1;
        self.learn_from(now, query);
        if self.fault.is(Fault::IgmpNeverRefreshed) {
            return;
        }
        match (self.version(now), query.group) {
            (3, None) => {
                let at = now + random_within(query.max_response, rng);
                self.general_answer =
                    Some(self.general_answer.map_or(at, |pending| pending.min(at)));
            }
            (3, Some(group)) => {
                let at = now + random_within(query.max_response, rng);
                let general_sooner = self.general_answer.is_some_and(|pending| pending <= at);
                if let Some(group) = self.groups.get_mut(&group).filter(|_| !general_sooner) {
                    group.schedule_answer(at, &query.sources);
                }
            }
            (_, asked) => {
                for group in self
                    .groups
                    .values_mut()
                    .filter(|g| asked.is_none_or(|a| a == g.address))
                {
                    group.schedule_answer(now + random_within(query.max_response, rng), &[]);
                }
            }
        }
    }

    /// Timers and values that a query carries (RFC 3376 §4.1.6, §4.1.7, §7.2.1, §8.12).
    fn learn_from(&mut self, now: Instant, query: &Query) {
        let before = self.version(now);
        let remembered = self.query_interval.times(u64::from(self.robustness));
        match query.version {
            1 => self.older_v1_until = now + remembered + QUERY_RESPONSE,
            2 => self.older_v2_until = now + remembered + query.max_response,
            _ => {
                if query.robustness > 0 {
                    self.robustness = query.robustness;
                }
                if !query.interval.is_zero() && query.interval != self.query_interval {
                    self.query_interval = query.interval;
                    self.refresh_every(now, query.interval);
                }
            }
        }
        if self.version(now) != before {
            self.general_answer = None;
            self.groups.values_mut().for_each(Group::cancel_answer);
        }
    }

    fn refresh_every(&mut self, now: Instant, query_interval: Span) {
        self.refresh.period = query_interval.max(REFRESH_LEAST).min(REFRESH);
        for group in self.groups.values_mut() {
            group.refresh_by(now, self.refresh);
        }
    }

    /// The next message to send, if one is due.
    pub fn poll_report(&mut self, now: Instant, rng: &mut impl Rng) -> Option<Report> {
        self.fire_timers(now, rng);
        self.outgoing.pop_front()
    }

    /// When [`Membership::poll_report`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        if !self.outgoing.is_empty() {
            return Some(Instant::ZERO);
        }
        let groups = self
            .groups
            .values()
            .filter_map(|g| g.next_deadline(self.refreshes()));
        groups.chain(self.general_answer).min()
    }

    fn refreshes(&self) -> bool {
        !self.fault.is(Fault::IgmpNeverRefreshed)
    }

    fn fire_timers(&mut self, now: Instant, rng: &mut impl Rng) {
        if self.next_deadline().is_none_or(|at| at > now) {
            return;
        }
        let version = self.version(now);
        let refreshes = self.refreshes();
        let mut records = Vec::new();
        let general = self.general_answer.take_if(|at| *at <= now).is_some();
        for group in self.groups.values_mut() {
            if group.change_due(now) {
                let again = random_within(unsolicited_interval(version), rng);
                records.push((group.address, group.take_change(now, now + again)));
            }
            if group.answer_due(now) {
                records.push((group.address, group.take_answer(now)));
            } else if group.is_joined() && (general || (refreshes && group.refresh_at <= now)) {
                records.push((group.address, group.report_current(now)));
            }
        }
        for (group, records) in group_reports(version, records) {
            self.push_records(version, group, records);
        }
        self.groups.retain(|_, group| !group.is_forgotten());
    }

    /// Queues records as messages of the version spoken.
    fn push_records(&mut self, version: u8, group: Ipv4Addr, records: Vec<Record>) {
        if self.outgoing.len() >= REPORTS_WAITING_MAX {
            return;
        }
        match version {
            3 => self.outgoing.push_back(Report::V3(records)),
            older => {
                let joined = self.groups.get(&group).is_some_and(Group::is_joined);
                match (joined, older) {
                    (true, 2) => self.outgoing.push_back(Report::V2(group)),
                    (true, _) => self.outgoing.push_back(Report::V1(group)),
                    (false, 2) => self.outgoing.push_back(Report::LeaveV2(group)),
                    // IGMPv1 has no leave (RFC 1112).
                    (false, _) => {}
                }
            }
        }
    }
}

/// Distributes records over messages: as many as fit in one for version 3, one a group before.
fn group_reports(version: u8, due: Vec<(Ipv4Addr, Vec<Record>)>) -> Vec<(Ipv4Addr, Vec<Record>)> {
    let due = due.into_iter().filter(|(_, records)| !records.is_empty());
    if version < 3 {
        let mut by_group: Vec<(Ipv4Addr, Vec<Record>)> = due.collect();
        by_group.dedup_by_key(|(group, _)| *group);
        return by_group;
    }
    let mut reports: Vec<(Ipv4Addr, Vec<Record>)> = Vec::new();
    let mut bytes = 0;
    for record in due.flat_map(|(_, records)| records) {
        let length = 8 + 4 * record.sources.len();
        match reports
            .last_mut()
            .filter(|_| bytes + length <= REPORT_BYTES_MAX)
        {
            Some((_, records)) => {
                records.push(record);
                bytes += length;
            }
            None => {
                reports.push((record.group, vec![record]));
                bytes = length;
            }
        }
    }
    reports
}

fn unsolicited_interval(version: u8) -> Span {
    if version == 3 {
        UNSOLICITED_V3
    } else {
        UNSOLICITED_V2
    }
}

/// A random time, more than nothing, at most `longest`.
fn random_within(longest: Span, rng: &mut impl Rng) -> Span {
    Span::from_ns(rng.random_range(1..=longest.as_ns().max(1)))
}
