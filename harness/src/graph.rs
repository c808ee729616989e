//! `mvpnlab graph`: a scenario's topology as a picture, for slides (SVG) or for Graphviz (DOT).

mod dot;
mod svg;
mod tree;

use std::fs;
use std::path::Path;

use mvpnlab_emulator::plan::{Plan, Wire};

use crate::cli::{Graph, GraphFormat};
use crate::live::Table;
use crate::live::command::{VerbError, exit, rows, scenario};
use crate::report::{Link, Topology, build};
use crate::run::output;
use crate::run::suite::{self, Case};
use crate::verdict::Exit;
use tree::Tree;

/// Draws a scenario, or a running lab.
pub fn command(args: &Graph) -> Exit {
    let picture = match &args.file {
        Some(file) => of_file(file, args.format),
        None => of_lab(args),
    };
    exit(picture.and_then(|picture| write(&picture, args.output.as_deref())))
}

fn write(picture: &str, to: Option<&Path>) -> Result<Exit, VerbError> {
    match to {
        Some(path) => fs::write(path, picture).map_err(|source| VerbError::Io {
            what: format!("write {}", path.display()),
            source,
        })?,
        None => output::print(picture.trim_end())?,
    }
    Ok(Exit::Pass)
}

fn of_file(file: &Path, format: GraphFormat) -> Result<String, VerbError> {
    let cases = suite::load(&[file.to_owned()]).map_err(VerbError::Usage)?;
    let [case] = cases.as_slice() else {
        let (file, count) = (file.display(), cases.len());
        let text = format!("{file} holds {count} scenarios: name one file");
        return Err(VerbError::Usage(text));
    };
    Ok(draw(case, &build::topology::of(case), None, format))
}

/// Impairments and link states as they are now; the tree as the kernels forward it.
fn of_lab(args: &Graph) -> Result<String, VerbError> {
    let lab = args.lab.lab.as_deref();
    let case = scenario(lab)?;
    let mut topology = build::topology::of(&case);
    let links = rows(lab, Table::Links)?;
    for link in &mut topology.links {
        let name = format!("{}-{}", link.a, link.b);
        for (toward, direction) in [(&link.a, &mut link.to_a), (&link.b, &mut link.to_b)] {
            let is_it = |row: &&serde_json::Value| {
                let node = row["toward"]
                    .as_str()
                    .and_then(|name| name.split('.').next());
                row["link"] == name.as_str() && node == Some(toward)
            };
            direction.impairment = links.iter().find(is_it).map_or_else(String::new, words);
        }
    }
    let tree = match args.group {
        Some(group) => {
            let entries = rows(lab, Table::Mroutes)?;
            let tree = Tree::of(&case.plan, &entries, group, args.source.as_deref());
            Some(tree.map_err(VerbError::Usage)?)
        }
        None => None,
    };
    Ok(draw(&case, &topology, tree.as_ref(), args.format))
}

fn words(row: &serde_json::Value) -> String {
    match (row["state"].as_str(), row["impairment"].as_str()) {
        (Some("down"), _) => "down".to_owned(),
        (_, impairment) => impairment.unwrap_or_default().to_owned(),
    }
}

fn draw(case: &Case, topology: &Topology, tree: Option<&Tree>, format: GraphFormat) -> String {
    match format {
        GraphFormat::Svg => svg::draw(case, topology, tree),
        GraphFormat::Dot => dot::draw(case, topology, tree),
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
            let mut sites: Vec<&str> = mvpn.sites.iter().map(|site| site.pe.as_str()).collect();
            sites.sort_by_key(|name| counted(name));
            format!(
                "MVPN {name}: default MDT {}, sites at {}",
                mvpn.default_mdt,
                sites.join(", ")
            )
        })
        .collect()
}

/// A name as people order it: PE2 before PE10.
fn counted(name: &str) -> (&str, u64) {
    let letters = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (letters, name[letters.len()..].parse().unwrap_or(0))
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

    /// A scenario that is there anyway, under a title that must be escaped.
    fn case() -> Case {
        let text = include_str!("../../scenarios/vmscope/pimd.toml");
        let text = text.replace("A backbone of", "<&> of");
        Case::of(text, Path::new("pimd.toml"), PathBuf::new()).unwrap()
    }

    fn picture(format: GraphFormat) -> String {
        let case = case();
        draw(&case, &build::topology::of(&case), None, format)
    }

    #[test]
    fn a_graph_for_graphviz() {
        insta::assert_snapshot!(picture(GraphFormat::Dot));
    }

    #[test]
    fn a_picture_is_well_formed_and_says_it_all() {
        let picture = picture(GraphFormat::Svg);
        for said in [
            "PE1",
            "PE2",
            "MON",
            "→PE2 loss 2%",
            "10.255.0.",
            "10.1.",
            "239.1.1.1",
            "&lt;&amp;&gt; of",
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
