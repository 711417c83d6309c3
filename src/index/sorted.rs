//! The planner's last rule: a search whose rows are sorted by their distance and nothing else sorts them itself.
//!
//! It has the vectors at hand, which are as large as everything else together; so they are read into a batch only
//! if something above the sort wants them.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{FieldRef, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::Partitioning;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::repartition::RepartitionExec;

use super::conditions::is_immutable;
use super::distance::Distance;
use super::nearest_sort::NearestSort;
use super::node::VectorScan;
use super::plan::through;

/// Puts sorts into the searches below them.
#[derive(Debug)]
pub struct SortInSearches;

impl PhysicalOptimizerRule for SortInSearches {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = plan.transform_down(|plan| {
            let above = plan.downcast_ref::<ProjectionExec>();
            let found = match above {
                Some(projection) => found(projection.input())?,
                None => found(&plan)?,
            };
            Ok(match found {
                Some(found) => Transformed::yes(found.sorted(above)?),
                None => Transformed::no(plan),
            })
        })?;
        Ok(plan.data)
    }

    fn name(&self) -> &'static str {
        "sort_in_searches"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A search whose rows are sorted by their distance alone.
struct Found<'a> {
    search: &'a VectorScan,
    /// The first so many of its rows come out of the sort.
    fetch: usize,
    /// The distance is one of the column from the query, not the other way round.
    is_first: bool,
    /// Above the sort: rows that are left out, and how many come then.
    limit: Option<(usize, Option<usize>)>,
    /// The columns of the plan over those of the search.
    columns: Vec<ProjectionExpr>,
}

/// The search in a plan of a sort, perhaps with a limit above it and with projections below it.
fn found(plan: &Arc<dyn ExecutionPlan>) -> Result<Option<Found<'_>>> {
    if let Some(limit) = plan.downcast_ref::<GlobalLimitExec>() {
        let inner = found(limit.input())?.filter(|found| found.limit.is_none());
        let limit = Some((limit.skip(), limit.fetch()));
        return Ok(inner.map(|inner| Found { limit, ..inner }));
    }
    let Some(sort) = plan.downcast_ref::<NearestSort>() else { return Ok(None) };
    let [term] = sort.order().as_ref() else { return Ok(None) };
    let mut columns = as_they_are(&plan.schema());
    let mut distance = Arc::clone(&term.expr);
    let mut below = sort.input();
    let search = loop {
        if let Some(search) = below.downcast_ref::<VectorScan>() {
            break search;
        } else if let Some(projection) = below.downcast_ref::<ProjectionExec>() {
            for projected in projection.expr() {
                // It would be computed once for each place that it is read in.
                if !is_immutable(&projected.expr)? {
                    return Ok(None);
                }
            }
            columns = over(&columns, projection.expr())?;
            distance = through(distance, projection.expr())?;
            below = projection.input();
        } else if is_handing_on(below)
            && let [child] = below.children()[..]
        {
            below = child;
        } else {
            return Ok(None);
        }
    };
    // The distances of halves are not those of the column's own values.
    let distance = Distance::read(&distance, term.options.descending)
        .filter(|distance| distance.halfvec.is_none());
    let fetch = sort.fetch();
    Ok(distance.map(|Distance { is_first, .. }| Found {
        search,
        fetch,
        is_first,
        limit: None,
        columns,
    }))
}

/// Whether the rows of a node are those of its input, which for a few rows might as well be read from that.
fn is_handing_on(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<CooperativeExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.downcast_ref::<RepartitionExec>().is_some_and(|repartition| {
            matches!(repartition.partitioning(), Partitioning::RoundRobinBatch(_))
        })
}

impl Found<'_> {
    /// The plan with the sort in the search, which reads only what comes out; `above` is a projection over it.
    fn sorted(&self, above: Option<&ProjectionExec>) -> Result<Arc<dyn ExecutionPlan>> {
        let exprs = match above {
            Some(above) => over(above.expr(), &self.columns)?,
            None => self.columns.clone(),
        };
        let read: BTreeSet<usize> = exprs
            .iter()
            .flat_map(|projected| collect_columns(&projected.expr))
            .map(|column| column.index())
            .collect();
        let read: Vec<usize> = read.into_iter().collect();
        let search = Arc::new(self.search.sorted(self.fetch, self.is_first, &read)?);
        // Where the search has its columns, those that are not read are not looked for.
        let mut places = as_they_are(&self.search.schema());
        for (place, column) in as_they_are(&search.schema()).into_iter().zip(&read) {
            places[*column] = place;
        }
        let exprs = over(&exprs, &places)?;
        let mut plan: Arc<dyn ExecutionPlan> = search;
        if let Some((skip, fetch)) = self.limit {
            plan = Arc::new(GlobalLimitExec::new(plan, skip, fetch));
        }
        let is_same = |(place, projected): (usize, &ProjectionExpr)| {
            let column = projected.expr.downcast_ref::<Column>();
            column.is_some_and(|column| column.index() == place && column.name() == projected.alias)
        };
        if exprs.len() == read.len() && exprs.iter().enumerate().all(is_same) {
            return Ok(plan);
        }
        Ok(Arc::new(ProjectionExec::try_new(exprs, plan)?))
    }
}

/// All columns of a schema.
fn as_they_are(schema: &Schema) -> Vec<ProjectionExpr> {
    let column = |(place, field): (usize, &FieldRef)| ProjectionExpr {
        expr: Arc::new(Column::new(field.name(), place)),
        alias: field.name().clone(),
    };
    schema.fields().iter().enumerate().map(column).collect()
}

/// Expressions over the columns that others below them make, over what those are made of.
fn over(exprs: &[ProjectionExpr], below: &[ProjectionExpr]) -> Result<Vec<ProjectionExpr>> {
    let one = |ProjectionExpr { expr, alias }: &ProjectionExpr| {
        Ok(ProjectionExpr { expr: through(Arc::clone(expr), below)?, alias: alias.clone() })
    };
    exprs.iter().map(one).collect()
}
