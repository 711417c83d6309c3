//! Operators that check what they give.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Datum};
use arrow::compute::cast;
use arrow::compute::kernels::numeric::{add, div, mul, rem, sub};
use arrow::datatypes::{DataType, Float64Type};
use arrow::error::ArrowError;
use datafusion::common::{Result, exec_err};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::scalar::ScalarValue;

use super::is_known_divisor;
use crate::SqlError;

/// `left operator right` as a call that checks. Where `left` is such a call, it is made longer.
pub(super) fn checked(left: Expr, operator: Operator, right: Expr) -> Expr {
    let (mut operators, mut operands) = match left {
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            match func.inner().downcast_ref::<Checked>() {
                Some(chain) => (chain.operators.clone(), args),
                None => (Vec::new(), vec![Expr::ScalarFunction(ScalarFunction { func, args })]),
            }
        }
        other => (Vec::new(), vec![other]),
    };
    operators.push(operator);
    operands.push(right);
    let signature = Signature::variadic_any(Volatility::Immutable);
    let function = ScalarUDF::new_from_impl(Checked { operators, signature });
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(function), operands))
}

/// The operands of a call that checks; `None` of anything else.
pub(super) fn operands(expr: &Expr) -> Option<&[Expr]> {
    match expr {
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.inner().is::<Checked>() => {
            Some(args)
        }
        _ => None,
    }
}

/// Whether a call that checks divides by what may be 0.
pub(super) fn divides(expr: &Expr) -> bool {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = expr else { return false };
    func.inner().downcast_ref::<Checked>().is_some_and(|chain| {
        let mut divisors = chain.operators.iter().zip(args.iter().skip(1));
        divisors.any(|(operator, operand)| {
            matches!(operator, Operator::Divide | Operator::Modulo) && !is_known_divisor(operand)
        })
    })
}

/// The type that operators give between operands of these types.
pub(super) fn result_type(operands: &[DataType]) -> Result<DataType> {
    match operands {
        [first, others @ ..] => Ok(others.iter().fold(first, wider).clone()),
        [] => exec_err!("no operands"),
    }
}

fn wider<'a>(left: &'a DataType, right: &'a DataType) -> &'a DataType {
    let rank = |data_type: &DataType| match data_type {
        DataType::Int16 => 0,
        DataType::Int32 => 1,
        DataType::Int64 => 2,
        DataType::Float32 => 3,
        _ => 4,
    };
    if rank(left) >= rank(right) { left } else { right }
}

/// `a + b - c`, from left to right. One call with all operands and not one for each operator: DataFusion asks
/// a call for its type and its name, which are made of all that is below it, for each level of a tree.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    operators: Vec<Operator>,
    signature: Signature,
}

impl Checked {
    /// The chain as it would be written, with its operands' names.
    fn written(&self, operands: &[Expr], name: impl Fn(&Expr) -> String) -> String {
        let [first, others @ ..] = operands else { return self.name().to_owned() };
        let mut written = "(".repeat(others.len());
        written += &name(first);
        for (operator, operand) in self.operators.iter().zip(others) {
            written += &format!(" {operator} {})", name(operand));
        }
        written
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        "checked_arithmetic"
    }

    fn display_name(&self, operands: &[Expr]) -> Result<String> {
        Ok(self.written(operands, ToString::to_string))
    }

    // By the function's name alone, `x + 1` and `x - 1` would be one column.
    fn schema_name(&self, operands: &[Expr]) -> Result<String> {
        Ok(self.written(operands, |operand| operand.schema_name().to_string()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, operands: &[DataType]) -> Result<DataType> {
        result_type(operands)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut operands = arguments.args.into_iter();
        let Some(mut value) = operands.next() else { return exec_err!("no operands") };
        for (operator, operand) in self.operators.iter().zip(operands) {
            let (left, right) = (value.data_type(), operand.data_type());
            let result_type = wider(&left, &right);
            let (left, right) =
                (value.cast_to(result_type, None)?, operand.cast_to(result_type, None)?);
            value = applied(*operator, &left, &right, result_type)?;
        }
        Ok(value)
    }
}

/// `left operator right`, both of `result_type`.
fn applied(
    operator: Operator,
    left: &ColumnarValue,
    right: &ColumnarValue,
    result_type: &DataType,
) -> Result<ColumnarValue> {
    let is_scalar = matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
    let (left, right) = (datum(left)?, datum(right)?);
    let done = match operator {
        Operator::Plus => add(left.as_ref(), right.as_ref()),
        Operator::Minus => sub(left.as_ref(), right.as_ref()),
        Operator::Divide => {
            let divided = div(left.as_ref(), right.as_ref())?;
            refuse_zeros(right.as_ref(), &divided)?;
            Ok(divided)
        }
        Operator::Modulo => {
            let rest = rem(left.as_ref(), right.as_ref())?;
            refuse_zeros(right.as_ref(), &rest)?;
            Ok(rest)
        }
        _ => mul(left.as_ref(), right.as_ref()),
    };
    let array = done.map_err(|error| out_of_range(error, result_type))?;
    if result_type.is_floating() {
        refuse_overflow(left.as_ref(), right.as_ref(), &array)?;
        if matches!(operator, Operator::Multiply | Operator::Divide) {
            refuse_underflow(left.as_ref(), operator, right.as_ref(), &array)?;
        }
    }
    if is_scalar {
        return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
    }
    Ok(ColumnarValue::Array(array))
}

fn datum(operand: &ColumnarValue) -> Result<Box<dyn Datum>> {
    Ok(match operand {
        ColumnarValue::Array(array) => Box::new(Arc::clone(array) as ArrayRef),
        ColumnarValue::Scalar(scalar) => Box::new(scalar.to_scalar()?),
    })
}

/// Refuses quotients that are not finite because they are of a division by 0.
fn refuse_zeros(divisors: &dyn Datum, quotients: &ArrayRef) -> Result<()> {
    let (divisors, is_scalar) = divisors.get();
    let (quotients, divisors) =
        (cast(quotients, &DataType::Float64)?, cast(divisors, &DataType::Float64)?);
    let (quotients, divisors) =
        (quotients.as_primitive::<Float64Type>(), divisors.as_primitive::<Float64Type>());
    let is_divided_by_zero = (0..quotients.len()).any(|row| {
        quotients.is_valid(row)
            && !quotients.value(row).is_finite()
            && divisors.value(if is_scalar { 0 } else { row }) == 0.0
    });
    if is_divided_by_zero { Err(failed("22012", "division by zero")) } else { Ok(()) }
}

/// Refuses answers that are infinite although no operand is.
fn refuse_overflow(left: &dyn Datum, right: &dyn Datum, answers: &ArrayRef) -> Result<()> {
    let answers = cast(answers, &DataType::Float64)?;
    let answers = answers.as_primitive::<Float64Type>();
    let is_infinite = |row: &usize| answers.is_valid(*row) && answers.value(*row).is_infinite();
    let mut infinite = (0..answers.len()).filter(is_infinite).peekable();
    if infinite.peek().is_none() {
        return Ok(());
    }
    let (left, right) = (Floats::of(left)?, Floats::of(right)?);
    if infinite.any(|row| left.at(row).is_finite() && right.at(row).is_finite()) {
        return Err(failed("22003", "value out of range: overflow"));
    }
    Ok(())
}

/// Refuses answers that are 0 although no operand makes them so.
fn refuse_underflow(
    left: &dyn Datum,
    operator: Operator,
    right: &dyn Datum,
    answers: &ArrayRef,
) -> Result<()> {
    let answers = cast(answers, &DataType::Float64)?;
    let answers = answers.as_primitive::<Float64Type>();
    let is_zero = |row: &usize| answers.is_valid(*row) && answers.value(*row) == 0.0;
    let mut zeros = (0..answers.len()).filter(is_zero).peekable();
    if zeros.peek().is_none() {
        return Ok(());
    }
    let (left, right) = (Floats::of(left)?, Floats::of(right)?);
    let may_be_zero = |row: usize| {
        left.at(row) == 0.0
            || match operator {
                Operator::Divide => right.at(row).is_infinite(),
                _ => right.at(row) == 0.0,
            }
    };
    if zeros.all(may_be_zero) {
        return Ok(());
    }
    Err(failed("22003", "value out of range: underflow"))
}

/// The numbers of an operand, which may be one for all rows.
struct Floats {
    numbers: ArrayRef,
    is_scalar: bool,
}

impl Floats {
    fn of(operand: &dyn Datum) -> Result<Self> {
        let (array, is_scalar) = operand.get();
        Ok(Self { numbers: cast(array, &DataType::Float64)?, is_scalar })
    }

    fn at(&self, row: usize) -> f64 {
        self.numbers.as_primitive::<Float64Type>().value(if self.is_scalar { 0 } else { row })
    }
}

pub(super) fn failed(sqlstate: &'static str, message: &str) -> DataFusionError {
    DataFusionError::External(Box::new(SqlError::Query {
        sqlstate,
        message: message.into(),
        detail: None,
        hint: None,
    }))
}

fn out_of_range(error: ArrowError, data_type: &DataType) -> DataFusionError {
    if !matches!(error, ArrowError::ArithmeticOverflow(_)) {
        return error.into();
    }
    let name = match data_type {
        DataType::Int16 => "smallint",
        DataType::Int32 => "integer",
        _ => "bigint",
    };
    failed("22003", &format!("{name} out of range"))
}
