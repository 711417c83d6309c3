//! `INTERSECT ALL` and `EXCEPT ALL` count how often a row is there: DataFusion (55.2) joins them like those without
//! `ALL`, so that three equal rows but one are none.
//!
//! An analyzer rule numbers equal rows on both sides and joins by the numbers, too: the second copy of a row
//! meets the second copy alone.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, JoinType, NullEquality};
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{
    Distinct, Expr, ExprFunctionExt, Join, LogicalPlan, LogicalPlanBuilder,
};
use datafusion::optimizer::AnalyzerRule;

/// The columns with the numbers of equal rows.
const LEFT: &str = "__copy_of_left";
const RIGHT: &str = "__copy_of_right";

/// The rule.
#[derive(Debug)]
struct Copies;

impl AnalyzerRule for Copies {
    fn name(&self) -> &str {
        "copies"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = plan.transform_up_with_subqueries(|plan| {
            let counted = match &plan {
                LogicalPlan::Join(join) if is_of_all(join) => Some(counted(join)?),
                _ => None,
            };
            Ok(match counted {
                Some(counted) => Transformed::yes(counted),
                None => Transformed::no(plan),
            })
        })?;
        Ok(plan.data)
    }
}

/// Whether a join is one of those and has no numbers yet. Nothing else that is planned joins in this way, and
/// rows that are there once need no number.
fn is_of_all(join: &Join) -> bool {
    let columns = join.left.schema().fields().len();
    matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
        && join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
        && columns > 0
        && join.on.len() == columns
        && join.right.schema().fields().len() == columns
        && !join.left.schema().has_column_with_unqualified_name(LEFT)
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(Distinct::All(_)))
}

fn counted(join: &Join) -> Result<LogicalPlan> {
    let mut on = join.on.clone();
    on.push((column(LEFT), column(RIGHT)));
    let counted = Join::try_new(
        Arc::new(numbered(&join.left, LEFT)?),
        Arc::new(numbered(&join.right, RIGHT)?),
        on,
        None,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    let columns = join.left.schema().iter().map(Expr::from).collect::<Vec<_>>();
    LogicalPlanBuilder::from(LogicalPlan::Join(counted)).project(columns)?.build()
}

/// The rows with their numbers among equal ones.
fn numbered(plan: &LogicalPlan, name: &str) -> Result<LogicalPlan> {
    let columns = plan.schema().iter().map(Expr::from).collect::<Vec<_>>();
    let number = row_number().partition_by(columns).build()?.alias(name);
    LogicalPlanBuilder::from(plan.clone()).window(vec![number])?.build()
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// The rule that numbers them.
pub(crate) fn rule() -> Arc<dyn AnalyzerRule + Send + Sync> {
    Arc::new(Copies)
}
