//! `to_char`: dates, times and numbers by PostgreSQL's template patterns, where DataFusion's function of
//! the name takes dates and times by those of strftime.

mod number;
mod pattern;

use std::sync::{Arc, LazyLock};

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::datatypes::{
    DataType, Decimal128Type, Float64Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use arrow::temporal_conversions::timestamp_us_to_datetime;
use chrono::{Datelike, NaiveDateTime, Offset, TimeZone, Timelike};
use datafusion::common::utils::take_function_args;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::UdfError;
use crate::doc::{Example, Function, FunctionDoc};
use number::{Number, NumberTemplate, Refusal};
use pattern::{Calendar, Moment, Template};

static DOC: FunctionDoc = FunctionDoc {
    name: "to_char",
    section: "Dates and times",
    syntax: &[
        "to_char(timestamp, text) → text",
        "to_char(interval, text) → text",
        "to_char(number, text) → text",
    ],
    description: "A date, time, timestamp or interval by a template of PostgreSQL's patterns: `YYYY`, `MM`, `DD`, `HH24`, `MI`, `SS`, `MS`, `US`, `Day`, `Month`, `Q`, `IYYY`, `IW`, `TZ` and the others, with `FM`, `TH` and text in double quotes. NULL for an empty template. Names are English. A number by the patterns `9`, `0`, `.`, `,`, `D`, `G`, `S`, `MI`, `PL`, `SG`, `PR`, `RN`, `TH`, `V` and `FM`; separators are those of English. `EEEE` is not taken.",
    arguments: &[("timestamp, interval, number", "what to write"), ("text", "the template")],
    examples: &[
        Example {
            sql: "SELECT to_char(TIMESTAMP '2026-05-01 14:05:09.25', 'FMDay, DDth FMMonth YYYY, HH12:MI:SS.MS AM')",
            result: "Friday, 01st May 2026, 02:05:09.250 PM",
        },
        Example { sql: "SELECT to_char(1234567, 'FM9,999,999')", result: "1,234,567" },
        Example { sql: "SELECT to_char(INTERVAL '90 minutes', 'HH24:MI')", result: "01:30" },
    ],
};

static DOCUMENTATION: LazyLock<Documentation> = LazyLock::new(|| DOC.to_documentation());

/// The functions of this file.
pub fn functions() -> Vec<Function> {
    vec![Function::new(&DOC, |_| {
        ScalarUDF::from(ToChar { signature: Signature::user_defined(Volatility::Immutable) })
    })]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToChar {
    signature: Signature,
}

const MICROS_PER_SECOND: i64 = 1_000_000;

impl ScalarUDFImpl for ToChar {
    fn name(&self) -> &str {
        DOC.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [value, template] = take_function_args(DOC.name, types)?;
        let value = match value {
            DataType::Timestamp(_, zone) => {
                DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
            }
            DataType::Date32 | DataType::Date64 | DataType::Null => {
                DataType::Timestamp(TimeUnit::Microsecond, None)
            }
            DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
            DataType::Interval(_) | DataType::Duration(_) => {
                DataType::Interval(IntervalUnit::MonthDayNano)
            }
            DataType::Decimal128(precision, scale) if *scale >= 0 => {
                DataType::Decimal128(*precision, *scale)
            }
            number if number.is_signed_integer() => DataType::Int64,
            number if number.is_numeric() => DataType::Float64,
            other => return Err(no_function(other, template)),
        };
        match template {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => {
                Ok(vec![value, DataType::Utf8])
            }
            other => Err(no_function(&value, other)),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value, template] = take_function_args(DOC.name, args.args)?;
        // A template that is a constant, as nearly all are, is read once.
        if let (ColumnarValue::Array(values), ColumnarValue::Scalar(template)) = (&value, &template)
        {
            let template = template.try_as_str().flatten();
            if values.data_type().is_numeric() {
                return Ok(ColumnarValue::Array(write_numbers(values, |_| template)?));
            }
            let template = template.and_then(Template::new);
            return Ok(ColumnarValue::Array(write(values, |_| template.as_ref())?));
        }
        let is_scalar =
            matches!((&value, &template), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let templates = template.into_array(rows)?;
        let templates: &StringArray = templates.as_string();
        let values = value.into_array(rows)?;
        let written = if values.data_type().is_numeric() {
            let template = |row| (!templates.is_null(row)).then(|| templates.value(row));
            write_numbers(&values, template)?
        } else {
            let templates: Vec<_> =
                templates.iter().map(|template| template.and_then(Template::new)).collect();
            write(&values, |row| templates[row].as_ref())?
        };
        Ok(if is_scalar {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&written, 0)?)
        } else {
            ColumnarValue::Array(written)
        })
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&DOCUMENTATION)
    }
}

/// Every number by its row's template; NULL where either is missing.
fn write_numbers<'a>(
    values: &ArrayRef,
    template: impl Fn(usize) -> Option<&'a str>,
) -> Result<ArrayRef> {
    let mut texts = StringBuilder::new();
    let mut text = String::new();
    let mut known: Option<(&str, NumberTemplate)> = None;
    for row in 0..values.len() {
        let Some(written) = template(row).filter(|_| values.is_valid(row)) else {
            texts.append_null();
            continue;
        };
        let template = match known.take().filter(|(known, _)| *known == written) {
            Some((_, template)) => template,
            None => NumberTemplate::new(written).map_err(|refusal| match refusal {
                Refusal::Invalid(message) => UdfError::NumberTemplate { message },
                Refusal::Unsupported(what) => UdfError::Unsupported { what: what.into() },
            })?,
        };
        let number = match values.data_type() {
            DataType::Int64 => {
                Number::Exact(values.as_primitive::<Int64Type>().value(row).into(), 0)
            }
            DataType::Decimal128(_, scale) => Number::Exact(
                values.as_primitive::<Decimal128Type>().value(row),
                u8::try_from(*scale).unwrap_or(0),
            ),
            _ => Number::Float(values.as_primitive::<Float64Type>().value(row)),
        };
        text.clear();
        template.write(number, &mut text);
        texts.append_value(&text);
        known = Some((written, template));
    }
    Ok(Arc::new(texts.finish()))
}

fn no_function(value: &DataType, template: &DataType) -> datafusion::error::DataFusionError {
    let arguments = format!("{value}, {template}");
    UdfError::NoFunction { function: DOC.name, arguments }.into()
}

/// Every value by its row's template; NULL where either is missing or the template is empty.
fn write<'a>(
    values: &ArrayRef,
    template: impl Fn(usize) -> Option<&'a Template>,
) -> Result<ArrayRef> {
    let moment = reader(values)?;
    let mut texts = StringBuilder::new();
    let mut text = String::new();
    for row in 0..values.len() {
        let moment = if values.is_null(row) { None } else { moment(row) };
        let (Some(template), Some(moment)) = (template(row), moment) else {
            texts.append_null();
            continue;
        };
        text.clear();
        template.write(&moment, &mut text)?;
        texts.append_value(&text);
    }
    Ok(Arc::new(texts.finish()))
}

/// How a row of an array is read; `None` is a timestamp beyond chrono's years.
fn reader<'a>(values: &'a ArrayRef) -> Result<Box<dyn Fn(usize) -> Option<Moment> + 'a>> {
    Ok(match values.data_type() {
        DataType::Timestamp(_, zone) => {
            let zone: Option<(Tz, String)> = match zone {
                Some(name) => Some((name.parse()?, zone_name(name))),
                None => None,
            };
            let micros = values.as_primitive::<TimestampMicrosecondType>();
            Box::new(move |row| {
                let utc = timestamp_us_to_datetime(micros.value(row))?;
                Some(match &zone {
                    Some((zone, name)) => {
                        let offset = zone.offset_from_utc_datetime(&utc).fix();
                        let local = utc.checked_add_offset(offset)?;
                        point(local, offset.local_minus_utc(), name.clone())
                    }
                    None => point(utc, 0, String::new()),
                })
            })
        }
        DataType::Time64(_) => {
            let micros = values.as_primitive::<Time64MicrosecondType>();
            Box::new(move |row| Some(length(0, 0, micros.value(row))))
        }
        _ => {
            let intervals = values.as_primitive::<IntervalMonthDayNanoType>();
            Box::new(move |row| {
                let value = intervals.value(row);
                Some(length(value.months.into(), value.days.into(), value.nanoseconds / 1000))
            })
        }
    })
}

/// PostgreSQL calls UTC so, and zones that are only an offset by that.
fn zone_name(name: &str) -> String {
    match name {
        "+00:00" | "+00" | "Z" => "UTC".into(),
        name => name.strip_suffix(":00").unwrap_or(name).into(),
    }
}

fn point(local: NaiveDateTime, offset: i32, zone: String) -> Moment {
    Moment {
        year: local.year().into(),
        month: local.month().into(),
        day: local.day().into(),
        hour: local.hour().into(),
        minute: local.minute().into(),
        second: local.second().into(),
        micros: (local.nanosecond() / 1000).into(),
        calendar: Some(Calendar { date: local.date(), offset, zone }),
    }
}

fn length(months: i64, days: i64, micros: i64) -> Moment {
    let seconds = micros / MICROS_PER_SECOND;
    Moment {
        year: months / 12,
        month: months % 12,
        day: days,
        hour: seconds / 3600,
        minute: seconds / 60 % 60,
        second: seconds % 60,
        micros: micros % MICROS_PER_SECOND,
        calendar: None,
    }
}
