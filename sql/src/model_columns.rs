//! `SELECT caption FROM captions ORDER BY embedding <=> embed('…')`: the sort sees the vectors but
//! not the column that names their models. An analyzer rule brings it along, so that the models are
//! checked ([`vigil_udfs::ModelRewrite`]) there as well.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, LogicalPlanBuilder, Sort, SortExpr};
use datafusion::optimizer::AnalyzerRule;
use vigil_udfs::{ModelRewrite, missing_model_column};

/// The rule.
#[derive(Debug, Default)]
struct ModelColumns {
    check: ModelRewrite,
}

/// The rule, ready for a session's state.
pub(crate) fn rule() -> Arc<dyn AnalyzerRule + Send + Sync> {
    Arc::new(ModelColumns::default())
}

impl AnalyzerRule for ModelColumns {
    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = plan.transform_up_with_subqueries(|plan| match &plan {
            LogicalPlan::Sort(sort) => Ok(match self.checked(sort, config)? {
                Some(checked) => Transformed::yes(checked),
                None => Transformed::no(plan),
            }),
            _ => Ok(Transformed::no(plan)),
        })?;
        Ok(plan.data)
    }

    fn name(&self) -> &str {
        "model_columns"
    }
}

impl ModelColumns {
    fn checked(&self, sort: &Sort, config: &ConfigOptions) -> Result<Option<LogicalPlan>> {
        let schema = sort.input.schema();
        let mut missing: Vec<Column> = Vec::new();
        for SortExpr { expr, .. } in &sort.expr {
            expr.apply(|part| {
                missing.extend(missing_model_column(part, schema));
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        if missing.is_empty() {
            return Ok(None);
        }
        let mut input = sort.input.as_ref().clone();
        for column in &missing {
            let Some(with_column) = with_column(&input, column)? else { return Ok(None) };
            input = with_column;
        }
        let wider = Arc::clone(input.schema());
        let mut order = Vec::with_capacity(sort.expr.len());
        for SortExpr { expr, asc, nulls_first } in &sort.expr {
            let expr =
                expr.clone().transform_up(|part| self.check.rewrite(part, &wider, config))?;
            order.push(expr.data.sort(*asc, *nulls_first));
        }
        let columns: Vec<Expr> = schema.iter().map(Expr::from).collect();
        let sorted = LogicalPlanBuilder::from(input).sort_with_limit(order, sort.fetch)?;
        sorted.project(columns)?.build().map(Some)
    }
}

/// The plan with a column of what is below it; `None` where it cannot be had.
fn with_column(plan: &LogicalPlan, column: &Column) -> Result<Option<LogicalPlan>> {
    if plan.schema().has_column(column) {
        return Ok(Some(plan.clone()));
    }
    match plan {
        LogicalPlan::Projection(projection) => {
            let Some(input) = with_column(&projection.input, column)? else { return Ok(None) };
            let all = projection.expr.iter().cloned().chain([Expr::Column(column.clone())]);
            LogicalPlanBuilder::from(input).project(all.collect::<Vec<_>>())?.build().map(Some)
        }
        LogicalPlan::Filter(filter) => {
            let Some(input) = with_column(&filter.input, column)? else { return Ok(None) };
            let filter = Filter::try_new(filter.predicate.clone(), Arc::new(input))?;
            Ok(Some(LogicalPlan::Filter(filter)))
        }
        _ => Ok(None),
    }
}
