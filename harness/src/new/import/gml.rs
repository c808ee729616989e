//! GML (Himsolt, 1997): keys and values, where a value may be a list of keys and values in brackets.

use quick_xml::escape::unescape;

use super::{Graph, Place};

/// A value.
enum Value<'a> {
    /// A number, or a string without its quotes.
    Plain(&'a str),
    List(Vec<(&'a str, Value<'a>)>),
}

/// Reads the first graph.
pub fn read(text: &str) -> Result<Graph, String> {
    let mut reader = Reader { text, at: 0 };
    let top = reader.list(0)?;
    let graph = top.into_iter().find_map(|(key, value)| match value {
        Value::List(entries) if key == "graph" => Some(entries),
        _ => None,
    });
    let mut found = Graph::default();
    for (key, value) in graph.ok_or("there is no graph in it")? {
        let Value::List(entries) = value else {
            continue;
        };
        let plain = |name: &str| {
            entries.iter().find_map(|(key, value)| match value {
                Value::Plain(text) if *key == name => Some((*text).to_owned()),
                _ => None,
            })
        };
        let needed = |name: &str| plain(name).ok_or(format!("a {key} has no {name}"));
        let number = |name: &str| plain(name).and_then(|text| text.parse().ok());
        match key {
            "node" => {
                let place = Place {
                    label: plain("label").map(|label| readable(&label)),
                    latitude: number("Latitude"),
                    longitude: number("Longitude"),
                };
                found.nodes.insert(needed("id")?, place);
            }
            "edge" => found.edges.push((needed("source")?, needed("target")?)),
            _ => {}
        }
    }
    Ok(found)
}

/// GML is ASCII: other characters stand in it as in SGML (`&#252;`). What is not understood stays as it is.
fn readable(label: &str) -> String {
    unescape(label).map_or_else(|_| label.to_owned(), |text| text.into_owned())
}

/// Deeper lists than these are nobody's topology.
const DEPTH_MAX: usize = 32;

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Keys and values up to the closing bracket, or at the top to the end.
    fn list(&mut self, depth: usize) -> Result<Vec<(&'a str, Value<'a>)>, String> {
        let mut entries = Vec::new();
        loop {
            let key = match self.word()? {
                None if depth == 0 => return Ok(entries),
                None => return Err("it ends inside a list".to_owned()),
                Some("]") if depth > 0 => return Ok(entries),
                Some(word) if word == "[" || word == "]" || word.starts_with('"') => {
                    return Err(self.here(&format!("a key was expected, {word} was found")));
                }
                Some(key) => key,
            };
            let value = match self.word()? {
                Some("[") if depth < DEPTH_MAX => Value::List(self.list(depth + 1)?),
                Some("[") => return Err(self.here("lists lie too deep")),
                Some("]") => return Err(self.here(&format!("{key} has no value"))),
                Some(word) => Value::Plain(word.trim_matches('"')),
                None => return Err(format!("it ends before the value of {key}")),
            };
            entries.push((key, value));
        }
    }

    /// A bracket, a string with its quotes, or a word; comments and blanks are skipped.
    fn word(&mut self) -> Result<Option<&'a str>, String> {
        loop {
            let rest = &self.text[self.at..];
            let blank = rest.len() - rest.trim_start().len();
            self.at += blank;
            let rest = &self.text[self.at..];
            if !rest.starts_with('#') {
                break;
            }
            self.at += rest.find('\n').unwrap_or(rest.len());
        }
        let rest = &self.text[self.at..];
        let length = match rest.chars().next() {
            None => return Ok(None),
            Some('[' | ']') => 1,
            Some('"') => rest[1..].find('"').ok_or("it ends inside a string")? + 2,
            Some(_) => rest
                .find(|c: char| c.is_whitespace() || matches!(c, '[' | ']' | '"'))
                .unwrap_or(rest.len()),
        };
        self.at += length;
        Ok(Some(&rest[..length]))
    }

    fn here(&self, what: &str) -> String {
        let line = 1 + self.text[..self.at].matches('\n').count();
        format!("line {line}: {what}")
    }
}
