//! Values of Arrow arrays, spelled as PostgreSQL spells them.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type, Schema};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use vigil_sql::text::{array as array_text, float4, float8, intervals};

use super::TextRows;

/// All rows of a result.
pub(super) fn rows(schema: &Schema, batches: &[RecordBatch]) -> Result<TextRows, ArrowError> {
    let mut rows = vec![];
    for batch in batches {
        let columns = batch.columns().iter().map(|column| texts(column.as_ref()));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| column[row].clone()).collect());
        }
    }
    let fields = schema.fields();
    Ok(TextRows {
        columns: fields.iter().map(|field| field.name().clone()).collect(),
        numeric: fields.iter().map(|field| field.data_type().is_numeric()).collect(),
        rows,
    })
}

/// PostgreSQL's format of a timestamptz in UTC, and of one without a zone.
fn options() -> FormatOptions<'static> {
    FormatOptions::new()
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:::z"))
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
}

/// Each value of a column; `None` is NULL.
fn texts(array: &dyn Array) -> Result<Vec<Option<String>>, ArrowError> {
    if matches!(array.data_type(), DataType::Duration(_) | DataType::Interval(_)) {
        return Ok(intervals(array)?.iter().map(|text| text.map(str::to_owned)).collect());
    }
    let options = options();
    let formatter = ArrayFormatter::try_new(array, &options)?;
    (0..array.len())
        .map(|row| {
            // An untyped NULL has no bitmap of its own.
            if array.is_null(row) || array.data_type() == &DataType::Null {
                return Ok(None);
            }
            let text = match array.data_type() {
                DataType::Boolean => {
                    if array.as_boolean().value(row) { "t" } else { "f" }.to_owned()
                }
                DataType::Float32 => float4(array.as_primitive::<Float32Type>().value(row)),
                DataType::Float64 => float8(array.as_primitive::<Float64Type>().value(row)),
                DataType::Timestamp(..) => {
                    without_last_zeros(&formatter.value(row).try_to_string()?)
                }
                DataType::Binary => hex(array.as_binary::<i32>().value(row)),
                DataType::LargeBinary => hex(array.as_binary::<i64>().value(row)),
                DataType::BinaryView => hex(array.as_binary_view().value(row)),
                DataType::Float16 => {
                    float4(array.as_primitive::<Float16Type>().value(row).to_f32())
                }
                DataType::FixedSizeList(item, _) if *item.data_type() == DataType::Boolean => {
                    bits(array.as_fixed_size_list().value(row).as_ref())
                }
                DataType::LargeList(item) if *item.data_type() == DataType::Boolean => {
                    bits(array.as_list::<i64>().value(row).as_ref())
                }
                DataType::FixedSizeList(item, _) if item.data_type().is_floating() => {
                    vector(array.as_fixed_size_list().value(row).as_ref())?
                }
                DataType::List(item) if item.data_type().is_floating() => {
                    vector(array.as_list::<i32>().value(row).as_ref())?
                }
                DataType::List(_) => {
                    let items = texts(array.as_list::<i32>().value(row).as_ref())?;
                    array_text(items.iter().map(Option::as_deref))
                }
                _ => formatter.value(row).try_to_string()?,
            };
            Ok(Some(text))
        })
        .collect()
}

/// pgvector's spelling.
fn vector(items: &dyn Array) -> Result<String, ArrowError> {
    let items = texts(items)?;
    let items: Vec<_> =
        items.into_iter().map(|item| item.unwrap_or_else(|| "NULL".into())).collect();
    Ok(format!("[{}]", items.join(",")))
}

/// PostgreSQL's spelling of `bit`.
fn bits(bits: &dyn Array) -> String {
    vigil_udfs::bits_text(bits.as_boolean().values().iter())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    let mut text = String::from("\\x");
    for byte in bytes {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A timestamp whose fraction has no zeros at its end: `00:00:01.5+00`.
fn without_last_zeros(text: &str) -> String {
    let Some((whole, rest)) = text.split_once('.') else { return text.to_owned() };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (fraction, zone) = rest.split_at(digits);
    match fraction.trim_end_matches('0') {
        "" => format!("{whole}{zone}"),
        fraction => format!("{whole}.{fraction}{zone}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BinaryArray, BooleanArray, FixedSizeListArray, Float32Array, Float64Array,
        TimestampMicrosecondArray,
    };

    use super::*;

    #[test]
    fn values_are_spelled_as_in_postgresql() {
        let times = TimestampMicrosecondArray::from(vec![Some(0), Some(1_500_000), None]);
        let vectors = vec![Some(vec![Some(1.0), Some(-0.5)]), None, Some(vec![Some(0.0), None])];
        let columns: [(&str, ArrayRef); 6] = [
            ("ts", Arc::new(times.with_timezone("UTC"))),
            ("flag", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
            ("real", Arc::new(Float32Array::from(vec![0.1, 1.0, f32::NAN]))),
            ("double", Arc::new(Float64Array::from(vec![0.1, 1e20, f64::NEG_INFINITY]))),
            ("bytes", Arc::new(BinaryArray::from(vec![&b"\x00\xff"[..], b"", b"a"]))),
            (
                "vector",
                Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>(vectors, 2)),
            ),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, array)| (name, array, true)),
        )
        .unwrap();
        let rows = rows(batch.schema().as_ref(), std::slice::from_ref(&batch)).unwrap();
        let expected = [
            ["1970-01-01 00:00:00+00", "t", "0.1", "0.1", "\\x00ff", "[1,-0.5]"],
            ["1970-01-01 00:00:01.5+00", "f", "1", "1e+20", "\\x", "NULL"],
            ["NULL", "NULL", "NaN", "-Infinity", "\\x61", "[0,NULL]"],
        ];
        let shown: Vec<Vec<_>> = rows
            .rows
            .iter()
            .map(|row| row.iter().map(|cell| cell.as_deref().unwrap_or("NULL")).collect())
            .collect();
        assert_eq!(shown, expected);
        assert_eq!(rows.numeric, [false, false, true, true, false, false]);
    }

    #[test]
    fn durations_are_spelled_as_intervals() {
        let micros = vec![79_400_000, 0, 93_784_500_001, -1_500_000];
        let array = arrow::array::DurationMicrosecondArray::from(micros);
        let shown: Vec<_> = texts(&array).unwrap().into_iter().flatten().collect();
        assert_eq!(shown, ["00:01:19.4", "00:00:00", "1 day 02:03:04.500001", "-00:00:01.5"]);
    }
}
