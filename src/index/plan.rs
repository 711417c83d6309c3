//! The planner's side: a rule finds `ORDER BY column <=> vector LIMIT k` and puts an index in the
//! place of the scan below it.
//!
//! The sort, the filter and the projections above stay: the index gives fewer rows to them, never
//! other ones. So its answer has the exact distances and the order of the sort.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{ScalarValue, internal_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::{Column, Literal, NegativeExpr};
use datafusion::physical_expr::utils::split_conjunction;
use datafusion::physical_expr::{
    EquivalenceProperties, Partitioning, PhysicalExpr, ScalarFunctionExpr, conjunction,
};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, replace_children_if_necessary,
};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use vigil_sql::SearchSettings;
use vigil_sql::catalog::StandardTable;

use super::kernel::Metric;
use super::registry::Indexes;
use super::scan::{self, Request, Way};
use super::table_rows::TableRows;
use super::vector_index::{VectorIndex, norm};
use crate::tables::Snapshot;

/// A scan that an index may take the place of; it is in no plan that runs.
#[derive(Debug)]
pub struct IndexableScan {
    /// The scan without an index.
    pub scan: Arc<dyn ExecutionPlan>,
    /// The table.
    pub table: StandardTable,
    /// The columns that are read; `None` is all.
    pub projection: Option<Vec<usize>>,
    /// What the query sees.
    pub snapshot: Arc<Snapshot>,
    /// How the session wants to search.
    pub settings: SearchSettings,
}

impl DisplayAs for IndexableScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "IndexableScan: table={}", self.table)
    }
}

impl ExecutionPlan for IndexableScan {
    fn name(&self) -> &'static str {
        "IndexableScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.scan.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        self.scan.execute(partition, context)
    }
}

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
        let plan = plan.transform_down(|plan| {
            let with_index = match plan.downcast_ref::<SortExec>() {
                Some(sort) => self.under(sort)?,
                None => None,
            };
            Ok(match with_index {
                Some(input) => Transformed::yes(replace_children_if_necessary(plan, vec![input])?),
                None => Transformed::no(plan),
            })
        })?;
        // What no index took is scanned as ever.
        let plan = plan.data.transform_down(|plan| {
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
struct Found<'a> {
    distance: Arc<dyn PhysicalExpr>,
    conditions: Vec<Arc<dyn PhysicalExpr>>,
    scan: &'a IndexableScan,
}

impl UseIndexes {
    /// The sort's input with an index in it, if one fits.
    fn under(&self, sort: &SortExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let (Some(k), first) = (sort.fetch(), sort.expr().first()) else { return Ok(None) };
        if first.options.descending || first.options.nulls_first {
            return Ok(None);
        }
        let Some(found) = descend(sort.input(), Arc::clone(&first.expr))? else {
            return Ok(None);
        };
        let Some((metric, column, query)) = distance(&found.distance) else { return Ok(None) };
        let scan = found.scan;
        let column = scan.projection.as_ref().map_or(column, |columns| columns[column]);
        if metric == Metric::Cosine && norm(&query) == 0.0 {
            return Ok(None);
        }
        let Some(index) = self.choose(scan, column, metric, &query, &found.conditions) else {
            return Ok(None);
        };
        let predicate =
            (!found.conditions.is_empty()).then(|| conjunction(found.conditions.clone()));
        let request = Request {
            index,
            snapshot: Arc::clone(&scan.snapshot),
            query,
            k,
            predicate,
            projection: scan.projection.clone(),
            settings: scan.settings,
        };
        let leaf: Arc<dyn ExecutionPlan> =
            Arc::new(VectorScan::new(request, scan.scan.schema(), Arc::clone(&self.indexes)));
        replace(sort.input(), &leaf).map(Some)
    }

    fn choose(
        &self,
        scan: &IndexableScan,
        column: usize,
        metric: Metric,
        query: &[f32],
        conditions: &[Arc<dyn PhysicalExpr>],
    ) -> Option<Arc<VectorIndex>> {
        let indexes = self.indexes.over(scan.table, column, metric);
        indexes.into_iter().find(|index| {
            let built = index.built();
            let fits = built.has_one_length()
                && built.graph().is_none_or(|graph| graph.options().dimensions == query.len());
            // The columns of a plan have other numbers than the table's, so names are compared.
            fits && index.predicate.as_ref().is_none_or(|predicate| {
                split_conjunction(predicate).iter().all(|part| {
                    let part = without_numbers(&part.to_string());
                    conditions.iter().any(|known| without_numbers(&known.to_string()) == part)
                })
            })
        })
    }
}

/// An expression's text without the numbers of its columns: `source@0 = a` as `source = a`.
fn without_numbers(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        plain.push_str(&rest[..at]);
        rest = rest[at + 1..].trim_start_matches(|c: char| c.is_ascii_digit());
    }
    plain.push_str(rest);
    plain
}

/// Follows projections and filters down to a scan.
fn descend(
    plan: &Arc<dyn ExecutionPlan>,
    mut distance: Arc<dyn PhysicalExpr>,
) -> Result<Option<Found<'_>>> {
    let mut conditions: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
    let mut plan = plan;
    loop {
        if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
            let through = |expr: Arc<dyn PhysicalExpr>| {
                let expr = expr.transform_up(|expr| {
                    let column = expr.downcast_ref::<Column>();
                    let below = column.and_then(|column| projection.expr().get(column.index()));
                    Ok(match below {
                        Some(below) => Transformed::yes(Arc::clone(&below.expr)),
                        None => Transformed::no(expr),
                    })
                });
                expr.map(|expr| expr.data)
            };
            distance = through(distance)?;
            conditions = conditions.into_iter().map(through).collect::<Result<_>>()?;
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

/// The metric, the column and the constant of a distance.
fn distance(expr: &Arc<dyn PhysicalExpr>) -> Option<(Metric, usize, Vec<f32>)> {
    let (function, is_negative) = match expr.downcast_ref::<NegativeExpr>() {
        Some(negative) => (negative.arg().downcast_ref::<ScalarFunctionExpr>()?, true),
        None => (expr.downcast_ref::<ScalarFunctionExpr>()?, false),
    };
    let metric = match (function.name(), is_negative) {
        ("cosine_distance", false) => Metric::Cosine,
        ("l2_distance", false) => Metric::L2,
        ("l1_distance", false) => Metric::L1,
        ("inner_product", true) => Metric::InnerProduct,
        _ => return None,
    };
    let [left, right] = function.args() else { return None };
    let (column, constant) = match (left.downcast_ref::<Column>(), right.downcast_ref::<Column>()) {
        (Some(column), None) => (column, right),
        (None, Some(column)) => (column, left),
        _ => return None,
    };
    let query = constant_vector(constant.downcast_ref::<Literal>()?.value())?;
    Some((metric, column.index(), query))
}

/// The finite elements of a constant that is a vector.
#[expect(clippy::cast_possible_truncation, reason = "a vector holds `float4`")]
fn constant_vector(value: &ScalarValue) -> Option<Vec<f32>> {
    if value.is_null() {
        return None;
    }
    let array = value.to_array().ok()?;
    let elements = match array.data_type() {
        DataType::FixedSizeList(..) => array.as_fixed_size_list().value(0),
        DataType::List(_) => array.as_list::<i32>().value(0),
        _ => return None,
    };
    let vector: Vec<f32> = match elements.data_type() {
        DataType::Float32 => {
            elements.as_primitive::<Float32Type>().iter().collect::<Option<_>>()?
        }
        DataType::Float64 => {
            let elements = elements.as_primitive::<Float64Type>().iter();
            elements.map(|element| element.map(|element| element as f32)).collect::<Option<_>>()?
        }
        _ => return None,
    };
    (!vector.is_empty() && vector.iter().all(|element| element.is_finite())).then_some(vector)
}

/// The rows that an index gives.
#[derive(Debug)]
struct VectorScan {
    request: Arc<Request>,
    indexes: Arc<Indexes>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// The way that was taken, once it has run.
    way: Arc<Mutex<Option<Way>>>,
}

impl VectorScan {
    fn new(request: Request, schema: SchemaRef, indexes: Arc<Indexes>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            request: Arc::new(request),
            indexes,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
            way: Arc::default(),
        }
    }
}

impl DisplayAs for VectorScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let Request { index, k, predicate, settings, .. } = self.request.as_ref();
        let name = &index.definition.name;
        write!(f, "VectorScan: index={name}, k={k}, ef_search={}", settings.ef_search)?;
        if let Some(predicate) = predicate {
            write!(f, ", filter={predicate}")?;
        }
        match *self.way.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(way) => write!(f, ", way={way}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for VectorScan {
    fn name(&self) -> &'static str {
        "VectorScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        match &self.request.predicate {
            Some(predicate) => f(predicate),
            None => Ok(TreeNodeRecursion::Continue),
        }
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("VectorScan has no partition {partition}");
        }
        let counter = |name: &'static str| MetricBuilder::new(&self.metrics).counter(name, 0);
        let counters = [
            counter("hops"),
            counter("candidates"),
            counter("filtered"),
            counter("scanned"),
            counter("returned"),
        ];
        let (request, indexes) = (Arc::clone(&self.request), Arc::clone(&self.indexes));
        let (schema, way) = (self.schema(), Arc::clone(&self.way));
        let empty = RecordBatch::new_empty(Arc::clone(&schema));
        let search = async move {
            let rows = TableRows::new(&request.snapshot, request.index.definition.table);
            let outcome = scan::run(&request, &rows, &indexes)?;
            *way.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome.way);
            let statistics = outcome.statistics;
            let values = [
                statistics.hops,
                statistics.visited,
                statistics.filtered,
                outcome.scanned,
                outcome.positions.len(),
            ];
            for (counter, value) in counters.iter().zip(values) {
                counter.add(value);
            }
            let batch = rows.gather(&outcome.positions, request.projection.as_deref())?;
            Ok::<_, DataFusionError>(batch.unwrap_or(empty))
        };
        let stream = futures::stream::once(search);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
