//! The standard tables as DataFusion sees them: a scan reads one snapshot, leaves out the chunks
//! that the filters rule out by source, frame and time, and takes only the columns and about as
//! many rows as asked for.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::datasource::TableType;
use datafusion::datasource::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::error::Result;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::create_physical_expr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use vigil_sql::catalog::StandardTable;
use vigil_sql::{Cut, SearchSettings};

use super::chunks::Range;
use super::snapshot::{Snapshot, SourceTables, Tables};
use crate::index::IndexableScan;

/// A standard table.
#[derive(Debug)]
pub struct StandardTableProvider {
    table: StandardTable,
    tables: Arc<Tables>,
}

impl StandardTableProvider {
    /// The provider of `table`.
    pub fn new(table: StandardTable, tables: Arc<Tables>) -> Self {
        Self { table, tables }
    }

    /// The snapshot of the query, or the newest one for a query that has none.
    fn snapshot(&self, session: &dyn Session) -> Arc<Snapshot> {
        self.tables.at(session.config().get_extension::<Cut>().as_deref())
    }

    fn parts(&self, snapshot: &Snapshot) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for tables in snapshot.sources() {
            let chunks = match self.table {
                StandardTable::Frames => &tables.frames,
                StandardTable::Detections => &tables.detections,
                StandardTable::Captions => &tables.captions,
                StandardTable::Embeddings => &tables.embeddings,
                StandardTable::Tracks => {
                    let batches = tables.tracks.batches(&tables.context)?;
                    parts.extend(batches.into_iter().map(|batch| Part::whole(tables, batch)));
                    continue;
                }
            };
            parts.extend(chunks.iter().map(|chunk| Part {
                source: tables.context.source.clone(),
                batch: chunk.batch.clone(),
                frame_numbers: chunk.frame_numbers,
                ts_micros: chunk.ts_micros,
            }));
        }
        Ok(parts)
    }

    /// Which parts can have a row that passes the filters.
    fn matching(
        &self,
        session: &dyn Session,
        filters: &[Expr],
        parts: Vec<Part>,
    ) -> Result<Vec<Part>> {
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(parts) };
        let schema = self.table.schema();
        let df_schema = DFSchema::try_from(Arc::clone(&schema))?;
        // The planner has coerced the filter; a session would do it again, at a cost that grows with the third
        // power of a condition's depth.
        let context = PhysicalPlanningContext::default();
        let filter =
            create_physical_expr(&filter, &df_schema, session.execution_props(), &context)?;
        let Some(predicate) = PruningPredicateBuilder::new().with_file_schema(schema).build(filter)
        else {
            return Ok(parts);
        };
        let keep = predicate.prune(&PartStatistics(&parts))?;
        Ok(parts.into_iter().zip(keep).filter_map(|(part, keep)| keep.then_some(part)).collect())
    }
}

#[async_trait]
impl TableProvider for StandardTableProvider {
    fn schema(&self) -> SchemaRef {
        self.table.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters choose chunks, not rows: DataFusion still applies them.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let snapshot = self.snapshot(session);
        let parts = self.parts(&snapshot)?;
        let parts = self.matching(session, filters, parts)?;

        // A limit comes down here only where no filter is left above.
        let mut wanted = limit.unwrap_or(usize::MAX);
        let mut batches = Vec::new();
        for Part { batch, .. } in parts {
            if wanted == 0 {
                break;
            }
            let batch = batch.slice(0, batch.num_rows().min(wanted));
            wanted -= batch.num_rows();
            batches.push(batch);
        }
        let partitions = spread(batches, session.config().target_partitions());
        let source =
            MemorySourceConfig::try_new(&partitions, self.table.schema(), projection.cloned())?
                .with_limit(limit);
        let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(source);
        // An index gives rows of the whole table; a limit without an order wants none of it.
        if limit.is_some()
            || !matches!(self.table, StandardTable::Captions | StandardTable::Embeddings)
        {
            return Ok(scan);
        }
        let settings = session.config().get_extension::<SearchSettings>();
        Ok(Arc::new(IndexableScan {
            scan,
            table: self.table,
            projection: projection.cloned(),
            tables: Arc::clone(&self.tables),
            settings: settings.as_deref().copied().unwrap_or_default(),
        }))
    }
}

/// Batches in runs of about as many rows each; the order of the rows stays.
fn spread(batches: Vec<RecordBatch>, partitions: usize) -> Vec<Vec<RecordBatch>> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let share = rows.div_ceil(partitions.max(1)).max(8192);
    let mut runs = vec![Vec::new()];
    let mut in_run = 0;
    for batch in batches {
        if in_run >= share {
            runs.push(Vec::new());
            in_run = 0;
        }
        in_run += batch.num_rows();
        if let Some(run) = runs.last_mut() {
            run.push(batch);
        }
    }
    runs
}

/// A batch, and what is known of its rows.
struct Part {
    source: String,
    batch: RecordBatch,
    frame_numbers: Range,
    ts_micros: Range,
}

impl Part {
    fn whole(tables: &SourceTables, batch: RecordBatch) -> Self {
        let source = tables.context.source.clone();
        Self { source, batch, frame_numbers: None, ts_micros: None }
    }
}

struct PartStatistics<'a>(&'a [Part]);

impl PartStatistics<'_> {
    fn bound(&self, column: &Column, end: impl Fn((i64, i64)) -> i64) -> Option<ArrayRef> {
        let parts = self.0.iter();
        match column.name() {
            "source" => Some(Arc::new(StringArray::from_iter_values(
                parts.map(|part| part.source.as_str()),
            ))),
            "frame_number" => Some(Arc::new(Int64Array::from_iter(
                parts.map(|part| part.frame_numbers.map(&end)),
            ))),
            "ts" => Some(Arc::new(
                TimestampMicrosecondArray::from_iter(parts.map(|part| part.ts_micros.map(&end)))
                    .with_timezone("UTC"),
            )),
            _ => None,
        }
    }
}

impl PruningStatistics for PartStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, |(least, _)| least)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, |(_, greatest)| greatest)
    }

    fn num_containers(&self) -> usize {
        self.0.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let never_null = matches!(column.name(), "source" | "frame_number" | "ts");
        never_null.then(|| Arc::new(UInt64Array::from_value(0, self.0.len())) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let rows = self.0.iter().map(|part| part.batch.num_rows() as u64);
        Some(Arc::new(UInt64Array::from_iter_values(rows)))
    }

    fn contained(
        &self,
        _column: &Column,
        _values: &HashSet<ScalarValue>,
    ) -> Option<arrow::array::BooleanArray> {
        None
    }
}
