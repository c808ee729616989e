//! The lab drawn: nodes by role, links with their impairments and their losses, the monitor's tunnels.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::layout;
use crate::report::format::percent;
use crate::report::{Direction, Link, Topology};

const WIDTH: f64 = 1100.0;
const MARGIN_X: f64 = 80.0;
const MARGIN_Y: f64 = 44.0;

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
    let edges: Vec<(usize, usize, f64)> = topology
        .links
        .iter()
        .filter_map(|link| ends(link).map(|(a, b)| (a, b, length(topology, link))))
        .collect();
    let at: Vec<(f64, f64)> = layout::place(topology.nodes.len(), &edges)
        .into_iter()
        .map(|(x, y)| {
            (
                MARGIN_X + x * (WIDTH - 2.0 * MARGIN_X),
                MARGIN_Y + y * (WIDTH - 2.0 * MARGIN_X),
            )
        })
        .collect();
    let links: Vec<_> = topology
        .links
        .iter()
        .filter_map(|link| ends(link).map(|(a, b)| (link, at[a], at[b])))
        .collect();
    let elements = html! {
        @for (link, a, b) in &links {
            (line(link, *a, *b))
            @if (notes.flows)(&link.a, &link.b) { (flow(*a, *b)) }
            @if (notes.flows)(&link.b, &link.a) { (flow(*b, *a)) }
        }
        @for tunnel in tunnels(topology, &index, &at, notes.flows) { (tunnel) }
        @for (link, a, b) in &links { (labels(link, &(notes.link)(link), *a, *b)) }
        @for (node, at) in topology.nodes.iter().zip(&at) {
            (box_of(node, &[subtitle(topology, node), (notes.node)(&node.name)], *at))
        }
    };
    Drawing {
        width: WIDTH,
        height: MARGIN_Y + at.iter().fold(0.0, |lowest: f64, (_, y)| lowest.max(*y)),
        elements,
    }
}

/// Roles, and the style sheet's names of their colours.
pub const ROLES: [(&str, &str); 5] = [
    ("P", "--p"),
    ("PE", "--pe"),
    ("CE", "--ce"),
    ("host", "--host"),
    ("monitor", "--monitor"),
];

/// Colours explained.
pub fn legend() -> Markup {
    html! {
        div.legend {
            @for (name, colour) in ROLES { span { i style=(format!("background:var({colour})")) {} (name) } }
            span { i style="background:var(--bad)" {} "link that lost packets; its loss beside the impairment" }
            span { i style="background:var(--claim)" {} "monitor tunnel" }
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

fn lost(direction: &Direction) -> Option<f64> {
    (direction.lost > 0).then(|| direction.lost as f64 / direction.entered.max(1) as f64)
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
fn flow(from: (f64, f64), to: (f64, f64)) -> Markup {
    const ASIDE: f64 = 5.0;
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(1.0);
    let (ux, uy) = (dx / length, dy / length);
    // A point so far along and so far to the right.
    let at = |along: f64, right: f64| {
        format!(
            "{},{}",
            px(from.0 + ux * along - uy * right),
            px(from.1 + uy * along + ux * right)
        )
    };
    // Between the label in the middle and the box at the end.
    let tip = length * 0.74;
    let head = [
        at(tip, ASIDE),
        at(tip - 13.0, ASIDE - 6.0),
        at(tip - 13.0, ASIDE + 6.0),
    ];
    html! {
        path d=(format!("M{}L{}", at(0.0, ASIDE), at(length, ASIDE))) stroke="var(--good)" stroke-width="3.5" {}
        polygon points=(head.join(" ")) fill="var(--good)" {}
    }
}

/// What is done to each direction, written at the third of the link nearest to where it comes from; a note in the middle.
fn labels(link: &Link, note: &str, a: (f64, f64), b: (f64, f64)) -> Markup {
    let same = link.to_a.impairment == link.to_b.impairment
        && lost(&link.to_a).is_none()
        && lost(&link.to_b).is_none();
    let at = |share: f64| (a.0 + (b.0 - a.0) * share, a.1 + (b.1 - a.1) * share);
    let below = |(x, y)| {
        (
            x,
            y + if same && link.to_b.impairment.is_empty() {
                0.0
            } else {
                13.0
            },
        )
    };
    html! {
        @if same {
            (label(&link.to_b.impairment, "var(--ink)", at(0.5)))
        } @else {
            (label(&towards(&link.b, &link.to_b), "var(--ink)", at(0.34)))
            (label(&towards(&link.a, &link.to_a), "var(--ink)", at(0.68)))
        }
        @if has_room(note, a, b) { (label(note, "var(--quiet)", below(at(0.5)))) }
    }
}

/// Whether a note fits between the boxes at a link's ends.
fn has_room(note: &str, a: (f64, f64), b: (f64, f64)) -> bool {
    let (dx, dy) = ((b.0 - a.0).abs(), (b.1 - a.1).abs());
    let needed = if dx > dy {
        95.0 + 6.2 * note.chars().count() as f64
    } else {
        75.0
    };
    dx.hypot(dy) >= needed
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

fn label(text: &str, colour: &str, (x, y): (f64, f64)) -> Markup {
    if text.is_empty() {
        return html! {};
    }
    html! {
        text x=(px(x)) y=(px(y + 4.0)) text-anchor="middle" font-size="11.5" fill=(colour)
            stroke="var(--card)" stroke-width="4" paint-order="stroke" stroke-linejoin="round" { (text) }
    }
}

/// One arc a router, monitor to router; parallel tunnels are counted.
fn tunnels(
    topology: &Topology,
    index: &BTreeMap<&str, usize>,
    at: &[(f64, f64)],
    flows: &dyn Fn(&str, &str) -> bool,
) -> Vec<Markup> {
    let Some(monitor) = topology
        .nodes
        .iter()
        .position(|node| node.role == "monitor")
    else {
        return Vec::new();
    };
    let mut routers: Vec<&str> = topology
        .tunnels
        .iter()
        .map(|tunnel| tunnel.at.as_str())
        .collect();
    routers.dedup();
    let arc = |router: &str| {
        let (from, to) = (at[monitor], at[*index.get(router)?]);
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let bend = (
            (from.0 + to.0) / 2.0 - dy * 0.16,
            (from.1 + to.1) / 2.0 + dx * 0.16,
        );
        let path = format!(
            "M{} {}Q{} {} {} {}",
            px(from.0),
            px(from.1),
            px(bend.0),
            px(bend.1),
            px(to.0),
            px(to.1)
        );
        let names: Vec<&str> = topology
            .tunnels
            .iter()
            .filter(|tunnel| tunnel.at == router)
            .map(|tunnel| tunnel.name.as_str())
            .collect();
        let width = match names.iter().any(|name| flows(router, name)) {
            true => "4",
            false => "1.5",
        };
        Some(html! {
            path d=(path) fill="none" stroke="var(--claim)" stroke-width=(width) stroke-dasharray="5 4" opacity="0.75" {
                title { "tunnels " (names.join(", ")) }
            }
        })
    };
    routers.into_iter().filter_map(arc).collect()
}

fn subtitle(topology: &Topology, node: &crate::report::Node) -> String {
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

/// A node's box: its name, and small lines under it.
fn box_of(node: &crate::report::Node, lines: &[String], (x, y): (f64, f64)) -> Markup {
    let lines: Vec<&String> = lines.iter().filter(|line| !line.is_empty()).collect();
    let longest = lines.iter().map(|line| line.chars().count()).max();
    let widest = (node.name.chars().count() as f64 * 9.5).max(longest.unwrap_or(0) as f64 * 5.8);
    let (width, height) = (widest + 22.0, 30.0 + 12.0 * lines.len() as f64);
    let corner = if matches!(node.role.as_str(), "p" | "pe") {
        15.0 + 6.0 * lines.len().min(1) as f64
    } else {
        5.0
    };
    let first = y - height / 2.0 + 19.0 + if lines.is_empty() { 1.0 } else { 0.0 };
    html! {
        g {
            rect x=(px(x - width / 2.0)) y=(px(y - height / 2.0)) width=(px(width)) height=(px(height)) rx=(px(corner))
                fill=(format!("var(--{})", node.role)) stroke="var(--card)" stroke-width="2" {}
            text x=(px(x)) y=(px(first)) text-anchor="middle" font-size="14.5" font-weight="650" fill="var(--ink)" { (node.name) }
            @for (number, line) in (1..).zip(&lines) {
                text x=(px(x)) y=(px(first + 2.0 + 12.5 * f64::from(number))) text-anchor="middle" font-size="10.5"
                    fill="var(--ink)" opacity="0.8" { (line) }
            }
        }
    }
}

/// A coordinate in tenths of a pixel.
fn px(value: f64) -> String {
    format!("{value:.1}")
}
