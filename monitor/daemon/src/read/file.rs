//! A capture as a stream of frames: pcapng or pcap, of a file or a pipe, in bounded memory.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Chain, Cursor, ErrorKind, Read};
use std::path::Path;
use std::time::Duration;

use pcap_file::pcap::{PcapReadError, PcapReader, PcapTsResolution};
use pcap_file::pcapng::blocks::interface_statistics::InterfaceStatisticsOption;
use pcap_file::pcapng::{Block, PcapNgReadError, PcapNgReader, PcapNgState};

use super::error::ReadError;

/// The longest block or packet that is read: also the size of the one buffer.
const BLOCK_BYTES_MAX: usize = 8 << 20;
/// Interfaces of one section that are remembered at most.
const INTERFACES_MAX: usize = 4_096;
/// How pcapng begins, in either byte order.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// How pcap begins: microseconds and nanoseconds, in both byte orders.
const PCAP: [[u8; 4]; 4] = [
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x4d, 0x3c, 0xb2, 0xa1],
];
/// What to do about anything else.
const WHAT_IS_READ: &str = "give a pcapng or pcap file";
/// The file name that stands for standard input.
const STDIN: &str = "-";

/// What was sniffed at, and the rest.
type Input = Chain<Cursor<Vec<u8>>, Box<dyn Read>>;

/// A captured frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When, UTC in nanoseconds; absent where the file does not say (pcapng's Simple Packet Block).
    pub stamp_ns: Option<u64>,
    /// The interface it was captured on, by its number in the file.
    pub interface: u32,
    /// libpcap's number of the link type.
    pub link_type: u32,
    /// As much of it as was captured.
    pub bytes: Cow<'a, [u8]>,
}

/// What comes next in a capture.
pub enum Next<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// Something else.
    Other,
    /// Nothing: it was read to its end.
    End,
}

/// An open capture.
pub struct CaptureFile {
    name: String,
    reader: Reader,
    frames: u64,
    damaged: u64,
    dropped: Drops,
}

enum Reader {
    Pcapng(PcapNgReader<Input>),
    Pcap(PcapReader<Input>),
}

/// What those who captured say that they lost: pcapng's statistics are totals of an interface, and the last ones count.
#[derive(Debug, Default)]
struct Drops {
    of_earlier_sections: u64,
    /// By interface.
    of_this: Vec<u64>,
}

impl CaptureFile {
    /// Opens a capture; `-` is standard input.
    pub fn open(path: &Path) -> Result<CaptureFile, ReadError> {
        let name = path.display().to_string();
        if name == STDIN {
            return CaptureFile::of("standard input".to_owned(), Box::new(io::stdin()));
        }
        match File::open(path) {
            Ok(file) => CaptureFile::of(name, Box::new(file)),
            Err(source) => Err(ReadError::Open { name, source }),
        }
    }

    /// Reads from anything; `name` is for messages.
    pub fn of(name: String, mut input: Box<dyn Read>) -> Result<CaptureFile, ReadError> {
        let mut begin = Vec::new();
        let sniffed = input.as_mut().take(4).read_to_end(&mut begin);
        if let Err(source) = sniffed {
            return Err(ReadError::Open { name, source });
        }
        let is_pcapng = begin == PCAPNG;
        if !is_pcapng && !PCAP.iter().any(|magic| begin == magic) {
            return Err(no_capture(name, &begin));
        }
        let input = Cursor::new(begin).chain(input);
        let reader = match is_pcapng {
            true => PcapNgReader::with_capacity(input, BLOCK_BYTES_MAX)
                .map(Reader::Pcapng)
                .map_err(|error| of_pcapng(&name, 0, error)),
            false => PcapReader::with_capacity(input, BLOCK_BYTES_MAX)
                .map(Reader::Pcap)
                .map_err(|error| of_pcap(&name, 0, error)),
        }?;
        Ok(CaptureFile {
            name,
            reader,
            frames: 0,
            damaged: 0,
            dropped: Drops::default(),
        })
    }

    /// Blocks that were left out because they make no sense, though the file goes on behind them.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Packets that were lost by those who captured, as far as they say so.
    pub fn dropped(&self) -> u64 {
        let Drops {
            of_earlier_sections,
            of_this,
        } = &self.dropped;
        of_this.iter().fold(*of_earlier_sections, |sum, drops| {
            sum.saturating_add(*drops)
        })
    }

    /// What comes next. An error is the end: reading on makes no sense.
    pub fn poll_next(&mut self) -> Result<Next<'_>, ReadError> {
        let (name, frames) = (&self.name, self.frames);
        let next = match &mut self.reader {
            Reader::Pcapng(reader) => match reader.next_raw_block() {
                None => Next::End,
                Some(Err(error)) => return Err(of_pcapng(name, frames, error)),
                Some(Ok((raw, state))) => {
                    if state.interfaces().len() > INTERFACES_MAX {
                        let problem =
                            format!("a section has more than {INTERFACES_MAX} interfaces");
                        return Err(damaged(name, frames, problem));
                    }
                    match raw.try_into_block(state) {
                        Ok(block) => of_block(block, state, &mut self.dropped),
                        Err(_) => {
                            self.damaged += 1;
                            Next::Other
                        }
                    }
                }
            },
            Reader::Pcap(reader) => {
                let header = reader.header();
                match reader.next_raw_packet() {
                    None => Next::End,
                    Some(Err(error)) => return Err(of_pcap(name, frames, error)),
                    Some(Ok(packet)) => {
                        let fraction_ns = match header.ts_resolution {
                            PcapTsResolution::MicroSecond => u64::from(packet.ts_frac) * 1_000,
                            PcapTsResolution::NanoSecond => u64::from(packet.ts_frac),
                        };
                        Next::Frame(Frame {
                            stamp_ns: Some(u64::from(packet.ts_sec) * 1_000_000_000 + fraction_ns),
                            interface: 0,
                            link_type: header.datalink.into(),
                            bytes: packet.data,
                        })
                    }
                }
            }
        };
        self.frames += u64::from(matches!(next, Next::Frame(_)));
        Ok(next)
    }
}

fn of_block<'a>(block: Block<'a>, state: &PcapNgState, dropped: &mut Drops) -> Next<'a> {
    let frame = |interface: u32, stamp: Option<Duration>, bytes| {
        let described = state.interfaces().get(interface as usize)?;
        Some(Frame {
            stamp_ns: stamp.and_then(nanoseconds),
            interface,
            link_type: described.linktype.into(),
            bytes,
        })
    };
    let frame = match block {
        Block::EnhancedPacket(packet) => {
            frame(packet.interface_id, Some(packet.timestamp), packet.data)
        }
        Block::SimplePacket(packet) => frame(0, None, packet.data),
        Block::Packet(packet) => frame(
            u32::from(packet.interface_id),
            Some(packet.timestamp),
            packet.data,
        ),
        Block::InterfaceStatistics(statistics) => {
            dropped.note(statistics.interface_id, &statistics.options);
            None
        }
        Block::SectionHeader(_) => {
            dropped.begin_section();
            None
        }
        // The reader keeps interfaces in mind by itself; of the rest nothing is wanted.
        Block::InterfaceDescription(_)
        | Block::NameResolution(_)
        | Block::SystemdJournalExport(_)
        | Block::CustomCopiable(_)
        | Block::CustomNonCopiable(_)
        | Block::Unknown(_) => None,
    };
    frame.map_or(Next::Other, Next::Frame)
}

/// Nothing for a time that is not within the core's reckoning, which ends in the year 2262.
fn nanoseconds(stamp: Duration) -> Option<u64> {
    let ns = i64::try_from(stamp.as_nanos()).ok()?;
    Some(ns.unsigned_abs())
}

impl Drops {
    fn note(&mut self, interface: u32, options: &[InterfaceStatisticsOption<'_>]) {
        let lost = options.iter().map(|option| match option {
            InterfaceStatisticsOption::IsbIfDrop(count)
            | InterfaceStatisticsOption::IsbOsDrop(count) => *count,
            InterfaceStatisticsOption::IsbStartTime(_)
            | InterfaceStatisticsOption::IsbEndTime(_)
            | InterfaceStatisticsOption::IsbIfRecv(_)
            | InterfaceStatisticsOption::IsbFilterAccept(_)
            | InterfaceStatisticsOption::IsbUsrDeliv(_)
            | InterfaceStatisticsOption::Common(_) => 0,
        });
        let at = interface as usize;
        if at >= INTERFACES_MAX {
            return;
        }
        if at >= self.of_this.len() {
            self.of_this.resize(at + 1, 0);
        }
        self.of_this[at] = lost.fold(0, u64::saturating_add);
    }

    fn begin_section(&mut self) {
        for count in self.of_this.drain(..) {
            self.of_earlier_sections = self.of_earlier_sections.saturating_add(count);
        }
    }
}

fn no_capture(name: String, begin: &[u8]) -> ReadError {
    let (found, remedy) = match begin {
        [] => ("it is empty".to_owned(), WHAT_IS_READ),
        [0x1f, 0x8b, ..] => (
            "it is compressed".to_owned(),
            "decompress it first, as in `gunzip -c FILE | vmscope read -`",
        ),
        [0x28, 0xb5, 0x2f, 0xfd] => (
            "it is compressed".to_owned(),
            "decompress it first, as in `zstd -dc FILE | vmscope read -`",
        ),
        other => {
            let digits: Vec<String> = other.iter().map(|byte| format!("{byte:02x}")).collect();
            (format!("it begins with {}", digits.join(" ")), WHAT_IS_READ)
        }
    };
    ReadError::NotACapture {
        name,
        found,
        remedy,
    }
}

fn of_pcapng(name: &str, frames: u64, error: PcapNgReadError) -> ReadError {
    match error {
        PcapNgReadError::Io(source) => of_io(name, frames, source),
        PcapNgReadError::InvalidFormat(error) => damaged(name, frames, in_full(&error)),
        PcapNgReadError::BlockConversion(error) => damaged(name, frames, in_full(&error)),
        PcapNgReadError::StateUpdate(error) => damaged(name, frames, in_full(&error)),
    }
}

fn of_pcap(name: &str, frames: u64, error: PcapReadError) -> ReadError {
    match error {
        PcapReadError::Io(source) => of_io(name, frames, source),
        PcapReadError::Validation(error) => damaged(name, frames, in_full(&error)),
    }
}

fn of_io(name: &str, frames: u64, source: io::Error) -> ReadError {
    let name = name.to_owned();
    match source.kind() {
        ErrorKind::UnexpectedEof => ReadError::EndsEarly {
            name,
            frames,
            most: BLOCK_BYTES_MAX,
        },
        _ => ReadError::Io {
            name,
            frames,
            source,
        },
    }
}

fn damaged(name: &str, frames: u64, problem: String) -> ReadError {
    ReadError::Damaged {
        name: name.to_owned(),
        frames,
        problem,
    }
}

/// An error and what is behind it, in words.
fn in_full(error: &dyn std::error::Error) -> String {
    let behind = std::iter::successors(error.source(), |error| error.source());
    let words = std::iter::once(error.to_string()).chain(behind.map(ToString::to_string));
    words.collect::<Vec<_>>().join(": ")
}
