//! `… FROM captions c JOIN frames f USING (source, frame_number) ORDER BY c.embedding <=> $1 LIMIT k`:
//! the order is above a join, so nobody knows how many of the nearest rows have partners.
//!
//! Rows of such a join are as far as the row of the table with vectors that they are made of, and it
//! gives that table's rows or leaves them out. So if the nearest n rows alone make k rows of the join,
//! those are the nearest k. [`FirstEnough`] has the whole plan several times, over more and more of the
//! nearest rows and at last over all of them, and takes the first that gives enough.

use std::sync::Arc;

use datafusion::common::JoinType;
use datafusion::error::Result;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;

use super::first_enough::FirstEnough;
use super::lateral::substitute;
use super::nearest_sort::NearestSort;
use super::node::has_index;
use super::plan::{UseIndexes, descend};

/// How many times the rows that are wanted are searched for, before all are joined.
const TIMES: [usize; 2] = [4, 64];
/// And how many at least.
const LEAST: usize = 64;
/// Nobody searches for more than so many: they would be joined as fast without.
const MOST: usize = 20_000;

/// The table below the joins.
struct Side<'a> {
    /// Which child it is, from the top down.
    path: Vec<usize>,
    plan: &'a Arc<dyn ExecutionPlan>,
    /// The order's term over the columns of `plan`.
    distance: Arc<dyn PhysicalExpr>,
}

impl UseIndexes {
    /// What is to be in the place of a sort above a join; `None` when it is not such a sort, or no
    /// index fits.
    pub(super) fn above_join(&self, sort: &SortExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        // More terms would decide among rows that are equally far, of which a search leaves some out.
        let (Some(k), 1) = (sort.fetch(), sort.expr().len()) else { return Ok(None) };
        let first = sort.expr().first();
        let Some(side) = below_joins(sort.input(), Arc::clone(&first.expr))? else {
            return Ok(None);
        };
        let mut tiers: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        let mut numbers = Vec::new();
        for times in TIMES {
            let wanted = k.saturating_mul(times).max(LEAST);
            if wanted > MOST {
                break;
            }
            let term = PhysicalSortExpr::new(Arc::clone(&side.distance), first.options);
            let Some(order) = LexOrdering::new([term]) else { return Ok(None) };
            let nearest = SortExec::new(order, Arc::clone(side.plan)).with_fetch(Some(wanted));
            let Some(search) = self.under(&nearest, 0)?.filter(has_index) else { return Ok(None) };
            let Some(search) = NearestSort::instead_of(&nearest, search) else { return Ok(None) };
            let joined = self.in_place(sort.input(), &side.path, Arc::new(search))?;
            let Some(tier) = NearestSort::instead_of(sort, joined) else { return Ok(None) };
            tiers.push(Arc::new(tier));
            numbers.push(wanted);
        }
        if tiers.is_empty() {
            return Ok(None);
        }
        let all = SortExec::new(sort.expr().clone(), self.rewritten(Arc::clone(sort.input()))?);
        tiers.push(Arc::new(all.with_fetch(Some(k))));
        Ok(Some(Arc::new(FirstEnough::new(tiers, numbers, sort.expr().clone(), k))))
    }

    /// `plan` with `leaf` at the end of `path`; searches elsewhere in it get their indexes.
    fn in_place(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        path: &[usize],
        leaf: Arc<dyn ExecutionPlan>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some((first, rest)) = path.split_first() else { return Ok(leaf) };
        let children = plan.children().into_iter().enumerate().map(|(number, child)| {
            if number == *first {
                self.in_place(child, rest, Arc::clone(&leaf))
            } else {
                self.rewritten(Arc::clone(child))
            }
        });
        let children = children.collect::<Result<Vec<_>>>()?;
        replace_children_if_necessary(Arc::clone(plan), children)
    }
}

/// Follows the order's term through projections, filters and at least one join.
fn below_joins(
    plan: &Arc<dyn ExecutionPlan>,
    mut distance: Arc<dyn PhysicalExpr>,
) -> Result<Option<Side<'_>>> {
    let (mut plan, mut path, mut joins) = (plan, Vec::new(), 0);
    loop {
        if joins > 0 && descend(plan, Arc::clone(&distance))?.is_some() {
            return Ok(Some(Side { path, plan, distance }));
        }
        if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
            distance = substitute(distance, &|column| {
                projection.expr().get(column).map(|below| Arc::clone(&below.expr))
            })?;
            path.push(0);
            plan = projection.input();
        } else if let Some(filter) = plan.downcast_ref::<FilterExec>() {
            if filter.projection().is_some() || filter.fetch().is_some() {
                return Ok(None);
            }
            path.push(0);
            plan = filter.input();
        } else if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
            let Some((side, below)) = of_one_side(join, distance)? else { return Ok(None) };
            path.push(side);
            plan = if side == 0 { join.left() } else { join.right() };
            distance = below;
            joins += 1;
        } else {
            return Ok(None);
        }
    }
}

/// The side of a join that an expression is about, and the expression over its columns; `None` when
/// it is about both, or when that side's rows may be replaced by NULLs.
fn of_one_side(
    join: &HashJoinExec,
    expr: Arc<dyn PhysicalExpr>,
) -> Result<Option<(usize, Arc<dyn PhysicalExpr>)>> {
    let of_left = join.left().schema().fields().len();
    let has_left_only = matches!(join.join_type(), JoinType::LeftSemi | JoinType::LeftAnti);
    let place = |column: usize| match &join.projection {
        Some(projection) => projection.get(column).copied(),
        None => Some(column),
    };
    let columns = collect_columns(&expr);
    let places: Option<Vec<usize>> = columns.iter().map(|column| place(column.index())).collect();
    let Some(places) = places.filter(|places| !places.is_empty()) else { return Ok(None) };
    let side = if places.iter().all(|place| *place < of_left) {
        0
    } else if places.iter().all(|place| *place >= of_left) && !has_left_only {
        1
    } else {
        return Ok(None);
    };
    let keeps_rows = match join.join_type() {
        JoinType::Inner => true,
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => side == 0,
        JoinType::Right => side == 1,
        _ => false,
    };
    if !keeps_rows {
        return Ok(None);
    }
    let schema = if side == 0 { join.left().schema() } else { join.right().schema() };
    let below = substitute(expr, &|column| {
        let column = place(column)? - side * of_left;
        let name = schema.fields().get(column)?.name();
        Some(Arc::new(Column::new(name, column)) as Arc<dyn PhysicalExpr>)
    })?;
    Ok(Some((side, below)))
}
