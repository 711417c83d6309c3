//! Values of Arrow as JSON.

use std::fmt::Write;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, DecimalType, Field, Float16Type, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType, TimeUnit,
    TimestampMicrosecondType, UInt64Type,
};
use arrow::temporal_conversions::{date32_to_datetime, time64us_to_time, timestamp_us_to_datetime};
use datafusion::error::Result;

use super::text::{normal, write_text};
use crate::UdfError;
use crate::vector::{bits_text, is_bits};

/// How values are set apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Style {
    /// As `to_json` does.
    Json,
    /// As `jsonb` does.
    Jsonb,
}

impl Style {
    pub(super) fn comma(self) -> &'static str {
        match self {
            Self::Json => ",",
            Self::Jsonb => ", ",
        }
    }

    fn colon(self) -> &'static str {
        match self {
            Self::Json => ":",
            Self::Jsonb => ": ",
        }
    }
}

/// Writes a row of `array`, whose column is `field`.
pub(super) fn write_value(
    array: &ArrayRef,
    field: &Field,
    row: usize,
    style: Style,
    out: &mut String,
) -> Result<()> {
    if array.is_null(row) || *array.data_type() == DataType::Null {
        out.push_str("null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Boolean => {
            out.push_str(if array.as_boolean().value(row) { "true" } else { "false" })
        }
        DataType::Int8 => put(array.as_primitive::<Int8Type>().value(row), out),
        DataType::Int16 => put(array.as_primitive::<Int16Type>().value(row), out),
        DataType::Int32 => put(array.as_primitive::<Int32Type>().value(row), out),
        DataType::Int64 => put(array.as_primitive::<Int64Type>().value(row), out),
        DataType::UInt64 => put(array.as_primitive::<UInt64Type>().value(row), out),
        DataType::Float16 => {
            let number = array.as_primitive::<Float16Type>().value(row).to_f32();
            float(number.is_finite(), f64::from(number), &number.to_string(), out);
        }
        DataType::Float32 => {
            let number = array.as_primitive::<Float32Type>().value(row);
            float(number.is_finite(), f64::from(number), &number.to_string(), out);
        }
        DataType::Float64 => {
            let number = array.as_primitive::<Float64Type>().value(row);
            float(number.is_finite(), number, &number.to_string(), out);
        }
        DataType::Decimal128(precision, scale) => {
            let number = array.as_primitive::<Decimal128Type>().value(row);
            out.push_str(&Decimal128Type::format_decimal(number, *precision, *scale));
        }
        DataType::Utf8 => text(array.as_string::<i32>().value(row), field, style, out),
        DataType::LargeUtf8 => text(array.as_string::<i64>().value(row), field, style, out),
        DataType::Utf8View => text(array.as_string_view().value(row), field, style, out),
        DataType::Binary => {
            out.push_str("\"\\\\x");
            for byte in array.as_binary::<i32>().value(row) {
                let _ = write!(out, "{byte:02x}");
            }
            out.push('"');
        }
        DataType::Date32 => {
            let day = array.as_primitive::<Date32Type>().value(row);
            let day = date32_to_datetime(day).ok_or(UdfError::TimestampRange)?;
            let _ = write!(out, "\"{}\"", day.format("%Y-%m-%d"));
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            let time = array.as_primitive::<Time64MicrosecondType>().value(row);
            let time = time64us_to_time(time).ok_or(UdfError::TimestampRange)?;
            let _ = write!(out, "\"{}\"", without_zeros(&time.format("%H:%M:%S%.6f").to_string()));
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let time = array.as_primitive::<TimestampMicrosecondType>().value(row);
            let time = timestamp_us_to_datetime(time).ok_or(UdfError::TimestampRange)?;
            let time = time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string();
            // A timestamptz is a moment in UTC, whatever zone shows it.
            let zone = if zone.is_some() { "+00:00" } else { "" };
            let _ = write!(out, "\"{}{zone}\"", without_zeros(&time));
        }
        DataType::Time64(_) | DataType::Time32(_) => {
            let micros = DataType::Time64(TimeUnit::Microsecond);
            return write_value(&cast(&array.slice(row, 1), &micros)?, field, 0, style, out);
        }
        DataType::Timestamp(_, zone) => {
            let micros = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            return write_value(&cast(&array.slice(row, 1), &micros)?, field, 0, style, out);
        }
        data_type if is_bits(data_type) => {
            let bits = match data_type {
                DataType::LargeList(_) => array.as_list::<i64>().value(row),
                _ => array.as_fixed_size_list().value(row),
            };
            write_text(&bits_text(bits.as_boolean().values().iter()), out);
        }
        DataType::List(item) => {
            return items(&array.as_list::<i32>().value(row), item, style, out);
        }
        DataType::FixedSizeList(item, _) => {
            return items(&array.as_fixed_size_list().value(row), item, style, out);
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            let mut order: Vec<usize> = (0..fields.len()).collect();
            if style == Style::Jsonb {
                order.sort_by_key(|&at| (fields[at].name().len(), fields[at].name()));
            }
            out.push('{');
            for (nth, at) in order.into_iter().enumerate() {
                out.push_str(if nth == 0 { "" } else { style.comma() });
                write_text(fields[at].name(), out);
                out.push_str(style.colon());
                write_value(columns.column(at), &fields[at], row, style, out)?;
            }
            out.push('}');
        }
        other => {
            let what =
                format!("{} in JSON", crate::vector::type_names(std::slice::from_ref(other)));
            return Err(UdfError::Unsupported { what }.into());
        }
    }
    Ok(())
}

fn put(number: impl std::fmt::Display, out: &mut String) {
    let _ = write!(out, "{number}");
}

fn items(items: &ArrayRef, field: &Field, style: Style, out: &mut String) -> Result<()> {
    out.push('[');
    for row in 0..items.len() {
        out.push_str(if row == 0 { "" } else { style.comma() });
        write_value(items, field, row, style, out)?;
    }
    out.push(']');
    Ok(())
}

fn text(text: &str, field: &Field, style: Style, out: &mut String) {
    if !super::is_json(field) {
        return write_text(text, out);
    }
    match style {
        Style::Json => out.push_str(text),
        Style::Jsonb => out.push_str(&normal(text).unwrap_or_else(|| text.to_owned())),
    }
}

/// What is no number in JSON is a text there; long numbers have an exponent, as PostgreSQL writes them.
fn float(is_finite: bool, number: f64, shortest: &str, out: &mut String) {
    let digits = shortest.bytes().filter(u8::is_ascii_digit).count();
    if !is_finite {
        let name = match number {
            number if number.is_nan() => "NaN",
            number if number > 0.0 => "Infinity",
            _ => "-Infinity",
        };
        write_text(name, out);
    } else if digits > 15 && (number.abs() >= 1e15 || number.abs() < 1e-4) && number != 0.0 {
        let written = format!("{number:e}");
        let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
        let (sign, exponent) = match exponent.strip_prefix('-') {
            Some(exponent) => ('-', exponent),
            None => ('+', exponent),
        };
        let _ = write!(out, "{mantissa}e{sign}{exponent:0>2}");
    } else {
        out.push_str(shortest);
    }
}

/// A time without the zeros at the end of its fraction.
fn without_zeros(time: &str) -> &str {
    time.trim_end_matches('0').trim_end_matches('.')
}
