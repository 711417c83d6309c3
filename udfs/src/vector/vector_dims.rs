//! `vector_dims`: how many elements a vector has.

use std::sync::{Arc, LazyLock};

use arrow::array::Array;
use arrow::array::builder::Int32Builder;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::exec_datafusion_err;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::kind::VectorKind;
use super::operand::Operand;
use super::types::{check_operands, coerce};
use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "vector_dims",
    section: super::SECTION,
    syntax: &["vector_dims(vector) → integer"],
    description: "The number of elements of a vector.",
    arguments: &[("vector", "a `vector`, an array of numbers, or a text such as `'[1,2,3]'`")],
    examples: &[
        Example { sql: "SELECT vector_dims('[1,2,3]')", result: "3" },
        Example { sql: "SELECT vector_dims(NULL)", result: "" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| {
        ScalarUDF::from(VectorDims { signature: Signature::user_defined(Volatility::Immutable) })
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct VectorDims {
    signature: Signature,
}

impl ScalarUDFImpl for VectorDims {
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
        Ok(DataType::Int32)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        check_operands(DOC.name, 1, args.arg_fields)?;
        Ok(Arc::new(Field::new(DOC.name, DataType::Int32, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let kind = VectorKind::of_fields(&args.arg_fields);
        let [vector] = take_function_args(DOC.name, args.args)?;
        let operand = Operand::read(&vector, kind)?;
        let rows = if operand.is_constant() { 1 } else { rows };
        let mut lengths = Int32Builder::with_capacity(rows);
        for row in 0..rows {
            let length = operand.span(row)?.map(|span| i32::try_from(span.len())).transpose();
            lengths.append_option(length.map_err(|error| exec_datafusion_err!("{error}"))?);
        }
        let lengths = lengths.finish();
        if operand.is_constant() {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&lengths, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(lengths) as Arc<dyn Array>))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}
