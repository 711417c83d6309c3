//! `similar_to_escape`: a pattern of `SIMILAR TO` as the regular expression that matches the same texts.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::UdfError;
use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "similar_to_escape",
    section: "Texts and bytes",
    syntax: &[
        "similar_to_escape(pattern [, escape]) → text",
        "text SIMILAR TO pattern [ESCAPE escape] → boolean",
    ],
    description: "The regular expression for a pattern of `SIMILAR TO`, which matches a whole text: `%` is any text, `_` any character, and `|`, `*`, `+`, `?`, `{m,n}`, `()` and `[]` are those of regular expressions. The escape is a backslash if none is given, and an empty one switches escaping off.",
    arguments: &[
        ("pattern", "a pattern of `SIMILAR TO`"),
        ("escape", "the character that takes the meaning from the next one, or an empty text"),
    ],
    examples: &[
        Example { sql: "SELECT 'truck' ~ similar_to_escape('(car|tr%)')", result: "t" },
        Example { sql: "SELECT 'trucks' ~ similar_to_escape('truck')", result: "f" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

/// The functions of this file.
pub fn functions() -> Vec<Function> {
    vec![Function::new(&DOC, |_| {
        let texts = |count| TypeSignature::Exact(vec![DataType::Utf8; count]);
        let signature = Signature::one_of(vec![texts(1), texts(2)], Volatility::Immutable);
        ScalarUDF::from(SimilarToEscape { signature })
    })]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SimilarToEscape {
    signature: Signature,
}

impl ScalarUDFImpl for SimilarToEscape {
    fn name(&self) -> &str {
        DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let texts: Vec<ArrayRef> =
            args.args.iter().map(|value| value.to_array(rows)).collect::<Result<_>>()?;
        let of = |column: usize, row: usize| {
            let texts: &StringArray = texts.get(column)?.as_string();
            (!arrow::array::Array::is_null(texts, row)).then(|| texts.value(row))
        };
        let expressions = (0..rows).map(|row| {
            let escape = match (texts.len(), of(1, row)) {
                (1, _) => Some('\\'),
                (_, Some(escape)) => one_character(escape)?,
                (_, None) => return Ok(None),
            };
            Ok(of(0, row).map(|pattern| regular_expression(pattern, escape)))
        });
        let array: ArrayRef = Arc::new(expressions.collect::<Result<StringArray>>()?);
        Ok(if is_scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)
        } else {
            ColumnarValue::Array(array)
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

fn one_character(escape: &str) -> Result<Option<char>> {
    let mut characters = escape.chars();
    match (characters.next(), characters.next()) {
        (first, None) => Ok(first),
        _ => Err(UdfError::EscapeLength.into()),
    }
}

/// The expression in the syntax of the crate `regex`, whose `.` needs to be told to match line ends.
fn regular_expression(pattern: &str, escape: Option<char>) -> String {
    let mut out = String::from("(?s)^(?:");
    let mut characters = pattern.chars().peekable();
    // Within brackets, how many characters they have so far.
    let mut in_brackets: Option<usize> = None;
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            if let Some(next) = characters.next() {
                out.push('\\');
                out.push(next);
                in_brackets = in_brackets.map(|count| count + 1);
            }
            continue;
        }
        if let Some(count) = in_brackets {
            match character {
                // The first one, also behind a `^`, is one of the set.
                ']' if count > 0 => {
                    out.push(']');
                    in_brackets = None;
                    continue;
                }
                '^' if count == 0 && out.ends_with('[') => {
                    out.push('^');
                    continue;
                }
                '[' if characters.peek() == Some(&':') => {
                    out.push('[');
                    for inner in characters.by_ref() {
                        out.push(inner);
                        if inner == ']' {
                            break;
                        }
                    }
                }
                // These mean something to the crate `regex` alone.
                '\\' | '[' | ']' | '&' | '~' => {
                    out.push('\\');
                    out.push(character);
                }
                other => out.push(other),
            }
            in_brackets = Some(count + 1);
            continue;
        }
        match character {
            '[' => {
                out.push('[');
                in_brackets = Some(0);
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '\\' | '.' | '^' | '$' => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    out.push_str(")$");
    out
}
