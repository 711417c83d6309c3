//! A standard table as a session sees it: one leaf of a plan that lets through the rows of the
//! sources that the session may see, and tells nothing of the others.
//!
//! The leaf is closed. No filter of the query runs below it, as an error in it could tell of a
//! hidden row, no statistics come out of it, and `EXPLAIN` sees neither what is inside nor how
//! many rows went through there.

use std::fmt;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{internal_datafusion_err, plan_datafusion_err};
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::StreamExt;

use super::Access;
use crate::catalog::StandardTable;
use crate::database::DEFAULT_SCHEMA;
use crate::roles::Rows;

/// The column that says whose row it is.
const SOURCE: &str = "source";

/// A standard table behind what a session may see.
#[derive(Debug)]
pub(crate) struct VisibleTable {
    table: StandardTable,
    inner: Arc<dyn TableProvider>,
}

impl VisibleTable {
    pub(crate) fn new(table: StandardTable, inner: Arc<dyn TableProvider>) -> Self {
        Self { table, inner }
    }
}

#[async_trait]
impl TableProvider for VisibleTable {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        self.inner.table_type()
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // Filters are hints to skip chunks; an exact one would run below the leaf.
        let inner = self.inner.supports_filters_pushdown(filters)?;
        let hint = |pushdown| match pushdown {
            TableProviderFilterPushDown::Unsupported => TableProviderFilterPushDown::Unsupported,
            _ => TableProviderFilterPushDown::Inexact,
        };
        Ok(inner.into_iter().map(hint).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let access = state
            .config()
            .get_extension::<Access>()
            .ok_or_else(|| internal_datafusion_err!("a table is read outside of a session"))?;
        let rows = access
            .rows_of(DEFAULT_SCHEMA, self.table.name())
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        self.scan_rows(state, rows, projection, filters, limit).await
    }
}

impl VisibleTable {
    /// A scan of some of its rows.
    pub(super) async fn scan_rows(
        &self,
        state: &dyn Session,
        rows: Rows,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if rows == Rows::All {
            return self.inner.scan(state, projection, filters, limit).await;
        }
        let schema = self.inner.schema();
        let source = schema.index_of(SOURCE)?;
        // The source's column has to come along, asked for or not.
        let mut wanted =
            projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let shown: Vec<usize> = (0..wanted.len()).collect();
        let source_at = match wanted.iter().position(|column| *column == source) {
            Some(at) => at,
            None => {
                wanted.push(source);
                wanted.len() - 1
            }
        };
        let inner = self.inner.scan(state, Some(&wanted), filters, None).await?;
        // One partition, as their number would tell how much there is in all.
        let inner = Arc::new(CoalescePartitionsExec::new(inner));
        Ok(Arc::new(VisibleRows::new(inner, source_at, &shown, rows)?))
    }
}

/// The leaf.
#[derive(Debug)]
struct VisibleRows {
    inner: Arc<dyn ExecutionPlan>,
    /// Where the inner plan has the source's name.
    source_at: usize,
    /// The inner plan's columns that come out.
    shown: Arc<[usize]>,
    rows: Rows,
    properties: Arc<PlanProperties>,
}

impl VisibleRows {
    fn new(
        inner: Arc<dyn ExecutionPlan>,
        source_at: usize,
        shown: &[usize],
        rows: Rows,
    ) -> Result<Self> {
        let schema = Arc::new(inner.schema().project(shown)?);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            inner.output_partitioning().clone(),
            inner.pipeline_behavior(),
            inner.boundedness(),
        );
        Ok(Self { inner, source_at, shown: shown.into(), rows, properties: Arc::new(properties) })
    }
}

impl DisplayAs for VisibleRows {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rows {
            Rows::All => write!(f, "VisibleRows: all"),
            Rows::OfSources(sources) => write!(f, "VisibleRows: sources={sources:?}"),
        }
    }
}

impl ExecutionPlan for VisibleRows {
    fn name(&self) -> &'static str {
        "VisibleRows"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            Ok(self)
        } else {
            Err(plan_datafusion_err!("VisibleRows is a leaf"))
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let batches = self.inner.execute(partition, context)?;
        let (source_at, shown, rows) = (self.source_at, Arc::clone(&self.shown), self.rows.clone());
        let batches = batches.map(move |batch| visible(&batch?, source_at, &shown, &rows));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }
}

fn visible(
    batch: &RecordBatch,
    source_at: usize,
    shown: &[usize],
    rows: &Rows,
) -> Result<RecordBatch> {
    let sources = batch
        .column(source_at)
        .as_string_opt::<i32>()
        .ok_or_else(|| internal_datafusion_err!("the source's name is no text"))?;
    let keep: BooleanArray =
        sources.iter().map(|source| Some(source.is_some_and(|source| rows.has(source)))).collect();
    Ok(filter_record_batch(&batch.project(shown)?, &keep)?)
}
