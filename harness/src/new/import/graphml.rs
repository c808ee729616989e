//! GraphML (Brandes et al., 2002): nodes and edges, their attributes by declared keys.

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{Graph, Place};

/// Reads the first graph's nodes and edges; nested graphs' too.
pub fn read(text: &str) -> Result<Graph, String> {
    let mut reading = Reading::default();
    let mut reader = Reader::from_str(text);
    loop {
        let event = reader.read_event();
        let line = || {
            1 + text[..(reader.buffer_position() as usize).min(text.len())]
                .matches('\n')
                .count()
        };
        let event = event.map_err(|error| format!("line {}: {error}", line()))?;
        let done = reading
            .take(event)
            .map_err(|what| format!("line {}: {what}", line()))?;
        if done {
            break;
        }
    }
    match (reading.depth, reading.graphs) {
        (0, 0) => Err("there is no graph in it".to_owned()),
        (0, _) => Ok(reading.graph),
        _ => Err("it ends inside an element".to_owned()),
    }
}

#[derive(Default)]
struct Reading {
    graph: Graph,
    graphs: usize,
    depth: usize,
    /// Names of attributes by the ids that stand for them.
    keys: BTreeMap<String, String>,
    /// The node that is open.
    node: Option<String>,
    /// The attribute that is open.
    attribute: Option<String>,
    /// Its content so far.
    content: String,
}

impl Reading {
    /// True at the end.
    fn take(&mut self, event: Event) -> Result<bool, String> {
        match event {
            Event::Start(element) => {
                self.depth += 1;
                self.open(&element)?;
            }
            Event::Empty(element) => {
                self.open(&element)?;
                self.close(element.local_name().as_ref());
            }
            Event::End(element) => {
                self.depth = self.depth.saturating_sub(1);
                self.close(element.local_name().as_ref());
            }
            Event::Text(text) if self.attribute.is_some() => {
                self.content += &text.decode().map_err(|error| error.to_string())?;
            }
            Event::CData(text) if self.attribute.is_some() => {
                self.content += &text.decode().map_err(|error| error.to_string())?;
            }
            Event::GeneralRef(reference) if self.attribute.is_some() => {
                let name = reference.decode().map_err(|error| error.to_string())?;
                let character = match reference.resolve_char_ref() {
                    Ok(Some(character)) => Some(character.to_string()),
                    _ => quick_xml::escape::resolve_predefined_entity(&name).map(str::to_owned),
                };
                self.content += &character.ok_or(format!("&{name}; is not known"))?;
            }
            Event::Eof => return Ok(true),
            _ => {}
        }
        Ok(false)
    }

    fn open(&mut self, element: &BytesStart) -> Result<(), String> {
        let value = |name: &str| -> Result<Option<String>, String> {
            let attribute = element
                .try_get_attribute(name)
                .map_err(|error| error.to_string())?;
            let read = |attribute: quick_xml::events::attributes::Attribute| {
                String::from_utf8_lossy(&attribute.value).into_owned()
            };
            Ok(attribute.map(read))
        };
        let needed = |name: &str| {
            let kind = String::from_utf8_lossy(element.local_name().as_ref()).into_owned();
            value(name).and_then(|found| found.ok_or(format!("a {kind} has no {name}")))
        };
        match element.local_name().as_ref() {
            b"graph" => self.graphs += 1,
            // Editors declare keys without a name for what only they understand.
            b"key" => {
                if let Some(name) = value("attr.name")? {
                    self.keys.insert(needed("id")?, name);
                }
            }
            b"node" => {
                let id = needed("id")?;
                self.graph.nodes.insert(id.clone(), Place::default());
                self.node = Some(id);
            }
            b"edge" => self
                .graph
                .edges
                .push((needed("source")?, needed("target")?)),
            b"data" => {
                self.attribute = self.keys.get(&needed("key")?).cloned();
                self.content.clear();
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, element: &[u8]) {
        match element {
            b"node" => self.node = None,
            b"data" => {
                let attribute = self.attribute.take();
                let place = self
                    .node
                    .as_ref()
                    .and_then(|id| self.graph.nodes.get_mut(id));
                if let (Some(attribute), Some(place)) = (attribute, place) {
                    let content = std::mem::take(&mut self.content);
                    match attribute.as_str() {
                        "label" => place.label = Some(content),
                        "Latitude" => place.latitude = content.trim().parse().ok(),
                        "Longitude" => place.longitude = content.trim().parse().ok(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}
