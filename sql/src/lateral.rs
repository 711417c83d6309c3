//! Sub-queries of each row that DataFusion does not plan: `LATERAL (SELECT … ORDER BY a.v <=> b.v LIMIT k)`,
//! the nearest rows of each row, and others that limit, count by more than equality, or make values of the
//! outer row.
//!
//! An analyzer rule makes one query of it: the rows of the left side get numbers, the sub-query's
//! operators work on pairs of a row and a row of the sub-query ([`pairs`]), its limit becomes a rank within
//! the number and its aggregates are of each number. The answers are right as they are; an engine with an
//! index may put a search for each row in the place of the join of all pairs, below the rank. A sub-query
//! that stands for a value is done the same way ([`scalar`]), and so are `IN (SELECT …)`
//! ([`members`]) and `EXISTS` ([`presence`]).

mod apart;
mod members;
mod pairs;
mod presence;
mod scalar;
mod single;

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRewriter};
use datafusion::common::{ScalarValue, TableReference, not_impl_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    BinaryExpr, Expr, Filter, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, Subquery,
    SubqueryAlias,
};
use datafusion::optimizer::AnalyzerRule;

use self::pairs::Pairs;
use crate::session::is_volatile;

/// The column with a row's rank among those of one row: a filter of it lets the ranks of an
/// `OFFSET` and a `LIMIT` through, as literals of `UInt64`.
pub const RANK: &str = "__lateral_rank";

/// The rule.
#[derive(Debug)]
pub(crate) struct NearestOfEach;

impl AnalyzerRule for NearestOfEach {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = plan.transform_down_with_subqueries(|plan| {
            let rewritten = match &plan {
                LogicalPlan::Filter(filter) => filtered_first(filter)?,
                _ => None,
            };
            Ok(changed(plan, rewritten))
        })?;
        let plan = plan.data.transform_up_with_subqueries(|plan| {
            let settled = plan.map_subqueries(settled_within)?;
            let rewritten = members::rewrite(&settled.data)?;
            let is_settled = settled.transformed;
            let mut plan = changed(settled.data, rewritten);
            plan.transformed |= is_settled;
            Ok(plan)
        })?;
        let plan = if plan.transformed { recomputed(plan.data)? } else { plan };
        let plan = plan.data.rewrite_with_subqueries(&mut Settling::default())?;
        // What is left is DataFusion's.
        Ok(plan.data.transform_up_with_subqueries(apart::told_apart)?.data)
    }

    fn name(&self) -> &str {
        "nearest_of_each"
    }
}

fn changed(plan: LogicalPlan, rewritten: Option<LogicalPlan>) -> Transformed<LogicalPlan> {
    match rewritten {
        Some(rewritten) => Transformed::yes(rewritten),
        None => Transformed::no(plan),
    }
}

/// The plan's schemas as they are after changes: what was never NULL may be it now.
fn recomputed(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up_with_subqueries(|plan| plan.recompute_schema().map(Transformed::yes))
}

/// A sub-query of each row that a join has on its right, and its name.
type OfEachRow<'a> = (&'a LogicalPlan, Option<&'a TableReference>);

/// A node whose sub-queries of each row are joins; `chosen` says which of those that a join has.
fn lifted(
    plan: LogicalPlan,
    chosen: impl Fn(&Join) -> Result<Option<OfEachRow<'_>>>,
) -> Result<Transformed<LogicalPlan>> {
    let rewritten = match &plan {
        LogicalPlan::Join(join) => match chosen(join)? {
            Some(subquery) => rewrite(join, subquery)?,
            None => None,
        },
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Window(_) => scalar::rewrite(&plan)?,
        _ => None,
    };
    Ok(changed(plan, rewritten))
}

/// A sub-query whose own `LATERAL`s are joins, so that the outer columns that it still has are those of the
/// query around it: by their names alone they may be columns of both. `None` where it has none.
fn settled(subquery: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let has_one =
        |node: &LogicalPlan| Ok(matches!(node, LogicalPlan::Join(join) if is_lateral(join)));
    if !subquery.exists(has_one)? {
        return Ok(None);
    }
    let plan = recomputed(subquery.clone())?.data;
    let mut settling = Settling { depth: 1, ..Settling::default() };
    Ok(Some(plan.rewrite_with_subqueries(&mut settling)?.data))
}

/// Makes joins of sub-queries of each row, from the inside out: of `LATERAL`s that are within another sub-query all.
#[derive(Default)]
struct Settling {
    /// Sub-queries around the node.
    depth: usize,
    /// For each node on the way whether it is a join whose right side reads its left one, which can be told only
    /// while the `LATERAL`s in that are what they were.
    reads: Vec<bool>,
}

impl TreeNodeRewriter for Settling {
    type Node = LogicalPlan;

    fn f_down(&mut self, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        self.depth += usize::from(matches!(plan, LogicalPlan::Subquery(_)));
        self.reads.push(matches!(&plan, LogicalPlan::Join(join) if is_lateral(join)));
        Ok(Transformed::no(plan))
    }

    fn f_up(&mut self, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let reads = self.reads.pop().unwrap_or(false);
        self.depth -= usize::from(matches!(plan, LogicalPlan::Subquery(_)));
        let plan = match &plan {
            LogicalPlan::Join(join) => without_subquery(join)?.unwrap_or(plan),
            _ => plan,
        };
        let settled = lifted(plan, |join| match lateral(join) {
            Some(_) if self.depth == 0 => of_each_row(join),
            Some(found) => Ok(reads.then_some(found)),
            None => Ok(reads.then_some((join.right.as_ref(), None))),
        })?;
        if reads
            && !settled.transformed
            && matches!(&settled.data, LogicalPlan::Join(join) if lateral(join).is_none())
        {
            return not_impl_err!("a LATERAL in parentheses of this form");
        }
        Ok(settled)
    }
}

/// A join with a sub-query on its right that reads nothing of outside any more: with its rows there.
fn without_subquery(join: &Join) -> Result<Option<LogicalPlan>> {
    let Some((subquery, alias)) = lateral(join) else { return Ok(None) };
    if is_correlated(subquery)? {
        return Ok(None);
    }
    let right = match alias {
        Some(alias) => LogicalPlanBuilder::from(subquery.clone()).alias(alias.clone())?.build()?,
        None => subquery.clone(),
    };
    Ok(Some(LogicalPlan::Join(Join { right: Arc::new(right), ..join.clone() })))
}

/// The same of a sub-query that is a part of an expression.
fn settled_within(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Subquery(subquery) = plan else { return Ok(Transformed::no(plan)) };
    Ok(match settled(&subquery.subquery)? {
        Some(plan) => Transformed::yes(LogicalPlan::Subquery(Subquery {
            outer_ref_columns: plan.all_out_ref_exprs(),
            subquery: Arc::new(plan),
            ..subquery
        })),
        None => Transformed::no(LogicalPlan::Subquery(subquery)),
    })
}

/// Conditions of the left side alone, below its rows' numbers instead of above the join: no other
/// rule takes them there, and rows that do not fulfil them need no search.
fn filtered_first(filter: &Filter) -> Result<Option<LogicalPlan>> {
    let LogicalPlan::Join(join) = filter.input.as_ref() else { return Ok(None) };
    if of_each_row(join)?.is_none() {
        return Ok(None);
    }
    let is_of_left = |condition: &Expr| {
        let mut columns = condition.column_refs().into_iter();
        columns.all(|column| join.left.schema().has_column(column))
            && !is_volatile(condition)
            && !condition.contains_outer()
            && !has_subquery(condition)
    };
    let (of_left, others): (Vec<Expr>, Vec<Expr>) =
        split_conjunction_owned(filter.predicate.clone()).into_iter().partition(is_of_left);
    let Some(of_left) = conjunction(of_left) else { return Ok(None) };
    let left = LogicalPlanBuilder::from(join.left.as_ref().clone()).filter(of_left)?.build()?;
    let join = LogicalPlan::Join(Join { left: Arc::new(left), ..join.clone() });
    match conjunction(others) {
        Some(others) => LogicalPlanBuilder::from(join).filter(others)?.build().map(Some),
        None => Ok(Some(join)),
    }
}

/// Whether a sub-query is in an expression.
pub(crate) fn has_subquery(expr: &Expr) -> bool {
    let is_one = |expr: &Expr| {
        Ok(matches!(
            expr,
            Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::ScalarSubquery(_)
                | Expr::SetComparison(_)
        ))
    };
    expr.exists(is_one).unwrap_or(true)
}

/// The node over `input`, which has the values of sub-queries as columns: those stand where the sub-queries
/// stood, and the columns of the node are the ones that it had.
fn with_values<'a>(
    plan: &LogicalPlan,
    input: LogicalPlan,
    value: impl Fn(&Expr) -> Option<&'a Expr>,
) -> Result<LogicalPlan> {
    let names_columns = matches!(
        plan,
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_)
    );
    let names = NamePreserver::new(plan);
    let mut exprs = Vec::new();
    for expr in plan.expressions() {
        let name = names.save(&expr);
        let replaced = expr.transform_up(|expr| {
            Ok(match value(&expr) {
                Some(value) => Transformed::yes(value.clone()),
                None => Transformed::no(expr),
            })
        })?;
        exprs.push(if names_columns { name.restore(replaced.data) } else { replaced.data });
    }
    let rewritten = plan.with_new_exprs(exprs, vec![input])?;
    match rewritten {
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) => Ok(rewritten),
        // What has the columns of its input has more of them now.
        other => {
            let columns = plan.schema().iter().map(Expr::from).collect::<Vec<_>>();
            LogicalPlanBuilder::from(other).project(columns)?.build()
        }
    }
}

/// The sub-query that a join has on its right and that may be of each row, and its name.
fn lateral(join: &Join) -> Option<OfEachRow<'_>> {
    let fits = match join.join_type {
        JoinType::Inner => true,
        JoinType::Left => join.filter.as_ref().is_none_or(|on| !has_subquery(on)),
        _ => false,
    };
    if !fits || !join.on.is_empty() {
        return None;
    }
    match join.right.as_ref() {
        LogicalPlan::Subquery(Subquery { subquery, .. }) => Some((subquery, None)),
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, alias, .. }) => match input.as_ref() {
            LogicalPlan::Subquery(Subquery { subquery, .. }) => Some((subquery, Some(alias))),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a `LATERAL` on the right of a join, or among joins there, reads its left side.
fn is_lateral(join: &Join) -> bool {
    let subquery = match lateral(join) {
        Some((subquery, _)) => subquery,
        None if join.on.is_empty()
            && matches!(join.join_type, JoinType::Inner | JoinType::Left)
            && has_lateral(&join.right) =>
        {
            join.right.as_ref()
        }
        None => return false,
    };
    let is_of_left = |expr: &Expr| match expr {
        Expr::OuterReferenceColumn(_, column) => join.left.schema().has_column(column),
        _ => false,
    };
    subquery.all_out_ref_exprs().iter().any(is_of_left)
}

/// Whether a `LATERAL` is among what joins join.
fn has_lateral(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Join(join) => has_lateral(&join.left) || has_lateral(&join.right),
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => has_lateral(input),
        LogicalPlan::Filter(Filter { input, .. }) => has_lateral(input),
        LogicalPlan::Projection(projection) => has_lateral(&projection.input),
        LogicalPlan::Subquery(_) => true,
        _ => false,
    }
}

/// The sub-query of each row that a join has on its right; `None` for every other join and where DataFusion
/// plans the sub-query itself.
fn of_each_row(join: &Join) -> Result<Option<OfEachRow<'_>>> {
    match lateral(join) {
        Some(found) if exceeds_datafusion(found.0)? => Ok(Some(found)),
        _ => Ok(None),
    }
}

/// The join of rows with a sub-query of each; `None` where it cannot be done.
fn rewrite(join: &Join, (subquery, alias): OfEachRow<'_>) -> Result<Option<LogicalPlan>> {
    let keeps_all = join.join_type == JoinType::Left;
    let pairs = Pairs::new(&join.left, subquery, keeps_all)?;
    let Some(lifted) = pairs.lift(subquery)? else { return Ok(None) };
    let inner = subquery.schema().iter().map(|(qualifier, field)| {
        let column = Expr::from((qualifier, field));
        match alias {
            Some(alias) => column.alias_qualified(Some(alias.clone()), field.name()),
            None => column,
        }
    });
    let all = pairs.columns().chain(inner).collect::<Vec<_>>();
    let mut plan = LogicalPlanBuilder::from(lifted).project(all)?.build()?;
    let on = join.filter.as_ref().filter(|on| !is_true(on));
    if keeps_all && let Some(on) = on {
        plan = pairs.passing(plan, pairs.named(on.clone())?)?;
    }
    let inner = join.right.schema().iter().map(Expr::from);
    let all = pairs.outer().chain(inner).collect::<Vec<_>>();
    let plan = LogicalPlanBuilder::from(plan).project(all)?;
    match on {
        Some(on) if !keeps_all => plan.filter(on.clone())?.build(),
        _ => plan.build(),
    }
    .map(Some)
}

/// Whether a sub-query is of each row of the outer query and of a form that DataFusion does not plan. It
/// takes conditions out of the sub-query, and through an aggregate only those that are equations.
fn exceeds_datafusion(subquery: &LogicalPlan) -> Result<bool> {
    if !is_correlated(subquery)? {
        return Ok(false);
    }
    let is_aggregate = |node: &LogicalPlan| Ok(matches!(node, LogicalPlan::Aggregate(_)));
    // Below a window or a limit a condition says which rows they see; DataFusion takes it above a window.
    let sees_rows =
        |node: &LogicalPlan| Ok(matches!(node, LogicalPlan::Limit(_) | LogicalPlan::Window(_)));
    if subquery.exists(sees_rows)? || subquery.exists(|node| Ok(apart::is_ambiguous(node)))? {
        return Ok(true);
    }
    let has_aggregate = subquery.exists(is_aggregate)?;
    subquery.exists(|node| {
        Ok(match node {
            LogicalPlan::Filter(filter) => {
                let mut conditions = split_conjunction(&filter.predicate).into_iter();
                has_aggregate && conditions.any(|one| one.contains_outer() && !is_equation(one))
            }
            other => other.contains_outer_reference(),
        })
    })
}

/// Whether a condition says that a value of the outer query is one of the inner.
fn is_equation(condition: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else {
        return false;
    };
    let is_inner = |side: &Expr| !side.contains_outer();
    let is_outer = |side: &Expr| side.contains_outer() && !side.any_column_refs();
    is_inner(left) && is_outer(right) || is_outer(left) && is_inner(right)
}

fn is_correlated(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| Ok(node.contains_outer_reference()))
}

fn is_true(condition: &Expr) -> bool {
    matches!(condition, Expr::Literal(ScalarValue::Boolean(Some(true)), _))
}

/// The rule, ready for a session's state.
pub(crate) fn rule() -> Arc<dyn AnalyzerRule + Send + Sync> {
    Arc::new(NearestOfEach)
}
