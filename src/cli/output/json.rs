//! JSON: an array of objects, one for each row, on lines of their own.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::json::writer::{JsonArray, WriterBuilder};

use super::TextRows;
use crate::cli::error::CliError;

/// Batches, with their types; NULL is `null`, not a missing key.
pub(super) fn write_batches(to: &mut dyn Write, batches: &[RecordBatch]) -> Result<(), CliError> {
    let mut bytes = vec![];
    let mut writer =
        WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(&mut bytes);
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    if bytes.is_empty() {
        bytes.extend_from_slice(b"[]");
    }
    to.write_all(&bytes)?;
    writeln!(to)?;
    Ok(())
}

/// Rows whose values are text.
pub(super) fn write_text(to: &mut dyn Write, rows: &TextRows) -> std::io::Result<()> {
    let quoted = |text: &String| serde_json::Value::from(text.as_str()).to_string();
    let objects: Vec<String> = rows
        .rows
        .iter()
        .map(|row| {
            let fields = rows.columns.iter().zip(row).map(|(name, cell)| {
                format!("{}:{}", quoted(name), cell.as_ref().map_or("null".into(), quoted))
            });
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        })
        .collect();
    writeln!(to, "[{}]", objects.join(","))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    #[test]
    fn batches_keep_their_types() {
        let names: ArrayRef = Arc::new(StringArray::from(vec![Some("say \"hi\""), None]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let batch = RecordBatch::try_from_iter([("name", names), ("n", numbers)]).unwrap();
        let mut bytes = vec![];
        write_batches(&mut bytes, &[batch]).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let expected = serde_json::json!([{"name": "say \"hi\"", "n": 1}, {"name": null, "n": 2}]);
        assert_eq!(read, expected);
        let mut none = vec![];
        write_batches(&mut none, &[]).unwrap();
        assert_eq!(none, b"[]\n");
    }

    #[test]
    fn text_stays_text_and_columns_keep_their_order() {
        let rows = TextRows {
            columns: vec!["z".into(), "a".into()],
            numeric: vec![false; 2],
            rows: vec![vec![Some("1".into()), None]],
        };
        let mut bytes = vec![];
        write_text(&mut bytes, &rows).unwrap();
        assert_eq!(bytes, b"[{\"z\":\"1\",\"a\":null}]\n");
    }
}
