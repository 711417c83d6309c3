//! Types of DDL and casts that datafusion-pg-catalog does not plan: `halfvec(n)`, `bit(n)`.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::DataType;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;

use crate::SqlError;

/// Marks a text of numbers that PostgreSQL has as an `int2vector` or `oidvector`, with that name.
pub(crate) const VECTOR_KEY: &str = "vigil.catalog_vector";

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
                        modifiers.first().map(|text| dimensions(&name, text)).transpose()?
                    }
                    _ => None,
                };
                match name.as_str() {
                    "halfvec" => Ok(Some(Arc::new(vigil_udfs::halfvec_field(checked)))),
                    _ => PgOidTypePlanner.plan_type_field(sql_type),
                }
            }
            // PostgreSQL's `bit` without a length is `bit(1)`.
            DataType::Bit(bits) => Ok(Some(Arc::new(vigil_udfs::bit_field(bits.or(Some(1)))))),
            DataType::BitVarying(bits) | DataType::VarBit(bits) => {
                Ok(Some(Arc::new(vigil_udfs::bit_field(*bits))))
            }
            other => PgOidTypePlanner.plan_type_field(other),
        }
    }
}

/// The `n` of `vector(n)` or `halfvec(n)`, within pgvector's limits and in its words.
fn dimensions(name: &str, text: &str) -> Result<i32> {
    let number: Option<i64> = text.parse().ok();
    let message = match number {
        Some(number @ 1..=16_000) => return Ok(i32::try_from(number).unwrap_or(i32::MAX)),
        Some(number) if number > 16_000 => {
            format!("dimensions for type {name} cannot exceed 16000")
        }
        Some(_) => format!("dimensions for type {name} must be at least 1"),
        None => format!("invalid type modifier: \"{text}\""),
    };
    Err(DataFusionError::External(Box::new(SqlError::Invalid {
        sqlstate: "22023",
        message,
        hint: None,
        position: None,
    })))
}
