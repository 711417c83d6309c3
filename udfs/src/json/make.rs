//! Functions that make JSON of values: `to_json`, `row_to_json`, `json_build_array`, what `json_agg` and
//! `json_object_agg` are made of, and the casts of texts to `json` and `jsonb`.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{internal_err, utils::take_function_args};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, TypeSignature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::text::{is_valid, normal, write_text};
use super::write::{Style, write_value};
use crate::UdfError;
use crate::doc::{Example, Function, FunctionDoc};

const SECTION: &str = "JSON";

static TO_JSON: FunctionDoc = FunctionDoc {
    name: "to_json",
    section: SECTION,
    syntax: &["to_json(value) → json", "row_to_json(record) → json", "array_to_json(array) → json"],
    description: "A value as JSON: arrays as arrays, records as objects, times as texts of ISO 8601. `row_to_json(t)` of a subquery `t` is an object of its columns.",
    arguments: &[("value", "anything but an interval")],
    examples: &[
        Example { sql: "SELECT to_json(ARRAY[1, 2])", result: "[1,2]" },
        Example { sql: "SELECT to_json('a \"quoted\" text')", result: "\"a \\\"quoted\\\" text\"" },
    ],
};

static TO_JSONB: FunctionDoc = FunctionDoc {
    name: "to_jsonb",
    section: SECTION,
    syntax: &["to_jsonb(value) → json"],
    description: "A value as JSON in the normal form of `jsonb`: keys by length and then by name, a space after commas and colons. The type is `json`.",
    arguments: &[("value", "anything but an interval")],
    examples: &[Example { sql: "SELECT to_jsonb(ARRAY[1, 2])", result: "[1, 2]" }],
};

static BUILD_ARRAY: FunctionDoc = FunctionDoc {
    name: "json_build_array",
    section: SECTION,
    syntax: &["json_build_array(value, …) → json"],
    description: "An array of the values.",
    arguments: &[("value", "anything but an interval")],
    examples: &[Example {
        sql: "SELECT json_build_array(1, 'a', NULL)",
        result: "[1, \"a\", null]",
    }],
};

static JSON: FunctionDoc = FunctionDoc {
    name: "json",
    section: SECTION,
    syntax: &["json(text) → json", "text::json → json"],
    description: "A text as `json`; one that is none is an error, SQLSTATE 22P02.",
    arguments: &[("text", "a text of JSON")],
    examples: &[Example {
        sql: "SELECT json('{\"b\":1,  \"a\":2}')",
        result: "{\"b\":1,  \"a\":2}",
    }],
};

static JSONB: FunctionDoc = FunctionDoc {
    name: "jsonb",
    section: SECTION,
    syntax: &["jsonb(text) → json", "text::jsonb → json"],
    description: "A text of JSON in the normal form of `jsonb`: keys by length and then by name, the last of those with one name, a space after commas and colons. The type is `json`.",
    arguments: &[("text", "a text of JSON")],
    examples: &[Example {
        sql: "SELECT jsonb('{\"b\":1,\"a\":2}')",
        result: "{\"a\": 2, \"b\": 1}",
    }],
};

static AGGREGATED: FunctionDoc = FunctionDoc {
    name: "json_agg",
    section: SECTION,
    syntax: &["json_agg(value [ORDER BY …]) → json", "jsonb_agg(value [ORDER BY …]) → json"],
    description: "An aggregate: the values of all rows as an array, NULLs as `null`; NULL without rows. `json_agg(t)` of a subquery `t` has an object of its columns for each row.",
    arguments: &[("value", "anything but an interval")],
    examples: &[Example {
        sql: "SELECT json_agg(x ORDER BY x DESC) FROM (VALUES (1), (2)) AS t (x)",
        result: "[2, 1]",
    }],
};

static OBJECT: FunctionDoc = FunctionDoc {
    name: "json_object_agg",
    section: SECTION,
    syntax: &["json_object_agg(name, value) → json", "jsonb_object_agg(name, value) → json"],
    description: "An aggregate: an object of the names and values of all rows; NULL without rows.",
    arguments: &[
        ("name", "a text or what has one; not NULL"),
        ("value", "anything but an interval"),
    ],
    examples: &[],
};

static BUILD_OBJECT: FunctionDoc = FunctionDoc {
    name: "json_build_object",
    section: "JSON",
    syntax: &[
        "json_build_object(name, value [, …]) → json",
        "jsonb_build_object(name, value [, …]) → json",
    ],
    description: "An object of names and values in turn.",
    arguments: &[("name", "a text, not NULL"), ("value", "anything")],
    examples: &[Example {
        sql: "SELECT json_build_object('a', 1, 'b', ARRAY[1, 2], 'c', NULL)",
        result: "{\"a\" : 1, \"b\" : [1,2], \"c\" : null}",
    }],
};

static DOCUMENTATION: LazyLock<[Documentation; 6]> = LazyLock::new(|| {
    [&TO_JSON, &TO_JSONB, &BUILD_ARRAY, &JSON, &JSONB, &BUILD_OBJECT]
        .map(FunctionDoc::to_documentation)
});

/// The functions of this file.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::new(&TO_JSON, |_| udf(Make::Value(Style::Json))),
        Function::new(&TO_JSONB, |_| udf(Make::Value(Style::Jsonb))),
        Function::new(&BUILD_ARRAY, |_| udf(Make::Array)),
        Function::new(&BUILD_OBJECT, |_| udf(Make::Pairs(Style::Json))),
        Function::new(&JSON, |_| udf(Make::Text(Style::Json))),
        Function::new(&JSONB, |_| udf(Make::Text(Style::Jsonb))),
    ]
}

/// What is written about the aggregates.
pub(super) fn aggregate_docs() -> Vec<&'static FunctionDoc> {
    vec![&AGGREGATED, &OBJECT]
}

/// Those that have no page of their own: what aggregates are made of, and another form of one that has.
pub(super) fn others() -> Vec<ScalarUDF> {
    [
        Make::Items(Style::Json),
        Make::Items(Style::Jsonb),
        Make::Object(Style::Json),
        Make::Object(Style::Jsonb),
        Make::ArrayJsonb,
        Make::Pairs(Style::Jsonb),
    ]
    .map(udf)
    .into()
}

fn udf(make: Make) -> ScalarUDF {
    let signature = match make {
        Make::Array | Make::ArrayJsonb | Make::Pairs(_) => {
            let any = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
            Signature::one_of(any, Volatility::Immutable)
        }
        Make::Value(_) | Make::Items(_) => Signature::any(1, Volatility::Immutable),
        Make::Object(_) => Signature::any(2, Volatility::Immutable),
        Make::Text(_) => Signature::uniform(1, vec![DataType::Utf8], Volatility::Immutable),
    };
    ScalarUDF::from(MakeJson { make, aliases: aliases(make), signature })
}

fn aliases(make: Make) -> Vec<String> {
    match make {
        Make::Value(Style::Json) => vec!["row_to_json".into(), "array_to_json".into()],
        _ => Vec::new(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Make {
    Value(Style),
    Array,
    ArrayJsonb,
    /// An object of names and values in turn.
    Pairs(Style),
    Text(Style),
    /// The array of a list, as `json_agg` has it.
    Items(Style),
    /// The object of a list of names and one of values.
    Object(Style),
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MakeJson {
    make: Make,
    aliases: Vec<String>,
    signature: Signature,
}

impl ScalarUDFImpl for MakeJson {
    fn name(&self) -> &str {
        match self.make {
            Make::Value(Style::Json) => "to_json",
            Make::Value(Style::Jsonb) => "to_jsonb",
            Make::Array => "json_build_array",
            Make::ArrayJsonb => "jsonb_build_array",
            Make::Pairs(Style::Json) => "json_build_object",
            Make::Pairs(Style::Jsonb) => "jsonb_build_object",
            Make::Text(Style::Json) => "json",
            Make::Text(Style::Jsonb) => "jsonb",
            Make::Items(Style::Json) => "json_of_list",
            Make::Items(Style::Jsonb) => "jsonb_of_list",
            Make::Object(Style::Json) => "json_of_lists",
            Make::Object(Style::Jsonb) => "jsonb_of_lists",
        }
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} is in its return field", self.name())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(super::json_field(Field::new(self.name(), DataType::Utf8, true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let columns: Vec<ArrayRef> =
            args.args.iter().map(|value| value.to_array(rows)).collect::<Result<_>>()?;
        let made = self.rows(&columns, &args.arg_fields, rows)?;
        Ok(if is_scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?)
        } else {
            ColumnarValue::Array(made)
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        let [to_json, to_jsonb, build_array, json, jsonb, build_object] = &*DOCUMENTATION;
        match self.make {
            Make::Value(Style::Json) => Some(to_json),
            Make::Value(Style::Jsonb) => Some(to_jsonb),
            Make::Array => Some(build_array),
            Make::Pairs(Style::Json) => Some(build_object),
            Make::Text(Style::Json) => Some(json),
            Make::Text(Style::Jsonb) => Some(jsonb),
            Make::Pairs(Style::Jsonb) | Make::ArrayJsonb | Make::Items(_) | Make::Object(_) => None,
        }
    }
}

impl MakeJson {
    fn rows(&self, columns: &[ArrayRef], fields: &[FieldRef], rows: usize) -> Result<ArrayRef> {
        let mut texts = StringBuilder::new();
        let mut out = String::new();
        for row in 0..rows {
            out.clear();
            if self.row(columns, fields, row, &mut out)? {
                texts.append_value(&out);
            } else {
                texts.append_null();
            }
        }
        Ok(Arc::new(texts.finish()))
    }

    /// Writes a row; false for NULL.
    fn row(
        &self,
        columns: &[ArrayRef],
        fields: &[FieldRef],
        row: usize,
        out: &mut String,
    ) -> Result<bool> {
        match self.make {
            Make::Array | Make::ArrayJsonb => {
                let style = if self.make == Make::Array { Style::Json } else { Style::Jsonb };
                out.push('[');
                for (at, (column, field)) in columns.iter().zip(fields).enumerate() {
                    out.push_str(if at == 0 { "" } else { ", " });
                    write_value(column, field, row, style, out)?;
                }
                out.push(']');
            }
            Make::Pairs(style) => self.pairs(columns, fields, row, style, out)?,
            Make::Value(style) => {
                let ([column], [field]) = (columns, fields) else { return Ok(false) };
                if column.is_null(row) || field.data_type().is_null() {
                    return Ok(false);
                }
                write_value(column, field, row, style, out)?;
            }
            Make::Text(style) => {
                let [column] = take_function_args(self.name(), columns)?;
                if column.is_null(row) {
                    return Ok(false);
                }
                let text = column.as_string::<i32>().value(row);
                let refused = || UdfError::JsonSyntax { text: text.to_owned() };
                match style {
                    Style::Json if is_valid(text) => out.push_str(text),
                    Style::Json => return Err(refused().into()),
                    Style::Jsonb => out.push_str(&normal(text).ok_or_else(refused)?),
                }
            }
            Make::Items(style) => {
                let [column] = take_function_args(self.name(), columns)?;
                let Some((items, item)) = list(column, row)? else { return Ok(false) };
                // PostgreSQL puts each record of `json_agg` on a line of its own.
                let comma = match (style, item.data_type()) {
                    (Style::Json, DataType::Struct(_)) => ", \n ",
                    _ => ", ",
                };
                out.push('[');
                for at in 0..items.len() {
                    out.push_str(if at == 0 { "" } else { comma });
                    write_value(&items, &item, at, style, out)?;
                }
                out.push(']');
            }
            Make::Object(style) => {
                let [names, values] = take_function_args(self.name(), columns)?;
                let (Some((names, _)), Some((values, item))) =
                    (list(names, row)?, list(values, row)?)
                else {
                    return Ok(false);
                };
                self.object(&names, &values, &item, style, out)?;
            }
        }
        Ok(true)
    }

    fn pairs(
        &self,
        columns: &[ArrayRef],
        fields: &[FieldRef],
        row: usize,
        style: Style,
        out: &mut String,
    ) -> Result<()> {
        if !columns.len().is_multiple_of(2) {
            let message = "argument list must have even number of elements";
            return Err(UdfError::JsonShape { message }.into());
        }
        let mut object = String::from("{");
        for (at, (pair, fields)) in columns.chunks(2).zip(fields.chunks(2)).enumerate() {
            let ([name, value], [_, field]) = (pair, fields) else { continue };
            let names = cast(name, &DataType::Utf8)?;
            let names = names.as_string::<i32>();
            if names.is_null(row) {
                return Err(UdfError::NullName.into());
            }
            object.push_str(if at == 0 { "" } else { ", " });
            write_text(names.value(row), &mut object);
            object.push_str(" : ");
            write_value(value, field, row, style, &mut object)?;
        }
        object.push('}');
        match style {
            Style::Json => out.push_str(&object),
            Style::Jsonb => out.push_str(&normal(&object).unwrap_or(object)),
        }
        Ok(())
    }

    fn object(
        &self,
        names: &ArrayRef,
        values: &ArrayRef,
        item: &FieldRef,
        style: Style,
        out: &mut String,
    ) -> Result<()> {
        let names = cast(names, &DataType::Utf8)?;
        let names = names.as_string::<i32>();
        let mut object = String::from("{ ");
        for at in 0..names.len().min(values.len()) {
            if names.is_null(at) {
                return Err(UdfError::NullName.into());
            }
            object.push_str(if at == 0 { "" } else { ", " });
            write_text(names.value(at), &mut object);
            object.push_str(" : ");
            write_value(values, item, at, style, &mut object)?;
        }
        object.push_str(" }");
        match style {
            Style::Json => out.push_str(&object),
            Style::Jsonb => out.push_str(&normal(&object).unwrap_or(object)),
        }
        Ok(())
    }
}

/// The list of a row and the column of its items; `None` for NULL.
fn list(column: &ArrayRef, row: usize) -> Result<Option<(ArrayRef, FieldRef)>> {
    match column.data_type() {
        DataType::Null => Ok(None),
        _ if column.is_null(row) => Ok(None),
        DataType::List(item) => Ok(Some((column.as_list::<i32>().value(row), Arc::clone(item)))),
        other => internal_err!("{other} where a list is expected"),
    }
}
