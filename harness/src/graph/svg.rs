//! A picture that stands alone: its colours and fonts are in it.

use maud::{Markup, html};

use super::tree::Tree;
use super::{address, impaired_tunnels, mvpns, network};
use crate::report::Topology;
use crate::report::html::light_colours;
use crate::report::html::topology::{Drawing, Notes, drawing, roles};
use crate::run::suite::Case;

const FONT: &str = "system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";
const TOP: f64 = 52.0;
const LINE: f64 = 19.0;
const MARGIN: f64 = 24.0;
/// Width of a letter of a caption, about.
const LETTER: f64 = 6.9;

/// Title, drawing, MVPNs, impaired tunnels, the tree in words, colours.
pub fn draw(case: &Case, topology: &Topology, tree: Option<&Tree>) -> String {
    let notes = Notes {
        flows: &|from, to| tree.is_some_and(|tree| tree.flows(from, to)),
        node: &|node| address(&case.plan, node),
        link: &|link| network(&case.plan, link),
    };
    let Drawing {
        width,
        height,
        elements,
    } = drawing(topology, &notes);
    let letters = ((width - 2.0 * MARGIN) / LETTER) as usize;
    let captions: Vec<String> = mvpns(&case.plan)
        .into_iter()
        .chain(impaired_tunnels(topology))
        .chain(tree.map(Tree::words))
        .flat_map(|caption| wrapped(&caption, letters))
        .collect();
    let words = TOP + height + LINE;
    let total = words + LINE * (captions.len() as f64 + 1.0) + MARGIN / 2.0;
    let picture = html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(width) height=(total) viewBox=(format!("0 0 {width} {total}"))
            font-family=(FONT) {
            style { (light_colours()) }
            rect width=(width) height=(total) fill="var(--card)" {}
            text x=(MARGIN) y="32" font-size="19" font-weight="650" fill="var(--ink)" { (case.scenario.title) }
            g transform=(format!("translate(0 {TOP})")) { (elements) }
            @for (number, caption) in captions.iter().enumerate() {
                text x=(MARGIN) y=(words + LINE * number as f64) font-size="13" fill="var(--ink)" { (caption) }
            }
            (legend(topology, words + LINE * (captions.len() as f64 + 0.3), tree.is_some()))
        }
    };
    picture.into_string()
}

/// In lines of so many letters, broken between words.
fn wrapped(text: &str, letters: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= letters {
            *line += " ";
            *line += word;
        } else {
            lines.push(format!("    {word}"));
        }
    }
    lines
}

fn legend(topology: &Topology, y: f64, has_tree: bool) -> Markup {
    let tunnels = (!topology.tunnels.is_empty()).then_some(("monitor tunnel", "--claim"));
    let tree = has_tree.then_some(("multicast tree", "--good"));
    let colours = roles(topology).chain(tunnels).chain(tree);
    html! {
        @for (place, (name, colour)) in (0..).zip(colours) {
            @let x = MARGIN + 125.0 * f64::from(place);
            rect x=(x) y=(y - 10.0) width="12" height="12" rx="2" fill=(format!("var({colour})")) {}
            text x=(x + 18.0) y=(y) font-size="12" fill="var(--quiet)" { (name) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_captions_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 8), ["one two", "    three"]);
        assert_eq!(wrapped("one two three", 80), ["one two three"]);
        assert_eq!(wrapped("indivisible", 3), ["indivisible"]);
    }
}
