//! Functions of numbers that have no answer: an error where DataFusion gives infinity or what is no number,
//! and a character that no text may have.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use datafusion::common::DFSchema;
use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, binary_expr, cast as logical_cast, lit,
};

use super::chain::failed;

/// What a function must not be asked or must not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Check {
    /// An answer that no float holds.
    Overflow,
    /// The same, or one that is 0 where it cannot be.
    Exponential,
    /// A logarithm of what is not above zero.
    Logarithm,
    SquareRoot,
    /// An answer that is no number.
    Domain,
    Power,
    /// The character 0.
    Character,
}

fn check_of(name: &str) -> Option<Check> {
    Some(match name {
        "degrees" => Check::Overflow,
        "exp" => Check::Exponential,
        "ln" | "log" | "log2" | "log10" => Check::Logarithm,
        "sqrt" => Check::SquareRoot,
        "acos" | "asin" | "acosh" | "atanh" => Check::Domain,
        "power" => Check::Power,
        "chr" => Check::Character,
        _ => return None,
    })
}

/// The call with a check; every other one as it is.
pub(super) fn checked(call: ScalarFunction, schema: &DFSchema) -> Transformed<Expr> {
    if call.func.name() == "to_hex"
        && let [number] = call.args.as_slice()
        && let Some(number) = without_sign(number, schema)
    {
        return Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(
            call.func,
            vec![number],
        )));
    }
    let Some(check) = check_of(call.func.name()) else {
        return Transformed::no(Expr::ScalarFunction(call));
    };
    let signature = Signature::variadic_any(Volatility::Immutable);
    let function = CheckedCall { inner: call.func, check, signature };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(function, call.args)))
}

/// Whether a call is one with a check.
pub(super) fn is_checked(call: &ScalarFunction) -> bool {
    call.func.inner().is::<CheckedCall>()
}

/// The 32 bits of an integer as a `bigint`, of which `to_hex` writes all.
fn without_sign(number: &Expr, schema: &DFSchema) -> Option<Expr> {
    let is_integer =
        |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Int16 | DataType::Int32));
    let is_longer = match number {
        Expr::Cast(Cast { expr: integer, .. }) => is_integer(integer),
        _ => false,
    };
    (is_longer || is_integer(number)).then(|| {
        let number = logical_cast(number.clone(), DataType::Int64);
        binary_expr(number, Operator::BitwiseAnd, lit(i64::from(u32::MAX)))
    })
}

/// The most that a function of these is given.
const MOST_ARGUMENTS: usize = 2;

/// A function that checks what it is asked and what it answers.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedCall {
    inner: Arc<ScalarUDF>,
    check: Check,
    signature: Signature,
}

impl ScalarUDFImpl for CheckedCall {
    // Another name than the function's, so that it is not checked again when a plan is analyzed anew.
    fn name(&self) -> &str {
        "checked_call"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let given = args
            .args
            .iter()
            .map(|value| {
                let numbers = cast(&value.to_array(rows)?, &DataType::Float64)?;
                Ok(numbers.as_primitive::<Float64Type>().clone())
            })
            .collect::<Result<Vec<Float64Array>>>()?;
        // Rows with a NULL have NULL for an answer.
        let is_asked = |row: usize| given.iter().all(|column| column.is_valid(row));
        let numbers = |row: usize| {
            let mut numbers = [0.0; MOST_ARGUMENTS];
            for (number, column) in numbers.iter_mut().zip(&given) {
                *number = column.value(row);
            }
            numbers
        };
        let count = given.len().min(MOST_ARGUMENTS);
        if !matches!(self.check, Check::Overflow | Check::Exponential | Check::Domain) {
            for row in (0..rows).filter(|row| is_asked(*row)) {
                self.check.question(&numbers(row)[..count])?;
            }
        }
        let answer = self.inner.invoke_with_args(args)?;
        let checks_zero = matches!(self.check, Check::Exponential | Check::Power);
        if checks_zero || matches!(self.check, Check::Overflow | Check::Domain) {
            let answers = cast(&answer.to_array(rows)?, &DataType::Float64)?;
            let answers = answers.as_primitive::<Float64Type>();
            let is_odd = |row: &usize| {
                let answer = answers.value(*row);
                answers.is_valid(*row) && (!answer.is_finite() || (checks_zero && answer == 0.0))
            };
            for row in (0..rows).filter(is_odd).filter(|row| is_asked(*row)) {
                self.check.answer(&numbers(row)[..count], answers.value(row))?;
            }
        }
        Ok(answer)
    }
}

impl Check {
    fn question(self, numbers: &[f64]) -> Result<(), DataFusionError> {
        let any = |is_wrong: fn(&f64) -> bool| numbers.iter().any(is_wrong);
        let refused = match self {
            Self::Logarithm if any(|number| *number == 0.0) => {
                ("2201E", "cannot take logarithm of zero")
            }
            Self::Logarithm if any(|number| *number < 0.0) => {
                ("2201E", "cannot take logarithm of a negative number")
            }
            Self::SquareRoot if any(|number| *number < 0.0) => {
                ("2201F", "cannot take square root of a negative number")
            }
            Self::Power => match numbers {
                [base, exponent] if *base == 0.0 && *exponent < 0.0 => {
                    ("2201F", "zero raised to a negative power is undefined")
                }
                [base, exponent] if *base < 0.0 && base.is_finite() && exponent.fract() != 0.0 => (
                    "2201F",
                    "a negative number raised to a non-integer power yields a complex result",
                ),
                _ => return Ok(()),
            },
            Self::Character if any(|number| *number == 0.0) => {
                ("54000", "null character not permitted")
            }
            _ => return Ok(()),
        };
        Err(failed(refused.0, refused.1))
    }

    fn answer(self, numbers: &[f64], answer: f64) -> Result<(), DataFusionError> {
        if answer.is_infinite() && numbers.iter().all(|number| number.is_finite()) {
            return Err(failed("22003", "value out of range: overflow"));
        }
        // The power of 0 is 0, that of anything else never.
        let is_of_zero = self == Self::Power && numbers.first() == Some(&0.0);
        if answer == 0.0
            && matches!(self, Self::Exponential | Self::Power)
            && !is_of_zero
            && numbers.iter().all(|number| number.is_finite())
        {
            return Err(failed("22003", "value out of range: underflow"));
        }
        if self == Self::Domain && answer.is_nan() && !numbers.iter().any(|number| number.is_nan())
        {
            return Err(failed("22003", "input is out of range"));
        }
        Ok(())
    }
}
