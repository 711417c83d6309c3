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
use crate::views::ViewName;

/// A view, read by a statement or by another view.
#[derive(Debug)]
pub(crate) struct Via {
    pub(crate) view: ViewName,
    /// Whose rights it has.
    pub(crate) owner: Access,
    /// The view that reads it; `None` is the statement.
    pub(crate) reader: Option<Arc<Via>>,
}

impl Via {
    /// The rows that somebody sees by way of the view, and of the views that read it: each is read with the
    /// rights of whoever made the one before.
    ///
    /// # Errors
    /// SQLSTATE 42501 when one of them may not read the next.
    pub(crate) fn rows_for(&self, access: &Access) -> Result<Rows, SqlError> {
        let Some(reader) = &self.reader else { return self.rows_of(access) };
        Ok(both(reader.rows_for(access)?, self.rows_of(&reader.owner)?))
    }

    fn rows_of(&self, access: &Access) -> Result<Rows, SqlError> {
        // One's own view is one's own to read, if one is still there.
        if access.role() == self.owner.role() {
            return access.privileges().map(|_| Rows::All);
        }
        access.rows_of(&self.view.schema(), &self.view.name)
    }
}

fn both(one: Rows, other: Rows) -> Rows {
    match (one, other) {
        (Rows::All, rows) | (rows, Rows::All) => rows,
        (Rows::OfSources(one), Rows::OfSources(other)) => {
            Rows::OfSources(one.intersection(&other).cloned().collect())
        }
    }
}

/// The table behind a view.
#[derive(Debug)]
pub(crate) struct OwnedTable {
    inner: Arc<dyn TableProvider>,
    name: String,
    via: Arc<Via>,
}

impl OwnedTable {
    pub(crate) fn new(inner: Arc<dyn TableProvider>, name: &str, via: Arc<Via>) -> Self {
        Self { inner, name: name.to_owned(), via }
    }

    /// The view that reads it.
    pub(super) fn via(&self) -> &Arc<Via> {
        &self.via
    }

    /// The rows that somebody sees by way of the view: those of its owner, and of them those of their own
    /// sources alone where only sources were granted to them.
    fn rows_for(&self, access: &Access) -> Result<Rows, SqlError> {
        let seen = self.via.rows_for(access)?;
        Ok(both(self.via.owner.rows_of(DEFAULT_SCHEMA, &self.name)?, seen))
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
