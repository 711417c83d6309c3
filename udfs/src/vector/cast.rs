//! `to_vector`, and the casts `'[1,2,3]'::vector(3)` and `ARRAY[1,2,3]::vector` that mean it.
//!
//! Arrow's own casts know nothing of pgvector's text format, so a cast to a type that is tagged
//! as `vector` becomes a call of the function when the query is analysed.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::scalar::ScalarValue;

use super::array;
use super::bit::{self, BIT_TAG};
use super::halfvec;
use super::operand::Operand;
use super::output::map_vectors;
use super::types::{
    MAX_DIMENSIONS, check_operands, coerce, is_half, is_tagged, is_vector, item, operand_type,
    tagged,
};
use super::vector_out;
use crate::doc::{Example, Function, FunctionDoc};
use crate::error::UdfError;

static DOC: FunctionDoc = FunctionDoc {
    name: "to_vector",
    section: super::SECTION,
    syntax: &["to_vector(value [, dimensions]) → vector", "value::vector[(dimensions)]"],
    description: "A text or an array of numbers as a `vector`. With `dimensions`, a value of another length is an error.",
    arguments: &[
        ("value", "a text such as `'[1,2,3]'`, an array of numbers, or a `vector`"),
        ("dimensions", "the length that the vector must have, an integer constant"),
    ],
    examples: &[
        Example { sql: "SELECT '[1, 2.5, 3]'::vector(3)", result: "[1,2.5,3]" },
        Example { sql: "SELECT ARRAY[1, 2]::vector", result: "[1,2]" },
        Example { sql: "SELECT to_vector('[1,2,3]', 3)", result: "[1,2,3]" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| udf())
}

fn udf() -> ScalarUDF {
    ScalarUDF::from(ToVector { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToVector {
    signature: Signature,
}

impl ScalarUDFImpl for ToVector {
    fn name(&self) -> &str {
        DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let mut coerced = coerce(types);
        if let Some(dimensions) = coerced.get_mut(1).filter(|second| second.is_integer()) {
            *dimensions = DataType::Int64;
        }
        Ok(coerced)
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} is in its return field", DOC.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let integer = |field: &FieldRef| *field.data_type() == DataType::Int64;
        let values = match args.arg_fields {
            [values @ .., dimensions] if integer(dimensions) => values,
            values => values,
        };
        check_operands(DOC.name, 1, values)?;
        let dimensions = match args.scalar_arguments {
            [_] => None,
            [_, Some(ScalarValue::Int64(Some(dimensions)))] => {
                let in_range = |dimensions: &i32| {
                    usize::try_from(*dimensions).is_ok_and(|n| (1..=MAX_DIMENSIONS).contains(&n))
                };
                let dimensions = i32::try_from(*dimensions).ok().filter(in_range);
                Some(dimensions.ok_or(UdfError::TypeDimensions { max: MAX_DIMENSIONS })?)
            }
            _ => return Err(UdfError::DimensionsNotConstant.into()),
        };
        Ok(Arc::new(tagged(DOC.name, dimensions)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (rows, data_type) = (args.number_rows, args.return_field.data_type().clone());
        let Some(value) = args.args.first() else {
            return internal_err!("{} without an argument", DOC.name);
        };
        map_vectors(&Operand::read(value)?, rows, &data_type, |vector, column| {
            if vector.len() > MAX_DIMENSIONS {
                return Err(UdfError::TooManyDimensions { max: MAX_DIMENSIONS }.into());
            }
            for value in vector {
                check_element(*value)?;
            }
            column.push(vector.iter().map(|value| *value as f32))
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

/// A vector holds finite numbers of `float4` alone.
fn check_element(value: f64) -> Result<(), UdfError> {
    if value.is_nan() {
        Err(UdfError::VectorNan)
    } else if value.is_infinite() {
        Err(UdfError::VectorInfinite)
    } else if (value as f32).is_infinite() {
        Err(UdfError::VectorRange { element: value.to_string() })
    } else {
        Ok(())
    }
}

/// Turns casts to `vector`, `halfvec` and `bit`, and those of a `vector` to an array or a text, into
/// calls of functions.
#[derive(Debug)]
pub struct VectorCast {
    to_vector: Arc<ScalarUDF>,
    to_halfvec: Arc<ScalarUDF>,
    to_bit: Arc<ScalarUDF>,
    to_array: Arc<ScalarUDF>,
    to_text: Arc<ScalarUDF>,
}

impl Default for VectorCast {
    fn default() -> Self {
        let (to_vector, to_halfvec) = (Arc::new(udf()), Arc::new(halfvec::udf()));
        let (to_bit, to_array) = (Arc::new(bit::udf()), Arc::new(array::udf()));
        let to_text = Arc::new(vector_out::udf());
        Self { to_vector, to_halfvec, to_bit, to_array, to_text }
    }
}

impl FunctionRewrite for VectorCast {
    fn name(&self) -> &str {
        "vector_cast"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let (value, field) = match expr {
            Expr::Cast(Cast { expr, field }) if is_tagged(&field) => (expr, field),
            Expr::Cast(Cast { expr, field }) if field.metadata().contains_key(BIT_TAG) => {
                let bits = field.metadata().get(BIT_TAG).and_then(|bits| bits.parse::<i64>().ok());
                let args = std::iter::once(*expr).chain(bits.map(lit)).collect();
                return Ok(Transformed::yes(self.to_bit.call(args)));
            }
            // Arrow has one type for both, so the cast would be taken away with the tag left.
            Expr::Cast(Cast { expr, field })
                if matches!(field.data_type(), DataType::List(_))
                    && is_tagged(expr.to_field(schema)?.1.as_ref()) =>
            {
                let array = self.to_array.call(vec![*expr]);
                let float4 = DataType::List(item(DataType::Float32));
                return Ok(Transformed::yes(match *field.data_type() == float4 {
                    true => array,
                    false => Expr::Cast(Cast { expr: Box::new(array), field }),
                }));
            }
            // Arrow's text of a list has spaces and decimal points, and it would keep the tag.
            Expr::Cast(Cast { expr, field })
                if is_text(field.data_type()) && is_vector(expr.to_field(schema)?.1.as_ref()) =>
            {
                let text = self.to_text.call(vec![*expr]);
                return Ok(Transformed::yes(match *field.data_type() == DataType::Utf8 {
                    true => text,
                    false => Expr::Cast(Cast { expr: Box::new(text), field }),
                }));
            }
            other => return Ok(Transformed::no(other)),
        };
        if operand_type(&value.get_type(schema)?).is_none() {
            return Ok(Transformed::no(Expr::Cast(Cast { expr: value, field })));
        }
        let value = match is_half(&field) {
            true => Expr::ScalarFunction(ScalarFunction::new_udf(
                Arc::clone(&self.to_halfvec),
                vec![*value],
            )),
            false => *value,
        };
        let mut args = vec![value];
        if let DataType::FixedSizeList(_, dimensions) = field.data_type() {
            args.push(lit(i64::from(*dimensions)));
        }
        let call = ScalarFunction::new_udf(Arc::clone(&self.to_vector), args);
        Ok(Transformed::yes(Expr::ScalarFunction(call)))
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}
