//! The views `pg_indexes` and `pg_stat_progress_create_index`, which has the indexes that are being
//! built.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::error::Result;

use super::keys::Index;
use super::relations::Relations;
use crate::catalog::computed::ComputedRows;
use crate::database::{DATABASE, DEFAULT_SCHEMA};

/// A view of indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// `pg_indexes`.
    Indexes,
    /// `pg_stat_progress_create_index`.
    Progress,
}

impl View {
    pub(super) const ALL: [Self; 2] = [Self::Indexes, Self::Progress];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Indexes => "pg_indexes",
            Self::Progress => "pg_stat_progress_create_index",
        }
    }

    /// Texts, then whole numbers, in PostgreSQL's order.
    fn columns(self) -> Vec<(&'static str, DataType)> {
        use DataType::{Int32, Int64, Utf8};
        match self {
            Self::Indexes => ["schemaname", "tablename", "indexname", "tablespace", "indexdef"]
                .map(|name| (name, Utf8))
                .to_vec(),
            Self::Progress => vec![
                ("pid", Int32),
                ("datid", Int32),
                ("datname", Utf8),
                ("relid", Int32),
                ("index_relid", Int32),
                ("command", Utf8),
                ("phase", Utf8),
                ("lockers_total", Int64),
                ("lockers_done", Int64),
                ("current_locker_pid", Int64),
                ("blocks_total", Int64),
                ("blocks_done", Int64),
                ("tuples_total", Int64),
                ("tuples_done", Int64),
                ("partitions_total", Int64),
                ("partitions_done", Int64),
            ],
        }
    }
}

/// The rows of a view.
#[derive(Debug)]
pub(super) struct IndexView {
    pub(super) view: View,
    pub(super) relations: Arc<Relations>,
}

#[async_trait]
impl ComputedRows for IndexView {
    fn schema(&self) -> SchemaRef {
        let field = |(name, data_type)| Field::new(name, data_type, true);
        Arc::new(Schema::new(self.view.columns().into_iter().map(field).collect::<Vec<_>>()))
    }

    async fn batches(&self, session: &dyn Session) -> Result<Vec<RecordBatch>> {
        let relations = self.relations.seen_in(session)?;
        let rows: Vec<Row> = match self.view {
            View::Indexes => {
                let row = |index: Index| {
                    BTreeMap::from([
                        ("schemaname", Value::Text(DEFAULT_SCHEMA.into())),
                        ("tablename", Value::Text(index.table.name().into())),
                        ("indexname", Value::Text(index.name)),
                        ("indexdef", Value::Text(index.definition)),
                    ])
                };
                relations.indexes().into_iter().map(row).collect()
            }
            View::Progress => {
                let zero = ["lockers_total", "lockers_done", "current_locker_pid", "blocks_total"];
                let zero = zero.into_iter().chain(["blocks_done", "partitions_total"]);
                let zero: Vec<&str> = zero.chain(["partitions_done"]).collect();
                let indexes = relations.indexes();
                let row = |build: crate::IndexBuild| {
                    let index = indexes.iter().find(|index| index.name == build.index);
                    let table = relations.find(DEFAULT_SCHEMA, &build.table);
                    let mut row = BTreeMap::from([
                        ("datname", Value::Text(DATABASE.into())),
                        ("relid", Value::Number(table.unwrap_or_default().into())),
                        ("index_relid", Value::Number(index.map_or(0, |index| index.oid).into())),
                        ("command", Value::Text(build.command.into())),
                        ("phase", Value::Text("building index: loading tuples".into())),
                        ("tuples_total", Value::Number(build.total)),
                        ("tuples_done", Value::Number(build.done)),
                    ]);
                    row.extend(zero.iter().map(|name| (*name, Value::Number(0))));
                    row
                };
                relations.index_builds().into_iter().map(row).collect()
            }
        };
        Ok(vec![batch(&self.schema(), &rows)?])
    }
}

/// The values of a row that are not NULL, zero, false or empty.
pub(super) type Row = BTreeMap<&'static str, Value>;

/// A value of a row.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Number(i64),
    Text(String),
    Truth(bool),
}

/// Rows of a table of the catalog.
pub(super) fn batch(schema: &SchemaRef, rows: &[Row]) -> Result<RecordBatch> {
    let column = |field: &Arc<Field>| -> Result<ArrayRef> {
        let values = rows.iter().map(|row| row.get(field.name().as_str()));
        let or_default = !field.is_nullable();
        let array: ArrayRef = match field.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                let texts = values.map(|value| match value {
                    Some(Value::Text(text)) => Some(text.clone()),
                    _ => or_default.then(String::new),
                });
                Arc::new(texts.collect::<StringArray>())
            }
            DataType::Boolean => {
                let truths = values.map(|value| Some(matches!(value, Some(Value::Truth(true)))));
                Arc::new(truths.collect::<BooleanArray>())
            }
            data_type if data_type.is_numeric() => {
                let numbers = values.map(|value| match value {
                    Some(Value::Number(number)) => Some(*number),
                    _ => or_default.then_some(0),
                });
                Arc::new(numbers.collect::<Int64Array>())
            }
            data_type => new_null_array(data_type, rows.len()),
        };
        Ok(cast(&array, field.data_type())?)
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
