//! Parameters of prepared statements: PostgreSQL's types as Arrow's, and values as scalars.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::ParamValues;
use datafusion::scalar::ScalarValue;
use datafusion_postgres::arrow_pg::datatypes::df::deserialize_parameters_with_server_types;
use datafusion_postgres::arrow_pg::datatypes::field_into_pg_type;
use pgwire::api::Type;
use pgwire::api::portal::Portal;
use pgwire::error::PgWireResult;

use super::errors::protocol_error;
use super::rows::is_oid_list;
use crate::Prepared;

/// The Arrow type of a type that a client declares, as far as parameters can have it.
pub(super) fn arrow_type(declared: &Type) -> Option<DataType> {
    let list = |item| {
        let item = arrow_type(&item)?;
        Some(DataType::List(Arc::new(Field::new_list_field(item, true))))
    };
    Some(match *declared {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 => DataType::Int32,
        Type::INT8 => DataType::Int64,
        Type::FLOAT4 => DataType::Float32,
        Type::FLOAT8 => DataType::Float64,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => DataType::Utf8,
        Type::BYTEA => DataType::Binary,
        Type::DATE => DataType::Date32,
        Type::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Type::NUMERIC => DataType::Decimal128(38, 10),
        Type::BOOL_ARRAY => list(Type::BOOL)?,
        Type::INT2_ARRAY => list(Type::INT2)?,
        Type::INT4_ARRAY => list(Type::INT4)?,
        Type::INT8_ARRAY => list(Type::INT8)?,
        Type::FLOAT4_ARRAY => list(Type::FLOAT4)?,
        Type::FLOAT8_ARRAY => list(Type::FLOAT8)?,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY => list(Type::TEXT)?,
        _ => return None,
    })
}

/// The types that a client is told of; `text` where the statement does not tell.
pub(super) fn wire_types(prepared: &Prepared) -> PgWireResult<Vec<Type>> {
    prepared
        .parameters()
        .iter()
        .map(|parameter| match parameter {
            Some(field) => wire_type(field),
            None => Ok(Type::TEXT),
        })
        .collect()
}

fn wire_type(field: &Field) -> PgWireResult<Type> {
    if is_oid_list(field) {
        return Ok(Type::OID_ARRAY);
    }
    field_into_pg_type(&Arc::new(field.clone()))
}

/// The values that a client bound.
pub(super) fn values<S: Clone>(
    portal: &Portal<S>,
    prepared: &Prepared,
) -> PgWireResult<Vec<ScalarValue>> {
    let needed = prepared.parameters().len();
    if portal.parameter_len() != needed {
        return Err(protocol_error(format!(
            "bind message supplies {} parameters, but prepared statement requires {needed}",
            portal.parameter_len()
        )));
    }
    // An OID is four bytes, as an integer is, and the library reads lists of integers alone.
    let types = wire_types(prepared)?.into_iter();
    let types: Vec<Type> =
        types.map(|t| if t == Type::OID_ARRAY { Type::INT4_ARRAY } else { t }).collect();
    let inferred: Vec<Option<&DataType>> = prepared
        .parameters()
        .iter()
        .map(|parameter| parameter.as_ref().map(|field| field.data_type()))
        .collect();
    let types: Vec<Option<&Type>> = types.iter().map(Some).collect();
    match deserialize_parameters_with_server_types(portal, &inferred, &types)? {
        ParamValues::List(values) => Ok(values.into_iter().map(|value| value.value).collect()),
        ParamValues::Map(_) => Err(protocol_error("parameters have numbers, not names")),
    }
}
