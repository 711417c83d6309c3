//! `make_interval`, `make_time`, `make_timestamp` and `make_timestamptz`.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, IntervalMonthDayNanoArray, Time64NanosecondArray,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, IntervalMonthDayNano, IntervalUnit, TimeUnit,
};
use chrono::NaiveDate;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::UdfError;
use crate::doc::{Example, Function, FunctionDoc};

static INTERVAL: FunctionDoc = FunctionDoc {
    name: "make_interval",
    section: super::SECTION,
    syntax: &[
        "make_interval([years [, months [, weeks [, days [, hours [, mins [, secs]]]]]]]) → interval",
    ],
    description: "An interval of its parts, each of them 0 if it is not given. They may be named: `make_interval(days => 10)`.",
    arguments: &[
        ("years, months, weeks, days, hours, mins", "whole numbers"),
        ("secs", "a number that may have a fraction"),
    ],
    examples: &[Example {
        sql: "SELECT make_interval(0, 0, 0, 2, 3) = INTERVAL '2 days 3 hours'",
        result: "t",
    }],
};

static TIME: FunctionDoc = FunctionDoc {
    name: "make_time",
    section: super::SECTION,
    syntax: &["make_time(hour, min, sec) → time"],
    description: "A time of day of its parts.",
    arguments: &[("hour, min", "whole numbers"), ("sec", "a number that may have a fraction")],
    examples: &[Example { sql: "SELECT make_time(10, 1, 2.5) = TIME '10:01:02.5'", result: "t" }],
};

static TIMESTAMP: FunctionDoc = FunctionDoc {
    name: "make_timestamp",
    section: super::SECTION,
    syntax: &["make_timestamp(year, month, day, hour, min, sec) → timestamp"],
    description: "A timestamp of its parts.",
    arguments: &[
        ("year, month, day, hour, min", "whole numbers"),
        ("sec", "a number that may have a fraction"),
    ],
    examples: &[Example {
        sql: "SELECT make_timestamp(2026, 1, 2, 3, 4, 5.5) = TIMESTAMP '2026-01-02 03:04:05.5'",
        result: "t",
    }],
};

static TIMESTAMPTZ: FunctionDoc = FunctionDoc {
    name: "make_timestamptz",
    section: super::SECTION,
    syntax: &["make_timestamptz(year, month, day, hour, min, sec) → timestamptz"],
    description: "A point in time of its parts in UTC; for those of another zone see `timezone`.",
    arguments: &[
        ("year, month, day, hour, min", "whole numbers"),
        ("sec", "a number that may have a fraction"),
    ],
    examples: &[Example {
        sql: "SELECT make_timestamptz(2026, 1, 2, 3, 4, 5) = TIMESTAMPTZ '2026-01-02 03:04:05+00'",
        result: "t",
    }],
};

static DOCUMENTATION: LazyLock<[Documentation; 4]> = LazyLock::new(|| {
    [&INTERVAL, &TIME, &TIMESTAMP, &TIMESTAMPTZ].map(FunctionDoc::to_documentation)
});

pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::new(&INTERVAL, |_| udf(Made::Interval)),
        Function::new(&TIME, |_| udf(Made::Time)),
        Function::new(&TIMESTAMP, |_| udf(Made::Timestamp)),
        Function::new(&TIMESTAMPTZ, |_| udf(Made::Timestamptz)),
    ]
}

fn udf(made: Made) -> ScalarUDF {
    ScalarUDF::from(Make { made, signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Made {
    Interval,
    Time,
    Timestamp,
    Timestamptz,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Make {
    made: Made,
    signature: Signature,
}

impl Make {
    fn doc(&self) -> &'static FunctionDoc {
        match self.made {
            Made::Interval => &INTERVAL,
            Made::Time => &TIME,
            Made::Timestamp => &TIMESTAMP,
            Made::Timestamptz => &TIMESTAMPTZ,
        }
    }

    /// Whole numbers before the seconds.
    fn whole(&self) -> usize {
        match self.made {
            Made::Interval => 6,
            Made::Time => 2,
            Made::Timestamp | Made::Timestamptz => 5,
        }
    }
}

impl ScalarUDFImpl for Make {
    fn name(&self) -> &str {
        self.doc().name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let whole = self.whole();
        let fits = match self.made {
            Made::Interval => types.len() <= whole + 1,
            _ => types.len() == whole + 1,
        };
        let is_known = types.iter().enumerate().all(|(at, data_type)| {
            data_type.is_null()
                || data_type.is_integer()
                || (at == whole && (data_type.is_floating() || data_type.is_decimal()))
        });
        if !fits || !is_known {
            let arguments = crate::vector::type_names(types);
            return Err(UdfError::NoFunction { function: self.doc().name, arguments }.into());
        }
        let wanted = |at| if at < whole { DataType::Int64 } else { DataType::Float64 };
        Ok((0..types.len()).map(wanted).collect())
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.made {
            Made::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            // As DataFusion has a literal of the type.
            Made::Time => DataType::Time64(TimeUnit::Nanosecond),
            Made::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Made::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let columns: Vec<ArrayRef> =
            args.args.iter().map(|value| value.to_array(rows)).collect::<Result<_>>()?;
        let whole = self.whole();
        let parts = |row: usize| -> Option<(Vec<i64>, f64)> {
            let mut numbers = vec![0; whole];
            let mut seconds = 0.0;
            for (at, column) in columns.iter().enumerate() {
                if column.is_null(row) {
                    return None;
                }
                match numbers.get_mut(at) {
                    Some(number) => *number = column.as_primitive::<Int64Type>().value(row),
                    None => seconds = column.as_primitive::<Float64Type>().value(row),
                }
            }
            Some((numbers, seconds))
        };
        let rows = 0..rows;
        let made: ArrayRef = match self.made {
            Made::Interval => {
                let made = rows.map(|row| {
                    parts(row)
                        .map(|(numbers, seconds)| {
                            interval(&numbers, seconds).ok_or(UdfError::IntervalRange)
                        })
                        .transpose()
                });
                Arc::new(made.collect::<Result<IntervalMonthDayNanoArray, UdfError>>()?)
            }
            Made::Time => {
                let made = rows.map(|row| {
                    parts(row)
                        .map(|(numbers, seconds)| {
                            micros_of_day(&numbers, seconds)
                                .map(|micros| micros * 1000)
                                .ok_or(UdfError::FieldRange)
                        })
                        .transpose()
                });
                Arc::new(made.collect::<Result<Time64NanosecondArray, UdfError>>()?)
            }
            Made::Timestamp | Made::Timestamptz => {
                let made = rows.map(|row| {
                    parts(row)
                        .map(|(numbers, seconds)| {
                            timestamp(&numbers, seconds).ok_or(UdfError::FieldRange)
                        })
                        .transpose()
                });
                let made = made.collect::<Result<TimestampMicrosecondArray, UdfError>>()?;
                cast(&made, args.return_field.data_type())?
            }
        };
        Ok(if is_scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?)
        } else {
            ColumnarValue::Array(made)
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        let [interval, time, timestamp, timestamptz] = &*DOCUMENTATION;
        Some(match self.made {
            Made::Interval => interval,
            Made::Time => time,
            Made::Timestamp => timestamp,
            Made::Timestamptz => timestamptz,
        })
    }
}

const MICROS_A_SECOND: f64 = 1e6;

fn interval(parts: &[i64], seconds: f64) -> Option<IntervalMonthDayNano> {
    let [years, months, weeks, days, hours, minutes] = *parts else { return None };
    let months = years.checked_mul(12)?.checked_add(months)?;
    let days = weeks.checked_mul(7)?.checked_add(days)?;
    let micros = (seconds * MICROS_A_SECOND).round_ties_even();
    if !micros.is_finite() || micros.abs() >= 9e18 {
        return None;
    }
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    let micros = minutes.checked_mul(60_000_000)?.checked_add(micros as i64)?;
    Some(IntervalMonthDayNano::new(
        months.try_into().ok()?,
        days.try_into().ok()?,
        micros.checked_mul(1000)?,
    ))
}

/// Microseconds since midnight; 24:00 is one of them.
fn micros_of_day(parts: &[i64], seconds: f64) -> Option<i64> {
    let [hours, minutes] = *parts else { return None };
    if !(0..=24).contains(&hours) || !(0..60).contains(&minutes) || !(0.0..=60.0).contains(&seconds)
    {
        return None;
    }
    let micros = (seconds * MICROS_A_SECOND).round_ties_even() as i64;
    let micros = (hours * 60 + minutes) * 60_000_000 + micros;
    (micros <= 86_400_000_000).then_some(micros)
}

/// Microseconds since the Unix epoch.
fn timestamp(parts: &[i64], seconds: f64) -> Option<i64> {
    let (date, time) = parts.split_at_checked(3)?;
    let [year, month, day] = *date else { return None };
    // There is no year 0: -1 is the one before 1.
    let year = match year {
        0 => return None,
        year if year < 0 => year + 1,
        year => year,
    };
    let date = NaiveDate::from_ymd_opt(
        year.try_into().ok()?,
        month.try_into().ok()?,
        day.try_into().ok()?,
    )?;
    let midnight = date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros();
    midnight.checked_add(micros_of_day(time, seconds)?)
}
