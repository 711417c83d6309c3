//! Arrow columns as fields of rows: a length and the bytes of each value, in text or binary.
//!
//! The usual types are written here, without an allocation for a value; the others are left to the
//! library's encoder.

mod pgvector;

use std::ops::Range;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, LargeStringArray, RecordBatch,
    StringArray, StringViewArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Field, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
};
use bytes::{BufMut, BytesMut};
use datafusion_postgres::arrow_pg::datatypes::PG_VECTOR_TYPE_OID;
use datafusion_postgres::arrow_pg::encoder::encode_value;
use pgwire::api::Type;
use pgwire::api::results::{DataRowEncoder, FieldFormat, FieldInfo};
use pgwire::error::PgWireResult;

use self::pgvector::Lists;
use super::errors::statement_error;
use crate::SqlError;

/// The length of a field that is NULL.
pub(super) const NULL_LENGTH: i32 = -1;

/// Microseconds from the Unix epoch to PostgreSQL's, the year 2000.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Days from the Unix epoch to PostgreSQL's.
const EPOCH_DAYS: i32 = 10_957;

/// The columns of a batch, each with its way of being written.
pub(super) struct Cells<'a> {
    columns: Vec<Column<'a>>,
}

struct Column<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Bool {
        values: &'a BooleanArray,
        format: FieldFormat,
    },
    Int2 {
        values: &'a [i16],
        format: FieldFormat,
    },
    Int4 {
        values: &'a [i32],
        format: FieldFormat,
    },
    Int8 {
        values: &'a [i64],
        format: FieldFormat,
    },
    /// The rest of the numbers are in binary here.
    Float4(&'a [f32]),
    Float8(&'a [f64]),
    /// Microseconds since the Unix epoch.
    Timestamp(&'a [i64]),
    /// Since midnight, in text: the library writes zeros at the end of a fraction.
    Time {
        values: &'a [i64],
        /// How many of them are a microsecond.
        a_micro: i64,
    },
    /// Days since the Unix epoch.
    Date(&'a [i32]),
    Vector {
        values: &'a [f32],
        length: usize,
    },
    Vectors {
        values: &'a [f32],
        offsets: &'a [i32],
    },
    Lists(Lists<'a>),
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    TextView(&'a StringViewArray),
    Bytes(&'a BinaryArray),
    /// In binary; 32 digits and hyphens.
    Uuid(&'a StringArray),
    /// In binary.
    List {
        values: Box<Column<'a>>,
        offsets: &'a [i32],
        element: Type,
    },
    /// Numbers with spaces between them, as `int2vector` and `oidvector` are kept.
    Numbers {
        values: &'a StringArray,
        element: Type,
    },
    Other(Box<Other<'a>>),
}

/// A column of the library's.
struct Other<'a> {
    array: &'a ArrayRef,
    field: &'a Field,
    info: &'a FieldInfo,
    encoder: DataRowEncoder,
}

impl<'a> Cells<'a> {
    /// `columns` says how the columns of `batch` are to be written.
    pub(super) fn new(batch: &'a RecordBatch, columns: &'a [FieldInfo]) -> Self {
        let fields = batch.schema_ref().fields();
        let columns = batch.columns().iter().zip(fields).zip(columns);
        let columns = columns.map(|((array, field), info)| Column {
            nulls: array.nulls(),
            values: Values::of(array, field, info),
        });
        Self { columns: columns.collect() }
    }

    /// The number of columns.
    pub(super) fn count(&self) -> usize {
        self.columns.len()
    }

    /// Writes the fields of a row.
    pub(super) fn write(&mut self, row: usize, out: &mut BytesMut) -> PgWireResult<()> {
        for column in &mut self.columns {
            if column.nulls.is_some_and(|nulls| nulls.is_null(row)) {
                out.put_i32(NULL_LENGTH);
            } else {
                column.values.write(row, out)?;
            }
        }
        Ok(())
    }
}

impl<'a> Values<'a> {
    fn of(array: &'a ArrayRef, field: &'a Field, info: &'a FieldInfo) -> Self {
        let (format, kind) = (info.format(), info.datatype());
        let is_binary = format == FieldFormat::Binary;
        let is_vector = kind.oid() == PG_VECTOR_TYPE_OID;
        let is_text =
            matches!(*kind, Type::TEXT | Type::VARCHAR | Type::NAME | Type::JSON) || !is_binary;
        if let Some(lists) = Lists::of(array, format) {
            return Self::Lists(lists);
        }
        match array.data_type() {
            DataType::Boolean if *kind == Type::BOOL => {
                Self::Bool { values: array.as_boolean(), format }
            }
            DataType::Int16 if *kind == Type::INT2 => {
                Self::Int2 { values: array.as_primitive::<Int16Type>().values(), format }
            }
            DataType::Int32 if matches!(*kind, Type::INT4 | Type::OID) => {
                Self::Int4 { values: array.as_primitive::<Int32Type>().values(), format }
            }
            DataType::Int64 if *kind == Type::INT8 => {
                Self::Int8 { values: array.as_primitive::<Int64Type>().values(), format }
            }
            DataType::Float32 if is_binary && *kind == Type::FLOAT4 => {
                Self::Float4(array.as_primitive::<Float32Type>().values())
            }
            DataType::Float64 if is_binary && *kind == Type::FLOAT8 => {
                Self::Float8(array.as_primitive::<Float64Type>().values())
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) if is_binary => {
                Self::Timestamp(array.as_primitive::<TimestampMicrosecondType>().values())
            }
            DataType::Time64(TimeUnit::Microsecond) if !is_binary => {
                let values = array.as_primitive::<Time64MicrosecondType>().values();
                Self::Time { values, a_micro: 1 }
            }
            DataType::Time64(TimeUnit::Nanosecond) if !is_binary => {
                let values = array.as_primitive::<Time64NanosecondType>().values();
                Self::Time { values, a_micro: 1000 }
            }
            DataType::Date32 if is_binary && *kind == Type::DATE => {
                Self::Date(array.as_primitive::<Date32Type>().values())
            }
            DataType::FixedSizeList(item, length)
                if is_binary && is_vector && *item.data_type() == DataType::Float32 =>
            {
                let list = array.as_fixed_size_list();
                let length = usize::try_from(*length).unwrap_or_default();
                // A list that was cut shows its own rows' values alone.
                Self::Vector {
                    values: list.values().as_primitive::<Float32Type>().values(),
                    length,
                }
            }
            DataType::List(item)
                if is_binary && is_vector && *item.data_type() == DataType::Float32 =>
            {
                let list = array.as_list::<i32>();
                let values = list.values().as_primitive::<Float32Type>().values();
                Self::Vectors { values, offsets: list.value_offsets() }
            }
            DataType::Utf8 if is_text => Self::Text(array.as_string()),
            DataType::Utf8 if matches!(*kind, Type::INT2_VECTOR | Type::OID_VECTOR) => {
                let element = if *kind == Type::INT2_VECTOR { Type::INT2 } else { Type::OID };
                Self::Numbers { values: array.as_string(), element }
            }
            DataType::Utf8 if *kind == Type::UUID => Self::Uuid(array.as_string()),
            DataType::List(_)
                if is_binary
                    && matches!(*kind, Type::UUID_ARRAY | Type::JSON_ARRAY | Type::NAME_ARRAY) =>
            {
                let list = array.as_list::<i32>();
                let element = match *kind {
                    Type::UUID_ARRAY => Type::UUID,
                    Type::NAME_ARRAY => Type::NAME,
                    _ => Type::JSON,
                };
                let values = list.values();
                let of_element = match element {
                    Type::UUID => Self::Uuid(values.as_string()),
                    _ => Self::Text(values.as_string()),
                };
                let column = Column { nulls: values.nulls(), values: of_element };
                Self::List { values: Box::new(column), offsets: list.value_offsets(), element }
            }
            DataType::LargeUtf8 if is_text => Self::LargeText(array.as_string()),
            DataType::Utf8View if is_text => Self::TextView(array.as_string_view()),
            DataType::Binary if is_binary && *kind == Type::BYTEA => Self::Bytes(array.as_binary()),
            _ => {
                let encoder = DataRowEncoder::new(std::sync::Arc::default());
                Self::Other(Box::new(Other { array, field, info, encoder }))
            }
        }
    }

    /// Writes a value that is not NULL.
    #[inline]
    fn write(&mut self, row: usize, out: &mut BytesMut) -> PgWireResult<()> {
        const BINARY: FieldFormat = FieldFormat::Binary;
        match self {
            Self::Bool { values, format: BINARY } => sized(out, &[u8::from(values.value(row))])?,
            Self::Bool { values, .. } => sized(out, if values.value(row) { b"t" } else { b"f" })?,
            Self::Int2 { values, format: BINARY } => sized(out, &values[row].to_be_bytes())?,
            Self::Int4 { values, format: BINARY } => sized(out, &values[row].to_be_bytes())?,
            Self::Int8 { values, format: BINARY } => sized(out, &values[row].to_be_bytes())?,
            Self::Int2 { values, .. } => digits(out, values[row])?,
            Self::Int4 { values, .. } => digits(out, values[row])?,
            Self::Int8 { values, .. } => digits(out, values[row])?,
            Self::Float4(values) => sized(out, &values[row].to_be_bytes())?,
            Self::Float8(values) => sized(out, &values[row].to_be_bytes())?,
            Self::Timestamp(values) => {
                let micros = values[row].checked_sub(EPOCH_MICROS);
                sized(out, &micros.ok_or_else(|| out_of_range("timestamp"))?.to_be_bytes())?;
            }
            Self::Time { values, a_micro } => {
                sized(out, time(values[row] / *a_micro).as_bytes())?;
            }
            Self::Date(values) => {
                let days = values[row].checked_sub(EPOCH_DAYS);
                sized(out, &days.ok_or_else(|| out_of_range("date"))?.to_be_bytes())?;
            }
            Self::Vector { values, length } => {
                vector(out, &values[row * *length..(row + 1) * *length])?;
            }
            Self::Vectors { values, offsets } => {
                let at = |row: usize| usize::try_from(offsets[row]).unwrap_or_default();
                vector(out, &values[at(row)..at(row + 1)])?;
            }
            Self::Lists(lists) => lists.write(row, out)?,
            Self::Text(values) => sized(out, values.value(row).as_bytes())?,
            Self::LargeText(values) => sized(out, values.value(row).as_bytes())?,
            Self::TextView(values) => sized(out, values.value(row).as_bytes())?,
            Self::Bytes(values) => sized(out, values.value(row))?,
            Self::Uuid(values) => sized(out, &uuid(values.value(row))?)?,
            Self::List { values, offsets, element } => {
                let at = |row: usize| usize::try_from(offsets[row]).unwrap_or_default();
                list(out, values, at(row)..at(row + 1), element)?;
            }
            Self::Numbers { values, element } => numbers(out, values.value(row), element)?,
            Self::Other(other) => {
                encode_value(&mut other.encoder, other.array, row, other.field, other.info)?;
                out.put_slice(&other.encoder.take_row().data);
            }
        }
        Ok(())
    }
}

/// A length and so many bytes.
#[inline]
fn sized(out: &mut BytesMut, bytes: &[u8]) -> PgWireResult<()> {
    let length = i32::try_from(bytes.len()).map_err(|_| out_of_range("length of a field"))?;
    out.reserve(4 + bytes.len());
    out.put_i32(length);
    out.put_slice(bytes);
    Ok(())
}

/// A whole number in text.
fn digits(out: &mut BytesMut, value: impl itoa::Integer) -> PgWireResult<()> {
    sized(out, itoa::Buffer::new().format(value).as_bytes())
}

/// A time of day with as much of a fraction as it has.
fn time(micros: i64) -> String {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let text = format!("{hours:02}:{minutes:02}:{seconds:02}");
    match micros {
        0 => text,
        micros => format!("{text}.{micros:06}").trim_end_matches('0').to_owned(),
    }
}

/// The bytes of a UUID's digits.
fn uuid(text: &str) -> PgWireResult<[u8; 16]> {
    let digits = text.chars().filter_map(|character| character.to_digit(16));
    let number = digits.fold(0_u128, |number, digit| (number << 4) | u128::from(digit));
    if text.len() == 36 { Ok(number.to_be_bytes()) } else { Err(out_of_range("uuid")) }
}

/// A vector as pgvector writes it in binary: the dimensions, two bytes of zero, the elements.
fn vector(out: &mut BytesMut, elements: &[f32]) -> PgWireResult<()> {
    let dimensions = u16::try_from(elements.len()).map_err(|_| out_of_range("vector"))?;
    out.reserve(8 + 4 * elements.len());
    out.put_i32(4 + 4 * i32::from(dimensions));
    out.put_u16(dimensions);
    out.put_u16(0);
    for element in elements {
        out.put_f32(*element);
    }
    Ok(())
}

/// An array of one dimension, or of none where it is empty.
fn list(
    out: &mut BytesMut,
    column: &mut Column<'_>,
    elements: Range<usize>,
    element: &Type,
) -> PgWireResult<()> {
    let start = out.len();
    let has_nulls = column.nulls.is_some_and(|nulls| elements.clone().any(|at| nulls.is_null(at)));
    out.put_i32(0);
    out.put_i32(i32::from(!elements.is_empty()));
    out.put_i32(i32::from(has_nulls));
    out.put_u32(element.oid());
    if !elements.is_empty() {
        out.put_i32(i32::try_from(elements.len()).map_err(|_| out_of_range("array"))?);
        out.put_i32(1);
    }
    for at in elements {
        if column.nulls.is_some_and(|nulls| nulls.is_null(at)) {
            out.put_i32(NULL_LENGTH);
        } else {
            column.values.write(at, out)?;
        }
    }
    let length = i32::try_from(out.len() - start - 4).map_err(|_| out_of_range("array"))?;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// An array of one dimension that begins at 0, as PostgreSQL sends an `int2vector` in binary.
fn numbers(out: &mut BytesMut, text: &str, element: &Type) -> PgWireResult<()> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let count = i32::try_from(words.len()).map_err(|_| out_of_range("vector"))?;
    let is_short = *element == Type::INT2;
    let of_element = if is_short { 6 } else { 8 };
    out.put_i32(20 + of_element * count);
    out.put_i32(1);
    out.put_i32(0);
    out.put_u32(element.oid());
    out.put_i32(count);
    out.put_i32(0);
    for word in words {
        if is_short {
            out.put_i32(2);
            out.put_i16(word.parse().map_err(|_| out_of_range("smallint"))?);
        } else {
            out.put_i32(4);
            out.put_u32(word.parse().map_err(|_| out_of_range("oid"))?);
        }
    }
    Ok(())
}

fn out_of_range(what: &str) -> pgwire::error::PgWireError {
    statement_error(&SqlError::Query {
        sqlstate: "22003",
        message: format!("{what} out of range"),
        detail: None,
        hint: None,
    })
}

#[cfg(test)]
mod tests;
