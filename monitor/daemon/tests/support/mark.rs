//! A mark in customers' payload, and the search for any piece of it.

use std::collections::HashSet;
use std::path::Path;

use rand::RngExt;

/// So many bytes in a row are a find: fewer may be chance.
pub const PIECE_BYTES: usize = 8;
const MARK_BYTES: usize = 96;
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Bytes that are nowhere else in the world.
pub struct Mark {
    pub bytes: Vec<u8>,
    pieces: Vec<(&'static str, usize, HashSet<Vec<u8>>)>,
}

impl Mark {
    /// Half of it is text, for texts would show it, and half any bytes.
    pub fn random() -> Mark {
        let mut dice = rand::rng();
        let text = (0..MARK_BYTES / 2).map(|_| LETTERS[dice.random_range(0..LETTERS.len())]);
        let mut bytes: Vec<u8> = text.collect();
        bytes.extend((0..MARK_BYTES / 2).map(|_| dice.random::<u8>()));
        Mark::of(bytes)
    }

    fn of(bytes: Vec<u8>) -> Mark {
        let mut pieces: Vec<(&'static str, usize, HashSet<Vec<u8>>)> = Vec::new();
        for (form, write) in FORMS {
            for piece in bytes.windows(PIECE_BYTES) {
                let piece = write(piece);
                // Numbers differ in their digits, and so do the lengths of lists of them.
                match pieces
                    .iter_mut()
                    .find(|(f, n, _)| (*f, *n) == (*form, piece.len()))
                {
                    Some((_, _, same)) => drop(same.insert(piece)),
                    None => pieces.push((form, piece.len(), HashSet::from([piece]))),
                }
            }
        }
        Mark { bytes, pieces }
    }

    /// Where a piece of the mark is in some bytes, in which form.
    pub fn find(&self, bytes: &[u8]) -> Option<(usize, &'static str)> {
        self.pieces.iter().find_map(|(form, length, pieces)| {
            let at = bytes
                .windows(*length)
                .position(|piece| pieces.contains(piece))?;
            Some((at, *form))
        })
    }

    /// Searches every file below a directory; those that hold a piece, and how many were searched.
    pub fn search(&self, directory: &Path) -> (Vec<String>, usize) {
        let (mut found, mut files) = (Vec::new(), 0);
        let mut directories = vec![directory.to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(&directory).unwrap() {
                let entry = entry.unwrap();
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    directories.push(entry.path());
                } else if kind.is_file() {
                    files += 1;
                    let bytes = std::fs::read(entry.path()).unwrap();
                    let place = |(at, form)| format!("{} at {at}: {form}", entry.path().display());
                    found.extend(self.find(&bytes).map(place));
                }
            }
        }
        (found, files)
    }
}

type Write = fn(&[u8]) -> Vec<u8>;

/// The forms in which bytes are written down: as they are, in hexadecimal digits, and as Rust and JSON write a list.
const FORMS: &[(&str, Write)] = &[
    ("as it is", <[u8]>::to_vec),
    ("in hexadecimal digits", |bytes| {
        digits(bytes, "").into_bytes()
    }),
    ("in hexadecimal digits with colons", |bytes| {
        digits(bytes, ":").into_bytes()
    }),
    ("as a list", |bytes| {
        let text = format!("{bytes:?}");
        text.as_bytes()[1..text.len() - 1].to_vec()
    }),
    ("as a list in JSON", |bytes| {
        let text = serde_json::to_string(bytes).unwrap();
        text.as_bytes()[1..text.len() - 1].to_vec()
    }),
];

fn digits(bytes: &[u8], between: &str) -> String {
    let each: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    each.join(between)
}
