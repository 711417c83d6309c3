//! Types that datafusion-pg-catalog does not know, `halfvec(n)` and `bit(n)`: how DDL and casts name
//! them, and what they are on the wire.

use std::sync::Arc;

use arrow::datatypes::{Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::DataType;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;

use crate::SqlError;

/// Marks a text of numbers that PostgreSQL has as an `int2vector` or `oidvector`, with that name, and an array of
/// texts that it has as [`NAMES`].
pub(crate) const VECTOR_KEY: &str = "vigil.catalog_vector";

/// The type of an array of names.
pub(crate) const NAMES: &str = "name[]";

/// The OID of `halfvec`, behind those of `vector` and `vector[]`.
pub(crate) const HALFVEC_OID: u32 = 16_387;

/// The OID of `halfvec[]`, which no column has.
pub(crate) const HALFVEC_ARRAY_OID: u32 = 16_388;

/// PostgreSQL's OID of `bit`.
pub(crate) const BIT_OID: u32 = 1560;

/// PostgreSQL's OID of `bit varying`.
pub(crate) const VARBIT_OID: u32 = 1562;

/// The OID of the type of a field that arrow-pg would take for an array.
pub(crate) fn own_oid(field: &Field) -> Option<u32> {
    if vigil_udfs::is_halfvec(field.data_type()) {
        return Some(HALFVEC_OID);
    }
    let is_bits = vigil_udfs::is_bits(field.data_type());
    is_bits.then(|| if vigil_udfs::is_varying(field) { VARBIT_OID } else { BIT_OID })
}

/// Plans `halfvec` and `bit` and leaves every other type to datafusion-pg-catalog.
#[derive(Debug)]
pub(crate) struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &DataType) -> Result<Option<FieldRef>> {
        match sql_type {
            DataType::Custom(name, modifiers) => {
                let name = name.to_string().to_ascii_lowercase();
                let checked = match name.as_str() {
                    "halfvec" | "vector" => {
                        let dimensions = |text: &String| dimensions(&name, text);
                        modifiers.first().map(dimensions).transpose().map_err(external)?
                    }
                    _ => None,
                };
                match name.as_str() {
                    "halfvec" => Ok(Some(Arc::new(vigil_udfs::halfvec_field(checked)))),
                    _ => PgOidTypePlanner.plan_type_field(sql_type),
                }
            }
            // PostgreSQL's `bit` without a length is `bit(1)`.
            DataType::Bit(bits) => Ok(Some(Arc::new(vigil_udfs::bit_field(bits.unwrap_or(1))))),
            DataType::BitVarying(bits) | DataType::VarBit(bits) => {
                Ok(Some(Arc::new(vigil_udfs::varbit_field(*bits))))
            }
            other => PgOidTypePlanner.plan_type_field(other),
        }
    }
}

/// The `n` of `vector(n)` or `halfvec(n)`, within pgvector's limits and in its words.
pub(crate) fn dimensions(name: &str, text: &str) -> Result<i32, SqlError> {
    let number: Option<i64> = text.parse().ok();
    let message = match number {
        Some(number @ 1..=16_000) => return Ok(i32::try_from(number).unwrap_or(i32::MAX)),
        Some(number) if number > 16_000 => {
            format!("dimensions for type {name} cannot exceed 16000")
        }
        Some(_) => format!("dimensions for type {name} must be at least 1"),
        None => format!("invalid type modifier: \"{text}\""),
    };
    Err(SqlError::Invalid { sqlstate: "22023", message, hint: None, position: None })
}

fn external(error: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
