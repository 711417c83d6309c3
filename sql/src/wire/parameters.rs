//! Parameters of prepared statements: PostgreSQL's types as Arrow's, and values as scalars.

mod elements;
mod floats;
mod number;
mod pgvector;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::ParamValues;
use datafusion::scalar::ScalarValue;
use datafusion_postgres::arrow_pg::datatypes::df::deserialize_parameters_with_server_types;
use datafusion_postgres::arrow_pg::datatypes::{PG_VECTOR_TYPE_OID, field_into_pg_type};
use pgwire::api::Type;
use pgwire::api::portal::Portal;
use pgwire::api::stmt::StoredStatement;
use pgwire::error::PgWireResult;

use super::errors::{protocol_error, statement_error};
use super::rows::{form_type, is_oid_list};
use crate::types::{HALFVEC_OID, own_oid};
use crate::{Prepared, SqlError};

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
        // Texts of a form.
        Type::JSON | Type::JSONB | Type::UUID => DataType::Utf8,
        Type::BYTEA => DataType::Binary,
        Type::DATE => DataType::Date32,
        Type::TIME => DataType::Time64(TimeUnit::Microsecond),
        Type::TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Type::NUMERIC => DataType::Decimal128(38, 10),
        Type::BOOL_ARRAY => list(Type::BOOL)?,
        Type::INT2_ARRAY => list(Type::INT2)?,
        Type::INT4_ARRAY => list(Type::INT4)?,
        Type::INT8_ARRAY => list(Type::INT8)?,
        Type::FLOAT4_ARRAY => list(Type::FLOAT4)?,
        Type::FLOAT8_ARRAY => list(Type::FLOAT8)?,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY | Type::NAME_ARRAY => {
            list(Type::TEXT)?
        }
        Type::JSON_ARRAY | Type::JSONB_ARRAY | Type::UUID_ARRAY => list(Type::TEXT)?,
        Type::DATE_ARRAY => list(Type::DATE)?,
        Type::TIME_ARRAY => list(Type::TIME)?,
        Type::TIMESTAMP_ARRAY => list(Type::TIMESTAMP)?,
        Type::TIMESTAMPTZ_ARRAY => list(Type::TIMESTAMPTZ)?,
        Type::NUMERIC_ARRAY => list(Type::NUMERIC)?,
        Type::BYTEA_ARRAY => list(Type::BYTEA)?,
        ref declared if declared.oid() == HALFVEC_OID => {
            vigil_udfs::halfvec_field(None).data_type().clone()
        }
        Type::BIT | Type::VARBIT => vigil_udfs::bits_type(),
        _ => return None,
    })
}

/// The type of a field that the library would take for an array.
pub(super) fn own_type(field: &Field) -> Option<Type> {
    own_oid(field).and_then(declared_type)
}

/// The type that a client declares by its OID.
pub(super) fn declared_type(oid: u32) -> Option<Type> {
    match oid {
        HALFVEC_OID => Some(of_pgvector("halfvec", oid)),
        PG_VECTOR_TYPE_OID => Some(of_pgvector("vector", oid)),
        oid => Type::from_oid(oid),
    }
}

fn of_pgvector(name: &str, oid: u32) -> Type {
    Type::new(name.into(), oid, Type::TEXT.kind().clone(), "public".into())
}

/// The function that reads a text of the form that a client declares a parameter to have.
pub(super) fn form(declared: &Type) -> Option<&'static str> {
    match *declared {
        Type::JSON => Some("json"),
        Type::JSONB => Some("jsonb"),
        Type::UUID => Some("uuid"),
        _ => None,
    }
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
    if let Some(kind) = form_type(field).or_else(|| own_type(field)) {
        return Ok(kind);
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
    // What the library would read wrongly, or not at all, is read here, and the library is given NULL for it.
    let mut ours: Vec<Option<ScalarValue>> = Vec::new();
    let mut left = Vec::new();
    for (at, (inferred, server_type)) in inferred.iter().zip(&types).enumerate() {
        let declared = portal.statement.parameter_types.get(at).and_then(Option::as_ref);
        let is_vector = declared.is_some_and(|declared| declared.oid() == PG_VECTOR_TYPE_OID);
        let declared = declared.filter(|_| !is_vector).unwrap_or(server_type);
        let bytes = portal.parameters.get(at).and_then(Option::as_ref);
        let is_binary = portal.parameter_format.is_binary(at);
        let value = match (bytes, inferred) {
            // Beside a `halfvec` a `vector` is one.
            (Some(bytes), Some(inferred))
                if is_vector && is_binary && vigil_udfs::is_halfvec(inferred) =>
            {
                pgvector::as_halfvec(bytes, inferred).map(Some)
            }
            _ => own_value(bytes.map(|bytes| &bytes[..]), is_binary, declared, *inferred),
        };
        let value = value.map_err(|error| statement_error(&error))?;
        left.push(if value.is_some() { None } else { Some(declared.clone()) });
        ours.push(value);
    }
    if ours.iter().all(Option::is_some) {
        return Ok(ours.into_iter().flatten().collect());
    }
    let decoded = if ours.iter().any(Option::is_some) {
        let types: Vec<Type> = left.iter().map(|kind| kind.clone().unwrap_or(Type::TEXT)).collect();
        let statement = StoredStatement::new(
            portal.statement.id.clone(),
            portal.statement.statement.clone(),
            types.iter().cloned().map(Some).collect(),
        );
        let mut rest = Portal::new_cursor(portal.name.clone(), Arc::new(statement));
        rest.parameter_format = portal.parameter_format.clone();
        let parameters = portal.parameters.iter().zip(&left);
        rest.parameters =
            parameters.map(|(bytes, left)| left.as_ref().and_then(|_| bytes.clone())).collect();
        let inferred: Vec<_> = inferred
            .iter()
            .zip(&left)
            .map(|(inferred, left)| if left.is_some() { *inferred } else { None })
            .collect();
        let types: Vec<Option<&Type>> = types.iter().map(Some).collect();
        deserialize_parameters_with_server_types(&rest, &inferred, &types)?
    } else {
        let types: Vec<Option<&Type>> = types.iter().map(Some).collect();
        deserialize_parameters_with_server_types(portal, &inferred, &types)?
    };
    let ParamValues::List(decoded) = decoded else {
        return Err(protocol_error("parameters have numbers, not names"));
    };
    let values = decoded.into_iter().zip(ours).zip(&portal.parameters);
    values
        .map(|((decoded, ours), bytes)| match ours {
            Some(value) => Ok(value),
            None if bytes.is_some() => fits(decoded.value),
            None => Ok(decoded.value),
        })
        .collect()
}

/// The value of a parameter of those types that the library does not read, or not as PostgreSQL does: quoted
/// elements of arrays, which are never NULL, numbers with more digits than it knows, `halfvec` and bits; and
/// arrays of floats, which it reads slowly.
fn own_value(
    bytes: Option<&[u8]>,
    is_binary: bool,
    declared: &Type,
    inferred: Option<&DataType>,
) -> Result<Option<ScalarValue>, SqlError> {
    match (declared, bytes) {
        (declared, bytes) if elements::is_ours(declared) => {
            elements::read(bytes, is_binary, declared, inferred).map(Some)
        }
        (&Type::NUMERIC, Some(bytes)) => number::read(bytes, is_binary, inferred),
        (&Type::FLOAT4_ARRAY | &Type::FLOAT8_ARRAY, Some(bytes)) if is_binary => {
            Ok(floats::read(bytes, declared, inferred))
        }
        (declared, Some(bytes)) => pgvector::read(bytes, is_binary, declared, inferred),
        (declared, None) => Ok(pgvector::null(declared, inferred)),
    }
}

/// The library gives NULL for what its type cannot hold.
fn fits(value: ScalarValue) -> PgWireResult<ScalarValue> {
    if !value.is_null() {
        return Ok(value);
    }
    let (sqlstate, message, hint) = match value.data_type() {
        DataType::Timestamp(..) => (
            "22008",
            "timestamp out of range",
            "Times are nanoseconds in 64 bits here: from 1677-09-21 to 2262-04-11.",
        ),
        data_type if data_type.is_numeric() => (
            "22003",
            "a parameter is out of range of its type",
            "Write its type, as in $1::float8.",
        ),
        _ => return Ok(value),
    };
    Err(statement_error(&SqlError::Query {
        sqlstate,
        message: message.into(),
        detail: None,
        hint: Some(hint.into()),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_elements_are_never_null() {
        let read = |text: &str| own_value(Some(text.as_bytes()), false, &Type::TEXT_ARRAY, None);
        let list = read(r#"{"","NULL",NULL,a}"#).expect("is an array").expect("is one of ours");
        let elements = ["", "NULL"].map(|text| ScalarValue::Utf8(Some(text.into())));
        let rest = [ScalarValue::Utf8(None), ScalarValue::Utf8(Some("a".into()))];
        let expected = ScalarValue::new_list_nullable(&[elements, rest].concat(), &DataType::Utf8);
        assert_eq!(list, ScalarValue::List(expected));
        assert_eq!(read("{a").expect_err("is not closed").sqlstate(), "22P02");
    }
}
