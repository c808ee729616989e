//! What is written on links: what is done to each direction, and a note. Each label goes where it covers least; a note
//! that finds no free place is left out.

use maud::{Markup, html};

use super::geometry::{Point, Rect, between, direction, px};
use crate::report::format::percent;
use crate::report::{Direction, Link};

const LETTER: f64 = 6.4;
const LINE: f64 = 13.5;
/// What a place costs for each square pixel that it takes from a box or another label.
const COVERS: f64 = 1.0;
/// For a line that runs under it.
const CROSSES: f64 = 40.0;
/// For each pixel that it stands beside its link, and for standing at its end rather than in the middle.
const BESIDE: f64 = 0.8;
const OFF_MIDDLE: f64 = 60.0;
/// A note is written where it covers no more than this, square pixels.
const NOTE_COVERS_MAX: f64 = 4.0;

/// A link as it is drawn.
pub struct Drawn<'a> {
    pub link: &'a Link,
    /// In the middle, if there is room.
    pub note: String,
    pub a: Rect,
    pub b: Rect,
}

/// Lines of text, each with its colour.
type Lines = Vec<(String, &'static str)>;

/// Everything that labels must keep clear of.
pub struct Labels<'a> {
    links: &'a [Drawn<'a>],
    boxes: &'a [Rect],
    placed: Vec<Rect>,
    /// The drawing's size.
    size: Point,
}

impl<'a> Labels<'a> {
    /// None placed yet.
    pub fn new(links: &'a [Drawn<'a>], boxes: &'a [Rect], size: Point) -> Self {
        Self {
            links,
            boxes,
            placed: Vec::new(),
            size,
        }
    }

    /// All labels; what is done to links before notes.
    pub fn draw(mut self) -> Markup {
        let links = self.links;
        let mut notes = Vec::new();
        let mut labels = Vec::new();
        for drawn in links {
            let (said, note) = texts(drawn);
            for (lines, share) in said {
                let (place, _) = self.best(drawn, &lines, share, false);
                labels.push(self.put(&lines, place));
            }
            notes.push(note);
        }
        for (drawn, note) in links.iter().zip(notes) {
            if note.is_empty() {
                continue;
            }
            let (place, covers) = self.best(drawn, &note, 0.5, true);
            if covers <= NOTE_COVERS_MAX {
                labels.push(self.put(&note, place));
            }
        }
        html! { @for label in labels { (label) } }
    }

    /// The cheapest place along a link, near a share of what is seen of it, and how much it covers there.
    fn best(&self, drawn: &Drawn, lines: &Lines, share: f64, is_note: bool) -> (Rect, f64) {
        let (width, height) = extent(lines);
        let (towards, length) = direction(drawn.a.centre, drawn.b.centre);
        let (start, end) = (
            drawn.a.reach(towards),
            drawn.b.reach((-towards.0, -towards.1)),
        );
        let seen = (length - start - end).max(1.0);
        // Far enough that the line does not touch it.
        let aside = (width * towards.1.abs() + height * towards.0.abs()) / 2.0 + 4.0;
        let far = aside + LINE;
        let sides = [0.0, aside, -aside, far, -far];
        // A note far from its link would be taken for another's.
        let sides = if is_note { &sides[..3] } else { &sides[..] };
        let mut best = None;
        for step in [0.0, -0.1, 0.1, -0.2, 0.2, -0.3, 0.3] {
            let at = (start + seen * (share + step).clamp(0.1, 0.9)) / length;
            for &side in sides {
                let on = between(drawn.a.centre, drawn.b.centre, at);
                let centre = (on.0 - towards.1 * side, on.1 + towards.0 * side);
                let place = Rect {
                    centre,
                    width,
                    height,
                };
                let covers = self.covers(&place);
                let cost = covers * COVERS
                    + self.crossed(drawn, &place) * CROSSES
                    + step.abs() * OFF_MIDDLE
                    + side.abs() * BESIDE;
                if best.is_none_or(|(least, _, _)| cost < least) {
                    best = Some((cost, place, covers));
                }
            }
        }
        best.map_or((drawn.a, f64::MAX), |(_, place, covers)| (place, covers))
    }

    fn covers(&self, place: &Rect) -> f64 {
        let taken = self.boxes.iter().chain(&self.placed);
        let shared: f64 = taken.map(|other| place.shared(&other.grown(2.0))).sum();
        let paper = Rect {
            centre: (self.size.0 / 2.0, self.size.1 / 2.0),
            width: self.size.0,
            height: self.size.1,
        };
        shared + place.width * place.height - place.shared(&paper)
    }

    /// How many other links it lies on.
    fn crossed(&self, own: &Drawn, place: &Rect) -> f64 {
        let others = self.links.iter().filter(|drawn| !std::ptr::eq(*drawn, own));
        others
            .filter(|drawn| place.is_crossed(drawn.a.centre, drawn.b.centre))
            .count() as f64
    }

    fn put(&mut self, lines: &Lines, place: Rect) -> Markup {
        self.placed.push(place);
        let top = place.centre.1 - place.height / 2.0;
        html! {
            rect x=(px(place.centre.0 - place.width / 2.0)) y=(px(top)) width=(px(place.width)) height=(px(place.height))
                rx="3" fill="var(--card)" opacity="0.94" {}
            @for (number, (text, colour)) in lines.iter().enumerate() {
                text x=(px(place.centre.0)) y=(px(top + LINE * number as f64 + 11.0)) text-anchor="middle"
                    font-size="11.5" fill=(colour) { (text) }
            }
        }
    }
}

/// Room that a link's labels want along it, when they stand one above the other.
pub fn wanted(link: &Link, note: &str) -> Point {
    let both = [&link.to_a, &link.to_b].map(|direction| direction.impairment.as_str());
    let said = if both[0] == both[1] {
        &both[..1]
    } else {
        &both[..]
    };
    let lines = said.iter().chain([&note]).filter(|text| !text.is_empty());
    extent(&lines.map(|text| ((*text).to_owned(), "")).collect())
}

fn extent(lines: &Lines) -> Point {
    let longest = lines.iter().map(|(text, _)| text.chars().count()).max();
    (
        longest.unwrap_or(0) as f64 * LETTER + 6.0,
        lines.len() as f64 * LINE + 1.0,
    )
}

/// What must be said, each with the share of the link where it belongs, and the note.
fn texts(drawn: &Drawn) -> (Vec<(Lines, f64)>, Lines) {
    let Drawn { link, note, .. } = drawn;
    let same = link.to_a.impairment == link.to_b.impairment
        && lost(&link.to_a).is_none()
        && lost(&link.to_b).is_none();
    let line = |text: String, colour| match text.is_empty() {
        true => Vec::new(),
        false => vec![(text, colour)],
    };
    let said = match same {
        true => vec![(line(link.to_b.impairment.clone(), "var(--ink)"), 0.5)],
        false => vec![
            (line(towards(&link.b, &link.to_b), "var(--ink)"), 0.33),
            (line(towards(&link.a, &link.to_a), "var(--ink)"), 0.67),
        ],
    };
    let said = said.into_iter().filter(|(lines, _)| !lines.is_empty());
    (said.collect(), line(note.clone(), "var(--quiet)"))
}

/// The share that a direction lost, if any.
pub fn lost(direction: &Direction) -> Option<f64> {
    (direction.lost > 0).then(|| direction.lost as f64 / direction.entered.max(1) as f64)
}

fn towards(node: &str, direction: &Direction) -> String {
    let loss = lost(direction).map(|share| format!("lost {}", percent(share)));
    let parts: Vec<String> = [direction.impairment.clone()]
        .into_iter()
        .filter(|text| !text.is_empty())
        .chain(loss)
        .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!("→{node} {}", parts.join(", "))
    }
}
