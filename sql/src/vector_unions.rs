//! `SELECT embedding FROM captions UNION SELECT '[1,2,3]'`: a literal in a column of vectors is one.
//!
//! DataFusion unites the types of Arrow, of which a vector and a text have none in common. An analyzer rule
//! before that gives the column of each input the type of vectors of any length.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Union};
use datafusion::optimizer::AnalyzerRule;
use vigil_udfs::{VectorKind, as_vector, vector_kind};

/// The rule.
#[derive(Debug)]
pub(crate) struct VectorUnions;

impl AnalyzerRule for VectorUnions {
    fn name(&self) -> &str {
        "vector_unions"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = plan.transform_up_with_subqueries(|plan| {
            let united = match &plan {
                LogicalPlan::Union(union) => with_vectors(union)?,
                _ => None,
            };
            Ok(match united {
                Some(united) => Transformed::yes(united),
                None => Transformed::no(plan),
            })
        })?;
        Ok(plan.data)
    }
}

/// The union with vectors in the place of literals; `None` where there are none.
fn with_vectors(union: &Union) -> Result<Option<LogicalPlan>> {
    let columns = union.schema.fields().len();
    let kinds: Vec<Option<VectorKind>> =
        (0..columns).map(|at| kind_beside_literal(union, at)).collect();
    if kinds.iter().all(Option::is_none) {
        return Ok(None);
    }
    let mut inputs = Vec::with_capacity(union.inputs.len());
    for input in &union.inputs {
        let typed = input.schema().iter().zip(&kinds).map(|((qualifier, field), kind)| {
            let column = Expr::from((qualifier, field));
            match kind {
                Some(kind) => {
                    as_vector(column, *kind).alias_qualified(qualifier.cloned(), field.name())
                }
                None => column,
            }
        });
        let typed = typed.collect::<Vec<_>>();
        let input = LogicalPlanBuilder::from(input.as_ref().clone()).project(typed)?.build()?;
        inputs.push(Arc::new(input));
    }
    Ok(Some(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?)))
}

/// The kind of the vectors in a column, all of whose other values are literals.
fn kind_beside_literal(union: &Union, at: usize) -> Option<VectorKind> {
    let mut found = None;
    let mut has_literal = false;
    for input in &union.inputs {
        let kind = input.schema().fields().get(at).and_then(|field| vector_kind(field));
        let is_literal = is_literal(input, at);
        if kind.is_none() && !is_literal {
            return None;
        }
        found = found.or(kind);
        has_literal |= is_literal;
    }
    found.filter(|_| has_literal)
}

/// Whether a column of a select list is a text or NULL, as written.
fn is_literal(plan: &LogicalPlan, at: usize) -> bool {
    let LogicalPlan::Projection(projection) = plan else { return false };
    let mut expr = projection.expr.get(at);
    while let Some(Expr::Alias(alias)) = expr {
        expr = Some(alias.expr.as_ref());
    }
    match expr {
        Some(Expr::Literal(value, _)) => value.is_null() || value.data_type() == DataType::Utf8,
        _ => false,
    }
}
