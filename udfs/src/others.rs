//! Small functions of PostgreSQL that DataFusion has not: texts as they are written in SQL, which arguments
//! are NULL, regular expressions that split and find.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int32Array, ListBuilder, StringArray, StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::scalar::ScalarValue;
use regex::{Regex, RegexBuilder};

use crate::UdfError;

/// Registers them.
pub(crate) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    let any = TypeSignature::Any;
    for (name, kind, arguments) in [
        ("quote_literal", Kind::QuoteLiteral, vec![any(1)]),
        ("quote_nullable", Kind::QuoteNullable, vec![any(1)]),
        ("num_nulls", Kind::Nulls, vec![TypeSignature::VariadicAny]),
        ("num_nonnulls", Kind::NonNulls, vec![TypeSignature::VariadicAny]),
        ("isfinite", Kind::IsFinite, vec![any(1)]),
        ("regexp_split_to_array", Kind::Split, vec![any(2), any(3)]),
        ("regexp_matches_list", Kind::Matches, vec![any(2), any(3)]),
        ("regexp_substr", Kind::Substring, (2..=6).map(any).collect()),
    ] {
        let signature = Signature::one_of(arguments, Volatility::Immutable);
        registry.register_udf(Arc::new(ScalarUDF::from(Other { name, kind, signature })))?;
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    QuoteLiteral,
    QuoteNullable,
    Nulls,
    NonNulls,
    IsFinite,
    Split,
    Matches,
    Substring,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Other {
    name: &'static str,
    kind: Kind,
    signature: Signature,
}

fn texts() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

impl ScalarUDFImpl for Other {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::QuoteLiteral | Kind::QuoteNullable | Kind::Substring => DataType::Utf8,
            Kind::Nulls | Kind::NonNulls => DataType::Int32,
            Kind::IsFinite => DataType::Boolean,
            Kind::Split => texts(),
            Kind::Matches => DataType::List(Arc::new(Field::new_list_field(texts(), true))),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let arrays =
            args.args.iter().map(|value| value.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let array = self.kind.of(&arrays, rows)?;
        Ok(if is_scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)
        } else {
            ColumnarValue::Array(array)
        })
    }
}

impl Kind {
    fn of(self, arrays: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        if matches!(self, Self::Nulls | Self::NonNulls) {
            let wanted = self == Self::Nulls;
            let counts = (0..rows).map(|row| {
                let are = arrays.iter().filter(|array| array.is_null(row) == wanted).count();
                i32::try_from(are).unwrap_or(i32::MAX)
            });
            return Ok(Arc::new(Int32Array::from_iter_values(counts)));
        }
        if self == Self::IsFinite {
            // No time here is infinite.
            let finite = (0..rows).map(|row| arrays[0].is_valid(row).then_some(true));
            return Ok(Arc::new(finite.collect::<BooleanArray>()));
        }
        let columns = arrays
            .iter()
            .map(|array| Ok(cast(array, &DataType::Utf8)?))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let of = |column: usize, row: usize| -> Option<&str> {
            let column: &StringArray = columns.get(column)?.as_string();
            column.is_valid(row).then(|| column.value(row))
        };
        match self {
            Self::QuoteLiteral | Self::QuoteNullable => {
                let null = (self == Self::QuoteNullable).then(|| "NULL".to_owned());
                let quoted = (0..rows).map(|row| of(0, row).map(quote).or_else(|| null.clone()));
                Ok(Arc::new(quoted.collect::<StringArray>()))
            }
            Self::Substring => {
                let mut found = StringBuilder::new();
                for row in 0..rows {
                    let given: Option<Vec<&str>> =
                        (0..columns.len()).map(|column| of(column, row)).collect();
                    found.append_option(match given {
                        Some(given) => substring(&given)?,
                        None => None,
                    });
                }
                Ok(Arc::new(found.finish()))
            }
            Self::Split => {
                let mut lists = ListBuilder::new(StringBuilder::new());
                for row in 0..rows {
                    let (Some(text), Some(pattern)) = (of(0, row), of(1, row)) else {
                        lists.append(false);
                        continue;
                    };
                    let (expression, _) = expression(pattern, of(2, row).unwrap_or_default())?;
                    for part in split(text, &expression) {
                        lists.values().append_value(part);
                    }
                    lists.append(true);
                }
                Ok(Arc::new(lists.finish()))
            }
            _ => {
                let mut lists = ListBuilder::new(ListBuilder::new(StringBuilder::new()));
                for row in 0..rows {
                    let (Some(text), Some(pattern)) = (of(0, row), of(1, row)) else {
                        lists.append(false);
                        continue;
                    };
                    let (expression, is_global) =
                        expression(pattern, of(2, row).unwrap_or_default())?;
                    let most = if is_global { usize::MAX } else { 1 };
                    for found in expression.captures_iter(text).take(most) {
                        // Without groups, all that is found is the one.
                        let first = usize::from(found.len() > 1);
                        for group in found.iter().skip(first) {
                            let group = group.map(|group| group.as_str());
                            lists.values().values().append_option(group);
                        }
                        lists.values().append(true);
                    }
                    lists.append(true);
                }
                Ok(Arc::new(lists.finish()))
            }
        }
    }
}

/// A text as a literal of SQL.
fn quote(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') {
        return format!("E'{}'", quoted.replace('\\', "\\\\"));
    }
    format!("'{quoted}'")
}

/// The expression of a pattern with PostgreSQL's flags, and whether all that it finds is wanted.
fn expression(pattern: &str, flags: &str) -> Result<(Regex, bool)> {
    let mut builder = RegexBuilder::new(pattern);
    builder.dot_matches_new_line(true);
    let mut is_global = false;
    for flag in flags.chars() {
        match flag {
            'g' => is_global = true,
            'i' => {
                builder.case_insensitive(true);
            }
            'c' => {
                builder.case_insensitive(false);
            }
            'n' | 'm' => {
                builder.dot_matches_new_line(false).multi_line(true);
            }
            's' => {
                builder.dot_matches_new_line(true).multi_line(false);
            }
            'x' => {
                builder.ignore_whitespace(true);
            }
            other => return Err(UdfError::RegexFlag { flag: other }.into()),
        }
    }
    let expression = builder.build().map_err(|error| UdfError::Regex {
        pattern: pattern.to_owned(),
        reason: reason_of(&error),
    })?;
    Ok((expression, is_global))
}

/// What is wrong with a pattern, in one line.
fn reason_of(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next_back().unwrap_or_default();
    line.trim().trim_start_matches("error: ").to_owned()
}

/// What is between what is found. As in PostgreSQL, nothing that is found at the ends splits.
fn split<'a>(text: &'a str, expression: &Regex) -> Vec<&'a str> {
    let (mut parts, mut start) = (Vec::new(), 0);
    for found in expression.find_iter(text) {
        if found.is_empty() && (found.start() == start || found.end() == text.len()) {
            continue;
        }
        parts.push(&text[start..found.start()]);
        start = found.end();
    }
    parts.push(&text[start..]);
    parts
}

/// `regexp_substr(text, pattern [, start [, N [, flags [, group]]]])`.
fn substring(given: &[&str]) -> Result<Option<String>> {
    let number = |at: usize, default: usize| -> Result<usize> {
        match given.get(at) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| at == 5 || *number > 0)
                .ok_or_else(|| UdfError::RegexNumber { number: (*text).to_owned() }.into()),
        }
    };
    let (expression, _) = expression(given[1], given.get(4).copied().unwrap_or_default())?;
    let (start, nth, group) = (number(2, 1)?, number(3, 1)?, number(5, 0)?);
    let from = given[0].char_indices().nth(start - 1).map(|(at, _)| at);
    let Some(rest) = given[0].get(from.unwrap_or(given[0].len())..) else { return Ok(None) };
    let found = expression.captures_iter(rest).nth(nth - 1);
    Ok(found.and_then(|found| Some(found.get(group)?.as_str().to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_quoted() {
        assert_eq!(quote("it's"), "'it''s'");
        assert_eq!(quote(r"a\b"), r"E'a\\b'");
    }

    #[test]
    fn a_text_is_split_where_something_is_found() {
        let split = |text, pattern| {
            let (expression, _) = expression(pattern, "").expect(pattern);
            split(text, &expression).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(split("a, b,c", ", *"), ["a", "b", "c"]);
        assert_eq!(split("abc", ""), ["a", "b", "c"]);
        assert_eq!(split(",a,", ","), ["", "a", ""]);
        assert!(expression("(", "").is_err());
        assert!(expression("a", "q").is_err());
    }

    #[test]
    fn the_nth_that_is_found_is_taken() {
        let found = |given: &[&str]| substring(given).expect("is right");
        assert_eq!(found(&["foobar", "o+"]).as_deref(), Some("oo"));
        assert_eq!(found(&["a1b2c3", "[a-z]([0-9])", "2", "2", "", "1"]).as_deref(), Some("3"));
        assert_eq!(found(&["abc", "x"]), None);
        assert!(substring(&["abc", "a", "0"]).is_err());
    }
}
