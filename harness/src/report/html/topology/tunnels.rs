//! The monitor's tunnels: an arc to each router.

use maud::{Markup, html};

use super::geometry::{Point, Rect, px};
use crate::report::{Topology, Tunnel};

/// How far an arc's middle may be from the straight line, as a share of that: the first that runs through fewest boxes.
const BENDS: [f64; 6] = [0.16, -0.16, 0.3, -0.3, 0.06, -0.06];
const SAMPLES: usize = 24;

/// One arc a monitor and router; parallel tunnels are counted. The boxes are those of the topology's nodes.
pub fn arcs(
    topology: &Topology,
    boxes: &[Rect],
    flows: &dyn Fn(&str, &str) -> bool,
) -> Vec<Markup> {
    let between = |tunnel: &Tunnel| Some((topology.host_of(tunnel)?, tunnel.at.clone()));
    let mut ends: Vec<(usize, String)> = Vec::new();
    for both in topology.tunnels.iter().filter_map(between) {
        if !ends.contains(&both) {
            ends.push(both);
        }
    }
    let arc = |both: &(usize, String)| {
        let (monitor, router) = (both.0, both.1.as_str());
        let end = topology.nodes.iter().position(|node| node.name == router)?;
        let (from, to) = (boxes[monitor].centre, boxes[end].centre);
        let others: Vec<&Rect> = boxes
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != monitor && *at != end)
            .map(|(_, other)| other)
            .collect();
        let (cx, cy) = control(from, to, &others);
        let path = format!(
            "M{} {}Q{} {} {} {}",
            px(from.0),
            px(from.1),
            px(cx),
            px(cy),
            px(to.0),
            px(to.1)
        );
        let names: Vec<&str> = topology
            .tunnels
            .iter()
            .filter(|tunnel| between(tunnel).as_ref() == Some(both))
            .map(|tunnel| tunnel.name.as_str())
            .collect();
        let width = match names.iter().any(|name| flows(router, name)) {
            true => "4",
            false => "1.4",
        };
        Some(html! {
            path d=(path) fill="none" stroke="var(--claim)" stroke-width=(width) stroke-dasharray="5 4" opacity="0.7" {
                title { "tunnels " (names.join(", ")) }
            }
        })
    };
    ends.iter().filter_map(arc).collect()
}

/// The control point of the arc (a quadratic Bézier curve) that runs through fewest of the others' boxes.
fn control(from: Point, to: Point, others: &[&Rect]) -> Point {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let bent = |bend: f64| {
        (
            (from.0 + to.0) / 2.0 - dy * bend,
            (from.1 + to.1) / 2.0 + dx * bend,
        )
    };
    let hits = |middle: Point| {
        let on = |step: usize| {
            let t = step as f64 / SAMPLES as f64;
            let (p, q, r) = ((1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t);
            (
                p * from.0 + q * middle.0 + r * to.0,
                p * from.1 + q * middle.1 + r * to.1,
            )
        };
        let through = |other: &&&Rect| (1..SAMPLES).any(|step| other.holds(on(step)));
        others.iter().filter(through).count()
    };
    BENDS
        .map(bent)
        .into_iter()
        .min_by_key(|middle| hits(*middle))
        .unwrap_or(to)
}
