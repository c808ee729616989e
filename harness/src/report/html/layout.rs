//! Where nodes are drawn: stress majorization over hop distances (Gansner, Koren and North, 2004), from several
//! beginnings; of the drawings the one is taken that has the fewest lines across each other and close by nodes.
//!
//! Deterministic: every beginning is a circle in a fixed order, and every pass does the same arithmetic.

mod apart;

use std::collections::VecDeque;

pub use apart::push;

const PASSES: usize = 300;
/// No drawing is higher than this share of its width.
const HEIGHT_MAX: f64 = 0.52;
/// Beginnings of a small drawing; every one costs time with the square of the nodes.
const BEGINNINGS: usize = 12;
const SMALL: usize = 60;
/// About half a node's box, as a share of the drawing's width.
const CLOSE: f64 = 0.03;

/// Coordinates for `nodes` nodes joined by `edges` of an ideal length each: x in [0, 1], y from 0 to at most [`HEIGHT_MAX`].
pub fn place(nodes: usize, edges: &[(usize, usize, f64)]) -> Vec<(f64, f64)> {
    let distance = distances(nodes, edges);
    let beginnings = if nodes <= SMALL { BEGINNINGS } else { 3 };
    (0..beginnings)
        .map(|beginning| fit(turned(settled(&order(nodes, edges, beginning), &distance))))
        .min_by_key(|at| crossings(at, edges) + 2 * passings(at, edges))
        .unwrap_or_default()
}

/// The nodes in the order in which they stand on the circle: as they are named, or as a walk through the network comes
/// by them, which leaves few lines to be untangled.
fn order(nodes: usize, edges: &[(usize, usize, f64)], beginning: usize) -> Vec<usize> {
    if beginning == 0 {
        return (0..nodes).collect();
    }
    let mut order = Vec::with_capacity(nodes);
    let first = (beginning - 1) * nodes / BEGINNINGS;
    for start in (first..nodes).chain(0..first) {
        let mut stack = vec![start];
        while let Some(node) = stack.pop() {
            if order.contains(&node) {
                continue;
            }
            order.push(node);
            for &(a, b, _) in edges {
                if a == node {
                    stack.push(b);
                } else if b == node {
                    stack.push(a);
                }
            }
        }
    }
    order
}

fn settled(order: &[usize], distance: &[Vec<f64>]) -> Vec<(f64, f64)> {
    let nodes = order.len();
    let mut at = vec![(0.0, 0.0); nodes];
    for (i, &node) in order.iter().enumerate() {
        let angle = std::f64::consts::TAU * i as f64 / nodes as f64;
        at[node] = (1.6 * angle.cos() + 0.01 * i as f64, angle.sin());
    }
    for _ in 0..PASSES {
        for i in 0..nodes {
            at[i] = majorized(i, &at, distance);
        }
    }
    at
}

/// How often a line passes a node that is not its own so closely that their drawings would touch.
fn passings(at: &[(f64, f64)], edges: &[(usize, usize, f64)]) -> usize {
    let is_close = |node: usize, a: usize, b: usize| {
        let ((ax, ay), (bx, by), (x, y)) = (at[a], at[b], at[node]);
        let (dx, dy) = (bx - ax, by - ay);
        let along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy).max(1e-12);
        let nearest = along.clamp(0.0, 1.0);
        (x - ax - nearest * dx).hypot(y - ay - nearest * dy) < CLOSE
    };
    let of_edge = |&(a, b, _): &(usize, usize, f64)| {
        let others = (0..at.len()).filter(|&node| node != a && node != b);
        others.filter(|&node| is_close(node, a, b)).count()
    };
    edges.iter().map(of_edge).sum()
}

/// How many pairs of lines cross.
fn crossings(at: &[(f64, f64)], edges: &[(usize, usize, f64)]) -> usize {
    let side = |a: usize, b: usize, c: usize| {
        (at[b].0 - at[a].0) * (at[c].1 - at[a].1) - (at[b].1 - at[a].1) * (at[c].0 - at[a].0) > 0.0
    };
    let cross = |&(a, b, _): &(usize, usize, f64), &(c, d, _): &(usize, usize, f64)| {
        let apart = a != c && a != d && b != c && b != d;
        apart && side(a, b, c) != side(a, b, d) && side(c, d, a) != side(c, d, b)
    };
    edges
        .iter()
        .enumerate()
        .map(|(i, one)| edges[..i].iter().filter(|other| cross(one, other)).count())
        .sum()
}

/// Hop distances; nodes that no edge reaches count as far apart.
fn distances(nodes: usize, edges: &[(usize, usize, f64)]) -> Vec<Vec<f64>> {
    let mut all = vec![vec![f64::INFINITY; nodes]; nodes];
    for (start, row) in all.iter_mut().enumerate() {
        row[start] = 0.0;
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for &(a, b, length) in edges {
                for (from, to) in [(a, b), (b, a)] {
                    if from == node && row[node] + length < row[to] {
                        row[to] = row[node] + length;
                        queue.push_back(to);
                    }
                }
            }
        }
        for d in row.iter_mut().filter(|d| d.is_infinite()) {
            *d = nodes as f64;
        }
    }
    all
}

/// The place of node `i` that minimises the stress, the others staying where they are.
fn majorized(i: usize, at: &[(f64, f64)], distance: &[Vec<f64>]) -> (f64, f64) {
    let (mut x, mut y, mut weights) = (0.0, 0.0, 0.0);
    for (j, other) in at.iter().enumerate().filter(|(j, _)| *j != i) {
        let ideal = distance[i][j];
        let weight = 1.0 / (ideal * ideal);
        let (dx, dy) = (at[i].0 - other.0, at[i].1 - other.1);
        let scale = ideal / dx.hypot(dy).max(1e-9);
        x += weight * (other.0 + scale * dx);
        y += weight * (other.1 + scale * dy);
        weights += weight;
    }
    if weights > 0.0 {
        (x / weights, y / weights)
    } else {
        at[i]
    }
}

/// Turned so that the longest extent lies flat.
fn turned(at: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let n = at.len().max(1) as f64;
    let (mx, my) = (
        at.iter().map(|p| p.0).sum::<f64>() / n,
        at.iter().map(|p| p.1).sum::<f64>() / n,
    );
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in &at {
        xx += (x - mx).powi(2);
        xy += (x - mx) * (y - my);
        yy += (y - my).powi(2);
    }
    let (sin, cos) = (0.5 * (2.0 * xy).atan2(xx - yy)).sin_cos();
    at.into_iter()
        .map(|(x, y)| {
            (
                (x - mx) * cos + (y - my) * sin,
                (y - my) * cos - (x - mx) * sin,
            )
        })
        .collect()
}

/// Scaled to the width of 1, true to shape unless that would be too high.
fn fit(at: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let range = |values: Vec<f64>| {
        let (low, high) = values
            .iter()
            .fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(*v), h.max(*v)));
        (low, high - low)
    };
    let (left, width) = range(at.iter().map(|p| p.0).collect());
    let (top, height) = range(at.iter().map(|p| p.1).collect());
    if width < 1e-6 {
        return at.iter().map(|_| (0.5, 0.0)).collect();
    }
    let squeeze = (HEIGHT_MAX * width / height.max(1e-9)).min(1.0);
    at.into_iter()
        .map(|(x, y)| ((x - left) / width, squeeze * (y - top) / width))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_near_and_strangers_far() {
        let chain = [(0, 1, 1.0), (1, 2, 1.0), (2, 3, 1.0)];
        let at = place(4, &chain);
        let gap = |i: usize, j: usize| (at[i].0 - at[j].0).hypot(at[i].1 - at[j].1);
        assert!(gap(0, 1) < gap(0, 2) && gap(0, 2) < gap(0, 3), "{at:?}");
        assert_eq!(at, place(4, &chain));
        assert!(
            at.iter()
                .all(|p| (0.0..=1.0).contains(&p.0) && (0.0..=HEIGHT_MAX + 1e-9).contains(&p.1))
        );
    }

    #[test]
    fn a_ring_named_in_any_order_is_drawn_without_a_crossing() {
        let names = [3, 0, 7, 5, 1, 6, 2, 4];
        let ring: Vec<_> = (0..8)
            .map(|i| (names[i], names[(i + 1) % 8], 1.0))
            .collect();
        assert_eq!(crossings(&place(8, &ring), &ring), 0);
        // All linked to all: five nodes cannot do without one.
        let all: Vec<_> = (0..5)
            .flat_map(|a| (0..a).map(move |b| (a, b, 1.0)))
            .collect();
        assert!(crossings(&place(5, &all), &all) > 0);
    }

    #[test]
    fn one_node_and_none_are_placed_too() {
        assert_eq!(place(1, &[]), [(0.5, 0.0)]);
        assert!(place(0, &[]).is_empty());
    }
}
