//! The cursors of a session: queries whose rows are read a few at a time, by name.
//!
//! A cursor reads its query as far as it is asked to. One that was declared with `SCROLL` keeps
//! every row that it has read; any other keeps only those of the batch that it is in.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use super::command::fetch::Direction;
use super::objects::CursorObject;
use crate::SqlError;
use crate::activity::now_micros;

/// Which ways a cursor goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scroll {
    Forward,
    Both,
}

/// How long a cursor lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    Transaction,
    Session,
}

/// What a cursor was declared as.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) scroll: Scroll,
    pub(crate) hold: Hold,
}

/// A session's cursors by name.
#[derive(Debug, Default)]
pub(crate) struct Cursors {
    open: BTreeMap<String, OpenCursor>,
}

impl Cursors {
    /// SQLSTATE 42P03 when there is one of this name.
    pub(crate) fn refuse_twice(&self, name: &str) -> Result<(), SqlError> {
        if !self.open.contains_key(name) {
            return Ok(());
        }
        Err(SqlError::Invalid {
            sqlstate: "42P03",
            message: format!("cursor \"{name}\" already exists"),
            hint: Some("CLOSE it first.".into()),
            position: None,
        })
    }

    /// The rows of `pg_cursors`.
    pub(crate) fn objects(&self) -> Vec<CursorObject> {
        let objects = self.open.values().map(|cursor| CursorObject {
            name: cursor.declared.name.clone(),
            statement: Arc::clone(&cursor.statement),
            is_holdable: cursor.declared.hold == Hold::Session,
            is_scrollable: cursor.declared.scroll == Scroll::Both,
            since: cursor.since,
        });
        objects.collect()
    }

    /// Adds a cursor; `depth` is the number of savepoints around it, `None` outside a block.
    pub(crate) fn open(
        &mut self,
        declared: Declared,
        statement: &str,
        batches: SendableRecordBatchStream,
        depth: Option<usize>,
    ) {
        let schema = batches.schema();
        let rows = Rows { stream: Mutex::new(Some(batches)), kept: VecDeque::new(), dropped: 0 };
        let (name, statement) = (declared.name.clone(), statement.into());
        let cursor =
            OpenCursor { declared, statement, since: now_micros(), schema, rows, on: 0, depth };
        self.open.insert(name, cursor);
    }

    pub(crate) fn get(&self, name: &str) -> Result<&OpenCursor, SqlError> {
        self.open.get(name).ok_or_else(|| unknown(name))
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Result<&mut OpenCursor, SqlError> {
        self.open.get_mut(name).ok_or_else(|| unknown(name))
    }

    pub(crate) fn close(&mut self, name: &str) -> Result<(), SqlError> {
        self.open.remove(name).map(|_| ()).ok_or_else(|| unknown(name))
    }

    pub(crate) fn close_all(&mut self) {
        self.open.clear();
    }

    /// A block has ended well: what is to be held stays.
    pub(crate) fn commit(&mut self) {
        self.open.retain(|_, cursor| cursor.declared.hold == Hold::Session);
        self.open.values_mut().for_each(|cursor| cursor.depth = None);
    }

    /// A block was rolled back: what was declared in it goes.
    pub(crate) fn rollback(&mut self) {
        self.open.retain(|_, cursor| cursor.depth.is_none());
    }

    /// A block was rolled back to its savepoint number `at`, from 0: what is younger goes.
    pub(crate) fn rollback_to(&mut self, at: usize) {
        self.open.retain(|_, cursor| cursor.depth.is_none_or(|depth| depth <= at));
    }

    /// The savepoint number `at` and all younger ones are no more.
    pub(crate) fn release(&mut self, at: usize) {
        for depth in self.open.values_mut().filter_map(|cursor| cursor.depth.as_mut()) {
            *depth = (*depth).min(at);
        }
    }
}

fn unknown(name: &str) -> SqlError {
    SqlError::Invalid {
        sqlstate: "34000",
        message: format!("cursor \"{name}\" does not exist"),
        hint: None,
        position: None,
    }
}

/// A cursor and where it is.
pub(crate) struct OpenCursor {
    declared: Declared,
    statement: Arc<str>,
    /// When it was opened, microseconds since the Unix epoch.
    since: i64,
    schema: SchemaRef,
    rows: Rows,
    /// The row that it is on, from 1; 0 is before the first, one more than there are is behind the
    /// last.
    on: usize,
    depth: Option<usize>,
}

impl fmt::Debug for OpenCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenCursor")
            .field("name", &self.declared.name)
            .field("on", &self.on)
            .finish()
    }
}

impl OpenCursor {
    /// The columns of its rows.
    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Goes on and gives the rows that it comes by.
    ///
    /// # Errors
    /// SQLSTATE 55000 for a way back without `SCROLL`, and whatever the query fails with.
    pub(crate) async fn go(&mut self, direction: Direction) -> Result<Vec<RecordBatch>, SqlError> {
        match direction {
            Direction::By(0) | Direction::Relative(0) => self.rows.between(self.on, self.on),
            Direction::By(count) if count > 0 => self.forward(to_usize(count)).await,
            Direction::By(count) => self.backward(to_usize(count)),
            Direction::ToEnd => self.forward(usize::MAX).await,
            Direction::ToStart => self.backward(usize::MAX),
            Direction::Relative(count) if count > 0 => {
                self.land(self.on.saturating_add(to_usize(count))).await
            }
            Direction::Relative(count) => self.land(self.on.saturating_sub(to_usize(count))).await,
            Direction::Absolute(row) if row >= 0 => self.land(to_usize(row)).await,
            Direction::Absolute(row) => {
                let count = self.rows.read_to(usize::MAX).await?;
                self.land((count + 1).saturating_sub(to_usize(row))).await
            }
        }
    }

    async fn forward(&mut self, count: usize) -> Result<Vec<RecordBatch>, SqlError> {
        let last = self.on.saturating_add(count);
        let read = self.rows.read_to(last).await?;
        let rows = self.rows.between(self.on + 1, last.min(read))?;
        self.set(if last > read { read + 1 } else { last });
        Ok(rows)
    }

    fn backward(&mut self, count: usize) -> Result<Vec<RecordBatch>, SqlError> {
        self.refuse_back()?;
        let first = self.on.saturating_sub(count);
        let rows = self.rows.between(first.max(1), self.on.saturating_sub(1))?;
        self.set(first);
        rows.iter().rev().map(reversed).collect()
    }

    /// Goes to one row and gives it, if there is one.
    async fn land(&mut self, row: usize) -> Result<Vec<RecordBatch>, SqlError> {
        if row < self.on {
            self.refuse_back()?;
        }
        let read = self.rows.read_to(row).await?;
        let row = row.min(read + 1);
        let rows = self.rows.between(row, row)?;
        self.set(row);
        Ok(rows)
    }

    fn set(&mut self, row: usize) {
        self.on = row;
        if self.declared.scroll == Scroll::Forward {
            self.rows.forget_before(row);
        }
    }

    fn refuse_back(&self) -> Result<(), SqlError> {
        match self.declared.scroll {
            Scroll::Both => Ok(()),
            Scroll::Forward => Err(SqlError::Invalid {
                sqlstate: "55000",
                message: "cursor can only scan forward".into(),
                hint: Some("Declare it with SCROLL option to enable backward scan.".into()),
                position: None,
            }),
        }
    }
}

/// A count without its sign.
fn to_usize(count: i64) -> usize {
    usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX)
}

fn reversed(batch: &RecordBatch) -> Result<RecordBatch, SqlError> {
    let rows = u32::try_from(batch.num_rows()).unwrap_or(u32::MAX);
    let order = UInt32Array::from_iter_values((0..rows).rev());
    Ok(take_record_batch(batch, &order).map_err(DataFusionError::from)?)
}

/// The rows of a query as far as they are read and not forgotten.
struct Rows {
    /// `None` at its end. The lock makes it shareable; nobody ever waits for it.
    stream: Mutex<Option<SendableRecordBatchStream>>,
    kept: VecDeque<RecordBatch>,
    /// Rows before the first of `kept`.
    dropped: usize,
}

impl Rows {
    fn read(&self) -> usize {
        self.dropped + self.kept.iter().map(RecordBatch::num_rows).sum::<usize>()
    }

    /// Reads on until so many rows are read or there are no more; gives how many there are now.
    async fn read_to(&mut self, count: usize) -> Result<usize, SqlError> {
        let mut read = self.read();
        let stream = self.stream.get_mut().unwrap_or_else(PoisonError::into_inner);
        while read < count
            && let Some(batches) = stream
        {
            match batches.next().await {
                Some(batch) => {
                    let batch = batch?;
                    read += batch.num_rows();
                    self.kept.push_back(batch);
                }
                None => *stream = None,
            }
        }
        Ok(read)
    }

    /// The rows from `first` to `last`, both from 1 and with it.
    fn between(&self, first: usize, last: usize) -> Result<Vec<RecordBatch>, SqlError> {
        let mut found = Vec::new();
        let mut before = self.dropped;
        for batch in &self.kept {
            let from = first.saturating_sub(1).max(before);
            let to = last.min(before + batch.num_rows());
            if first > 0 && from < to {
                found.push(batch.slice(from - before, to - from));
            }
            before += batch.num_rows();
        }
        Ok(found)
    }

    /// Forgets the batches that end before `row`.
    fn forget_before(&mut self, row: usize) {
        while let Some(first) = self.kept.front()
            && self.dropped + first.num_rows() < row
        {
            self.dropped += first.num_rows();
            self.kept.pop_front();
        }
    }
}
