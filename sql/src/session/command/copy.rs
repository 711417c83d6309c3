//! `COPY {table [(columns)] | (query)} TO STDOUT [[WITH] (options)]`, with the options in
//! PostgreSQL's present spelling or the one from before version 9, which psql's `\copy` still
//! passes on.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::logical_expr::LogicalPlan;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::Command;
use crate::SqlError;
use crate::dialect::{self, Cursor};
use crate::session::{Outcome, Session};

/// The statement.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub(crate) query: Box<ast::Statement>,
    pub(crate) options: CopyOptions,
}

/// How `COPY` writes rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// Text, CSV or binary.
    pub format: CopyFormat,
    /// True when the names of the columns come first.
    pub header: bool,
    /// Between values.
    pub delimiter: u8,
    /// What stands for NULL.
    pub null: String,
    /// Around values of CSV that need it.
    pub quote: u8,
    /// Before a quote within a value of CSV.
    pub escape: u8,
    /// The columns of CSV whose values are always quoted.
    pub force_quote: ForceQuote,
}

/// The formats of `COPY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// A line a row, with backslash escapes.
    Text,
    /// Comma separated values.
    Csv,
    /// PostgreSQL's binary format.
    Binary,
}

/// Columns whose values `COPY` quotes whether they need it or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForceQuote {
    /// Those named here.
    Columns(Vec<String>),
    /// All.
    All,
}

pub(super) fn parse(cursor: &mut Cursor) -> Result<Command, SqlError> {
    let query = if cursor.sees_sign(&Token::LParen) {
        let query = cursor.parenthesised()?;
        dialect::parse_part(query, cursor.lines())?
    } else {
        let table = cursor.qualified_name()?;
        let table = cursor.text_of(table);
        let columns = if cursor.sees_sign(&Token::LParen) {
            let columns = cursor.parenthesised()?;
            cursor.text_of(columns)
        } else {
            "*"
        };
        dialect::parse_made(&format!("SELECT {columns} FROM {table}"))?
    };
    if cursor.begins_with(&["from"]) {
        return Err(SqlError::Invalid {
            sqlstate: "42809",
            message: "cannot copy into a table".into(),
            hint: Some("Its rows come from sources; use CREATE SOURCE.".into()),
            position: Some(cursor.position()),
        });
    }
    cursor.expect(&["to"])?;
    if !cursor.accept(&["stdout"]) {
        return Err(SqlError::Invalid {
            sqlstate: "0A000",
            message: "COPY to a file or a program is not supported".into(),
            hint: Some("Use COPY … TO STDOUT, or \\copy in psql.".into()),
            position: Some(cursor.position()),
        });
    }
    let options = options(cursor)?;
    Ok(Command::Copy(Box::new(Copy { query, options })))
}

/// The options as far as they are written.
#[derive(Default)]
struct Written {
    format: Option<CopyFormat>,
    header: bool,
    delimiter: Option<String>,
    null: Option<String>,
    quote: Option<String>,
    escape: Option<String>,
    force_quote: Option<ForceQuote>,
}

fn options(cursor: &mut Cursor) -> Result<CopyOptions, SqlError> {
    cursor.accept(&["with"]);
    let mut written = Written::default();
    if cursor.accept_sign(&Token::LParen) {
        loop {
            option(cursor, &mut written)?;
            if !cursor.accept_sign(&Token::Comma) {
                break;
            }
        }
        cursor.expect_sign(&Token::RParen)?;
    } else {
        while old_option(cursor, &mut written)? {}
    }
    written.checked()
}

fn option(cursor: &mut Cursor, written: &mut Written) -> Result<(), SqlError> {
    let position = cursor.position();
    if cursor.accept(&["format"]) {
        // asyncpg writes it in quotes.
        let format = match cursor.string() {
            Ok(format) => format.to_ascii_lowercase(),
            Err(_) => cursor.identifier()?,
        };
        written.format = Some(match format.as_str() {
            "text" => CopyFormat::Text,
            "csv" => CopyFormat::Csv,
            "binary" => CopyFormat::Binary,
            _ => return Err(invalid(format!("COPY format \"{format}\" not recognized"), position)),
        });
    } else if cursor.accept(&["header"]) {
        written.header = boolean(cursor);
    } else if cursor.accept(&["delimiter"]) {
        written.delimiter = Some(cursor.string()?);
    } else if cursor.accept(&["null"]) {
        written.null = Some(cursor.string()?);
    } else if cursor.accept(&["quote"]) {
        written.quote = Some(cursor.string()?);
    } else if cursor.accept(&["escape"]) {
        written.escape = Some(cursor.string()?);
    } else if cursor.accept(&["encoding"]) {
        encoding(cursor)?;
    } else if cursor.accept(&["force_quote"]) {
        written.force_quote = Some(if cursor.accept_sign(&Token::Mul) {
            ForceQuote::All
        } else {
            cursor.expect_sign(&Token::LParen)?;
            let columns = names(cursor)?;
            cursor.expect_sign(&Token::RParen)?;
            columns
        });
    } else {
        let name = cursor.identifier()?;
        return Err(invalid(format!("option \"{name}\" not recognized"), position));
    }
    Ok(())
}

/// An option in the spelling without parentheses, if one comes next.
fn old_option(cursor: &mut Cursor, written: &mut Written) -> Result<bool, SqlError> {
    if cursor.accept(&["binary"]) {
        written.format = Some(CopyFormat::Binary);
    } else if cursor.accept(&["csv"]) {
        written.format = Some(CopyFormat::Csv);
    } else if cursor.accept(&["header"]) {
        written.header = true;
    } else if cursor.accept(&["force", "quote"]) {
        written.force_quote =
            Some(if cursor.accept_sign(&Token::Mul) { ForceQuote::All } else { names(cursor)? });
    } else if cursor.accept(&["encoding"]) {
        encoding(cursor)?;
    } else {
        let place = if cursor.accept(&["delimiter"]) || cursor.accept(&["delimiters"]) {
            &mut written.delimiter
        } else if cursor.accept(&["null"]) {
            &mut written.null
        } else if cursor.accept(&["quote"]) {
            &mut written.quote
        } else if cursor.accept(&["escape"]) {
            &mut written.escape
        } else {
            return Ok(false);
        };
        cursor.accept(&["as"]);
        *place = Some(cursor.string()?);
    }
    Ok(true)
}

fn boolean(cursor: &mut Cursor) -> bool {
    let is_off = cursor.accept(&["false"]) || cursor.accept(&["off"]);
    if !is_off && !cursor.accept(&["true"]) {
        cursor.accept(&["on"]);
    }
    !is_off
}

fn names(cursor: &mut Cursor) -> Result<ForceQuote, SqlError> {
    let mut names = vec![cursor.identifier()?];
    while cursor.accept_sign(&Token::Comma) {
        names.push(cursor.identifier()?);
    }
    Ok(ForceQuote::Columns(names))
}

fn encoding(cursor: &mut Cursor) -> Result<(), SqlError> {
    let position = cursor.position();
    let name = cursor.string()?;
    if matches!(name.to_ascii_lowercase().as_str(), "utf8" | "utf-8" | "unicode") {
        return Ok(());
    }
    Err(SqlError::Invalid {
        sqlstate: "0A000",
        message: format!("encoding \"{name}\" is not supported"),
        hint: Some("Texts are always sent as UTF8.".into()),
        position: Some(position),
    })
}

impl Written {
    fn checked(self) -> Result<CopyOptions, SqlError> {
        let format = self.format.unwrap_or(CopyFormat::Text);
        let is_csv = format == CopyFormat::Csv;
        let is_binary = format == CopyFormat::Binary;
        let refuse = |is_there: bool, name: &str, wanted: &str| {
            if is_there {
                Err(invalid_option("0A000", format!("COPY {name} {wanted}")))
            } else {
                Ok(())
            }
        };
        let without_csv = "is available only in CSV mode";
        let in_binary = "cannot be used in BINARY mode";
        refuse(is_binary && self.delimiter.is_some(), "DELIMITER", in_binary)?;
        refuse(is_binary && self.null.is_some(), "NULL", in_binary)?;
        refuse(is_binary && self.header, "HEADER", in_binary)?;
        refuse(!is_csv && self.quote.is_some(), "QUOTE", without_csv)?;
        refuse(!is_csv && self.escape.is_some(), "ESCAPE", without_csv)?;
        refuse(!is_csv && self.force_quote.is_some(), "FORCE_QUOTE", without_csv)?;
        let delimiter = one_byte(self.delimiter, "delimiter", if is_csv { b',' } else { b'\t' })?;
        let quote = one_byte(self.quote, "quote", b'"')?;
        let escape = one_byte(self.escape, "escape", quote)?;
        if is_csv && delimiter == quote {
            let message = "COPY delimiter and quote must be different";
            return Err(invalid_option("22023", message.into()));
        }
        if matches!(delimiter, b'\n' | b'\r') || (!is_csv && delimiter == b'\\') {
            let message = format!("COPY delimiter cannot be \"{}\"", delimiter.escape_ascii());
            return Err(invalid_option("22023", message));
        }
        let null = self.null.unwrap_or_else(|| if is_csv { "" } else { "\\N" }.into());
        if null.contains(['\n', '\r']) {
            let message = "COPY null representation cannot use newline or carriage return";
            return Err(invalid_option("22023", message.into()));
        }
        let force_quote = self.force_quote.unwrap_or(ForceQuote::Columns(Vec::new()));
        Ok(CopyOptions { format, header: self.header, delimiter, null, quote, escape, force_quote })
    }
}

fn one_byte(text: Option<String>, name: &str, otherwise: u8) -> Result<u8, SqlError> {
    match text.as_deref().map(str::as_bytes) {
        None => Ok(otherwise),
        Some([byte]) => Ok(*byte),
        Some(_) => {
            let message = format!("COPY {name} must be a single one-byte character");
            Err(invalid_option("0A000", message))
        }
    }
}

fn invalid_option(sqlstate: &'static str, message: String) -> SqlError {
    SqlError::Invalid { sqlstate, message, hint: None, position: None }
}

fn invalid(message: String, position: usize) -> SqlError {
    SqlError::Invalid { sqlstate: "22023", message, hint: None, position: Some(position) }
}

impl Session {
    /// Starts the query; its rows stream.
    pub(in crate::session) async fn run_copy(
        &self,
        options: &Arc<CopyOptions>,
        plan: LogicalPlan,
        described: &SchemaRef,
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome, SqlError> {
        let described = Some(Arc::clone(described));
        let batches = self.query(plan, &described, parameters).await?;
        Ok(Outcome::Copy { schema: batches.schema(), batches, options: Arc::clone(options) })
    }
}
