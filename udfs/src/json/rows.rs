//! The functions of [`take`](super::take). Those that PostgreSQL gives rows of are lists here, which the SQL
//! crate unnests.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Builder, ListBuilder, StringArray, StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use datafusion::scalar::ScalarValue;

use super::take::{Parts, as_text, kind, parts};
use crate::UdfError;

/// The functions of this file.
pub(super) fn functions() -> Vec<ScalarUDF> {
    [
        ("json_typeof", Take::Kind),
        ("json_array_length", Take::Length),
        ("json_elements", Take::Elements),
        ("json_elements_text", Take::ElementsText),
        ("json_names", Take::Names),
        ("json_values", Take::Values),
        ("json_values_text", Take::ValuesText),
        ("json_extract_path", Take::Path),
        ("json_extract_path_text", Take::PathText),
    ]
    .map(|(name, take)| {
        let arguments = match take {
            Take::Path | Take::PathText => TypeSignature::VariadicAny,
            _ => TypeSignature::Any(1),
        };
        let signature = Signature::new(arguments, Volatility::Immutable);
        let aliases = vec![name.replacen("json", "jsonb", 1)];
        ScalarUDF::from(TakeApart { name, take, aliases, signature })
    })
    .into()
}

/// What is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Take {
    Kind,
    Length,
    Elements,
    ElementsText,
    Names,
    Values,
    ValuesText,
    Path,
    PathText,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TakeApart {
    name: &'static str,
    take: Take,
    aliases: Vec<String>,
    signature: Signature,
}

impl ScalarUDFImpl for TakeApart {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.take {
            Take::Kind | Take::Path | Take::PathText => DataType::Utf8,
            Take::Length => DataType::Int32,
            _ => DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true))),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let texts = args
            .args
            .iter()
            .map(|value| Ok(cast(&value.to_array(rows)?, &DataType::Utf8)?))
            .collect::<Result<Vec<ArrayRef>>>()?;
        let columns: Vec<&StringArray> = texts.iter().map(|texts| texts.as_string()).collect();
        let array = self.take.of(&columns, rows)?;
        Ok(if is_scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)
        } else {
            ColumnarValue::Array(array)
        })
    }
}

impl Take {
    fn of(self, columns: &[&StringArray], rows: usize) -> Result<ArrayRef> {
        let value = |column: &StringArray, row: usize| {
            column.is_valid(row).then(|| column.value(row).to_owned())
        };
        let Some((values, path)) = columns.split_first() else {
            return Ok(Arc::new(StringArray::new_null(rows)));
        };
        match self {
            Self::Kind => {
                let mut kinds = StringBuilder::new();
                for row in 0..rows {
                    kinds.append_option(match value(values, row) {
                        Some(text) => Some(kind(&text).ok_or_else(|| invalid(&text))?),
                        None => None,
                    });
                }
                Ok(Arc::new(kinds.finish()))
            }
            Self::Length => {
                let mut lengths = Int32Builder::new();
                for row in 0..rows {
                    lengths.append_option(match value(values, row) {
                        Some(text) => match parts(&text).ok_or_else(|| invalid(&text))? {
                            Parts::Array(items) => {
                                Some(i32::try_from(items.len()).unwrap_or(i32::MAX))
                            }
                            _ => return Err(unfit("get array length of a non-array")),
                        },
                        None => None,
                    });
                }
                Ok(Arc::new(lengths.finish()))
            }
            Self::Path | Self::PathText => {
                let mut found = StringBuilder::new();
                for row in 0..rows {
                    let steps: Option<Vec<String>> =
                        path.iter().map(|step| value(step, row)).collect();
                    found.append_option(match (value(values, row), steps) {
                        (Some(text), Some(steps)) => self.along(&text, &steps)?,
                        _ => None,
                    });
                }
                Ok(Arc::new(found.finish()))
            }
            _ => {
                let mut lists = ListBuilder::new(StringBuilder::new());
                for row in 0..rows {
                    match value(values, row) {
                        Some(text) => {
                            for item in self.items(&text)? {
                                lists.values().append_option(item);
                            }
                            lists.append(true);
                        }
                        None => lists.append(false),
                    }
                }
                Ok(Arc::new(lists.finish()))
            }
        }
    }

    /// The items of a list.
    fn items(self, text: &str) -> Result<Vec<Option<String>>> {
        let written = |part: &str| match self {
            Self::ElementsText | Self::ValuesText | Self::Names => as_text(part),
            _ => Some(part.to_owned()),
        };
        match (self, parts(text).ok_or_else(|| invalid(text))?) {
            (Self::Elements | Self::ElementsText, Parts::Array(items)) => {
                Ok(items.into_iter().map(written).collect())
            }
            (Self::Elements | Self::ElementsText, Parts::Object(_)) => {
                Err(unfit("extract elements from an object"))
            }
            (Self::Elements | Self::ElementsText, Parts::Scalar) => {
                Err(unfit("extract elements from a scalar"))
            }
            (Self::Names, Parts::Object(fields)) => {
                Ok(fields.into_iter().map(|(name, _)| written(name)).collect())
            }
            (_, Parts::Object(fields)) => {
                Ok(fields.into_iter().map(|(_, value)| written(value)).collect())
            }
            (Self::Names, _) => Err(unfit("call json_object_keys on a non-object")),
            _ => Err(unfit("deconstruct a non-object")),
        }
    }

    /// What is at the end of a path of names and of places in arrays.
    fn along(self, text: &str, steps: &[String]) -> Result<Option<String>> {
        let mut at = text.trim().to_owned();
        if parts(&at).is_none() {
            return Err(invalid(text));
        }
        for step in steps {
            let next = match parts(&at) {
                Some(Parts::Array(items)) => step.parse::<i64>().ok().and_then(|place| {
                    let count = i64::try_from(items.len()).ok()?;
                    let place = if place < 0 { place + count } else { place };
                    items.get(usize::try_from(place).ok()?).map(|item| (*item).to_owned())
                }),
                // Of those with one name the last one counts.
                Some(Parts::Object(fields)) => fields
                    .iter()
                    .rfind(|(name, _)| as_text(name).as_deref() == Some(step))
                    .map(|(_, value)| (*value).to_owned()),
                _ => None,
            };
            match next {
                Some(next) => at = next,
                None => return Ok(None),
            }
        }
        Ok(if self == Self::PathText { as_text(&at) } else { Some(at) })
    }
}

fn invalid(text: &str) -> datafusion::error::DataFusionError {
    UdfError::JsonSyntax { text: text.to_owned() }.into()
}

fn unfit(what: &'static str) -> datafusion::error::DataFusionError {
    UdfError::JsonShape { what }.into()
}
