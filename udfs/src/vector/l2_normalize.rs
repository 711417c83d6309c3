//! `l2_normalize`: a vector of the same direction and of length 1.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::internal_err;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::kind::VectorKind;
use super::of_model::in_space_of;
use super::operand::Operand;
use super::output::map_vectors;
use super::types::{check_operands, coerce, field_of};
use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "l2_normalize",
    section: super::SECTION,
    syntax: &["l2_normalize(vector) → vector"],
    description: "The vector divided by its Euclidean length. A vector of zeros stays as it is.",
    arguments: &[("vector", "a `vector`, an array of numbers, or a text such as `'[1,2,3]'`")],
    examples: &[
        Example { sql: "SELECT l2_normalize('[3,4]')", result: "[0.6,0.8]" },
        Example { sql: "SELECT l2_normalize('[0,0]')", result: "[0,0]" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| {
        ScalarUDF::from(L2Normalize { signature: Signature::user_defined(Volatility::Immutable) })
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct L2Normalize {
    signature: Signature,
}

impl ScalarUDFImpl for L2Normalize {
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
        let dimensions = match args.arg_fields.first().map(|field| field.data_type()) {
            Some(DataType::FixedSizeList(_, length)) => Some(*length),
            _ => None,
        };
        let field = field_of(VectorKind::of_fields(args.arg_fields), DOC.name, dimensions);
        Ok(Arc::new(in_space_of(field, args.arg_fields)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (rows, data_type) = (args.number_rows, args.return_field.data_type().clone());
        let kind = VectorKind::of_fields(&args.arg_fields);
        let [vector] = take_function_args(DOC.name, args.args)?;
        map_vectors(&Operand::read(&vector, kind)?, rows, &data_type, |vector, column| {
            let length = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
            let divisor = if length > 0.0 { length } else { 1.0 };
            column.push(vector.iter().map(|value| (value / divisor) as f32))
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}
