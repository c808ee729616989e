//! The terminal's report: a table of induced, true and measured per pair, and the verdict with its reasons.

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};

use super::format::{NONE, count, duration, or_none, percent, probability};
use super::{Pair, Report};
use crate::check::{Figure, Finding, Outcome};
use crate::verdict::Verdict;

/// Pairs beyond this number are summed up, and only the most interesting are listed.
const PAIRS_LISTED_MAX: usize = 30;
/// How many of them, then.
const PAIRS_SHOWN_OF_MANY: usize = 10;

/// Whether text may carry colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Plain text.
    Plain,
    /// ANSI colours.
    Ansi,
}

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        match self {
            Self::Plain => text.into(),
            Self::Ansi => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }

    /// The verdict's word in its colour.
    pub fn verdict(self, verdict: &Verdict) -> String {
        let code = match verdict {
            Verdict::Pass => "1;32",
            Verdict::Fail { .. } => "1;31",
            Verdict::Infrastructure { .. } => "1;35",
            Verdict::Skipped { .. } => "1;33",
        };
        self.with(code, &verdict.word().to_uppercase())
    }
}

/// One run, in full.
pub fn render(report: &Report, paint: Paint) -> String {
    let mut out = String::new();
    let fault = report
        .fault
        .as_ref()
        .map_or(String::new(), |name| format!(", planted fault {name}"));
    let head = format!("{}: {}", report.scenario, report.title);
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{} (seed {}{fault})",
        paint.with("1", &head),
        report.seed
    );
    if !report.pairs.is_empty() {
        let _ = writeln!(out, "\n{}", pair_table(&report.pairs));
    }
    for line in losses(report) {
        let _ = writeln!(out, "{line}");
    }
    out.push('\n');
    for finding in &report.findings {
        let (mark, note) = match &finding.outcome {
            Outcome::Held => (paint.with("32", "held  "), String::new()),
            Outcome::Failed { reason } => {
                (paint.with("31", "FAILED"), format!("\n{}", indent(reason)))
            }
        };
        let alarm = or_none(finding.false_alarm, |p| {
            format!(", false alarm {}", probability(p))
        });
        let alarm = if alarm == NONE { String::new() } else { alarm };
        let judged = count(finding.judged);
        let _ = writeln!(
            out,
            "  {mark} {}: {} ({judged} judged{alarm}){note}",
            finding.title(),
            finding.expected
        );
        for line in times(finding) {
            let _ = writeln!(out, "         {line}");
        }
    }
    let _ = writeln!(out, "\n{}{}", paint.verdict(&report.verdict), tail(report));
    out
}

/// How long what happened took to show, a line for each kind of event: `KIND_events`, `KIND_median_ns`, `KIND_max_ns`.
fn times(finding: &Finding) -> Vec<String> {
    let figure = |name: String| match finding.figures.get(&name) {
        Some(Figure::Count(n)) => Some(*n),
        Some(Figure::Ratio(_)) | None => None,
    };
    let kinds = finding.figures.keys();
    let kinds = kinds.filter_map(|name| name.strip_suffix("_events"));
    kinds
        .filter_map(|kind| {
            let events = figure(format!("{kind}_events"))?;
            let median = duration(figure(format!("{kind}_median_ns"))?);
            let longest = duration(figure(format!("{kind}_max_ns"))?);
            Some(format!(
                "{kind:<10} {events:>5} events, median {median}, at most {longest}"
            ))
        })
        .collect()
}

/// What follows the verdict's word.
fn tail(report: &Report) -> String {
    match &report.verdict {
        Verdict::Pass => format!(
            ": {} expectations held; false-alarm probability in all {}",
            report.findings.len(),
            probability(report.false_alarm_total)
        ),
        Verdict::Fail { reasons } => format!(
            ": {} of {} expectations failed",
            reasons.len(),
            report.findings.len()
        ),
        Verdict::Infrastructure { what } => {
            format!(": nothing can be said of the monitor\n{}", indent(what))
        }
        Verdict::Skipped { reason } => format!(": {reason}"),
    }
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|line| format!("         {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A table between rules, with its head; numbers stand from the column `numbers` on.
pub(super) fn ruled(head: &[&str], numbers: usize) -> Table {
    let mut table = Table::new();
    let rule = LineStyle::none().fill('─').junction('─');
    table.load_style(
        TableStyle::new()
            .top_border(rule)
            .header_separator(rule)
            .bottom_border(rule),
    );
    table.set_header(head.iter().map(Cell::new));
    for index in numbers..head.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn pair_table(pairs: &[Pair]) -> String {
    let many_tasks = pairs.iter().any(|pair| pair.task != pairs[0].task);
    let head = [
        "pair",
        "induced\nloss",
        "true\nloss",
        "measured\nloss",
        "induced\ndelay",
        "true\ndelay",
        "measured\ndelay",
        "sent",
        "lost\ntrue/meas.",
        "dup.\ntrue/meas.",
        "reord.\ntrue/meas.",
    ];
    let mut table = ruled(&head, 1);
    let shown = shown(pairs);
    for pair in &shown {
        table.add_row(row(pair, many_tasks));
    }
    let mut text = table.to_string();
    if shown.len() < pairs.len() {
        text.push_str(&summary(pairs, shown.len()));
    }
    text
}

fn row(pair: &Pair, name_task: bool) -> Vec<String> {
    let task = if name_task {
        format!("{}: ", pair.task)
    } else {
        String::new()
    };
    let measured = pair.measured.as_ref();
    let both = |truth: u64, claimed: Option<u64>| {
        format!("{truth}/{}", or_none(claimed, |n| n.to_string()))
    };
    vec![
        format!("{task}{} → {}", pair.sender, pair.receiver),
        or_none(pair.induced.loss, percent),
        or_none(pair.truth.loss(), percent),
        or_none(measured.and_then(|m| m.loss()), percent),
        or_none(pair.induced.delay_ns, duration),
        or_none(pair.truth.delay_mean_ns, duration),
        or_none(measured.and_then(|m| m.delay_mean_ns), duration),
        pair.truth.sent.to_string(),
        both(pair.truth.lost, measured.map(|m| m.lost)),
        both(pair.truth.duplicates, measured.map(|m| m.duplicates)),
        both(pair.truth.reordered, measured.map(|m| m.reordered)),
    ]
}

/// All pairs, or, of many, those whose claim is furthest from the truth, then the lossiest.
fn shown(pairs: &[Pair]) -> Vec<&Pair> {
    if pairs.len() <= PAIRS_LISTED_MAX {
        return pairs.iter().collect();
    }
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    let key = |pair: &Pair| (lost_error(pair), pair.truth.lost);
    order.sort_by_key(|&i| std::cmp::Reverse(key(&pairs[i])));
    order.truncate(PAIRS_SHOWN_OF_MANY);
    order.sort_unstable();
    order.into_iter().map(|i| &pairs[i]).collect()
}

/// How many losses the claim is off by; a pair not spoken of is off by all its probes.
fn lost_error(pair: &Pair) -> u64 {
    pair.measured
        .as_ref()
        .map_or(pair.truth.sent, |m| m.lost.abs_diff(pair.truth.lost))
}

fn summary(pairs: &[Pair], shown: usize) -> String {
    let sum = |f: fn(&Pair) -> u64| pairs.iter().map(f).sum::<u64>();
    let agreeing = pairs.iter().filter(|pair| lost_error(pair) == 0).count();
    format!(
        "\n{shown} of {} pairs shown, the most doubtful and lossiest; in all {} probe copies expected, {} lost, {} lost as measured; losses agree in {agreeing} pairs",
        pairs.len(),
        count(sum(|p| p.truth.sent)),
        count(sum(|p| p.truth.lost)),
        count(sum(|p| p.measured.map_or(0, |m| m.lost))),
    )
}

/// Where probes were lost, most first.
fn losses(report: &Report) -> Vec<String> {
    let mut losses: Vec<_> = report.losses.iter().collect();
    losses.sort_by(|a, b| b.probes.cmp(&a.probes).then(a.cmp(b)));
    let listed: Vec<String> = losses
        .iter()
        .take(6)
        .map(|loss| format!("{} {} at {}", count(loss.probes), loss.cause, loss.place))
        .collect();
    match (listed.is_empty(), losses.len() > listed.len()) {
        (true, _) => Vec::new(),
        (false, false) => vec![format!("Lost probe copies: {}.", listed.join(", "))],
        (false, true) => vec![format!(
            "Lost probe copies: {}, and {} more places.",
            listed.join(", "),
            losses.len() - listed.len()
        )],
    }
}

/// One line a run: for progress and the end of a suite.
pub fn line(report: &Report, paint: Paint) -> String {
    let first = report
        .verdict
        .reasons()
        .first()
        .map_or(String::new(), |reason| {
            format!("  {}", reason.lines().next().unwrap_or_default())
        });
    format!(
        "{:<14} {}{first}",
        paint.verdict(&report.verdict),
        report.label()
    )
}

/// How many runs came to which verdict.
pub fn totals(reports: &[Report]) -> String {
    let words = ["pass", "fail", "infrastructure", "skipped"];
    let count = |word: &str| {
        reports
            .iter()
            .filter(|report| report.verdict.word() == word)
            .count()
    };
    let parts: Vec<String> = words
        .iter()
        .map(|word| format!("{} {word}", count(word)))
        .collect();
    let alarm: f64 = reports.iter().map(|report| report.false_alarm_total).sum();
    format!(
        "{} runs: {}; false-alarm probability of all together at most {}",
        reports.len(),
        parts.join(", "),
        probability(alarm)
    )
}
