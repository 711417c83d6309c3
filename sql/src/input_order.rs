//! `array_agg(x) FROM (SELECT … ORDER BY …) s` gathers in the order of its sub-query, as in PostgreSQL: for
//! DataFusion rows that an aggregate reads have no order.
//!
//! An analyzer rule writes the sub-query's order into the aggregates that keep one. Sub-queries of each row
//! lose an order that says nothing, as DataFusion takes no condition out of a sort.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, Filter, Limit, LogicalPlan, Projection, SortExpr, Subquery,
    SubqueryAlias,
};
use datafusion::optimizer::AnalyzerRule;

/// What the columns begin with that a sub-query is ordered by and does not list.
const KEY: &str = "__order_";

/// The rule.
#[derive(Debug)]
pub(crate) struct InputOrder;

impl AnalyzerRule for InputOrder {
    fn name(&self) -> &str {
        "input_order"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = plan.transform_up_with_subqueries(|plan| {
            let ordered = match &plan {
                LogicalPlan::Aggregate(aggregate) => ordered(aggregate)?,
                _ => None,
            };
            Ok(match ordered {
                Some(ordered) => Transformed::yes(ordered),
                None => Transformed::no(plan),
            })
        })?;
        let plan = plan.data.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Subquery(subquery) => {
                Ok(unordered(subquery)?.update_data(LogicalPlan::Subquery))
            }
            other => other.map_expressions(|expr| expr.transform_up(without_orders)),
        })?;
        Ok(plan.data)
    }
}

/// The aggregate with the order of its input in those functions that keep one and are given none.
fn ordered(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let mut has_any = false;
    for expr in &aggregate.aggr_expr {
        has_any |= expr.exists(|expr| Ok(keeps_order(expr)))?;
    }
    if !has_any {
        return Ok(None);
    }
    let Some((input, order)) = order_of(&aggregate.input)? else { return Ok(None) };
    let names = NamePreserver::new(&LogicalPlan::Aggregate(aggregate.clone()));
    let mut values = Vec::new();
    for value in &aggregate.aggr_expr {
        let name = names.save(value);
        let value = value.clone().transform_up(|expr| {
            let is_one = keeps_order(&expr);
            Ok(match expr {
                Expr::AggregateFunction(mut call) if is_one => {
                    call.params.order_by = order.clone();
                    Transformed::yes(Expr::AggregateFunction(call))
                }
                other => Transformed::no(other),
            })
        })?;
        values.push(name.restore(value.data));
    }
    let aggregate = Aggregate::try_new(Arc::new(input), aggregate.group_expr.clone(), values)?;
    Ok(Some(LogicalPlan::Aggregate(aggregate)))
}

fn keeps_order(expr: &Expr) -> bool {
    let Expr::AggregateFunction(call) = expr else { return false };
    matches!(call.func.name(), "array_agg" | "string_agg")
        && call.params.order_by.is_empty()
        && !call.params.distinct
}

/// What the rows of `plan` are ordered by, and the plan with columns for that; `None` where they have no order.
fn order_of(plan: &LogicalPlan) -> Result<Option<(LogicalPlan, Vec<SortExpr>)>> {
    Ok(match plan {
        LogicalPlan::Sort(sort) => Some((plan.clone(), sort.expr.clone())),
        LogicalPlan::Filter(filter) => match order_of(&filter.input)? {
            Some((input, order)) => {
                let filter = Filter::try_new(filter.predicate.clone(), Arc::new(input))?;
                Some((LogicalPlan::Filter(filter), order))
            }
            None => None,
        },
        LogicalPlan::Limit(limit) => order_of(&limit.input)?.map(|(input, order)| {
            let limit = Limit { input: Arc::new(input), ..limit.clone() };
            (LogicalPlan::Limit(limit), order)
        }),
        LogicalPlan::SubqueryAlias(alias) => match order_of(&alias.input)? {
            Some((input, order)) => Some(renamed(alias, input, order)?),
            None => None,
        },
        LogicalPlan::Projection(projection) => match order_of(&projection.input)? {
            Some((input, order)) => Some(listed(projection, input, order)?),
            None => None,
        },
        _ => None,
    })
}

/// The sub-query under its name, with the order's columns under that as well.
fn renamed(
    alias: &SubqueryAlias,
    input: LogicalPlan,
    order: Vec<SortExpr>,
) -> Result<(LogicalPlan, Vec<SortExpr>)> {
    let known = Arc::clone(input.schema());
    let renamed = SubqueryAlias::try_new(Arc::new(input), alias.alias.clone())?;
    let mut keys = Vec::new();
    for SortExpr { expr, asc, nulls_first } in order {
        let key = expr.transform_up(|expr| {
            let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
            let place = known.index_of_column(column)?;
            Ok(Transformed::yes(Expr::from(renamed.schema.qualified_field(place))))
        })?;
        keys.push(SortExpr { expr: key.data, asc, nulls_first });
    }
    Ok((LogicalPlan::SubqueryAlias(renamed), keys))
}

/// The columns of `projection`, and those of the order that are not among them.
fn listed(
    projection: &Projection,
    input: LogicalPlan,
    order: Vec<SortExpr>,
) -> Result<(LogicalPlan, Vec<SortExpr>)> {
    let mut columns = projection.expr.clone();
    let mut places = Vec::new();
    for key in &order {
        let listed = columns.iter().position(|column| column.clone().unalias() == key.expr);
        places.push(listed.unwrap_or(columns.len()));
        if listed.is_none() {
            columns.push(key.expr.clone().alias(format!("{KEY}{}", columns.len())));
        }
    }
    let listed = Projection::try_new(columns, Arc::new(input))?;
    let keys = order.into_iter().zip(places).map(|(key, place)| {
        let expr = Expr::from(listed.schema.qualified_field(place));
        SortExpr { expr, ..key }
    });
    let keys = keys.collect();
    Ok((LogicalPlan::Projection(listed), keys))
}

fn without_orders(expr: Expr) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::ScalarSubquery(subquery) => unordered(subquery)?.update_data(Expr::ScalarSubquery),
        Expr::Exists(Exists { subquery, negated }) => {
            unordered(subquery)?.update_data(|subquery| Expr::Exists(Exists { subquery, negated }))
        }
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => unordered(subquery)?
            .update_data(|subquery| Expr::InSubquery(InSubquery { expr, subquery, negated })),
        other => Transformed::no(other),
    })
}

/// A sub-query of each row without the orders that no limit needs.
fn unordered(subquery: Subquery) -> Result<Transformed<Subquery>> {
    if subquery.outer_ref_columns.is_empty() {
        return Ok(Transformed::no(subquery));
    }
    let Subquery { subquery, outer_ref_columns, spans } = subquery;
    let plan = Arc::unwrap_or_clone(subquery).transform_down(|plan| match plan {
        LogicalPlan::Limit(_) | LogicalPlan::Distinct(Distinct::On(_)) => {
            Ok(Transformed::new(plan, false, TreeNodeRecursion::Jump))
        }
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
            Ok(Transformed::yes(Arc::unwrap_or_clone(sort.input)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(plan.update_data(|plan| Subquery { subquery: Arc::new(plan), outer_ref_columns, spans }))
}

/// The rule, ready for a session's state.
pub(crate) fn rule() -> Arc<dyn AnalyzerRule + Send + Sync> {
    Arc::new(InputOrder)
}
