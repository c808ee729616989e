//! For Graphviz: `mvpnlab graph --format dot FILE | dot -Tpdf`.

use std::fmt::Write as _;

use super::tree::Tree;
use super::{address, mvpns, network};
use crate::report::{Direction, Topology};
use crate::run::suite::Case;

/// The topology as an undirected graph.
pub fn draw(case: &Case, topology: &Topology, tree: Option<&Tree>) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{words}");
    };
    line(format!("graph {} {{", quoted(&case.name)));
    let tree_words = tree.map(Tree::words).into_iter().collect();
    let caption = [
        vec![case.scenario.title.clone()],
        mvpns(&case.plan),
        tree_words,
    ]
    .concat();
    line(format!("  label={};", quoted(&caption.join("\n"))));
    line("  node [style=filled, fontname=\"sans-serif\"];".to_owned());
    line("  edge [fontname=\"sans-serif\", fontsize=10];".to_owned());
    for node in &topology.nodes {
        let label = [node.name.clone(), address(&case.plan, &node.name)];
        let (shape, colour) = look(&node.role);
        line(format!(
            "  {} [label={}, shape={shape}, fillcolor=\"{colour}\"];",
            quoted(&node.name),
            quoted(&label.join("\n"))
        ));
    }
    for link in &topology.links {
        let label = match link.to_a == link.to_b {
            true => vec![network(&case.plan, link), link.to_b.impairment.clone()],
            false => vec![
                network(&case.plan, link),
                towards(&link.b, &link.to_b),
                towards(&link.a, &link.to_a),
            ],
        };
        let label: Vec<String> = label.into_iter().filter(|part| !part.is_empty()).collect();
        line(format!(
            "  {} -- {} [label={}];",
            quoted(&link.a),
            quoted(&link.b),
            quoted(&label.join("\n"))
        ));
        for (from, to) in [(&link.a, &link.b), (&link.b, &link.a)] {
            if tree.is_some_and(|tree| tree.flows(from, to)) {
                let look = "dir=forward, color=\"#1d7a4c\", penwidth=3, constraint=false";
                line(format!("  {} -- {} [{look}];", quoted(from), quoted(to)));
            }
        }
    }
    for tunnel in &topology.tunnels {
        if let Some(monitor) = topology.host_of(tunnel) {
            let monitor = &topology.nodes[monitor];
            let label: Vec<&str> = [tunnel.name.as_str(), tunnel.impairment.as_str()]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect();
            line(format!(
                "  {} -- {} [label={}, style=dashed, color=\"#e07b1a\", constraint=false];",
                quoted(&monitor.name),
                quoted(&tunnel.at),
                quoted(&label.join("\n"))
            ));
        }
    }
    line("}".to_owned());
    text
}

fn look(role: &str) -> (&'static str, &'static str) {
    match role {
        "p" => ("ellipse", "#cfd8e3"),
        "pe" => ("ellipse", "#9cc3e6"),
        "ce" => ("box", "#c9e4c5"),
        "monitor" => ("box", "#f6cf8f"),
        _ => ("box", "#e4ecd2"),
    }
}

fn towards(node: &str, direction: &Direction) -> String {
    match direction.impairment.as_str() {
        "" => String::new(),
        words => format!("→{node} {words}"),
    }
}

/// A string of the DOT language: only quotes and backslashes are special in it.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\n', "\\n"))
}
