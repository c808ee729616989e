//! What came out, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::machine::Machine;
use crate::{many, matrix, overload, paced, rate};

/// Everything that was measured.
#[derive(Debug)]
pub struct Report {
    /// Where.
    pub machine: Machine,
    /// Rates, by shape.
    pub rates: Vec<rate::Outcome>,
    /// iperf2's packets a second without loss, or why there is no such figure; none if it was not asked for.
    pub iperf: Option<Result<f64, String>>,
    /// At 25,000 probes a second.
    pub paced: Option<paced::Outcome>,
    /// More than it can take.
    pub overload: Option<overload::Outcome>,
    /// From few tunnels to many.
    pub many: Vec<many::Outcome>,
    /// Every pair of many PEs.
    pub matrix: Option<matrix::Outcome>,
}

impl Report {
    /// For people.
    pub fn table(&self) -> String {
        let mut text = format!("{}\n\n", self.machine.line());
        self.put_rates(&mut text);
        self.put_paced(&mut text);
        self.put_overload(&mut text);
        self.put_many(&mut text);
        text += &self
            .matrix
            .as_ref()
            .map(matrix::Outcome::table)
            .unwrap_or_default();
        text
    }

    fn put_rates(&self, text: &mut String) {
        for outcome in &self.rates {
            let (shape, reference) = (outcome.shape, outcome.reference);
            let _ = writeln!(
                text,
                "{}: {} tunnels, each probe comes back {} times; copies a second, nothing lost",
                shape.name,
                shape.tunnels,
                shape.per_group - 1
            );
            let mut line = |who: &str, per_s: f64, more: String| {
                let _ = writeln!(text, "  {who:<24}{per_s:>12.0}  {more}");
            };
            line(
                "reference loop",
                reference.received_per_s,
                format!("{} lost", reference.lost),
            );
            match outcome.best {
                Some(best) => line(
                    "vmscope",
                    best.accounted_per_s,
                    format!(
                        "{:.2} of the reference; {:.0} ns of processor time a packet",
                        best.accounted_per_s / reference.received_per_s,
                        best.ns_per_packet
                    ),
                ),
                None => line("vmscope", 0.0, "no rate tried was without loss".to_owned()),
            }
            match (&self.iperf, outcome.best) {
                (Some(Ok(iperf)), Some(best)) => {
                    line(
                        "iperf2, multicast",
                        *iperf,
                        format!(
                            "vmscope takes {:.2} times as many",
                            best.accounted_per_s / iperf
                        ),
                    );
                }
                (Some(Ok(iperf)), None) => line("iperf2, multicast", *iperf, String::new()),
                (Some(Err(why)), _) => {
                    let _ = writeln!(text, "  iperf2, multicast       skipped: {why}");
                }
                (None, _) => {}
            }
        }
    }

    fn put_paced(&self, text: &mut String) {
        let Some(paced) = &self.paced else { return };
        let _ = writeln!(
            text,
            "paced: {} probes/s sent and as many received",
            paced::PROBES_PER_S
        );
        put_errors(text, "error of delay", paced.delay);
        for sending in &paced.sending {
            let how = match sending.keeps_awake {
                true => "processors kept awake",
                false => "as it is",
            };
            let _ = writeln!(text, "  {how}, {} lost", sending.counted.1);
            put_errors(text, "  error of sending", sending.errors);
            put_errors(text, "  of a loop that only sends", sending.reference.1);
            let _ = writeln!(
                text,
                "    {:<26}{:>9.1} % of one, that loop {:.1} %; waited for it {:.1} % of the time",
                "processor",
                100.0 * sending.processor_share,
                100.0 * sending.reference.0,
                100.0 * sending.waited_share
            );
        }
    }

    fn put_overload(&self, text: &mut String) {
        let Some(overload) = &self.overload else {
            return;
        };
        let mib = |bytes: u64| (bytes >> 20).to_string();
        let _ = writeln!(
            text,
            "overload: {:.0} s of {:.0} copies/s, {:.2} times the {:.0} taken; {} others on each of its processors; {} probes were more than the reflector took\n  missed {}, dropped by the capture {}, attributed to nobody {}\n  \
             {} intervals with losses, {} of which say that the monitor dropped packets\n  \
             {} results not written; MiB of memory at most, by sixths of the time: {}\n  from a second after it: {} expected, {} lost",
            overload.time.as_secs_f64(),
            overload.offered_per_s,
            overload.offered_per_s / overload.taken_per_s,
            overload.taken_per_s,
            overload.hogs,
            overload.reflector.0,
            overload.missed,
            overload.monitor_drops,
            overload.unattributed(),
            overload.lossy_rows.0,
            overload.lossy_rows.1,
            overload.record_drops,
            overload.resident_bytes.map(mib).join(", "),
            overload.after.0,
            overload.after.1
        );
    }

    fn put_many(&self, text: &mut String) {
        let Some(few) = self.many.first() else {
            return;
        };
        let _ = writeln!(
            text,
            "many: {} probes/s in all, in groups of ten; nanoseconds of processor time a probe or copy",
            many::PROBES_PER_S
        );
        for outcome in &self.many {
            let _ = writeln!(
                text,
                "  {:>6} tunnels{:>17.0}  {:.2} times that of {}; {:.0} packets/s, {} of {} lost, {:.1} MiB",
                outcome.tunnels,
                outcome.ns_per_packet,
                outcome.ns_per_packet / few.ns_per_packet,
                few.tunnels,
                outcome.packets_per_s,
                outcome.counted.lost,
                outcome.counted.expected,
                outcome.resident_bytes as f64 / f64::from(1 << 20)
            );
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let iperf = match &self.iperf {
            Some(Ok(per_s)) => json!({"per_s": per_s}),
            Some(Err(why)) => json!({"skipped": why}),
            None => Value::Null,
        };
        json!({
            "machine": self.machine.json(),
            "rates": self.rates.iter().map(|outcome| (outcome.shape.name.to_owned(), outcome.json())).collect::<serde_json::Map<_, _>>(),
            "iperf2": iperf,
            "paced": self.paced.as_ref().map(paced::Outcome::json),
            "overload": self.overload.as_ref().map(overload::Outcome::json),
            "many": self.many.iter().map(many::Outcome::json).collect::<Vec<_>>(),
            "matrix": self.matrix.as_ref().map(matrix::Outcome::json),
        })
    }
}

fn put_errors(text: &mut String, what: &str, errors: Option<paced::Errors>) {
    let us = |ns: u64| ns as f64 / 1e3;
    let _ = match errors {
        Some(e) => writeln!(
            text,
            "  {what:<28}{:>9.1} µs median {:>9.1} µs p99 {:>9.1} µs at most, {} probes",
            us(e.median_ns),
            us(e.p99_ns),
            us(e.max_ns),
            e.samples
        ),
        None => writeln!(text, "  {what:<28}nothing to compare"),
    };
}
