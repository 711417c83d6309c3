//! Texts of intervals, in PostgreSQL's forms: parts with units, times of day, ISO 8601's `P1DT2H`, the
//! standard's `1-2`. Arrow reads parts with units alone, so the others are written so for it.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Statement, UnaryOperator, Value, ValueWithSpan, visit_expressions_mut,
};

const MICROS_A_SECOND: i64 = 1_000_000;
const MICROS_A_DAY: i64 = 86_400 * MICROS_A_SECOND;
const DAYS_A_MONTH: f64 = 30.0;

/// Rewrites the literals in `statement`; what is not an interval stays, and is refused later.
pub(crate) fn rewrite(statement: &mut Statement) {
    let _: ControlFlow<()> = visit_expressions_mut(statement, |expr| {
        // DataFusion puts the sign before the text, where it belongs to the first part alone.
        if let Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } = expr
            && let Expr::Interval(interval) = inner.as_mut()
            && interval.leading_field.is_none()
            && interval.last_field.is_none()
            && let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) =
                interval.value.as_mut()
            && let Some(parts) = read(text)
        {
            *text = parts.negated().with_units();
            *expr = Expr::Interval(interval.clone());
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::Interval(interval)
                if interval.leading_field.is_none() && interval.last_field.is_none() =>
            {
                if let Expr::Value(value) = interval.value.as_mut() {
                    write_anew(value);
                }
            }
            Expr::Cast { expr: inner, data_type: DataType::Interval { .. }, .. } => {
                if let Expr::Value(value) = inner.as_mut() {
                    write_anew(value);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
}

fn write_anew(value: &mut ValueWithSpan) {
    if let Value::SingleQuotedString(text) = &mut value.value
        && let Some(parts) = read(text)
    {
        *text = parts.with_units();
    }
}

/// Months, days and microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Parts {
    months: i64,
    days: i64,
    micros: i64,
}

impl Parts {
    fn with_units(self) -> String {
        let (seconds, micros) = (self.micros / MICROS_A_SECOND, self.micros % MICROS_A_SECOND);
        let sign = if self.micros < 0 { "-" } else { "" };
        format!(
            "{} months {} days {sign}{}.{:06} seconds",
            self.months,
            self.days,
            seconds.unsigned_abs(),
            micros.unsigned_abs()
        )
    }

    fn negated(self) -> Self {
        Self { months: -self.months, days: -self.days, micros: -self.micros }
    }

    /// Adds `whole` and `fraction` units of so many months, days and microseconds, one of which counts.
    /// What is left of a month goes to the days, what is left of a day to the time.
    fn add(&mut self, number: f64, unit: Unit) -> Option<()> {
        let whole = |number: f64| (number.abs() < 9e15).then_some(number as i64);
        match unit {
            Unit::Months(count) => {
                let months = number * count;
                let rounded = (months * 1e9).round() / 1e9;
                self.months = self.months.checked_add(whole(rounded.trunc())?)?;
                if rounded.fract() != 0.0 {
                    self.add(rounded.fract() * DAYS_A_MONTH, Unit::Days(1.0))?;
                }
            }
            Unit::Days(count) => {
                let days = ((number * count) * 1e9).round() / 1e9;
                self.days = self.days.checked_add(whole(days.trunc())?)?;
                let micros = (days.fract() * MICROS_A_DAY as f64).round_ties_even();
                self.micros = self.micros.checked_add(whole(micros)?)?;
            }
            Unit::Micros(count) => {
                let micros = (number * count).round_ties_even();
                self.micros = self.micros.checked_add(whole(micros)?)?;
            }
        }
        Some(())
    }
}

/// How many months, days or microseconds a unit has.
#[derive(Clone, Copy)]
enum Unit {
    Months(f64),
    Days(f64),
    Micros(f64),
}

fn unit(name: &str) -> Option<Unit> {
    Some(match name {
        "us" | "usec" | "usecs" | "microsecond" | "microseconds" => Unit::Micros(1.0),
        "ms" | "msec" | "msecs" | "millisecond" | "milliseconds" => Unit::Micros(1e3),
        "s" | "sec" | "secs" | "second" | "seconds" => Unit::Micros(1e6),
        "m" | "min" | "mins" | "minute" | "minutes" => Unit::Micros(6e7),
        "h" | "hr" | "hrs" | "hour" | "hours" => Unit::Micros(3.6e9),
        "d" | "day" | "days" => Unit::Days(1.0),
        "w" | "week" | "weeks" => Unit::Days(7.0),
        "mon" | "mons" | "month" | "months" => Unit::Months(1.0),
        "y" | "yr" | "yrs" | "year" | "years" => Unit::Months(12.0),
        "decade" | "decades" | "dec" | "decs" => Unit::Months(120.0),
        "c" | "cent" | "century" | "centuries" => Unit::Months(1200.0),
        "mil" | "mils" | "millennium" | "millennia" => Unit::Months(12_000.0),
        _ => return None,
    })
}

/// The interval of a text; `None` for what is none.
fn read(text: &str) -> Option<Parts> {
    let text = text.trim().to_ascii_lowercase();
    if let Some(iso) = text.strip_prefix('p') {
        return read_iso(iso);
    }
    let mut words: Vec<&str> = text.split_whitespace().collect();
    if words.first() == Some(&"@") {
        words.remove(0);
    }
    let is_ago = words.last() == Some(&"ago");
    if is_ago {
        words.pop();
    }
    let mut parts = Parts::default();
    let mut words = words.into_iter().peekable();
    words.peek()?;
    while let Some(word) = words.next() {
        if word.contains(':') {
            parts.micros = parts.micros.checked_add(time(word)?)?;
            continue;
        }
        let split = word.find(|next: char| next.is_ascii_alphabetic()).unwrap_or(word.len());
        let (number, glued) = word.split_at(split);
        if let Some((years, months)) = years_and_months(number)
            && glued.is_empty()
        {
            parts.months = parts.months.checked_add(years * 12 + months)?;
            continue;
        }
        let number: f64 = number.parse().ok()?;
        // A number alone at the end is one of seconds; before a time it is one of days.
        let name = match (glued, words.peek()) {
            ("", Some(next)) if unit(next).is_some() => words.next()?,
            ("", Some(next)) if next.contains(':') => "days",
            ("", None) => "seconds",
            (glued, _) => glued,
        };
        parts.add(number, unit(name)?)?;
    }
    Some(if is_ago { parts.negated() } else { parts })
}

/// `1-2`, which is a year and two months.
fn years_and_months(text: &str) -> Option<(i64, i64)> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (years, months) = unsigned.split_once('-')?;
    Some((sign * years.parse::<i64>().ok()?, sign * months.parse::<i64>().ok()?))
}

/// Microseconds of `[+-]hours:minutes[:seconds]`.
fn time(text: &str) -> Option<i64> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (-1, unsigned),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut fields = unsigned.split(':');
    let hours: i64 = fields.next()?.parse().ok()?;
    let minutes: i64 = fields.next()?.parse().ok()?;
    let seconds: f64 = fields.next().map_or(Some(0.0), |seconds| seconds.parse().ok())?;
    if fields.next().is_some() || minutes >= 60 || !(0.0..60.0).contains(&seconds) {
        return None;
    }
    let micros = (seconds * MICROS_A_SECOND as f64).round_ties_even() as i64;
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    Some(sign * minutes.checked_mul(60 * MICROS_A_SECOND)?.checked_add(micros)?)
}

/// What comes after the `P`: `1y2m3dt4h5m6s`.
fn read_iso(text: &str) -> Option<Parts> {
    let mut parts = Parts::default();
    let (mut is_time, mut number) = (false, String::new());
    if text.is_empty() {
        return None;
    }
    for character in text.chars() {
        if matches!(character, '0'..='9' | '.' | '-' | '+') {
            number.push(character);
            continue;
        }
        if character == 't' && number.is_empty() {
            is_time = true;
            continue;
        }
        let unit = match (is_time, character) {
            (false, 'y') => Unit::Months(12.0),
            (false, 'm') => Unit::Months(1.0),
            (false, 'w') => Unit::Days(7.0),
            (false, 'd') => Unit::Days(1.0),
            (true, 'h') => Unit::Micros(3.6e9),
            (true, 'm') => Unit::Micros(6e7),
            (true, 's') => Unit::Micros(1e6),
            _ => return None,
        };
        parts.add(number.parse().ok()?, unit)?;
        number.clear();
    }
    number.is_empty().then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_postgresql_reads_them() {
        let of = |months, days, micros| Some(Parts { months, days, micros });
        for (text, parts) in [
            ("1 year 2 months 3 days 04:05:06.789", of(14, 3, 14_706_789_000)),
            ("1 day 02:00:00", of(0, 1, 7_200_000_000)),
            ("-1 days +02:00:00", of(0, -1, 7_200_000_000)),
            ("1 mon -1 day -00:00:01", of(1, -1, -1_000_000)),
            ("1.5 days", of(0, 1, 43_200_000_000)),
            ("1.5 mons", of(1, 15, 0)),
            ("90m", of(0, 0, 5_400_000_000)),
            ("1h30m", None),
            ("10", of(0, 0, 10_000_000)),
            ("1 12:00", of(0, 1, 43_200_000_000)),
            ("1-2", of(14, 0, 0)),
            ("@ 2 hours ago", of(0, 0, -7_200_000_000)),
            ("P1Y2M3DT4H5M6S", of(14, 3, 14_706_000_000)),
            ("PT90M", of(0, 0, 5_400_000_000)),
            ("P1W", of(0, 7, 0)),
            ("", None),
            ("1 fortnight", None),
            ("04:99", None),
        ] {
            assert_eq!(read(text), parts, "{text}");
        }
    }
}
