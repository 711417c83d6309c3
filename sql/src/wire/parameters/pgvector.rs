//! Parameters of `halfvec` and of bits, in text and binary.

use arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use half::f16;
use pgwire::api::Type;
use vigil_udfs::{UdfError, VectorKind, bits_value, halfvec_value, parse_bits, parse_halfvec};

use super::arrow_type;
use crate::SqlError;
use crate::types::HALFVEC_OID;

/// Whether a type is one of these.
pub(super) fn is_own(declared: &Type) -> bool {
    declared.oid() == HALFVEC_OID || matches!(*declared, Type::BIT | Type::VARBIT)
}

/// NULL of one of these types.
pub(super) fn null(declared: &Type, inferred: Option<&DataType>) -> Option<ScalarValue> {
    let data_type = inferred.cloned().or_else(|| arrow_type(declared))?;
    if is_own(declared) { ScalarValue::try_from(&data_type).ok() } else { None }
}

/// The value of a parameter of these types; `None` for every other type.
///
/// # Errors
/// What the type's text refuses, with its SQLSTATE; 22P03 for bytes that are no value, 22000 for a
/// vector of another length than the statement wants.
pub(super) fn read(
    bytes: &[u8],
    is_binary: bool,
    declared: &Type,
    inferred: Option<&DataType>,
) -> Result<Option<ScalarValue>, SqlError> {
    if !is_own(declared) {
        return Ok(None);
    }
    let is_halfvec = declared.oid() == HALFVEC_OID;
    let text = || {
        std::str::from_utf8(bytes).map_err(|_| SqlError::Invalid {
            sqlstate: "22021",
            message: "invalid byte sequence for encoding \"UTF8\"".into(),
            hint: None,
            position: None,
        })
    };
    let value = match (is_halfvec, is_binary) {
        (true, true) => halfvec_value(&halves(bytes)?, inferred),
        (true, false) => {
            let elements = parse_halfvec(text()?).map_err(refused)?;
            halfvec_value(&elements, inferred)
        }
        (false, true) => Ok(bits_value(&bits(bytes)?)),
        (false, false) => Ok(bits_value(&parse_bits(text()?).map_err(refused)?)),
    };
    value.map(Some).map_err(refused)
}

/// The value of a `vector` in binary where the statement wants a `halfvec`.
///
/// # Errors
/// 22P03 for bytes that are no value, 22000 for another length than the statement wants and for elements that are no
/// number, and 22003 for those that are too large.
pub(super) fn as_halfvec(bytes: &[u8], inferred: &DataType) -> Result<ScalarValue, SqlError> {
    let (dimensions, elements) = dimensions_of(bytes).ok_or_else(|| no_value("vector"))?;
    let (parts, rest) = elements.as_chunks::<4>();
    if parts.len() != dimensions || !rest.is_empty() {
        return Err(no_value("vector"));
    }
    let elements: Vec<f32> = parts.iter().map(|part| f32::from_be_bytes(*part)).collect();
    checked(&elements, VectorKind::Vector)?;
    if let Some(element) = elements.iter().find(|element| f16::from_f32(**element).is_infinite()) {
        let element = element.to_string();
        return Err(refused(UdfError::VectorRange { kind: VectorKind::Halfvec, element }));
    }
    halfvec_value(&elements, Some(inferred)).map_err(refused)
}

/// The number of elements, and what is behind that and two bytes of zero.
fn dimensions_of(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let [first, second, 0, 0, elements @ ..] = bytes else { return None };
    Some((usize::from(u16::from_be_bytes([*first, *second])), elements))
}

/// The elements behind their number and two bytes of zero.
fn halves(bytes: &[u8]) -> Result<Vec<f32>, SqlError> {
    let (dimensions, elements) = dimensions_of(bytes).ok_or_else(|| no_value("halfvec"))?;
    let (pairs, rest) = elements.as_chunks::<2>();
    if pairs.len() != dimensions || !rest.is_empty() {
        return Err(no_value("halfvec"));
    }
    let elements: Vec<f32> = pairs.iter().map(|pair| f16::from_be_bytes(*pair).to_f32()).collect();
    checked(&elements, VectorKind::Halfvec)?;
    Ok(elements)
}

/// Refuses what no vector has.
fn checked(elements: &[f32], kind: VectorKind) -> Result<(), SqlError> {
    if elements.is_empty() {
        return Err(refused(UdfError::NoDimensions { kind }));
    }
    for element in elements {
        if element.is_nan() {
            return Err(refused(UdfError::VectorNan { kind }));
        }
        if element.is_infinite() {
            return Err(refused(UdfError::VectorInfinite { kind }));
        }
    }
    Ok(())
}

/// The bits behind their number, the first one the highest of its byte.
fn bits(bytes: &[u8]) -> Result<Vec<bool>, SqlError> {
    let (length, bytes) = bytes.split_first_chunk::<4>().ok_or_else(|| no_value("bit"))?;
    let count = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| no_value("bit"))?;
    if bytes.len() != count.div_ceil(8) {
        return Err(no_value("bit"));
    }
    Ok((0..count).map(|at| bytes[at / 8] >> (7 - at % 8) & 1 == 1).collect())
}

fn no_value(data_type: &str) -> SqlError {
    SqlError::Invalid {
        sqlstate: "22P03",
        message: format!("invalid binary value of type {data_type}"),
        hint: None,
        position: None,
    }
}

fn refused(error: UdfError) -> SqlError {
    SqlError::Query {
        sqlstate: error.sqlstate(),
        message: error.to_string(),
        detail: error.detail().map(str::to_owned),
        hint: error.hint().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, BooleanArray, Float16Array};
    use arrow::datatypes::Float16Type;

    use super::*;
    use crate::wire::parameters::declared_type;

    fn halfvec() -> Type {
        declared_type(HALFVEC_OID).expect("is known")
    }

    fn read(bytes: &[u8], is_binary: bool, declared: &Type) -> Result<ArrayRef, SqlError> {
        let value = super::read(bytes, is_binary, declared, None)?.expect("is one of ours");
        Ok(value.to_array().expect("is an array"))
    }

    #[test]
    fn both_formats_of_a_halfvec_give_its_elements() {
        // pgvector-python's HalfVector([1, -2.5]).to_binary().
        let binary = b"\x00\x02\x00\x00\x3c\x00\xc1\x00";
        for (bytes, is_binary) in [(binary.as_slice(), true), (b"[1,-2.5]".as_slice(), false)] {
            let array = read(bytes, is_binary, &halfvec()).expect("is a halfvec");
            let values = array.as_list::<i32>().value(0);
            let expected: Float16Array = [1.0, -2.5].map(f16::from_f32).to_vec().into();
            assert_eq!(values.as_primitive::<Float16Type>(), &expected);
        }
        for (bytes, is_binary, sqlstate) in [
            (b"\x00\x03\x00\x00\x3c\x00".as_slice(), true, "22P03"),
            (b"\x00\x01\x00\x00\x7c\x00".as_slice(), true, "22000"),
            (b"\x00\x00\x00\x00".as_slice(), true, "22000"),
            (b"\x00".as_slice(), true, "22P03"),
            (b"[1".as_slice(), false, "22P02"),
        ] {
            let error = read(bytes, is_binary, &halfvec()).expect_err("is none");
            assert_eq!(error.sqlstate(), sqlstate, "{bytes:?}");
        }
    }

    #[test]
    fn both_formats_of_bits_give_them() {
        let bits = [true, false, true, true, false, false, false, false, true];
        let binary = b"\x00\x00\x00\x09\xb0\x80";
        for (bytes, is_binary) in [(binary.as_slice(), true), (b"101100001".as_slice(), false)] {
            let array = read(bytes, is_binary, &Type::BIT).expect("are bits");
            assert_eq!(
                array.as_list::<i64>().value(0).as_boolean(),
                &BooleanArray::from(bits.to_vec())
            );
        }
        let error = read(b"\x00\x00\x00\x09\xb0", true, &Type::VARBIT).expect_err("is cut");
        assert_eq!(error.sqlstate(), "22P03");
    }
}
