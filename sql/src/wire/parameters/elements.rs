//! Parameters of types that the library does not read: `json`, `jsonb`, `uuid`, and arrays of these, of times, of
//! texts and of `bytea`, in text and in binary.

use arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;

use super::arrow_type;
use crate::SqlError;
use crate::dialect::{array_elements, bytea};

/// Microseconds from the Unix epoch to PostgreSQL's, the year 2000.
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// Days from the Unix epoch to PostgreSQL's.
const EPOCH_DAYS: i32 = 10_957;

/// Whether parameters of this type are read here.
pub(super) fn is_ours(declared: &Type) -> bool {
    is_text(declared) || element_of(declared).is_some()
}

/// Types whose values are texts here.
fn is_text(declared: &Type) -> bool {
    matches!(*declared, Type::JSON | Type::JSONB | Type::UUID)
}

/// The type of the elements of an array that is read here.
fn element_of(declared: &Type) -> Option<Type> {
    Some(match *declared {
        Type::JSON_ARRAY => Type::JSON,
        Type::JSONB_ARRAY => Type::JSONB,
        Type::UUID_ARRAY => Type::UUID,
        Type::TIMESTAMPTZ_ARRAY => Type::TIMESTAMPTZ,
        Type::TIMESTAMP_ARRAY => Type::TIMESTAMP,
        Type::DATE_ARRAY => Type::DATE,
        Type::TIME_ARRAY => Type::TIME,
        Type::BYTEA_ARRAY => Type::BYTEA,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY | Type::NAME_ARRAY => {
            Type::TEXT
        }
        _ => return None,
    })
}

/// The value of a parameter for a place of the type `inferred`; without `bytes` it is NULL.
///
/// # Errors
/// SQLSTATE 22P02, 22P03, 22007 or 22008 for what is no value of the type, 0A000 for arrays in arrays.
pub(super) fn read(
    bytes: Option<&[u8]>,
    is_binary: bool,
    declared: &Type,
    inferred: Option<&DataType>,
) -> Result<ScalarValue, SqlError> {
    let value = match (bytes, element_of(declared)) {
        (None, _) => ScalarValue::try_from(&arrow_type(declared).unwrap_or(DataType::Utf8))?,
        (Some(bytes), None) => element(bytes, is_binary, declared)?,
        (Some(bytes), Some(kind)) => {
            let item = arrow_type(&kind).unwrap_or(DataType::Utf8);
            let elements = if is_binary {
                let parts = parts(bytes)?.into_iter();
                parts
                    .map(|part| part.map(|part| element(part, true, &kind)).transpose())
                    .collect::<Result<Vec<_>, SqlError>>()?
            } else {
                let texts = array_elements(text(bytes)?)?.into_iter();
                texts
                    .map(|text| text.map(|text| element(text.as_bytes(), false, &kind)).transpose())
                    .collect::<Result<Vec<_>, SqlError>>()?
            };
            let null = ScalarValue::try_from(&item)?;
            let elements: Vec<ScalarValue> = elements
                .into_iter()
                .map(|element| element.unwrap_or_else(|| null.clone()))
                .collect();
            ScalarValue::List(ScalarValue::new_list_nullable(&elements, &item))
        }
    };
    match inferred {
        Some(inferred) if *inferred != value.data_type() => Ok(value.cast_to(inferred)?),
        _ => Ok(value),
    }
}

/// A value that is no array.
fn element(bytes: &[u8], is_binary: bool, kind: &Type) -> Result<ScalarValue, SqlError> {
    if !is_binary {
        let text = text(bytes)?;
        return Ok(match *kind {
            Type::BYTEA => {
                let bytes = bytea::bytes(text).map_err(|message| invalid("22P02", message))?;
                ScalarValue::Binary(Some(bytes))
            }
            _ => {
                let text = ScalarValue::Utf8(Some(text.to_owned()));
                match arrow_type(kind) {
                    Some(DataType::Utf8) | None => text,
                    Some(data_type) => text.cast_to(&data_type).map_err(read_error)?,
                }
            }
        });
    }
    Ok(match *kind {
        Type::BYTEA => ScalarValue::Binary(Some(bytes.to_vec())),
        Type::UUID => ScalarValue::Utf8(Some(uuid(fixed(bytes)?))),
        Type::JSONB => match bytes.split_first() {
            // The version of the form, of which there is one.
            Some((1, json)) => ScalarValue::Utf8(Some(text(json)?.to_owned())),
            _ => return Err(malformed()),
        },
        Type::DATE => {
            let days = i32::from_be_bytes(fixed(bytes)?).checked_add(EPOCH_DAYS);
            ScalarValue::Date32(Some(days.ok_or_else(out_of_range)?))
        }
        Type::TIME => ScalarValue::Time64Microsecond(Some(i64::from_be_bytes(fixed(bytes)?))),
        Type::TIMESTAMP => ScalarValue::TimestampMicrosecond(Some(micros(bytes)?), None),
        Type::TIMESTAMPTZ => {
            ScalarValue::TimestampMicrosecond(Some(micros(bytes)?), Some("UTC".into()))
        }
        _ => ScalarValue::Utf8(Some(text(bytes)?.to_owned())),
    })
}

/// The elements of an array in PostgreSQL's binary form: its dimensions, whether it has NULLs, its
/// elements' type, for each dimension a length and a first number, and the elements behind their lengths.
fn parts(mut bytes: &[u8]) -> Result<Vec<Option<&[u8]>>, SqlError> {
    let mut number = || -> Result<i32, SqlError> {
        let (number, rest) = bytes.split_first_chunk::<4>().ok_or_else(malformed)?;
        bytes = rest;
        Ok(i32::from_be_bytes(*number))
    };
    let dimensions = number()?;
    let (_has_nulls, _kind) = (number()?, number()?);
    match dimensions {
        0 => return Ok(Vec::new()),
        1 => {}
        _ => {
            return Err(SqlError::Unsupported {
                what: "an array of more than one dimension".into(),
                hint: Some("Use an array of one dimension, or JSON.".into()),
            });
        }
    }
    let count = usize::try_from(number()?).map_err(|_| malformed())?;
    let _first = number()?;
    // Each element has a length at least, so a wrong count cannot ask for much memory.
    if count > bytes.len() / 4 {
        return Err(malformed());
    }
    let mut parts = Vec::with_capacity(count);
    for _ in 0..count {
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(malformed)?;
        let length = i32::from_be_bytes(*length);
        bytes = rest;
        parts.push(match usize::try_from(length) {
            Ok(length) => {
                let (part, rest) = bytes.split_at_checked(length).ok_or_else(malformed)?;
                bytes = rest;
                Some(part)
            }
            Err(_) => None,
        });
    }
    Ok(parts)
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], SqlError> {
    bytes.try_into().map_err(|_| malformed())
}

fn micros(bytes: &[u8]) -> Result<i64, SqlError> {
    i64::from_be_bytes(fixed(bytes)?).checked_add(EPOCH_MICROS).ok_or_else(out_of_range)
}

fn uuid(bytes: [u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(bytes));
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    parts.join("-")
}

fn text(bytes: &[u8]) -> Result<&str, SqlError> {
    std::str::from_utf8(bytes)
        .map_err(|_| invalid("22021", "invalid byte sequence for encoding \"UTF8\"".into()))
}

fn read_error(error: DataFusionError) -> SqlError {
    SqlError::from(error)
}

fn malformed() -> SqlError {
    invalid("22P03", "incorrect binary data format in bind parameter".into())
}

fn out_of_range() -> SqlError {
    invalid("22008", "timestamp out of range".into())
}

fn invalid(sqlstate: &'static str, message: String) -> SqlError {
    SqlError::Invalid { sqlstate, message, hint: None, position: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(kind: u32, elements: &[Option<&[u8]>]) -> Vec<u8> {
        let count = i32::try_from(elements.len()).expect("is short");
        let mut bytes = [1_i32.to_be_bytes(), 1_i32.to_be_bytes(), kind.to_be_bytes()].concat();
        bytes.extend([count.to_be_bytes(), 1_i32.to_be_bytes()].concat());
        for element in elements {
            let length =
                element.map_or(-1, |element| i32::try_from(element.len()).expect("is short"));
            bytes.extend(length.to_be_bytes());
            bytes.extend(element.unwrap_or_default());
        }
        bytes
    }

    #[test]
    fn both_forms_of_an_array_are_the_same_value() {
        let cases: [(Type, &str, Vec<u8>); 5] = [
            (
                Type::DATE_ARRAY,
                "{2000-01-02,NULL}",
                array(1082, &[Some(&1_i32.to_be_bytes()), None]),
            ),
            (
                Type::TIMESTAMPTZ_ARRAY,
                "{\"2000-01-01 01:00:00.000001+01\",NULL}",
                array(1184, &[Some(&1_i64.to_be_bytes()), None]),
            ),
            (
                Type::UUID_ARRAY,
                "{00000000-0000-0000-0000-0000000000ff,NULL}",
                array(2950, &[Some(&255_u128.to_be_bytes()), None]),
            ),
            (Type::BYTEA_ARRAY, r#"{"\\x00ff",NULL}"#, array(17, &[Some(&[0, 255]), None])),
            (
                Type::JSONB_ARRAY,
                r#"{"{\"a\":1}",NULL}"#,
                array(3802, &[Some(b"\x01{\"a\":1}"), None]),
            ),
        ];
        for (kind, text, binary) in cases {
            let text = read(Some(text.as_bytes()), false, &kind, None).expect("is an array");
            assert_eq!(
                read(Some(&binary), true, &kind, None).expect("is one, too"),
                text,
                "{kind}"
            );
        }
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let whole = array(1082, &[Some(&1_i32.to_be_bytes()), None]);
        for length in 0..whole.len() {
            let error = read(Some(&whole[..length]), true, &Type::DATE_ARRAY, None);
            assert_eq!(error.expect_err("is cut off").sqlstate(), "22P03", "{length}");
        }
        let many = [&whole[..12], &i32::MAX.to_be_bytes(), &1_i32.to_be_bytes()].concat();
        let error = read(Some(&many), true, &Type::DATE_ARRAY, None).expect_err("has no elements");
        assert_eq!(error.sqlstate(), "22P03");
        let error =
            read(Some(&[2, b'{', b'}']), true, &Type::JSONB, None).expect_err("is of version 2");
        assert_eq!(error.sqlstate(), "22P03");
    }
}
