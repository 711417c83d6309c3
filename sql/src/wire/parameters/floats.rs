//! Arrays of floats in PostgreSQL's binary format: what vectors are sent as, so they are read without a
//! value of its own for each element.

use std::sync::Arc;

use arrow::array::{ListArray, PrimitiveArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, Float32Type, Float64Type};
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;

/// The array; `None` for what is left to others: NULLs, more than one dimension, other types, and
/// what is cut off.
pub(super) fn read(
    bytes: &[u8],
    declared: &Type,
    inferred: Option<&DataType>,
) -> Option<ScalarValue> {
    match *declared {
        Type::FLOAT4_ARRAY => read_as::<Float32Type, 4>(bytes, inferred, f32::from_be_bytes),
        Type::FLOAT8_ARRAY => read_as::<Float64Type, 8>(bytes, inferred, f64::from_be_bytes),
        _ => None,
    }
}

/// One dimension, no flags for NULLs, the type of the elements, their number, and the first one's.
const HEADER: usize = 20;

fn read_as<T: ArrowPrimitiveType, const SIZE: usize>(
    bytes: &[u8],
    inferred: Option<&DataType>,
    value: impl Fn([u8; SIZE]) -> T::Native,
) -> Option<ScalarValue> {
    let is_ours = |data_type: &DataType| matches!(data_type, DataType::List(item) if *item.data_type() == T::DATA_TYPE);
    if !inferred.is_none_or(is_ours) {
        return None;
    }
    let (header, elements) = bytes.split_at_checked(HEADER)?;
    let (header, _) = header.as_chunks::<4>();
    let [dimensions, has_nulls, _, length, _] = header else { return None };
    if (i32::from_be_bytes(*dimensions), i32::from_be_bytes(*has_nulls)) != (1, 0) {
        return None;
    }
    let length = usize::try_from(i32::from_be_bytes(*length)).ok()?;
    if elements.len() != length.checked_mul(4 + SIZE)? {
        return None;
    }
    let size = i32::try_from(SIZE).ok()?.to_be_bytes();
    let mut values: Vec<T::Native> = Vec::with_capacity(length);
    for element in elements.chunks_exact(4 + SIZE) {
        values.push(value(element.strip_prefix(&size)?.try_into().ok()?));
    }
    let item = Arc::new(Field::new_list_field(T::DATA_TYPE, true));
    let values = Arc::new(PrimitiveArray::<T>::new(values.into(), None));
    let list = ListArray::try_new(item, OffsetBuffer::from_lengths([length]), values, None).ok()?;
    Some(ScalarValue::List(Arc::new(list)))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio_postgres::types::{IsNull, ToSql};

    use super::*;

    fn bytes_of(value: &impl ToSql, declared: &Type) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        let written = value.to_sql(declared, &mut bytes).expect("is written");
        assert!(matches!(written, IsNull::No));
        bytes.to_vec()
    }

    #[test]
    fn arrays_are_what_a_client_writes() {
        let single = [1.5_f32, -0.0, f32::NAN, f32::INFINITY];
        let bytes = bytes_of(&single.to_vec(), &Type::FLOAT4_ARRAY);
        let read_single = read(&bytes, &Type::FLOAT4_ARRAY, None).expect("is read");
        let elements: Vec<ScalarValue> =
            single.iter().map(|value| ScalarValue::Float32(Some(*value))).collect();
        let expected = ScalarValue::new_list_nullable(&elements, &DataType::Float32);
        assert_eq!(read_single, ScalarValue::List(expected));

        let double = bytes_of(&vec![2.5_f64, 1e300], &Type::FLOAT8_ARRAY);
        let elements = [2.5, 1e300].map(|value| ScalarValue::Float64(Some(value)));
        let expected = ScalarValue::new_list_nullable(&elements, &DataType::Float64);
        let list = DataType::new_list(DataType::Float64, true);
        assert_eq!(
            read(&double, &Type::FLOAT8_ARRAY, Some(&list)),
            Some(ScalarValue::List(expected))
        );
        // A statement that wants other elements gets them from the library.
        let other = DataType::new_list(DataType::Float32, true);
        assert_eq!(read(&double, &Type::FLOAT8_ARRAY, Some(&other)), None);
    }

    #[test]
    fn the_rest_is_left_to_others() {
        let with_null = bytes_of(&vec![Some(1.0_f32), None], &Type::FLOAT4_ARRAY);
        assert_eq!(read(&with_null, &Type::FLOAT4_ARRAY, None), None);
        // As PostgreSQL itself writes an array without elements: it has no dimension.
        let without_dimension = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 188];
        assert_eq!(read(&without_dimension, &Type::FLOAT4_ARRAY, None), None);
        let empty = bytes_of(&Vec::<f32>::new(), &Type::FLOAT4_ARRAY);
        let no_elements = ScalarValue::new_list_nullable(&[], &DataType::Float32);
        let read_empty = read(&empty, &Type::FLOAT4_ARRAY, None);
        assert_eq!(read_empty, Some(ScalarValue::List(no_elements)));
        let whole = bytes_of(&vec![1.0_f32, 2.0], &Type::FLOAT4_ARRAY);
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length], &Type::FLOAT4_ARRAY, None), None, "{length}");
        }
        let mut wrong = whole.clone();
        wrong[23] = 5;
        assert_eq!(read(&wrong, &Type::FLOAT4_ARRAY, None), None);
    }
}
