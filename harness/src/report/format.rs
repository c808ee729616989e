//! Numbers as people read them, the same in text and HTML.

/// A length of time with the unit that suits it and at most four digits.
pub fn duration(ns: i64) -> String {
    let size = ns.unsigned_abs() as f64;
    let (scale, unit) = match size {
        s if s >= 1e9 => (1e9, "s"),
        s if s >= 1e6 => (1e6, "ms"),
        s if s >= 1e3 => (1e3, "µs"),
        _ => (1.0, "ns"),
    };
    let value = ns as f64 / scale;
    let digits = match value.abs() {
        _ if unit == "ns" => 0,
        v if v >= 100.0 => 1,
        v if v >= 10.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$} {unit}")
}

/// A fraction as percent.
pub fn percent(fraction: f64) -> String {
    match fraction.abs() * 100.0 {
        0.0 => "0 %".into(),
        p if p < 0.1 => format!("{:.3} %", fraction * 100.0),
        _ => format!("{:.2} %", fraction * 100.0),
    }
}

/// A probability, small ones in powers of ten.
pub fn probability(p: f64) -> String {
    let p = p + 0.0; // The sum of nothing is -0.0.
    if p == 0.0 || p >= 0.001 {
        format!("{p:.3}")
    } else {
        format!("{p:.1e}")
    }
}

/// A count with thin groups of three.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// What stands where there is nothing to say.
pub const NONE: &str = "–";

/// `f` of the value, or a dash.
pub fn or_none<T>(value: Option<T>, f: impl Fn(T) -> String) -> String {
    value.map_or_else(|| NONE.into(), f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_carry_the_unit_that_suits_them() {
        assert_eq!(duration(0), "0 ns");
        assert_eq!(duration(-1_500), "-1.500 µs");
        assert_eq!(duration(30_027_000), "30.03 ms");
        assert_eq!(duration(12_345_000_000), "12.35 s");
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.0002), "0.020 %");
        assert_eq!(percent(0.0312), "3.12 %");
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(count(12), "12");
        assert_eq!(probability(1e-6), "1.0e-6");
    }
}
