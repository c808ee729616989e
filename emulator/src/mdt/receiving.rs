//! What a PE has heard of other PEs' data MDTs, and which of them it wants (RFC 6037 section 7).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use super::{Stream, join::MdtJoin};

/// Announcements, kept whether they are wanted or not: a receiver that comes later need not wait for the next.
#[derive(Debug, Clone, Default)]
pub struct Receiving {
    heard: BTreeMap<Stream, Heard>,
    joined: BTreeSet<Ipv4Addr>,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    p_group: Ipv4Addr,
    at_ns: u64,
}

/// What is to be done about a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// To be joined.
    Join(Ipv4Addr),
    /// To be left.
    Leave(Ipv4Addr),
}

impl Receiving {
    /// An announcement came. A stream's newest is the one that counts.
    pub fn handle_join(&mut self, now_ns: u64, join: MdtJoin) {
        let heard = Heard {
            p_group: join.p_group,
            at_ns: now_ns,
        };
        self.heard.insert(join.stream, heard);
    }

    /// Groups that other PEs use, as far as is known.
    pub fn is_heard(&self, p_group: Ipv4Addr) -> bool {
        self.heard.values().any(|heard| heard.p_group == p_group)
    }

    /// Groups that are joined.
    pub fn joined(&self) -> &BTreeSet<Ipv4Addr> {
        &self.joined
    }

    /// Forgets what has not been announced for so long (MDT_DATA_TIMEOUT), and compares what is wanted with what is
    /// joined. Leaves come first.
    pub fn poll(
        &mut self,
        now_ns: u64,
        timeout_ns: u64,
        is_wanted: impl Fn(&Stream) -> bool,
    ) -> Vec<Change> {
        self.heard
            .retain(|_, heard| now_ns < heard.at_ns + timeout_ns);
        let wanted = self.heard.iter().filter(|(stream, _)| is_wanted(stream));
        let wanted: BTreeSet<Ipv4Addr> = wanted.map(|(_, heard)| heard.p_group).collect();
        let leaves = self.joined.difference(&wanted).copied().map(Change::Leave);
        let joins = wanted.difference(&self.joined).copied().map(Change::Join);
        let changes = leaves.chain(joins).collect();
        self.joined = wanted;
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;
    const TIMEOUT: u64 = 180 * S;

    fn stream(n: u8) -> Stream {
        Stream {
            c_source: Ipv4Addr::new(192, 168, 1, n),
            c_group: Ipv4Addr::new(239, 9, 9, 9),
        }
    }

    fn group(n: u8) -> Ipv4Addr {
        Ipv4Addr::new(239, 2, 1, n)
    }

    fn heard(streams: &[(u8, u8)]) -> Receiving {
        let mut receiving = Receiving::default();
        for (s, g) in streams {
            let (stream, p_group) = (stream(*s), group(*g));
            receiving.handle_join(0, MdtJoin { stream, p_group });
        }
        receiving
    }

    #[test]
    fn a_group_is_joined_only_while_somebody_wants_it() {
        let mut receiving = heard(&[(1, 1)]);
        assert_eq!(receiving.poll(S, TIMEOUT, |_| false), []);
        assert_eq!(
            receiving.poll(2 * S, TIMEOUT, |_| true),
            [Change::Join(group(1))]
        );
        assert_eq!(receiving.poll(3 * S, TIMEOUT, |_| true), []);
        assert_eq!(
            receiving.poll(4 * S, TIMEOUT, |_| false),
            [Change::Leave(group(1))]
        );
    }

    #[test]
    fn a_group_is_left_when_nobody_announces_it_any_more() {
        let mut receiving = heard(&[(1, 1)]);
        assert_eq!(
            receiving.poll(0, TIMEOUT, |_| true),
            [Change::Join(group(1))]
        );
        assert_eq!(receiving.poll(179 * S, TIMEOUT, |_| true), []);
        assert_eq!(
            receiving.poll(180 * S, TIMEOUT, |_| true),
            [Change::Leave(group(1))]
        );
    }

    #[test]
    fn a_group_of_two_streams_stays_until_neither_is_wanted() {
        let mut receiving = heard(&[(1, 1), (2, 1)]);
        assert_eq!(
            receiving.poll(0, TIMEOUT, |_| true),
            [Change::Join(group(1))]
        );
        assert_eq!(receiving.poll(S, TIMEOUT, |s| *s == stream(2)), []);
        assert_eq!(
            receiving.poll(S, TIMEOUT, |_| false),
            [Change::Leave(group(1))]
        );
    }

    #[test]
    fn a_stream_that_changes_its_group_is_followed() {
        let mut receiving = heard(&[(1, 1)]);
        receiving.poll(0, TIMEOUT, |_| true);
        let (stream, p_group) = (stream(1), group(2));
        receiving.handle_join(S, MdtJoin { stream, p_group });
        assert_eq!(
            receiving.poll(S, TIMEOUT, |_| true),
            [Change::Leave(group(1)), Change::Join(group(2))]
        );
        assert!(receiving.is_heard(group(2)) && !receiving.is_heard(group(1)));
    }
}
