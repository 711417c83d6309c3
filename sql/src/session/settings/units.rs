//! Numbers with units: durations and sizes, as PostgreSQL reads them and writes them again.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Units of time, microseconds each; the largest first.
const TIMES: [(&str, u64); 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("min", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// Units of memory, bytes each; the largest first.
const SIZES: [(&str, u64); 5] =
    [("TB", 1 << 40), ("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10), ("B", 1)];

/// A number, maybe with a fraction, and its unit; without one it is of `default`.
fn parse(text: &str, units: &[(&str, u64)], default: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|next: char| !next.is_ascii_digit() && next != '.');
    let (number, unit) = text.split_at(digits.unwrap_or(text.len()));
    let unit = match unit.trim() {
        "" => default,
        unit => unit,
    };
    let (_, each) = units.iter().find(|(name, _)| *name == unit)?;
    if number.contains('.') {
        let whole = number.parse::<f64>().ok()? * *each as f64;
        return (whole < 9e18).then_some(whole.round_ties_even() as u64);
    }
    number.parse::<u64>().ok()?.checked_mul(*each)
}

/// The number in the largest unit that leaves no rest; `smallest` has to.
fn write(amount: u64, units: &[(&str, u64)], smallest: &str) -> String {
    if amount == 0 {
        return "0".into();
    }
    let fits = |(name, each): &&(&str, u64)| amount.is_multiple_of(*each) || *name == smallest;
    match units.iter().find(fits) {
        Some((name, each)) => format!("{}{name}", amount / each),
        None => amount.to_string(),
    }
}

/// A number with an optional unit; without one it is milliseconds, and so is what is kept of it.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let micros = parse(text, &TIMES, "ms")?;
    let millis = micros / 1_000 + u64::from(micros % 1_000 >= 500);
    (millis <= i32::MAX as u64).then(|| Duration::from_millis(millis))
}

/// The duration in the largest unit that leaves no rest.
pub(super) fn written_duration(duration: Duration) -> String {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    write(micros, &TIMES, "ms")
}

/// A size in memory, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size(u64);

impl FromStr for Size {
    type Err = ();

    /// A number with an optional unit; without one it is kilobytes.
    fn from_str(text: &str) -> Result<Self, ()> {
        parse(text, &SIZES, "kB").map(Self).ok_or(())
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&write(self.0, &SIZES, "kB"))
    }
}
