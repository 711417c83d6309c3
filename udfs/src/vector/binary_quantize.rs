//! `binary_quantize`: the signs of a vector as bits.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::internal_err;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::bits::{BitsColumn, bits_field};
use super::kind::VectorKind;
use super::operand::Operand;
use super::types::{check_operands, coerce};
use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "binary_quantize",
    section: super::SECTION,
    syntax: &["binary_quantize(vector) → bit"],
    description: "One bit an element, `1` where it is greater than 0; `<~>` and `<%>` compare them.",
    arguments: &[(
        "vector",
        "a `vector`, a `halfvec`, an array of numbers, or a text such as `'[1,2,3]'`",
    )],
    examples: &[Example { sql: "SELECT binary_quantize('[1,-2,3,0]')", result: "1010" }],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| {
        let signature = Signature::user_defined(Volatility::Immutable);
        ScalarUDF::from(BinaryQuantize { signature })
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct BinaryQuantize {
    signature: Signature,
}

impl ScalarUDFImpl for BinaryQuantize {
    fn name(&self) -> &str {
        DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(coerce(types))
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} is in its return field", DOC.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        check_operands(DOC.name, 1, args.arg_fields)?;
        let bits = match args.arg_fields.first().map(|field| field.data_type()) {
            Some(DataType::FixedSizeList(_, length)) => Some(*length),
            _ => None,
        };
        Ok(Arc::new(bits_field(DOC.name, bits)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (rows, data_type) = (args.number_rows, args.return_field.data_type().clone());
        let kind = VectorKind::of_fields(&args.arg_fields);
        let [vector] = take_function_args(DOC.name, args.args)?;
        let operand = Operand::read(&vector, kind)?;
        let rows = if operand.is_constant() { 1 } else { rows };
        let (mut column, mut widened) = (BitsColumn::new(&data_type, rows), Vec::new());
        for row in 0..rows {
            let span = operand.span(row)?;
            if let Some(span) = span.clone() {
                operand.elements.widen_into(span, &mut widened);
            }
            column.push(span.map(|_| widened.iter().map(|value| *value > 0.0)));
        }
        let column = column.finish()?;
        if operand.is_constant() {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&column, 0)?));
        }
        Ok(ColumnarValue::Array(column))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}
