//! Intervals times numbers and divided by them, which DataFusion does not plan; and dates and intervals,
//! whose sum is a timestamp where DataFusion has a date without the hours.
//!
//! As in PostgreSQL, what is left of a month goes to the days and what is left of a day to the
//! time, so that a day and a half is a day and twelve hours.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{
    DataType, Field, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, TimeUnit,
};
use datafusion::common::utils::take_function_args;
use datafusion::common::{DFSchema, Result};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, cast,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::{DAYS_A_MONTH, INTERVAL};
use crate::SqlError;

const NANOS_A_SECOND: f64 = 1e9;
const SECONDS_A_DAY: f64 = 86_400.0;

/// What a date becomes when an interval is added.
const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// Plans the operators; every other one passes.
#[derive(Debug)]
pub(crate) struct IntervalPlanner;

impl ExprPlanner for IntervalPlanner {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        use BinaryOperator::{Divide, Minus, Multiply, Plus};

        if !matches!(expr.op, Plus | Minus | Multiply | Divide) {
            return Ok(PlannerResult::Original(expr));
        }
        let expr = with_types(expr, schema);
        let is_interval = |side: &Expr| {
            matches!(side.get_type(schema), Ok(DataType::Interval(_) | DataType::Duration(_)))
        };
        let is_number =
            |side: &Expr| side.get_type(schema).is_ok_and(|data_type| data_type.is_numeric());
        let is_date = |side: &Expr| matches!(side.get_type(schema), Ok(DataType::Date32));
        match &expr.op {
            Plus | Minus if is_interval(&expr.right) && is_date(&expr.left) => {
                let RawBinaryExpr { op, left, right } = expr;
                let left = cast(left, TIMESTAMP);
                return Ok(PlannerResult::Planned(if op == Plus {
                    left + right
                } else {
                    left - right
                }));
            }
            Plus if is_date(&expr.right) && is_interval(&expr.left) => {
                return Ok(PlannerResult::Planned(expr.left + cast(expr.right, TIMESTAMP)));
            }
            _ => {}
        }
        let (function, interval, number) = match &expr.op {
            Multiply if is_number(&expr.right) && is_interval(&expr.left) => {
                (&MULTIPLY, expr.left, expr.right)
            }
            Multiply if is_interval(&expr.right) && is_number(&expr.left) => {
                (&MULTIPLY, expr.right, expr.left)
            }
            Divide if is_number(&expr.right) && is_interval(&expr.left) => {
                (&DIVIDE, expr.left, expr.right)
            }
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let args = vec![cast(interval, INTERVAL), cast(number, DataType::Float64)];
        let call = ScalarFunction::new_udf(Arc::clone(function), args);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}

/// The operation with PostgreSQL's types for parameters beside times and intervals: DataFusion takes a
/// parameter for what stands on the other side.
fn with_types(expr: RawBinaryExpr, schema: &DFSchema) -> RawBinaryExpr {
    let RawBinaryExpr { op, left, right } = expr;
    let beside = |other: &Expr| match (&op, other.get_type(schema)) {
        (BinaryOperator::Plus, Ok(DataType::Timestamp(..))) => Some(INTERVAL),
        (BinaryOperator::Multiply | BinaryOperator::Divide, Ok(DataType::Interval(_))) => {
            Some(DataType::Float64)
        }
        _ => None,
    };
    let (of_left, of_right) = (beside(&right), beside(&left));
    let typed = |side: Expr, data_type: Option<DataType>| match (side, data_type) {
        (Expr::Placeholder(Placeholder { id, field: None }), Some(data_type)) => {
            let field = Some(Arc::new(Field::new(&id, data_type, true)));
            Expr::Placeholder(Placeholder { id, field })
        }
        (side, _) => side,
    };
    let (left, right) = (typed(left, of_left), typed(right, of_right));
    RawBinaryExpr { op, left, right }
}

static MULTIPLY: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Scale::new("interval_multiply", false))));

static DIVIDE: LazyLock<Arc<ScalarUDF>> =
    LazyLock::new(|| Arc::new(ScalarUDF::new_from_impl(Scale::new("interval_divide", true))));

/// An interval times a number, or divided by it.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Scale {
    name: &'static str,
    divides: bool,
    signature: Signature,
}

impl Scale {
    fn new(name: &'static str, divides: bool) -> Self {
        let types = vec![INTERVAL, DataType::Float64];
        Self { name, divides, signature: Signature::exact(types, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Scale {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [intervals, numbers] = take_function_args(self.name(), args.args)?;
        let (intervals, numbers) = (intervals.to_array(rows)?, numbers.to_array(rows)?);
        let pairs = intervals
            .as_primitive::<IntervalMonthDayNanoType>()
            .iter()
            .zip(numbers.as_primitive::<Float64Type>().iter());
        let scaled = pairs.map(|pair| match pair {
            (Some(interval), Some(number)) => scale(interval, number, self.divides).map(Some),
            _ => Ok(None),
        });
        let scaled = scaled.collect::<Result<Vec<_>>>()?;
        let scaled = IntervalMonthDayNanoArray::from(scaled);
        Ok(ColumnarValue::Array(Arc::new(scaled) as ArrayRef))
    }
}

fn scale(interval: IntervalMonthDayNano, by: f64, divides: bool) -> Result<IntervalMonthDayNano> {
    if divides && by == 0.0 {
        return Err(error("22012", "division by zero"));
    }
    let scaled = |part: f64| if divides { part / by } else { part * by };
    let months = scaled(f64::from(interval.months));
    let days = scaled(f64::from(interval.days));
    let nanos = scaled(interval.nanoseconds as f64);

    let days_of_months = to_micros((months - months.trunc()) * DAYS_A_MONTH as f64);
    let rest_of_days = days - days.trunc() + days_of_months - days_of_months.trunc();
    let mut seconds = to_micros(rest_of_days * SECONDS_A_DAY);
    let mut whole_days = days.trunc() + days_of_months.trunc();
    // What is left of both may be a day together.
    if seconds.abs() >= SECONDS_A_DAY {
        let carried = (seconds / SECONDS_A_DAY).trunc();
        whole_days += carried;
        seconds -= carried * SECONDS_A_DAY;
    }
    let micros = ((nanos + seconds * NANOS_A_SECOND) / 1e3).round_ties_even();
    let out_of_range = || error("22008", "interval out of range");
    Ok(IntervalMonthDayNano::new(
        whole(months.trunc()).and_then(|n| i32::try_from(n).ok()).ok_or_else(out_of_range)?,
        whole(whole_days).and_then(|n| i32::try_from(n).ok()).ok_or_else(out_of_range)?,
        whole(micros).and_then(|n| n.checked_mul(1000)).ok_or_else(out_of_range)?,
    ))
}

/// A number without what is below a millionth, where floats are not exact.
fn to_micros(number: f64) -> f64 {
    (number * 1e6).round_ties_even() / 1e6
}

/// A whole number of a float that has no fraction; `None` for what is no number or too large.
fn whole(number: f64) -> Option<i64> {
    (number.abs() < i64::MAX as f64).then_some(number as i64)
}

fn error(sqlstate: &'static str, message: &str) -> DataFusionError {
    DataFusionError::External(Box::new(SqlError::Query {
        sqlstate,
        message: message.into(),
        detail: None,
        hint: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_months_and_days_goes_down() {
        let of = IntervalMonthDayNano::new;
        let hour = 3_600_000_000_000;
        let times = |interval, by| scale(interval, by, false).expect("fits");
        assert_eq!(times(of(0, 1, 0), 1.5), of(0, 1, 12 * hour));
        assert_eq!(times(of(1, 0, 0), 0.5), of(0, 15, 0));
        assert_eq!(times(of(0, 0, hour), -2.0), of(0, 0, -2 * hour));
        assert_eq!(scale(of(1, 0, 0), 7.0, true).expect("fits"), of(0, 4, 24_685_689_600_000));
        assert!(scale(of(0, 1, 0), 0.0, true).is_err());
        assert!(scale(of(1, 0, 0), 1e300, false).is_err());
        assert!(scale(of(0, 0, hour), f64::NAN, false).is_err());
    }
}
