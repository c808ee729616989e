//! Rows to the bytes of a Parquet file, in memory.

use std::sync::Arc;

use parquet::basic::{Compression, Encoding};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::Result;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use rustc_hash::FxHashMap;
use vmscope_core::report::{Fate, ProbeRecord};

use crate::entry::SessionStart;

/// The files' layout, in Parquet's own words: a public contract. A row is one probe at one receiver, once its fate is
/// decided; rows stand in the order of that. Columns are only ever added.
///
/// `sent` is UTC, `sent_ns` the monotonic clock, which is the database's; `delay_ns` is their own clock's difference, and
/// null where the probe was lost. `interval` is null during warm-up. Numbers of tasks and tunnels are those of the
/// database. A file's metadata hold `vmscope.version`, `vmscope.session`, `vmscope.interface`, and `vmscope.dropped`: the
/// rows that were lost from the beginning of the session until the file was closed.
pub const SCHEMA: &str = "message probe {
  REQUIRED INT32 session (INTEGER(32,false));
  REQUIRED INT32 task (INTEGER(32,false));
  REQUIRED BYTE_ARRAY task_name (STRING);
  REQUIRED INT32 sender (INTEGER(32,false));
  REQUIRED BYTE_ARRAY sender_name (STRING);
  REQUIRED INT32 receiver (INTEGER(32,false));
  REQUIRED BYTE_ARRAY receiver_name (STRING);
  REQUIRED INT32 seq (INTEGER(32,false));
  OPTIONAL INT64 interval (INTEGER(64,false));
  REQUIRED INT64 sent (TIMESTAMP(NANOS,true));
  REQUIRED INT64 sent_ns;
  OPTIONAL INT64 delay_ns;
  REQUIRED BOOLEAN lost;
  REQUIRED INT32 duplicates (INTEGER(32,false));
  REQUIRED BOOLEAN reordered;
  REQUIRED INT32 late (INTEGER(32,false));
  REQUIRED BOOLEAN warmup;
}
";
/// Columns of which hardly two values are the same, but neighbours are near each other.
const RISING: [&str; 4] = ["seq", "interval", "sent", "sent_ns"];

/// Names of tasks and tunnels.
#[derive(Debug, Default)]
pub(super) struct Names {
    tasks: FxHashMap<u32, ByteArray>,
    tunnels: FxHashMap<u32, ByteArray>,
}

impl Names {
    pub(super) fn name_task(&mut self, number: u32, name: &str) {
        self.tasks.insert(number, name.into());
    }

    pub(super) fn name_tunnel(&mut self, number: u32, name: &str) {
        self.tunnels.insert(number, name.into());
    }

    /// Takes over what another has.
    pub(super) fn take(&mut self, other: &mut Names) {
        self.tasks.extend(other.tasks.drain());
        self.tunnels.extend(other.tunnels.drain());
    }

    fn task(&self, number: u32) -> ByteArray {
        self.tasks
            .get(&number)
            .cloned()
            .unwrap_or_else(|| ByteArray::from(""))
    }

    fn tunnel(&self, number: u32) -> ByteArray {
        self.tunnels
            .get(&number)
            .cloned()
            .unwrap_or_else(|| ByteArray::from(""))
    }
}

/// A row: a probe, and the time of day less the monotonic clock when it was taken.
pub(super) type Row = (ProbeRecord, i64);

/// A file's bytes, as they come about.
pub(super) struct Encoder {
    session: u32,
    writer: SerializedFileWriter<Vec<u8>>,
}

impl Encoder {
    pub(super) fn new(start: &SessionStart) -> Result<Encoder> {
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        let writer = SerializedFileWriter::new(Vec::new(), schema, properties(start))?;
        let session = start.session;
        Ok(Encoder { session, writer })
    }

    /// Adds rows; the bytes they have become, as far as they are ready.
    pub(super) fn add(&mut self, rows: &[Row], names: &Names) -> Result<Vec<u8>> {
        self.encode(rows, names)?;
        Ok(std::mem::take(self.writer.inner_mut()))
    }

    fn encode(&mut self, rows: &[Row], names: &Names) -> Result<()> {
        let mut group = Group {
            writer: self.writer.next_row_group()?,
            rows,
        };
        let session = self.session;
        // As in the schema.
        group.numbers(|_| session)?;
        group.numbers(|row| row.0.task)?;
        group.texts(|row| names.task(row.0.task))?;
        group.numbers(|row| row.0.sender)?;
        group.texts(|row| names.tunnel(row.0.sender))?;
        group.numbers(|row| row.0.receiver)?;
        group.texts(|row| names.tunnel(row.0.receiver))?;
        group.numbers(|row| row.0.seq)?;
        group.maybe_longs(|row| row.0.interval.map(|interval| interval as i64))?;
        group.longs(|(probe, offset)| (probe.sent_ns.as_ns() as i64).saturating_add(*offset))?;
        group.longs(|row| row.0.sent_ns.as_ns() as i64)?;
        group.maybe_longs(|row| delay_ns(&row.0))?;
        group.flags(|row| row.0.fate == Fate::Lost)?;
        group.numbers(|row| row.0.duplicates)?;
        group.flags(|row| row.0.reordered)?;
        group.numbers(|row| row.0.late)?;
        group.flags(|row| row.0.warmup)?;
        group.writer.close()?;
        Ok(())
    }

    /// The last bytes of the file.
    pub(super) fn finish(mut self, dropped: u64) -> Result<Vec<u8>> {
        self.writer
            .append_key_value_metadata(of("vmscope.dropped", dropped.to_string()));
        self.writer.into_inner()
    }
}

/// Rows, column by column.
struct Group<'a> {
    writer: SerializedRowGroupWriter<'a, Vec<u8>>,
    rows: &'a [Row],
}

impl Group<'_> {
    fn numbers(&mut self, of: impl Fn(&Row) -> u32) -> Result<()> {
        // Parquet's unsigned numbers have the bits of its signed ones.
        let values: Vec<i32> = self.rows.iter().map(|row| of(row) as i32).collect();
        self.column::<Int32Type>(&values, None)
    }

    fn longs(&mut self, of: impl Fn(&Row) -> i64) -> Result<()> {
        let values: Vec<i64> = self.rows.iter().map(of).collect();
        self.column::<Int64Type>(&values, None)
    }

    fn maybe_longs(&mut self, of: impl Fn(&Row) -> Option<i64>) -> Result<()> {
        let values: Vec<i64> = self.rows.iter().filter_map(&of).collect();
        let there: Vec<i16> = self
            .rows
            .iter()
            .map(|row| of(row).is_some().into())
            .collect();
        self.column::<Int64Type>(&values, Some(&there))
    }

    fn flags(&mut self, of: impl Fn(&Row) -> bool) -> Result<()> {
        let values: Vec<bool> = self.rows.iter().map(of).collect();
        self.column::<BoolType>(&values, None)
    }

    fn texts(&mut self, of: impl Fn(&Row) -> ByteArray) -> Result<()> {
        let values: Vec<ByteArray> = self.rows.iter().map(of).collect();
        self.column::<ByteArrayType>(&values, None)
    }

    /// The next column; where values may be missing, which are `there`.
    fn column<T: DataType>(&mut self, values: &[T::T], there: Option<&[i16]>) -> Result<()> {
        let column = self.writer.next_column()?;
        let mut column = column.ok_or_else(|| {
            parquet::errors::ParquetError::General("more columns than the schema has".to_owned())
        })?;
        column.typed::<T>().write_batch(values, there, None)?;
        column.close()
    }
}

fn delay_ns(probe: &ProbeRecord) -> Option<i64> {
    let received = probe.received_ns?.as_ns() as i64;
    Some(received - probe.sent_ns.as_ns() as i64)
}

fn properties(start: &SessionStart) -> WriterPropertiesPtr {
    let about = vec![
        of("vmscope.version", start.version.clone()),
        of("vmscope.session", start.session.to_string()),
        of("vmscope.interface", start.interface.clone()),
    ];
    let mut properties = WriterProperties::builder()
        .set_created_by(format!("vmscope {}", start.version))
        .set_compression(Compression::SNAPPY)
        .set_key_value_metadata(Some(about));
    for column in RISING {
        let column = ColumnPath::from(column);
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    let delay = ColumnPath::from("delay_ns");
    Arc::new(
        properties
            .set_column_dictionary_enabled(delay, false)
            .build(),
    )
}

fn of(key: &str, value: String) -> KeyValue {
    KeyValue::new(key.to_owned(), value)
}
