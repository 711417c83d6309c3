//! Timestamps in text as PostgreSQL writes them: `2024-01-01 09:00:00.25+09`, no digits too many.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Datelike, Offset, TimeZone, Timelike};
use datafusion::error::DataFusionError;

use crate::SqlError;

/// The texts of a column of timestamps; ones with a time zone are shown in `zone`.
pub(crate) fn timestamps(array: &ArrayRef, zone: &str) -> Result<ArrayRef, SqlError> {
    let has_zone = matches!(array.data_type(), DataType::Timestamp(_, Some(_)));
    let stored = if has_zone { Some("UTC".into()) } else { None };
    let micros = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, stored))
        .map_err(DataFusionError::from)?;
    let micros = micros.as_primitive::<TimestampMicrosecondType>();
    let zone: Tz = if has_zone { zone } else { "UTC" }
        .parse()
        .map_err(|error| SqlError::from(DataFusionError::from(error)))?;
    let mut texts = StringBuilder::with_capacity(micros.len(), micros.len() * 30);
    let mut text = String::new();
    for row in 0..micros.len() {
        let moment = micros.is_valid(row).then(|| micros.value(row));
        match moment.and_then(DateTime::from_timestamp_micros) {
            Some(moment) => {
                text.clear();
                write_moment(&mut text, &zone.from_utc_datetime(&moment.naive_utc()), has_zone);
                texts.append_value(&text);
            }
            None => texts.append_null(),
        }
    }
    Ok(Arc::new(texts.finish()))
}

fn write_moment(text: &mut String, moment: &DateTime<Tz>, with_offset: bool) {
    // PostgreSQL has no year 0: the year before 1 AD is 1 BC.
    let year = if moment.year() > 0 { moment.year() } else { 1 - moment.year() };
    // Writing to a text cannot fail.
    let _ = write!(
        text,
        "{year:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        moment.month(),
        moment.day(),
        moment.hour(),
        moment.minute(),
        moment.second()
    );
    let micros = moment.nanosecond() / 1_000 % 1_000_000;
    if micros > 0 {
        let digits = format!("{micros:06}");
        let _ = write!(text, ".{}", digits.trim_end_matches('0'));
    }
    if with_offset {
        let seconds = moment.offset().fix().local_minus_utc();
        let sign = if seconds < 0 { '-' } else { '+' };
        let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
        let _ = write!(text, "{sign}{hours:02}");
        if minutes != 0 {
            let _ = write!(text, ":{minutes:02}");
        }
    }
    if moment.year() <= 0 {
        text.push_str(" BC");
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::TimestampMicrosecondArray;

    use super::*;

    fn shown(micros: i64, stored: Option<&str>, zone: &str) -> String {
        let array = TimestampMicrosecondArray::from(vec![micros]).with_timezone_opt(stored);
        let texts = timestamps(&(Arc::new(array) as ArrayRef), zone).expect("can be written");
        texts.as_string::<i32>().value(0).to_owned()
    }

    #[test]
    fn timestamps_are_postgresqls() {
        let new_year = 1_704_067_200_000_000;
        assert_eq!(shown(new_year, None, "Asia/Tokyo"), "2024-01-01 00:00:00");
        assert_eq!(shown(new_year, Some("UTC"), "UTC"), "2024-01-01 00:00:00+00");
        assert_eq!(
            shown(new_year + 250_000, Some("UTC"), "Asia/Tokyo"),
            "2024-01-01 09:00:00.25+09"
        );
        assert_eq!(
            shown(new_year + 1, Some("UTC"), "Asia/Kolkata"),
            "2024-01-01 05:30:00.000001+05:30"
        );
        assert_eq!(shown(new_year, Some("UTC"), "America/New_York"), "2023-12-31 19:00:00-05");
        assert_eq!(
            shown(-62_135_596_800_000_000 - 1_000_000, None, "UTC"),
            "0001-12-31 23:59:59 BC"
        );
    }
}
