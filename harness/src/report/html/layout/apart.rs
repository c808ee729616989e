//! Boxes pushed apart until none lies on another, nor on a line that is not its own.

use crate::report::html::topology::geometry::{Rect, direction};

const ROUNDS: usize = 400;
/// Between two boxes, pixels.
const ROOM: f64 = 16.0;
/// Between a box and a line that passes it, pixels.
const BERTH: f64 = 8.0;
/// Of what is in the way, the share that a round takes: boxes that push each other in a circle come to rest.
const SHARE: f64 = 0.5;

/// Moves boxes as little as need be; `edges` are the lines between their centres.
pub fn push(boxes: &mut [Rect], edges: &[(usize, usize, f64)]) {
    for _ in 0..ROUNDS {
        let moved = boxes_off_boxes(boxes) | boxes_off_lines(boxes, edges);
        if !moved {
            break;
        }
    }
}

fn boxes_off_boxes(boxes: &mut [Rect]) -> bool {
    let mut moved = false;
    for i in 0..boxes.len() {
        for j in 0..i {
            let (x, y) = boxes[i]
                .grown(ROOM / 2.0)
                .overlap(&boxes[j].grown(ROOM / 2.0));
            if x <= 0.1 || y <= 0.1 {
                continue;
            }
            moved = true;
            // Along the way that is shorter; of two at the same place, the later one goes right or down.
            let away = |from: f64, to: f64| if to > from { -1.0 } else { 1.0 };
            let (dx, dy) = match x < y {
                true => (x * SHARE * away(boxes[i].centre.0, boxes[j].centre.0), 0.0),
                false => (0.0, y * SHARE * away(boxes[i].centre.1, boxes[j].centre.1)),
            };
            shift(&mut boxes[i], dx, dy);
            shift(&mut boxes[j], -dx, -dy);
        }
    }
    moved
}

fn boxes_off_lines(boxes: &mut [Rect], edges: &[(usize, usize, f64)]) -> bool {
    let mut moved = false;
    for &(a, b, _) in edges {
        for i in (0..boxes.len()).filter(|&i| i != a && i != b) {
            let (from, to) = (boxes[a].centre, boxes[b].centre);
            if !boxes[i].grown(BERTH).is_crossed(from, to) {
                continue;
            }
            moved = true;
            let ((ux, uy), _) = direction(from, to);
            let (dx, dy) = (boxes[i].centre.0 - from.0, boxes[i].centre.1 - from.1);
            // Right of the line, in pixels; negative: left of it.
            let right = dy * ux - dx * uy;
            let side = if right < 0.0 { -1.0 } else { 1.0 };
            let step = side * SHARE * 8.0;
            shift(&mut boxes[i], -uy * step, ux * step);
        }
    }
    moved
}

fn shift(what: &mut Rect, dx: f64, dy: f64) {
    what.centre.0 += dx;
    what.centre.1 += dy;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(x: f64, y: f64) -> Rect {
        Rect {
            centre: (x, y),
            width: 80.0,
            height: 40.0,
        }
    }

    #[test]
    fn boxes_on_each_other_and_on_strange_lines_make_room() {
        let mut boxes = vec![
            boxed(0.0, 0.0),
            boxed(400.0, 0.0),
            boxed(200.0, 5.0),
            boxed(200.0, 5.0),
        ];
        push(&mut boxes, &[(0, 1, 1.0)]);
        for i in 0..boxes.len() {
            for j in 0..i {
                assert_eq!(boxes[i].shared(&boxes[j]), 0.0, "{boxes:?}");
            }
        }
        for passer in &boxes[2..] {
            assert!(
                !passer.is_crossed(boxes[0].centre, boxes[1].centre),
                "{boxes:?}"
            );
        }
    }

    #[test]
    fn boxes_with_room_stay_where_they_are() {
        let mut boxes = vec![boxed(0.0, 0.0), boxed(400.0, 0.0), boxed(200.0, 90.0)];
        let before = boxes.clone();
        push(&mut boxes, &[(0, 1, 1.0)]);
        assert_eq!(boxes, before);
    }
}
