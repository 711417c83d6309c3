//! `pg_type`: the rows of `vector` and `halfvec` as drivers look them up, in the schema `public` and
//! with their arrays.
//!
//! datafusion-pg-catalog has a row of it in `pg_catalog`, where pgvector's never is.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::{filter_record_batch, not};
use arrow::datatypes::{Int32Type, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::physical_plan::collect;
use datafusion_postgres::arrow_pg::datatypes::PG_VECTOR_TYPE_OID;

use super::indexes::{Row, Value, batch};
use super::relations::Relations;
use crate::catalog::computed::ComputedRows;
use crate::types::{HALFVEC_ARRAY_OID, HALFVEC_OID};

/// The OID of `vector[]`, which no column has.
pub(super) const VECTOR_ARRAY_OID: i32 = 16_386;

/// datafusion-pg-catalog's table with our rows of `vector` and `halfvec`.
#[derive(Debug)]
pub(super) struct PgTypes {
    pub(super) inner: Arc<dyn TableProvider>,
    pub(super) relations: Arc<Relations>,
}

#[async_trait]
impl ComputedRows for PgTypes {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    async fn batches(&self, session: &dyn Session) -> Result<Vec<RecordBatch>> {
        let plan = self.inner.scan(session, None, &[], None).await?;
        let vector = i32::try_from(PG_VECTOR_TYPE_OID).unwrap_or_default();
        let mut batches = Vec::new();
        for types in collect(plan, session.task_ctx()).await? {
            let oids = types.column(self.schema().index_of("oid")?).as_primitive::<Int32Type>();
            let is_vector = oids.iter().map(|oid| Some(oid == Some(vector))).collect();
            batches.push(filter_record_batch(&types, &not(&is_vector)?)?);
        }
        let row = |oid: i32, name: &str, category: &str| -> Row {
            BTreeMap::from([
                ("oid", Value::Number(oid.into())),
                ("typname", Value::Text(name.into())),
                ("typnamespace", Value::Number(self.relations.public().into())),
                ("typlen", Value::Number(-1)),
                ("typtype", Value::Text("b".into())),
                ("typcategory", Value::Text(category.into())),
                ("typisdefined", Value::Truth(true)),
                ("typdelim", Value::Text(",".into())),
                ("typalign", Value::Text("i".into())),
                ("typstorage", Value::Text("e".into())),
                ("typtypmod", Value::Number(-1)),
            ])
        };
        let number = |oid: u32| i32::try_from(oid).unwrap_or_default();
        let halves = (number(HALFVEC_OID), number(HALFVEC_ARRAY_OID), "halfvec");
        let mut rows = Vec::new();
        for (oid, of_array, name) in [(vector, VECTOR_ARRAY_OID, "vector"), halves] {
            let mut element = row(oid, name, "U");
            element.insert("typarray", Value::Number(of_array.into()));
            element.insert("typinput", Value::Text(format!("{name}_in")));
            let mut array = row(of_array, &format!("_{name}"), "A");
            array.insert("typelem", Value::Number(oid.into()));
            array.insert("typinput", Value::Text("array_in".into()));
            rows.extend([element, array]);
        }
        batches.push(batch(&self.schema(), &rows)?);
        Ok(batches)
    }
}
