//! The memory a sealed lab shares with its host: the only way in and out while virtual time runs.
//!
//! One file, mapped by the host and shown to the guest as an ivshmem PCI device. The host writes before the guest runs
//! and while it is paused, never while it runs: nothing asynchronous may enter. The guest writes while it runs, and
//! the host may look at any time. All numbers are little-endian `u64`.
//!
//! ```text
//! offset       size    what                                             written by
//! 0            8       magic "MVPNLAB1"                                 host
//! 8            8       state, see State                                 host 0, then guest
//! 16           8       seed of the run                                  host
//! 24, 32       8, 8    topology: offset, length (a tar)                 host
//! 40, 48       8, 8    job: offset, length (a tar)                      host
//! 56, 64       8, 8    output: offset, room                             host
//! 72           8       output: length (a tar, or text when failed)      guest
//! 80           8       log: bytes ever appended                         guest
//! 88, 96       8, 8    to the guest: bytes ever written, read           host, guest
//! 104, 112     8, 8    to the host: bytes ever written, read            guest, host
//! 120          8       1: the guest stopped in the middle of work       guest
//! 4 KiB        1 MiB   log ring: UTF-8 lines, each ended by \n          guest
//! then         1 MiB   ring to the guest                                host
//! then         4 MiB   ring to the host                                 guest
//! then         ...     topology, job, output, each on a page of its own
//! ```
//!
//! The two streams are for labs that people work in. In real time both sides write while the other runs; in virtual
//! time the rule stands, and the host writes, and takes, only while the guest is stopped.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// Size of the window, a power of two as a PCI BAR must be. Sparse: only what is written takes memory.
pub const WINDOW_BYTES: usize = 256 << 20;
/// PCI vendor and device of ivshmem, as sysfs writes them.
pub const PCI_ID: (&str, &str) = ("0x1af4", "0x1110");

const MAGIC: u64 = u64::from_le_bytes(*b"MVPNLAB1");
const PAGE: usize = 4096;
const RING_AT: usize = PAGE;
const RING_BYTES: usize = 1 << 20;
const TO_GUEST: Ring = Ring {
    written: word::TO_GUEST,
    at: RING_AT + RING_BYTES,
    bytes: 1 << 20,
};
const TO_HOST: Ring = Ring {
    written: word::TO_HOST,
    at: TO_GUEST.at + TO_GUEST.bytes,
    bytes: 4 << 20,
};
const DATA_AT: usize = TO_HOST.at + TO_HOST.bytes;

/// Offsets of the header's words.
mod word {
    pub const MAGIC: usize = 0;
    pub const STATE: usize = 8;
    pub const SEED: usize = 16;
    pub const TOPOLOGY: usize = 24;
    pub const JOB: usize = 40;
    pub const OUTPUT: usize = 56;
    pub const OUTPUT_LENGTH: usize = 72;
    pub const LOG_HEAD: usize = 80;
    pub const TO_GUEST: usize = 88;
    pub const TO_HOST: usize = 104;
    pub const BUSY: usize = 120;
}

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Written by the host.
    ToGuest,
    /// Written by the guest.
    ToHost,
}

/// Where a stream's bytes are on their way.
struct Ring {
    /// The word that counts bytes written; the next one counts bytes read.
    written: usize,
    at: usize,
    bytes: usize,
}

impl Stream {
    fn ring(self) -> &'static Ring {
        match self {
            Self::ToGuest => &TO_GUEST,
            Self::ToHost => &TO_HOST,
        }
    }
}

/// How far the guest has come; it rings the doorbell after each change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Booting.
    Booting,
    /// Booted; stopped until the topology is in place.
    Booted,
    /// Built and converged; stopped until the job is in place.
    Built,
    /// The run is over, the output is an archive.
    Done,
    /// Building failed, the output says why.
    BuildFailed,
    /// Running failed, the output says why.
    RunFailed,
    /// The guest itself failed, the output says why.
    GuestFailed,
}

impl State {
    const ALL: [Self; 7] = [
        Self::Booting,
        Self::Booted,
        Self::Built,
        Self::Done,
        Self::BuildFailed,
        Self::RunFailed,
        Self::GuestFailed,
    ];

    fn from_word(word: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as u64 == word)
    }
}

impl Ring {
    /// The bytes from the `position`-th ever on: up to the ring's end, and on from its beginning.
    fn parts(&self, position: u64, count: usize) -> (Range<usize>, Range<usize>) {
        let start = (position % self.bytes as u64) as usize;
        let first = count.min(self.bytes - start);
        (
            self.at + start..self.at + start + first,
            self.at..self.at + count - first,
        )
    }
}

/// A mapped window, on either side.
pub struct Window {
    base: NonNull<u8>,
    size: usize,
}

// SAFETY: the mapping is plain memory owned by this value; words are atomics, and areas are written by one side at a
// time (see the module's head).
unsafe impl Send for Window {}

impl Window {
    /// Maps `file` shared. It must be at least [`WINDOW_BYTES`] long.
    pub fn map(file: &File) -> io::Result<Self> {
        let size = NonZeroUsize::new(WINDOW_BYTES).ok_or(io::ErrorKind::InvalidInput)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a fresh mapping at an address of the kernel's choice; it is unmapped when the value is dropped.
        let base = unsafe { mmap(None, size, access, MapFlags::MAP_SHARED, file, 0) }?;
        Ok(Self {
            base: base.cast(),
            size: WINDOW_BYTES,
        })
    }

    // ---- host ----

    /// Lays out an empty window with the topology's archive.
    pub fn prepare(&self, topology: &[u8]) -> Result<(), TooLarge> {
        self.set(word::MAGIC, MAGIC);
        self.set(word::STATE, State::Booting as u64);
        self.place(word::TOPOLOGY, DATA_AT, topology)?;
        self.set_job(0, &[])
    }

    /// Places the seed and the job's archive; only while the guest does not run.
    pub fn set_job(&self, seed: u64, job: &[u8]) -> Result<(), TooLarge> {
        let (topology, length) = self.area(word::TOPOLOGY);
        let at = (topology + length).next_multiple_of(PAGE);
        self.set(word::SEED, seed);
        self.place(word::JOB, at, job)?;
        let output = (at + job.len()).next_multiple_of(PAGE);
        self.set(word::OUTPUT, output as u64);
        self.set(word::OUTPUT + 8, (self.size - output) as u64);
        Ok(())
    }

    /// The guest's state; none when the guest wrote nonsense.
    pub fn state(&self) -> Option<State> {
        State::from_word(self.get(word::STATE))
    }

    /// What the guest handed over.
    pub fn output(&self) -> Vec<u8> {
        let (at, room) = self.area(word::OUTPUT);
        let length = self.get(word::OUTPUT_LENGTH).min(room as u64) as usize;
        self.copy(at, length)
    }

    /// Whole log lines appended since `cursor`, which moves on. Lines overwritten before they were read are counted.
    pub fn log_since(&self, cursor: &mut u64) -> Vec<String> {
        let head = self.get(word::LOG_HEAD);
        let mut lines = Vec::new();
        if head.saturating_sub(*cursor) > RING_BYTES as u64 {
            let oldest = head - RING_BYTES as u64;
            lines.push(format!(
                "({} bytes of log were overwritten before they were read)",
                oldest - *cursor
            ));
            *cursor = oldest;
        }
        let bytes: Vec<u8> = (*cursor..head)
            .map(|at| self.byte(RING_AT + (at % RING_BYTES as u64) as usize))
            .collect();
        let whole = bytes
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        lines.extend(
            String::from_utf8_lossy(&bytes[..whole])
                .lines()
                .map(str::to_owned),
        );
        *cursor += whole as u64;
        lines
    }

    // ---- guest ----

    /// True when the host has laid the window out.
    pub fn is_prepared(&self) -> bool {
        self.get(word::MAGIC) == MAGIC
    }

    /// The topology's archive.
    pub fn topology(&self) -> Area<'_> {
        Area::new(self, self.area(word::TOPOLOGY))
    }

    /// The run's seed and the job's archive.
    pub fn job(&self) -> (u64, Area<'_>) {
        (self.get(word::SEED), Area::new(self, self.area(word::JOB)))
    }

    /// Where the output goes, to be written in place and then handed over by [`Window::finish_in_place`].
    pub fn room(&self) -> Area<'_> {
        Area::new(self, self.area(word::OUTPUT))
    }

    /// Hands over what was written into [`Window::room`], of which this is left.
    pub fn finish_in_place(&self, state: State, left: &Area<'_>) {
        let (_, room) = self.area(word::OUTPUT);
        self.set(word::OUTPUT_LENGTH, (room - left.len()) as u64);
        self.set(word::STATE, state as u64);
    }

    /// Appends a line to the log. Line breaks inside it stay, so it may be read as several lines.
    pub fn append_log(&self, line: &str) {
        let head = self.get(word::LOG_HEAD);
        let mut length = 0;
        for byte in line.bytes().chain([b'\n']) {
            self.set_byte(
                RING_AT + ((head + length) % RING_BYTES as u64) as usize,
                byte,
            );
            length += 1;
        }
        self.set(word::LOG_HEAD, head + length);
    }

    /// Hands over the output and a state. Output that does not fit becomes a failure that says so.
    pub fn finish(&self, state: State, output: &[u8]) {
        let (at, room) = self.area(word::OUTPUT);
        if output.len() > room {
            let text = format!(
                "the output is {} bytes, the window has room for {room}; observe less",
                output.len()
            );
            return self.finish(State::RunFailed, text.as_bytes());
        }
        self.write(at, output);
        self.set(word::OUTPUT_LENGTH, output.len() as u64);
        self.set(word::STATE, state as u64);
    }

    /// Says how far the guest has come; the host does so for a fork, whose window is new.
    pub fn set_state(&self, state: State) {
        self.set(word::STATE, state as u64);
    }

    /// Says whether the guest, when it stops now, has more to do.
    pub fn set_busy(&self, busy: bool) {
        self.set(word::BUSY, u64::from(busy));
    }

    // ---- both ----

    /// Whether the guest stopped in the middle of work.
    pub fn is_busy(&self) -> bool {
        self.get(word::BUSY) == 1
    }

    /// Appends what there is room for to a stream; returns how much that was.
    pub fn send(&self, stream: Stream, bytes: &[u8]) -> usize {
        let ring = stream.ring();
        let (written, read) = (self.get(ring.written), self.get(ring.written + 8));
        let taken = usize::try_from(written.wrapping_sub(read)).unwrap_or(usize::MAX);
        let count = bytes.len().min(ring.bytes.saturating_sub(taken));
        let (first, second) = ring.parts(written, count);
        self.write(first.start, &bytes[..first.len()]);
        self.write(second.start, &bytes[first.len()..count]);
        self.set(ring.written, written.wrapping_add(count as u64));
        count
    }

    /// Whether something in a stream has not been taken yet.
    pub fn is_waiting(&self, stream: Stream) -> bool {
        let ring = stream.ring();
        self.get(ring.written) != self.get(ring.written + 8)
    }

    /// Takes everything out of a stream.
    pub fn receive(&self, stream: Stream) -> Vec<u8> {
        let ring = stream.ring();
        let (written, read) = (self.get(ring.written), self.get(ring.written + 8));
        // The other side is not trusted: no more than a ring holds.
        let count = usize::try_from(written.wrapping_sub(read)).unwrap_or(usize::MAX);
        let (first, second) = ring.parts(read, count.min(ring.bytes));
        let mut bytes = self.copy(first.start, first.len());
        bytes.extend(self.copy(second.start, second.len()));
        self.set(ring.written + 8, written);
        bytes
    }

    fn place(&self, header: usize, at: usize, content: &[u8]) -> Result<(), TooLarge> {
        if at + content.len() > self.size {
            return Err(TooLarge {
                bytes: content.len(),
                room: self.size.saturating_sub(at),
            });
        }
        self.write(at, content);
        self.set(header, at as u64);
        self.set(header + 8, content.len() as u64);
        Ok(())
    }

    /// An area's offset and length, cut to what lies inside the window: the other side is not trusted.
    fn area(&self, header: usize) -> (usize, usize) {
        let at = self.get(header).min(self.size as u64) as usize;
        let length = self.get(header + 8).min((self.size - at) as u64) as usize;
        (at, length)
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        debug_assert!(offset.is_multiple_of(8) && offset < PAGE);
        // SAFETY: inside the mapping's first page, aligned, and AtomicU64 has no invalid values.
        unsafe { self.base.byte_add(offset).cast::<AtomicU64>().as_ref() }
    }

    fn get(&self, offset: usize) -> u64 {
        u64::from_le(self.word(offset).load(Ordering::Acquire))
    }

    fn set(&self, offset: usize, value: u64) {
        self.word(offset).store(value.to_le(), Ordering::Release);
    }

    fn byte(&self, offset: usize) -> u8 {
        debug_assert!(offset < self.size);
        // SAFETY: the ring lies inside the mapping.
        unsafe { self.base.byte_add(offset).read_volatile() }
    }

    fn set_byte(&self, offset: usize, value: u8) {
        debug_assert!(offset < self.size);
        // SAFETY: the ring lies inside the mapping.
        unsafe { self.base.byte_add(offset).write_volatile(value) }
    }

    fn copy(&self, at: usize, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.copy_to(at, &mut bytes);
        bytes
    }

    fn copy_to(&self, at: usize, bytes: &mut [u8]) {
        debug_assert!(at + bytes.len() <= self.size);
        // SAFETY: `area` keeps the range inside the mapping; the slice is as long.
        unsafe {
            std::ptr::copy_nonoverlapping(
                self.base.as_ptr().add(at),
                bytes.as_mut_ptr(),
                bytes.len(),
            )
        }
    }

    fn write(&self, at: usize, content: &[u8]) {
        debug_assert!(at + content.len() <= self.size);
        // SAFETY: the callers have checked that the range lies inside the mapping.
        unsafe {
            std::ptr::copy_nonoverlapping(
                content.as_ptr(),
                self.base.as_ptr().add(at),
                content.len(),
            )
        }
    }
}

/// A part of the window, read or written from its beginning on: what is large is not held twice.
pub struct Area<'a> {
    window: &'a Window,
    at: usize,
    end: usize,
}

impl<'a> Area<'a> {
    fn new(window: &'a Window, (at, length): (usize, usize)) -> Self {
        let end = at + length;
        Self { window, at, end }
    }

    /// Bytes that are left.
    pub fn len(&self) -> usize {
        self.end - self.at
    }

    /// Nothing is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl io::Read for Area<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = into.len().min(self.len());
        self.window.copy_to(self.at, &mut into[..count]);
        self.at += count;
        Ok(count)
    }
}

impl io::Write for Area<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.len());
        if count < bytes.len() {
            let text = format!(
                "the window has room for {} bytes more, and {} are to be written; observe less",
                self.len(),
                bytes.len()
            );
            return Err(io::Error::new(io::ErrorKind::StorageFull, text));
        }
        self.window.write(self.at, bytes);
        self.at += count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` and nothing borrows from it any more. Failing would only leak it.
        let _ = unsafe { munmap(self.base.cast(), self.size) };
    }
}

/// Input that does not fit into the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{bytes} bytes of input do not fit into the {room} bytes left in the window to the sealed lab; send smaller files (executables without debug information, say)"
)]
pub struct TooLarge {
    /// What was to be placed.
    pub bytes: usize,
    /// What there was room for.
    pub room: usize,
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    fn all(mut area: Area<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        area.read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn window() -> Window {
        let file = tempfile::tempfile().unwrap();
        file.set_len(WINDOW_BYTES as u64).unwrap();
        Window::map(&file).unwrap()
    }

    #[test]
    fn input_and_output_are_carried() {
        let window = window();
        assert!(!window.is_prepared());
        window.prepare(b"topology").unwrap();
        assert!(window.is_prepared());
        assert_eq!(window.state(), Some(State::Booting));
        assert_eq!(all(window.topology()), b"topology");
        window.set_job(7, b"job").unwrap();
        let (seed, job) = window.job();
        assert_eq!((seed, all(job)), (7, b"job".to_vec()));
        window.finish(State::Done, b"output");
        assert_eq!(
            (window.state(), window.output()),
            (Some(State::Done), b"output".to_vec())
        );
        assert_eq!(all(window.topology()), b"topology");
        assert_eq!(all(window.job().1), b"job");
    }

    #[test]
    fn output_is_written_in_place_and_never_beyond() {
        let window = window();
        window.prepare(b"topology").unwrap();
        window.set_job(7, b"job").unwrap();
        let mut room = window.room();
        let total = room.len();
        room.write_all(b"out").unwrap();
        room.write_all(b"put").unwrap();
        assert!(!room.is_empty());
        window.finish_in_place(State::Done, &room);
        assert_eq!(
            (window.state(), window.output()),
            (Some(State::Done), b"output".to_vec())
        );
        let error = window.room().write_all(&vec![0; total + 1]).unwrap_err();
        assert!(error.to_string().contains("has room for"), "{error}");
        assert_eq!(all(window.job().1), b"job");
    }

    #[test]
    fn input_too_large_is_refused_and_output_too_large_is_a_failure() {
        let window = window();
        window.prepare(b"").unwrap();
        assert!(window.set_job(0, &vec![0; WINDOW_BYTES]).is_err());
        window.set_job(0, &[]).unwrap();
        window.finish(State::Done, &vec![0; WINDOW_BYTES]);
        assert_eq!(window.state(), Some(State::RunFailed));
        assert!(
            String::from_utf8(window.output())
                .unwrap()
                .contains("has room for")
        );
    }

    #[test]
    fn lengths_from_the_other_side_are_not_trusted() {
        let window = window();
        window.prepare(b"x").unwrap();
        window.set(word::OUTPUT, u64::MAX);
        window.set(word::OUTPUT + 8, u64::MAX);
        window.set(word::OUTPUT_LENGTH, u64::MAX);
        assert_eq!(window.output(), b"");
        window.set(word::STATE, 99);
        assert_eq!(window.state(), None);
    }

    #[test]
    fn log_lines_come_whole_and_in_order() {
        let window = window();
        let mut cursor = 0;
        window.append_log("one");
        window.append_log("two\nthree");
        assert_eq!(window.log_since(&mut cursor), ["one", "two", "three"]);
        assert!(window.log_since(&mut cursor).is_empty());
        window.append_log("four");
        assert_eq!(window.log_since(&mut cursor), ["four"]);
    }

    #[test]
    fn streams_carry_bytes_in_order_round_and_round() {
        let window = window();
        let sent: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
        let (mut received, mut at) = (Vec::new(), 0);
        while received.len() < sent.len() {
            at += window.send(Stream::ToGuest, &sent[at..sent.len().min(at + 700_001)]);
            received.extend(window.receive(Stream::ToGuest));
        }
        assert!(received == sent);
        assert!(window.receive(Stream::ToHost).is_empty());
    }

    #[test]
    fn a_full_stream_takes_no_more_until_it_is_read() {
        let window = window();
        let much = vec![7; TO_GUEST.bytes + 1];
        assert_eq!(window.send(Stream::ToGuest, &much), TO_GUEST.bytes);
        assert_eq!(window.send(Stream::ToGuest, &much), 0);
        assert_eq!(window.receive(Stream::ToGuest).len(), TO_GUEST.bytes);
        assert_eq!(window.send(Stream::ToGuest, b"x"), 1);
    }

    #[test]
    fn nonsense_in_a_streams_words_stays_inside_the_ring() {
        let window = window();
        window.set(word::TO_HOST, u64::MAX - 3);
        assert_eq!(window.receive(Stream::ToHost).len(), TO_HOST.bytes);
        window.set(word::TO_HOST + 8, 5);
        assert_eq!(window.send(Stream::ToHost, b"x"), 0);
    }

    #[test]
    fn a_log_that_ran_over_says_how_much_is_gone() {
        let window = window();
        let line = "x".repeat(999);
        for _ in 0..1100 {
            window.append_log(&line);
        }
        let mut cursor = 0;
        let lines = window.log_since(&mut cursor);
        assert_eq!(
            lines[0],
            format!(
                "({} bytes of log were overwritten before they were read)",
                1_100_000 - RING_BYTES
            )
        );
        assert_eq!(lines.last(), Some(&line));
        assert!(window.log_since(&mut cursor).is_empty());
    }
}
