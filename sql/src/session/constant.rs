//! Queries whose answer can never be another: `SELECT 1`, as pools and drivers send it over and over.
//! They read no table and call nothing that depends on when or for whom it is called, so they are
//! worked out once, when they are prepared.

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Volatility};
use datafusion::scalar::ScalarValue;

use crate::SqlError;

/// Bytes of the largest answer that is kept.
const MAX_BYTES: usize = 64 << 10;

/// The answer of `plan` with the columns of `schema`, if it is always the same.
pub(super) fn answer(
    state: &SessionState,
    plan: &LogicalPlan,
    schema: &SchemaRef,
) -> Result<Option<RecordBatch>, SqlError> {
    if !is_constant(plan)? {
        return Ok(None);
    }
    // What is wrong with it is told when it runs.
    let Ok(LogicalPlan::Projection(projection)) = state.optimize(plan) else { return Ok(None) };
    if !matches!(projection.input.as_ref(), LogicalPlan::EmptyRelation(empty) if empty.produce_one_row)
    {
        return Ok(None);
    }
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(projection.expr.len());
    for (expr, field) in projection.expr.iter().zip(schema.fields()) {
        match literal(expr) {
            Some(value) if value.data_type() == *field.data_type() => {
                arrays.push(value.to_array()?)
            }
            // What does not fit is told when it runs.
            Some(ScalarValue::Int64(Some(number))) if *field.data_type() == DataType::Int32 => {
                let Ok(number) = i32::try_from(*number) else { return Ok(None) };
                arrays.push(ScalarValue::Int32(Some(number)).to_array()?);
            }
            _ => return Ok(None),
        }
    }
    if arrays.iter().map(|array| array.get_array_memory_size()).sum::<usize>() > MAX_BYTES {
        return Ok(None);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let batch = RecordBatch::try_new_with_options(SchemaRef::clone(schema), arrays, &options);
    Ok(Some(batch.map_err(datafusion::error::DataFusionError::from)?))
}

fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        Expr::Alias(alias) => literal(&alias.expr),
        _ => None,
    }
}

fn is_constant(plan: &LogicalPlan) -> Result<bool, SqlError> {
    let LogicalPlan::Projection(projection) = plan else { return Ok(false) };
    if !matches!(projection.input.as_ref(), LogicalPlan::EmptyRelation(_)) {
        return Ok(false);
    }
    let mut constant = true;
    for expr in &projection.expr {
        expr.apply(|expr| {
            constant &= match expr {
                Expr::ScalarFunction(call) => {
                    call.func.signature().volatility == Volatility::Immutable
                }
                Expr::Literal(..)
                | Expr::Alias(_)
                | Expr::Cast(_)
                | Expr::BinaryExpr(_)
                | Expr::Negative(_) => true,
                _ => false,
            };
            // What a time says depends on the session's zone.
            let data_type = expr.get_type(projection.input.schema());
            constant &= !matches!(data_type, Ok(DataType::Timestamp(..)));
            Ok(if constant { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
        })?;
    }
    Ok(constant)
}
