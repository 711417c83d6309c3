//! The types `vector` and `halfvec`: which Arrow types are one, how they are tagged, and how types
//! are named to a PostgreSQL user.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};

use super::bits::{is_bits, is_varying};
use super::kind::{VectorKind, is_halfvec};
use crate::error::UdfError;

/// The key and the value of the field metadata that make an Arrow list a `vector` on the wire.
pub const VECTOR_TAG: (&str, &str) = ("pg.vector", "vector");

/// The key and the value of the metadata of a field that is a `halfvec`. The Arrow type tells that
/// already; without any metadata a cast would keep those of what it casts.
const HALFVEC_TAG: (&str, &str) = ("pg.vector", "halfvec");

/// The most elements a vector can have, as in pgvector.
pub const MAX_DIMENSIONS: usize = 16_000;

/// A nullable field of the type `vector(dimensions)`, or of `vector` when there are none.
pub(crate) fn tagged(name: &str, dimensions: Option<i32>) -> Field {
    field_of(VectorKind::Vector, name, dimensions)
}

/// The field that `halfvec(dimensions)` or `halfvec` is in a cast.
pub fn halfvec_field(dimensions: Option<i32>) -> Field {
    field_of(VectorKind::Halfvec, "", dimensions)
}

/// A nullable field of vectors of the kind.
pub(super) fn field_of(kind: VectorKind, name: &str, dimensions: Option<i32>) -> Field {
    let data_type = match dimensions {
        Some(dimensions) => DataType::FixedSizeList(item(kind.element()), dimensions),
        None => kind.list(),
    };
    let (key, value) = match kind {
        VectorKind::Vector => VECTOR_TAG,
        VectorKind::Halfvec => HALFVEC_TAG,
    };
    Field::new(name, data_type, true)
        .with_metadata(HashMap::from([(key.to_owned(), value.to_owned())]))
}

/// Whether the field is a `vector`.
pub(super) fn is_tagged(field: &Field) -> bool {
    let (key, value) = VECTOR_TAG;
    field.metadata().get(key).is_some_and(|found| found == value)
}

/// Whether the field's values are of a vector type; a cast of a `vector` to another type keeps the
/// tag.
pub(super) fn kind_of(field: &Field) -> Option<VectorKind> {
    let is_list = matches!(
        field.data_type(),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
    );
    match is_halfvec(field.data_type()) {
        true => Some(VectorKind::Halfvec),
        false => (is_tagged(field) && is_list).then_some(VectorKind::Vector),
    }
}

pub(super) fn item(data_type: DataType) -> FieldRef {
    Arc::new(Field::new_list_field(data_type, true))
}

/// The type that an operand of the type is read as: lists of floating numbers as they are,
/// other numbers as `float8`, texts as `Utf8`; `None` for what is no vector.
pub(super) fn operand_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Null => Some(DataType::Null),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(DataType::Utf8),
        DataType::List(field) => element_type(field).map(DataType::List),
        DataType::LargeList(field) => element_type(field).map(DataType::LargeList),
        DataType::FixedSizeList(field, length) => {
            element_type(field).map(|field| DataType::FixedSizeList(field, *length))
        }
        _ => None,
    }
}

/// The types that operands of `types` are read as; one that is no vector stays as it is.
///
/// An error here would be put into a text of DataFusion's own, so [`check_operands`] finds it.
pub(super) fn coerce(types: &[DataType]) -> Vec<DataType> {
    types.iter().map(|found| operand_type(found).unwrap_or_else(|| found.clone())).collect()
}

/// Checks that there are `count` vectors.
pub(super) fn check_operands(
    function: &'static str,
    count: usize,
    fields: &[FieldRef],
) -> Result<(), UdfError> {
    let vector = |field: &FieldRef| operand_type(field.data_type()).is_some();
    if fields.len() == count && fields.iter().all(vector) {
        Ok(())
    } else {
        Err(UdfError::NoFunction { function, arguments: field_type_names(fields) })
    }
}

fn element_type(field: &FieldRef) -> Option<FieldRef> {
    match field.data_type() {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Some(Arc::clone(field)),
        other if other.is_numeric() || other.is_null() => {
            Some(Arc::new(field.as_ref().clone().with_data_type(DataType::Float64)))
        }
        _ => None,
    }
}

/// The fields' types as PostgreSQL's messages name them, separated by commas.
pub(crate) fn field_type_names(fields: &[FieldRef]) -> String {
    let name = |field: &FieldRef| match kind_of(field) {
        Some(kind) => kind.to_string(),
        None if is_bits(field.data_type()) && is_varying(field) => "bit varying".to_owned(),
        None => type_name(field.data_type()),
    };
    fields.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The same of types alone.
pub(crate) fn type_names(types: &[DataType]) -> String {
    types.iter().map(type_name).collect::<Vec<_>>().join(", ")
}

/// The type as PostgreSQL's messages name it.
pub(super) fn type_name(data_type: &DataType) -> String {
    if is_halfvec(data_type) {
        return VectorKind::Halfvec.to_string();
    }
    if is_bits(data_type) {
        return "bit".to_owned();
    }
    let name = match data_type {
        DataType::Null => "unknown",
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => "smallint",
        DataType::Int32 | DataType::UInt16 => "integer",
        DataType::Int64 | DataType::UInt32 => "bigint",
        DataType::UInt64 | DataType::Decimal128(..) | DataType::Decimal256(..) => "numeric",
        DataType::Float16 | DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytea",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone",
        DataType::Timestamp(_, None) => "timestamp without time zone",
        DataType::Interval(_) => "interval",
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            return format!("{}[]", type_name(field.data_type()));
        }
        DataType::Struct(_) => "record",
        other => return other.to_string().to_lowercase(),
    };
    name.to_owned()
}
