//! `x IN (CASE …, …)`: DataFusion (55.2) takes a `CASE` with columns for a constant where it plans a list, so that
//! it is NULL, and makes one of `coalesce` and other functions. An analyzer rule compares with those apart from
//! the list.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, disjunction};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

/// The rule.
#[derive(Debug)]
struct Lists;

impl AnalyzerRule for Lists {
    fn name(&self) -> &str {
        "lists"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = plan.transform_up_with_subqueries(|plan| {
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let apart = expr.transform_up(|expr| {
                    Ok(match apart(&expr) {
                        Some(apart) => Transformed::yes(apart),
                        None => Transformed::no(expr),
                    })
                })?;
                Ok(apart.update_data(|expr| name.restore(expr)))
            })
        })?;
        Ok(plan.data)
    }
}

/// A list without such values, and comparisons with those; `None` where there are none.
fn apart(expr: &Expr) -> Option<Expr> {
    let Expr::InList(InList { expr: sought, list, negated }) = expr else { return None };
    let (cases, others): (Vec<&Expr>, Vec<&Expr>) = list.iter().partition(|item| is_case(item));
    if cases.is_empty() || sought.is_volatile() {
        return None;
    }
    let others: Vec<Expr> = others.into_iter().cloned().collect();
    let list =
        (!others.is_empty()).then(|| Expr::InList(InList::new(sought.clone(), others, *negated)));
    let comparisons = cases.into_iter().map(|case| {
        let sought = sought.as_ref().clone();
        if *negated { sought.not_eq(case.clone()) } else { sought.eq(case.clone()) }
    });
    let all = list.into_iter().chain(comparisons);
    if *negated { conjunction(all) } else { disjunction(all) }
}

/// Whether a value of each row is a `CASE`, or may become one.
fn is_case(item: &Expr) -> bool {
    let is_one = |part: &Expr| Ok(matches!(part, Expr::Case(_) | Expr::ScalarFunction(_)));
    item.any_column_refs() && item.exists(is_one).unwrap_or(true)
}

/// The rule that takes them apart.
pub(crate) fn rule() -> Arc<dyn AnalyzerRule + Send + Sync> {
    Arc::new(Lists)
}
