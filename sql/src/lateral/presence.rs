//! `EXISTS (SELECT …)` where DataFusion answers otherwise than PostgreSQL: it takes the aggregate and the
//! limit out of a sub-query of each row, and knows `EXISTS` in `WHERE` alone.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::Exists;
use datafusion::logical_expr::{
    Distinct, Expr, FetchType, LogicalPlan, LogicalPlanBuilder, SkipType, Subquery, lit,
};

/// The column with the number of rows.
const ROWS: &str = "__member_rows";

/// Whether a sub-query has rows.
pub(super) enum Presence {
    Always,
    Never,
    /// When the plan has more than so many.
    MoreThan(Box<LogicalPlan>, usize),
}

/// Whether a condition of `WHERE` with this `EXISTS` is DataFusion's to answer.
pub(super) fn is_plain(exists: &Exists) -> bool {
    let query = exists.subquery.subquery.as_ref();
    if query.all_out_ref_exprs().is_empty() {
        return true;
    }
    let mut found = query;
    loop {
        found = match found {
            LogicalPlan::Projection(projection) => projection.input.as_ref(),
            LogicalPlan::SubqueryAlias(alias) => alias.input.as_ref(),
            LogicalPlan::Sort(sort) => sort.input.as_ref(),
            LogicalPlan::Distinct(Distinct::All(input)) => input.as_ref(),
            LogicalPlan::Aggregate(aggregate) => return !aggregate.group_expr.is_empty(),
            LogicalPlan::Limit(_) | LogicalPlan::Values(_) | LogicalPlan::EmptyRelation(_) => {
                return false;
            }
            _ => return true,
        };
    }
}

/// One row that says in a column of this name whether the plan has more rows than so many.
pub(super) fn counted(plan: LogicalPlan, skipped: usize, name: &str) -> Result<LogicalPlan> {
    let is_of_each_row = !plan.all_out_ref_exprs().is_empty();
    let found = LogicalPlanBuilder::from(plan);
    let found = if is_of_each_row { found } else { found.limit(0, skipped.checked_add(1))? };
    let skipped = lit(i64::try_from(skipped).unwrap_or(i64::MAX));
    let is_there = Expr::Column(Column::new_unqualified(ROWS)).gt(skipped);
    found
        .aggregate(Vec::<Expr>::new(), vec![count(lit(1_i64)).alias(ROWS)])?
        .project(vec![is_there.alias(name)])?
        .build()
}

/// `plan` as the sub-query that `exists` asks.
pub(super) fn asked(plan: LogicalPlan, exists: &Exists) -> Subquery {
    Subquery {
        outer_ref_columns: plan.all_out_ref_exprs(),
        subquery: Arc::new(plan),
        spans: exists.subquery.spans.clone(),
    }
}

/// Whether `plan` has rows, as far as that can be told without a look at them.
pub(super) fn presence(plan: &LogicalPlan) -> Result<Presence> {
    let known = |is_there: bool| if is_there { Presence::Always } else { Presence::Never };
    Ok(match plan {
        LogicalPlan::Projection(projection) => presence(&projection.input)?,
        LogicalPlan::SubqueryAlias(alias) => presence(&alias.input)?,
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => presence(&sort.input)?,
        LogicalPlan::Distinct(Distinct::All(input)) => presence(input)?,
        LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => Presence::Always,
        LogicalPlan::EmptyRelation(relation) => known(relation.produce_one_row),
        LogicalPlan::Values(values) => known(!values.values.is_empty()),
        LogicalPlan::Limit(limit) => match (limit.get_skip_type()?, limit.get_fetch_type()?) {
            (_, FetchType::Literal(Some(0))) => Presence::Never,
            (SkipType::Literal(0), FetchType::Literal(_)) => presence(&limit.input)?,
            (SkipType::Literal(skipped), FetchType::Literal(_)) => {
                Presence::MoreThan(Box::new(rows(&limit.input).clone()), skipped)
            }
            _ => Presence::MoreThan(Box::new(plan.clone()), 0),
        },
        other => Presence::MoreThan(Box::new(other.clone()), 0),
    })
}

/// As many rows, without what makes their columns and their order.
fn rows(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Projection(projection) => rows(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => rows(&alias.input),
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => rows(&sort.input),
        other => other,
    }
}
