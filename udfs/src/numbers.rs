//! Rounding as in PostgreSQL. Of a `float8`, `round` and a cast to a whole number go to the nearest one
//! and from the middle to the even one; of a `numeric`, away from zero. DataFusion has one `round`, which
//! goes away from zero, and its casts cut the fraction off.
//!
//! A number with a point is a `float8` in DataFusion's plans and a `numeric` in PostgreSQL, so what is
//! made of such numbers and of whole ones alone is rounded as a `numeric`.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::utils::take_function_args;
use datafusion::common::{DFSchema, internal_err};
use datafusion::error::Result;
use datafusion::functions::math::round;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

/// Functions that give a `numeric` for one.
const KEEP_NUMERIC: [&str; 10] =
    ["abs", "ceil", "floor", "round", "trunc", "power", "coalesce", "greatest", "least", "nullif"];

/// Puts PostgreSQL's rounding in the place of DataFusion's.
#[derive(Debug, Default)]
pub struct Rounding;

impl FunctionRewrite for Rounding {
    fn name(&self) -> &str {
        "rounding"
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        match expr {
            Expr::ScalarFunction(ScalarFunction { func, args })
                if func.name() == "round"
                    && args.len() == 1
                    && args.iter().all(|number| is_float(number, schema)) =>
            {
                Ok(Transformed::yes(call(&TO_EVEN, args)))
            }
            Expr::Cast(Cast { expr: number, field }) if is_whole(field.data_type()) => {
                let rounded = match number.get_type(schema) {
                    Ok(DataType::Decimal128(..) | DataType::Decimal256(..)) => {
                        call(&round(), vec![*number])
                    }
                    Ok(DataType::Float32 | DataType::Float64) if is_float(&number, schema) => {
                        call(&TO_EVEN, vec![*number])
                    }
                    Ok(DataType::Float32 | DataType::Float64) => call(&round(), vec![*number]),
                    _ => return Ok(Transformed::no(Expr::Cast(Cast { expr: number, field }))),
                };
                Ok(Transformed::yes(Expr::Cast(Cast { expr: Box::new(rounded), field })))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

fn call(function: &Arc<ScalarUDF>, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(function), args))
}

fn is_whole(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int16 | DataType::Int32 | DataType::Int64)
}

/// Whether `expr` is a `float4` or `float8` in PostgreSQL.
fn is_float(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Float32 | DataType::Float64))
        && !is_numeric(expr, schema)
}

/// Whether `expr` is a `numeric` or a whole number in PostgreSQL.
fn is_numeric(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::Literal(number, _) => number.data_type().is_numeric(),
        Expr::Negative(inner) => is_numeric(inner, schema),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_arithmetic(*op) => {
            is_numeric(left, schema) && is_numeric(right, schema)
        }
        Expr::ScalarFunction(call) if KEEP_NUMERIC.contains(&call.func.name()) => {
            call.args.iter().all(|argument| is_numeric(argument, schema))
        }
        other => other.get_type(schema).is_ok_and(|data_type| {
            data_type.is_integer()
                || matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..))
        }),
    }
}

fn is_arithmetic(operator: Operator) -> bool {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};

    [Plus, Minus, Multiply, Divide, Modulo].contains(&operator)
}

static TO_EVEN: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature =
        Signature::uniform(1, vec![DataType::Float64, DataType::Float32], Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(ToEven { signature }))
});

/// The nearest whole number, of two the even one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToEven {
    signature: Signature,
}

impl ScalarUDFImpl for ToEven {
    fn name(&self) -> &str {
        "round_to_even"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [number] = take_function_args(self.name(), types)?;
        Ok(number.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [number] = take_function_args(self.name(), args.args)?;
        let is_scalar = matches!(number, ColumnarValue::Scalar(_));
        let numbers = number.into_array(1)?;
        let rounded: ArrayRef = match numbers.data_type() {
            DataType::Float32 => {
                let numbers = numbers.as_primitive::<Float32Type>();
                Arc::new(numbers.unary::<_, Float32Type>(f32::round_ties_even))
            }
            DataType::Float64 => {
                let numbers = numbers.as_primitive::<Float64Type>();
                Arc::new(numbers.unary::<_, Float64Type>(f64::round_ties_even))
            }
            other => return internal_err!("{} of {other}", self.name()),
        };
        Ok(if is_scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&rounded, 0)?)
        } else {
            ColumnarValue::Array(rounded)
        })
    }
}
