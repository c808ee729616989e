//! A disk gets full while probe files are written: nothing is half there, all that is missing is counted, and it goes on when
//! there is room again. Real disks, in a mount namespace: root only, else skipped.

mod common;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant as WallInstant};

use common::disk::{Ballast, mount_thin, with_small_disk};
use common::{probe, start};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use vmscope_core::time::{Instant, Span};
use vmscope_store::{ClockAnchor, Health, ProbeFileLimits, ProbeFiles, Put};

const DISK_BYTES: u64 = 16 << 20;
/// Rows that are encoded and appended together.
const ROWS_AT_ONCE: u32 = 100_000;
const PATIENCE: Duration = Duration::from_secs(20);

/// A file for every so many rows; none is closed for its age.
const SMALL: ProbeFileLimits = ProbeFileLimits {
    bytes: 1,
    age: Span::from_s(1_000),
    queue_records: 2 * ROWS_AT_ONCE as usize,
};

fn open(directory: &Path, limits: ProbeFileLimits) -> ProbeFiles {
    ProbeFiles::open(directory.to_owned(), &start(7), limits).unwrap()
}

/// Puts probes of these numbers; how many were dropped.
fn put(files: &ProbeFiles, numbers: std::ops::Range<u32>) -> u64 {
    let dropped = numbers.filter(|seq| files.put(&probe(*seq)) == Put::Dropped);
    dropped.count() as u64
}

fn until(what: &str, files: &ProbeFiles, is_so: impl Fn(&Health) -> bool) {
    let began = WallInstant::now();
    while !is_so(&files.health()) {
        let waited = began.elapsed() < PATIENCE;
        assert!(waited, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_full(health: &Health) -> bool {
    let full = |why: &String| why.contains("No space left");
    health.failing.as_ref().is_some_and(full)
}

fn named(directory: &Path, end: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(directory).unwrap();
    let paths = all.map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|of| of == end))
        .collect();
    found.sort();
    found
}

/// The numbers in all files that are whole, each of which can be read to its end.
fn filed(directory: &Path) -> BTreeSet<u32> {
    let mut numbers = BTreeSet::new();
    for path in named(directory, "parquet") {
        for row in SerializedFileReader::new(File::open(&path).unwrap()).unwrap() {
            let number = row.unwrap().get_uint(7).unwrap();
            assert!(numbers.insert(number), "twice: {number}");
        }
    }
    numbers
}

fn said_to_be_dropped(path: &Path) -> String {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let all = reader.metadata().file_metadata().key_value_metadata();
    let found = all.unwrap().iter().find(|of| of.key == "vmscope.dropped");
    found.unwrap().value.clone().unwrap()
}

/// One whole file; its bytes.
fn begin(files: &ProbeFiles, directory: &Path) -> u64 {
    assert_eq!(put(files, 0..ROWS_AT_ONCE), 0);
    until("a first file", files, |h| h.written == 100_000);
    let whole = named(directory, "parquet");
    assert_eq!(whole.len(), 1);
    whole[0].metadata().unwrap().len()
}

#[test]
fn in_the_middle_of_a_file_all_waits_and_what_has_no_room_is_counted() {
    with_small_disk(DISK_BYTES, |disk| {
        let files = open(disk, SMALL);
        let bytes = begin(&files, disk);
        let ballast = Ballast::leaving(disk, bytes / 2);
        assert_eq!(put(&files, ROWS_AT_ONCE..2 * ROWS_AT_ONCE), 0);
        until("it is full", &files, is_full);
        // Part of it lies there, under the name of what is not whole.
        let part = named(disk, "open")[0].metadata().unwrap().len();
        assert!(0 < part && part < bytes, "{part} of {bytes}");
        let dropped = put(&files, 2 * ROWS_AT_ONCE..5 * ROWS_AT_ONCE);
        assert!(dropped >= 100_000, "{dropped}");
        let health = files.health();
        assert_eq!((health.written, health.dropped), (100_000, dropped));
        ballast.remove();
        until("it goes on", &files, |h| {
            h.failing.is_none() && h.written >= 200_000
        });
        let health = files.finish().unwrap();
        assert_eq!((health.dropped, health.failing), (dropped, None));
        assert_eq!(health.written + dropped, 500_000);
        let filed = filed(disk);
        assert_eq!(filed.len() as u64, health.written);
        assert!((0..2 * ROWS_AT_ONCE).all(|number| filed.contains(&number)));
        assert_eq!(named(disk, "open"), [] as [PathBuf; 0]);
        let whole = named(disk, "parquet");
        assert_eq!(said_to_be_dropped(&whole[0]), "0");
        assert_eq!(
            said_to_be_dropped(whole.last().unwrap()),
            dropped.to_string()
        );
    });
}

#[test]
fn before_the_last_bytes_of_a_file_it_is_made_whole_later() {
    with_small_disk(DISK_BYTES, |disk| {
        let large = ProbeFileLimits {
            bytes: u64::MAX,
            ..SMALL
        };
        let files = open(disk, large);
        // So many parts that what closes the file is more than the rest of a page.
        for part in 0..3 {
            let numbers = part * ROWS_AT_ONCE..(part + 1) * ROWS_AT_ONCE;
            assert_eq!(put(&files, numbers), 0);
            std::thread::sleep(Duration::from_millis(700));
        }
        let ballast = Ballast::leaving(disk, 0);
        files.handle_time(ClockAnchor {
            at_ns: Instant::ZERO + Span::from_s(2_000),
            realtime_minus_monotonic_ns: 0,
        });
        until("it is full", &files, is_full);
        assert_eq!(named(disk, "parquet"), [] as [PathBuf; 0]);
        ballast.remove();
        until("it is whole", &files, |h| h.written == 300_000);
        assert_eq!(filed(disk).len(), 300_000);
        let health = files.finish().unwrap();
        assert_eq!((health.dropped, health.failing), (0, None));
    });
}

#[test]
fn at_the_end_nothing_is_left_that_cannot_be_read() {
    with_small_disk(DISK_BYTES, |disk| {
        let files = open(disk, SMALL);
        let bytes = begin(&files, disk);
        let _ballast = Ballast::leaving(disk, bytes / 2);
        assert_eq!(put(&files, ROWS_AT_ONCE..2 * ROWS_AT_ONCE), 0);
        until("it is full", &files, is_full);
        assert_eq!(put(&files, 2 * ROWS_AT_ONCE..2 * ROWS_AT_ONCE + 10), 0);
        let health = files.finish().unwrap();
        assert!(is_full(&health), "{health:?}");
        assert_eq!((health.written, health.dropped), (100_000, 100_010));
        assert_eq!(filed(disk).len(), 100_000);
        assert_eq!(named(disk, "open"), [] as [PathBuf; 0], "it needs room");
    });
}

/// A thin volume takes everything, and has no room for it when it is to be made durable. The kernel says so once, and then
/// has forgotten what it could not write: another attempt would succeed, and leave a file with holes.
#[test]
fn what_the_kernel_could_not_write_is_in_no_whole_file() {
    with_small_disk(DISK_BYTES, |disk| {
        let Some((thin, _mounted)) = mount_thin(disk) else {
            return;
        };
        let files = open(&thin, SMALL);
        begin(&files, &thin);
        let ballast = Ballast::leaving(disk, 0);
        assert_eq!(put(&files, ROWS_AT_ONCE..2 * ROWS_AT_ONCE), 0);
        until("it is lost", &files, |h| h.dropped == 100_000);
        assert!(files.health().failing.is_some());
        assert_eq!(files.health().written, 100_000);
        ballast.remove();
        assert_eq!(put(&files, 2 * ROWS_AT_ONCE..3 * ROWS_AT_ONCE), 0);
        let health = files.finish().unwrap();
        assert_eq!((health.written, health.dropped), (200_000, 100_000));
        assert_eq!(health.failing, None);
        let filed = filed(&thin);
        assert_eq!(filed.len(), 200_000);
        assert!(!filed.contains(&ROWS_AT_ONCE));
        assert_eq!(named(&thin, "open"), [] as [PathBuf; 0]);
        let whole = named(&thin, "parquet");
        assert_eq!(said_to_be_dropped(whole.last().unwrap()), "100000");
    });
}
