//! One stream at its source's PE: where it goes, and where it is about to go (RFC 6037 sections 6.2 and 7).
//!
//! | on the | and it is | then |
//! |---|---|---|
//! | default MDT | above the threshold | a group is taken and announced |
//! | default MDT, announced | for MDT_DATA_DELAY | it moves to the data MDT |
//! | data MDT, or announced | below, for MDT_DATA_HOLDDOWN | it goes by the default MDT, the group is free |
//! | data MDT, or announced | every MDT_INTERVAL | it is announced again |

use std::net::Ipv4Addr;

use super::Settings;

/// A stream's rate against the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// More than the threshold.
    Above,
    /// No more.
    Below,
}

/// By which tree a stream goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tree {
    /// The default MDT still; the receivers' PEs are given time to join.
    Announced,
    /// Its data MDT.
    Data,
}

/// What a stream needs now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// An MDT Join.
    Announce,
    /// To be sent by its data MDT from now on.
    Move,
    /// To be sent by the default MDT; its group is free.
    Return,
}

/// A stream that has a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sending {
    /// Its group.
    pub p_group: Ipv4Addr,
    tree: Tree,
    since_ns: u64,
    announce_ns: u64,
    below_since_ns: Option<u64>,
}

impl Sending {
    /// A stream has come above the threshold: its first announcement is due.
    pub fn begin(p_group: Ipv4Addr, now_ns: u64) -> Self {
        Self {
            p_group,
            tree: Tree::Announced,
            since_ns: now_ns,
            announce_ns: now_ns,
            below_since_ns: None,
        }
    }

    /// It goes by its data MDT.
    pub fn is_moved(&self) -> bool {
        match self.tree {
            Tree::Data => true,
            Tree::Announced => false,
        }
    }

    /// The stream's rate was measured.
    pub fn handle_level(&mut self, now_ns: u64, level: Level) {
        match (level, self.below_since_ns) {
            (Level::Above, _) => self.below_since_ns = None,
            (Level::Below, None) => self.below_since_ns = Some(now_ns),
            (Level::Below, Some(_)) => {}
        }
    }

    /// What is due, one thing after another. After [`Step::Return`] it is over.
    pub fn poll(&mut self, now_ns: u64, settings: &Settings) -> Option<Step> {
        let held_ns = self
            .below_since_ns
            .map_or(0, |since_ns| now_ns.saturating_sub(since_ns));
        let is_low = self.below_since_ns.is_some() && held_ns >= settings.holddown_ns;
        let is_ready = now_ns >= self.since_ns + settings.delay_ns;
        match (self.tree, is_low, is_ready) {
            (Tree::Announced | Tree::Data, true, _) => Some(Step::Return),
            (Tree::Announced, false, true) => {
                self.tree = Tree::Data;
                Some(Step::Move)
            }
            (Tree::Announced, false, false) | (Tree::Data, false, _) => {
                self.announcement(now_ns, settings)
            }
        }
    }

    fn announcement(&mut self, now_ns: u64, settings: &Settings) -> Option<Step> {
        if now_ns < self.announce_ns {
            return None;
        }
        self.announce_ns += settings.interval_ns;
        Some(Step::Announce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mdt::agent::tests::settings;

    const S: u64 = 1_000_000_000;

    fn steps(sending: &mut Sending, second: u64, level: Level) -> Vec<Step> {
        sending.handle_level(second * S, level);
        std::iter::from_fn(|| {
            sending
                .poll(second * S, &settings())
                .filter(|step| *step != Step::Return)
        })
        .take(4)
        .collect()
    }

    /// Every line of the table at the top, in the RFC's own times.
    #[test]
    fn a_stream_is_announced_moves_and_is_announced_again() {
        let mut sending = Sending::begin(Ipv4Addr::new(239, 2, 1, 1), 10 * S);
        assert_eq!(steps(&mut sending, 10, Level::Above), [Step::Announce]);
        assert_eq!(steps(&mut sending, 12, Level::Above), []);
        assert!(!sending.is_moved());
        assert_eq!(steps(&mut sending, 13, Level::Above), [Step::Move]);
        assert!(sending.is_moved());
        assert_eq!(steps(&mut sending, 69, Level::Above), []);
        assert_eq!(steps(&mut sending, 70, Level::Above), [Step::Announce]);
        assert_eq!(steps(&mut sending, 130, Level::Above), [Step::Announce]);
    }

    #[test]
    fn only_a_whole_holddown_below_brings_it_back() {
        let mut sending = Sending::begin(Ipv4Addr::new(239, 2, 1, 1), 0);
        steps(&mut sending, 3, Level::Above);
        for second in [4, 63] {
            sending.handle_level(second * S, Level::Below);
            let step = sending.poll(second * S, &settings());
            assert_ne!(step, Some(Step::Return), "at {second} s");
        }
        // A moment above: the time begins anew.
        steps(&mut sending, 63, Level::Above);
        sending.handle_level(64 * S, Level::Below);
        sending.handle_level(123 * S, Level::Below);
        assert_ne!(sending.poll(123 * S, &settings()), Some(Step::Return));
        sending.handle_level(124 * S, Level::Below);
        assert_eq!(sending.poll(124 * S, &settings()), Some(Step::Return));
    }

    #[test]
    fn a_stream_that_never_moved_is_withdrawn_likewise() {
        let late = Settings {
            delay_ns: 100 * S,
            ..settings()
        };
        let mut sending = Sending::begin(Ipv4Addr::new(239, 2, 1, 1), 0);
        sending.handle_level(S, Level::Below);
        sending.handle_level(61 * S, Level::Below);
        assert_eq!(sending.poll(61 * S, &late), Some(Step::Return));
        assert!(!sending.is_moved());
    }
}
