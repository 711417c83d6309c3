//! The planner's side of `LATERAL (… ORDER BY distance LIMIT k)`: the join of rows with all rows of
//! a table, of which only the nearest of each are wanted, becomes a [`NearestJoin`].
//!
//! `vigil_sql` makes of such a sub-query a rank within each row. What is
//! found here is a filter of that rank, over the window that counts it, over the join. The join
//! alone is replaced: the window and the filter above it stay, as the sort above a search does.
//!
//! Expressions over a pair of rows count the columns of the left side first, then those that the
//! scan of the right side reads.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinSide, JoinType, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr, Column, Literal};
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use vigil_sql::LATERAL_RANK;

use super::conditions::{imply, is_volatile};
use super::indexable::IndexableScan;
use super::kernel::Metric;
use super::nearest_join::{Model, NearestJoin, Search};
use super::plan::UseIndexes;
use super::scan::{Nulls, Target, Ties};

impl UseIndexes {
    /// The filter's input with a search in the place of the join, if one fits.
    pub(super) fn under_rank(&self, filter: &FilterExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some((skipped, fetched)) = wanted_ranks(filter) else { return Ok(None) };
        self.in_join(filter.input(), None, (skipped, fetched))
    }

    /// Follows a plan down to the join; `order` is known below the window.
    fn in_join(
        &self,
        plan: &Arc<dyn ExecutionPlan>,
        order: Option<Pairs>,
        ranks: (usize, usize),
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let below = |child: &Arc<dyn ExecutionPlan>, order: Option<Pairs>| {
            let replaced = self.in_join(child, order, ranks)?;
            let with = |child| replace_children_if_necessary(Arc::clone(plan), vec![child]);
            replaced.map(with).transpose()
        };
        if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
            let order = match order {
                Some(order) => Some(order.through(&|column| {
                    projection.expr().get(column).map(|below| Arc::clone(&below.expr))
                })?),
                None => None,
            };
            return below(projection.input(), order);
        }
        if let Some(window) = plan.downcast_ref::<BoundedWindowAggExec>() {
            return match window.window_expr() {
                [one] if order.is_none() => below(window.input(), Pairs::new(one.order_by())),
                _ => Ok(None),
            };
        }
        if let Some(window) = plan.downcast_ref::<WindowAggExec>() {
            return match window.window_expr() {
                [one] if order.is_none() => below(window.input(), Pairs::new(one.order_by())),
                _ => Ok(None),
            };
        }
        let Some(mut order) = order else { return Ok(None) };
        if let Some(filter) = plan.downcast_ref::<FilterExec>() {
            if filter.projection().is_some() || filter.fetch().is_some() {
                return Ok(None);
            }
            order.conditions.extend(split_conjunction(filter.predicate()).into_iter().cloned());
            return below(filter.input(), Some(order));
        }
        let Some(join) = Join::read(plan) else { return Ok(None) };
        self.replaced(&join, order, ranks)
    }

    fn replaced(
        &self,
        join: &Join<'_>,
        order: Pairs,
        (skipped, fetched): (usize, usize),
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let left_columns = join.left.schema().fields().len();
        let Some(right) = Right::read(join.right, left_columns)? else { return Ok(None) };
        let Pairs { first, is_descending, nulls_first, has_more, conditions } = order;
        if join.keeps_all && !conditions.is_empty() {
            // They would take out rows that have no other, too.
            return Ok(None);
        }
        let scan = right.scan;
        let Some(distance) =
            PairDistance::read(&right.of_pair(first)?, is_descending, left_columns)
        else {
            return Ok(None);
        };
        let mut all = join.conditions.clone();
        all.extend(conditions);
        let mut conditions =
            all.into_iter().map(|one| right.of_pair(one)).collect::<Result<Vec<_>>>()?;
        conditions.extend(right.conditions.iter().cloned());
        // Pairs that are left are filtered again, and each time it would be another answer.
        for condition in &conditions {
            if is_volatile(condition)? {
                return Ok(None);
            }
        }

        let in_table = |column: usize| {
            let column = column - left_columns;
            scan.projection.as_ref().map_or(column, |columns| columns[column])
        };
        let (metric, column) = (distance.metric, in_table(distance.column));
        let of_scan =
            |condition: &&Arc<dyn PhysicalExpr>| !has_any_of_left(condition, left_columns);
        let of_scan: Vec<_> = conditions.iter().filter(of_scan).cloned().collect();
        let mut index = None;
        for one in self.indexes.over(scan.table, column, metric) {
            let has_all = match &one.predicate {
                Some(predicate) => imply(&of_scan, predicate)?,
                None => true,
            };
            if has_all && one.definition.halfvec.is_none() {
                index = Some(one);
                break;
            }
        }
        let model =
            distance.model.map(|(column, expected)| Model { column: in_table(column), expected });
        let search = Search {
            target: Target {
                table: scan.table,
                column,
                metric,
                index,
                model: None,
                nulls: if nulls_first { Nulls::First } else { Nulls::Last },
            },
            model,
            query: distance.query,
            k: fetched,
            page: fetched.saturating_sub(skipped),
            ties: if has_more { Ties::Ordered } else { Ties::Any },
            conditions,
            keeps_all: join.keeps_all,
            projection: scan.projection.clone(),
            settings: scan.settings,
            tables: Arc::clone(&scan.tables),
            indexes: Arc::clone(&self.indexes),
            left_columns,
        };
        let pairs = NearestJoin::new(Arc::clone(join.left), scan.scan.schema(), search);
        // What the right side computes of its scan is computed of the pairs, and is NULL where a row has none.
        let left = join.left.schema();
        let is_found = pairs.is_found();
        let mut columns: Vec<(Arc<dyn PhysicalExpr>, String)> = Vec::new();
        for (number, field) in left.fields().iter().enumerate() {
            columns.push((Arc::new(Column::new(field.name(), number)), field.name().clone()));
        }
        for (number, field) in join.right.schema().fields().iter().enumerate() {
            let column: Arc<dyn PhysicalExpr> =
                Arc::new(Column::new(field.name(), left_columns + number));
            let value = right.of_pair(column)?;
            let value = match &is_found {
                Some(is_found) if !value.is::<Column>() => {
                    let found = vec![(Arc::clone(is_found), value)];
                    Arc::new(CaseExpr::try_new(None, found, None)?)
                }
                _ => value,
            };
            columns.push((value, field.name().clone()));
        }
        if let Some(projection) = &join.projection {
            columns = projection.iter().map(|column| columns[*column].clone()).collect();
        }
        let plan = ProjectionExec::try_new(columns, Arc::new(pairs))?;
        Ok(Some(Arc::new(plan)))
    }
}

/// The ranks that a filter lets through: more than the first, at most the second.
fn wanted_ranks(filter: &FilterExec) -> Option<(usize, usize)> {
    let (mut skipped, mut fetched) = (0, None);
    for part in split_conjunction(filter.predicate()) {
        let Some(binary) = part.downcast_ref::<BinaryExpr>() else { continue };
        let column = binary.left().downcast_ref::<Column>();
        let literal = binary.right().downcast_ref::<Literal>();
        let (Some(column), Some(literal)) = (column, literal) else { continue };
        let ScalarValue::UInt64(Some(number)) = literal.value() else { continue };
        if column.name() != LATERAL_RANK {
            continue;
        }
        let number = usize::try_from(*number).ok()?;
        match binary.op() {
            Operator::Gt => skipped = number,
            Operator::LtEq => fetched = Some(number),
            _ => return None,
        }
    }
    Some((skipped, fetched?))
}

/// What is known above the join, over the columns of the node that is looked at.
struct Pairs {
    /// The order's first term.
    first: Arc<dyn PhysicalExpr>,
    is_descending: bool,
    nulls_first: bool,
    /// Whether the order has more terms.
    has_more: bool,
    conditions: Vec<Arc<dyn PhysicalExpr>>,
}

type Below<'a> = &'a dyn Fn(usize) -> Option<Arc<dyn PhysicalExpr>>;

impl Pairs {
    fn new(order: &[PhysicalSortExpr]) -> Option<Self> {
        let first = order.first()?;
        Some(Self {
            first: Arc::clone(&first.expr),
            is_descending: first.options.descending,
            nulls_first: first.options.nulls_first,
            has_more: order.len() > 1,
            conditions: Vec::new(),
        })
    }

    fn through(self, below: Below<'_>) -> Result<Self> {
        let conditions = self.conditions.into_iter().map(|one| substitute(one, below));
        Ok(Self {
            first: substitute(self.first, below)?,
            conditions: conditions.collect::<Result<_>>()?,
            ..self
        })
    }
}

/// The expression with something else in the place of its columns.
pub(super) fn substitute(
    expr: Arc<dyn PhysicalExpr>,
    below: Below<'_>,
) -> Result<Arc<dyn PhysicalExpr>> {
    let expr = expr.transform_up(|expr| {
        let column = expr.downcast_ref::<Column>().map(Column::index);
        Ok(match column.and_then(below) {
            Some(below) => Transformed::yes(below),
            None => Transformed::no(expr),
        })
    });
    expr.map(|expr| expr.data)
}

/// A join of all pairs that fulfil some conditions.
struct Join<'a> {
    left: &'a Arc<dyn ExecutionPlan>,
    right: &'a Arc<dyn ExecutionPlan>,
    /// Over the columns of both sides.
    conditions: Vec<Arc<dyn PhysicalExpr>>,
    projection: Option<Vec<usize>>,
    /// Whether a row of the left side that has no other stays, with NULLs.
    keeps_all: bool,
}

/// Whether a join of this type keeps all rows of its left side; `None` for those that are not read.
fn keeps_all(join_type: JoinType) -> Option<bool> {
    match join_type {
        JoinType::Inner => Some(false),
        JoinType::Left => Some(true),
        _ => None,
    }
}

impl<'a> Join<'a> {
    fn read(plan: &'a Arc<dyn ExecutionPlan>) -> Option<Self> {
        if let Some(join) = plan.downcast_ref::<CrossJoinExec>() {
            let (left, right) = (join.left(), join.right());
            let (conditions, projection) = (Vec::new(), None);
            return Some(Self { left, right, conditions, projection, keeps_all: false });
        }
        if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
            let (left, right) = (join.left(), join.right());
            let conditions = on_both(join.filter(), left.schema().fields().len())?;
            let projection = join.projection().as_ref().map(|columns| columns.to_vec());
            let keeps_all = keeps_all(*join.join_type())?;
            return Some(Self { left, right, conditions, projection, keeps_all });
        }
        let join = plan.downcast_ref::<HashJoinExec>()?;
        let (left, right) = (join.left(), join.right());
        let left_columns = left.schema().fields().len();
        let mut conditions = on_both(join.filter(), left_columns)?;
        for (of_left, of_right) in join.on() {
            let of_right = shifted(Arc::clone(of_right), left_columns).ok()?;
            let equal = BinaryExpr::new(Arc::clone(of_left), Operator::Eq, of_right);
            conditions.push(Arc::new(equal));
        }
        let projection = join.projection.as_ref().map(|columns| columns.to_vec());
        let keeps_all = keeps_all(*join.join_type())?;
        Some(Self { left, right, conditions, projection, keeps_all })
    }
}

/// The expression with columns that lie behind so many others.
fn shifted(expr: Arc<dyn PhysicalExpr>, by: usize) -> Result<Arc<dyn PhysicalExpr>> {
    let expr = expr.transform_up(|expr| {
        Ok(match expr.downcast_ref::<Column>() {
            Some(column) => {
                let column = Column::new(column.name(), column.index() + by);
                Transformed::yes(Arc::new(column) as Arc<dyn PhysicalExpr>)
            }
            None => Transformed::no(expr),
        })
    });
    expr.map(|expr| expr.data)
}

/// A join's filter over the columns of both sides.
fn on_both(filter: Option<&JoinFilter>, left_columns: usize) -> Option<Vec<Arc<dyn PhysicalExpr>>> {
    let Some(filter) = filter else { return Some(Vec::new()) };
    let of_both = |column: usize| {
        let place = filter.column_indices().get(column)?;
        let number = match place.side {
            JoinSide::Left => place.index,
            JoinSide::Right => left_columns + place.index,
            JoinSide::None => return None,
        };
        let name = filter.schema().field(column).name();
        Some(Arc::new(Column::new(name, number)) as Arc<dyn PhysicalExpr>)
    };
    let expr = substitute(Arc::clone(filter.expression()), &of_both).ok()?;
    Some(split_conjunction(&expr).into_iter().cloned().collect())
}

/// The right side of a join: projections and filters over a scan.
struct Right<'a> {
    scan: &'a IndexableScan,
    left_columns: usize,
    /// Its columns, over a pair.
    columns: Vec<Arc<dyn PhysicalExpr>>,
    /// Its filters, over a pair.
    conditions: Vec<Arc<dyn PhysicalExpr>>,
}

impl<'a> Right<'a> {
    fn read(plan: &'a Arc<dyn ExecutionPlan>, left_columns: usize) -> Result<Option<Self>> {
        let mut columns: Vec<Arc<dyn PhysicalExpr>> = plan
            .schema()
            .fields()
            .iter()
            .enumerate()
            .map(|(number, field)| Arc::new(Column::new(field.name(), number)) as _)
            .collect();
        let mut conditions: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
        let mut plan = plan;
        loop {
            if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
                let below = |column: usize| {
                    projection.expr().get(column).map(|below| Arc::clone(&below.expr))
                };
                for expr in columns.iter_mut().chain(&mut conditions) {
                    *expr = substitute(Arc::clone(expr), &below)?;
                }
                plan = projection.input();
            } else if let Some(filter) = plan.downcast_ref::<FilterExec>() {
                if filter.projection().is_some() || filter.fetch().is_some() {
                    return Ok(None);
                }
                conditions.extend(split_conjunction(filter.predicate()).into_iter().cloned());
                plan = filter.input();
            } else {
                break;
            }
        }
        let Some(scan) = plan.downcast_ref::<IndexableScan>() else { return Ok(None) };
        for expr in columns.iter_mut().chain(&mut conditions) {
            *expr = shifted(Arc::clone(expr), left_columns)?;
        }
        Ok(Some(Self { scan, left_columns, columns, conditions }))
    }

    /// An expression over the columns of both sides as one over a pair.
    fn of_pair(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        substitute(expr, &|column| {
            let of_right = column.checked_sub(self.left_columns)?;
            self.columns.get(of_right).cloned()
        })
    }
}

/// A distance between a column of the scan and something of the left side.
struct PairDistance {
    metric: Metric,
    /// Over a pair.
    column: usize,
    /// Over the left side.
    query: Arc<dyn PhysicalExpr>,
    /// The column with the models of the scan's rows, over a pair, and the model that the left
    /// side expects.
    model: Option<(usize, Arc<dyn PhysicalExpr>)>,
}

impl PairDistance {
    fn read(
        expr: &Arc<dyn PhysicalExpr>,
        is_descending: bool,
        left_columns: usize,
    ) -> Option<Self> {
        let function = expr.downcast_ref::<ScalarFunctionExpr>()?;
        let metric = match (function.name(), is_descending) {
            ("cosine_distance", false) => Metric::Cosine,
            ("l2_distance", false) => Metric::L2,
            ("l1_distance", false) => Metric::L1,
            ("inner_product", true) => Metric::InnerProduct,
            _ => return None,
        };
        let [left, right] = function.args() else { return None };
        let (one, one_check) = unchecked(left);
        let (other, other_check) = unchecked(right);
        let of_scan = |expr: &Arc<dyn PhysicalExpr>| {
            let column = expr.downcast_ref::<Column>()?.index();
            (column >= left_columns).then_some(column)
        };
        let of_left = |expr: &Arc<dyn PhysicalExpr>| is_of_left(expr, left_columns);
        let (column, query) = match (of_scan(one), of_scan(other)) {
            (Some(column), None) if of_left(other) => (column, other),
            (None, Some(column)) if of_left(one) => (column, one),
            _ => return None,
        };
        let model = match one_check.or(other_check) {
            None => None,
            Some((one, other)) => Some(match (of_scan(one), of_scan(other)) {
                (Some(column), None) if of_left(other) => (column, Arc::clone(other)),
                (None, Some(column)) if of_left(one) => (column, Arc::clone(one)),
                _ => return None,
            }),
        };
        Some(Self { metric, column, query: Arc::clone(query), model })
    }
}

fn is_of_left(expr: &Arc<dyn PhysicalExpr>, left_columns: usize) -> bool {
    let mut is_of_left = true;
    let visited = expr.apply(|part| {
        if let Some(column) = part.downcast_ref::<Column>() {
            is_of_left &= column.index() < left_columns;
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.is_ok() && is_of_left
}

/// Whether a column of the left side is in an expression over a pair.
fn has_any_of_left(expr: &Arc<dyn PhysicalExpr>, left_columns: usize) -> bool {
    let is_of_left = |part: &Arc<dyn PhysicalExpr>| {
        part.downcast_ref::<Column>().is_some_and(|column| column.index() < left_columns)
    };
    expr.exists(|part| Ok(is_of_left(part))).unwrap_or(true)
}

type Check<'a> = (&'a Arc<dyn PhysicalExpr>, &'a Arc<dyn PhysicalExpr>);

/// A vector without the check of its model, and the two models that are compared.
fn unchecked(expr: &Arc<dyn PhysicalExpr>) -> (&Arc<dyn PhysicalExpr>, Option<Check<'_>>) {
    match expr.downcast_ref::<ScalarFunctionExpr>() {
        Some(function) if function.name() == vigil_udfs::MODEL_CHECK => match function.args() {
            [vector, model, expected] => (vector, Some((model, expected))),
            _ => (expr, None),
        },
        _ => (expr, None),
    }
}
