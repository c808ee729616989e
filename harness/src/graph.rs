//! `mvpnlab graph`: a scenario's topology as a picture, for slides (SVG) or for Graphviz (DOT).

mod dot;
mod svg;

use std::fs;
use std::path::Path;

use mvpnlab_emulator::plan::{Plan, Wire};

use crate::cli::GraphFormat;
use crate::report::{Link, Topology, build};
use crate::run::suite::{self, Case};
use crate::run::{infrastructure, output, usage};
use crate::verdict::Exit;

/// Draws one scenario.
pub fn command(file: &Path, format: GraphFormat, to: Option<&Path>) -> Exit {
    let cases = match suite::load(&[file.to_owned()]) {
        Ok(cases) => cases,
        Err(errors) => return usage(&errors),
    };
    let [case] = cases.as_slice() else {
        return usage(&format!(
            "{} holds {} scenarios: name one file",
            file.display(),
            cases.len()
        ));
    };
    let picture = draw(case, format);
    let written = match to {
        Some(path) => fs::write(path, picture)
            .map_err(|error| format!("cannot write {}: {error}", path.display())),
        None => output::print(picture.trim_end()).map_err(|error| error.to_string()),
    };
    match written {
        Ok(()) => Exit::Pass,
        Err(error) => infrastructure(&error),
    }
}

fn draw(case: &Case, format: GraphFormat) -> String {
    let topology = build::topology::of(case);
    match format {
        GraphFormat::Svg => svg::draw(case, &topology),
        GraphFormat::Dot => dot::draw(case, &topology),
    }
}

/// The address by which a node is known: its first loopback address, or that of its first link.
fn address(plan: &Plan, node: &str) -> String {
    let loopback = plan.namespace(node).and_then(|ns| ns.loopback.first());
    loopback
        .map(|cidr| cidr.address)
        .or_else(|| plan.address_of(node))
        .map(|address| address.to_string())
        .unwrap_or_default()
}

/// The network of a link's addresses.
fn network(plan: &Plan, link: &Link) -> String {
    let between = |wire: &&Wire| wire.name == format!("{}-{}", link.a, link.b);
    let wire = plan.wires.iter().find(between);
    wire.map(|wire| wire.a.address.network())
        .map(|cidr| format!("{}/{}", cidr.address, cidr.prefix))
        .unwrap_or_default()
}

/// The MVPNs in words, one each.
fn mvpns(plan: &Plan) -> Vec<String> {
    plan.mvpns
        .iter()
        .map(|(name, mvpn)| {
            let sites: Vec<&str> = mvpn.sites.iter().map(|site| site.pe.as_str()).collect();
            format!(
                "MVPN {name}: default MDT {}, sites at {}",
                mvpn.default_mdt,
                sites.join(", ")
            )
        })
        .collect()
}

/// What is done to tunnels, if anything, in one line.
fn impaired_tunnels(topology: &Topology) -> Option<String> {
    let impaired: Vec<String> = topology
        .tunnels
        .iter()
        .filter(|tunnel| !tunnel.impairment.is_empty())
        .map(|tunnel| format!("{} {}", tunnel.name, tunnel.impairment))
        .collect();
    (!impaired.is_empty()).then(|| format!("Tunnels towards the monitor: {}", impaired.join(" · ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn case(text: &str) -> Case {
        Case::of(text.to_owned(), Path::new("small.toml"), PathBuf::new()).unwrap()
    }

    const SMALL: &str = r#"
title = "Two sites, one core <&>"
duration = "10s"

[backbone]
rp = "P"

[nodes]
MON = { role = "monitor" }
P = { role = "p" }
PE1 = { role = "pe" }
PE2 = { role = "pe" }

[[link]]
ends = "MON-P"

[[link]]
ends = "PE1-P"
impair = { delay = "10ms" }

[[link]]
ends = "PE2-P"
impair_to = { PE2 = { loss = "2%" } }

[mvpn.red]
default_mdt = "239.1.1.1"
sites_without_ce = ["PE1", "PE2"]

[[tunnel]]
name = "a"
at = "PE1"

[[expect]]
check = "customer-adjacencies"
mvpn = "red"
"#;

    #[test]
    fn a_graph_for_graphviz() {
        insta::assert_snapshot!(draw(&case(SMALL), GraphFormat::Dot));
    }

    #[test]
    fn a_picture_is_well_formed_and_says_it_all() {
        let picture = draw(&case(SMALL), GraphFormat::Svg);
        for said in [
            "PE1",
            "PE2",
            "MON",
            "10ms",
            "→PE2 loss 2%",
            "10.255.0.",
            "10.1.",
            "239.1.1.1",
            "Two sites, one core &lt;&amp;&gt;",
        ] {
            assert!(picture.contains(said), "{said} is missing in {picture}");
        }
        assert!(picture.starts_with("<svg xmlns="));
        // Every element that is opened is closed.
        let opened = picture.matches('<').count() - picture.matches("</").count();
        let closed = picture.matches("</").count() + picture.matches("/>").count();
        assert_eq!(opened, closed, "{picture}");
    }
}
