//! Values of options, from text, in PostgreSQL's spellings. `None` is a value that is not one.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

/// A finite number.
pub(super) fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// A number from 0 to 1.
pub(super) fn fraction(text: &str) -> Option<f32> {
    number(text).filter(|number| (0.0..=1.0).contains(number)).map(|number| number as f32)
}

/// An integer from `least` to `most`.
pub(super) fn integer<T: TryFrom<i64>>(text: &str, least: i64, most: i64) -> Option<T> {
    let integer = text.parse::<i64>().ok().filter(|integer| (least..=most).contains(integer))?;
    T::try_from(integer).ok()
}

/// PostgreSQL's spellings of a boolean.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// A model's name: one word.
pub(super) fn name(text: &str) -> Option<String> {
    let word = !text.is_empty() && !text.contains(char::is_whitespace);
    word.then(|| text.to_ascii_lowercase())
}

/// Words separated by commas, none of them empty.
pub(super) fn list(text: &str) -> Option<Vec<String>> {
    let items: Vec<_> = text.split(',').map(|item| item.trim().to_owned()).collect();
    items.iter().all(|item| !item.is_empty()).then_some(items)
}

/// Splits `10 seconds` or `10s` into the number and the unit, which may be missing.
fn number_and_unit(text: &str) -> Option<(f64, String)> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+')))
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    Some((number(digits)?, unit.trim().to_ascii_lowercase()))
}

/// A length of time in seconds: a number of them, or a number and a unit as in PostgreSQL.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let (number, unit) = number_and_unit(text)?;
    let factor = match unit.as_str() {
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => 0.001,
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
        _ => return None,
    };
    Some(number * factor)
}

/// A size in bytes: a number of them, or a number and a unit as in PostgreSQL's settings, where
/// 1 kB is 1024 bytes.
pub(super) fn bytes(text: &str) -> Option<usize> {
    let (number, unit) = number_and_unit(text)?;
    let shift = match unit.as_str() {
        "" | "b" => 0,
        "kb" => 10,
        "mb" => 20,
        "gb" => 30,
        _ => return None,
    };
    let bytes = number * f64::from(1_u32 << shift);
    (0.0..=(1_u64 << 52) as f64).contains(&bytes).then_some(bytes as usize)
}

/// Microseconds since the Unix epoch, from PostgreSQL's (and ISO 8601's) spelling of a time:
/// date, then optionally the time, then optionally the zone; no zone is UTC.
pub(super) fn timestamptz(text: &str) -> Option<i64> {
    if let Ok(date) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros());
    }
    let mut text = text.to_owned();
    if matches!(text.as_bytes().get(10), Some(b'T' | b't')) && text.is_char_boundary(10) {
        text.replace_range(10..11, " ");
    }
    let text = text
        .strip_suffix(['Z', 'z'])
        .or_else(|| text.strip_suffix("UTC"))
        .map_or_else(|| text.clone(), |before| format!("{}+00", before.trim_end()));
    for format in ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z", "%Y-%m-%d %H:%M%#z"] {
        if let Ok(time) = DateTime::parse_from_str(&text, format) {
            return Some(time.timestamp_micros());
        }
    }
    for format in ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"] {
        if let Ok(time) = NaiveDateTime::parse_from_str(&text, format) {
            return Some(time.and_utc().timestamp_micros());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_finite_and_in_range() {
        assert_eq!(number("2.5"), Some(2.5));
        assert_eq!(number("-1"), Some(-1.0));
        for bad in ["", "x", "inf", "NaN", "1e999", "1,5"] {
            assert_eq!(number(bad), None, "{bad}");
        }
        assert_eq!(fraction("0.25"), Some(0.25));
        assert_eq!(fraction("1.01"), None);
        assert_eq!(integer::<u32>("30", 0, 100), Some(30));
        assert_eq!(integer::<u8>("300", 0, 1000), None);
        assert_eq!(integer::<u32>("3.5", 0, 100), None);
    }

    #[test]
    fn booleans_are_postgresqls() {
        for yes in ["true", "ON", "yes", "1", "t"] {
            assert_eq!(boolean(yes), Some(true), "{yes}");
        }
        for no in ["false", "off", "No", "0", "f"] {
            assert_eq!(boolean(no), Some(false), "{no}");
        }
        assert_eq!(boolean("maybe"), None);
    }

    #[test]
    fn times_and_sizes_take_units() {
        assert_eq!(seconds("10"), Some(10.0));
        assert_eq!(seconds("10 seconds"), Some(10.0));
        assert_eq!(seconds("500ms"), Some(0.5));
        assert_eq!(seconds("2 minutes"), Some(120.0));
        assert_eq!(seconds("2 fortnights"), None);
        assert_eq!(bytes("64MB"), Some(64 << 20));
        assert_eq!(bytes("1 kB"), Some(1024));
        assert_eq!(bytes("1048576"), Some(1 << 20));
        assert_eq!(bytes("-1"), None);
        assert_eq!(bytes("1 TB"), None);
    }

    #[test]
    fn timestamps_are_read_with_and_without_a_zone() {
        let noon = Some(1_777_636_800_000_000);
        for text in [
            "2026-05-01 12:00:00",
            "2026-05-01 12:00",
            "2026-05-01T12:00:00Z",
            "2026-05-01 12:00:00 UTC",
            "2026-05-01 12:00:00+00",
            "2026-05-01 14:00:00+02",
            "2026-05-01 14:00:00+02:00",
            "2026-05-01 17:30:00 +0530",
            "2026-05-01 12:00:00.000000+00",
        ] {
            assert_eq!(timestamptz(text), noon, "{text}");
        }
        assert_eq!(timestamptz("1970-01-01"), Some(0));
        assert_eq!(timestamptz("1970-01-01 00:00:00.000001"), Some(1));
        for bad in ["", "yesterday", "2026-13-01", "2026-05-01 25:00:00", "12:00"] {
            assert_eq!(timestamptz(bad), None, "{bad}");
        }
    }
}
