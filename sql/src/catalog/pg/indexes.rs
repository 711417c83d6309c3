//! Indexes as PostgreSQL's catalog has them: rows of `pg_class`, `pg_index` and `pg_am`, the view
//! `pg_indexes`, `pg_get_indexdef`, and `pg_stat_progress_create_index` with those that are being
//! built.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, StringArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::physical_plan::collect;

use super::relations::Relations;
use crate::catalog::computed::ComputedRows;
use crate::database::{DATABASE, DEFAULT_SCHEMA};
use crate::{Engine, IndexInfo};

/// The OID of the access method `hnsw`; PostgreSQL gives extensions' objects numbers from 16384 on.
const HNSW_OID: i64 = 16_388;

/// PostgreSQL's OID of the owner of everything.
const OWNER_OID: i64 = 10;

/// The OID of an index: of its name alone, as indexes come and go.
fn oid(index: &str) -> i32 {
    let hash = index
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    // Beyond those that tables and functions get.
    i32::try_from(0x4000_0000 | (hash & 0x3fff_ffff)).unwrap_or(i32::MAX)
}

/// What a table of the catalog is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowIs {
    /// `pg_class`: an index is a relation.
    Relation,
    /// `pg_index`.
    Index,
    /// `pg_am`: the access method `hnsw`.
    Method,
}

/// datafusion-pg-catalog's table with the rows of our indexes behind its own.
#[derive(Debug)]
pub(super) struct WithIndexes {
    pub(super) inner: Arc<dyn TableProvider>,
    pub(super) relations: Arc<Relations>,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) row_is: RowIs,
}

#[async_trait]
impl ComputedRows for WithIndexes {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    async fn batches(&self, session: &dyn Session) -> Result<Vec<RecordBatch>> {
        let plan = self.inner.scan(session, None, &[], None).await?;
        let mut batches = collect(plan, session.task_ctx()).await?;
        let indexes = self.engine.indexes();
        if self.row_is == RowIs::Relation {
            let tables: Vec<&str> = indexes.iter().map(|index| index.table.as_str()).collect();
            for batch in &mut batches {
                *batch = with_index_flag(batch, &tables)?;
            }
        }
        let rows = match self.row_is {
            RowIs::Relation => indexes.iter().map(|index| self.relation(index)).collect(),
            RowIs::Index => indexes.iter().map(|index| self.index(index)).collect(),
            RowIs::Method => vec![BTreeMap::from([
                ("oid", Value::Number(HNSW_OID)),
                ("amname", Value::Text("hnsw".into())),
                ("amhandler", Value::Text("hnswhandler".into())),
                ("amtype", Value::Text("i".into())),
            ])],
        };
        batches.push(batch(&self.schema(), &rows)?);
        Ok(batches)
    }
}

impl WithIndexes {
    fn relation(&self, index: &IndexInfo) -> Row {
        BTreeMap::from([
            ("oid", Value::Number(oid(&index.name).into())),
            ("relname", Value::Text(index.name.clone())),
            ("relnamespace", Value::Number(self.relations.public().into())),
            ("relowner", Value::Number(OWNER_OID)),
            ("relam", Value::Number(HNSW_OID)),
            ("reltuples", Value::Number(index.rows)),
            ("relpersistence", Value::Text("p".into())),
            ("relkind", Value::Text("i".into())),
            ("relnatts", Value::Number(1)),
            ("relispopulated", Value::Truth(true)),
            ("relreplident", Value::Text("n".into())),
        ])
    }

    fn index(&self, index: &IndexInfo) -> Row {
        let table = self.relations.find(DEFAULT_SCHEMA, &index.table).unwrap_or_default();
        BTreeMap::from([
            ("indexrelid", Value::Number(oid(&index.name).into())),
            ("indrelid", Value::Number(table.into())),
            ("indnatts", Value::Number(1)),
            ("indnkeyatts", Value::Number(1)),
            ("indimmediate", Value::Truth(true)),
            ("indisvalid", Value::Truth(true)),
            ("indisready", Value::Truth(true)),
            ("indislive", Value::Truth(true)),
        ])
    }
}

/// `pg_class` with `relhasindex` where there is one.
fn with_index_flag(batch: &RecordBatch, tables: &[&str]) -> Result<RecordBatch> {
    let schema = batch.schema();
    let (name_at, flag_at) = (schema.index_of("relname")?, schema.index_of("relhasindex")?);
    let names = cast(batch.column(name_at), &DataType::Utf8)?;
    let flags = batch.column(flag_at).as_boolean();
    let flags: BooleanArray = names
        .as_string::<i32>()
        .iter()
        .zip(flags)
        .map(|(name, flag)| {
            Some(name.is_some_and(|name| tables.contains(&name)) || flag == Some(true))
        })
        .collect();
    let mut columns = batch.columns().to_vec();
    columns[flag_at] = Arc::new(flags);
    Ok(RecordBatch::try_new(schema, columns)?)
}

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
    pub(super) engine: Arc<dyn Engine>,
}

#[async_trait]
impl ComputedRows for IndexView {
    fn schema(&self) -> SchemaRef {
        let field = |(name, data_type)| Field::new(name, data_type, true);
        Arc::new(Schema::new(self.view.columns().into_iter().map(field).collect::<Vec<_>>()))
    }

    async fn batches(&self, _session: &dyn Session) -> Result<Vec<RecordBatch>> {
        let rows: Vec<Row> = match self.view {
            View::Indexes => {
                let row = |index: IndexInfo| {
                    BTreeMap::from([
                        ("schemaname", Value::Text(DEFAULT_SCHEMA.into())),
                        ("tablename", Value::Text(index.table)),
                        ("indexname", Value::Text(index.name)),
                        ("indexdef", Value::Text(index.definition)),
                    ])
                };
                self.engine.indexes().into_iter().map(row).collect()
            }
            View::Progress => {
                let zero = ["lockers_total", "lockers_done", "current_locker_pid", "blocks_total"];
                let zero = zero.into_iter().chain(["blocks_done", "partitions_total"]);
                let zero: Vec<&str> = zero.chain(["partitions_done"]).collect();
                let row = |build: crate::IndexBuild| {
                    let table = self.relations.find(DEFAULT_SCHEMA, &build.table);
                    let mut row = BTreeMap::from([
                        ("datname", Value::Text(DATABASE.into())),
                        ("relid", Value::Number(table.unwrap_or_default().into())),
                        ("index_relid", Value::Number(oid(&build.index).into())),
                        ("command", Value::Text(build.command.into())),
                        ("phase", Value::Text("building index: loading tuples".into())),
                        ("tuples_total", Value::Number(build.total)),
                        ("tuples_done", Value::Number(build.done)),
                    ]);
                    row.extend(zero.iter().map(|name| (*name, Value::Number(0))));
                    row
                };
                self.engine.index_builds().into_iter().map(row).collect()
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

/// `pg_get_indexdef`.
pub(super) fn definition_function(engine: &Arc<dyn Engine>) -> ScalarUDF {
    let signatures = (1..=3).map(TypeSignature::Any).collect();
    let signature = Signature::one_of(signatures, Volatility::Stable);
    ScalarUDF::from(GetIndexDefinition { engine: Arc::clone(engine), signature })
}

#[derive(Debug)]
struct GetIndexDefinition {
    engine: Arc<dyn Engine>,
    signature: Signature,
}

impl PartialEq for GetIndexDefinition {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.engine, &other.engine)
    }
}

impl Eq for GetIndexDefinition {}

impl Hash for GetIndexDefinition {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for GetIndexDefinition {
    fn name(&self) -> &str {
        "pg_get_indexdef"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let oids = arguments.args[0].to_array(arguments.number_rows)?;
        let oids = cast(&oids, &DataType::Int32)?;
        let indexes = self.engine.indexes();
        let definition = |wanted: Option<i32>| {
            let wanted = wanted?;
            let index = indexes.iter().find(|index| oid(&index.name) == wanted)?;
            Some(index.definition.clone())
        };
        let texts = oids.as_primitive::<Int32Type>().iter().map(definition);
        Ok(ColumnarValue::Array(Arc::new(texts.collect::<StringArray>())))
    }
}
