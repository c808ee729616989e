//! All data MDTs of one VRF: streams of its own site that are moved, and others' that its site receives.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::Ipv4Addr,
};

use super::{
    Deed, Stream,
    join::MdtJoin,
    receiving::{Change, Receiving},
    sending::{Level, Sending, Step},
};
use crate::kernel::mroute::Mroute;

/// The device of the default MDT.
pub const MDT: &str = "mdt";

/// What an agent goes by. Times in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Groups, in the order in which this PE takes them.
    pub pool: Vec<Ipv4Addr>,
    /// Interfaces to the VRF's own site.
    pub site: Vec<String>,
    /// Above so many bits a second a stream is moved.
    pub threshold_bits: u64,
    /// MDT_DATA_DELAY.
    pub delay_ns: u64,
    /// MDT_DATA_TIMEOUT.
    pub timeout_ns: u64,
    /// MDT_DATA_HOLDDOWN.
    pub holddown_ns: u64,
    /// MDT_INTERVAL.
    pub interval_ns: u64,
}

/// What has to be done, and logged as [`Order::deed`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Send an MDT Join into the default MDT.
    Announce(MdtJoin),
    /// Send the stream to the group instead of the default MDT's.
    Move(MdtJoin),
    /// Send it to the default MDT's group. It may never have been moved.
    Return {
        /// The stream, and the group that it had.
        join: MdtJoin,
        /// It had been moved.
        was_moved: bool,
    },
    /// Join a group.
    Join(Ipv4Addr),
    /// Leave a group.
    Leave(Ipv4Addr),
    /// Nothing: the pool is exhausted.
    Keep(Stream),
}

impl Order {
    /// How it is logged when it has been carried out.
    pub fn deed(self) -> Deed {
        match self {
            Self::Announce(MdtJoin { stream, p_group }) => Deed::Announced { stream, p_group },
            Self::Move(MdtJoin { stream, p_group }) => Deed::Moved { stream, p_group },
            Self::Return { join, was_moved: _ } => Deed::Returned {
                stream: join.stream,
                p_group: join.p_group,
            },
            Self::Join(p_group) => Deed::Joined { p_group },
            Self::Leave(p_group) => Deed::Left { p_group },
            Self::Keep(stream) => Deed::Exhausted { stream },
        }
    }
}

/// A VRF's agent.
#[derive(Debug, Clone)]
pub struct Agent {
    settings: Settings,
    sending: BTreeMap<Stream, Sending>,
    /// Above the threshold, but there was no group.
    unlucky: BTreeSet<Stream>,
    receiving: Receiving,
    counted: BTreeMap<Stream, Count>,
    /// Of a source, or of any, that the site receives from the MDT.
    members: BTreeSet<(Option<Ipv4Addr>, Ipv4Addr)>,
    orders: VecDeque<Order>,
}

/// A stream's bytes at the last reading.
#[derive(Debug, Clone, Copy)]
struct Count {
    at_ns: u64,
    bytes: u64,
}

impl Agent {
    /// One that knows nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            sending: BTreeMap::new(),
            unlucky: BTreeSet::new(),
            receiving: Receiving::default(),
            counted: BTreeMap::new(),
            members: BTreeSet::new(),
            orders: VecDeque::new(),
        }
    }

    /// Groups that this PE has joined.
    pub fn joined(&self) -> &BTreeSet<Ipv4Addr> {
        self.receiving.joined()
    }

    /// Streams of its own that have a group, and whether they are sent by it already.
    pub fn sent(&self) -> impl Iterator<Item = (Stream, Ipv4Addr, bool)> {
        let own = self.sending.iter();
        own.map(|(stream, sending)| (*stream, sending.p_group, sending.is_moved()))
    }

    /// An announcement came by the default MDT.
    pub fn handle_join(&mut self, now_ns: u64, join: MdtJoin) {
        self.receiving.handle_join(now_ns, join);
    }

    /// The VRF's forwarding table was read, and time has passed.
    pub fn handle_routes(&mut self, now_ns: u64, routes: &[Mroute]) {
        self.members = routes
            .iter()
            .filter_map(|route| self.member(route))
            .collect();
        let levels = self.levels(now_ns, routes);
        for (stream, level) in levels {
            self.handle_level(now_ns, stream, level);
        }
        self.advance(now_ns);
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    fn is_site(&self, interface: &str) -> bool {
        self.settings.site.iter().any(|own| own == interface)
    }

    /// The site has receivers for what the entry forwards, and does not send it itself.
    fn member(&self, route: &Mroute) -> Option<(Option<Ipv4Addr>, Ipv4Addr)> {
        let from_site = route.incoming.as_deref().is_some_and(|i| self.is_site(i));
        let to_site = route.outgoing.iter().any(|o| self.is_site(o));
        let source = Some(route.source).filter(|source| !source.is_unspecified());
        (to_site && !from_site).then_some((source, route.group))
    }

    /// Every stream that the site sends into the MDT, and every one that it did.
    fn levels(&mut self, now_ns: u64, routes: &[Mroute]) -> BTreeMap<Stream, Level> {
        let mut levels: BTreeMap<Stream, Level> = BTreeMap::new();
        // What is not in the table any more sends nothing.
        levels.extend(self.sending.keys().map(|stream| (*stream, Level::Below)));
        let mut counted = BTreeMap::new();
        for route in routes.iter().filter(|route| self.is_sent(route)) {
            let stream = Stream {
                c_source: route.source,
                c_group: route.group,
            };
            let count = Count {
                at_ns: now_ns,
                bytes: route.bytes,
            };
            if let Some(before) = self.counted.get(&stream) {
                let is_above = bits_a_second(*before, count) > self.settings.threshold_bits;
                levels.insert(stream, if is_above { Level::Above } else { Level::Below });
            }
            counted.insert(stream, count);
        }
        self.counted = counted;
        levels
    }

    fn is_sent(&self, route: &Mroute) -> bool {
        let from_site = route.incoming.as_deref().is_some_and(|i| self.is_site(i));
        from_site && !route.source.is_unspecified() && route.outgoing.iter().any(|o| o == MDT)
    }

    fn handle_level(&mut self, now_ns: u64, stream: Stream, level: Level) {
        match (self.sending.get_mut(&stream), level) {
            (Some(sending), level) => sending.handle_level(now_ns, level),
            (None, Level::Below) => {
                self.unlucky.remove(&stream);
            }
            (None, Level::Above) => match self.free_group() {
                Some(p_group) => {
                    self.unlucky.remove(&stream);
                    self.sending.insert(stream, Sending::begin(p_group, now_ns));
                }
                None if self.unlucky.insert(stream) => self.orders.push_back(Order::Keep(stream)),
                None => {}
            },
        }
    }

    /// One that neither this PE nor, as far as it has heard, another one uses.
    fn free_group(&self) -> Option<Ipv4Addr> {
        let is_own = |group: &Ipv4Addr| self.sending.values().any(|s| s.p_group == *group);
        let mut pool = self.settings.pool.iter();
        pool.find(|group| !is_own(group) && !self.receiving.is_heard(**group))
            .copied()
    }

    fn advance(&mut self, now_ns: u64) {
        let mut over = Vec::new();
        for (stream, sending) in &mut self.sending {
            let join = MdtJoin {
                stream: *stream,
                p_group: sending.p_group,
            };
            while let Some(step) = sending.poll(now_ns, &self.settings) {
                match step {
                    Step::Announce => self.orders.push_back(Order::Announce(join)),
                    Step::Move => self.orders.push_back(Order::Move(join)),
                    Step::Return => {
                        let was_moved = sending.is_moved();
                        self.orders.push_back(Order::Return { join, was_moved });
                        over.push(*stream);
                        break;
                    }
                }
            }
        }
        for stream in over {
            self.sending.remove(&stream);
        }
        let members = &self.members;
        let is_wanted = |stream: &Stream| {
            let exactly = (Some(stream.c_source), stream.c_group);
            members.contains(&exactly) || members.contains(&(None, stream.c_group))
        };
        let changes = self
            .receiving
            .poll(now_ns, self.settings.timeout_ns, is_wanted);
        self.orders
            .extend(changes.into_iter().map(|change| match change {
                Change::Join(group) => Order::Join(group),
                Change::Leave(group) => Order::Leave(group),
            }));
    }
}

/// Between two readings. A count that fell is one that began anew.
fn bits_a_second(before: Count, now: Count) -> u64 {
    let bytes = now.bytes.checked_sub(before.bytes).unwrap_or(now.bytes);
    let elapsed_ns = u128::from(now.at_ns.saturating_sub(before.at_ns)).max(1);
    let bits = u128::from(bytes) * 8 * 1_000_000_000 / elapsed_ns;
    u64::try_from(bits).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    /// The RFC's timers.
    pub fn settings() -> Settings {
        Settings {
            pool: vec![Ipv4Addr::new(239, 2, 1, 1), Ipv4Addr::new(239, 2, 1, 2)],
            site: vec!["to-CE1".into()],
            threshold_bits: 100_000,
            delay_ns: 3 * S,
            timeout_ns: 180 * S,
            holddown_ns: 60 * S,
            interval_ns: 60 * S,
        }
    }

    fn stream(n: u8) -> Stream {
        Stream {
            c_source: Ipv4Addr::new(192, 168, 1, n),
            c_group: Ipv4Addr::new(239, 9, 9, 9),
        }
    }

    fn join(n: u8, group: u8) -> MdtJoin {
        MdtJoin {
            stream: stream(n),
            p_group: Ipv4Addr::new(239, 2, 1, group),
        }
    }

    fn route(n: u8, from: &str, to: &[&str], bytes: u64) -> Mroute {
        Mroute {
            source: stream(n).c_source,
            group: stream(n).c_group,
            incoming: Some(from.into()),
            outgoing: to.iter().map(|to| (*to).to_owned()).collect(),
            packets: 0,
            bytes,
            wrong_if: 0,
        }
    }

    /// 20,000 bytes a second are 160 kbit/s.
    fn sent(n: u8, bytes: u64) -> Mroute {
        route(n, "to-CE1", &["mdt"], bytes)
    }

    fn orders(agent: &mut Agent, second: u64, routes: &[Mroute]) -> Vec<Order> {
        agent.handle_routes(second * S, routes);
        std::iter::from_fn(|| agent.poll()).collect()
    }

    #[test]
    fn a_stream_above_the_threshold_moves_and_one_below_does_not() {
        let mut agent = Agent::new(settings());
        let at = |second: u64| [sent(1, second * 20_000), sent(2, second * 10_000)];
        assert_eq!(orders(&mut agent, 0, &at(0)), []);
        assert_eq!(orders(&mut agent, 1, &at(1)), [Order::Announce(join(1, 1))]);
        assert_eq!(orders(&mut agent, 3, &at(3)), []);
        assert_eq!(orders(&mut agent, 4, &at(4)), [Order::Move(join(1, 1))]);
        assert_eq!(
            agent.sent().collect::<Vec<_>>(),
            [(stream(1), join(1, 1).p_group, true)]
        );
    }

    #[test]
    fn a_stream_that_ends_comes_back_and_frees_its_group() {
        let mut agent = Agent::new(settings());
        for second in 0..5 {
            orders(&mut agent, second, &[sent(1, second * 20_000)]);
        }
        // The entry is gone from the table.
        assert_eq!(orders(&mut agent, 5, &[]), []);
        let back = Order::Return {
            join: join(1, 1),
            was_moved: true,
        };
        // Announced at 1 s, and so at 61 s again: it is still on its data MDT then.
        assert_eq!(orders(&mut agent, 64, &[]), [Order::Announce(join(1, 1))]);
        assert_eq!(orders(&mut agent, 65, &[]), [back]);
        orders(&mut agent, 66, &[sent(2, 0)]);
        assert_eq!(
            orders(&mut agent, 67, &[sent(2, 20_000)]),
            [Order::Announce(join(2, 1))]
        );
    }

    #[test]
    fn what_is_not_sent_from_the_site_into_the_mdt_is_not_moved() {
        let mut agent = Agent::new(settings());
        let others = |bytes| {
            [
                route(1, "mdt", &["to-CE1"], bytes),
                route(2, "to-CE1", &["to-CE2"], bytes),
                Mroute {
                    source: Ipv4Addr::UNSPECIFIED,
                    ..sent(3, bytes)
                },
            ]
        };
        orders(&mut agent, 0, &others(0));
        assert_eq!(orders(&mut agent, 1, &others(1_000_000)), []);
    }

    #[test]
    fn groups_of_others_are_not_taken_and_an_exhausted_pool_is_said_once() {
        let mut agent = Agent::new(settings());
        agent.handle_join(0, join(9, 1));
        let at = |second: u64| [sent(1, second * 20_000), sent(2, second * 20_000)];
        orders(&mut agent, 0, &at(0));
        assert_eq!(
            orders(&mut agent, 1, &at(1)),
            [Order::Keep(stream(2)), Order::Announce(join(1, 2))]
        );
        assert_eq!(orders(&mut agent, 2, &at(2)), []);
    }

    #[test]
    fn a_data_mdt_is_joined_for_receivers_of_the_stream_or_of_its_group() {
        let any = Mroute {
            source: Ipv4Addr::UNSPECIFIED,
            ..route(1, "pimreg", &["to-CE1"], 0)
        };
        for entry in [any, route(1, "mdt", &["to-CE1"], 0)] {
            let mut agent = Agent::new(settings());
            agent.handle_join(0, join(1, 2));
            assert_eq!(orders(&mut agent, 0, &[route(1, "mdt", &[], 0)]), []);
            assert_eq!(
                orders(&mut agent, 0, &[route(2, "mdt", &["to-CE1"], 0)]),
                []
            );
            assert_eq!(
                orders(&mut agent, 1, &[entry]),
                [Order::Join(join(1, 2).p_group)]
            );
            assert_eq!(
                orders(&mut agent, 2, &[]),
                [Order::Leave(join(1, 2).p_group)]
            );
        }
    }

    #[test]
    fn a_count_that_began_anew_is_no_huge_rate() {
        let count = |at_ns, bytes| Count { at_ns, bytes };
        assert_eq!(bits_a_second(count(0, 1_000), count(S, 3_000)), 16_000);
        assert_eq!(bits_a_second(count(0, 1_000), count(2 * S, 500)), 2_000);
    }
}
