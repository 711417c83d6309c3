//! `to_bit`, and the cast `'101'::bit(3)` that means it: bits as a text of zeros and ones, which
//! is how PostgreSQL's `bit` is shown.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::types::field_type_names;
use crate::doc::{Example, Function, FunctionDoc};
use crate::error::UdfError;

/// The key of the metadata of a cast's target that make it `bit(n)`; the value is `n`, or nothing
/// for `bit varying`.
pub const BIT_TAG: &str = "vigil.bit";

static DOC: FunctionDoc = FunctionDoc {
    name: "to_bit",
    section: super::SECTION,
    syntax: &["to_bit(text [, n]) → text", "value::bit(n)"],
    description: "Bits as a text of zeros and ones. With `n` there are so many: what is more is cut off at the end, what is missing is zero, as PostgreSQL's cast to `bit(n)` does it. Without `n` the cast gives one bit, and `bit varying` all.",
    arguments: &[("text", "zeros and ones"), ("n", "how many bits, a constant")],
    examples: &[
        Example { sql: "SELECT to_bit('1011', 3)", result: "101" },
        Example { sql: "SELECT '101'::bit(5)", result: "10100" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| udf())
}

pub(super) fn udf() -> ScalarUDF {
    ScalarUDF::from(ToBit { signature: Signature::user_defined(Volatility::Immutable) })
}

/// The field that `bit(n)` is in a cast; `None` is `bit varying`.
pub fn bit_field(bits: Option<u64>) -> Field {
    let mut field = Field::new("", DataType::Utf8, true);
    let bits = bits.map(|bits| bits.to_string()).unwrap_or_default();
    field.metadata_mut().insert(BIT_TAG.to_owned(), bits);
    field
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToBit {
    signature: Signature,
}

impl ScalarUDFImpl for ToBit {
    fn name(&self) -> &str {
        DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let wanted = |(at, found): (usize, &DataType)| match at {
            0 if found.is_string() || found.is_null() => DataType::Utf8,
            1 if found.is_integer() => DataType::Int64,
            _ => found.clone(),
        };
        Ok(types.iter().enumerate().map(wanted).collect())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<&DataType> = args.arg_fields.iter().map(|field| field.data_type()).collect();
        if !matches!(types[..], [DataType::Utf8] | [DataType::Utf8, DataType::Int64]) {
            let arguments = field_type_names(args.arg_fields);
            return Err(UdfError::NoFunction { function: DOC.name, arguments }.into());
        }
        Ok(Arc::new(Field::new(DOC.name, DataType::Utf8, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let bits = match args.args.get(1) {
            None => None,
            Some(ColumnarValue::Scalar(ScalarValue::Int64(Some(bits)))) => {
                Some(usize::try_from(*bits).ok().filter(|bits| (1..=MAX_BITS).contains(bits)))
                    .map(|bits| bits.ok_or(UdfError::BitLength))
                    .transpose()?
            }
            Some(_) => return Err(UdfError::BitLength.into()),
        };
        let Some(value) = args.args.first() else {
            return internal_err!("{} without an argument", DOC.name);
        };
        let is_constant = matches!(value, ColumnarValue::Scalar(_));
        let texts = value.to_array(if is_constant { 1 } else { args.number_rows })?;
        let texts = cast(&texts, &DataType::Utf8)?;
        let texts = texts.as_string::<i32>().iter();
        let texts = texts.map(|text| text.map(|text| of_length(text, bits)).transpose());
        let column: ArrayRef = Arc::new(texts.collect::<Result<StringArray, UdfError>>()?);
        if is_constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&column, 0)?));
        }
        Ok(ColumnarValue::Array(column))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

/// The longest `bit(n)` of PostgreSQL.
const MAX_BITS: usize = 83_886_080;

fn of_length(text: &str, bits: Option<usize>) -> Result<String, UdfError> {
    if let Some(digit) = text.chars().find(|bit| !matches!(bit, '0' | '1')) {
        return Err(UdfError::BitSyntax { digit });
    }
    Ok(match bits {
        None => text.to_owned(),
        Some(bits) if text.len() >= bits => text[..bits].to_owned(),
        Some(bits) => format!("{text:0<bits$}"),
    })
}
