//! Probes in Parquet files: what is put reads back, files change in time, and what cannot be written is counted.

mod common;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant as WallInstant};

use common::{probe, start, task, tunnel};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use vmscope_core::report::{Fate, ProbeRecord, Record, TaskState};
use vmscope_core::time::{Instant, Span};
use vmscope_store::{ClockAnchor, PROBE_FILE_SCHEMA, ProbeFileLimits, ProbeFiles, Put, StoreError};

const OFFSET: i64 = 1_767_225_600_000_000_000;
const PATIENCE: Duration = Duration::from_secs(20);

fn open(directory: &Path, limits: ProbeFileLimits) -> ProbeFiles {
    ProbeFiles::open(directory.to_owned(), &start(7), limits).unwrap()
}

fn moment(files: &ProbeFiles, s: u64) {
    files.handle_time(ClockAnchor {
        at_ns: Instant::ZERO + Span::from_s(s),
        realtime_minus_monotonic_ns: OFFSET,
    });
}

/// Files of the directory by name, those that are open apart.
fn listed(directory: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let all = std::fs::read_dir(directory).unwrap();
    let mut all: Vec<PathBuf> = all.map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all.into_iter()
        .partition(|path| path.extension().is_some_and(|end| end == "parquet"))
}

fn read(path: &Path) -> SerializedFileReader<File> {
    SerializedFileReader::new(File::open(path).unwrap()).unwrap()
}

fn rows(path: &Path) -> Vec<Row> {
    let rows = read(path).into_iter();
    rows.map(|row| row.unwrap()).collect()
}

fn metadata(path: &Path, key: &str) -> String {
    let reader = read(path);
    let all = reader.metadata().file_metadata().key_value_metadata();
    let found = all.unwrap().iter().find(|of| of.key == key);
    found.unwrap().value.clone().unwrap()
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = WallInstant::now();
    while !is_so() {
        assert!(
            began.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn of(record: &Record) -> &ProbeRecord {
    match record {
        Record::Probe(probe) => probe,
        other => panic!("{other:?} is no probe"),
    }
}

/// What a row must be, as Parquet's own reader shows it.
fn expected(probe: &ProbeRecord) -> Vec<Field> {
    let text = |text: &str| Field::Str(text.to_owned());
    let sent = probe.sent_ns.as_ns() as i64;
    let maybe = |value: Option<Field>| value.unwrap_or(Field::Null);
    vec![
        Field::UInt(7),
        Field::UInt(1),
        text("red"),
        Field::UInt(1),
        text("t1"),
        Field::UInt(2),
        text("t2"),
        Field::UInt(probe.seq),
        maybe(probe.interval.map(Field::ULong)),
        Field::Long(sent + OFFSET),
        Field::Long(sent),
        maybe(
            probe
                .received_ns
                .map(|at| Field::Long(at.as_ns() as i64 - sent)),
        ),
        Field::Bool(probe.fate == Fate::Lost),
        Field::UInt(probe.duplicates),
        Field::Bool(probe.reordered),
        Field::UInt(probe.late),
        Field::Bool(probe.warmup),
    ]
}

#[test]
fn what_is_put_reads_back_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(folder.path(), ProbeFileLimits::default());
    let named = [
        tunnel(1),
        tunnel(2),
        Record::TaskStarted(Box::new(task(TaskState::Running))),
    ];
    let probes: Vec<Record> = (0..250_000).map(probe).collect();
    for record in named.iter().chain(&probes) {
        assert_eq!(files.put(record), Put::Queued);
    }
    let health = files.finish().unwrap();
    assert_eq!((health.written, health.dropped), (250_000, 0), "{health:?}");
    let (whole, unfinished) = listed(folder.path());
    assert_eq!((whole.len(), unfinished.len()), (1, 0));
    let reader = read(&whole[0]);
    // More than one group of rows, each with its own part of every column.
    assert_eq!(reader.metadata().num_row_groups(), 3);
    let found = rows(&whole[0]);
    assert_eq!(found.len(), probes.len());
    for (row, put) in found.iter().zip(&probes) {
        let fields: Vec<Field> = row
            .get_column_iter()
            .map(|(_, field)| field.clone())
            .collect();
        // A timestamp with nanoseconds is shown as the integer that it is.
        assert_eq!(fields, expected(of(put)));
    }
    assert_eq!(metadata(&whole[0], "vmscope.session"), "7");
    assert_eq!(metadata(&whole[0], "vmscope.dropped"), "0");
}

/// Whoever changes the contract sees it here.
#[test]
fn the_schema_in_the_file_is_the_one_that_is_documented() {
    let folder = tempfile::tempdir().unwrap();
    let files = open(folder.path(), ProbeFileLimits::default());
    assert_eq!(files.put(&probe(1)), Put::Queued);
    files.finish().unwrap();
    let (whole, _) = listed(folder.path());
    let reader = read(&whole[0]);
    let mut printed = Vec::new();
    let schema = reader.metadata().file_metadata().schema();
    parquet::schema::printer::print_schema(&mut printed, schema);
    let printed = String::from_utf8(printed).unwrap();
    assert_eq!(printed, PROBE_FILE_SCHEMA);
    insta::assert_snapshot!(printed);
    let column = reader.metadata().row_group(0).column(0);
    assert_eq!(column.compression(), parquet::basic::Compression::SNAPPY);
}

#[test]
fn the_guide_names_every_column() {
    let guide = include_str!("../PARQUET.md");
    let columns = PROBE_FILE_SCHEMA
        .lines()
        .filter(|line| line.starts_with("  "));
    let names = columns.map(|line| {
        line.trim_end_matches(';')
            .split_whitespace()
            .nth(2)
            .unwrap()
    });
    let names: Vec<&str> = names.collect();
    assert_eq!(names.len(), 17);
    for name in names {
        let name = name.trim_end_matches(';');
        assert!(guide.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn an_open_file_says_so_and_becomes_whole_when_it_is_old_enough_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let limits = ProbeFileLimits {
        age: Span::from_s(10),
        ..ProbeFileLimits::default()
    };
    let files = open(folder.path(), limits);
    moment(&files, 100);
    assert_eq!(files.put(&probe(1)), Put::Queued);
    moment(&files, 101);
    until("a file is open", || !listed(folder.path()).1.is_empty());
    // This is what a monitor leaves that is killed now: a file that says it is open.
    moment(&files, 110);
    assert_eq!(files.put(&probe(2)), Put::Queued);
    std::thread::sleep(Duration::from_secs(1));
    let (whole, unfinished) = listed(folder.path());
    assert_eq!(whole, [] as [PathBuf; 0]);
    assert!(
        unfinished[0]
            .to_string_lossy()
            .ends_with("-000000.parquet.open")
    );
    moment(&files, 111);
    until("it is whole", || listed(folder.path()).0.len() == 1);
    // What comes then is in the next one.
    assert_eq!(files.put(&probe(3)), Put::Queued);
    assert_eq!(files.finish().unwrap().written, 3);
    let (whole, unfinished) = listed(folder.path());
    assert_eq!(unfinished, [] as [PathBuf; 0]);
    let counts: Vec<usize> = whole.iter().map(|path| rows(path).len()).collect();
    assert_eq!(counts, [2, 1]);
}

#[test]
fn a_file_that_is_large_enough_is_closed_and_no_row_is_in_two() {
    let folder = tempfile::tempdir().unwrap();
    let limits = ProbeFileLimits {
        bytes: 1,
        ..ProbeFileLimits::default()
    };
    let files = open(folder.path(), limits);
    for seq in 0..250_000 {
        assert_eq!(files.put(&probe(seq)), Put::Queued);
    }
    assert_eq!(files.finish().unwrap().written, 250_000);
    let (whole, _) = listed(folder.path());
    assert_eq!(whole.len(), 3, "a hundred thousand rows each, and the rest");
    let seqs = whole.iter().flat_map(|path| rows(path));
    let seqs: BTreeSet<String> = seqs
        .map(|row| row.get_column_iter().nth(7).unwrap().1.to_string())
        .collect();
    assert_eq!(seqs.len(), 250_000);
}

#[test]
fn what_cannot_be_written_waits_and_what_has_no_room_is_dropped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("probes");
    std::fs::create_dir(&directory).unwrap();
    let limits = ProbeFileLimits {
        queue_records: 100,
        ..ProbeFileLimits::default()
    };
    let files = open(&directory, limits);
    std::fs::remove_dir(&directory).unwrap();
    assert_eq!(files.put(&probe(0)), Put::Queued);
    moment(&files, 1);
    until("it fails", || files.health().failing.is_some());
    let why = files.health().failing.unwrap();
    assert!(
        why.contains("probes") && why.contains("No such file"),
        "{why}"
    );
    let dropped = (1..=200).filter(|seq| files.put(&probe(*seq)) == Put::Dropped);
    let dropped = dropped.count() as u64;
    assert_eq!((dropped, files.health().dropped), (100, 100));
    // Once there is room again, all that waited is written, and the file says what is missing.
    std::fs::create_dir(&directory).unwrap();
    until("it is written again", || files.health().failing.is_none());
    let health = files.finish().unwrap();
    assert_eq!((health.written, health.dropped), (101, 100));
    let (whole, _) = listed(&directory);
    assert_eq!(rows(&whole[0]).len(), 101);
    assert_eq!(metadata(&whole[0], "vmscope.dropped"), "100");
}

#[test]
fn an_end_does_not_wait_for_a_disk_that_stays_full() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("probes");
    std::fs::create_dir(&directory).unwrap();
    let files = open(&directory, ProbeFileLimits::default());
    std::fs::remove_dir(&directory).unwrap();
    for seq in 0..1_000 {
        assert_eq!(files.put(&probe(seq)), Put::Queued);
    }
    let health = files.finish().unwrap();
    assert_eq!((health.written, health.dropped), (0, 1_000));
    assert!(health.failing.is_some());
}

#[test]
fn a_directory_that_is_not_there_or_no_directory_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for directory in [folder.path().join("absent"), file] {
        let opened = ProbeFiles::open(directory, &start(7), ProbeFileLimits::default());
        let Err(error @ StoreError::ProbeFiles { .. }) = opened else {
            panic!("not refused");
        };
        let said = error.to_string();
        assert!(
            said.contains("[parquet]") && said.contains("file"),
            "{said}"
        );
    }
    let (whole, unfinished) = listed(folder.path());
    assert_eq!(
        (whole.len(), unfinished.len()),
        (0, 1),
        "nothing is left behind"
    );
}
