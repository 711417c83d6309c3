//! The tables of the schema `vigil_catalog`: what the engine tells of itself. One file each, one
//! line in [`all`].
//!
//! A table's rows are made from the [`Engine`]'s answers when a query scans it.

mod frontiers;
mod indexes;
mod model_metrics;
mod models;
mod operators;
mod source_errors;
mod source_statistics;
mod sources;

use std::fmt;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::internal_datafusion_err;
use datafusion::error::{DataFusionError, Result};

use super::Column;
use super::computed::{ComputedRows, ComputedTable};
use crate::access::{Access, VisibleEngine};
use crate::{Cut, Engine};

/// The schema that they are in.
pub const SYSTEM_SCHEMA: &str = "vigil_catalog";

/// A table of the schema `vigil_catalog`.
#[derive(Clone)]
pub struct SystemTable {
    /// The table's name.
    pub name: &'static str,
    /// What a row is; PostgreSQL's table comment.
    pub comment: &'static str,
    /// The columns with their comments.
    pub columns: Vec<Column>,
    /// The columns' values; the cut is the query's.
    rows: fn(&dyn Engine, Option<&Cut>) -> Vec<ArrayRef>,
}

impl fmt::Debug for SystemTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SystemTable").field("name", &self.name).finish_non_exhaustive()
    }
}

/// All of them, by name.
pub fn all() -> Vec<SystemTable> {
    vec![
        frontiers::table(),
        indexes::table(),
        model_metrics::table(),
        models::table(),
        operators::table(),
        source_errors::table(),
        source_statistics::table(),
        sources::table(),
    ]
}

impl SystemTable {
    /// The Arrow schema.
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<_> = self.columns.iter().map(|column| column.field.clone()).collect();
        Arc::new(Schema::new(fields))
    }

    /// The table over `engine`.
    pub(crate) fn provider(self, engine: Arc<dyn Engine>) -> Arc<dyn TableProvider> {
        Arc::new(ComputedTable(SystemRows { table: self, engine }))
    }
}

#[derive(Debug)]
struct SystemRows {
    table: SystemTable,
    engine: Arc<dyn Engine>,
}

#[async_trait]
impl ComputedRows for SystemRows {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    async fn batches(&self, session: &dyn Session) -> Result<Vec<RecordBatch>> {
        let access = session
            .config()
            .get_extension::<Access>()
            .ok_or_else(|| internal_datafusion_err!("a table is read outside of a session"))?;
        access
            .rows_of(SYSTEM_SCHEMA, self.table.name)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        let engine = VisibleEngine::for_table(Arc::clone(&self.engine), access, self.table.name);
        let cut = session.config().get_extension::<Cut>();
        let columns = (self.table.rows)(&engine, cut.as_deref());
        Ok(vec![RecordBatch::try_new(self.schema(), columns)?])
    }
}

fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

fn optional_texts<'a>(values: impl Iterator<Item = Option<&'a str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn integers(values: impl Iterator<Item = Option<i32>>) -> ArrayRef {
    Arc::new(values.collect::<Int32Array>())
}

fn bigints(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

fn doubles(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    Arc::new(values.collect::<Float64Array>())
}

/// Microseconds since the Unix epoch as `timestamptz`.
fn timestamps(micros: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_sorted() {
        let names: Vec<_> = all().iter().map(|table| table.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(names, sorted);
    }
}
