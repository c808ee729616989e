//! What a capture consisted of, and what of it could not be used.

use std::collections::BTreeMap;

use serde::Serialize;

use super::order::Disorder;
use crate::render::mvpn::moment;
use crate::render::units::duration;
use vmscope_core::time::Instant;
use vmscope_store::mvpn::Utc;

/// Kinds of link that are told apart at most.
const LINKS_MAX: usize = 64;

/// Counts of a capture.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Frames in the capture.
    pub frames: u64,
    /// The first moment, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_ns: Option<u64>,
    /// The last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ns: Option<u64>,
    /// Packets that passed the capture filter, and were read.
    pub read: u64,
    /// Of those, packets of which the capture holds the beginning only.
    pub cut_short: u64,
    /// Frames whose link header could not be read.
    pub unreadable: u64,
    /// Frames of links that cannot be read, by libpcap's number.
    pub unknown_links: BTreeMap<u32, u64>,
    /// Frames without a time of their own: they count as of the time before.
    pub untimed: u64,
    /// Packets that were captured at another place before: each counts once.
    pub twins: u64,
    /// Packets that were put in the order of their stamps.
    pub swapped: u64,
    /// Packets too late for that: they count as of the time reached.
    pub late: u64,
    /// By how much, the worst of them, nanoseconds.
    pub late_by_ns: u64,
    /// Blocks that made no sense.
    pub damaged: u64,
    /// Packets that were lost when the capture was made, as far as it says so.
    pub dropped: u64,
}

impl Tally {
    /// Counts a frame of a link that cannot be read.
    pub fn count_unknown_link(&mut self, number: u32) {
        if self.unknown_links.len() < LINKS_MAX || self.unknown_links.contains_key(&number) {
            *self.unknown_links.entry(number).or_default() += 1;
        } else {
            self.unreadable += 1;
        }
    }

    /// Takes over how stamps were out of order.
    pub fn set_disorder(&mut self, disorder: Disorder) {
        self.swapped = disorder.swapped;
        self.late = disorder.late;
        self.late_by_ns = disorder.late_by.as_ns();
    }

    /// A line of what there was, and one for each thing that somebody should know.
    pub fn text(&self, file: &str) -> String {
        let (Some(from), Some(until)) = (self.from_ns, self.until_ns) else {
            return format!("{file}: no packets\n");
        };
        let (from, until) = (Instant::from_ns(from), Instant::from_ns(until));
        let mut text = format!(
            "{file}: {} frames from {} until {} ({}), {} of them read\n",
            self.frames,
            moment(utc(from)),
            moment(utc(until)),
            duration(until.since(from).as_ns()),
            self.read,
        );
        for (count, what) in self.remarks() {
            if count > 0 {
                text += &format!("  {count} {what}\n");
            }
        }
        for (link, count) in &self.unknown_links {
            text += &format!(
                "  {count} frames of link type {link}, which cannot be read: Ethernet (1), raw IP (101), Linux cooked (113, 276) can\n"
            );
        }
        text
    }

    fn remarks(&self) -> [(u64, String); 8] {
        let say = |words: &str| words.to_owned();
        [
            (
                self.dropped,
                say(
                    "packets were lost when the capture was made: what they said is missing, and silence may be a loss",
                ),
            ),
            (
                self.cut_short,
                say(
                    "of those read were cut short by the capture's snapshot length: capture whole packets (tcpdump -s 0)",
                ),
            ),
            (
                self.unreadable,
                say("frames have no link header that can be read"),
            ),
            (
                self.damaged,
                say("blocks of the file make no sense, and were left out"),
            ),
            (
                self.untimed,
                say("frames have no time: they count as of the time before"),
            ),
            (
                self.twins,
                say("packets read were captured at two places, and count once"),
            ),
            (
                self.swapped,
                say("packets read were out of the order of their stamps, and were put into it"),
            ),
            (
                self.late,
                format!(
                    "packets read came up to {} behind what was before them, too late to be put in order: they count as of the \
                     time reached; a clock was set back, or captures were joined in the wrong order",
                    duration(self.late_by_ns)
                ),
            ),
        ]
    }
}

/// The session's clock is UTC when a capture is read.
pub fn utc(at: Instant) -> Utc {
    Utc::from_ns(at.as_ns().cast_signed())
}
