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
pub(crate) fn as_arrow_reads(expr: Expr, zone: Option<&str>) -> (Expr, bool) {
    let Expr::Cast(Cast { expr: inner, field }) = expr else { return (expr, false) };
    let (is_date, has_zone) = match field.data_type() {
        DataType::Timestamp(_, target) => (false, target.is_some()),
        DataType::Date32 => (true, false),
        _ => return (Expr::Cast(Cast { expr: inner, field }), false),
    };
    let text = match inner.as_ref() {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => text,
        _ => return (Expr::Cast(Cast { expr: inner, field }), false),
    };
    let written = written(text, has_zone, zone).map(|written| match is_date {
        true => written.split(' ').next().unwrap_or_default().to_owned(),
        false => written,
    });
    match written {
        Some(written) if written != *text => {
            let literal = Expr::Literal(ScalarValue::Utf8(Some(written)), None);
            (Expr::Cast(Cast { expr: Box::new(literal), field }), true)
        }
        _ => (Expr::Cast(Cast { expr: inner, field }), false),
    }
}

/// `text` as Arrow reads it; `None` for what is no time.
fn written(text: &str, has_zone: bool, session_zone: Option<&str>) -> Option<String> {
    if let Some(word) = of_word(text, has_zone, session_zone) {
        return Some(word);
    }
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
    Some(format!("{}{fraction}{zone}", time.format("%Y-%m-%d %H:%M:%S")))
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

fn of_word(text: &str, has_zone: bool, session_zone: Option<&str>) -> Option<String> {
    let word = text.trim().to_ascii_lowercase();
    let days = match word.as_str() {
        "epoch" => {
            return Some("1970-01-01 00:00:00".to_owned() + if has_zone { "+00:00" } else { "" });
        }
        "now" | "today" => 0,
        "tomorrow" => 1,
        "yesterday" => -1,
        _ => return None,
    };
    let now = Utc::now();
    if word == "now" && has_zone {
        return Some(now.format("%Y-%m-%d %H:%M:%S%.6f+00:00").to_string());
    }
    let zone: Tz = session_zone.unwrap_or("UTC").parse().ok()?;
    let local = now.with_timezone(&zone);
    if word == "now" {
        return Some(local.format("%Y-%m-%d %H:%M:%S%.6f").to_string());
    }
    let day = local.date_naive().checked_add_signed(TimeDelta::days(days))?;
    Some(day.format("%Y-%m-%d 00:00:00").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_postgresql_reads_them() {
        let with_zone = |text: &str| written(text, true, None);
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
        assert_eq!(written("2026-01-01 10:00+02", false, None), some("2026-01-01 10:00:00"));
        assert_eq!(with_zone("epoch"), some("1970-01-01 00:00:00+00:00"));
        assert_eq!(with_zone("2026-02-30"), None);
        assert_eq!(with_zone("2026-01-01 25:00"), None);
        assert_eq!(with_zone("a day"), None);
    }
}
