//! Parameters of the type `numeric`, exactly. What their place in the statement cannot hold is an error,
//! never another number.

use arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

use crate::SqlError;

/// Digits in a group of PostgreSQL's binary form.
const GROUP: i64 = 4;

/// Most digits of an Arrow decimal of 128 bits.
const MOST_DIGITS: usize = 38;

/// A number as its digits and where the point is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Number {
    Finite {
        is_negative: bool,
        /// Without zeros at either end; empty for 0.
        digits: String,
        /// Digits behind the point; below 0 for zeros that follow.
        scale: i64,
    },
    Special(&'static str),
}

/// The value for a place of the type `inferred`, if that is one of numbers.
///
/// # Errors
/// SQLSTATE 22P02 for what is no number, 22003 for one that does not fit.
pub(super) fn read(
    bytes: &[u8],
    is_binary: bool,
    inferred: Option<&DataType>,
) -> Result<Option<ScalarValue>, SqlError> {
    let number = if is_binary {
        of_binary(bytes).ok_or_else(|| invalid("22P03", "incorrect binary data format"))?
    } else {
        let text = String::from_utf8_lossy(bytes);
        of_text(&text).ok_or_else(|| {
            invalid("22P02", &format!("invalid input syntax for type numeric: \"{text}\""))
        })?
    };
    Ok(Some(match inferred {
        Some(DataType::Decimal128(precision, scale)) => {
            let (value, digits) = number.whole(i64::from(*scale))?;
            if digits > usize::from(*precision) {
                return Err(out_of_range());
            }
            ScalarValue::Decimal128(Some(value), *precision, *scale)
        }
        Some(DataType::Int16) => ScalarValue::Int16(Some(number.integer()?)),
        Some(DataType::Int32) => ScalarValue::Int32(Some(number.integer()?)),
        Some(DataType::Int64) => ScalarValue::Int64(Some(number.integer()?)),
        Some(DataType::UInt32) => ScalarValue::UInt32(Some(number.integer()?)),
        Some(DataType::UInt64) => ScalarValue::UInt64(Some(number.integer()?)),
        Some(DataType::Float64) => ScalarValue::Float64(Some(number.float()?)),
        Some(DataType::Float32) => {
            let float = number.float()?;
            let single = float as f32;
            if float.is_finite() && !single.is_finite() {
                return Err(out_of_range());
            }
            ScalarValue::Float32(Some(single))
        }
        _ => return Ok(None),
    }))
}

impl Number {
    fn new(is_negative: bool, digits: &str, scale: i64) -> Self {
        let kept = digits.trim_end_matches('0');
        let scale = scale - i64::try_from(digits.len() - kept.len()).unwrap_or(i64::MAX);
        let kept = kept.trim_start_matches('0');
        let scale = if kept.is_empty() { 0 } else { scale };
        Self::Finite {
            is_negative: is_negative && !kept.is_empty(),
            digits: kept.to_owned(),
            scale,
        }
    }

    /// The number times ten to the power of `scale`, which has to be whole, and its digits.
    fn whole(&self, scale: i64) -> Result<(i128, usize), SqlError> {
        let Self::Finite { is_negative, digits, scale: own } = self else {
            return Err(out_of_range());
        };
        if digits.is_empty() {
            return Ok((0, 0));
        }
        let zeros = usize::try_from(scale.saturating_sub(*own)).map_err(|_| out_of_range())?;
        let count = digits.len().saturating_add(zeros);
        if count > MOST_DIGITS {
            return Err(out_of_range());
        }
        let written = format!("{digits}{}", "0".repeat(zeros));
        let value: i128 = written.parse().map_err(|_| out_of_range())?;
        Ok((if *is_negative { -value } else { value }, count))
    }

    fn integer<T: TryFrom<i128>>(&self) -> Result<T, SqlError> {
        T::try_from(self.whole(0)?.0).map_err(|_| out_of_range())
    }

    fn float(&self) -> Result<f64, SqlError> {
        let written = match self {
            Self::Finite { is_negative, digits, scale } => {
                let sign = if *is_negative { "-" } else { "" };
                let digits = if digits.is_empty() { "0" } else { digits };
                format!("{sign}{digits}e{}", -scale)
            }
            Self::Special(word) => (*word).to_owned(),
        };
        let float: f64 = written.parse().map_err(|_| out_of_range())?;
        if float.is_infinite() && matches!(self, Self::Finite { .. }) {
            return Err(out_of_range());
        }
        Ok(float)
    }
}

fn of_text(text: &str) -> Option<Number> {
    let text = text.trim();
    match text.to_ascii_lowercase().as_str() {
        "nan" => return Some(Number::Special("NaN")),
        "infinity" | "+infinity" | "inf" | "+inf" => return Some(Number::Special("inf")),
        "-infinity" | "-inf" => return Some(Number::Special("-inf")),
        _ => {}
    }
    let (is_negative, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => (true, unsigned),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let scale = i64::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    // PostgreSQL's own limits are narrower.
    (scale.abs() < 200_000).then(|| Number::new(is_negative, &digits, scale))
}

fn of_binary(bytes: &[u8]) -> Option<Number> {
    let (words, []) = bytes.as_chunks::<2>() else { return None };
    let mut words = words.iter().map(|word| u16::from_be_bytes(*word));
    let count = words.next()?;
    let weight = i64::from(words.next()?.cast_signed());
    let is_negative = match words.next()? {
        0x0000 => false,
        0x4000 => true,
        0xC000 => return Some(Number::Special("NaN")),
        0xD000 => return Some(Number::Special("inf")),
        0xF000 => return Some(Number::Special("-inf")),
        _ => return None,
    };
    let _shown_scale = words.next()?;
    let groups: Vec<u16> = words.collect();
    if groups.len() != usize::from(count) || groups.iter().any(|group| *group >= 10_000) {
        return None;
    }
    let digits: String = groups.iter().map(|group| format!("{group:04}")).collect();
    Some(Number::new(is_negative, &digits, (i64::from(count) - 1 - weight) * GROUP))
}

fn out_of_range() -> SqlError {
    SqlError::Query {
        sqlstate: "22003",
        message: "a numeric parameter does not fit its place".into(),
        detail: None,
        hint: Some("Write its type, as in $1::float8.".into()),
    }
}

fn invalid(sqlstate: &'static str, message: &str) -> SqlError {
    SqlError::Invalid { sqlstate, message: message.into(), hint: None, position: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str, data_type: DataType) -> Result<ScalarValue, &'static str> {
        match read(text.as_bytes(), false, Some(&data_type)) {
            Ok(value) => Ok(value.expect("is a type of numbers")),
            Err(error) => Err(error.sqlstate()),
        }
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        let decimal = DataType::Decimal128(38, 10);
        let of = |value| Ok(ScalarValue::Decimal128(Some(value), 38, 10));
        assert_eq!(text("1.5", decimal.clone()), of(15_000_000_000));
        assert_eq!(text("-0.00", decimal.clone()), of(0));
        assert_eq!(text("1e3", decimal.clone()), of(10_000_000_000_000));
        assert_eq!(text("0.12345678901", decimal.clone()), Err("22003"));
        assert_eq!(text("1e28", decimal.clone()), Err("22003"));
        assert_eq!(text("NaN", decimal.clone()), Err("22003"));
        assert_eq!(text("abc", decimal), Err("22P02"));
        assert_eq!(text("12", DataType::Int32), Ok(ScalarValue::Int32(Some(12))));
        assert_eq!(text("1.5", DataType::Int64), Err("22003"));
        assert_eq!(text("9223372036854775808", DataType::Int64), Err("22003"));
        assert_eq!(text("0.1", DataType::Float64), Ok(ScalarValue::Float64(Some(0.1))));
        assert_eq!(text("1e400", DataType::Float64), Err("22003"));
    }

    #[test]
    fn the_binary_form_is_groups_of_four_digits() {
        let bytes = |words: &[u16]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_be_bytes()).collect()
        };
        // -12345.678 is -1 2345 . 6780
        assert_eq!(of_binary(&bytes(&[3, 1, 0x4000, 3, 1, 2345, 6780])), of_text("-12345.678"));
        assert_eq!(of_binary(&bytes(&[1, 0xFFFF, 0, 4, 5])), of_text("0.0005"));
        assert_eq!(of_binary(&bytes(&[0, 0, 0, 0])), of_text("0"));
        assert_eq!(of_binary(&bytes(&[2, 0, 0, 0, 1])), None);
    }
}
