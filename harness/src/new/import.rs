//! Topologies from elsewhere: GraphML and GML, as the Internet Topology Zoo has them.

mod gml;
mod graphml;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::ROUTERS_MAX;
use super::sketch::{Link, Router, Sketch};

/// Length of a node's name, at most (scenarios' rule).
const NAME_MAX: usize = 10;
/// Light in fibre, km a second.
const FIBRE_KM_PER_S: f64 = 200_000.0;
const EARTH_RADIUS_KM: f64 = 6371.0;

/// A graph as its file has it.
#[derive(Debug, Default, PartialEq)]
struct Graph {
    /// By the file's own ids.
    nodes: BTreeMap<String, Place>,
    /// Pairs of ids.
    edges: Vec<(String, String)>,
}

/// A node.
#[derive(Debug, Default, Clone, PartialEq)]
struct Place {
    label: Option<String>,
    /// Degrees.
    latitude: Option<f64>,
    longitude: Option<f64>,
}

/// Reads a file; every node becomes a PE. Links whose length is not known get `delay`.
pub fn sketch(file: &Path, delay: &str) -> Result<Sketch, String> {
    let about = |what: String| format!("{}: {what}", file.display());
    let bytes = fs::read(file).map_err(|error| about(format!("cannot read it: {error}")))?;
    // Older files are in Latin-1; of a label, only what is ASCII matters here.
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}');
    let graph = match text.trim_start().starts_with('<') {
        true => graphml::read(text),
        false => gml::read(text),
    };
    let title = file.file_stem().unwrap_or_default().to_string_lossy();
    graph
        .and_then(|graph| routers(&graph, &title, delay))
        .map_err(about)
}

fn routers(graph: &Graph, title: &str, delay: &str) -> Result<Sketch, String> {
    if graph.nodes.len() < 2 {
        return Err(format!(
            "{} nodes: an MVPN needs two PEs",
            graph.nodes.len()
        ));
    }
    if graph.nodes.len() > ROUTERS_MAX as usize {
        return Err(format!(
            "{} nodes: a lab has room for {ROUTERS_MAX} PEs; keep one part of it",
            graph.nodes.len()
        ));
    }
    let names = names(graph);
    let pairs = pairs(graph)?;
    if let Some(lost) = unreached(graph, &pairs) {
        return Err(format!(
            "it is not connected: no way leads from the first node to {lost}; keep one part of it"
        ));
    }
    let links = pairs.iter().map(|(a, b)| Link {
        ends: format!("{}-{}", names[a], names[b]),
        delay: Some(
            length_km(&graph.nodes[a], &graph.nodes[b])
                .map_or_else(|| delay.to_owned(), |km| format!("{}us", delay_us(km))),
        ),
    });
    let pes = graph.nodes.iter().map(|(id, place)| Router {
        name: names[id].clone(),
        remark: place.said(),
    });
    let first = graph.nodes.keys().next().map(|id| names[id].clone());
    Ok(Sketch {
        title: format!("{title}: every node a PE"),
        routers: Vec::new(),
        links: links.collect(),
        pes: pes.collect(),
        monitor_at: first.unwrap_or_default(),
        // PEs in the middle of the backbone: a source specific tree each.
        rp: None,
    })
}

/// Links that are there, once each, the smaller id first. Loops and parallel links are left out.
fn pairs(graph: &Graph) -> Result<BTreeSet<(String, String)>, String> {
    let mut pairs = BTreeSet::new();
    for (a, b) in &graph.edges {
        for end in [a, b] {
            if !graph.nodes.contains_key(end) {
                return Err(format!("an edge leads to {end:?}, and no node has this id"));
            }
        }
        if a != b {
            pairs.insert((a.min(b).clone(), a.max(b).clone()));
        }
    }
    Ok(pairs)
}

/// A node that cannot be reached from the first.
fn unreached(graph: &Graph, pairs: &BTreeSet<(String, String)>) -> Option<String> {
    let mut reached: BTreeSet<&String> = graph.nodes.keys().take(1).collect();
    loop {
        let before = reached.len();
        for (a, b) in pairs {
            if reached.contains(a) || reached.contains(b) {
                reached.extend([a, b]);
            }
        }
        if reached.len() == before {
            break;
        }
    }
    graph
        .nodes
        .iter()
        .find(|(id, _)| !reached.contains(id))
        .map(|(id, place)| place.said().unwrap_or_else(|| id.clone()))
}

/// A name that scenarios allow for every node, alike its label, and no two alike.
fn names(graph: &Graph) -> BTreeMap<String, String> {
    let mut taken = BTreeSet::from(["MON".to_owned()]);
    graph
        .nodes
        .iter()
        .map(|(id, place)| {
            let label = place.said().unwrap_or_else(|| id.clone());
            let mut base: String = label
                .chars()
                .filter(char::is_ascii_alphanumeric)
                .skip_while(|c| !c.is_ascii_alphabetic())
                .take(NAME_MAX)
                .collect();
            if base.is_empty() {
                base = "N".to_owned();
            }
            let name = (1..)
                .map(|number: usize| match number {
                    1 => base.clone(),
                    _ => {
                        let suffix = number.to_string();
                        let kept = base.len().min(NAME_MAX - suffix.len());
                        format!("{}{suffix}", &base[..kept])
                    }
                })
                .find(|name| !taken.contains(name))
                .unwrap_or_else(|| base.clone());
            taken.insert(name.clone());
            (id.clone(), name)
        })
        .collect()
}

/// On the great circle (haversine formula).
fn length_km(a: &Place, b: &Place) -> Option<f64> {
    let radians =
        |place: &Place| Some((place.latitude?.to_radians(), place.longitude?.to_radians()));
    let ((lat_a, lon_a), (lat_b, lon_b)) = (radians(a)?, radians(b)?);
    let half = |from: f64, to: f64| ((to - from) / 2.0).sin().powi(2);
    let h = half(lat_a, lat_b) + lat_a.cos() * lat_b.cos() * half(lon_a, lon_b);
    Some(2.0 * EARTH_RADIUS_KM * h.sqrt().min(1.0).asin())
}

/// At least a microsecond: two nodes of one town.
fn delay_us(km: f64) -> u64 {
    ((km / FIBRE_KM_PER_S * 1e6).round() as u64).max(1)
}

impl Place {
    /// Its label in one line, if it says anything.
    fn said(&self) -> Option<String> {
        let words: Vec<&str> = self
            .label
            .iter()
            .flat_map(|label| label.split_whitespace())
            .collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::suite::Case;
    use std::path::PathBuf;

    const GML: &str = r#"
# made by hand
graph [
  directed 0
  label "Two towns"
  node [ id 0 label "New York" Longitude -74.00597 Latitude 40.71427 hyperedge 0 ]
  node [ id 1 label "Chicago, IL" Longitude -87.65005 Latitude 41.85003 ]
  node [ id 2 label "New York" ]
  edge [ source 0 target 1 LinkLabel "OC-192 [backup]" ]
  edge [ source 1 target 0 ]
  edge [ source 1 target 2 ]
  edge [ source 2 target 2 ]
]
"#;

    const GRAPHML: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key attr.name="Latitude" attr.type="double" for="node" id="d29"/>
  <key attr.name="Longitude" attr.type="double" for="node" id="d32"/>
  <key attr.name="label" attr.type="string" for="node" id="d33"/>
  <key attr.name="LinkLabel" attr.type="string" for="edge" id="d35"/>
  <graph edgedefault="undirected">
    <node id="0"><data key="d29">40.71427</data><data key="d32">-74.00597</data><data key="d33">New York</data></node>
    <node id="1"><data key="d29">41.85003</data><data key="d32">-87.65005</data><data key="d33">Chicago, IL</data></node>
    <node id="2"><data key="d33">New York</data></node>
    <edge source="0" target="1"><data key="d35">OC-192 &amp; more</data></edge>
    <edge source="1" target="0"/>
    <edge source="1" target="2"/>
    <edge source="2" target="2"/>
  </graph>
</graphml>
"#;

    #[test]
    fn both_formats_say_the_same() {
        assert_eq!(gml::read(GML), graphml::read(GRAPHML));
    }

    /// As drawing programs save GraphML, and as GML writes what is not ASCII.
    #[test]
    fn what_others_put_into_their_files_is_no_obstacle() {
        let drawn = r#"<graphml xmlns:y="http://www.yworks.com/xml/graphml">
  <key for="node" id="d0" yfiles.type="nodegraphics"/>
  <key attr.name="label" attr.type="string" for="node" id="d1"><default/></key>
  <graph edgedefault="directed" id="G">
    <data key="d9">nobody declared this</data>
    <node id="a"><data key="d1"/><data key="d0"><y:ShapeNode><y:Geometry x="1"/></y:ShapeNode></data></node>
    <node id="b"><data key="d1"><![CDATA[Bern & Biel]]></data></node>
    <edge id="e0" source="a" target="b"><data key="d0"/></edge>
  </graph>
</graphml>"#;
        let drawn = graphml::read(drawn).unwrap();
        assert_eq!(drawn.edges, [("a".to_owned(), "b".to_owned())]);
        assert_eq!(names(&drawn)["a"], "a");
        assert_eq!(drawn.nodes["b"].label.as_deref(), Some("Bern & Biel"));
        let escaped = r#"graph [ node [ id 1 label "Z&#252;rich" ] node [ id 2 label "AT&T" ] ]"#;
        let escaped = gml::read(escaped).unwrap();
        assert_eq!(escaped.nodes["1"].label.as_deref(), Some("Zürich"));
        assert_eq!(escaped.nodes["2"].label.as_deref(), Some("AT&T"));
    }

    #[test]
    fn a_graph_becomes_a_sound_scenario() {
        let text = routers(&gml::read(GML).unwrap(), "zoo", "3ms")
            .unwrap()
            .text();
        Case::of(text.clone(), Path::new("zoo.toml"), PathBuf::new()).unwrap();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let said = |text: &str| {
            gml::read(text)
                .and_then(|g| routers(&g, "x", "1ms"))
                .map(|_| ())
        };
        for (text, words) in [
            ("", "no graph"),
            ("graph [ node [ id 0 ] ]", "needs two"),
            ("graph [ node [ id 0 ] node [ id 1 ] ]", "not connected"),
            (&crowd(201), "201 nodes"),
            (
                "graph [ node [ id 0 ] node [ id 1 ] edge [ source 0 target 7 ] ]",
                "\"7\"",
            ),
            ("graph [ node [ id 0 ", "ends"),
            ("graph [ node [ label \"x", "ends"),
            ("graph ] [", "line 1"),
            ("graph [ node [ label 1 ] ]", "no id"),
        ] {
            let error = said(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        for (text, words) in [
            ("<a/>", "no graph"),
            ("<graphml><graph><node/></graph></graphml>", "no id"),
            ("<graphml><graph><node id='1'>", "ends"),
            ("<graphml><graph></node></graph></graphml>", "line"),
        ] {
            let error = graphml::read(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    fn crowd(nodes: usize) -> String {
        let nodes: String = (0..nodes).map(|id| format!("node [ id {id} ] ")).collect();
        format!("graph [ {nodes}]")
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_them_panic(text in "[ -~\n]{0,200}") {
            let _ = gml::read(&text);
            let _ = graphml::read(&text);
        }
    }
}
