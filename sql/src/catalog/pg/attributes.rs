//! `pg_attribute`: a row is a column of a table.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int16Type, Int32Type, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::physical_plan::collect;
use datafusion_postgres::arrow_pg::datatypes::{field_into_pg_type, is_pg_vector_field};
use vigil_udfs::json::is_json;

use super::extra::{Values, batch};
use super::relations::Relations;
use super::views;
use crate::catalog::computed::ComputedRows;
use crate::types::own_oid;

/// PostgreSQL's OID of `json`.
const JSON_OID: u32 = 114;

/// No type modifier.
pub(crate) const NO_MODIFIER: i32 = -1;

/// datafusion-pg-catalog's table with the types of our columns as the wire sends them.
#[derive(Debug)]
pub(super) struct Attributes {
    pub(super) inner: Arc<dyn TableProvider>,
    pub(super) relations: Arc<Relations>,
}

#[async_trait]
impl ComputedRows for Attributes {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    async fn batches(&self, session: &dyn Session) -> Result<Vec<RecordBatch>> {
        let plan = self.inner.scan(session, None, &[], None).await?;
        let batches = collect(plan, session.task_ctx()).await?;
        let corrected = batches.iter().map(|batch| self.correct(batch));
        let mut batches = corrected.collect::<Result<Vec<_>>>()?;
        let relations = self.relations.seen_in(session)?;
        batches.push(self.of_indexes(&relations)?);
        batches.push(views::columns(&relations, &self.schema())?);
        Ok(batches)
    }
}

impl Attributes {
    /// The columns of indexes.
    fn of_indexes(&self, relations: &Relations) -> Result<RecordBatch> {
        // The index, the number, name and type of its column.
        type Row = (i32, i16, String, i32);
        let mut rows: Vec<Row> = Vec::new();
        for index in relations.indexes() {
            for (number, name) in (1..).zip(&index.columns) {
                let mut columns = index.table.columns().iter();
                let column = columns.find(|column| column.field.name() == name);
                let oid = column.and_then(|column| postgres_type(&column.field));
                rows.push((index.oid, number, name.clone(), oid.map_or(0, |(oid, _)| oid)));
            }
        }
        let integers = |of: &dyn Fn(&Row) -> i32| {
            let integers: ArrayRef = Arc::new(Int32Array::from_iter_values(rows.iter().map(of)));
            Some(Values::Of(integers))
        };
        batch(&self.schema(), rows.len(), |name| match name {
            "attrelid" => integers(&|(relation, ..)| *relation),
            "attnum" => integers(&|(_, number, ..)| i32::from(*number)),
            "atttypid" => integers(&|(.., oid)| *oid),
            "atttypmod" => integers(&|_| NO_MODIFIER),
            "attname" => {
                let names = rows.iter().map(|(_, _, name, _)| name);
                Some(Values::Of(Arc::new(StringArray::from_iter_values(names))))
            }
            _ => None,
        })
    }

    fn correct(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let schema = batch.schema();
        let relations = batch.column(schema.index_of("attrelid")?).as_primitive::<Int32Type>();
        let numbers = batch.column(schema.index_of("attnum")?).as_primitive::<Int16Type>();
        let (type_at, modifier_at) = (schema.index_of("atttypid")?, schema.index_of("atttypmod")?);
        let types = batch.column(type_at).as_primitive::<Int32Type>();
        let modifiers = batch.column(modifier_at).as_primitive::<Int32Type>();
        let corrected = (0..batch.num_rows()).map(|row| {
            let number = i32::from(numbers.value(row));
            self.relations
                .column(relations.value(row), number)
                .and_then(|column| postgres_type(&column.field))
                .unwrap_or((types.value(row), modifiers.value(row)))
        });
        let (types, modifiers): (Vec<i32>, Vec<i32>) = corrected.unzip();
        let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
        columns[type_at] = Arc::new(Int32Array::from(types));
        columns[modifier_at] = Arc::new(Int32Array::from(modifiers));
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

/// OID and modifier of a column's type; the modifier of `vector(n)`, `halfvec(n)` and `bit(n)` is n.
pub(crate) fn postgres_type(field: &Field) -> Option<(i32, i32)> {
    let own = own_oid(field);
    let oid = match &own {
        Some(own) => *own,
        None if is_json(field) => JSON_OID,
        None => field_into_pg_type(&Arc::new(field.clone())).ok()?.oid(),
    };
    let modifier = match field.data_type() {
        DataType::FixedSizeList(_, length) if is_pg_vector_field(field) || own.is_some() => *length,
        _ => NO_MODIFIER,
    };
    Some((i32::try_from(oid).ok()?, modifier))
}
