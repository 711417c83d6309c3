//! Vectors that a query asks another query for: `ORDER BY embedding <=> (SELECT …) LIMIT 10`.
//!
//! A sub-query that depends on no row of the outer one has one answer. PostgreSQL works it out before
//! anything else (its `InitPlan`), and so is it done here where the answer is a vector: with a number
//! list in its place the order can be taken from an index. DataFusion would join it.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Subquery};
use datafusion::physical_plan::collect;
use datafusion::scalar::ScalarValue;
use futures::FutureExt;
use futures::future::BoxFuture;

use crate::SqlError;

/// Whether there is such a sub-query in `plan`.
///
/// # Errors
/// When the plan cannot be walked through.
pub(super) fn has_any(plan: &LogicalPlan) -> Result<bool> {
    Ok(!subqueries(plan)?.is_empty())
}

/// `plan` with the vectors in the places of the sub-queries, which run in `state`.
pub(super) fn evaluated<'a>(
    state: &'a SessionState,
    memory: &'a Arc<RuntimeEnv>,
    plan: LogicalPlan,
) -> BoxFuture<'a, Result<LogicalPlan, SqlError>> {
    async move {
        let found = subqueries(&plan)?;
        if found.is_empty() {
            return Ok(plan);
        }
        let mut values = Vec::with_capacity(found.len());
        for subquery in found {
            let value = answer(state, memory, &subquery).await?;
            values.push((subquery, value));
        }
        Ok(replaced(plan, &values)?)
    }
    .boxed()
}

/// The sub-queries, not those within one of them.
fn subqueries(plan: &LogicalPlan) -> Result<Vec<Subquery>> {
    let mut found = Vec::new();
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Some(subquery) = vector_of(expr) {
                    found.push(subquery.clone());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

/// The sub-query, if it is one that gives a vector and needs no row.
fn vector_of(expr: &Expr) -> Option<&Subquery> {
    let Expr::ScalarSubquery(subquery) = expr else { return None };
    let [field] = subquery.subquery.schema().fields().iter().as_slice() else { return None };
    let is_vector = match field.data_type() {
        DataType::FixedSizeList(item, _) | DataType::List(item) => item.data_type().is_floating(),
        _ => false,
    };
    (is_vector && subquery.outer_ref_columns.is_empty()).then_some(subquery)
}

async fn answer(
    state: &SessionState,
    memory: &Arc<RuntimeEnv>,
    subquery: &Subquery,
) -> Result<ScalarValue, SqlError> {
    let plan = evaluated(state, memory, subquery.subquery.as_ref().clone()).await?;
    let data_type = plan.schema().field(0).data_type().clone();
    // A second row is an error, a third one says nothing new.
    let plan = LogicalPlanBuilder::from(plan).limit(0, Some(2))?.build()?;
    let physical = state.create_physical_plan(&plan).await?;
    let context = TaskContext::from(state).with_runtime(Arc::clone(memory));
    let batches = collect(physical, Arc::new(context)).await?;
    let mut rows = batches.iter().filter(|batch| batch.num_rows() > 0);
    let (first, second) = (rows.next(), rows.next());
    match (first, second) {
        (None, _) => Ok(ScalarValue::try_from(&data_type)?),
        (Some(batch), None) if batch.num_rows() == 1 => {
            Ok(ScalarValue::try_from_array(batch.column(0), 0)?)
        }
        _ => Err(SqlError::Invalid {
            sqlstate: "21000",
            message: "more than one row returned by a subquery used as an expression".into(),
            hint: None,
            position: None,
        }),
    }
}

fn replaced(plan: LogicalPlan, values: &[(Subquery, ScalarValue)]) -> Result<LogicalPlan> {
    let plan = plan.transform_down(|plan| {
        let names = NamePreserver::new(&plan);
        let plan = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let expr = expr.transform_up(|expr| {
                let value = vector_of(&expr).and_then(|subquery| {
                    let is_it = |(known, _): &&(Subquery, ScalarValue)| {
                        Arc::ptr_eq(&known.subquery, &subquery.subquery)
                    };
                    values.iter().find(is_it)
                });
                Ok(match value {
                    Some((subquery, value)) => {
                        let field = subquery.subquery.schema().field(0);
                        let metadata = field.metadata().clone().into();
                        Transformed::yes(Expr::Literal(value.clone(), Some(metadata)))
                    }
                    None => Transformed::no(expr),
                })
            })?;
            Ok::<_, DataFusionError>(expr.update_data(|expr| name.restore(expr)))
        })?;
        plan.map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(plan.data)
}
