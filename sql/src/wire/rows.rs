//! Arrow batches as rows of the protocol, in text or binary.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions, StringArray,
    StringBuilder, StructArray,
};
use arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type, Schema, SchemaRef};
use bytes::{Buf, BufMut, BytesMut};
use datafusion::error::DataFusionError;
use datafusion_postgres::arrow_pg::datatypes::{PG_OID_ALIAS_KEY, arrow_schema_to_pg_fields};
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{FieldFormat, FieldInfo};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::data::MESSAGE_TYPE_BYTE_DATA_ROW;
use pgwire::types::format::FormatOptions;
use vigil_udfs::json::is_json;
use vigil_udfs::texts::is_uuid;

use super::cells::Cells;
use super::errors::{protocol_error, statement_error};
use super::parameters::own_type;
use crate::catalog::pg::{NO_MODIFIER, postgres_type};
use crate::session::origins::Origin;
use crate::text::{array as array_text, float4, float8, intervals, timestamps};
use crate::types::{NAMES, VECTOR_KEY};
use crate::{Session, SqlError};

/// Bytes of an answer that are put together before they are sent. PostgreSQL sends 8 KiB at a time;
/// larger pieces cost both sides fewer calls of the system.
pub(super) const FULL_BYTES: usize = 64 << 10;

/// How a session's values are written.
#[derive(Clone, Debug)]
pub(super) struct Style {
    options: Arc<FormatOptions>,
    zone: Arc<str>,
}

impl Style {
    /// The style that the session's settings ask for.
    pub(super) fn of(session: &Session) -> Self {
        let mut options = FormatOptions::default();
        let setting = |name| session.setting(name).unwrap_or_default();
        options.date_style = setting("DateStyle");
        options.interval_style = setting("IntervalStyle");
        options.bytea_output = setting("bytea_output");
        options.time_zone = setting("TimeZone");
        options.extra_float_digits = setting("extra_float_digits").parse().unwrap_or(1);
        let zone = setting("TimeZone").into();
        Self { options: Arc::new(options), zone }
    }

    /// Whether it is the same one, not just an equal one.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.options, &other.options)
    }
}

/// The columns as the protocol describes them.
pub(super) fn columns(
    schema: &Schema,
    format: &Format,
    style: Option<&Style>,
) -> PgWireResult<Vec<FieldInfo>> {
    if let Format::Individual(formats) = format
        && formats.len() != schema.fields().len()
    {
        return Err(protocol_error(format!(
            "bind message has {} result formats but query has {} columns",
            formats.len(),
            schema.fields().len()
        )));
    }
    let mut columns =
        arrow_schema_to_pg_fields(schema, format, style.map(|style| Arc::clone(&style.options)))?;
    for (field, column) in schema.fields().iter().zip(&mut columns) {
        let own = match field.metadata().get(VECTOR_KEY).map(String::as_str) {
            Some("int2vector") => Some(Type::INT2_VECTOR),
            Some(NAMES) => Some(Type::NAME_ARRAY),
            Some(_) => Some(Type::OID_VECTOR),
            None if is_oid_list(field) => Some(Type::OID_ARRAY),
            None => form_type(field).or_else(|| own_type(field)),
        };
        let options = own.is_none().then(|| Arc::clone(column.format_options()));
        let kind = own.unwrap_or_else(|| column.datatype().clone());
        let origin = Origin::of(field);
        // What is computed has no modifier.
        let modifier = origin.and_then(|_| postgres_type(field)).map(|(_, modifier)| modifier);
        let length = type_length(&kind);
        let (table, number) = (origin.map(|found| found.table), origin.map(|found| found.column));
        let mut told = FieldInfo::new(field.name().clone(), table, number, kind, column.format())
            .with_type_size(length)
            .with_type_modifier(modifier.unwrap_or(NO_MODIFIER));
        if let Some(options) = options {
            told = told.with_format_options(options);
        }
        *column = told;
    }
    Ok(columns)
}

/// PostgreSQL's `typlen`: the bytes of a value, -1 for those that differ.
fn type_length(kind: &Type) -> i16 {
    match *kind {
        Type::BOOL | Type::CHAR => 1,
        Type::INT2 => 2,
        Type::INT4
        | Type::OID
        | Type::FLOAT4
        | Type::DATE
        | Type::REGCLASS
        | Type::REGCONFIG
        | Type::REGDICTIONARY
        | Type::REGNAMESPACE
        | Type::REGOPER
        | Type::REGOPERATOR
        | Type::REGPROC
        | Type::REGPROCEDURE
        | Type::REGROLE
        | Type::REGTYPE
        | Type::XID
        | Type::CID
        | Type::VOID => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => 8,
        Type::INTERVAL | Type::UUID => 16,
        Type::NAME => 64,
        Type::UNKNOWN => -2,
        _ => -1,
    }
}

/// The type of a text of a form, or of an array of such.
pub(super) fn form_type(field: &Field) -> Option<Type> {
    match field.data_type() {
        DataType::List(item) => match form_type(item)? {
            Type::JSON => Some(Type::JSON_ARRAY),
            Type::UUID => Some(Type::UUID_ARRAY),
            _ => None,
        },
        _ if is_json(field) => Some(Type::JSON),
        _ if is_uuid(field) => Some(Type::UUID),
        _ => None,
    }
}

/// Whether a column is `oid[]`, which the library has no mark for.
pub(super) fn is_oid_list(field: &Field) -> bool {
    matches!(field.data_type(), DataType::List(_))
        && field.metadata().contains_key(PG_OID_ALIAS_KEY)
}

/// The rows of a batch, some of which may have been written.
pub(super) struct Rows {
    batch: RecordBatch,
    columns: Arc<Vec<FieldInfo>>,
    written: usize,
}

impl Rows {
    pub(super) fn new(
        batch: RecordBatch,
        columns: &Arc<Vec<FieldInfo>>,
        style: &Style,
    ) -> Result<Self, SqlError> {
        let batch = with_our_texts(batch, columns, style)?;
        Ok(Self { batch, columns: Arc::clone(columns), written: 0 })
    }

    /// Whether all rows are written.
    pub(super) fn is_done(&self) -> bool {
        self.written == self.batch.num_rows()
    }

    /// Writes rows as messages behind `out`, up to `most` and until `out` is full; how many they were.
    pub(super) fn write(&mut self, out: &mut BytesMut, most: usize) -> PgWireResult<usize> {
        self.write_with(out, most, |cells, row, out| {
            let start = out.len();
            out.put_u8(MESSAGE_TYPE_BYTE_DATA_ROW);
            out.put_u32(0);
            out.put_u16(u16::try_from(cells.count()).unwrap_or(u16::MAX));
            cells.write(row, out)?;
            set_length(out, start)
        })
    }

    /// The same, each row in the words of `write`. What a row that fails has written is taken back.
    pub(super) fn write_with(
        &mut self,
        out: &mut BytesMut,
        most: usize,
        mut write: impl FnMut(&mut Cells<'_>, usize, &mut BytesMut) -> PgWireResult<()>,
    ) -> PgWireResult<usize> {
        let first = self.written;
        let end = self.batch.num_rows().min(first.saturating_add(most));
        let (mut start, written) = (out.len(), &mut self.written);
        let (batch, columns) = (&self.batch, &self.columns);
        // The encoder panics on types that it does not expect; that is one statement's error.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let mut cells = Cells::new(batch, columns);
            while *written < end && out.len() < FULL_BYTES {
                start = out.len();
                write(&mut cells, *written, out)?;
                *written += 1;
            }
            Ok(())
        }));
        let outcome = outcome.unwrap_or_else(|_| {
            let detail = "a value could not be written for the client".into();
            Err(statement_error(&SqlError::Panicked { detail }))
        });
        if let Err(error) = outcome {
            out.truncate(start);
            return Err(error);
        }
        Ok(self.written - first)
    }
}

/// Puts the length into a message that begins at `start` with its type and room for its length.
pub(super) fn set_length(out: &mut BytesMut, start: usize) -> PgWireResult<()> {
    let length = i32::try_from(out.len() - start - 1).map_err(|_| {
        statement_error(&SqlError::Query {
            sqlstate: "54000",
            message: "a row is longer than the protocol can say".into(),
            detail: None,
            hint: None,
        })
    })?;
    out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// The batch with those timestamps, floats and intervals as texts that the client wants in text
/// and in the usual style; the encoder's own texts have more digits than PostgreSQL's.
fn with_our_texts(
    batch: RecordBatch,
    columns: &[FieldInfo],
    style: &Style,
) -> Result<RecordBatch, SqlError> {
    let schema = batch.schema();
    let is_iso = style.options.date_style.to_ascii_uppercase().starts_with("ISO");
    let is_shortest = style.options.extra_float_digits >= 1;
    let is_verbose = style.options.interval_style.eq_ignore_ascii_case("postgres");
    let is_ours = |field: &Field, column: &FieldInfo| {
        let usual = match field.data_type() {
            DataType::Timestamp(..) => is_iso,
            DataType::Float32 | DataType::Float64 => is_shortest,
            DataType::Interval(_) | DataType::Duration(_) => is_verbose,
            // The library writes a NULL in a record as an empty text.
            DataType::Struct(_) => true,
            // Nor does it know when an element has quotes.
            DataType::List(item) => !is_oid_list(field) && has_own_texts(item.data_type()),
            _ => false,
        };
        usual && column.format() == FieldFormat::Text
    };
    let mut pairs = schema.fields().iter().zip(columns);
    if !pairs.any(|(field, column)| is_ours(field, column)) {
        return Ok(batch);
    }
    let mut fields = Vec::with_capacity(columns.len());
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
    for ((field, column), array) in schema.fields().iter().zip(columns).zip(batch.columns()) {
        if is_ours(field, column) {
            arrays.push(match array.data_type() {
                DataType::Float32 => {
                    texts(array.as_primitive::<Float32Type>().iter().map(|v| v.map(float4)))
                }
                DataType::Float64 => {
                    texts(array.as_primitive::<Float64Type>().iter().map(|v| v.map(float8)))
                }
                DataType::Timestamp(..) => timestamps(array, &style.zone)?,
                DataType::Struct(_) => records(array.as_struct(), style)?,
                DataType::List(_) => lists(array.as_list(), style)?,
                _ => Arc::new(intervals(array).map_err(DataFusionError::from)?),
            });
            fields.push(Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)));
        } else {
            arrays.push(Arc::clone(array));
            fields.push(Arc::clone(field));
        }
    }
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    Ok(RecordBatch::try_new(schema, arrays).map_err(DataFusionError::from)?)
}

/// Whether arrays with such elements are written here.
fn has_own_texts(item: &DataType) -> bool {
    item.is_temporal()
        || matches!(
            item,
            DataType::Interval(_) | DataType::Utf8 | DataType::Binary | DataType::Struct(_)
        )
}

/// Arrays as PostgreSQL writes them: each element as it is written alone, in quotes where it needs them.
fn lists(array: &ListArray, style: &Style) -> Result<ArrayRef, SqlError> {
    let DataType::List(item) = array.data_type() else { return Ok(Arc::new(array.clone())) };
    let elements = element_texts(item, array.values(), style)?;
    let mut texts = StringBuilder::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            texts.append_null();
            continue;
        }
        let (start, end) = (array.value_offsets()[row], array.value_offsets()[row + 1]);
        let elements = (start..end)
            .map(|at| usize::try_from(at).ok().and_then(|at| elements.get(at)?.as_deref()));
        texts.append_value(array_text(elements));
    }
    Ok(Arc::new(texts.finish()))
}

/// The text of each element as a client is shown it.
fn element_texts(
    item: &FieldRef,
    values: &ArrayRef,
    style: &Style,
) -> Result<Vec<Option<String>>, SqlError> {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Arc::clone(item)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::clone(values)])
        .map_err(DataFusionError::from)?;
    let unwritten = |_: PgWireError| SqlError::Panicked {
        detail: "an array could not be written for the client".into(),
    };
    let columns = columns(&schema, &Format::UnifiedText, Some(style)).map_err(unwritten)?;
    let batch = with_our_texts(batch, &columns, style)?;
    let mut cells = Cells::new(&batch, &columns);
    let mut texts = Vec::with_capacity(batch.num_rows());
    let mut cell = BytesMut::new();
    for row in 0..batch.num_rows() {
        cell.clear();
        cells.write(row, &mut cell).map_err(unwritten)?;
        let length = cell.get_i32();
        // -1 is NULL.
        texts.push((length >= 0).then(|| String::from_utf8_lossy(&cell).into_owned()));
    }
    Ok(texts)
}

/// Records as PostgreSQL writes them: nothing for a NULL, quotes where a value needs them.
fn records(array: &StructArray, style: &Style) -> Result<ArrayRef, SqlError> {
    let schema: SchemaRef = Arc::new(Schema::new(array.fields().clone()));
    let options = RecordBatchOptions::new().with_row_count(Some(array.len()));
    let batch =
        RecordBatch::try_new_with_options(Arc::clone(&schema), array.columns().to_vec(), &options)
            .map_err(DataFusionError::from)?;
    let unwritten = |_: PgWireError| SqlError::Panicked {
        detail: "a record could not be written for the client".into(),
    };
    let columns = columns(&schema, &Format::UnifiedText, Some(style)).map_err(unwritten)?;
    let batch = with_our_texts(batch, &columns, style)?;
    let (mut texts, mut fields) = (StringBuilder::new(), BytesMut::new());
    let written = catch_unwind(AssertUnwindSafe(|| -> PgWireResult<()> {
        let mut cells = Cells::new(&batch, &columns);
        for row in 0..array.len() {
            if array.is_null(row) {
                texts.append_null();
                continue;
            }
            fields.clear();
            cells.write(row, &mut fields)?;
            texts.append_value(record(&mut fields, columns.len()));
        }
        Ok(())
    }));
    match written {
        Ok(written) => written.map_err(unwritten)?,
        Err(_) => {
            let detail = "a record could not be written for the client".into();
            return Err(SqlError::Panicked { detail });
        }
    }
    Ok(Arc::new(texts.finish()))
}

/// A record of the values in `fields`, each behind its length.
fn record(fields: &mut BytesMut, count: usize) -> String {
    let mut text = String::from("(");
    for at in 0..count {
        text.push_str(if at == 0 { "" } else { "," });
        // -1 is NULL.
        let Ok(length) = usize::try_from(fields.get_i32()) else { continue };
        let value = fields.split_to(length);
        let value = String::from_utf8_lossy(&value);
        let needs_quotes =
            |next: char| next.is_whitespace() || matches!(next, '"' | '\\' | '(' | ')' | ',');
        if value.is_empty() || value.contains(needs_quotes) {
            text.push('"');
            text.push_str(&value.replace('\\', "\\\\").replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(&value);
        }
    }
    text.push(')');
    text
}

fn texts(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As PostgreSQL 15 answers.
    #[test]
    fn a_record_has_nothing_for_a_null_and_quotes_where_they_are_needed() {
        let mut fields = BytesMut::new();
        for value in [None, Some("1"), Some("a b"), Some(""), Some("x\"y"), Some("(1,)")] {
            fields.put_i32(value.map_or(-1, |text| i32::try_from(text.len()).unwrap_or(0)));
            fields.put_slice(value.unwrap_or_default().as_bytes());
        }
        assert_eq!(record(&mut fields, 6), r#"(,1,"a b","","x""y","(1,)")"#);
    }
}
