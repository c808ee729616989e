//! netem's options on the wire of rtnetlink: `struct tc_netem_qopt` and its nested attributes
//! (linux/pkt_sched.h), which no netlink crate knows. Pure: bytes in, bytes out.
//!
//! An [`Impairment`] is turned into a complete set of options, so a replaced qdisc is exactly what is asked
//! for. The queue limit is always explicit: netem's own default of 1000 packets drops silently under delay.

use crate::scenario::{Distribution, GilbertElliott, Impairment, Probability};

/// Limit where the scenario asks for no queue: nothing may be dropped for want of room.
pub const UNLIMITED_PACKETS: u32 = 10_000_000;

/// Attribute types nested in TCA_OPTIONS.
mod kind {
    pub const DELAY_DIST: u16 = 2;
    pub const REORDER: u16 = 3;
    pub const CORRUPT: u16 = 4;
    pub const LOSS: u16 = 5;
    pub const RATE: u16 = 6;
    pub const RATE64: u16 = 8;
    pub const LATENCY64: u16 = 10;
    pub const JITTER64: u16 = 11;
    /// Inside LOSS: Gilbert-Elliott.
    pub const LOSS_GE: u16 = 2;
}

const NLA_F_NESTED: u16 = 1 << 15;
const NLA_TYPE_MASK: u16 = 0x3fff;
const QOPT_BYTES: usize = 24;
/// Unit of a distribution table's entries: this many to one standard deviation (NETEM_DIST_SCALE).
const DISTRIBUTION_SCALE: f64 = 8192.0;
const DISTRIBUTION_ENTRIES: u32 = 4096;

/// What TCA_OPTIONS of a netem qdisc holds, in the kernel's units.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetemOptions {
    /// Packets that fit.
    pub limit_packets: u32,
    /// Constant delay.
    pub delay_ns: i64,
    /// Its spread.
    pub jitter_ns: i64,
    /// Independent loss, of 2^32 - 1.
    pub loss: u32,
    /// Gilbert-Elliott: p, r, h = 1 - loss in the bad state, k1 = loss in the good state.
    pub gemodel: Option<[u32; 4]>,
    /// Duplication, of 2^32 - 1.
    pub duplicate: u32,
    /// Share sent at once, of 2^32 - 1; `gap` 1 makes every packet a candidate.
    pub reorder: u32,
    /// Reordering distance; 0 is off.
    pub gap: u32,
    /// Share with a flipped bit, of 2^32 - 1.
    pub corrupt: u32,
    /// Bytes per second; 0 is unlimited.
    pub rate_bytes_per_s: u64,
    /// Shape of the spread; the kernel does not give it back.
    pub distribution: Option<Vec<i16>>,
}

impl NetemOptions {
    /// What the impairment asks for.
    pub fn of(impairment: &Impairment) -> Self {
        let share = |p: Option<Probability>| p.map_or(0, of_u32_max);
        let reorder = share(impairment.reorder);
        Self {
            limit_packets: impairment.queue_packets.unwrap_or(UNLIMITED_PACKETS),
            delay_ns: impairment.delay.map_or(0, |d| d.ns as i64),
            jitter_ns: impairment.jitter.map_or(0, |j| j.ns as i64),
            loss: share(impairment.loss),
            gemodel: impairment.burst.map(gemodel),
            duplicate: share(impairment.duplicate),
            reorder,
            gap: u32::from(reorder > 0),
            corrupt: share(impairment.corrupt),
            rate_bytes_per_s: impairment.rate.map_or(0, |r| r.0 / 8),
            distribution: impairment
                .jitter
                .map(|_| table(impairment.distribution.unwrap_or(Distribution::Uniform))),
        }
    }

    /// Payload of TCA_OPTIONS.
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        // latency and jitter in ticks are legacy: the 64-bit attributes win.
        for word in [
            0,
            self.limit_packets,
            self.loss,
            self.gap,
            self.duplicate,
            0,
        ] {
            out.extend(word.to_ne_bytes());
        }
        attribute(&mut out, kind::LATENCY64, &self.delay_ns.to_ne_bytes());
        attribute(&mut out, kind::JITTER64, &self.jitter_ns.to_ne_bytes());
        // Written even when zero: a replaced qdisc keeps what is not named.
        attribute(&mut out, kind::REORDER, &words(&[self.reorder, 0]));
        attribute(&mut out, kind::CORRUPT, &words(&[self.corrupt, 0]));
        if let Some(model) = self.gemodel {
            let mut nested = Vec::new();
            attribute(&mut nested, kind::LOSS_GE, &words(&model));
            attribute(&mut out, kind::LOSS | NLA_F_NESTED, &nested);
        }
        // A rate that fits 32 bits is given there; RATE64 counts only beside a saturated RATE.
        let rate = u32::try_from(self.rate_bytes_per_s).unwrap_or(u32::MAX);
        attribute(&mut out, kind::RATE, &words(&[rate, 0, 0, 0]));
        if rate == u32::MAX {
            attribute(&mut out, kind::RATE64, &self.rate_bytes_per_s.to_ne_bytes());
        }
        if let Some(table) = &self.distribution {
            let bytes: Vec<u8> = table.iter().flat_map(|v| v.to_ne_bytes()).collect();
            attribute(&mut out, kind::DELAY_DIST, &bytes);
        }
        out
    }

    /// Reads what the kernel says of a qdisc. None: the bytes are no netem options.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let qopt = bytes.get(..QOPT_BYTES)?;
        let mut options = Self {
            limit_packets: word(qopt, 1)?,
            loss: word(qopt, 2)?,
            gap: word(qopt, 3)?,
            duplicate: word(qopt, 4)?,
            ..Self::default()
        };
        for (kind, payload) in attributes(&bytes[QOPT_BYTES..]) {
            match kind {
                kind::LATENCY64 => options.delay_ns = i64::from_ne_bytes(payload.try_into().ok()?),
                kind::JITTER64 => options.jitter_ns = i64::from_ne_bytes(payload.try_into().ok()?),
                kind::REORDER => options.reorder = word(payload, 0)?,
                kind::CORRUPT => options.corrupt = word(payload, 0)?,
                kind::RATE => options.rate_bytes_per_s = u64::from(word(payload, 0)?),
                kind::RATE64 => {
                    options.rate_bytes_per_s = u64::from_ne_bytes(payload.try_into().ok()?)
                }
                kind::LOSS => options.gemodel = read_gemodel(payload),
                _ => {}
            }
        }
        Some(options)
    }

    /// The same, as far as the kernel gives it back.
    pub fn readable(&self) -> Self {
        Self {
            distribution: None,
            ..self.clone()
        }
    }
}

fn read_gemodel(payload: &[u8]) -> Option<[u32; 4]> {
    let (_, model) = attributes(payload).find(|(kind, _)| *kind == kind::LOSS_GE)?;
    Some([
        word(model, 0)?,
        word(model, 1)?,
        word(model, 2)?,
        word(model, 3)?,
    ])
}

fn of_u32_max(p: Probability) -> u32 {
    (p.0 * f64::from(u32::MAX)).round() as u32
}

fn gemodel(ge: GilbertElliott) -> [u32; 4] {
    [ge.p, ge.r, Probability(1.0 - ge.bad_loss.0), ge.good_loss].map(of_u32_max)
}

/// The table from which the kernel draws, in units of the jitter. Uniform has one too: netem would draw so without a
/// table, but cannot be told to forget the one that it was given before.
fn table(distribution: Distribution) -> Vec<i16> {
    let quantile: fn(f64) -> f64 = match distribution {
        Distribution::Uniform => |u| 2.0 * u - 1.0,
        Distribution::Normal => normal_quantile,
        Distribution::Pareto => pareto_quantile,
    };
    let middle = |i: u32| (f64::from(i) + 0.5) / f64::from(DISTRIBUTION_ENTRIES);
    (0..DISTRIBUTION_ENTRIES)
        .map(|i| (quantile(middle(i)) * DISTRIBUTION_SCALE).round() as i16)
        .collect()
}

/// Standardised Pareto with shape 3: mean 3/2, variance 3/4. The cast to i16 cuts the tail at four deviations.
fn pareto_quantile(u: f64) -> f64 {
    ((1.0 - u).powf(-1.0 / 3.0) - 1.5) / 0.75f64.sqrt()
}

/// Inverse of the standard normal distribution by bisection of the error function's series: exact to the table's step.
fn normal_quantile(u: f64) -> f64 {
    let (mut low, mut high) = (-4.5, 4.5);
    for _ in 0..48 {
        let middle = (low + high) / 2.0;
        if normal_cdf(middle) < u {
            low = middle
        } else {
            high = middle
        }
    }
    (low + high) / 2.0
}

/// Φ by its Taylor series Φ(x) = 1/2 + φ(x) Σ x^(2n+1) / (1·3·5…(2n+1)).
fn normal_cdf(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (x, x, 1.0);
    while term.abs() > 1e-17 * sum.abs() {
        n += 2.0;
        term *= x * x / n;
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_ne_bytes()).collect()
}

fn word(bytes: &[u8], index: usize) -> Option<u32> {
    let at = bytes.get(index * 4..index * 4 + 4)?;
    Some(u32::from_ne_bytes(at.try_into().ok()?))
}

/// Appends one attribute, padded to four bytes (struct nlattr).
fn attribute(out: &mut Vec<u8>, kind: u16, payload: &[u8]) {
    out.extend((payload.len() as u16 + 4).to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(payload);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Walks attributes; stops at the first that does not fit.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?) & NLA_TYPE_MASK;
        let payload = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, payload))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Bitrate, Span};

    fn everything() -> Impairment {
        Impairment {
            delay: Some(Span { ns: 30_000_000 }),
            jitter: Some(Span { ns: 5_000_000 }),
            distribution: Some(Distribution::Normal),
            burst: Some(GilbertElliott {
                p: Probability(0.01),
                r: Probability(0.3),
                bad_loss: Probability(0.9),
                good_loss: Probability(0.001),
            }),
            duplicate: Some(Probability(0.02)),
            reorder: Some(Probability(0.25)),
            corrupt: Some(Probability(0.001)),
            rate: Some(Bitrate(10_000_000)),
            queue_packets: Some(50),
            ..Impairment::default()
        }
    }

    #[test]
    fn what_is_emitted_reads_back() {
        let options = NetemOptions::of(&everything());
        assert_eq!(
            NetemOptions::parse(&options.emit()),
            Some(options.readable())
        );
    }

    #[test]
    fn nothing_asked_is_nothing_done_but_an_explicit_limit() {
        let options = NetemOptions::of(&Impairment::default());
        assert_eq!(
            options,
            NetemOptions {
                limit_packets: UNLIMITED_PACKETS,
                ..NetemOptions::default()
            }
        );
    }

    #[test]
    fn rates_beyond_32_bits_go_by_the_long_attribute() {
        let fast = Impairment {
            rate: Some(Bitrate(80_000_000_000)),
            ..Impairment::default()
        };
        let options = NetemOptions::of(&fast);
        assert_eq!(
            NetemOptions::parse(&options.emit()).map(|o| o.rate_bytes_per_s),
            Some(10_000_000_000)
        );
    }

    #[test]
    fn truncated_options_are_refused_or_read_short_but_never_panic() {
        let bytes = NetemOptions::of(&everything()).emit();
        for length in 0..bytes.len() {
            assert_eq!(
                NetemOptions::parse(&bytes[..length]).is_some(),
                length >= QOPT_BYTES
            );
        }
    }

    #[test]
    fn the_normal_table_is_symmetric_and_of_unit_deviation() {
        let table = table(Distribution::Normal);
        let n = table.len() as f64;
        let mean = table.iter().map(|&v| f64::from(v)).sum::<f64>() / n / DISTRIBUTION_SCALE;
        let variance = table
            .iter()
            .map(|&v| (f64::from(v) / DISTRIBUTION_SCALE).powi(2))
            .sum::<f64>()
            / n;
        assert!(
            mean.abs() < 1e-4 && (variance - 1.0).abs() < 5e-3,
            "mean {mean}, variance {variance}"
        );
    }

    #[test]
    fn the_uniform_table_spans_one_jitter_to_both_sides() {
        let table = table(Distribution::Uniform);
        let (first, last) = (f64::from(table[0]), f64::from(table[table.len() - 1]));
        assert!(
            (first + DISTRIBUTION_SCALE).abs() < 4.0 && (last - DISTRIBUTION_SCALE).abs() < 4.0
        );
        assert_eq!(table.iter().map(|&v| i64::from(v)).sum::<i64>(), 0);
    }

    #[test]
    fn what_a_replacement_does_not_name_it_still_resets() {
        let bytes = NetemOptions::of(&Impairment::default()).emit();
        let named: Vec<u16> = attributes(&bytes[QOPT_BYTES..])
            .map(|(kind, _)| kind)
            .collect();
        for kind in [
            kind::LATENCY64,
            kind::JITTER64,
            kind::REORDER,
            kind::CORRUPT,
            kind::RATE,
        ] {
            assert!(named.contains(&kind), "attribute {kind} would stay");
        }
    }

    #[test]
    fn the_pareto_table_leans_right_and_stays_in_range() {
        let table = table(Distribution::Pareto);
        assert!(table[0] < 0 && *table.last().unwrap() == i16::MAX);
        assert!(table[table.len() / 2] < 0, "the median lies below the mean");
    }
}
