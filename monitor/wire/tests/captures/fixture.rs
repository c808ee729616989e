//! Reads the fixtures: `link N`, `bytes HEX…`, `field NAME VALUES,…`; `#` begins provenance. With `link` a
//! packet begins; most files have one.

use std::collections::BTreeMap;
use std::path::Path;

/// Values of a field in the order in which a packet has them, under tshark's names.
pub type Fields = BTreeMap<String, Vec<String>>;

/// A packet, and what tshark says of it.
pub struct Fixture {
    pub name: String,
    pub link: i32,
    pub bytes: Vec<u8>,
    pub fields: Fields,
}

impl Fixture {
    /// All fixtures, by name.
    pub fn all() -> Vec<Self> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
        let entries = std::fs::read_dir(directory).expect("the fixtures' directory");
        let mut paths: Vec<_> = entries
            .map(|entry| entry.expect("an entry").path())
            .collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
        paths.sort();
        paths.iter().flat_map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Vec<Self> {
        let name = path.file_stem().expect("a name").to_string_lossy();
        let text = std::fs::read_to_string(path).expect("a readable fixture");
        let mut packets = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if line.starts_with("link ") {
                packets.push(Self {
                    name: name.clone().into_owned(),
                    link: -1,
                    bytes: Vec::new(),
                    fields: Fields::new(),
                });
            }
            let packet = packets.last_mut().expect("a link type first");
            packet.take(line);
        }
        packets
    }

    fn take(&mut self, line: &str) {
        let (key, value) = line.split_once(' ').expect("a key and a value");
        match key {
            "link" => self.link = value.parse().expect("a link type"),
            "bytes" => {
                let byte = |hex| u8::from_str_radix(hex, 16).expect("a hexadecimal byte");
                self.bytes.extend(value.split(' ').map(byte));
            }
            "field" => {
                let (name, values) = value.split_once(' ').expect("a field and its values");
                let values = values.split(',').map(str::to_owned).collect();
                self.fields.insert(name.to_owned(), values);
            }
            other => panic!("{}: what is {other:?}?", self.name),
        }
    }
}
