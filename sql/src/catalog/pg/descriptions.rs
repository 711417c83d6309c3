//! `pg_description`: a row is a comment.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::physical_plan::collect;

use super::relations::Relations;
use crate::catalog::computed::ComputedRows;

/// PostgreSQL's OID of `pg_class`, the table whose rows the comments are about.
const PG_CLASS_OID: i32 = 1259;

/// datafusion-pg-catalog's table with the comments of our tables, of views and of their columns.
#[derive(Debug)]
pub(super) struct Descriptions {
    pub(super) inner: Arc<dyn TableProvider>,
    pub(super) relations: Arc<Relations>,
}

#[async_trait]
impl ComputedRows for Descriptions {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    async fn batches(&self, session: &dyn Session) -> Result<Vec<RecordBatch>> {
        let plan = self.inner.scan(session, None, &[], None).await?;
        let mut batches = collect(plan, session.task_ctx()).await?;
        batches.push(self.ours(&self.relations.seen_in(session)?)?);
        Ok(batches)
    }
}

impl Descriptions {
    fn ours(&self, relations: &Relations) -> Result<RecordBatch> {
        let mut objects = Vec::new();
        let mut columns = Vec::new();
        let mut texts = Vec::new();
        let views = relations.views();
        let views = views.values().map(|view| (view.oid, view.columns.len()));
        let tables = relations.ours().map(|(oid, columns)| (oid, columns.len()));
        for (oid, width) in tables.chain(views) {
            let of_table = relations.table_comment(oid);
            let of_columns =
                (1..).take(width).map(|number| (number, relations.column_comment(oid, number)));
            for (number, comment) in [(0, of_table)].into_iter().chain(of_columns) {
                if let Some(comment) = comment {
                    objects.push(oid);
                    columns.push(number);
                    texts.push(comment);
                }
            }
        }
        let rows = objects.len();
        let objects: ArrayRef = Arc::new(Int32Array::from(objects));
        let classes: ArrayRef = Arc::new(Int32Array::from(vec![PG_CLASS_OID; rows]));
        let columns: ArrayRef = Arc::new(Int32Array::from(columns));
        let texts: ArrayRef = Arc::new(StringArray::from(texts));
        let schema = self.schema();
        let arrays = schema
            .fields()
            .iter()
            .map(|field| {
                let array = match field.name().as_str() {
                    "objoid" => &objects,
                    "classoid" => &classes,
                    "objsubid" => &columns,
                    "description" => &texts,
                    _ => return Ok(new_null_array(field.data_type(), rows)),
                };
                arrow::compute::cast(array, field.data_type())
            })
            .collect::<std::result::Result<Vec<_>, _>>()?;
        Ok(RecordBatch::try_new(schema, arrays)?)
    }
}
