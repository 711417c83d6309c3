//! Texts of times that PostgreSQL reads and Arrow does not: without seconds, with `am` and `pm`, with zones
//! in every spelling, `now`, `today` and their like. A text that is cast to a timestamp or a date, also one that is
//! compared with one, is written as Arrow reads it.

use std::sync::LazyLock;

use arrow::array::timezone::Tz;
use arrow::datatypes::DataType;
use chrono::{NaiveDate, TimeDelta, Utc};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::Cast;
use datafusion::scalar::ScalarValue;
use regex::Regex;

use crate::SqlError;

static FORM: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?ix)^\s*(?<year>\d{4,6})[-/](?<month>\d{1,2})[-/](?<day>\d{1,2})
        (?:[T\s]\s*(?<hour>\d{1,2})(?::(?<minute>\d{2})(?::(?<second>\d{2})(?<fraction>\.\d*)?)?)?
        \s*(?<half>am|pm)?)?
        \s*(?<zone>Z|UTC|GMT|[+-]\d{1,2}(?::?\d{2})?|[A-Z]+(?:/[A-Z_+\-0-9]+)+)?\s*$",
    )
    .ok()
});

/// The cast of a text to a timestamp or a date with the text as Arrow reads it; every other expression as it is.
/// `zone` is the session's.
///
/// # Errors
/// SQLSTATE 22008 for infinity, which Arrow's times do not have.
pub(crate) fn as_arrow_reads(expr: Expr, zone: Option<&str>) -> Result<(Expr, bool), SqlError> {
    let Expr::Cast(Cast { expr: inner, field }) = expr else { return Ok((expr, false)) };
    let text = match (inner.as_ref(), field.data_type()) {
        (
            Expr::Literal(ScalarValue::Utf8(Some(text)), _),
            DataType::Timestamp(..) | DataType::Date32,
        ) => text,
        _ => return Ok((Expr::Cast(Cast { expr: inner, field }), false)),
    };
    let written = match field.data_type() {
        DataType::Timestamp(_, target) => {
            let written = written(text, target.is_some(), zone)?;
            // A time without a zone is one of the session's, whatever the column's is.
            match (written, target, zone) {
                (Some(Written { text, names_zone: false }), Some(target), Some(zone))
                    if target.as_ref() != zone =>
                {
                    Some(format!("{text}{}", behind(zone)))
                }
                (written, _, _) => written.map(|written| written.text),
            }
        }
        _ => written(text, false, zone)?
            .map(|written| written.text.split(' ').next().unwrap_or_default().to_owned()),
    };
    Ok(match written {
        Some(written) if written != *text => {
            let literal = Expr::Literal(ScalarValue::Utf8(Some(written)), None);
            (Expr::Cast(Cast { expr: Box::new(literal), field }), true)
        }
        _ => (Expr::Cast(Cast { expr: inner, field }), false),
    })
}

/// A time as Arrow reads it.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    text: String,
    names_zone: bool,
}

/// `text` as Arrow reads it; `None` for what is no time.
///
/// # Errors
/// For infinity.
fn written(
    text: &str,
    has_zone: bool,
    session_zone: Option<&str>,
) -> Result<Option<Written>, SqlError> {
    if let Some(text) = of_word(text, has_zone, session_zone)? {
        let names_zone = text.ends_with("+00:00");
        return Ok(Some(Written { text, names_zone }));
    }
    Ok(of_parts(text, has_zone))
}

fn of_parts(text: &str, has_zone: bool) -> Option<Written> {
    let found = FORM.as_ref()?.captures(text)?;
    let number =
        |name: &str| found.name(name).map_or(Some(0), |digits| digits.as_str().parse().ok());
    let date = NaiveDate::from_ymd_opt(
        found.name("year")?.as_str().parse().ok()?,
        number("month")?,
        number("day")?,
    )?;
    let hour = match (found.name("half"), number("hour")?) {
        (None, hour) => hour,
        (Some(_), hour) if hour == 0 || hour > 12 => return None,
        (Some(half), hour) if half.as_str().eq_ignore_ascii_case("am") => hour % 12,
        (Some(_), hour) => hour % 12 + 12,
    };
    // The 24th hour and the 60th second are the beginning of what comes next.
    let (minute, second) = (number("minute")?, number("second")?);
    if hour > 24 || minute > 59 || second > 60 || (hour == 24 && minute + second > 0) {
        return None;
    }
    let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    let time = date.and_hms_opt(0, 0, 0)? + TimeDelta::seconds(seconds);
    let fraction = match found.name("fraction").map(|digits| digits.as_str()) {
        None | Some(".") => "",
        Some(fraction) => fraction,
    };
    let zone = match found.name("zone").map(|zone| zone.as_str()) {
        // What is said of a zone does not count for a timestamp without one.
        _ if !has_zone => String::new(),
        None => String::new(),
        Some(zone) => of_zone(zone)?,
    };
    let text = format!("{}{fraction}{zone}", time.format("%Y-%m-%d %H:%M:%S"));
    Some(Written { text, names_zone: !zone.is_empty() })
}

/// A session's zone as it stands behind a time: `+02:00`, ` Europe/Berlin`.
fn behind(zone: &str) -> String {
    match zone {
        "UTC" => "+00:00".into(),
        _ if zone.starts_with(['+', '-']) => zone.to_owned(),
        _ => format!(" {zone}"),
    }
}

fn of_zone(zone: &str) -> Option<String> {
    let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
    match zone.chars().next()? {
        sign @ ('+' | '-') => {
            let (hours, minutes) = match digits.len() {
                1 | 2 => (digits.as_str(), "00"),
                3 => digits.split_at(1),
                _ => digits.split_at(2),
            };
            Some(format!("{sign}{hours:0>2}:{minutes}"))
        }
        _ if zone.len() <= 3 => Some("+00:00".into()),
        _ => Some(format!(" {zone}")),
    }
}

fn of_word(
    text: &str,
    has_zone: bool,
    session_zone: Option<&str>,
) -> Result<Option<String>, SqlError> {
    let word = text.trim().to_ascii_lowercase();
    let days = match word.as_str() {
        "epoch" => {
            let epoch = "1970-01-01 00:00:00".to_owned();
            return Ok(Some(epoch + if has_zone { "+00:00" } else { "" }));
        }
        "infinity" | "-infinity" => {
            return Err(SqlError::Query {
                sqlstate: "22008",
                message: format!("timestamp out of range: \"{text}\""),
                detail: None,
                hint: Some("There is no infinity of times here; leave the bound out.".into()),
            });
        }
        "now" | "today" => 0,
        "tomorrow" => 1,
        "yesterday" => -1,
        _ => return Ok(None),
    };
    let now = Utc::now();
    if word == "now" && has_zone {
        return Ok(Some(now.format("%Y-%m-%d %H:%M:%S%.6f+00:00").to_string()));
    }
    let Ok(zone) = session_zone.unwrap_or("UTC").parse::<Tz>() else { return Ok(None) };
    let local = now.with_timezone(&zone);
    if word == "now" {
        return Ok(Some(local.format("%Y-%m-%d %H:%M:%S%.6f").to_string()));
    }
    let day = local.date_naive().checked_add_signed(TimeDelta::days(days));
    Ok(day.map(|day| day.format("%Y-%m-%d 00:00:00").to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_postgresql_reads_them() {
        let read = |text: &str, has_zone| {
            let written = written(text, has_zone, None).expect("is finite");
            written.map(|written| written.text)
        };
        let with_zone = |text: &str| read(text, true);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(with_zone("2026-01-01 10:00+00"), some("2026-01-01 10:00:00+00:00"));
        assert_eq!(with_zone("2026-01-01T10:00Z"), some("2026-01-01 10:00:00+00:00"));
        assert_eq!(with_zone("2026-1-2 3 PM"), some("2026-01-02 15:00:00"));
        assert_eq!(with_zone("2026/01/02 12:30 am -0530"), some("2026-01-02 00:30:00-05:30"));
        assert_eq!(with_zone("2026-01-01 24:00"), some("2026-01-02 00:00:00"));
        assert_eq!(
            with_zone("2026-01-01 10:00:00.5 Europe/Berlin"),
            some("2026-01-01 10:00:00.5 Europe/Berlin")
        );
        assert_eq!(read("2026-01-01 10:00+02", false), some("2026-01-01 10:00:00"));
        assert_eq!(with_zone("epoch"), some("1970-01-01 00:00:00+00:00"));
        assert_eq!(with_zone("2026-02-30"), None);
        assert_eq!(with_zone("2026-01-01 25:00"), None);
        assert_eq!(with_zone("a day"), None);
        assert!(written("infinity", true, None).is_err());
    }

    #[test]
    fn a_time_without_a_zone_is_one_of_the_session() {
        let read = |text: &str, target: DataType| {
            let literal = Expr::Literal(ScalarValue::Utf8(Some(text.into())), None);
            let expr = datafusion::logical_expr::cast(literal, target);
            let (expr, _) = as_arrow_reads(expr, Some("Europe/Berlin")).expect("is finite");
            match expr {
                Expr::Cast(Cast { expr, .. }) => expr.to_string(),
                other => other.to_string(),
            }
        };
        let of = |zone: Option<&str>| {
            DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, zone.map(Into::into))
        };
        let literal = |text: &str| format!("Utf8(\"{text}\")");
        assert_eq!(
            read("2026-01-01 10:00", of(Some("UTC"))),
            literal("2026-01-01 10:00:00 Europe/Berlin")
        );
        assert_eq!(
            read("2026-01-01 10:00+00", of(Some("UTC"))),
            literal("2026-01-01 10:00:00+00:00")
        );
        assert_eq!(
            read("2026-01-01 10:00", of(Some("Europe/Berlin"))),
            literal("2026-01-01 10:00:00")
        );
        assert_eq!(read("2026-01-01 10:00", of(None)), literal("2026-01-01 10:00:00"));
        assert_eq!(read("epoch", DataType::Date32), literal("1970-01-01"));
        assert_eq!(read("2026-01-01", DataType::Date32), literal("2026-01-01"));
    }
}
