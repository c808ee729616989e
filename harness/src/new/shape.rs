//! Shapes of a backbone: which of its P routers are linked.

use clap::ValueEnum;

/// A shape that can be of any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Each linked to the next.
    Line,
    /// A line whose ends are linked.
    Ring,
    /// All linked to the first.
    Star,
    /// A binary tree from the first.
    Tree,
    /// All linked to all.
    Mesh,
    /// A ring of cores, and below each its share of the rest, linked to two cores each.
    TwoLevel,
}

/// Linked pairs of routers, counted from 0, the smaller first; connected, and no pair twice.
pub fn links(shape: Shape, routers: usize) -> Vec<(usize, usize)> {
    let line = (1..routers).map(|n| (n - 1, n));
    match shape {
        Shape::Line => line.collect(),
        Shape::Ring => line
            .chain((routers > 2).then(|| (0, routers - 1)))
            .collect(),
        Shape::Star => (1..routers).map(|n| (0, n)).collect(),
        Shape::Tree => (1..routers).map(|n| ((n - 1) / 2, n)).collect(),
        Shape::Mesh => (1..routers)
            .flat_map(|n| (0..n).map(move |m| (m, n)))
            .collect(),
        Shape::TwoLevel => two_levels(routers),
    }
}

/// A third of the routers, and at least three, are cores.
fn two_levels(routers: usize) -> Vec<(usize, usize)> {
    let cores = (routers / 3).max(3).min(routers);
    let mut pairs = links(Shape::Ring, cores);
    for lower in cores..routers {
        let (one, other) = (lower % cores, (lower + 1) % cores);
        pairs.extend([(one.min(other), lower), (one.max(other), lower)]);
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_shape_is_connected_and_has_no_link_twice() {
        for &shape in Shape::value_variants() {
            for routers in 1..=25 {
                let pairs = links(shape, routers);
                let once: BTreeSet<_> = pairs.iter().collect();
                assert_eq!(once.len(), pairs.len(), "{shape:?} of {routers}");
                assert!(pairs.iter().all(|(a, b)| a < b && *b < routers));
                let mut reached = BTreeSet::from([0]);
                while let Some(next) = pairs.iter().find_map(|&(a, b)| {
                    match (reached.contains(&a), reached.contains(&b)) {
                        (true, false) => Some(b),
                        (false, true) => Some(a),
                        _ => None,
                    }
                }) {
                    reached.insert(next);
                }
                assert_eq!(reached.len(), routers, "{shape:?} of {routers}");
            }
        }
    }

    #[test]
    fn sizes_are_what_the_names_say() {
        let count = |shape| links(shape, 9).len();
        assert_eq!(count(Shape::Line), 8);
        assert_eq!(count(Shape::Ring), 9);
        assert_eq!(count(Shape::Star), 8);
        assert_eq!(count(Shape::Tree), 8);
        assert_eq!(count(Shape::Mesh), 36);
        assert_eq!(count(Shape::TwoLevel), 3 + 2 * 6);
    }
}
