//! Functions that give rows: `unnest`, `generate_series` and their like.

use std::sync::Arc;

use arrow::datatypes::DataType;

use super::relation::{Column, Row};
use super::types::element;
use super::value::Value;
use super::{Engine, Stop};

/// Rows that a function may give.
const MAX_ROWS: i64 = 1_000_000;

/// Whether a function gives rows.
pub(super) fn gives_rows(name: &str) -> bool {
    matches!(
        name,
        "unnest"
            | "generate_series"
            | "generate_subscripts"
            | "_pg_expandarray"
            | "pg_options_to_table"
            | "pg_get_keywords"
            | "aclexplode"
            | "regexp_split_to_table"
            | "string_to_table"
            | "json_array_elements_text"
            | "pg_get_publication_tables"
            | "pg_timezone_names"
            | "pg_available_extensions"
            | "pg_partition_ancestors"
            | "pg_show_all_settings"
            | "pg_listening_channels"
    )
}

/// The columns of a function's rows; `types` are those of its arguments.
pub(super) fn columns(name: &str, types: &[DataType]) -> Vec<Column> {
    let text = |name: &str| Column::new(name, DataType::Utf8);
    let integer = |name: &str| Column::new(name, DataType::Int32);
    match name {
        "unnest" => {
            types.iter().map(|data_type| Column::new("unnest", element(data_type))).collect()
        }
        "generate_series" => {
            let is_wide = types.contains(&DataType::Int64);
            let data_type = if is_wide { DataType::Int64 } else { DataType::Int32 };
            vec![Column::new("generate_series", data_type)]
        }
        "generate_subscripts" => vec![integer("generate_subscripts")],
        "_pg_expandarray" => {
            let item = types.first().map_or(DataType::Int32, element);
            vec![Column::new("x", item), integer("n")]
        }
        "pg_options_to_table" => vec![text("option_name"), text("option_value")],
        "pg_get_keywords" => {
            ["word", "catcode", "barelabel", "catdesc", "baredesc"].map(text).into()
        }
        "aclexplode" => vec![
            integer("grantor"),
            integer("grantee"),
            text("privilege_type"),
            Column::new("is_grantable", DataType::Boolean),
        ],
        "pg_timezone_names" => vec![text("name"), text("abbrev"), text("utc_offset")],
        "pg_available_extensions" => vec![text("name"), text("default_version"), text("comment")],
        other => vec![text(other)],
    }
}

impl Engine<'_> {
    /// The rows of a function.
    pub(super) fn rows_of(&self, name: &str, values: &[Value]) -> Result<Vec<Row>, Stop> {
        let one = |value: Value| vec![value];
        Ok(match name {
            "unnest" => {
                let arrays: Vec<Arc<Vec<Value>>> =
                    values.iter().map(|value| value.elements().unwrap_or_default()).collect();
                let longest = arrays.iter().map(|array| array.len()).max().unwrap_or(0);
                let row = |at: usize| {
                    arrays
                        .iter()
                        .map(|array| array.get(at).cloned().unwrap_or(Value::Null))
                        .collect()
                };
                (0..longest).map(row).collect()
            }
            "generate_series" => {
                let (Some(first), Some(last)) =
                    (values.first().and_then(Value::int), values.get(1).and_then(Value::int))
                else {
                    return Ok(Vec::new());
                };
                let step = values.get(2).and_then(Value::int).unwrap_or(1);
                if step == 0 {
                    return Err(Stop::invalid("22023", "step size cannot equal zero".into()));
                }
                if (last.saturating_sub(first) / step) > MAX_ROWS {
                    return Err(Stop::Unsupported("so many rows".into()));
                }
                let mut numbers = Vec::new();
                let mut number = first;
                while (step > 0 && number <= last) || (step < 0 && number >= last) {
                    numbers.push(one(Value::Int(number)));
                    let Some(next) = number.checked_add(step) else { break };
                    number = next;
                }
                numbers
            }
            "generate_subscripts" => match values.first() {
                Some(Value::Array(elements, first)) => {
                    let numbers = (*first..).take(elements.len());
                    numbers.map(|number| one(Value::Int(number))).collect()
                }
                _ => Vec::new(),
            },
            "_pg_expandarray" => match values.first().and_then(Value::elements) {
                Some(elements) => {
                    let numbered = elements.iter().zip(1..);
                    numbered.map(|(value, at)| vec![value.clone(), Value::Int(at)]).collect()
                }
                None => Vec::new(),
            },
            "regexp_split_to_table" | "string_to_table" => {
                match (
                    values.first().and_then(Value::written),
                    values.get(1).and_then(Value::written),
                ) {
                    (Some(text), Some(separator)) if name == "string_to_table" => {
                        text.split(separator.as_str()).map(|part| one(Value::text(part))).collect()
                    }
                    (Some(text), Some(pattern)) => {
                        let expression = super::pattern::expression(&pattern, false)?;
                        expression.split(&text).map(|part| one(Value::text(part))).collect()
                    }
                    _ => Vec::new(),
                }
            }
            "pg_get_keywords" => KEYWORDS
                .iter()
                .map(|word| {
                    vec![
                        Value::text(*word),
                        Value::text("R"),
                        Value::Bool(false),
                        Value::text("reserved"),
                        Value::text("requires AS"),
                    ]
                })
                .collect(),
            "pg_listening_channels" => {
                let channels = super::objects::channels(self.state);
                channels.into_iter().map(|channel| one(Value::text(channel))).collect()
            }
            // There are no options, no extensions, no lists of privileges.
            _ => Vec::new(),
        })
    }
}

/// The reserved words of Appendix C of PostgreSQL's manual.
const KEYWORDS: [&str; 77] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "current_catalog",
    "current_date",
    "current_role",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "grant",
    "group",
    "having",
    "in",
    "initially",
    "intersect",
    "into",
    "lateral",
    "leading",
    "limit",
    "localtime",
    "localtimestamp",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "placing",
    "primary",
    "references",
    "returning",
    "select",
    "session_user",
    "some",
    "symmetric",
    "system_user",
    "table",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "when",
    "where",
    "window",
];
