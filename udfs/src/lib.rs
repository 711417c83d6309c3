//! DataFusion functions and types: vectors, geometry, model calls.
//!
//! Values go in, values come out. No sockets, no files, no sessions.
//!
//! | folder | what is in it |
//! | --- | --- |
//! | [`vector`] | pgvector's functions, its operators `<-> <=> <#> <+>` and its text format |
//! | [`geometry`] | boxes: `iou`, `box_area` |
//! | [`model`] | functions that call a network: `embed` |
//! | [`bytes`] | how long a `bytea` is |
//! | [`json`] | the type `json` and its operators |
//! | [`to_char`] | dates, times and numbers by PostgreSQL's templates |
//! | [`datetime`] | parts of times, zones, times of their parts |
//! | [`numbers`] | rounding |
//! | [`similar`] | patterns of `SIMILAR TO` |
//! | [`texts`] | `format`, `to_number`, `uuid`, regular expressions |
//! | [`type_of`] | the names of types |
//!
//! A function is one file with its documentation ([`FunctionDoc`]) and one entry in its folder's
//! `functions()`. [`register`] puts all of them into a DataFusion session; they replace
//! DataFusion's own functions of the same name.

pub mod bytes;
mod counts;
pub mod datetime;
pub mod geometry;
pub mod json;
pub mod model;
pub mod numbers;
pub mod similar;
pub mod texts;
pub mod to_char;
pub mod type_of;
pub mod vector;

mod doc;
mod error;
mod forms;
mod operands;
mod ordered_set;
mod others;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::planner::ExprPlanner;
use vigil_models::ModelError;

pub use crate::doc::{Example, Function, FunctionDoc};
pub use crate::error::UdfError;
pub use crate::vector::{
    BIT_LITERAL, MODEL_CHECK, MODEL_COLUMN_TAG, ModelRewrite, VECTOR_TAG, VectorKind, as_vector,
    bit_field, bits_text, bits_type, bits_value, check_dimensions, check_model, compares_vectors,
    exact, halfvec_field, halfvec_value, is_bits, is_halfvec, is_varying, join_operators,
    parse_bits, parse_halfvec, parse_vector, source_column, varbit_field, vector_kind, vector_text,
    vectors_without_models,
};

/// The models that functions may call; the engine gives one to each session.
pub trait ModelCalls: Debug + Send + Sync {
    /// One L2-normalised vector for each text, by the named model or the engine's default one.
    ///
    /// # Errors
    /// [`ModelError`] when the model is missing or fails; never a zero vector.
    fn embed(&self, model: Option<&str>, texts: &[&str]) -> Result<Vec<Arc<[f32]>>, ModelError>;

    /// How well each text answers the question, by the named reranker; the greater the better.
    ///
    /// # Errors
    /// [`ModelError`] when the model is missing or fails.
    fn rerank(&self, model: &str, question: &str, texts: &[&str]) -> Result<Vec<f32>, ModelError>;

    /// The length of the vectors of the named model or of the default one.
    ///
    /// # Errors
    /// [`ModelError::UnknownModel`] or [`ModelError::WrongTask`].
    fn dimensions(&self, model: Option<&str>) -> Result<usize, ModelError>;

    /// Name and version of the named model or of the default one, as rows name their models.
    ///
    /// # Errors
    /// As [`ModelCalls::dimensions`].
    fn model_id(&self, model: Option<&str>) -> Result<String, ModelError>;
}

/// Every function with its documentation, in the order of the reference page.
pub fn all() -> Vec<Function> {
    let mut all = Vec::new();
    all.extend(vector::functions());
    all.extend(geometry::functions());
    all.extend(model::functions());
    all.extend(bytes::functions());
    all.extend(similar::functions());
    all.extend(texts::functions());
    all.extend(json::functions());
    all.extend(to_char::functions());
    all.extend(datetime::functions());
    all.extend(type_of::functions());
    all
}

/// What is written about the aggregates.
pub fn aggregate_docs() -> Vec<&'static FunctionDoc> {
    let mut docs = vector::aggregate_docs();
    docs.extend(ordered_set::docs());
    docs.extend(json::aggregate_docs());
    docs
}

/// Every function, ready for a session whose models are `models`.
pub fn functions(models: Arc<dyn ModelCalls>) -> Vec<Arc<ScalarUDF>> {
    all().into_iter().map(|function| function.make(&models)).collect()
}

/// The planners of our operators. They have to come before DataFusion's, which takes `||` of two
/// vectors for that of arrays; a registry puts what is registered at the end.
pub fn expr_planners() -> Vec<Arc<dyn ExprPlanner>> {
    vec![Arc::new(vector::OperatorPlanner::default()), Arc::new(json::JsonPlanner::default())]
}

/// The rewrites of calls: casts to `vector`, literals beside vectors, the check that compared vectors have one
/// model, and rounding.
pub fn function_rewrites() -> Vec<Arc<dyn FunctionRewrite + Send + Sync>> {
    vec![
        Arc::new(vector::VectorCast::default()),
        Arc::new(vector::VectorLiterals::default()),
        Arc::new(vector::ModelRewrite::default()),
        Arc::new(numbers::Rounding),
        Arc::new(others::BooleansInTexts),
    ]
}

/// Registers the functions, operators and casts with a session or a session's state.
///
/// # Errors
/// What the registry says; DataFusion's own registries accept everything.
pub fn register(registry: &mut dyn FunctionRegistry, models: Arc<dyn ModelCalls>) -> Result<()> {
    for function in functions(models) {
        // With its aliases: a state that is rebuilt from another one registers every entry again,
        // and an alias that is left would bring DataFusion's function back under our name.
        registry.deregister_udf(function.name())?;
        registry.register_udf(function)?;
    }
    vector::register_aggregates(registry)?;
    vector::register_chosen(registry)?;
    ordered_set::register(registry)?;
    counts::register(registry)?;
    others::register(registry)?;
    json::register(registry)?;
    forms::register(registry)?;
    for planner in expr_planners() {
        registry.register_expr_planner(planner)?;
    }
    for rewrite in function_rewrites() {
        registry.register_function_rewrite(rewrite)?;
    }
    Ok(())
}
