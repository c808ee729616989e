//! Rectangles, lines and what lies on what, in pixels.

/// A point, or a distance.
pub type Point = (f64, f64);

/// A rectangle by its centre.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    pub centre: Point,
    pub width: f64,
    pub height: f64,
}

impl Rect {
    /// With so much more on every side.
    pub fn grown(self, by: f64) -> Self {
        Self {
            width: self.width + 2.0 * by,
            height: self.height + 2.0 * by,
            ..self
        }
    }

    /// How far two reach into each other, across and down; negative where there is room between them.
    pub fn overlap(&self, other: &Self) -> Point {
        let (dx, dy) = (
            (self.centre.0 - other.centre.0).abs(),
            (self.centre.1 - other.centre.1).abs(),
        );
        (
            (self.width + other.width) / 2.0 - dx,
            (self.height + other.height) / 2.0 - dy,
        )
    }

    /// The area that two share.
    pub fn shared(&self, other: &Self) -> f64 {
        // Of one that lies within the other, all of it and no more.
        let (x, y) = self.overlap(other);
        let across = x.min(self.width).min(other.width);
        let down = y.min(self.height).min(other.height);
        across.max(0.0) * down.max(0.0)
    }

    /// From its centre to its border in a direction of length 1.
    pub fn reach(&self, (ux, uy): Point) -> f64 {
        let across = self.width / 2.0 / ux.abs().max(1e-9);
        across.min(self.height / 2.0 / uy.abs().max(1e-9))
    }

    /// Whether a point lies in it.
    pub fn holds(&self, (x, y): Point) -> bool {
        (x - self.centre.0).abs() < self.width / 2.0
            && (y - self.centre.1).abs() < self.height / 2.0
    }

    /// Whether a straight line passes through it (clipped to each pair of sides in turn).
    pub fn is_crossed(&self, a: Point, b: Point) -> bool {
        let (mut from, mut to) = (0.0_f64, 1.0_f64);
        let sides = [
            (a.0, b.0, self.centre.0, self.width),
            (a.1, b.1, self.centre.1, self.height),
        ];
        for (start, end, centre, size) in sides {
            let way = end - start;
            let (low, high) = (centre - size / 2.0 - start, centre + size / 2.0 - start);
            if way.abs() < 1e-9 {
                if low > 0.0 || high < 0.0 {
                    return false;
                }
            } else {
                let (near, far) = ((low / way).min(high / way), (low / way).max(high / way));
                (from, to) = (from.max(near), to.min(far));
            }
        }
        from < to
    }
}

/// The direction from one point to another, of length 1, and the distance.
pub fn direction(a: Point, b: Point) -> (Point, f64) {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length = dx.hypot(dy).max(1e-6);
    ((dx / length, dy / length), length)
}

/// A point on the way from one to another.
pub fn between(a: Point, b: Point, share: f64) -> Point {
    (a.0 + (b.0 - a.0) * share, a.1 + (b.1 - a.1) * share)
}

/// A coordinate in tenths of a pixel.
pub fn px(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: Rect = Rect {
        centre: (10.0, 10.0),
        width: 8.0,
        height: 4.0,
    };

    #[test]
    fn lines_cross_a_box_or_pass_by() {
        assert!(BOX.is_crossed((0.0, 10.0), (20.0, 10.0)));
        assert!(BOX.is_crossed((10.0, 0.0), (10.0, 20.0)));
        assert!(BOX.is_crossed((0.0, 0.0), (20.0, 20.0)));
        assert!(!BOX.is_crossed((0.0, 13.0), (20.0, 13.0)));
        assert!(!BOX.is_crossed((0.0, 10.0), (5.0, 10.0)));
        assert!(!BOX.is_crossed((0.0, 0.0), (20.0, 0.0)));
    }

    #[test]
    fn what_two_boxes_share_is_an_area() {
        let beside = Rect {
            centre: (16.0, 11.0),
            ..BOX
        };
        assert_eq!(BOX.shared(&beside), 6.0);
        let apart = Rect {
            centre: (30.0, 10.0),
            ..BOX
        };
        assert_eq!(BOX.shared(&apart), 0.0);
        assert_eq!(BOX.shared(&BOX.grown(5.0)), 32.0);
        assert_eq!(BOX.reach((1.0, 0.0)), 4.0);
        assert_eq!(BOX.reach((0.0, -1.0)), 2.0);
    }
}
