//! Columns of one name in a sub-query of each row over several tables: `EXISTS (SELECT … FROM frames a JOIN
//! frames b … WHERE a.frame_number < f.frame_number AND b.frame_number > f.frame_number)`.
//!
//! DataFusion (55.2) takes such conditions out of the sub-query and knows its columns by their names alone there. So
//! where it would mistake one for another, they get names of their own below the condition, and those that they
//! had above it.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, not_impl_err};
use datafusion::error::Result;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, LogicalPlanBuilder};

use super::has_subquery;

/// What the names begin with that are given here.
const JOINED: &str = "__joined_";

/// Whether a condition that knows of an outer query would have its columns mistaken for others.
pub(super) fn is_ambiguous(plan: &LogicalPlan) -> bool {
    ambiguous(plan).is_some()
}

/// The filter of such a plan: the plan itself, or the input of columns that have the names of those compared.
fn ambiguous(plan: &LogicalPlan) -> Option<&Filter> {
    let (filter, given) = match plan {
        LogicalPlan::Filter(filter) => (filter, Vec::new()),
        LogicalPlan::Projection(projection) => match projection.input.as_ref() {
            LogicalPlan::Filter(filter) => (filter, given(&projection.expr)),
            _ => return None,
        },
        LogicalPlan::Aggregate(aggregate) => match aggregate.input.as_ref() {
            LogicalPlan::Filter(filter) => (filter, given(&aggregate.group_expr)),
            _ => return None,
        },
        _ => return None,
    };
    let conditions = split_conjunction(&filter.predicate).into_iter();
    let outer = conditions.filter(|condition| condition.contains_outer());
    let compared: Vec<&Column> = outer.flat_map(|condition| condition.column_refs()).collect();
    let is_mistaken = compared.iter().any(|one| {
        let mut others = compared.iter().copied().chain(&given);
        others.any(|other| other.name == one.name && other.relation != one.relation)
    });
    is_mistaken.then_some(filter)
}

/// The columns that a list gives as they are, or under a name.
fn given(list: &[Expr]) -> Vec<Column> {
    let column = |expr: &Expr| match expr {
        Expr::Column(column) => Some(column.clone()),
        Expr::Alias(alias) => Some(Column::new(alias.relation.clone(), &alias.name)),
        _ => None,
    };
    list.iter().filter_map(column).collect()
}

/// The plan with columns that differ in their names where it is such a one.
pub(super) fn told_apart(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let Some(apart) = ambiguous(&plan).map(filtered).transpose()? else {
        return Ok(Transformed::no(plan));
    };
    match &plan {
        LogicalPlan::Filter(_) => Ok(Transformed::yes(apart)),
        _ => plan.with_new_exprs(plan.expressions(), vec![apart]).map(Transformed::yes),
    }
}

/// A filter of columns with names of their own; one with a sub-query in it, which knows them by others, is refused.
fn filtered(filter: &Filter) -> Result<LogicalPlan> {
    if has_subquery(&filter.predicate) {
        return not_impl_err!(
            "a sub-query within a sub-query of each row over columns of one name"
        );
    }
    let schema: &DFSchema = filter.input.schema();
    let name = |place: usize| format!("{JOINED}{place}");
    let joined = |place: usize| Expr::Column(Column::new_unqualified(name(place)));
    let apart = schema.iter().enumerate();
    let apart = apart.map(|(place, column)| Expr::from(column).alias(name(place)));
    let back = schema.iter().enumerate().map(|(place, (qualifier, field))| {
        joined(place).alias_qualified(qualifier.cloned(), field.name())
    });
    let predicate = filter.predicate.clone().transform_up(|expr| {
        let Expr::Column(column) = &expr else { return Ok(Transformed::no(expr)) };
        Ok(Transformed::yes(joined(schema.index_of_column(column)?)))
    })?;
    LogicalPlanBuilder::from(filter.input.as_ref().clone())
        .project(apart.collect::<Vec<_>>())?
        .filter(predicate.data)?
        .project(back.collect::<Vec<_>>())?
        .build()
}
