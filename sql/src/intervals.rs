//! Intervals are compared by how long they are, as in PostgreSQL: a month has 30 days, a day 24 hours.
//! DataFusion compares months, then days, then the rest, so that 25 hours are less than one day.
//!
//! The seconds of a difference of times have a fraction, as in PostgreSQL; DataFusion drops it there
//! and keeps it in intervals.

mod scale;
mod text;

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::tree_node::Transformed;
use datafusion::common::utils::take_function_args;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{Between, InList, ScalarFunction};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, cast,
};
use datafusion::scalar::ScalarValue;

pub(crate) use self::scale::IntervalPlanner;
pub(crate) use self::text::rewrite as rewrite_texts;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

const MICROS_A_DAY: i64 = 24 * 60 * 60 * 1_000_000;
const DAYS_A_MONTH: i64 = 30;
const NANOS_A_MICRO: i64 = 1_000;

/// A comparison of intervals as one of their lengths, and `extract(epoch FROM …)` of a difference of
/// times as that of an interval; other expressions as they are.
pub(crate) fn by_length(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let is_interval =
        |expr: &Expr| expr.get_type(schema).is_ok_and(|data_type| data_type == INTERVAL);
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right })
            if is_comparison(op) && is_interval(&left) && is_interval(&right) =>
        {
            let compared = BinaryExpr::new(length(*left), op, length(*right));
            Transformed::yes(Expr::BinaryExpr(compared))
        }
        Expr::Between(Between { expr, negated, low, high })
            if is_interval(&expr) && is_interval(&low) && is_interval(&high) =>
        {
            let between = Between::new(length(*expr), negated, length(*low), length(*high));
            Transformed::yes(Expr::Between(between))
        }
        Expr::InList(InList { expr, list, negated })
            if is_interval(&expr) && list.iter().all(is_interval) =>
        {
            let list = list.into_iter().map(|item| *length(item)).collect();
            Transformed::yes(Expr::InList(InList { expr: length(*expr), list, negated }))
        }
        Expr::ScalarFunction(ScalarFunction { func, mut args })
            if func.name() == "date_part" && is_epoch_of_difference(&args, schema) =>
        {
            if let Some(difference) = args.pop() {
                args.push(cast(difference, INTERVAL));
            }
            Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args }))
        }
        other => Transformed::no(other),
    }
}

fn is_epoch_of_difference(args: &[Expr], schema: &DFSchema) -> bool {
    let [Expr::Literal(part, _), times] = args else { return false };
    let is_epoch = match part {
        ScalarValue::Utf8(Some(part)) | ScalarValue::Utf8View(Some(part)) => {
            part.eq_ignore_ascii_case("epoch")
        }
        _ => false,
    };
    is_epoch && matches!(times.get_type(schema), Ok(DataType::Duration(_)))
}

fn is_comparison(operator: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};

    [Eq, NotEq, Lt, LtEq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom].contains(&operator)
}

static LENGTH: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::exact(vec![INTERVAL], Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(Length { signature }))
});

fn length(interval: Expr) -> Box<Expr> {
    let call = ScalarFunction::new_udf(Arc::clone(&LENGTH), vec![interval]);
    Box::new(Expr::ScalarFunction(call))
}

/// The length of an interval, microseconds; one that is too long for the number has the greatest.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Length {
    signature: Signature,
}

impl ScalarUDFImpl for Length {
    fn name(&self) -> &str {
        "interval_length"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [interval] = take_function_args(self.name(), args.args)?;
        Ok(match interval {
            ColumnarValue::Array(array) => {
                let intervals = array.as_primitive::<IntervalMonthDayNanoType>();
                let lengths: Int64Array = intervals.unary(micros);
                ColumnarValue::Array(Arc::new(lengths) as ArrayRef)
            }
            ColumnarValue::Scalar(ScalarValue::IntervalMonthDayNano(interval)) => {
                ColumnarValue::Scalar(ScalarValue::Int64(interval.map(micros)))
            }
            ColumnarValue::Scalar(_) => ColumnarValue::Scalar(ScalarValue::Int64(None)),
        })
    }
}

fn micros(interval: IntervalMonthDayNano) -> i64 {
    let days = i64::from(interval.months) * DAYS_A_MONTH + i64::from(interval.days);
    let rest = interval.nanoseconds / NANOS_A_MICRO;
    days.saturating_mul(MICROS_A_DAY).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_has_30_days_and_a_day_24_hours() {
        let of = |months, days, nanos| micros(IntervalMonthDayNano::new(months, days, nanos));
        let hour = 3_600_000_000_000;
        assert_eq!(of(1, 0, 0), of(0, 30, 0));
        assert_eq!(of(0, 1, 0), of(0, 0, 24 * hour));
        assert!(of(0, 1, 0) < of(0, 0, 25 * hour));
        assert!(of(0, 40, 0) > of(1, 0, 0));
        assert_eq!(of(-1, 30, 0), 0);
        assert_eq!(of(i32::MAX, i32::MAX, i64::MAX), i64::MAX);
    }
}
