//! A growing table of one source as a list of Arrow batches, cheap to add to and cheap to share.
//!
//! Each commit adds a small batch; small ones are merged, sixteen of a size at a time, until they
//! have 8,192 rows, so that each row is copied a few times and a table of n rows has about
//! n / 8192 chunks and a few dozen small ones.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{concat_batches, max, min};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;

/// Chunks of this many rows are not merged any more.
const FULL: usize = 8192;
/// So many chunks of a tier are merged into one.
const FAN_IN: usize = 16;

/// The least and the greatest value of a column.
pub type Range = Option<(i64, i64)>;

/// A batch and what is known of it without reading it.
#[derive(Debug)]
pub struct Chunk {
    /// The rows.
    pub batch: RecordBatch,
    /// Range of `frame_number`, if the table has it.
    pub frame_numbers: Range,
    /// Range of `ts`, microseconds since the Unix epoch, if the table has it.
    pub ts_micros: Range,
    pub(crate) derived: Derived,
}

/// What somebody has worked out of rows, which never change: kept as long as they are.
#[derive(Default)]
pub(crate) struct Derived {
    asked: AtomicBool,
    value: OnceLock<Option<Arc<dyn Any + Send + Sync>>>,
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Derived").field("is_made", &self.value.get().is_some()).finish()
    }
}

impl Derived {
    /// What `make` gives, which is asked once. The first caller gets nothing and makes nothing: rows
    /// that are looked at once are not worth it.
    pub(crate) fn the_second_time<T: Send + Sync + 'static>(
        &self,
        make: impl FnOnce() -> Option<T>,
    ) -> Option<Arc<T>> {
        if !self.asked.swap(true, Ordering::Relaxed) {
            return None;
        }
        let made = self.value.get_or_init(|| make().map(|made| Arc::new(made) as _));
        Arc::clone(made.as_ref()?).downcast().ok()
    }
}

impl Chunk {
    /// Looks at a batch.
    pub fn new(batch: RecordBatch) -> Self {
        let frame_numbers = batch.column_by_name("frame_number").and_then(|column| {
            let column = column.as_primitive_opt::<Int64Type>()?;
            Some((min(column)?, max(column)?))
        });
        let ts_micros = batch.column_by_name("ts").and_then(|column| {
            let column = column.as_primitive_opt::<TimestampMicrosecondType>()?;
            Some((min(column)?, max(column)?))
        });
        Self { batch, frame_numbers, ts_micros, derived: Derived::default() }
    }

    fn tier(&self) -> u32 {
        match self.batch.num_rows() {
            rows if rows >= FULL => u32::MAX,
            rows => rows.max(1).ilog(FAN_IN),
        }
    }
}

/// The chunks of one table of one source, in the order of their commits.
#[derive(Clone, Debug, Default)]
pub struct Chunks {
    chunks: Vec<Arc<Chunk>>,
    rows: usize,
}

impl Chunks {
    /// Adds a batch; an empty one changes nothing.
    ///
    /// # Errors
    /// When the batches do not have one schema.
    pub fn push(&mut self, batch: RecordBatch) -> Result<(), ArrowError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rows += batch.num_rows();
        self.chunks.push(Arc::new(Chunk::new(batch)));
        self.merge()
    }

    fn merge(&mut self) -> Result<(), ArrowError> {
        // A run that merges can make the next tier's run long enough, so go on until none does.
        while let Some(start) = self.run_to_merge() {
            let run = &self.chunks[start..];
            let schema = run[0].batch.schema();
            let merged = concat_batches(&schema, run.iter().map(|chunk| &chunk.batch))?;
            self.chunks.truncate(start);
            self.chunks.push(Arc::new(Chunk::new(merged)));
        }
        Ok(())
    }

    /// Where the trailing run begins that is due to be merged: sixteen chunks in a row that are
    /// no larger than a tier.
    fn run_to_merge(&self) -> Option<usize> {
        let largest = FULL.ilog(FAN_IN);
        (0..=largest).find_map(|tier| {
            let run = self.chunks.iter().rev().take_while(|chunk| chunk.tier() <= tier).count();
            (run >= FAN_IN).then(|| self.chunks.len() - run)
        })
    }

    /// Puts chunks right: `correct` gives the batch that takes the place of one, or `None` for a
    /// chunk that stays as it is.
    ///
    /// # Errors
    /// What `correct` says; chunks before it are corrected then.
    pub fn correct(
        &mut self,
        mut correct: impl FnMut(&Chunk) -> Result<Option<RecordBatch>, ArrowError>,
    ) -> Result<(), ArrowError> {
        for chunk in &mut self.chunks {
            if let Some(batch) = correct(chunk)? {
                self.rows = self.rows - chunk.batch.num_rows() + batch.num_rows();
                *chunk = Arc::new(Chunk::new(batch));
            }
        }
        self.chunks.retain(|chunk| chunk.batch.num_rows() > 0);
        Ok(())
    }

    /// The chunks.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Chunk>> {
        self.chunks.iter()
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of chunks.
    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }
}
