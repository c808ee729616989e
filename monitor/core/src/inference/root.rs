//! Roots of functions that grow.

/// Steps of the search; halving alone would end at the last bit after as many.
const STEPS_MAX: usize = 200;
/// The search ends when the root is known to this share of itself.
const RELATIVE: f64 = 1e-7;

/// Where an increasing function crosses zero between `low` and `high`; the nearer end if it does not cross there. The
/// search starts with `first` as its upper end and goes on to `high` only if the root is beyond.
///
/// False position in the form of Illinois (Dowell and Jarratt, "A modified regula falsi method", BIT 11, 1971), with a
/// bisection every fourth step, so that it ends soon whatever the function's shape.
pub(super) fn increasing_root(f: impl Fn(f64) -> f64, low: f64, first: f64, high: f64) -> f64 {
    let (mut a, mut b) = (low, first.clamp(low, high));
    let (mut fa, mut fb) = (f(a), f(b));
    if fb < 0.0 {
        (a, fa) = (b, fb);
        (b, fb) = (high, f(high));
    }
    if fa >= 0.0 {
        return a;
    }
    if fb <= 0.0 {
        return b;
    }
    let mut moved = 0;
    for step in 0..STEPS_MAX {
        let width = b - a;
        if width <= RELATIVE * b.abs().max(f64::MIN_POSITIVE) {
            break;
        }
        let secant = b - fb * width / (fb - fa);
        let inside = secant > a && secant < b;
        let x = if inside && step % 4 != 3 {
            secant
        } else {
            a + 0.5 * width
        };
        let fx = f(x);
        if fx == 0.0 || x <= a || x >= b {
            return x;
        }
        if fx < 0.0 {
            (a, fa) = (x, fx);
            fb *= if moved < 0 { 0.5 } else { 1.0 };
            moved = -1;
        } else {
            (b, fb) = (x, fx);
            fa *= if moved > 0 { 0.5 } else { 1.0 };
            moved = 1;
        }
    }
    0.5 * (a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_found_flat_or_steep() {
        for root in [1e-9, 2e-4, 0.3, 0.999_999] {
            for f in [
                |x: f64, r: f64| x - r,
                |x: f64, r: f64| (x - r).powi(3),
                |x: f64, r: f64| 1.0 - r / x.max(1e-300),
            ] {
                let found = increasing_root(|x| f(x, root), 0.0, 0.5, 1.0);
                assert!((found / root - 1.0).abs() < 1e-3, "{found} {root}");
            }
        }
    }

    #[test]
    fn without_a_crossing_it_is_the_nearer_end() {
        assert_eq!(increasing_root(|x| x + 1.0, 0.0, 0.5, 1.0), 0.0);
        assert_eq!(increasing_root(|x| x - 2.0, 0.0, 0.5, 1.0), 1.0);
    }
}
