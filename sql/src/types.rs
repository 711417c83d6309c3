//! Types of DDL and casts that datafusion-pg-catalog does not plan: `halfvec(n)`, `bit(n)`.

use std::sync::Arc;

use arrow::datatypes::FieldRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::DataType;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;

use crate::SqlError;

/// Plans `halfvec` and `bit` and leaves every other type to datafusion-pg-catalog.
#[derive(Debug)]
pub(crate) struct Types;

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &DataType) -> Result<Option<FieldRef>> {
        match sql_type {
            DataType::Custom(name, modifiers)
                if name.to_string().eq_ignore_ascii_case("halfvec") =>
            {
                let dimensions = modifiers.first().map(|text| dimensions(text)).transpose()?;
                Ok(Some(Arc::new(vigil_udfs::halfvec_field(dimensions))))
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

/// The `n` of `halfvec(n)`, within pgvector's limit.
fn dimensions(text: &str) -> Result<i32> {
    text.parse().ok().filter(|n| (1..=16_000).contains(n)).ok_or_else(|| {
        DataFusionError::External(Box::new(SqlError::Invalid {
            sqlstate: "22023",
            message: "dimensions for type halfvec must be between 1 and 16000".into(),
            hint: None,
            position: None,
        }))
    })
}
