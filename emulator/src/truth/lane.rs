//! Where things are seen: taps at the ends of wires, and lanes, the two directions of a wire.

use std::{collections::BTreeMap, fmt};

use super::record::{Direction, Record};
use crate::plan::{Plan, WireKind};

/// An end of a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The plan's first end; device `w<number>a`.
    A,
    /// The second; `w<number>b`.
    B,
}

impl Side {
    /// The other end.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    const fn bit(self) -> u16 {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }

    const fn from_bit(number: u16) -> Self {
        if number & 1 == 0 { Self::A } else { Self::B }
    }
}

/// One end of one wire, where frames are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tap {
    /// Number of the wire in the plan.
    pub wire: u16,
    /// Which end.
    pub side: Side,
}

impl Tap {
    /// As stored in `taps.bin`.
    pub const fn number(self) -> u16 {
        self.wire * 2 + self.side.bit()
    }

    /// From `taps.bin`.
    pub const fn from_number(number: u16) -> Self {
        Self {
            wire: number / 2,
            side: Side::from_bit(number),
        }
    }

    /// From a device name of the wire room, `w12b`.
    pub fn from_device(name: &str) -> Option<Self> {
        let digits = name.strip_prefix('w')?;
        let (number, side) = match digits.strip_suffix('a') {
            Some(number) => (number, Side::A),
            None => (digits.strip_suffix('b')?, Side::B),
        };
        let wire = number.parse().ok().filter(|wire| *wire < u16::MAX / 2)?;
        Some(Self { wire, side })
    }

    /// Its device in the wire room.
    pub fn device(self) -> String {
        format!(
            "w{}{}",
            self.wire,
            if self.side == Side::A { 'a' } else { 'b' }
        )
    }
}

/// One direction of a wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// Number of the wire in the plan.
    pub wire: u16,
    /// The end that frames of this lane go to.
    pub toward: Side,
}

impl Lane {
    /// A frame goes away from the end that it enters at, and towards the end that it leaves at.
    pub(super) fn of(record: &Record<'_>) -> Self {
        let side = record.tap.side;
        let toward = match record.direction {
            Direction::Entered => side.other(),
            Direction::Left => side,
        };
        Self {
            wire: record.tap.wire,
            toward,
        }
    }

    /// A dense number: wire * 2 + side.
    pub const fn index(self) -> usize {
        (self.wire * 2 + self.toward.bit()) as usize
    }

    /// Inverse of [`Lane::index`], for numbers from a plan.
    pub const fn from_index(index: usize) -> Self {
        Self {
            wire: (index / 2) as u16,
            toward: Side::from_bit(index as u16),
        }
    }
}

/// Names and nodes of all lanes of a plan.
#[derive(Debug, Clone)]
pub struct Lanes {
    lanes: Vec<LaneFacts>,
    by_name: BTreeMap<String, Lane>,
}

#[derive(Debug, Clone)]
struct LaneFacts {
    wire: String,
    kind: WireKind,
    from: String,
    to: String,
    from_interface: (String, String),
    to_interface: (String, String),
}

impl Lanes {
    /// Of every wire of the plan.
    pub fn of(plan: &Plan) -> Self {
        let nodes: BTreeMap<&str, &str> = plan
            .namespaces
            .iter()
            .map(|ns| (ns.name.as_str(), ns.node.as_str()))
            .collect();
        let node = |namespace: &str| {
            nodes
                .get(namespace)
                .copied()
                .unwrap_or(namespace)
                .to_owned()
        };
        let mut lanes = Vec::with_capacity(plan.wires.len() * 2);
        for wire in &plan.wires {
            for (from, to) in [(&wire.b, &wire.a), (&wire.a, &wire.b)] {
                lanes.push(LaneFacts {
                    wire: wire.name.clone(),
                    kind: wire.kind.clone(),
                    from: node(&from.namespace),
                    to: node(&to.namespace),
                    from_interface: (from.namespace.clone(), from.interface.clone()),
                    to_interface: (to.namespace.clone(), to.interface.clone()),
                });
            }
        }
        let by_name = lanes
            .iter()
            .enumerate()
            .map(|(index, facts)| {
                (
                    format!("{}/{}", facts.wire, facts.to),
                    Lane::from_index(index),
                )
            })
            .collect();
        Self { lanes, by_name }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.lanes.len()
    }

    /// No wire at all.
    pub fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// All lanes in order.
    pub fn iter(&self) -> impl Iterator<Item = Lane> + use<> {
        (0..self.lanes.len()).map(Lane::from_index)
    }

    /// The plan has it.
    pub fn contains(&self, lane: Lane) -> bool {
        lane.index() < self.lanes.len()
    }

    /// The wire's name, `"PE1-P"`.
    pub fn wire(&self, lane: Lane) -> &str {
        &self.lanes[lane.index()].wire
    }

    /// What kind of traffic its wire carries.
    pub fn kind(&self, lane: Lane) -> &WireKind {
        &self.lanes[lane.index()].kind
    }

    /// Node that sends into it.
    pub fn from(&self, lane: Lane) -> &str {
        &self.lanes[lane.index()].from
    }

    /// Node that it leads to.
    pub fn to(&self, lane: Lane) -> &str {
        &self.lanes[lane.index()].to
    }

    /// Namespace and interface that send into it.
    pub fn from_interface(&self, lane: Lane) -> (&str, &str) {
        let (namespace, interface) = &self.lanes[lane.index()].from_interface;
        (namespace, interface)
    }

    /// Namespace and interface that it leads to.
    pub fn to_interface(&self, lane: Lane) -> (&str, &str) {
        let (namespace, interface) = &self.lanes[lane.index()].to_interface;
        (namespace, interface)
    }

    /// `"<wire>/<toward node>"`, the key of its qdisc in `counters.json`.
    pub fn key(&self, lane: Lane) -> LaneKey<'_> {
        LaneKey {
            wire: self.wire(lane),
            to: self.to(lane),
        }
    }

    /// By that key.
    pub fn by_key(&self, key: &str) -> Option<Lane> {
        self.by_name.get(key).copied()
    }
}

/// Displays as `PE1-P/P`: the direction of wire `PE1-P` towards `P`.
#[derive(Debug, Clone, Copy)]
pub struct LaneKey<'a> {
    wire: &'a str,
    to: &'a str,
}

impl fmt::Display for LaneKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.wire, self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_are_taps_and_others_are_not() {
        assert_eq!(
            Tap::from_device("w12b"),
            Some(Tap {
                wire: 12,
                side: Side::B
            })
        );
        assert_eq!(
            Tap {
                wire: 12,
                side: Side::B
            }
            .device(),
            "w12b"
        );
        for other in [
            "lo", "w", "wa", "w1", "w1c", "x1a", "w-1a", "w99999a", "w65000b",
        ] {
            assert_eq!(Tap::from_device(other), None, "{other}");
        }
    }

    #[test]
    fn numbers_and_taps_are_inverse() {
        for number in 0..64 {
            assert_eq!(Tap::from_number(number).number(), number);
            assert_eq!(
                Lane::from_index(usize::from(number)).index(),
                usize::from(number)
            );
        }
    }
}
