//! Arrow batches as rows of the protocol, in text or binary.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion_postgres::arrow_pg::datatypes::{PG_OID_ALIAS_KEY, arrow_schema_to_pg_fields};
use datafusion_postgres::arrow_pg::row_encoder::RowEncoder;
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::{FieldFormat, FieldInfo};
use pgwire::error::PgWireResult;
use pgwire::messages::data::DataRow;
use pgwire::types::format::FormatOptions;
use vigil_udfs::json::is_json;

use super::errors::{protocol_error, statement_error};
use super::timestamps;
use crate::text::{float4, float8, intervals};
use crate::{Session, SqlError};

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
        let own_type = match () {
            () if is_oid_list(field) => Type::OID_ARRAY,
            () if is_json(field) => Type::JSON,
            () => continue,
        };
        *column = FieldInfo::new(field.name().clone(), None, None, own_type, column.format());
    }
    Ok(columns)
}

/// Whether a column is `oid[]`, which the library has no mark for.
pub(super) fn is_oid_list(field: &Field) -> bool {
    matches!(field.data_type(), DataType::List(_))
        && field.metadata().contains_key(PG_OID_ALIAS_KEY)
}

/// The rows of a batch.
pub(super) fn rows(
    batch: RecordBatch,
    columns: &Arc<Vec<FieldInfo>>,
    style: &Style,
) -> Result<impl Iterator<Item = PgWireResult<DataRow>> + Send + use<>, SqlError> {
    let batch = with_our_texts(batch, columns, style)?;
    let mut encoder = RowEncoder::new(batch, Arc::clone(columns));
    Ok(std::iter::from_fn(move || {
        // The encoder panics on types that it does not expect; that is one statement's error.
        catch_unwind(AssertUnwindSafe(|| encoder.next_row())).unwrap_or_else(|_| {
            let detail = "a value could not be written for the client".into();
            Some(Err(statement_error(&SqlError::Panicked { detail })))
        })
    }))
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
                DataType::Timestamp(..) => timestamps::texts(array, &style.zone)?,
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

fn texts(values: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}
