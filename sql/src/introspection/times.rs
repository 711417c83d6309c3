//! Times and the spans between them: `now() - query_start > interval '5 minutes'`.

use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::BinaryOperator as Op;

use super::Stop;
use super::value::Value;

/// The type of a span.
pub(super) const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

const DAY_MICROS: i64 = 86_400_000_000;

/// What a sum or a difference of two of them is; `None` where there is none.
pub(super) fn type_of(left: &DataType, op: &Op, right: &DataType) -> Option<DataType> {
    let is_time = |data_type: &DataType| matches!(data_type, DataType::Timestamp(..));
    match op {
        Op::Minus if is_time(left) && is_time(right) => Some(INTERVAL),
        Op::Minus | Op::Plus if is_time(left) && *right == INTERVAL => Some(left.clone()),
        Op::Plus if *left == INTERVAL && is_time(right) => Some(right.clone()),
        Op::Minus | Op::Plus if *left == INTERVAL && *right == INTERVAL => Some(INTERVAL),
        _ => None,
    }
}

/// The sum or difference.
///
/// # Errors
/// Where there is none, or it is out of range.
pub(super) fn combine(left: &ScalarValue, op: &Op, right: &ScalarValue) -> Result<Value, Stop> {
    let stop = |error: datafusion::error::DataFusionError| Stop::Error(error.into());
    let (left, right) = (micros(left)?, micros(right)?);
    let combined = match (&left, op, &right) {
        (
            ScalarValue::TimestampMicrosecond(Some(left), _),
            Op::Minus,
            ScalarValue::TimestampMicrosecond(Some(right), _),
        ) => {
            let out_of_range = || Stop::invalid("22008", "interval out of range".into());
            let between = left.checked_sub(*right).ok_or_else(out_of_range)?;
            let days = i32::try_from(between / DAY_MICROS).map_err(|_| out_of_range())?;
            let span = IntervalMonthDayNano::new(0, days, between % DAY_MICROS * 1000);
            ScalarValue::IntervalMonthDayNano(Some(span))
        }
        (left, Op::Minus, right) => left.sub(right).map_err(stop)?,
        (left, _, right) => left.add(right).map_err(stop)?,
    };
    Ok(Value::Other(Box::new(combined)))
}

fn micros(value: &ScalarValue) -> Result<ScalarValue, Stop> {
    match value.data_type() {
        DataType::Timestamp(_, zone) => value
            .cast_to(&DataType::Timestamp(TimeUnit::Microsecond, zone))
            .map_err(|error| Stop::Error(error.into())),
        _ => Ok(value.clone()),
    }
}

/// The length that spans are ordered by: a month has thirty days for PostgreSQL.
pub(super) fn length(span: &IntervalMonthDayNano) -> i128 {
    let days = i128::from(span.months) * 30 + i128::from(span.days);
    days * i128::from(DAY_MICROS) * 1000 + i128::from(span.nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_days_and_compare_by_their_length() {
        let at = |micros| ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()));
        let span = combine(&at(DAY_MICROS + 5), &Op::Minus, &at(0)).expect("a span");
        let Value::Other(span) = span else { panic!("{span:?}") };
        let wanted = IntervalMonthDayNano::new(0, 1, 5000);
        assert_eq!(*span, ScalarValue::IntervalMonthDayNano(Some(wanted)));
        let sum = combine(&at(1), &Op::Plus, &span).expect("a time");
        let Value::Other(sum) = sum else { panic!("{sum:?}") };
        assert_eq!(*sum, at(DAY_MICROS + 6));
        let hours = IntervalMonthDayNano::new(0, 0, 25 * 3_600_000_000_000);
        assert!(length(&hours) > length(&wanted));
    }
}
