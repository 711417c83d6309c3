//! `date_part`, which `extract` calls: DataFusion's, with the fraction of seconds, with the days of a
//! difference of times taken from its hours, years of intervals, and with the parts that DataFusion does not know.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, DurationNanosecondType, Field, FieldRef, Float64Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::internal_err;
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::functions::datetime::date_part;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};
use datafusion::scalar::ScalarValue;

use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "date_part",
    section: super::SECTION,
    syntax: &[
        "date_part(part, timestamp) → integer or float8",
        "extract(part FROM timestamp) → integer or float8",
    ],
    description: "A part of a date, time, timestamp or interval: `year`, `month`, `day`, `hour`, `minute`, `second`, `milliseconds`, `microseconds`, `quarter`, `week`, `isoyear`, `dow`, `isodow`, `doy`, `epoch`, `century`, `decade`, `millennium`, `julian`. Seconds, milliseconds, `epoch` and `julian` are a `float8` with a fraction, the others whole numbers; PostgreSQL's `extract` gives a `numeric` for all.",
    arguments: &[
        ("part", "the name of the part, a constant"),
        ("timestamp", "a date, time, timestamp or interval"),
    ],
    examples: &[
        Example {
            sql: "SELECT date_part('second', TIMESTAMP '2026-05-01 14:05:09.25')",
            result: "9.25",
        },
        Example {
            sql: "SELECT date_part('hour', TIMESTAMP '2026-05-02 01:30:00' - TIMESTAMP '2026-05-01 00:00:00')",
            result: "1",
        },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| ScalarUDF::from(DatePart { others: date_part() }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DatePart {
    /// DataFusion's function of the same name.
    others: Arc<ScalarUDF>,
}

const NANOS_A_DAY: i64 = 86_400 * 1_000_000_000;

const NANOS_A_MINUTE: i64 = 60 * 1_000_000_000;

/// The Julian day of the Unix epoch.
const JULIAN_EPOCH: f64 = 2_440_588.0;

/// Parts that are ours to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Second,
    Millisecond,
    Century,
    Decade,
    Millennium,
    Julian,
}

impl Part {
    fn named(name: &str) -> Option<Self> {
        let name = name.trim_matches(|quote| quote == '\'' || quote == '"').to_ascii_lowercase();
        Some(match name.as_str() {
            "second" | "seconds" | "sec" | "secs" | "s" => Self::Second,
            "millisecond" | "milliseconds" | "msec" | "msecs" | "ms" | "msecond" | "mseconds" => {
                Self::Millisecond
            }
            "century" | "centuries" | "cent" | "c" => Self::Century,
            "decade" | "decades" | "dec" | "decs" => Self::Decade,
            "millennium" | "millennia" | "mil" | "mils" => Self::Millennium,
            "julian" => Self::Julian,
            _ => return None,
        })
    }

    fn has_fraction(self) -> bool {
        matches!(self, Self::Second | Self::Millisecond | Self::Julian)
    }

    /// Of a year; an interval's years count from 0.
    fn of_year(self, year: i32, is_interval: bool) -> i32 {
        let length = match self {
            Self::Century => 100,
            Self::Millennium => 1000,
            _ if year >= 0 || is_interval => return year / 10,
            _ => return -((8 - (year - 1)) / 10),
        };
        match year {
            _ if is_interval => year / length,
            year if year > 0 => (year + length - 1) / length,
            year => -((length - 1 - (year - 1)) / length),
        }
    }
}

fn part_of(part: Option<&ScalarValue>) -> Option<Part> {
    part.and_then(|part| part.try_as_str().flatten()).and_then(Part::named)
}

impl ScalarUDFImpl for DatePart {
    fn name(&self) -> &str {
        DOC.name
    }

    fn aliases(&self) -> &[String] {
        self.others.aliases()
    }

    fn signature(&self) -> &Signature {
        self.others.signature()
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        internal_err!("the type of {} is in its return field", DOC.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [part, _] = take_function_args(DOC.name, args.scalar_arguments)?;
        let Some(part) = part_of(*part) else {
            return self.others.return_field_from_args(args);
        };
        let data_type = if part.has_fraction() { DataType::Float64 } else { DataType::Int32 };
        Ok(Arc::new(Field::new(DOC.name, data_type, true)))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [part, times] = take_function_args(DOC.name, args.args)?;
        let times = match times.data_type() {
            DataType::Duration(_) => ColumnarValue::Array(days_and_time(&times.into_array(1)?)?),
            _ => times,
        };
        let known = match &part {
            ColumnarValue::Scalar(part) => part_of(Some(part)),
            ColumnarValue::Array(_) => None,
        };
        let Some(known) = known else {
            if is_epoch(&part) && matches!(times.data_type(), DataType::Interval(_)) {
                let seconds = seconds_of(&times.into_array(args.number_rows)?)?;
                return Ok(ColumnarValue::Array(seconds));
            }
            args.args = vec![part, times];
            return self.others.invoke_with_args(args);
        };
        let is_interval = matches!(times.data_type(), DataType::Interval(_));
        let rows = times.into_array(1)?;
        let other = |name: &str, data_type: DataType| -> Result<ArrayRef> {
            let name = ScalarValue::Utf8(Some(name.into()));
            let args = ScalarFunctionArgs {
                args: vec![ColumnarValue::Scalar(name), ColumnarValue::Array(Arc::clone(&rows))],
                arg_fields: args.arg_fields.clone(),
                return_field: Arc::new(Field::new(DOC.name, data_type, true)),
                number_rows: rows.len(),
                config_options: Arc::clone(&args.config_options),
            };
            self.others.invoke_with_args(args)?.into_array(rows.len())
        };
        let found: ArrayRef = match known {
            Part::Second | Part::Millisecond => {
                let factor = if known == Part::Second { 1e9 } else { 1e6 };
                // DataFusion's lose the fraction of an interval of more than two seconds.
                let nanos = if is_interval {
                    nanos_of_minute(&rows)?
                } else {
                    other("nanosecond", DataType::Int64)?
                };
                let nanos = nanos.as_primitive::<Int64Type>();
                Arc::new(nanos.unary::<_, Float64Type>(|nanos| nanos as f64 / factor))
            }
            Part::Julian => {
                let epoch = other("epoch", DataType::Float64)?;
                let epoch = epoch.as_primitive::<Float64Type>();
                Arc::new(epoch.unary::<_, Float64Type>(|seconds| seconds / 86_400.0 + JULIAN_EPOCH))
            }
            Part::Century | Part::Decade | Part::Millennium => {
                let years = other("year", DataType::Int32)?;
                let years = years.as_primitive::<Int32Type>();
                Arc::new(years.unary::<_, Int32Type>(|year| known.of_year(year, is_interval)))
            }
        };
        Ok(ColumnarValue::Array(found))
    }

    fn preimage(
        &self,
        args: &[Expr],
        literal: &Expr,
        info: &SimplifyContext,
    ) -> Result<PreimageResult> {
        self.others.preimage(args, literal, info)
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

fn is_epoch(part: &ColumnarValue) -> bool {
    let ColumnarValue::Scalar(part) = part else { return false };
    let name = part.try_as_str().flatten();
    name.is_some_and(|name| {
        let bare = name.trim_matches(|quote| quote == '\'' || quote == '"');
        bare.eq_ignore_ascii_case("epoch")
    })
}

/// Intervals in seconds. For DataFusion (55.2) twelve months are 360 days, for PostgreSQL a year.
fn seconds_of(intervals: &ArrayRef) -> Result<ArrayRef> {
    let intervals = cast(intervals, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
    Ok(Arc::new(intervals.unary::<_, Float64Type>(|interval| {
        let (years, months) = (interval.months / 12, interval.months % 12);
        let days = f64::from(years) * 365.25 + f64::from(months) * 30.0 + f64::from(interval.days);
        days * 86_400.0 + interval.nanoseconds as f64 / 1e9
    })))
}

fn nanos_of_minute(intervals: &ArrayRef) -> Result<ArrayRef> {
    let intervals = cast(intervals, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
    Ok(Arc::new(intervals.unary::<_, Int64Type>(|interval| interval.nanoseconds % NANOS_A_MINUTE)))
}

/// Differences of times as intervals of whole days and the rest.
fn days_and_time(durations: &ArrayRef) -> Result<ArrayRef> {
    let nanos = cast(durations, &DataType::Duration(TimeUnit::Nanosecond))?;
    let intervals: IntervalMonthDayNanoArray = nanos
        .as_primitive::<DurationNanosecondType>()
        .iter()
        .map(|nanos| {
            nanos.map(|nanos| {
                // A difference of 64 bits of nanoseconds has far fewer days than 32 bits.
                let days = (nanos / NANOS_A_DAY) as i32;
                IntervalMonthDayNano::new(0, days, nanos % NANOS_A_DAY)
            })
        })
        .collect();
    Ok(Arc::new(intervals))
}
