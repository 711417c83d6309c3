//! A standard table as a view reads it: with the rights of who made the view, for whoever may read the view.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::internal_datafusion_err;
use datafusion::datasource::TableType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;

use super::Access;
use super::table::VisibleTable;
use crate::SqlError;
use crate::database::DEFAULT_SCHEMA;
use crate::roles::Rows;

/// The table behind a view.
#[derive(Debug)]
pub(crate) struct OwnedTable {
    inner: Arc<dyn TableProvider>,
    name: String,
    owner: Arc<Access>,
    /// The view that is read.
    via: String,
}

impl OwnedTable {
    pub(crate) fn new(
        inner: Arc<dyn TableProvider>,
        name: &str,
        owner: Arc<Access>,
        via: String,
    ) -> Self {
        Self { inner, name: name.to_owned(), owner, via }
    }

    /// The view that is read in truth.
    pub(super) fn via(&self) -> &str {
        &self.via
    }

    /// The rows that somebody sees by way of the view: those of its owner, and of them those of their own
    /// sources alone where only sources were granted to them.
    fn rows_for(&self, access: &Access) -> Result<Rows, SqlError> {
        let seen = access.rows_of(DEFAULT_SCHEMA, &self.via)?;
        let owners = self.owner.rows_of(DEFAULT_SCHEMA, &self.name)?;
        Ok(match (owners, seen) {
            (Rows::All, seen) => seen,
            (owners, Rows::All) => owners,
            (Rows::OfSources(owners), Rows::OfSources(seen)) => {
                Rows::OfSources(owners.intersection(&seen).cloned().collect())
            }
        })
    }
}

#[async_trait]
impl TableProvider for OwnedTable {
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
        self.inner.supports_filters_pushdown(filters)
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
            .ok_or_else(|| internal_datafusion_err!("a view is read outside of a session"))?;
        let rows =
            self.rows_for(&access).map_err(|error| DataFusionError::External(Box::new(error)))?;
        let inner: &dyn std::any::Any = self.inner.as_ref();
        let table = inner
            .downcast_ref::<VisibleTable>()
            .ok_or_else(|| internal_datafusion_err!("a view reads what is no table"))?;
        table.scan_rows(state, rows, projection, filters, limit).await
    }
}
