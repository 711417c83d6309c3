//! `vector_to_float4`, and the cast `v::real[]` that means it: the elements of a vector as an array.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::internal_err;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::kind::VectorKind;
use super::operand::Operand;
use super::output::map_vectors;
use super::types::{check_operands, coerce, item};
use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "vector_to_float4",
    section: super::SECTION,
    syntax: &["vector_to_float4(vector) → real[]", "vector::real[]"],
    description: "The elements of a vector as an array.",
    arguments: &[("vector", "a `vector`")],
    examples: &[Example {
        sql: "SELECT array_length(vector_to_float4('[1,2,3]'::vector), 1)",
        result: "3",
    }],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| udf())
}

pub(super) fn udf() -> ScalarUDF {
    ScalarUDF::from(ToArray { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToArray {
    signature: Signature,
}

impl ScalarUDFImpl for ToArray {
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
        Ok(Arc::new(Field::new(DOC.name, DataType::List(item(DataType::Float32)), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (rows, data_type) = (args.number_rows, args.return_field.data_type().clone());
        let kind = VectorKind::of_fields(&args.arg_fields);
        let [value] = take_function_args(DOC.name, args.args)?;
        map_vectors(&Operand::read(&value, kind)?, rows, &data_type, |vector, column| {
            column.push(vector.iter().map(|value| *value as f32))
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}
