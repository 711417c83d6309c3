//! Results as text: tables as psql draws them, CSV as `COPY … CSV HEADER` writes it, JSON.
//!
//! Values are spelled as PostgreSQL spells them. JSON is one array of objects for each result;
//! there numbers, booleans and lists keep their types when the engine runs in this process, and
//! are text when they came over the wire.

mod csv;
mod json;
mod table;
mod value;

use std::io::{self, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use clap::ValueEnum;

use super::error::CliError;

pub(super) use self::table::write_table;

/// How results are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A table for people, as psql draws it.
    #[default]
    Table,
    /// Comma-separated values with a header line.
    Csv,
    /// An array of objects.
    Json,
}

/// A result as text: what all formats but JSON are made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TextRows {
    /// Column names.
    pub(super) columns: Vec<String>,
    /// Whether a column holds numbers, which tables align to the right.
    pub(super) numeric: Vec<bool>,
    /// The rows; `None` is NULL.
    pub(super) rows: Vec<Vec<Option<String>>>,
}

/// The rows of a result as PostgreSQL spells their values; `None` is NULL.
///
/// # Errors
/// When Arrow cannot display a type, which no type of Vigil's is.
pub fn text_rows(
    schema: &Schema,
    batches: &[RecordBatch],
) -> Result<Vec<Vec<Option<String>>>, ArrowError> {
    Ok(value::rows(schema, batches)?.rows)
}

/// Prints a result of the engine in this process.
pub(super) fn write_batches(
    to: &mut dyn Write,
    format: Format,
    schema: &Schema,
    batches: &[RecordBatch],
) -> Result<(), CliError> {
    if format == Format::Json {
        return json::write_batches(to, batches);
    }
    let rows = value::rows(schema, batches)?;
    write_text(to, format, &rows)
}

/// Prints a result that is text already.
pub(super) fn write_text(
    to: &mut dyn Write,
    format: Format,
    rows: &TextRows,
) -> Result<(), CliError> {
    match format {
        Format::Table => write_table(to, rows)?,
        Format::Csv => csv::write_rows(to, rows)?,
        Format::Json => json::write_text(to, rows)?,
    }
    Ok(())
}

/// Prints what a statement without rows did: only to people.
pub(super) fn write_tag(to: &mut dyn Write, format: Format, tag: &str) -> io::Result<()> {
    if format == Format::Table && !tag.is_empty() { writeln!(to, "{tag}") } else { Ok(()) }
}
