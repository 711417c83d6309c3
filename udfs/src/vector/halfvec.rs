//! `to_halfvec`, and the cast `'[1,2,3]'::halfvec(3)` that means it: a vector whose elements have
//! half precision.
//!
//! The value is a `vector` of the elements' nearest halves: what pgvector's `halfvec` shows and
//! what its distances give.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::internal_err;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::operand::Operand;
use super::output::map_vectors;
use super::types::{check_operands, coerce, tagged};
use crate::doc::{Example, Function, FunctionDoc};
use crate::error::UdfError;

static DOC: FunctionDoc = FunctionDoc {
    name: "to_halfvec",
    section: super::SECTION,
    syntax: &["to_halfvec(value) → vector", "value::halfvec[(dimensions)]"],
    description: "A text, an array of numbers or a vector as a vector of half precision: each element is the nearest number of 16 bits (IEEE 754 binary16). An element beyond 65504 is an error.",
    arguments: &[("value", "a text such as `'[1,2,3]'`, an array of numbers, or a `vector`")],
    examples: &[
        Example { sql: "SELECT '[1.1,2]'::halfvec(2)", result: "[1.0996094,2]" },
        Example { sql: "SELECT to_halfvec(ARRAY[1, 2])", result: "[1,2]" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| udf())
}

pub(super) fn udf() -> ScalarUDF {
    ScalarUDF::from(ToHalfvec { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToHalfvec {
    signature: Signature,
}

impl ScalarUDFImpl for ToHalfvec {
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
        Ok(Arc::new(tagged(DOC.name, None)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (rows, data_type) = (args.number_rows, args.return_field.data_type().clone());
        let [value] = take_function_args(DOC.name, args.args)?;
        // A text is read as a vector's, which says so when it refuses one.
        let operand = Operand::read(&value).map_err(|error| match UdfError::find(&error) {
            Some(UdfError::VectorNan) => UdfError::HalfvecNan.into(),
            Some(UdfError::VectorInfinite) => UdfError::HalfvecInfinite.into(),
            _ => error,
        })?;
        map_vectors(&operand, rows, &data_type, |vector, column| {
            let mut halves = Vec::with_capacity(vector.len());
            for value in vector {
                halves.push(nearest_half(*value)?);
            }
            column.push(halves.into_iter())
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

/// The steps between halves below the least normal one, 2⁻¹⁴.
const LEAST_STEP: f64 = 1.0 / 16_777_216.0;

/// The nearest number of IEEE 754 binary16, ties to even.
fn nearest_half(value: f64) -> Result<f32, UdfError> {
    if value.is_nan() {
        return Err(UdfError::HalfvecNan);
    }
    if value.is_infinite() {
        return Err(UdfError::HalfvecInfinite);
    }
    // Eleven bits of precision; a step is 2⁻¹⁰ of the power of two below the value.
    let exponent = value.abs().max(f64::MIN_POSITIVE).log2().floor();
    let step = (exponent - 10.0).exp2().max(LEAST_STEP);
    let rounded = (value / step).round_ties_even() * step;
    if rounded.abs() > 65_504.0 {
        return Err(UdfError::HalfvecRange { element: (value as f32).to_string() });
    }
    Ok(rounded as f32)
}
