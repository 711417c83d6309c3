//! `x IN (CASE …, …)`: DataFusion (55.2) takes a `CASE` with columns for a constant where it plans a list, so that
//! it is NULL, and makes one of `coalesce` and its like. An analyzer rule compares with those apart from
//! the list.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, binary_expr};
use datafusion::optimizer::AnalyzerRule;

use crate::session::is_volatile;

/// Functions that DataFusion's optimizer makes a `CASE` of.
const BECOME_CASES: [&str; 5] = ["coalesce", "nvl", "ifnull", "nvl2", "nullif"];

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
    if cases.is_empty() || is_volatile(sought) {
        return None;
    }
    let others: Vec<Expr> = others.into_iter().cloned().collect();
    let list =
        (!others.is_empty()).then(|| Expr::InList(InList::new(sought.clone(), others, *negated)));
    let comparisons = cases.into_iter().map(|case| {
        let sought = sought.as_ref().clone();
        if *negated { sought.not_eq(case.clone()) } else { sought.eq(case.clone()) }
    });
    let all = list.into_iter().chain(comparisons).collect();
    joined(all, if *negated { Operator::And } else { Operator::Or })
}

/// All parts, by halves: a long list makes no deep chain.
fn joined(mut parts: Vec<Expr>, operator: Operator) -> Option<Expr> {
    while parts.len() > 1 {
        let mut halves = Vec::with_capacity(parts.len().div_ceil(2));
        let mut rest = parts.into_iter();
        while let Some(left) = rest.next() {
            halves.push(match rest.next() {
                Some(right) => binary_expr(left, operator, right),
                None => left,
            });
        }
        parts = halves;
    }
    parts.pop()
}

/// Whether a value of each row, or of each of an outer query, is a `CASE` or becomes one.
fn is_case(item: &Expr) -> bool {
    let is_one = |part: &Expr| match part {
        Expr::Case(_) => true,
        Expr::ScalarFunction(call) => BECOME_CASES.contains(&call.name()),
        _ => false,
    };
    (item.any_column_refs() || item.contains_outer())
        && item.exists(|part| Ok(is_one(part))).unwrap_or(true)
}

/// The rule that takes them apart.
pub(crate) fn rule() -> Arc<dyn AnalyzerRule + Send + Sync> {
    Arc::new(Lists)
}
