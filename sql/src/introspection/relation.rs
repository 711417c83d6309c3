//! Rows in memory with their columns: tables of the catalog, and whatever is made of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float32Builder, Float64Builder, Int16Builder,
    Int32Builder, Int64Builder, ListArray, RecordBatch, RecordBatchOptions, StringBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    SchemaRef, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::error::DataFusionError;
use datafusion::scalar::ScalarValue;
use datafusion_postgres::arrow_pg::datatypes::PG_OID_ALIAS_KEY;

use super::Stop;
use super::types::OID;
use super::value::{Key, Value, read_array};

/// Columns whose arrays begin at 0 in PostgreSQL: those of `int2vector` and `oidvector`.
const VECTORS: [&str; 8] = [
    "indkey",
    "indclass",
    "indoption",
    "indcollation",
    "proargtypes",
    "tgattr",
    "partattrs",
    "partclass",
];

/// A column.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// The name of its table in the query.
    pub(super) table: Option<Arc<str>>,
    pub(super) name: Arc<str>,
    pub(super) data_type: DataType,
    /// The other one of two columns that `USING` has made one.
    pub(super) is_merged: bool,
    /// One that `*` does not stand for: `tableoid`.
    pub(super) is_system: bool,
}

impl Column {
    pub(super) fn new(name: impl Into<Arc<str>>, data_type: DataType) -> Self {
        Self { table: None, name: name.into(), data_type, is_merged: false, is_system: false }
    }
}

pub(super) type Row = Vec<Value>;

/// Rows by the value of a column.
type Index = HashMap<Key, Vec<usize>>;

/// Columns and rows.
#[derive(Debug, Default)]
pub(super) struct Relation {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Arc<Vec<Row>>,
    indexes: Arc<Indexes>,
}

/// Made when they are first wanted; `None` where a value has no key.
type Indexes = Mutex<HashMap<usize, Option<Arc<Index>>>>;

impl Relation {
    pub(super) fn new(columns: Vec<Column>, rows: Vec<Row>) -> Self {
        Self { columns, rows: Arc::new(rows), indexes: Arc::default() }
    }

    /// The same rows under other names.
    pub(super) fn with_columns(&self, columns: Vec<Column>) -> Arc<Self> {
        let (rows, indexes) = (Arc::clone(&self.rows), Arc::clone(&self.indexes));
        Arc::new(Self { columns, rows, indexes })
    }

    /// The same with one more column, which is the same in all rows.
    pub(super) fn with_system_column(
        mut self,
        name: &str,
        data_type: DataType,
        value: &Value,
    ) -> Self {
        self.columns.push(Column { is_system: true, ..Column::new(name, data_type) });
        let mut rows = self.into_parts();
        rows.1.iter_mut().for_each(|row| row.push(value.clone()));
        Self::new(rows.0, rows.1)
    }

    /// The same with a column that PostgreSQL has and the library has not; there is nothing in it.
    pub(super) fn with_empty_column(mut self, name: &str, data_type: DataType) -> Self {
        if self.columns.iter().any(|column| column.name.as_ref() == name) {
            return self;
        }
        self.columns.push(Column::new(name, data_type));
        let (columns, mut rows) = self.into_parts();
        rows.iter_mut().for_each(|row| row.push(Value::Null));
        Self::new(columns, rows)
    }

    /// The same with other values in a column, which is there or is put behind the others.
    pub(super) fn with_column(mut self, column: Column, values: Vec<Value>) -> Self {
        let at = self.columns.iter().position(|other| other.name == column.name);
        if at.is_none() {
            self.columns.push(column);
        }
        let (columns, mut rows) = self.into_parts();
        for (row, value) in rows.iter_mut().zip(values) {
            match at {
                Some(at) => row[at] = value,
                None => row.push(value),
            }
        }
        Self::new(columns, rows)
    }

    fn into_parts(self) -> (Vec<Column>, Vec<Row>) {
        let columns = self.columns.clone();
        (columns, self.into_rows())
    }

    /// The rows alone, without a copy where nobody else has them.
    pub(super) fn into_rows(self) -> Vec<Row> {
        Arc::try_unwrap(self.rows).unwrap_or_else(|rows| rows.as_ref().clone())
    }

    /// The rows by the values of a column, if all of them can be found so.
    pub(super) fn index(&self, column: usize) -> Option<Arc<Index>> {
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        indexes
            .entry(column)
            .or_insert_with(|| {
                let mut index = Index::new();
                let mut kinds = (false, false);
                for (at, row) in self.rows.iter().enumerate() {
                    match row[column].key() {
                        Some(key) => {
                            match key {
                                Key::Int(_) => kinds.0 = true,
                                Key::Text(_) => kinds.1 = true,
                            }
                            index.entry(key).or_default().push(at);
                        }
                        None if row[column].is_null() => {}
                        None => return None,
                    }
                }
                // A number and a text may be equal and are not found by each other's key.
                (kinds != (true, true)).then(|| Arc::new(index))
            })
            .clone()
    }

    /// The rows of a table.
    pub(super) fn read(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Self, Stop> {
        let columns = schema
            .fields()
            .iter()
            .map(|field| Column::new(field.name().as_str(), stored_type(field)))
            .collect();
        let mut rows = Vec::new();
        for batch in batches {
            let readers = batch
                .columns()
                .iter()
                .zip(schema.fields())
                .map(|(array, field)| (array, VECTORS.contains(&field.name().as_str())));
            let readers: Vec<_> = readers.collect();
            for row in 0..batch.num_rows() {
                let values = readers.iter().map(|(array, is_vector)| {
                    let value = value_at(array, row)?;
                    Ok(if *is_vector { as_vector(value) } else { value })
                });
                rows.push(values.collect::<Result<Row, Stop>>()?);
            }
        }
        Ok(Self::new(columns, rows))
    }

    /// The rows as a batch of `schema`.
    pub(super) fn write(&self, schema: &SchemaRef) -> Result<RecordBatch, Stop> {
        let arrays = schema
            .fields()
            .iter()
            .enumerate()
            .map(|(at, field)| {
                let values: Vec<&Value> = self.rows.iter().map(|row| &row[at]).collect();
                array_of(&values, field.data_type())
            })
            .collect::<Result<Vec<_>, Stop>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows.len()));
        RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options)
            .map_err(|error| Stop::Error(DataFusionError::from(error).into()))
    }
}

/// What the evaluator says of a column: all texts are `text`.
fn stored_type(field: &Field) -> DataType {
    if *field.data_type() == DataType::Int32 && field.metadata().contains_key(PG_OID_ALIAS_KEY) {
        return OID;
    }
    match field.data_type() {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::UInt32 | DataType::UInt16 | DataType::UInt8 | DataType::Int8 => DataType::Int32,
        DataType::UInt64 => DataType::Int64,
        DataType::Timestamp(unit, zone) => DataType::Timestamp(*unit, zone.clone()),
        other => other.clone(),
    }
}

fn value_at(array: &ArrayRef, row: usize) -> Result<Value, Stop> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    let int = |value: i64| Ok(Value::Int(value));
    match array.data_type() {
        DataType::Boolean => Ok(Value::Bool(array.as_boolean().value(row))),
        DataType::Int8 => int(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => int(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => int(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => int(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => int(array.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => int(array.as_primitive::<UInt16Type>().value(row).into()),
        DataType::UInt32 => int(array.as_primitive::<UInt32Type>().value(row).into()),
        DataType::UInt64 => {
            let value = array.as_primitive::<UInt64Type>().value(row);
            int(i64::try_from(value).unwrap_or(i64::MAX))
        }
        DataType::Float32 => {
            Ok(Value::Float(array.as_primitive::<Float32Type>().value(row).into()))
        }
        DataType::Float64 => Ok(Value::Float(array.as_primitive::<Float64Type>().value(row))),
        DataType::Utf8 => Ok(Value::text(array.as_string::<i32>().value(row))),
        DataType::LargeUtf8 => Ok(Value::text(array.as_string::<i64>().value(row))),
        DataType::Utf8View => Ok(Value::text(array.as_string_view().value(row))),
        DataType::List(_) => elements(&array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => elements(&array.as_list::<i64>().value(row)),
        _ => {
            let scalar = ScalarValue::try_from_array(array, row)
                .map_err(|error| Stop::Error(error.into()))?;
            Ok(Value::Other(Box::new(scalar)))
        }
    }
}

fn elements(array: &ArrayRef) -> Result<Value, Stop> {
    let values = (0..array.len()).map(|row| value_at(array, row));
    Ok(Value::array(values.collect::<Result<_, _>>()?))
}

/// An `int2vector` or `oidvector`, which an export may have as its text.
fn as_vector(value: Value) -> Value {
    match value {
        Value::Array(values, _) => Value::Array(values, 0),
        Value::Text(text) => {
            let numbers = match read_array(&text) {
                Some(values) => values.iter().filter_map(Value::int).collect(),
                None => text.split_whitespace().filter_map(|word| word.parse().ok()).collect(),
            };
            let numbers: Vec<i64> = numbers;
            Value::Array(Arc::new(numbers.into_iter().map(Value::Int).collect()), 0)
        }
        other => other,
    }
}

/// A scalar of DataFusion's as one of these.
pub(super) fn value_of(scalar: &ScalarValue) -> Result<Value, Stop> {
    let array = scalar.to_array().map_err(|error| Stop::Error(error.into()))?;
    value_at(&array, 0)
}

/// The other way round.
pub(super) fn scalar_of(value: &Value) -> Result<ScalarValue, Stop> {
    Ok(match value {
        Value::Null => ScalarValue::Utf8(None),
        Value::Bool(value) => ScalarValue::Boolean(Some(*value)),
        Value::Int(value) | Value::Reg(_, value) => match i32::try_from(*value) {
            Ok(value) => ScalarValue::Int32(Some(value)),
            Err(_) => ScalarValue::Int64(Some(*value)),
        },
        Value::Float(value) => ScalarValue::Float64(Some(*value)),
        Value::Other(value) => value.as_ref().clone(),
        Value::Array(values, _) => {
            let item = match values.iter().find(|value| !value.is_null()) {
                Some(Value::Int(_) | Value::Reg(..)) => DataType::Int64,
                Some(Value::Bool(_)) => DataType::Boolean,
                Some(Value::Float(_)) => DataType::Float64,
                _ => DataType::Utf8,
            };
            let array = array_of(&[value], &super::types::list(item))?;
            ScalarValue::try_from_array(&array, 0).map_err(|error| Stop::Error(error.into()))?
        }
        Value::Text(_) | Value::Record(_) => ScalarValue::Utf8(value.written()),
    })
}

/// Values as an array of a type that was promised.
fn array_of(values: &[&Value], data_type: &DataType) -> Result<ArrayRef, Stop> {
    macro_rules! numbers {
        ($builder:ty, $of:expr) => {{
            let mut builder = <$builder>::with_capacity(values.len());
            for value in values {
                match $of(value) {
                    Some(number) => builder.append_value(number),
                    None if value.is_null() => builder.append_null(),
                    None => return Err(out_of_type(value, data_type)),
                }
            }
            Arc::new(builder.finish()) as ArrayRef
        }};
    }
    Ok(match data_type {
        DataType::Boolean => numbers!(BooleanBuilder, |value: &Value| value.truth()),
        DataType::Int16 => {
            numbers!(Int16Builder, |value: &Value| value.int().and_then(|n| i16::try_from(n).ok()))
        }
        DataType::Int32 => numbers!(Int32Builder, |value: &Value| value
            .int()
            // An OID has no sign.
            .and_then(|n| i32::try_from(n).ok().or_else(|| Some(u32::try_from(n).ok()? as i32)))),
        DataType::Int64 => numbers!(Int64Builder, Value::int),
        DataType::Float32 => {
            numbers!(Float32Builder, |value: &Value| value.float().map(|value| value as f32))
        }
        DataType::Float64 => numbers!(Float64Builder, Value::float),
        DataType::Utf8 => {
            let mut builder = StringBuilder::new();
            values.iter().for_each(|value| builder.append_option(value.written()));
            Arc::new(builder.finish())
        }
        DataType::List(item) => {
            let mut lengths = Vec::with_capacity(values.len());
            let mut all: Vec<Value> = Vec::new();
            let mut valid = Vec::with_capacity(values.len());
            for value in values {
                let elements = value.elements();
                if elements.is_none() && !value.is_null() {
                    return Err(out_of_type(value, data_type));
                }
                valid.push(elements.is_some());
                lengths.push(elements.as_ref().map_or(0, |elements| elements.len()));
                all.extend(elements.iter().flat_map(|elements| elements.iter().cloned()));
            }
            let all: Vec<&Value> = all.iter().collect();
            let elements = array_of(&all, item.data_type())?;
            let offsets = OffsetBuffer::from_lengths(lengths);
            let nulls = Some(NullBuffer::from(valid));
            let list = ListArray::try_new(Arc::clone(item), offsets, elements, nulls);
            Arc::new(list.map_err(|error| Stop::Error(DataFusionError::from(error).into()))?)
        }
        other => {
            let scalars = values.iter().map(|value| match value {
                Value::Null => ScalarValue::try_from(other),
                Value::Other(scalar) => scalar.cast_to(other),
                value => ScalarValue::Utf8(value.written()).cast_to(other),
            });
            let scalars: Result<Vec<_>, _> = scalars.collect();
            let scalars = scalars.map_err(|error| Stop::Error(error.into()))?;
            if scalars.is_empty() {
                return Ok(arrow::array::new_empty_array(other));
            }
            ScalarValue::iter_to_array(scalars).map_err(|error| Stop::Error(error.into()))?
        }
    })
}

fn out_of_type(value: &Value, data_type: &DataType) -> Stop {
    Stop::Unsupported(format!("{value:?} where {data_type} was promised"))
}
