//! The rows of a table in one snapshot, by position: all sources one after the other, each in the
//! order of its commits.
//!
//! A source's rows only ever grow at their end, so a row's number in its source stays the same
//! from one snapshot to the next, however chunks are merged.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::interleave;
use arrow::datatypes::{DataType, Float32Type};
use arrow::error::ArrowError;
use vigil_sql::catalog::StandardTable;

use super::chunks::{Chunk, Derived};
use super::snapshot::SourceTables;
use crate::source_id::SourceId;

/// The rows of a table.
#[derive(Debug, Default)]
pub struct TableRows {
    /// No other ones have it.
    id: u64,
    chunks: Vec<Arc<Chunk>>,
    /// The position of each chunk's first row.
    starts: Vec<usize>,
    /// The positions of each source's rows.
    sources: BTreeMap<SourceId, Range<usize>>,
    rows: usize,
}

impl TableRows {
    /// The rows of a table of these sources, which are in order.
    pub(super) fn new<'a>(
        sources: impl Iterator<Item = (SourceId, &'a Arc<SourceTables>)>,
        table: StandardTable,
    ) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut all = Self { id: NEXT.fetch_add(1, Ordering::Relaxed), ..Self::default() };
        for (id, tables) in sources {
            let chunks = match table {
                StandardTable::Captions => &tables.captions,
                StandardTable::Embeddings => &tables.embeddings,
                StandardTable::Frames => &tables.frames,
                StandardTable::Detections => &tables.detections,
                StandardTable::Tracks => continue,
            };
            let first = all.rows;
            for chunk in chunks.iter() {
                all.starts.push(all.rows);
                all.rows += chunk.batch.num_rows();
                all.chunks.push(Arc::clone(chunk));
            }
            all.sources.insert(id, first..all.rows);
        }
        all
    }

    /// A number that tells them from all other ones.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The sources with the positions of their rows.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (SourceId, Range<usize>)> + '_ {
        self.sources.iter().map(|(id, rows)| (*id, rows.clone()))
    }

    /// The positions of a source's rows; `None` when it is gone.
    pub(crate) fn source(&self, id: SourceId) -> Option<Range<usize>> {
        self.sources.get(&id).cloned()
    }

    /// The batches in order.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &RecordBatch> {
        self.chunks.iter().map(|chunk| &chunk.batch)
    }

    /// One of the batches.
    pub(crate) fn batch(&self, number: usize) -> &RecordBatch {
        &self.chunks[number].batch
    }

    /// What is kept beside one of the batches.
    pub(crate) fn derived(&self, number: usize) -> &Derived {
        &self.chunks[number].derived
    }

    /// The batch that a position is in, and the row in it.
    pub(crate) fn locate(&self, position: usize) -> (usize, usize) {
        let batch = self.starts.partition_point(|start| *start <= position).saturating_sub(1);
        (batch, position - self.starts.get(batch).copied().unwrap_or(0))
    }

    /// The vector at a position; `None` when it is NULL.
    pub(crate) fn vector(&self, column: usize, position: usize) -> Option<&[f32]> {
        let (batch, row) = self.locate(position);
        Vectors::of(&self.chunks.get(batch)?.batch, column)?.get(row)
    }

    /// The rows at `positions`, in their order, with the columns of `projection`.
    pub(crate) fn gather(
        &self,
        positions: &[usize],
        projection: Option<&[usize]>,
    ) -> Result<Option<RecordBatch>, ArrowError> {
        if positions.is_empty() {
            return Ok(None);
        }
        // Only the batches that are needed are looked at, and in them only the columns that are.
        let mut needed: BTreeMap<usize, usize> = BTreeMap::new();
        let mut batches: Vec<&RecordBatch> = Vec::new();
        let mut places = Vec::with_capacity(positions.len());
        for position in positions {
            let (batch, row) = self.locate(*position);
            let at = *needed.entry(batch).or_insert_with(|| {
                batches.push(self.batch(batch));
                batches.len() - 1
            });
            places.push((at, row));
        }
        let Some(schema) = batches.first().map(|batch| batch.schema()) else { return Ok(None) };
        let gathered = |column: usize| {
            let arrays: Vec<&dyn Array> =
                batches.iter().map(|batch| batch.column(column).as_ref()).collect();
            interleave(&arrays, &places)
        };
        let (schema, columns) = match projection {
            Some(columns) => {
                let gathered = columns.iter().map(|column| gathered(*column));
                (Arc::new(schema.project(columns)?), gathered.collect::<Result<Vec<_>, _>>()?)
            }
            None => {
                let gathered = (0..schema.fields().len()).map(gathered);
                let gathered = gathered.collect::<Result<Vec<_>, _>>()?;
                (schema, gathered)
            }
        };
        let options = RecordBatchOptions::new().with_row_count(Some(positions.len()));
        RecordBatch::try_new_with_options(schema, columns, &options).map(Some)
    }
}

/// A column of vectors of one batch.
pub(crate) struct Vectors<'a> {
    column: &'a ArrayRef,
    values: &'a [f32],
    /// Elements of each vector, where all have as many.
    length: Option<usize>,
    /// Where each vector begins, where they have not.
    offsets: &'a [i32],
}

impl<'a> Vectors<'a> {
    /// `None` for a column of something else.
    pub(crate) fn of(batch: &'a RecordBatch, column: usize) -> Option<Self> {
        let column = batch.column(column);
        let (values, length, offsets) = match column.data_type() {
            DataType::FixedSizeList(_, length) => {
                let list = column.as_fixed_size_list();
                (list.values(), Some(usize::try_from(*length).ok()?), &[][..])
            }
            DataType::List(_) => {
                let list = column.as_list_opt::<i32>()?;
                (list.values(), None, list.value_offsets())
            }
            _ => return None,
        };
        let values = values.as_primitive_opt::<Float32Type>()?.values();
        Some(Self { column, values, length, offsets })
    }

    /// The vector of a row; `None` when it is NULL, and when there is no such row.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<&'a [f32]> {
        if row >= self.column.len() || self.column.is_null(row) {
            return None;
        }
        let span = match self.length {
            Some(length) => row * length..(row + 1) * length,
            None => {
                let offset = |at: usize| usize::try_from(*self.offsets.get(at)?).ok();
                offset(row)?..offset(row + 1)?
            }
        };
        self.values.get(span)
    }
}
