//! `timezone(zone, timestamp)`, which `AT TIME ZONE` calls.
//!
//! A point in time becomes what the clocks of the zone show then, a `timestamp`; and what they show
//! becomes the point in time, a `timestamptz`. DataFusion gives a `timestamptz` for both.

use std::sync::{Arc, LazyLock};

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone};
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::UdfError;
use crate::doc::{Example, Function, FunctionDoc};

static DOC: FunctionDoc = FunctionDoc {
    name: "timezone",
    section: super::SECTION,
    syntax: &[
        "timezone(zone, timestamptz) → timestamp",
        "timezone(zone, timestamp) → timestamptz",
        "timestamptz AT TIME ZONE zone → timestamp",
        "timestamp AT TIME ZONE zone → timestamptz",
    ],
    description: "What the clocks of a zone show at a point in time; and the point in time at which they show a timestamp. A time that the clocks show twice is the later one, one that they skip is read as if they had not been put forward.",
    arguments: &[
        ("zone", "a name such as `Europe/Berlin`, or `UTC`"),
        ("timestamp", "a timestamp with or without time zone"),
    ],
    examples: &[
        Example {
            sql: "SELECT timezone('Europe/Berlin', timezone('UTC', TIMESTAMP '2026-01-15 23:00:00')) = TIMESTAMP '2026-01-16 00:00:00'",
            result: "t",
        },
        Example {
            sql: "SELECT timezone('Europe/Berlin', TIMESTAMP '2026-07-15 23:00:00') = timezone('UTC', TIMESTAMP '2026-07-15 21:00:00')",
            result: "t",
        },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

/// The zone of every `timestamptz`; a session's zone is how it is shown.
const UTC: &str = "UTC";

pub(super) fn function() -> Function {
    Function::new(&DOC, |_| udf())
}

pub(super) fn udf() -> ScalarUDF {
    ScalarUDF::from(AtTimeZone { signature: Signature::user_defined(Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AtTimeZone {
    signature: Signature,
}

fn with_zone() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

fn without_zone() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

impl ScalarUDFImpl for AtTimeZone {
    fn name(&self) -> &str {
        DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [zone, time] = take_function_args(DOC.name, types)?;
        let refused = || {
            let arguments = crate::vector::type_names(types);
            UdfError::NoFunction { function: DOC.name, arguments }
        };
        if !matches!(
            zone,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
        ) {
            return Err(refused().into());
        }
        let time = match time {
            DataType::Timestamp(_, None) => without_zone(),
            // A text or a date is a timestamptz where nothing else is said.
            DataType::Timestamp(_, Some(_))
            | DataType::Date32
            | DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Null => with_zone(),
            _ => return Err(refused().into()),
        };
        Ok(vec![DataType::Utf8, time])
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let [_, time] = take_function_args(DOC.name, types)?;
        Ok(match time {
            DataType::Timestamp(_, None) => with_zone(),
            _ => without_zone(),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [zone, times] = take_function_args(DOC.name, args.args)?;
        let is_scalar =
            matches!((&zone, &times), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        // A zone that is a constant, as nearly all are, is looked up once.
        let constant = match &zone {
            ColumnarValue::Scalar(zone) => match zone.try_as_str().flatten() {
                Some(name) => Some(named(name)?),
                None => None,
            },
            ColumnarValue::Array(_) => None,
        };
        let zones = zone.into_array(rows)?;
        let zones: &StringArray = zones.as_string();
        let times = times.into_array(rows)?;
        let gets_zone = matches!(times.data_type(), DataType::Timestamp(_, None));
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let converted = (0..rows).map(|row| {
            if times.is_null(row) || zones.is_null(row) {
                return Ok(None);
            }
            let zone = match constant {
                Some(zone) => zone,
                None => named(zones.value(row))?,
            };
            let micros = times.value(row);
            let Some(time) = DateTime::from_timestamp_micros(micros) else {
                return Err(UdfError::TimestampRange.into());
            };
            let offset = if gets_zone {
                offset_of_local(&zone, time.naive_utc())
            } else {
                zone.offset_from_utc_datetime(&time.naive_utc()).fix().local_minus_utc()
            };
            let offset = i64::from(offset) * 1_000_000;
            let moved =
                if gets_zone { micros.checked_sub(offset) } else { micros.checked_add(offset) };
            moved.map(Some).ok_or_else(|| UdfError::TimestampRange.into())
        });
        let converted = converted.collect::<Result<TimestampMicrosecondArray>>()?;
        let converted: ArrayRef =
            Arc::new(converted.with_timezone_opt(gets_zone.then(|| Arc::from(UTC))));
        Ok(if is_scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&converted, 0)?)
        } else {
            ColumnarValue::Array(converted)
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

/// The zone; one of hours counts to the west, as in POSIX and PostgreSQL.
fn named(name: &str) -> Result<Tz> {
    let turned = match name.split_at_checked(1) {
        Some(("+", hours)) => format!("-{hours}"),
        Some(("-", hours)) => format!("+{hours}"),
        _ if name.eq_ignore_ascii_case("utc") || name.eq_ignore_ascii_case("z") => UTC.into(),
        _ => name.to_owned(),
    };
    turned.parse().map_err(|_| UdfError::UnknownZone { name: name.to_owned() }.into())
}

/// Seconds to the east when the clocks show `time`.
fn offset_of_local(zone: &Tz, time: NaiveDateTime) -> i32 {
    match zone.offset_from_local_datetime(&time) {
        LocalResult::Single(offset) | LocalResult::Ambiguous(_, offset) => {
            offset.fix().local_minus_utc()
        }
        LocalResult::None => {
            let before = time - TimeDelta::days(1);
            zone.offset_from_utc_datetime(&before).fix().local_minus_utc()
        }
    }
}
