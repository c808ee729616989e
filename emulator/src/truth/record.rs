//! `taps.bin`: what the wire room's one tap saw, as raw records.
//!
//! Layout, little endian. Header, 16 bytes: magic `MVLBTAPS`, version u16 = 1, snap length u16,
//! reserved u32 = 0. Then records until the end of the file, each 16 bytes and the captured frame:
//! stamp u64 (CLOCK_REALTIME, nanoseconds), tap u16 (wire number * 2 + side, a = 0, b = 1),
//! original length u16, captured length u16, direction u8 (0 = entered the wire here, 1 = left it
//! here), reserved u8 = 0. Records are in the order in which the kernel stored them.

use thiserror::Error;

use super::lane::Tap;

const MAGIC: [u8; 8] = *b"MVLBTAPS";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 16;
const RECORD_BYTES: usize = 16;

/// Which way a frame went through a tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The node at this end put it onto the wire.
    Entered,
    /// It left the wire towards the node at this end, after netem.
    Left,
}

/// One frame at one tap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// Kernel's stamp, CLOCK_REALTIME of the lab, nanoseconds.
    pub realtime_ns: u64,
    /// Where.
    pub tap: Tap,
    /// Which way.
    pub direction: Direction,
    /// Length of the frame on the wire, without FCS.
    pub original_bytes: u16,
    /// What was captured of it, from the Ethernet header on.
    pub frame: &'a [u8],
}

impl Record<'_> {
    /// Nothing of the frame was cut off.
    pub fn is_complete(&self) -> bool {
        self.frame.len() == usize::from(self.original_bytes)
    }
}

/// Why `taps.bin` could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecordError {
    /// Not a capture of ours.
    #[error(
        "reading the tap capture: it does not begin with MVLBTAPS version {VERSION}; it was written by another version of mvpnlab, so run the scenario again"
    )]
    NotACapture,
    /// The file ends inside a record.
    #[error(
        "reading the tap capture: record {index} at byte {at} is cut off; the lab did not finish writing it"
    )]
    Truncated {
        /// Number of the record, from 0.
        index: usize,
        /// Offset in the file.
        at: usize,
    },
    /// A field holds what no writer writes.
    #[error("reading the tap capture: record {index} at byte {at} has {field} = {value}")]
    Field {
        /// Number of the record, from 0.
        index: usize,
        /// Offset in the file.
        at: usize,
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: u64,
    },
}

/// Builds `taps.bin` in memory.
#[derive(Debug, Clone)]
pub struct RecordWriter {
    snap_bytes: u16,
    limit_bytes: usize,
    older: Vec<u8>,
    newer: Vec<u8>,
    older_records: u64,
    newer_records: u64,
    records: u64,
}

impl RecordWriter {
    /// An empty capture with this snap length in its header.
    pub fn new(snap_bytes: u16) -> Self {
        Self::newest(snap_bytes, usize::MAX)
    }

    /// One that keeps the newest records only: at least half, and at most all, of so many bytes.
    pub fn newest(snap_bytes: u16, limit_bytes: usize) -> Self {
        let mut newer = Vec::with_capacity(1 << 20);
        newer.extend_from_slice(&header(snap_bytes));
        Self {
            snap_bytes,
            limit_bytes,
            older: Vec::new(),
            newer,
            older_records: 0,
            newer_records: 0,
            records: 0,
        }
    }

    /// Appends a record.
    pub fn push(&mut self, record: &Record<'_>) {
        if self.newer.len() >= self.limit_bytes / 2 {
            std::mem::swap(&mut self.older, &mut self.newer);
            self.newer.clear();
            self.newer.extend_from_slice(&header(self.snap_bytes));
            (self.older_records, self.newer_records) = (self.newer_records, 0);
        }
        let captured = u16::try_from(record.frame.len()).unwrap_or(u16::MAX);
        let mut head = [0; RECORD_BYTES];
        head[..8].copy_from_slice(&record.realtime_ns.to_le_bytes());
        head[8..10].copy_from_slice(&record.tap.number().to_le_bytes());
        head[10..12].copy_from_slice(&record.original_bytes.to_le_bytes());
        head[12..14].copy_from_slice(&captured.to_le_bytes());
        head[14] = match record.direction {
            Direction::Entered => 0,
            Direction::Left => 1,
        };
        self.newer.extend_from_slice(&head);
        self.newer
            .extend_from_slice(&record.frame[..usize::from(captured)]);
        self.newer_records += 1;
        self.records += 1;
    }

    /// Records ever appended.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Records that are kept.
    pub fn kept(&self) -> u64 {
        self.older_records + self.newer_records
    }

    /// The file of what is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let older = self.older.get(HEADER_BYTES..).unwrap_or_default();
        let mut bytes = Vec::with_capacity(older.len() + self.newer.len());
        bytes.extend_from_slice(&self.newer[..HEADER_BYTES]);
        bytes.extend_from_slice(older);
        bytes.extend_from_slice(&self.newer[HEADER_BYTES..]);
        bytes
    }

    /// The same, of a writer that is done: of one that has kept everything, without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        match self.older.is_empty() {
            true => self.newer,
            false => self.to_bytes(),
        }
    }
}

fn header(snap_bytes: u16) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..10].copy_from_slice(&VERSION.to_le_bytes());
    header[10..12].copy_from_slice(&snap_bytes.to_le_bytes());
    header
}

/// Reads `taps.bin`.
#[derive(Debug, Clone)]
pub struct RecordReader<'a> {
    bytes: &'a [u8],
    at: usize,
    index: usize,
    snap_bytes: u16,
}

impl<'a> RecordReader<'a> {
    /// Checks the header.
    pub fn new(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let fits =
            bytes.len() >= HEADER_BYTES && bytes[..8] == MAGIC && u16_at(bytes, 8) == VERSION;
        if !fits {
            return Err(RecordError::NotACapture);
        }
        Ok(Self {
            bytes,
            at: HEADER_BYTES,
            index: 0,
            snap_bytes: u16_at(bytes, 10),
        })
    }

    /// The snap length it was captured with.
    pub fn snap_bytes(&self) -> u16 {
        self.snap_bytes
    }

    fn read(&mut self) -> Result<Record<'a>, RecordError> {
        let (index, at) = (self.index, self.at);
        let field = |field, value| RecordError::Field {
            index,
            at,
            field,
            value,
        };
        let rest = &self.bytes[at..];
        if rest.len() < RECORD_BYTES {
            return Err(RecordError::Truncated { index, at });
        }
        let captured = usize::from(u16_at(rest, 12));
        let Some(frame) = rest.get(RECORD_BYTES..RECORD_BYTES + captured) else {
            return Err(RecordError::Truncated { index, at });
        };
        let original_bytes = u16_at(rest, 10);
        if captured > usize::from(original_bytes) {
            return Err(field("captured length", captured as u64));
        }
        let direction = match rest[14] {
            0 => Direction::Entered,
            1 => Direction::Left,
            other => return Err(field("direction", u64::from(other))),
        };
        let mut stamp = [0; 8];
        stamp.copy_from_slice(&rest[..8]);
        self.at += RECORD_BYTES + captured;
        self.index += 1;
        Ok(Record {
            realtime_ns: u64::from_le_bytes(stamp),
            tap: Tap::from_number(u16_at(rest, 8)),
            direction,
            original_bytes,
            frame,
        })
    }
}

impl<'a> Iterator for RecordReader<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.at = self.bytes.len();
        }
        Some(read)
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::truth::lane::Side;

    fn sample() -> Vec<u8> {
        let mut writer = RecordWriter::new(256);
        writer.push(&Record {
            realtime_ns: 1_767_225_600_000_000_123,
            tap: Tap {
                wire: 3,
                side: Side::B,
            },
            direction: Direction::Left,
            original_bytes: 1500,
            frame: &[7; 256],
        });
        writer.push(&Record {
            realtime_ns: 5,
            tap: Tap {
                wire: 0,
                side: Side::A,
            },
            direction: Direction::Entered,
            original_bytes: 3,
            frame: &[1, 2, 3],
        });
        assert_eq!(writer.records(), 2);
        let bytes = writer.to_bytes();
        assert_eq!(writer.into_bytes(), bytes);
        bytes
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = sample();
        let reader = RecordReader::new(&bytes).unwrap();
        assert_eq!(reader.snap_bytes(), 256);
        let records: Vec<_> = reader.map(Result::unwrap).collect();
        assert_eq!(records.len(), 2);
        assert_eq!(
            records[0].tap,
            Tap {
                wire: 3,
                side: Side::B
            }
        );
        assert_eq!(records[0].direction, Direction::Left);
        assert!(!records[0].is_complete());
        assert_eq!(records[1].frame, [1, 2, 3]);
        assert!(records[1].is_complete());
    }

    #[test]
    fn the_newest_records_are_kept() {
        let mut writer = RecordWriter::newest(64, 2_000);
        for stamp in 0..1_000 {
            writer.push(&Record {
                realtime_ns: stamp,
                tap: Tap::from_number(0),
                direction: Direction::Entered,
                original_bytes: 10,
                frame: &[0; 10],
            });
            let bytes = writer.to_bytes();
            let kept: Vec<u64> = RecordReader::new(&bytes)
                .unwrap()
                .map(|record| record.unwrap().realtime_ns)
                .collect();
            assert_eq!(kept.len() as u64, writer.kept());
            assert!(bytes.len() <= 2_100, "{}", bytes.len());
            assert!(
                kept.len() as u64 > stamp.min(37),
                "{} of {stamp}",
                kept.len()
            );
            assert_eq!(kept.last(), Some(&stamp));
            assert!(kept.windows(2).all(|pair| pair[1] == pair[0] + 1));
        }
        assert_eq!(writer.records(), 1_000);
        assert_eq!(writer.to_bytes(), writer.into_bytes());
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let bytes = sample();
        for cut in 0..bytes.len() {
            let read =
                RecordReader::new(&bytes[..cut]).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let whole = [HEADER_BYTES, HEADER_BYTES + RECORD_BYTES + 256].contains(&cut);
            assert_eq!(read.is_ok(), whole, "cut at {cut}: {read:?}");
        }
        let mut wrong = bytes.clone();
        wrong[HEADER_BYTES + 14] = 2;
        let error = RecordReader::new(&wrong)
            .unwrap()
            .next()
            .unwrap()
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "reading the tap capture: record 0 at byte 16 has direction = 2"
        );
    }
}
