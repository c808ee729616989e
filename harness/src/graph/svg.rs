//! A picture that stands alone: its colours and fonts are in it.

use maud::{Markup, html};

use super::{address, impaired_tunnels, mvpns, network};
use crate::report::Topology;
use crate::report::html::topology::{Drawing, Notes, drawing};
use crate::run::suite::Case;

/// As in the reports' style sheet, on white.
const STYLE: &str = "svg { --card: #ffffff; --ink: #1c2530; --quiet: #66717e; --claim: #e07b1a; --bad: #c2282d; \
    --p: #cfd8e3; --pe: #9cc3e6; --ce: #c9e4c5; --host: #e4ecd2; --monitor: #f6cf8f; \
    font-family: system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; }";
const TOP: f64 = 52.0;
const LINE: f64 = 19.0;
const MARGIN: f64 = 24.0;

/// Title, drawing, MVPNs, impaired tunnels, colours.
pub fn draw(case: &Case, topology: &Topology) -> String {
    let notes = Notes {
        node: &|node| address(&case.plan, node),
        link: &|link| network(&case.plan, link),
    };
    let Drawing {
        width,
        height,
        elements,
    } = drawing(topology, &notes);
    let captions: Vec<String> = mvpns(&case.plan)
        .into_iter()
        .chain(impaired_tunnels(topology))
        .collect();
    let words = TOP + height + 2.0 * LINE;
    let total = words + LINE * (captions.len() as f64 + 1.0) + MARGIN / 2.0;
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(total) viewBox=(format!("0 0 {width} {total}")) {
            style { (STYLE) }
            rect width=(width) height=(total) fill="var(--card)" {}
            text x=(MARGIN) y="32" font-size="19" font-weight="650" fill="var(--ink)" { (case.scenario.title) }
            g transform=(format!("translate(0 {TOP})")) { (elements) }
            @for (number, caption) in captions.iter().enumerate() {
                text x=(MARGIN) y=(words + LINE * number as f64) font-size="13" fill="var(--ink)" { (caption) }
            }
            (legend(words + LINE * captions.len() as f64))
        }
    };
    picture.into_string()
}

fn legend(y: f64) -> Markup {
    let colours = [
        ("P", "--p"),
        ("PE", "--pe"),
        ("CE", "--ce"),
        ("host", "--host"),
        ("monitor", "--monitor"),
        ("monitor tunnel", "--claim"),
    ];
    html! {
        @for (place, (name, colour)) in (0..).zip(colours) {
            @let x = MARGIN + 95.0 * f64::from(place);
            rect x=(x) y=(y - 10.0) width="12" height="12" rx="2" fill=(format!("var({colour})")) {}
            text x=(x + 18.0) y=(y) font-size="12" fill="var(--quiet)" { (name) }
        }
    }
}
