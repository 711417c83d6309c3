//! Lengths of time in text, in PostgreSQL's default style: `1 mon 2 days 03:04:05.5`.

use arrow::array::{Array, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, IntervalMonthDayNanoType, IntervalUnit};
use arrow::error::ArrowError;

const MICROS_PER_SECOND: u64 = 1_000_000;
const NANOS_PER_DAY: i64 = 86_400 * 1_000_000_000;

/// The texts of a column of Arrow's intervals or durations.
///
/// A duration is what a difference of timestamps gives; as in PostgreSQL it is told in days and
/// a time of less than a day.
///
/// # Errors
/// When the column is of another type, or has a duration of more than 292 years.
pub fn intervals(array: &dyn Array) -> Result<StringArray, ArrowError> {
    let is_duration = matches!(array.data_type(), DataType::Duration(_));
    let common = cast(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let common = common.as_primitive::<IntervalMonthDayNanoType>();
    let text = |value: arrow::datatypes::IntervalMonthDayNano| {
        let (days, nanos) = if is_duration {
            (value.nanoseconds / NANOS_PER_DAY, value.nanoseconds % NANOS_PER_DAY)
        } else {
            (i64::from(value.days), value.nanoseconds)
        };
        interval(i64::from(value.months), days, nanos / 1_000)
    };
    Ok(common.iter().map(|value| value.map(text)).collect())
}

/// An interval of its three parts, such as `-1 years -2 mons +3 days -04:05:06.5`.
pub fn interval(months: i64, days: i64, micros: i64) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut after_negative = false;
    let fields = [(months / 12, "year"), (months % 12, "mon"), (days, "day")];
    for (value, unit) in fields.into_iter().filter(|(value, _)| *value != 0) {
        // Once a field was negative, a positive one says so.
        let sign = if after_negative && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        parts.push(format!("{sign}{value} {unit}{plural}"));
        after_negative = value < 0;
    }
    if micros != 0 || parts.is_empty() {
        let sign = match micros {
            ..0 => "-",
            _ if after_negative => "+",
            _ => "",
        };
        let (seconds, rest) =
            (micros.unsigned_abs() / MICROS_PER_SECOND, micros.unsigned_abs() % MICROS_PER_SECOND);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let fraction = match rest {
            0 => String::new(),
            rest => format!(".{rest:06}").trim_end_matches('0').to_owned(),
        };
        parts.push(format!("{sign}{hours:02}:{minutes:02}:{seconds:02}{fraction}"));
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use arrow::array::{DurationMicrosecondArray, IntervalMonthDayNanoArray};
    use arrow::datatypes::IntervalMonthDayNano;

    use super::*;

    /// What PostgreSQL 15 answers.
    #[test]
    fn intervals_are_postgresqls() {
        let cases = [
            ((0, 0, 0), "00:00:00"),
            ((0, 0, 500_000), "00:00:00.5"),
            ((0, 0, -1_500_000), "-00:00:01.5"),
            ((1, 2, 11_045_500_000), "1 mon 2 days 03:04:05.5"),
            ((14, 0, 0), "1 year 2 mons"),
            ((-14, 3, 0), "-1 years -2 mons +3 days"),
            ((0, -1, 3_600_000_000), "-1 days +01:00:00"),
            ((0, 0, 360_000_000_000), "100:00:00"),
        ];
        for ((months, days, micros), text) in cases {
            assert_eq!(interval(months, days, micros), text);
        }
    }

    #[test]
    fn durations_are_days_and_a_time_of_day() {
        let micros = vec![Some(79_400_000), Some(93_784_500_001), Some(-90_000_000_000), None];
        let texts = intervals(&DurationMicrosecondArray::from(micros)).expect("intervals");
        let texts: Vec<_> = texts.iter().collect();
        let expected =
            [Some("00:01:19.4"), Some("1 day 02:03:04.500001"), Some("-1 days -01:00:00"), None];
        assert_eq!(texts, expected);
        let array = IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(0, 0, 1 << 50)]);
        assert_eq!(intervals(&array).expect("intervals").value(0), "312:44:59.906842");
    }
}
