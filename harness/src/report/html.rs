//! `report.html`: one self-contained page, light and dark, with nothing fetched from anywhere.

mod charts;
mod layout;
pub mod topology;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::format::{count, duration, or_none, percent, probability};
use super::{Figures, Pair, Report};
use crate::check::{Figure, Finding, Outcome};
use crate::verdict::Verdict;

const STYLE: &str = include_str!("html/style.css");

/// The style sheet's first rule: the colours on a light ground, for a drawing that stands alone.
pub fn light_colours() -> &'static str {
    STYLE.find('}').map_or(STYLE, |end| &STYLE[..=end])
}

/// The page.
pub fn render(report: &Report) -> String {
    page(report).into_string()
}

fn page(report: &Report) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (report.scenario) ": " (report.verdict.word()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(report))
                main {
                    (reasons(report))
                    @if !report.topology.nodes.is_empty() {
                        section { h2 { "The lab" } (topology::draw(&report.topology)) (topology::legend(&report.topology)) (topology::tunnel_notes(&report.topology)) }
                    }
                    @if !report.pairs.is_empty() { (pairs(&report.pairs)) }
                    (charts::section(report))
                    (findings(&report.findings, report.false_alarm_total))
                    (losses(report))
                    (streams(report))
                    (links(report))
                    (source(report))
                }
                (footer(report))
            }
        }
    }
}

fn header(report: &Report) -> Markup {
    let held = report
        .findings
        .iter()
        .filter(|finding| finding.held())
        .count();
    html! {
        header {
            div.headline {
                div {
                    p.eyebrow { (report.scenario) @if let Some(fault) = &report.fault { " · planted fault " (fault) } }
                    h1 { (report.title) }
                }
                span.badge.(report.verdict.word()) { (report.verdict.word()) }
            }
            dl.facts {
                (fact("seed", &report.seed.to_string()))
                (fact("expectations held", &format!("{held} of {}", report.findings.len())))
                (fact("things compared", &count(report.findings.iter().map(|finding| finding.judged).sum())))
                (fact("false-alarm probability", &probability(report.false_alarm_total)))
                @if !report.proves.is_empty() { (fact("proves", &report.proves.join(", "))) }
            }
        }
    }
}

fn fact(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn reasons(report: &Report) -> Markup {
    let lead = match report.verdict {
        Verdict::Pass => return html! {},
        Verdict::Fail { .. } => "What did not hold",
        Verdict::Infrastructure { .. } => {
            "The lab itself went wrong; nothing can be said of the monitor"
        }
        Verdict::Skipped { .. } => "Not run here",
    };
    html! {
        section.reasons.(report.verdict.word()) {
            h2 { (lead) }
            @for reason in report.verdict.reasons() { pre { (reason) } }
        }
    }
}

fn pairs(pairs: &[Pair]) -> Markup {
    let many_tasks = pairs.iter().any(|pair| pair.task != pairs[0].task);
    let worst = pairs
        .iter()
        .filter_map(|pair| pair.truth.loss())
        .fold(0.0, f64::max);
    html! {
        section {
            h2 { "Injected beside measured" }
            div.scroll { table.pairs {
                thead {
                    tr {
                        th rowspan="2" { "pair" }
                        th.group colspan="3" { "loss" } th.group colspan="3" { "one-way delay, tunnels included" }
                        th.group colspan="3" { "path between routers" } th.group colspan="4" { "probes: true, measured where it differs" }
                    }
                    tr {
                        th { "injected" } th { "true" } th { "measured" } th { "injected" } th { "true" } th { "measured" }
                        th { "true" } th { "point" } th { "interval" } th { "sent" } th { "lost" } th { "dup." } th { "reord." }
                    }
                }
                tbody { @for pair in pairs { (pair_row(pair, many_tasks, worst)) } }
            } }
        }
    }
}

fn pair_row(pair: &Pair, name_task: bool, worst: f64) -> Markup {
    let measured = pair.measured.as_ref();
    let interval = or_none(pair.path.delay_interval_ns, |(low, high)| {
        format!("{} … {}", duration(low), duration(high))
    });
    html! {
        tr {
            th scope="row" { @if name_task { span.quiet { (pair.task) ": " } } (pair.sender) " → " (pair.receiver) }
            td { (or_none(pair.induced.loss, percent)) }
            td.bar style=(bar(pair.truth.loss(), worst)) { (or_none(pair.truth.loss(), percent)) }
            td.bar.m style=(bar(measured.and_then(Figures::loss), worst)) { (or_none(measured.and_then(Figures::loss), percent)) }
            td { (or_none(pair.induced.delay_ns, duration)) }
            td { (or_none(pair.truth.delay_mean_ns, duration)) }
            td.m { (or_none(measured.and_then(|m| m.delay_mean_ns), duration)) }
            td { (or_none(pair.path.true_delay_ns, duration)) }
            td.m { (or_none(pair.path.point_delay_ns, duration)) }
            td.m { (interval) }
            (counts(pair.truth.sent, measured.map(|m| m.sent)))
            (counts(pair.truth.lost, measured.map(|m| m.lost)))
            (counts(pair.truth.duplicates, measured.map(|m| m.duplicates)))
            (counts(pair.truth.reordered, measured.map(|m| m.reordered)))
        }
    }
}

/// A bar behind the number, as long as the loss is of the worst loss in the table.
fn bar(loss: Option<f64>, worst: f64) -> String {
    let share = loss
        .filter(|_| worst > 0.0)
        .map_or(0.0, |loss| 100.0 * loss / worst);
    format!("--share:{share:.1}%")
}

fn counts(truth: u64, measured: Option<u64>) -> Markup {
    match measured {
        Some(measured) if measured == truth => html! { td { (count(truth)) } },
        other => html! { td.differs { (count(truth)) " / " (or_none(other, count)) } },
    }
}

fn findings(findings: &[Finding], total: f64) -> Markup {
    html! {
        section {
            h2 { "Findings" }
            div.scroll { table.findings {
                thead { tr { th {} th { "expectation" } th { "compared" } th { "figures" } th { "false alarm" } } }
                tbody {
                    @for finding in findings {
                        tr {
                            td { @if finding.held() { span.mark.pass { "held" } } @else { span.mark.fail { "failed" } } }
                            td.words {
                                strong { (finding.title()) } br; (finding.expected)
                                @if let Outcome::Failed { reason } = &finding.outcome { pre { (reason) } }
                            }
                            td { (count(finding.judged)) }
                            td.words { @for (name, figure) in &finding.figures { span.figure { (figure_text(name, *figure)) } } }
                            td { (or_none(finding.false_alarm, probability)) }
                        }
                    }
                }
                @if total > 0.0 { tfoot { tr { td colspan="4" { "in all, at most" } td { (probability(total)) } } } }
            } }
        }
    }
}

/// `error_p99_ns = 1200` as `error p99 1.200 µs`.
fn figure_text(name: &str, figure: Figure) -> String {
    match (name.strip_suffix("_ns"), figure) {
        (Some(name), Figure::Count(ns)) => format!("{} {}", name.replace('_', " "), duration(ns)),
        (None, Figure::Count(n)) => format!("{} {n}", name.replace('_', " ")),
        (_, Figure::Ratio(value)) => match name.strip_suffix("_share") {
            Some(name) => format!("{} {}", name.replace('_', " "), percent(value)),
            None => format!("{} {}", name.replace('_', " "), probability(value)),
        },
    }
}

fn losses(report: &Report) -> Markup {
    if report.losses.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Where probes were lost" }
            table {
                thead { tr { th { "cause" } th { "place" } th { "probe copies" } } }
                tbody { @for loss in &report.losses {
                    tr { td.words { (loss.cause) } td.words { (loss.place) } td { (count(loss.probes)) } }
                } }
            }
        }
    }
}

fn streams(report: &Report) -> Markup {
    if report.streams.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "What the customer got" }
            table {
                thead { tr { th { "source" } th { "receiver" } th { "sent" } th { "received" } } }
                tbody { @for stream in &report.streams { tr {
                    td.words { (stream.source) } td.words { (stream.receiver) }
                    td { (count(stream.sent)) } td { (count(stream.received)) }
                } } }
            }
        }
    }
}

fn links(report: &Report) -> Markup {
    if report.topology.links.is_empty() {
        return html! {};
    }
    let directions = report.topology.links.iter().flat_map(|link| {
        [
            (&link.a, &link.b, &link.to_b),
            (&link.b, &link.a, &link.to_a),
        ]
    });
    html! {
        section { details {
            summary { "Every link, each direction" }
            table {
                thead { tr { th { "direction" } th { "impairment at the start" } th { "entered" } th { "left" } th { "lost" } } }
                tbody { @for (from, to, direction) in directions { tr {
                    td.words { (from) " → " (to) } td.words { (direction.impairment) }
                    td { (count(direction.entered)) } td { (count(direction.left)) } td { (count(direction.lost)) }
                } } }
            }
        } }
    }
}

fn source(report: &Report) -> Markup {
    html! {
        section { details {
            summary { "The scenario" }
            pre.source { (report.scenario_text) }
        } }
    }
}

fn footer(report: &Report) -> Markup {
    html! {
        footer {
            p { "Same scenario, seed, image and executables: same bytes. Replay it with " code { "mvpnlab replay report.json" } "." }
            p.ids { "image " code { (report.built.image) } " · mvpnlab " code { (report.built.mvpnlab) } " · monitor " code { (report.built.monitor) } }
        }
    }
}
