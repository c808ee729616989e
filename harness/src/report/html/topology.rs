//! The lab drawn: nodes by role, links with their impairments and their losses, the monitor's tunnels.

pub mod geometry;
mod labels;
mod tunnels;

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::layout;
use crate::report::{Link, Node, Topology};
use geometry::{Point, Rect, direction, px};
use labels::{Drawn, Labels, lost};

/// Across, at least; and at most this many times as much.
const WIDTH: f64 = 1100.0;
const WIDER_MAX: f64 = 3.0;
const MARGIN: f64 = 28.0;
/// Of all links, the share that gets the room that its labels want: one long label does not stretch the whole drawing.
const SATISFIED: f64 = 0.8;

/// What a drawing says beyond what a report's does.
pub struct Notes<'a> {
    /// Under a node's name.
    pub node: &'a dyn Fn(&str) -> String,
    /// Beside the middle of the link between two nodes.
    pub link: &'a dyn Fn(&Link) -> String,
    /// Whether something flows from a node to its neighbour, and is to be shown.
    pub flows: &'a dyn Fn(&str, &str) -> bool,
}

/// A drawing's size in pixels and its content.
pub struct Drawing {
    /// Across.
    pub width: f64,
    /// Down.
    pub height: f64,
    /// SVG elements.
    pub elements: Markup,
}

/// The drawing, for a page that has the style sheet's colours.
pub fn draw(topology: &Topology) -> Markup {
    let nothing = Notes {
        node: &|_| String::new(),
        link: &|_| String::new(),
        flows: &|_, _| false,
    };
    let Drawing {
        width,
        height,
        elements,
    } = drawing(topology, &nothing);
    html! {
        svg viewBox=(format!("0 0 {width} {height}")) role="img" aria-label="topology" { (elements) }
    }
}

/// The drawing's elements.
pub fn drawing(topology: &Topology, notes: &Notes) -> Drawing {
    let index: BTreeMap<&str, usize> = topology
        .nodes
        .iter()
        .enumerate()
        .map(|(i, n)| (n.name.as_str(), i))
        .collect();
    let ends = |link: &Link| Some((*index.get(link.a.as_str())?, *index.get(link.b.as_str())?));
    let links: Vec<(&Link, usize, usize)> = topology
        .links
        .iter()
        .filter_map(|link| ends(link).map(|(a, b)| (link, a, b)))
        .collect();
    let lines: Vec<Vec<String>> = topology
        .nodes
        .iter()
        .map(|node| small_lines(topology, node, notes))
        .collect();
    let (boxes, size) = boxes(topology, &links, &lines, notes);
    let drawn: Vec<Drawn> = links
        .iter()
        .map(|&(link, a, b)| Drawn {
            link,
            note: (notes.link)(link),
            a: boxes[a],
            b: boxes[b],
        })
        .collect();
    let elements = html! {
        @for arc in tunnels::arcs(topology, &boxes, notes.flows) { (arc) }
        @for Drawn { link, a, b, .. } in &drawn {
            (line(link, a.centre, b.centre))
            @if (notes.flows)(&link.a, &link.b) { (flow(a, b)) }
            @if (notes.flows)(&link.b, &link.a) { (flow(b, a)) }
        }
        @for ((node, place), lines) in topology.nodes.iter().zip(&boxes).zip(&lines) { (box_of(node, lines, place)) }
        (Labels::new(&drawn, &boxes, size).draw())
    };
    Drawing {
        width: size.0,
        height: size.1,
        elements,
    }
}

/// The nodes' boxes, none on another, and the size of the drawing that holds them.
fn boxes(
    topology: &Topology,
    links: &[(&Link, usize, usize)],
    lines: &[Vec<String>],
    notes: &Notes,
) -> (Vec<Rect>, Point) {
    let edges: Vec<(usize, usize, f64)> = links
        .iter()
        .map(|&(link, a, b)| (a, b, length(topology, link)))
        .collect();
    let at = layout::place(topology.nodes.len(), &edges);
    let mut boxes: Vec<Rect> = topology
        .nodes
        .iter()
        .zip(lines)
        .zip(at)
        .map(|((node, lines), centre)| Rect {
            centre,
            ..size_of(node, lines)
        })
        .collect();
    let scale = scale(&boxes, links, notes);
    for place in &mut boxes {
        place.centre = (place.centre.0 * scale, place.centre.1 * scale);
    }
    layout::push(&mut boxes, &edges);
    let size = moved_into_sight(&mut boxes);
    (boxes, size)
}

/// Pixels for the whole width, so that most links have room for what is written on them.
fn scale(boxes: &[Rect], links: &[(&Link, usize, usize)], notes: &Notes) -> f64 {
    let mut wanted: Vec<f64> = links
        .iter()
        .map(|&(link, a, b)| {
            let (towards, length) = direction(boxes[a].centre, boxes[b].centre);
            let (width, height) = labels::wanted(link, &(notes.link)(link));
            let beside = |place: &Rect| Rect {
                width: place.width + width,
                height: place.height + height,
                ..*place
            };
            (beside(&boxes[a]).reach(towards) + beside(&boxes[b]).reach(towards)) / length
        })
        .collect();
    wanted.sort_by(f64::total_cmp);
    let satisfied = wanted.get((wanted.len() as f64 * SATISFIED) as usize);
    let least = WIDTH - 150.0;
    satisfied.map_or(least, |wanted| wanted.clamp(least, WIDER_MAX * WIDTH))
}

/// Moves everything to the margins, in the middle if there is more room; returns the drawing's size.
fn moved_into_sight(boxes: &mut [Rect]) -> Point {
    let edge = |side: f64, least: fn(f64, f64) -> f64| {
        let start = (-side * f64::MAX, -side * f64::MAX);
        boxes.iter().fold(start, |(x, y), place| {
            (
                least(x, place.centre.0 + side * place.width / 2.0),
                least(y, place.centre.1 + side * place.height / 2.0),
            )
        })
    };
    if boxes.is_empty() {
        return (WIDTH, 2.0 * MARGIN);
    }
    let ((left, top), (right, bottom)) = (edge(-1.0, f64::min), edge(1.0, f64::max));
    let width = (right - left + 2.0 * MARGIN).max(WIDTH).ceil();
    let aside = (width - (right - left)) / 2.0 - left;
    for place in boxes.iter_mut() {
        place.centre = (place.centre.0 + aside, place.centre.1 + MARGIN - top);
    }
    (width, (bottom - top + 2.0 * MARGIN).ceil())
}

/// Roles, and the style sheet's names of their colours.
const ROLES: [(&str, &str); 5] = [
    ("P", "--p"),
    ("PE", "--pe"),
    ("CE", "--ce"),
    ("host", "--host"),
    ("monitor", "--monitor"),
];

/// The roles that a topology has, and their colours.
pub fn roles(topology: &Topology) -> impl Iterator<Item = (&'static str, &'static str)> {
    ROLES.into_iter().filter(|(_, colour)| {
        let mut nodes = topology.nodes.iter();
        nodes.any(|node| colour.trim_start_matches('-') == node.role)
    })
}

/// Colours explained.
pub fn legend(topology: &Topology) -> Markup {
    html! {
        div.legend {
            @for (name, colour) in roles(topology) { span { i style=(format!("background:var({colour})")) {} (name) } }
            span { i style="background:var(--bad)" {} "link that lost packets; its loss beside the impairment" }
            @if !topology.tunnels.is_empty() { span { i style="background:var(--claim)" {} "monitor tunnel" } }
        }
    }
}

/// What is done to tunnels, router to monitor: too many and too close together to be written on the arcs.
pub fn tunnel_notes(topology: &Topology) -> Markup {
    let impaired: Vec<_> = topology
        .tunnels
        .iter()
        .filter(|tunnel| !tunnel.impairment.is_empty())
        .collect();
    html! {
        @if !impaired.is_empty() {
            div.legend {
                span { "Impaired tunnels, router to monitor:" }
                @for tunnel in impaired { span { strong { (tunnel.name) } " " (tunnel.impairment) } }
            }
        }
    }
}

/// Links inside the backbone are drawn longer than those to customers, hosts and the monitor.
fn length(topology: &Topology, link: &Link) -> f64 {
    let backbone = |name: &str| {
        topology
            .nodes
            .iter()
            .any(|n| n.name == name && matches!(n.role.as_str(), "p" | "pe"))
    };
    if backbone(&link.a) && backbone(&link.b) {
        1.3
    } else {
        0.9
    }
}

fn line(link: &Link, a: (f64, f64), b: (f64, f64)) -> Markup {
    let worst = [&link.to_a, &link.to_b]
        .into_iter()
        .filter_map(lost)
        .fold(0.0, f64::max);
    let (colour, width) = if worst > 0.0 {
        ("var(--bad)", 2.0 + 20.0 * worst.min(0.2))
    } else {
        ("var(--quiet)", 1.6)
    };
    html! {
        line x1=(px(a.0)) y1=(px(a.1)) x2=(px(b.0)) y2=(px(b.1)) stroke=(colour) stroke-width=(px(width)) {
            title { (link.a) "–" (link.b) }
        }
    }
}

/// An arrow beside the line of a link, on the right of who follows it: so that both directions have room.
fn flow(from: &Rect, to: &Rect) -> Markup {
    const ASIDE: f64 = 5.0;
    const HEAD: f64 = 14.0;
    let ((ux, uy), length) = direction(from.centre, to.centre);
    // A point so far along and so far to the right.
    let at = |along: f64, right: f64| {
        format!(
            "{},{}",
            px(from.centre.0 + ux * along - uy * right),
            px(from.centre.1 + uy * along + ux * right)
        )
    };
    // Just before the box.
    let tip = length - to.reach((-ux, -uy)) - 5.0;
    let head = [
        at(tip, ASIDE),
        at(tip - HEAD, ASIDE - 6.5),
        at(tip - HEAD, ASIDE + 6.5),
    ];
    let line = format!("M{}L{}", at(0.0, ASIDE), at(tip - HEAD / 2.0, ASIDE));
    html! {
        path d=(line) stroke="var(--good)" stroke-width="3.5" {}
        polygon points=(head.join(" ")) fill="var(--good)" {}
    }
}

/// What stands under a node's name.
fn small_lines(topology: &Topology, node: &Node, notes: &Notes) -> Vec<String> {
    let lines = [subtitle(topology, node), (notes.node)(&node.name)];
    lines.into_iter().filter(|line| !line.is_empty()).collect()
}

fn subtitle(topology: &Topology, node: &Node) -> String {
    let tunnels = topology
        .tunnels
        .iter()
        .filter(|tunnel| tunnel.at == node.name)
        .count();
    let count = match tunnels {
        0 => None,
        1 => Some("1 tunnel".to_owned()),
        n => Some(format!("{n} tunnels")),
    };
    let mvpns = (!node.mvpns.is_empty()).then(|| node.mvpns.join(" "));
    [mvpns, count]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" · ")
}

/// How large a node's box is; where it stands is not known yet.
fn size_of(node: &Node, lines: &[String]) -> Rect {
    let longest = lines.iter().map(|line| line.chars().count()).max();
    let name = node.name.chars().count() as f64 * 9.5;
    Rect {
        centre: (0.0, 0.0),
        width: name.max(longest.unwrap_or(0) as f64 * 5.8) + 22.0,
        height: 30.0 + 12.0 * lines.len() as f64,
    }
}

/// A node's box: its name, and small lines under it.
fn box_of(node: &Node, lines: &[String], place: &Rect) -> Markup {
    let (x, y) = place.centre;
    let corner = if matches!(node.role.as_str(), "p" | "pe") {
        15.0 + 6.0 * lines.len().min(1) as f64
    } else {
        5.0
    };
    let first = y - place.height / 2.0 + 19.0 + if lines.is_empty() { 1.0 } else { 0.0 };
    html! {
        g {
            rect x=(px(x - place.width / 2.0)) y=(px(y - place.height / 2.0)) width=(px(place.width)) height=(px(place.height))
                rx=(px(corner)) fill=(format!("var(--{})", node.role)) stroke="var(--card)" stroke-width="2" {}
            text x=(px(x)) y=(px(first)) text-anchor="middle" font-size="14.5" font-weight="650" fill="var(--ink)" { (node.name) }
            @for (number, line) in (1..).zip(lines) {
                text x=(px(x)) y=(px(first + 2.0 + 12.5 * f64::from(number))) text-anchor="middle" font-size="10.5"
                    fill="var(--ink)" opacity="0.8" { (line) }
            }
        }
    }
}
