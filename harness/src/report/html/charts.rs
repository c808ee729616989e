//! Loss over time and the distribution of delay, drawn as SVG whose colours follow the page.

use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;

use crate::report::{DelayHistogram, EventDone, Report, Series};

const SIZE: (u32, u32) = (560, 280);
/// Stand-ins: no chart draws in them by chance, and the page's own colours take their place.
const INK: RGBColor = RGBColor(1, 2, 3);
const QUIET: RGBColor = RGBColor(4, 5, 6);
const RULE: RGBColor = RGBColor(7, 8, 9);
const TRUTH: RGBColor = RGBColor(10, 11, 12);
const CLAIM: RGBColor = RGBColor(13, 14, 15);
const COLOURS: [(&str, &str); 5] = [
    ("#010203", "var(--ink)"),
    ("#040506", "var(--quiet)"),
    ("#070809", "var(--rule)"),
    ("#0A0B0C", "var(--truth)"),
    ("#0D0E0F", "var(--claim)"),
];

type Drawn = Result<(), Box<dyn std::error::Error>>;

/// All charts of the report, beside each other where there is room.
pub fn section(report: &Report) -> Markup {
    let charts = report
        .series
        .iter()
        .map(|series| {
            (
                format!("Loss over time: {}", series.task),
                chart(|area| loss(area, series, &report.events)),
            )
        })
        .chain(report.delays.iter().map(|histogram| {
            (
                format!("One-way delay, tunnels included: {}", histogram.task),
                chart(|area| delay(area, histogram)),
            )
        }));
    let charts: Vec<(String, String)> = charts
        .filter_map(|(title, svg)| Some((title, svg?)))
        .collect();
    html! {
        @if !charts.is_empty() {
            div.charts { @for (title, svg) in charts {
                section { h2 { (title) } (PreEscaped(svg)) (legend()) }
            } }
        }
    }
}

fn legend() -> Markup {
    html! {
        div.legend {
            span { i style="background:var(--truth)" {} "true (taps)" }
            span { i style="background:var(--claim)" {} "measured (monitor)" }
        }
    }
}

/// An SVG, or nothing where there is nothing to draw.
fn chart(
    draw: impl FnOnce(&DrawingArea<SVGBackend, plotters::coord::Shift>) -> Drawn,
) -> Option<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        draw(&area).ok()?;
        area.present().ok()?;
    }
    for (stand_in, colour) in COLOURS {
        svg = svg.replace(stand_in, colour);
    }
    let sized = format!("width=\"{}\" height=\"{}\"", SIZE.0, SIZE.1);
    Some(svg.replacen(&sized, "role=\"img\"", 1))
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

fn loss(
    area: &DrawingArea<SVGBackend, plotters::coord::Shift>,
    series: &Series,
    events: &[EventDone],
) -> Drawn {
    let width = seconds(series.bucket_ns);
    let end = width * series.buckets.len() as f64;
    let share = |lost: u64, of: u64| {
        if of > 0 {
            100.0 * lost as f64 / of as f64
        } else {
            0.0
        }
    };
    let truth: Vec<f64> = series
        .buckets
        .iter()
        .map(|b| share(b.lost_true, b.expected))
        .collect();
    let claim: Vec<f64> = series
        .buckets
        .iter()
        .map(|b| share(b.lost_measured, b.logged))
        .collect();
    let top = truth
        .iter()
        .chain(&claim)
        .fold(0.0, |top, value| value.max(top));
    let top = if top > 0.0 { top * 1.15 } else { 1.0 };
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .x_label_area_size(34)
        .y_label_area_size(46)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RULE)
        .axis_style(QUIET)
        .label_style(("sans-serif", 12).into_font().color(&INK))
        .x_desc("seconds into the run")
        .y_label_formatter(&|value| format!("{value:.1} %"))
        .y_labels(5)
        .draw()?;
    for event in events {
        let x = seconds(event.at_ns);
        chart.draw_series(DashedLineSeries::new(
            [(x, 0.0), (x, top)],
            3,
            4,
            QUIET.stroke_width(1),
        ))?;
    }
    chart.draw_series(
        AreaSeries::new(steps(&truth, width), 0.0, TRUTH.mix(0.25))
            .border_style(TRUTH.stroke_width(2)),
    )?;
    chart.draw_series(DashedLineSeries::new(
        steps(&claim, width),
        6,
        4,
        CLAIM.stroke_width(2),
    ))?;
    Ok(())
}

/// A value for each bucket as a staircase.
fn steps(values: &[f64], width: f64) -> Vec<(f64, f64)> {
    let stair =
        |(i, value): (usize, &f64)| [(i as f64 * width, *value), ((i + 1) as f64 * width, *value)];
    values.iter().enumerate().flat_map(stair).collect()
}

fn delay(
    area: &DrawingArea<SVGBackend, plotters::coord::Shift>,
    histogram: &DelayHistogram,
) -> Drawn {
    let edge = |i: usize| (histogram.from_ns as f64 + histogram.bin_ns as f64 * i as f64) / 1e6;
    let bins = histogram.truth.len().max(histogram.measured.len());
    let top = histogram
        .truth
        .iter()
        .chain(&histogram.measured)
        .max()
        .copied()
        .unwrap_or(0);
    if bins == 0 || top == 0 {
        return Err("no delays".into());
    }
    let top = top as f64 * 1.12;
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .x_label_area_size(34)
        .y_label_area_size(46)
        .build_cartesian_2d(edge(0)..edge(bins), 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RULE)
        .axis_style(QUIET)
        .label_style(("sans-serif", 12).into_font().color(&INK))
        .x_desc("milliseconds")
        .y_label_formatter(&|value| format!("{value:.0}"))
        .y_labels(5)
        .draw()?;
    let filled = histogram.truth.iter().enumerate().map(|(i, &n)| {
        Rectangle::new(
            [(edge(i), 0.0), (edge(i + 1), n as f64)],
            TRUTH.mix(0.35).filled(),
        )
    });
    chart.draw_series(filled)?;
    let outline = histogram
        .measured
        .iter()
        .enumerate()
        .flat_map(|(i, &n)| [(edge(i), n as f64), (edge(i + 1), n as f64)]);
    chart.draw_series(LineSeries::new(outline, CLAIM.stroke_width(2)))?;
    Ok(())
}
