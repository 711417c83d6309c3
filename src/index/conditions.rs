//! What a search may know of the conditions under a sort: whether a partial index has all rows that
//! fulfil them, and which of them need not be asked while it searches.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Operator, Volatility};
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

/// Whether rows that fulfil all conditions fulfil the predicate: whether each of its parts is one
/// of them. Columns have other numbers in a plan than in the table, so their names are compared.
pub(super) fn imply(
    conditions: &[Arc<dyn PhysicalExpr>],
    predicate: &Arc<dyn PhysicalExpr>,
) -> Result<bool> {
    let known = conditions.iter().map(by_name).collect::<Result<Vec<_>>>()?;
    for part in split_conjunction(predicate) {
        if !known.contains(&by_name(part)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The expression with columns that all have the same number, and literals without metadata.
fn by_name(expr: &Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    let expr = Arc::clone(expr).transform_up(|expr| {
        let plain: Arc<dyn PhysicalExpr> = if let Some(column) = expr.downcast_ref::<Column>() {
            Arc::new(Column::new(column.name(), 0))
        } else if let Some(literal) = expr.downcast_ref::<Literal>() {
            Arc::new(Literal::new(literal.value().clone()))
        } else {
            return Ok(Transformed::no(expr));
        };
        Ok(Transformed::yes(plain))
    });
    expr.map(|expr| expr.data)
}

/// Whether a condition may have another value when it is asked again, such as `random() < .5`. A
/// search asks once and the filter above it asks again, so rows would have to pass twice.
pub(super) fn is_volatile(condition: &Arc<dyn PhysicalExpr>) -> Result<bool> {
    calls(condition, |volatility| volatility == Volatility::Volatile)
}

/// Whether an expression depends on its columns alone, so that it may be computed twice; a function of the time or
/// of a model does not.
pub(super) fn is_immutable(expr: &Arc<dyn PhysicalExpr>) -> Result<bool> {
    Ok(!calls(expr, |volatility| volatility != Volatility::Immutable)?)
}

/// Whether a function of such a volatility is called; parameters are none.
fn calls(expr: &Arc<dyn PhysicalExpr>, is_such: impl Fn(Volatility) -> bool) -> Result<bool> {
    let mut has_one = false;
    expr.apply(|part| {
        has_one |= part.downcast_ref::<ScalarFunctionExpr>().is_some_and(|function| {
            is_such(function.fun().signature().volatility)
                && !vigil_sql::is_parameter(part.as_ref())
        });
        Ok(if has_one { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(has_one)
}

/// Whether a condition is a bound from above on what is sorted by, ascending. The nearest rows of
/// all are then the nearest within the bound, as far as there are any: the filter above the search
/// takes out the others.
pub(super) fn is_bound(condition: &Arc<dyn PhysicalExpr>, order: &Arc<dyn PhysicalExpr>) -> bool {
    let Some(binary) = condition.downcast_ref::<BinaryExpr>() else { return false };
    let (left, right) = (binary.left(), binary.right());
    match binary.op() {
        Operator::Lt | Operator::LtEq => left == order && right.is::<Literal>(),
        Operator::Gt | Operator::GtEq => right == order && left.is::<Literal>(),
        _ => false,
    }
}
