//! The planner's side: a rule finds `ORDER BY column <=> vector LIMIT k` and puts a search in the
//! place of the scan below it, by an index or, where none fits, of all rows.
//!
//! The filter and the projections above stay, and so does the sort, as one that keeps the order of
//! equal rows: the search gives fewer rows to them, never other ones. So its answer has the exact
//! distances and the order of the sort. [`super::sorted`] may put that into the search at last.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr::{PhysicalExpr, conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::sorts::sort::SortExec;

use super::conditions::{imply, is_bound, is_volatile};
use super::distance::Distance;
use super::indexable::IndexableScan;
use super::kernel::Metric;
use super::nearest_sort::NearestSort;
use super::node::{Prepared, Sorting, VectorScan};
use super::registry::Indexes;
use super::scan::{Nulls, Target, Ties};
use super::vector_index::{VectorIndex, norm};

/// Puts indexes into plans.
#[derive(Debug)]
pub struct UseIndexes {
    /// The indexes to choose from.
    pub indexes: Arc<Indexes>,
}

impl PhysicalOptimizerRule for UseIndexes {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let plan = self.rewritten(plan)?;
        // What no index took is scanned as ever.
        let plan = plan.transform_down(|plan| {
            Ok(match plan.downcast_ref::<IndexableScan>() {
                Some(scan) => Transformed::yes(Arc::clone(&scan.scan)),
                None => Transformed::no(plan),
            })
        })?;
        Ok(plan.data)
    }

    fn name(&self) -> &'static str {
        "use_indexes"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// A sort's first expression and the conditions on the way down, over the columns of the scan.
pub(super) struct Found<'a> {
    distance: Arc<dyn PhysicalExpr>,
    conditions: Vec<Arc<dyn PhysicalExpr>>,
    scan: &'a IndexableScan,
}

impl UseIndexes {
    /// The plan with searches where they fit.
    pub(super) fn rewritten(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        // The rows that the limit above the next sort leaves out.
        let mut skipped = 0;
        let plan = plan.transform_down(|plan| {
            if let Some(limit) = plan.downcast_ref::<GlobalLimitExec>() {
                skipped = limit.skip();
            } else if !plan.is::<ProjectionExec>() && !plan.is::<SortExec>() {
                skipped = 0;
            }
            let with_index = if let Some(sort) = plan.downcast_ref::<SortExec>() {
                self.under(sort, std::mem::take(&mut skipped))?
            } else if let Some(filter) = plan.downcast_ref::<FilterExec>() {
                self.under_rank(filter)?
            } else {
                None
            };
            let above_join = match (&with_index, plan.downcast_ref::<SortExec>()) {
                (None, Some(sort)) => self.above_join(sort)?,
                _ => None,
            };
            if let Some(above_join) = above_join {
                // Its children have been looked at.
                return Ok(Transformed::new(above_join, true, TreeNodeRecursion::Jump));
            }
            Ok(match with_index {
                Some(input) => {
                    let sort = plan.downcast_ref::<SortExec>();
                    let sorted =
                        sort.and_then(|sort| NearestSort::instead_of(sort, Arc::clone(&input)));
                    Transformed::yes(match sorted {
                        Some(sorted) => Arc::new(sorted),
                        None => replace_children_if_necessary(plan, vec![input])?,
                    })
                }
                None => Transformed::no(plan),
            })
        })?;
        Ok(plan.data)
    }

    /// The sort's input with a search in it, if one fits; `skipped` of the sort's rows are left
    /// out above it.
    pub(super) fn under(
        &self,
        sort: &SortExec,
        skipped: usize,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(k), first) = (sort.fetch(), sort.expr().first()) else { return Ok(None) };
        let Some(mut found) = descend(sort.input(), Arc::clone(&first.expr))? else {
            return Ok(None);
        };
        for condition in &found.conditions {
            if is_volatile(condition)? {
                return Ok(None);
            }
        }
        if !first.options.descending {
            found.conditions.retain(|condition| !is_bound(condition, &found.distance));
        }
        let Some(distance) = Distance::read(&found.distance, first.options.descending) else {
            return Ok(None);
        };
        let scan = found.scan;
        let in_table = |column| scan.projection.as_ref().map_or(column, |columns| columns[column]);
        // A constant that cannot be computed says so when the sort computes it.
        let Some(vector) = distance.query.vector().ok().flatten() else { return Ok(None) };
        let (metric, column) = (distance.metric, in_table(distance.column));
        // A text is read as a vector, one by one, and what is none is told.
        let schema = scan.table.schema();
        if !matches!(
            schema.field(column).data_type(),
            DataType::FixedSizeList(..) | DataType::List(_)
        ) {
            return Ok(None);
        }
        if metric == Metric::Cosine && norm(&vector) == 0.0 {
            return Ok(None);
        }
        let nulls = if first.options.nulls_first { Nulls::First } else { Nulls::Last };
        let over = (column, metric, distance.halfvec);
        let index = self.choose(scan, over, &vector, &found.conditions)?;
        // What is ranked exactly is ranked by the column's own values.
        if distance.halfvec.is_some() && index.is_none() {
            return Ok(None);
        }
        let search = Prepared {
            target: Target {
                table: scan.table,
                column,
                metric,
                index,
                model: distance.model.map(|(column, name)| (in_table(column), name)),
                nulls,
            },
            query: distance.query,
            k,
            page: k.saturating_sub(skipped),
            ties: if sort.expr().len() > 1 { Ties::Ordered } else { Ties::Any },
            predicate: (!found.conditions.is_empty())
                .then(|| conjunction(found.conditions.clone())),
            projection: scan.projection.clone(),
            sorting: Sorting::Above,
            settings: scan.settings,
            tables: Arc::clone(&scan.tables),
            indexes: Arc::clone(&self.indexes),
        };
        let leaf: Arc<dyn ExecutionPlan> = Arc::new(VectorScan::new(search, scan.scan.schema()));
        replace(sort.input(), &leaf).map(Some)
    }

    fn choose(
        &self,
        scan: &IndexableScan,
        (column, metric, halfvec): (usize, Metric, Option<i32>),
        query: &[f32],
        conditions: &[Arc<dyn PhysicalExpr>],
    ) -> Result<Option<Arc<VectorIndex>>> {
        for index in self.indexes.over(scan.table, column, metric) {
            let built = index.built();
            let fits = built.has_one_length()
                && built.graph().is_none_or(|graph| graph.options().dimensions == query.len());
            let has_all = match &index.predicate {
                Some(predicate) => imply(conditions, predicate)?,
                None => true,
            };
            if fits && has_all && index.definition.halfvec == halfvec {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }
}

/// Follows projections and filters down to a scan.
pub(super) fn descend(
    plan: &Arc<dyn ExecutionPlan>,
    mut distance: Arc<dyn PhysicalExpr>,
) -> Result<Option<Found<'_>>> {
    let mut conditions: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
    let mut plan = plan;
    loop {
        if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
            let below = projection.expr();
            distance = through(distance, below)?;
            let conditions_below = conditions.into_iter().map(|one| through(one, below));
            conditions = conditions_below.collect::<Result<_>>()?;
            plan = projection.input();
        } else if let Some(filter) = plan.downcast_ref::<FilterExec>() {
            if filter.projection().is_some() || filter.fetch().is_some() {
                return Ok(None);
            }
            conditions.extend(split_conjunction(filter.predicate()).into_iter().cloned());
            plan = filter.input();
        } else {
            let scan = plan.downcast_ref::<IndexableScan>();
            return Ok(scan.map(|scan| Found { distance, conditions, scan }));
        }
    }
}

/// An expression over the columns that a projection makes, over what those are made of.
pub(super) fn through(
    expr: Arc<dyn PhysicalExpr>,
    below: &[ProjectionExpr],
) -> Result<Arc<dyn PhysicalExpr>> {
    let expr = expr.transform_up(|expr| {
        let column = expr.downcast_ref::<Column>();
        Ok(match column.and_then(|column| below.get(column.index())) {
            Some(below) => Transformed::yes(Arc::clone(&below.expr)),
            None => Transformed::no(expr),
        })
    });
    expr.map(|expr| expr.data)
}

/// The same plan over another scan.
fn replace(
    plan: &Arc<dyn ExecutionPlan>,
    leaf: &Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let children = plan.children();
    let [child] = children.as_slice() else { return Ok(Arc::clone(leaf)) };
    let child = replace(child, leaf)?;
    replace_children_if_necessary(Arc::clone(plan), vec![child])
}
