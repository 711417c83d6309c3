//! `x IN (SELECT y …)` as a value: true, false, or NULL where a NULL may be what is looked for.
//!
//! DataFusion knows it as a condition of `WHERE` that lets rows through or does not, and takes NULL for
//! false where it stands within another expression. So there it becomes columns of the input: whether
//! the value was found, and how many values and how many that are not NULL there are. Of a sub-query of
//! each row the answer is an aggregate over pairs.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, ScalarValue, TableReference};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{bool_or, count};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, lit, when,
};

use super::pairs::Pairs;
use super::presence::{self, Presence};
use super::{has_subquery, with_values};
use crate::session::is_volatile;

/// What the columns begin with that are made here.
const MEMBER: &str = "__member_";
/// The column that DataFusion's mark join adds.
const MARK: &str = "mark";

/// A node whose `IN (SELECT …)` and `EXISTS` are columns of its input; `None` where it has none of those that
/// are done here.
pub(super) fn rewrite(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let inputs = plan.inputs();
    let [input] = inputs.as_slice() else { return Ok(None) };
    let wanted = wanted(plan)?;
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut input = (*input).clone();
    let mut values: Vec<(Expr, Expr)> = Vec::new();
    for question in wanted {
        if values.iter().any(|(known, _)| *known == question) {
            continue;
        }
        let number = values.len();
        let found = match &question {
            Expr::InSubquery(member) => with_value(&input, member, number)?,
            Expr::Exists(exists) => with_presence(plan, &input, exists, number)?,
            _ => None,
        };
        if let Some((with_value, value)) = found {
            input = with_value;
            values.push((question, value));
        }
    }
    if values.is_empty() {
        return Ok(None);
    }
    let rewritten = with_values(plan, input, |expr| match expr {
        Expr::InSubquery(_) | Expr::Exists(_) => {
            values.iter().find(|(known, _)| known == expr).map(|(_, value)| value)
        }
        _ => None,
    })?;
    Ok(Some(rewritten))
}

/// Those of a node that DataFusion answers wrongly or not at all.
fn wanted(plan: &LogicalPlan) -> Result<Vec<Expr>> {
    let mut found = Vec::new();
    match plan {
        LogicalPlan::Filter(filter) => {
            in_condition(&filter.predicate, &mut found)?;
            // Without NULLs there is nothing that DataFusion takes for false.
            found.retain(|question| match question {
                Expr::InSubquery(member) => {
                    may_be_null(member, filter.input.schema()).unwrap_or(true)
                        || is_joined_by_outer(&member.subquery)
                }
                Expr::Exists(exists) => {
                    !presence::is_plain(exists) || is_joined_by_outer(&exists.subquery)
                }
                _ => false,
            });
        }
        LogicalPlan::Projection(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Sort(_) => {
            plan.apply_expressions(|expr| {
                in_value(expr, &mut found)?;
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        _ => {}
    }
    Ok(found)
}

fn in_value(expr: &Expr, found: &mut Vec<Expr>) -> Result<()> {
    expr.apply(|expr| {
        if matches!(expr, Expr::InSubquery(_) | Expr::Exists(_)) {
            found.push(expr.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Those of a condition, of which it counts alone whether it is true. Of `NOT IN` DataFusion's join knows NULLs
/// only as long as both sides are columns, and its optimizer puts constants in their place.
fn in_condition(condition: &Expr, found: &mut Vec<Expr>) -> Result<()> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            in_condition(left, found)?;
            in_condition(right, found)
        }
        Expr::InSubquery(member) if !member.negated && !is_joined_by_outer(&member.subquery) => {
            Ok(())
        }
        Expr::Not(inner) => match inner.as_ref() {
            Expr::InSubquery(member) if member.negated && !is_joined_by_outer(&member.subquery) => {
                Ok(())
            }
            _ => in_value(condition, found),
        },
        other => in_value(other, found),
    }
}

fn may_be_null(member: &InSubquery, schema: &DFSchema) -> Result<bool> {
    let query = member.subquery.subquery.schema();
    let has_null = query.fields().first().is_some_and(|field| field.is_nullable());
    Ok(has_null || member.expr.nullable(schema)?)
}

/// Whether a join within a sub-query has the outer query's columns in its condition, which DataFusion leaves there.
fn is_joined_by_outer(subquery: &Subquery) -> bool {
    fn is_one(plan: &LogicalPlan) -> bool {
        match plan {
            // What a `LATERAL` knows may be of the query that it stands in.
            LogicalPlan::Subquery(_) => false,
            LogicalPlan::Join(_) if plan.contains_outer_reference() => true,
            other => other.inputs().into_iter().any(is_one),
        }
    }
    is_one(&subquery.subquery)
}

fn is_of_each_row(member: &InSubquery) -> bool {
    !member.subquery.subquery.all_out_ref_exprs().is_empty()
}

/// The rows of `input` with columns more, and the value over them; `None` where it cannot be done.
fn with_value(
    input: &LogicalPlan,
    member: &InSubquery,
    number: usize,
) -> Result<Option<(LogicalPlan, Expr)>> {
    let sought = member.expr.as_ref();
    let query = member.subquery.subquery.as_ref();
    if sought.contains_outer() || is_volatile(sought) || has_subquery(sought) {
        return Ok(None);
    }
    let Some(element) = query.schema().iter().next().map(Expr::from) else { return Ok(None) };
    let (plan, value) = if is_of_each_row(member) {
        let answer = answer(query, outer_reference(sought, input.schema())?.eq(element))?;
        match of_each_row(input, &answer, number)? {
            Some(found) => found,
            None => return Ok(None),
        }
    } else if !sought.any_column_refs() {
        let answer = answer(query, sought.clone().eq(element))?;
        let name = format!("{MEMBER}{number}");
        beside(input, named(answer, &name)?, name)?
    } else {
        marked(input, member, element, number)?
    };
    Ok(Some((plan, if member.negated { !value } else { value })))
}

/// The same for a sub-query that is asked for rows.
fn with_presence(
    plan: &LogicalPlan,
    input: &LogicalPlan,
    exists: &Exists,
    number: usize,
) -> Result<Option<(LogicalPlan, Expr)>> {
    let (rows, skipped) = match presence::presence(&exists.subquery.subquery)? {
        Presence::Always => return Ok(Some((input.clone(), lit(!exists.negated)))),
        Presence::Never => return Ok(Some((input.clone(), lit(exists.negated)))),
        Presence::MoreThan(rows, skipped) => (*rows, skipped),
    };
    let name = format!("{MEMBER}{number}");
    let (with_value, value) = match plan {
        LogicalPlan::Filter(_) if skipped == 0 && !is_joined_by_outer(&exists.subquery) => {
            let subquery = presence::asked(rows, exists);
            (input.clone(), Expr::Exists(Exists { subquery, negated: false }))
        }
        LogicalPlan::Filter(_) | LogicalPlan::Projection(_) => {
            let counted = presence::counted(rows, skipped, &name)?;
            (input.clone(), Expr::ScalarSubquery(presence::asked(counted, exists)))
        }
        _ => {
            let counted = presence::counted(rows, skipped, &name)?;
            if counted.all_out_ref_exprs().is_empty() {
                beside(input, counted, name)?
            } else {
                match of_each_row(input, &counted, number)? {
                    Some(found) => found,
                    None => return Ok(None),
                }
            }
        }
    };
    Ok(Some((with_value, if exists.negated { !value } else { value })))
}

/// The rows of `input` with the one row of `answer`, whose column has this name.
fn beside(input: &LogicalPlan, answer: LogicalPlan, name: String) -> Result<(LogicalPlan, Expr)> {
    let plan = LogicalPlanBuilder::from(input.clone()).cross_join(answer)?.build()?;
    Ok((plan, Expr::Column(Column::new_unqualified(name))))
}

/// `sought` as a query of each row sees it.
fn outer_reference(sought: &Expr, schema: &DFSchema) -> Result<Expr> {
    let outer = sought.clone().transform_up(|expr| {
        let Expr::Column(column) = expr else { return Ok(Transformed::no(expr)) };
        let (_, field) = schema.qualified_field_from_column(&column)?;
        Ok(Transformed::yes(Expr::OuterReferenceColumn(Arc::clone(field), column)))
    })?;
    Ok(outer.data)
}

/// One row that says whether `is_it` is true of a row of `query`: NULL where it is of none and NULL of one.
fn answer(query: &LogicalPlan, is_it: Expr) -> Result<LogicalPlan> {
    let column = |name: &str| Expr::Column(Column::new_unqualified(format!("{MEMBER}{name}")));
    let name = |name: &str| format!("{MEMBER}{name}");
    let found = when(column("found"), lit(true))
        .when(column("rows").not_eq(column("known")), lit(ScalarValue::Boolean(None)))
        .otherwise(lit(false))?;
    LogicalPlanBuilder::from(query.clone())
        .project(vec![is_it.alias(name("is_it"))])?
        .aggregate(
            Vec::<Expr>::new(),
            vec![
                bool_or(column("is_it")).alias(name("found")),
                count(lit(1_i64)).alias(name("rows")),
                count(column("is_it")).alias(name("known")),
            ],
        )?
        .project(vec![found.alias(name("answer"))])?
        .build()
}

/// The query with its one column under another name.
fn named(query: LogicalPlan, name: &str) -> Result<LogicalPlan> {
    let columns = query.schema().iter().map(|column| Expr::from(column).alias(name));
    let columns = columns.collect::<Vec<_>>();
    LogicalPlanBuilder::from(query).project(columns)?.build()
}

/// The rows of `input`, each with its own answer; `None` where that depends on more than the row.
fn of_each_row(
    input: &LogicalPlan,
    answer: &LogicalPlan,
    number: usize,
) -> Result<Option<(LogicalPlan, Expr)>> {
    let is_known = |expr: &Expr| match expr {
        Expr::OuterReferenceColumn(_, column) => input.schema().has_column(column),
        _ => false,
    };
    if !answer.all_out_ref_exprs().iter().all(is_known) {
        return Ok(None);
    }
    let pairs = Pairs::new(input, answer, false)?;
    let Some(lifted) = pairs.lift(answer)? else { return Ok(None) };
    let name = format!("{MEMBER}{number}");
    let value = answer.schema().iter().map(|column| Expr::from(column).alias(&name));
    let all = pairs.outer().chain(value).collect::<Vec<_>>();
    let plan = LogicalPlanBuilder::from(lifted).project(all)?.build()?;
    Ok(Some((plan, Expr::Column(Column::new_unqualified(name)))))
}

/// The rows of `input`, each with whether `sought` is among the values of `query`, and with how many those
/// are where that matters.
fn marked(
    input: &LogicalPlan,
    member: &InSubquery,
    element: Expr,
    number: usize,
) -> Result<(LogicalPlan, Expr)> {
    let sought = member.expr.as_ref();
    let name = |what: &str| format!("{MEMBER}{what}_{number}");
    let column = |what: &str| Expr::Column(Column::new_unqualified(name(what)));
    let table = TableReference::bare(name("of"));
    let list = LogicalPlanBuilder::from(member.subquery.subquery.as_ref().clone())
        .project(vec![element.alias(name("element"))])?
        .alias(table.clone())?
        .build()?;
    let element = Expr::Column(Column::new(Some(table.clone()), name("element")));
    let mark = Expr::Column(Column::new(Some(table), MARK));
    let mut columns: Vec<Expr> = input.schema().iter().map(Expr::from).collect();
    columns.push(mark.alias(name("found")));
    let plan = LogicalPlanBuilder::from(input.clone())
        .join_on(list.clone(), JoinType::LeftMark, [sought.clone().eq(element.clone())])?
        .project(columns)?;
    if !may_be_null(member, input.schema())? {
        return Ok((plan.build()?, column("found")));
    }
    let counts = LogicalPlanBuilder::from(list)
        .aggregate(
            Vec::<Expr>::new(),
            vec![count(lit(1_i64)).alias(name("rows")), count(element).alias(name("known"))],
        )?
        .build()?;
    let is_unknown = sought.clone().is_null().or(column("rows").not_eq(column("known")));
    let value = when(column("found"), lit(true))
        .when(column("rows").eq(lit(0_i64)), lit(false))
        .when(is_unknown, lit(ScalarValue::Boolean(None)))
        .otherwise(lit(false))?;
    Ok((plan.cross_join(counts)?.build()?, value))
}
