//! How an error of DataFusion meets a client: errors of ours that it carries come out as they
//! went in, its own become PostgreSQL's in SQLSTATE and wording where PostgreSQL has the case.

mod words;

use arrow::error::ArrowError;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use vigil_models::ModelError;
use vigil_udfs::UdfError;

use super::SqlError;
use crate::EngineError;
use crate::views::SEARCHED;

impl From<DataFusionError> for SqlError {
    fn from(error: DataFusionError) -> Self {
        convert(&error)
    }
}

fn convert(error: &DataFusionError) -> SqlError {
    match error {
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            convert(inner)
        }
        DataFusionError::Shared(inner) => convert(inner),
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => convert(first),
            None => query("XX000", "the query failed"),
        },
        DataFusionError::External(inner) => external(inner.as_ref()),
        DataFusionError::ArrowError(inner, _) => arrow(inner),
        DataFusionError::SchemaError(inner, _) => schema(inner),
        DataFusionError::SQL(inner, _) => query("42601", &inner.to_string()),
        DataFusionError::Plan(text) => plan(text),
        DataFusionError::NotImplemented(text) => match text.strip_prefix("Unsupported SQL type ") {
            Some(name) => query("42704", &format!("type \"{name}\" does not exist")),
            None => words::postgresql(text).unwrap_or_else(|| query("0A000", text)),
        },
        DataFusionError::Configuration(text) => query("22023", text),
        DataFusionError::Execution(text) => execution(text),
        DataFusionError::ResourcesExhausted(text) => query("53200", text),
        DataFusionError::ExecutionJoin(join) => {
            if join.is_cancelled() {
                SqlError::Canceled
            } else {
                SqlError::Panicked { detail: join.to_string() }
            }
        }
        DataFusionError::IoError(inner) => query("58030", &inner.to_string()),
        DataFusionError::ObjectStore(inner) => query("58030", &inner.to_string()),
        other => {
            let text = other.strip_backtrace();
            words::postgresql(without_prefixes(&text)).unwrap_or_else(|| internal(&text))
        }
    }
}

/// An error that another part of Vigil put into DataFusion.
fn external(error: &(dyn std::error::Error + Send + Sync + 'static)) -> SqlError {
    if let Some(error) = error.downcast_ref::<SqlError>() {
        error.clone()
    } else if let Some(error) = error.downcast_ref::<EngineError>() {
        error.clone().into()
    } else if let Some(error) = error.downcast_ref::<ModelError>() {
        error.clone().into()
    } else if let Some(error) = error.downcast_ref::<UdfError>() {
        error.clone().into()
    } else if let Some(error) = error.downcast_ref::<DataFusionError>() {
        convert(error)
    } else if let Some(error) = error.downcast_ref::<ArrowError>() {
        arrow(error)
    } else {
        query("XX000", &error.to_string())
    }
}

fn arrow(error: &ArrowError) -> SqlError {
    match error {
        ArrowError::ExternalError(inner) => external(inner.as_ref()),
        ArrowError::DivideByZero => query("22012", "division by zero"),
        ArrowError::ArithmeticOverflow(text) => SqlError::Query {
            sqlstate: "22003",
            message: "value out of range".into(),
            detail: Some(text.clone()),
            hint: None,
        },
        ArrowError::CastError(text) | ArrowError::ParseError(text) => cast(text),
        ArrowError::InvalidArgumentError(text) | ArrowError::ComputeError(text) => {
            let known = words::postgresql(without_prefixes(text));
            known.unwrap_or_else(|| query(of_power(text).unwrap_or("22023"), text))
        }
        ArrowError::MemoryError(text) => query("53200", text),
        ArrowError::NotYetImplemented(text) => query("0A000", text),
        other => internal(&other.to_string()),
    }
}

/// PostgreSQL's SQLSTATE for what has no root or power.
fn of_power(text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    let is_one = text.contains("square root of a negative number")
        || text.contains("raised to a negative power")
        || text.contains("raised to a non-integer power");
    is_one.then_some("2201F")
}

/// A value that its type cannot be read from.
fn cast(text: &str) -> SqlError {
    // Arrow: Cannot cast string 'abc' to value of Int64 type
    if let Some(rest) = text.strip_prefix("Cannot cast string '")
        && let Some((value, rest)) = rest.split_once("' to value of ")
    {
        return not_of_type(postgres_type(rest.trim_end_matches(" type")), value);
    }
    // Arrow: Error parsing timestamp from 'abc': error parsing date
    if let Some(rest) = text.strip_prefix("Error parsing timestamp from '")
        && let Some((value, _)) = rest.split_once("': ")
    {
        return not_of_type("timestamp", value);
    }
    if text.contains("nvalid input syntax for type interval") {
        return query("22007", text);
    }
    if let Some(error) = words::postgresql(text) {
        return error;
    }
    if text.contains("Can't cast value") || text.contains("out of range") {
        return query("22003", text);
    }
    query("22P02", text)
}

/// A text that is no value of a type, with PostgreSQL's SQLSTATE for it.
fn not_of_type(name: &str, value: &str) -> SqlError {
    // PostgreSQL's short names, which Arrow's texts for a value do not tell apart.
    let name = match name {
        "timestamp without time zone" => "timestamp",
        "time without time zone" => "time",
        name => name,
    };
    let text = value.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_whole && matches!(name, "smallint" | "integer" | "bigint") {
        return query("22003", &format!("value \"{value}\" is out of range for type {name}"));
    }
    let sqlstate = match name {
        "date" | "timestamp" | "timestamp with time zone" if looks_like_date(text) => {
            return query("22008", &format!("date/time field value out of range: \"{value}\""));
        }
        "time" if text.starts_with(|first: char| first.is_ascii_digit()) => {
            return query("22008", &format!("date/time field value out of range: \"{value}\""));
        }
        "date" | "timestamp" | "timestamp with time zone" | "time" | "interval" => "22007",
        _ => "22P02",
    };
    query(sqlstate, &format!("invalid input syntax for type {name}: \"{value}\""))
}

/// Whether a text has the form of a date: then one of its numbers is none of a calendar.
fn looks_like_date(text: &str) -> bool {
    let date = text.split([' ', 'T']).next().unwrap_or_default();
    let parts: Vec<&str> = date.split('-').collect();
    parts.len() == 3
        && parts.iter().all(|part| {
            (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        })
}

/// PostgreSQL's name for Arrow's name of a simple type.
fn postgres_type(arrow_type: &str) -> &str {
    match arrow_type {
        "Null" => "unknown",
        name if name.starts_with("Decimal") => "numeric",
        name if name.starts_with("Timestamp(")
            && !name.ends_with("None)")
            && name.contains(", ") =>
        {
            "timestamp with time zone"
        }
        name if name.starts_with("Timestamp(") => "timestamp without time zone",
        name if name.starts_with("Time64(") || name.starts_with("Time32(") => {
            "time without time zone"
        }
        name if name.starts_with("Interval(") || name.starts_with("Duration(") => "interval",
        "Boolean" => "boolean",
        "Int8" | "Int16" => "smallint",
        "Int32" => "integer",
        "Int64" => "bigint",
        "Float32" => "real",
        "Float64" => "double precision",
        "Date32" | "Date64" => "date",
        "Utf8" | "Utf8View" | "LargeUtf8" => "text",
        "Binary" | "BinaryView" | "LargeBinary" => "bytea",
        other => other,
    }
}

fn schema(error: &SchemaError) -> SqlError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let is_there = |relation| {
                valid_fields.iter().any(|valid| valid.relation.as_ref() == Some(relation))
            };
            if let Some(relation) = field.relation.as_ref().filter(|relation| !is_there(relation)) {
                let name = relation.table();
                return query("42P01", &format!("missing FROM-clause entry for table \"{name}\""));
            }
            let message = match &field.relation {
                Some(relation) => {
                    format!("column {}.{} does not exist", relation.table(), field.name)
                }
                None => format!("column \"{}\" does not exist", field.name),
            };
            let hint = nearest_column(field, valid_fields)
                .map(|column| format!("Perhaps you meant to reference the column \"{column}\"."));
            SqlError::Query { sqlstate: "42703", message, detail: None, hint }
        }
        SchemaError::AmbiguousReference { field } => {
            query("42702", &format!("column reference \"{}\" is ambiguous", field.name))
        }
        SchemaError::DuplicateQualifiedField { qualifier, .. } => {
            let name = qualifier.table();
            query("42712", &format!("table name \"{name}\" specified more than once"))
        }
        SchemaError::DuplicateUnqualifiedField { name } => {
            query("42701", &format!("column \"{name}\" specified more than once"))
        }
    }
}

/// Whether a name may be a slip of the pen for another one.
fn is_near(name: &str, written: &str) -> bool {
    strsim::damerau_levenshtein(name, written) <= name.len().max(3) / 3
}

fn nearest_column(field: &Column, valid: &[Column]) -> Option<String> {
    let near = valid
        .iter()
        .map(|column| (strsim::damerau_levenshtein(&column.name, &field.name), column))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(_, column)| is_near(&column.name, &field.name))?;
    Some(near.1.flat_name())
}

fn plan(text: &str) -> SqlError {
    if let Some(error) = words::postgresql(text) {
        return error;
    }
    // table 'vigil.public.nowhere' not found
    if let Some(rest) = text.strip_prefix("table '")
        && let Some((name, _)) = rest.split_once("' not found")
    {
        let name = name.strip_prefix("vigil.").unwrap_or(name);
        let schemas = ["public", SEARCHED].into_iter();
        let name = schemas
            .filter_map(|schema| name.strip_prefix(schema)?.strip_prefix('.'))
            .next()
            .unwrap_or(name);
        return query("42P01", &format!("relation \"{name}\" does not exist"));
    }
    if let Some(name) = text.strip_prefix("failed to resolve schema: ") {
        return query("3F000", &format!("schema \"{name}\" does not exist"));
    }
    if let Some(name) = text.strip_prefix("failed to resolve catalog: ") {
        return SqlError::Query {
            sqlstate: "0A000",
            message: format!("cross-database references are not implemented: \"{name}\""),
            detail: None,
            hint: Some("The one database is \"vigil\".".into()),
        };
    }
    // Invalid function 'foo'.\nDid you mean 'bar'?
    if let Some(rest) = text.strip_prefix("Invalid function '")
        && let Some((name, rest)) = rest.split_once('\'')
    {
        let near = rest
            .split_once("Did you mean '")
            .and_then(|(_, near)| near.split_once('\''))
            .filter(|(near, _)| is_near(near, name));
        let hint = match near {
            Some((near, _)) => format!("{} Perhaps you meant {near}().", words::NO_FUNCTION),
            None => words::NO_FUNCTION.to_owned(),
        };
        return SqlError::Query {
            sqlstate: "42883",
            message: format!("function {name} does not exist"),
            detail: None,
            hint: Some(hint),
        };
    }
    if let Some(rest) = text.split("Failed to coerce arguments to satisfy a call to '").nth(1)
        && let Some((name, _)) = rest.split_once('\'')
    {
        return wrong_arguments(name, text);
    }
    if let Some(rest) = text.split("Error during planning: ").nth(1)
        && text.starts_with("Execution error: Function '")
    {
        return wrong_arguments(between_quotes(text).unwrap_or("?"), rest);
    }
    if text.contains("does not support zero arguments")
        || text.contains("No function matches the given name and argument types")
        || text.contains("function failed to match any signature")
        || text.starts_with("Function '")
    {
        return wrong_arguments(between_quotes(text).unwrap_or("?"), text);
    }
    if let Some(rest) = text.split("column \"").nth(1)
        && let Some((column, rest)) = rest.split_once('"')
        && rest.starts_with(" must appear in the GROUP BY clause")
    {
        let message = format!(
            "column \"{column}\" must appear in the GROUP BY clause or be used in an aggregate function"
        );
        return query("42803", &message);
    }
    if text.contains("GROUP BY") {
        return query("42803", text);
    }
    if text.starts_with("Aggregate functions are not allowed in the WHERE clause") {
        return query("42803", "aggregate functions are not allowed in WHERE");
    }
    // Order by column out of bounds, specified: 3, max: 1
    if let Some(rest) = text.strip_prefix("Order by column out of bounds, specified: ")
        && let Some((place, _)) = rest.split_once(',')
    {
        return query("42P10", &format!("ORDER BY position {place} is not in select list"));
    }
    if text.starts_with("Inconsistent data length across values list") {
        return query("42601", "VALUES lists must all be the same length");
    }
    if let Some(operation) = text.strip_suffix(" queries have different number of columns") {
        let message = format!("each {operation} query must have the same number of columns");
        return query("42601", &message);
    }
    // Cannot create filter with non-boolean predicate 'frames.source' returning Utf8
    if text.contains("non-boolean predicate") {
        let name = text.rsplit("returning ").next().unwrap_or_default();
        let name = postgres_type(name);
        return query("42804", &format!("argument of WHERE must be type boolean, not type {name}"));
    }
    if text.starts_with("LIMIT must be >= 0") {
        return query("2201W", "LIMIT must not be negative");
    }
    if text.starts_with("OFFSET must be >=0") || text.starts_with("OFFSET must be >= 0") {
        return query("2201X", "OFFSET must not be negative");
    }
    if text.starts_with("Placeholder type could not be resolved") {
        return SqlError::Query {
            sqlstate: "42P18",
            message: "could not determine the data type of a parameter".into(),
            detail: None,
            hint: Some("Write its type, as in $1::text.".into()),
        };
    }
    if text.contains("Cannot coerce")
        || text.contains("cannot coerce")
        || text.contains("can't be evaluated because there isn't a common type")
        || text.contains("Cannot infer common argument type")
    {
        return query("42804", text);
    }
    if text.contains("Unsupported") || text.contains("not supported") {
        return query("0A000", text);
    }
    query("42000", text)
}

fn no_operator(operation: &str) -> SqlError {
    SqlError::Query {
        sqlstate: "42883",
        message: format!("operator does not exist: {operation}"),
        detail: None,
        hint: Some(
            "No operator matches the given name and argument types. You might need to add explicit type \
             casts."
                .into(),
        ),
    }
}

fn between_quotes(text: &str) -> Option<&str> {
    text.split('\'').nth(1)
}

fn wrong_arguments(name: &str, text: &str) -> SqlError {
    SqlError::Query {
        sqlstate: "42883",
        message: format!("function {name} does not exist with these argument types"),
        detail: Some(first_line(text).replace("Error during planning: ", "")),
        hint: Some(words::NO_FUNCTION.into()),
    }
}

fn execution(text: &str) -> SqlError {
    if let Some(error) = words::postgresql(without_prefixes(text)) {
        return error;
    }
    if text.to_ascii_lowercase().contains("divide by zero") {
        return query("22012", "division by zero");
    }
    if text.starts_with("Cannot cast") || text.starts_with("Error parsing") {
        return cast(text);
    }
    let lower = text.to_ascii_lowercase();
    if lower.contains("scalar subquery returned more than one row") {
        return query("21000", "more than one row returned by a subquery used as an expression");
    }
    if lower.starts_with("negative count not allowed")
        || lower.starts_with("negative substring length")
    {
        return query("22011", "negative substring length not allowed");
    }
    query("22000", text)
}

fn internal(text: &str) -> SqlError {
    query("XX000", text)
}

/// An error of `text`: its first line is the message, the other ones are the detail.
fn query(sqlstate: &'static str, text: &str) -> SqlError {
    let text = without_prefixes(text);
    if let Some(error) = regular_expression(text) {
        return error;
    }
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    let rest = rest.trim();
    SqlError::Query {
        sqlstate,
        message: lower_first(line.trim_end_matches('.').trim()),
        detail: (!rest.is_empty()).then(|| rest.to_owned()),
        hint: None,
    }
}

/// What the crate `regex` says of a pattern: its last line tells what is wrong.
fn regular_expression(text: &str) -> Option<SqlError> {
    let (_, rest) = text.split_once("regex parse error:")?;
    let reason = rest.lines().find_map(|line| line.trim().strip_prefix("error: "))?;
    let hint = if reason.contains("not supported") {
        "Write it without look-around and back-references; they are not known here."
    } else {
        "A character with a meaning of its own takes a backslash before it."
    };
    Some(SqlError::Query {
        sqlstate: "2201B",
        message: format!("invalid regular expression: {reason}"),
        detail: None,
        hint: Some(hint.into()),
    })
}

/// The text without what DataFusion and Arrow write in front of their errors.
fn without_prefixes(mut text: &str) -> &str {
    const PREFIXES: [&str; 13] = [
        "Error during planning: ",
        "Execution error: ",
        "Internal error: ",
        "Arrow error: ",
        "External error: ",
        "This feature is not implemented: ",
        "Schema error: ",
        "Resources exhausted: ",
        "Invalid or Unsupported Configuration: ",
        "SQL error: ",
        "Invalid argument error: ",
        "Compute error: ",
        "Cast error: ",
    ];
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    text.split("\n\nbacktrace:").next().unwrap_or(text)
}

fn first_line(text: &str) -> &str {
    without_prefixes(text).lines().next().unwrap_or_default()
}

/// Lower case for the first letter of a sentence, unless it begins a name or an abbreviation.
fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && !second.is_uppercase() => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
