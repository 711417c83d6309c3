//! Tables whose rows are computed when a query scans them.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::{MemTable, TableType};
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;

/// What a computed table has to say.
#[async_trait]
pub(super) trait ComputedRows: fmt::Debug + Send + Sync + 'static {
    /// The table's schema.
    fn schema(&self) -> SchemaRef;

    /// All of its rows, as they are now or at the session's cut.
    async fn batches(&self, session: &dyn Session) -> Result<Vec<RecordBatch>>;
}

/// The table of some computed rows.
#[derive(Debug)]
pub(super) struct ComputedTable<R>(pub(super) R);

#[async_trait]
impl<R: ComputedRows> TableProvider for ComputedTable<R> {
    fn schema(&self) -> SchemaRef {
        self.0.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let batches = self.0.batches(session).await?;
        MemTable::try_new(self.schema(), vec![batches])?
            .scan(session, projection, filters, limit)
            .await
    }
}
