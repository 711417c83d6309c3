//! `json`: texts whose fields carry Arrow's canonical extension `arrow.json`, and PostgreSQL's
//! operators `->`, `->>`, `#>`, `#>>` and `?` on them, which are datafusion-functions-json's; and the
//! functions that make JSON of values, take it apart and change it.

mod change;
mod make;
mod operators;
mod parts;
mod text;
mod write;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion_functions_json::{JSON_UNION_DATA_TYPE, functions::json_union_to_text};

pub use self::operators::JsonPlanner;
use crate::doc::{Function, FunctionDoc};

const EXTENSION_KEY: &str = "ARROW:extension:name";
const EXTENSION: &str = "arrow.json";

/// Functions of the library that PostgreSQL has under the same name with another meaning.
const OTHERWISE_IN_POSTGRESQL: [&str; 1] = ["json_object_keys"];

/// Registers the operators and what they call.
pub(crate) fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    datafusion_functions_json::register_all(registry)?;
    for function in make::others() {
        registry.register_udf(Arc::new(function))?;
    }
    for name in OTHERWISE_IN_POSTGRESQL {
        registry.deregister_udf(name)?;
    }
    Ok(())
}

/// The functions of this folder.
pub fn functions() -> Vec<Function> {
    let mut functions = make::functions();
    functions.extend(parts::functions());
    functions
}

/// What is written about the aggregates, which the SQL crate makes of these functions and `array_agg`.
pub(crate) fn aggregate_docs() -> Vec<&'static FunctionDoc> {
    make::aggregate_docs()
}

/// The same field of text, as one of `json`.
pub fn json_field(field: Field) -> Field {
    field.with_metadata(HashMap::from([(EXTENSION_KEY.to_owned(), EXTENSION.to_owned())]))
}

/// Whether a field is of the type `json`.
pub fn is_json(field: &Field) -> bool {
    field.metadata().get(EXTENSION_KEY).is_some_and(|name| name == EXTENSION)
}

/// The plan with the values that `->` gives, a union in Arrow, as the texts that `json` is.
///
/// # Errors
/// What DataFusion says of a projection; none is known.
pub fn json_as_text(plan: LogicalPlan) -> Result<LogicalPlan> {
    let schema = plan.schema();
    if schema.fields().iter().all(|field| *field.data_type() != *JSON_UNION_DATA_TYPE) {
        return Ok(plan);
    }
    let columns: Vec<Expr> = schema
        .iter()
        .map(|(qualifier, field)| {
            let column = Expr::from((qualifier, field));
            if *field.data_type() != *JSON_UNION_DATA_TYPE {
                return column;
            }
            json_union_to_text(column).alias_qualified(qualifier.cloned(), field.name())
        })
        .collect();
    LogicalPlanBuilder::from(plan).project(columns)?.build()
}
