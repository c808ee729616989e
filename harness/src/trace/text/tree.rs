//! A packet's copies as a drawn tree, one link a line.

use super::columns::{Align, Columns};
use super::{duration, seconds};
use crate::trace::packet::{Hop, Left, State};

const HEAD: [&str; 9] = [
    "",
    "carried as",
    "in node",
    "enters [s]",
    "",
    "leaves [s]",
    "",
    "on link",
    "in force",
];

/// All links, each beside its times.
pub fn render(hops: &[Hop]) -> String {
    use Align::{Left, Right};
    let align = [Left, Left, Right, Right, Right, Right, Right, Right, Left];
    let mut drawn = Drawn(Columns::new(&HEAD, &align));
    for hop in hops {
        drawn.hop("", "", hop);
    }
    drawn.0.render()
}

struct Drawn(Columns);

impl Drawn {
    /// `lead` stands before the link itself, `below` before what comes of it.
    fn hop(&mut self, lead: &str, below: &str, hop: &Hop) {
        let name = format!("{lead}{} → {}", hop.from, hop.to);
        let entered = [
            name,
            hop.form.clone(),
            hop.in_node_ns
                .map(|ns| duration(ns.cast_signed()))
                .unwrap_or_default(),
            seconds(hop.entered_ns),
            after(hop.entered_after_sending_ns),
        ];
        match hop.exits.split_first() {
            None => {
                let never = [
                    String::new(),
                    String::new(),
                    String::new(),
                    hop.in_force.clone(),
                ];
                self.0.row(entered.into_iter().chain(never), &gone(hop));
            }
            Some((first, more)) => {
                let cells = entered.into_iter().chain(times(first));
                self.0
                    .row(cells.chain([hop.in_force.clone()]), &remark(first));
                self.below(below, first);
                for copy in more {
                    let blank = [
                        format!("{below}  once more"),
                        String::new(),
                        String::new(),
                        String::new(),
                        String::new(),
                    ];
                    self.0
                        .row(blank.into_iter().chain(times(copy)), &remark(copy));
                    self.below(below, copy);
                }
            }
        }
    }

    fn below(&mut self, below: &str, left: &Left) {
        for stop in &left.stopped {
            self.0.words(format!(
                "{below}✗ and no further towards {}: {}",
                stop.receiver, stop.why
            ));
        }
        for (at, hop) in left.hops.iter().enumerate() {
            let (lead, further) = match at + 1 == left.hops.len() {
                true => ("└ ", "  "),
                false => ("├ ", "│ "),
            };
            self.hop(&format!("{below}{lead}"), &format!("{below}{further}"), hop);
        }
    }
}

fn times(left: &Left) -> [String; 3] {
    [
        seconds(left.left_ns),
        after(left.left_after_sending_ns),
        duration(left.transit_ns.cast_signed()),
    ]
}

fn after(ns: i64) -> String {
    match ns {
        0 => "+0".into(),
        ns if ns < 0 => duration(ns),
        ns => format!("+{}", duration(ns)),
    }
}

fn gone(hop: &Hop) -> String {
    let missed = match hop.lost_for.is_empty() {
        true => String::new(),
        false => format!(" (for {})", hop.lost_for.join(", ")),
    };
    match (&hop.lost, hop.unfinished) {
        (Some(why), _) => format!("✗ lost{missed}: {why}"),
        (None, true) => "still on the link when the observation ended".into(),
        (None, false) => String::new(),
    }
}

fn remark(left: &Left) -> String {
    let mut words = Vec::new();
    if left.duplicate {
        words.push("a copy that the link made".to_owned());
    }
    match left.state {
        State::Intact => {}
        State::Harmless => words.push("a bit flipped, harmlessly".into()),
        State::Damaged => words.push("damaged: a bit flipped".into()),
    }
    if !left.arrived_at.is_empty() {
        words.push(format!("✓ at {}", left.arrived_at.join(", ")));
    }
    words.join(", ")
}
