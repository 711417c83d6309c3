//! `(SELECT count(*) FROM b WHERE b.x > a.x)`, `(SELECT … ORDER BY … LIMIT 1)` and `(SELECT name FROM b WHERE
//! b.id = a.id)` as values of each row.

use datafusion::common::Column;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{
    Distinct, Expr, FetchType, LogicalPlan, LogicalPlanBuilder, Subquery, SubqueryAlias,
};

use super::pairs::Pairs;
use super::{exceeds_datafusion, is_correlated, single, with_values};

/// What the columns with the values begin with.
const VALUE: &str = "__lateral_value_of_";

/// A projection, filter, sort, aggregate or window whose sub-queries are columns of its input; `None` where it
/// has none of those that are done here.
pub(super) fn rewrite(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let inputs = plan.inputs();
    let [input] = inputs.as_slice() else { return Ok(None) };
    let mut has_any = false;
    plan.apply_expressions(|expr| {
        has_any |= expr.exists(|expr| Ok(matches!(expr, Expr::ScalarSubquery(_))))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    if !has_any {
        return Ok(None);
    }
    let mut input = (*input).clone();
    let mut found: Vec<(Subquery, Expr)> = Vec::new();
    for expr in plan.expressions() {
        expr.apply(|expr| {
            if let Expr::ScalarSubquery(subquery) = expr
                && !found.iter().any(|(known, _)| known == subquery)
                && let Some(with_value) = with_value(&input, &subquery.subquery, found.len())?
            {
                input = with_value;
                let value = Column::new_unqualified(format!("{VALUE}{}", found.len()));
                found.push((subquery.clone(), Expr::Column(value)));
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    if found.is_empty() {
        return Ok(None);
    }
    let rewritten = with_values(plan, input, |expr| match expr {
        Expr::ScalarSubquery(subquery) => {
            found.iter().find(|(known, _)| known == subquery).map(|(_, value)| value)
        }
        _ => None,
    })?;
    Ok(Some(rewritten))
}

/// The rows of `input` with the value of the sub-query as a column more.
fn with_value(
    input: &LogicalPlan,
    subquery: &LogicalPlan,
    number: usize,
) -> Result<Option<LogicalPlan>> {
    let exceeds = exceeds_datafusion(subquery)?;
    let keeps_all = match rows(subquery)? {
        Rows::One if exceeds => false,
        Rows::AtMostOne if exceeds => true,
        Rows::One | Rows::AtMostOne => return Ok(None),
        Rows::Any => {
            // By equal groups DataFusion does it.
            let is_left = is_grouped(subquery) && !exceeds;
            return match is_correlated(subquery)? && !is_left {
                true => with_single_value(input, subquery, number),
                false => Ok(None),
            };
        }
    };
    let pairs = Pairs::new(input, subquery, keeps_all)?;
    let Some(lifted) = pairs.lift(subquery)? else { return Ok(None) };
    let value = subquery.schema().iter().map(Expr::from);
    let value = value.map(|value| value.alias(format!("{VALUE}{number}")));
    let all = pairs.outer().chain(value).collect::<Vec<_>>();
    LogicalPlanBuilder::from(lifted).project(all)?.build().map(Some)
}

/// The same of a sub-query that may have any number of rows: a second one is an error when it is read.
fn with_single_value(
    input: &LogicalPlan,
    subquery: &LogicalPlan,
    number: usize,
) -> Result<Option<LogicalPlan>> {
    let pairs = Pairs::new(input, subquery, true)?;
    let Some(lifted) = pairs.lift(subquery)? else { return Ok(None) };
    let (counted, place) = pairs.counted(lifted)?;
    let value = subquery.schema().iter().map(Expr::from);
    let value = value.map(|value| {
        single::SINGLE.call(vec![value, place.clone()]).alias(format!("{VALUE}{number}"))
    });
    let all = pairs.outer().chain(value).collect::<Vec<_>>();
    LogicalPlanBuilder::from(counted).project(all)?.build().map(Some)
}

/// Whether the rows of a sub-query are groups.
fn is_grouped(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Aggregate(_) => true,
        LogicalPlan::Projection(projection) => is_grouped(&projection.input),
        LogicalPlan::Filter(filter) => is_grouped(&filter.input),
        LogicalPlan::Sort(sort) => is_grouped(&sort.input),
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => is_grouped(input),
        _ => false,
    }
}

/// How many rows a sub-query has for each row of the outer query.
enum Rows {
    One,
    AtMostOne,
    Any,
}

fn rows(plan: &LogicalPlan) -> Result<Rows> {
    Ok(match plan {
        LogicalPlan::Projection(projection) => rows(&projection.input)?,
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. })
        | LogicalPlan::Distinct(Distinct::All(input)) => rows(input)?,
        LogicalPlan::Sort(sort) => rows(&sort.input)?,
        LogicalPlan::Window(window) => rows(&window.input)?,
        LogicalPlan::Filter(filter) => match rows(&filter.input)? {
            Rows::One | Rows::AtMostOne => Rows::AtMostOne,
            Rows::Any => Rows::Any,
        },
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => Rows::One,
        LogicalPlan::EmptyRelation(relation) if relation.produce_one_row => Rows::One,
        LogicalPlan::Values(values) if values.values.len() == 1 => Rows::One,
        LogicalPlan::Limit(limit) => match limit.get_fetch_type()? {
            FetchType::Literal(Some(0 | 1)) => Rows::AtMostOne,
            _ => Rows::Any,
        },
        _ => Rows::Any,
    })
}
