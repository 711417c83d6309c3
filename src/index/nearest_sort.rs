//! The sort above a search: rows that are equal in every term of the order keep the order in which
//! they come.
//!
//! A search gives its rows in an order that does not depend on how many are wanted, so that the
//! pages of a list repeat no row. DataFusion's own sort with a limit keeps a heap, which does not
//! tell equal rows apart; here their numbers do.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, Partitioning, PhysicalExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::TryStreamExt;

/// The first rows of its input, which a search made.
#[derive(Debug)]
pub(super) struct NearestSort {
    input: Arc<dyn ExecutionPlan>,
    order: LexOrdering,
    fetch: usize,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl NearestSort {
    /// In the place of `sort`, whose rows `input` gives; `None` when it has no limit.
    pub(super) fn instead_of(sort: &SortExec, input: Arc<dyn ExecutionPlan>) -> Option<Self> {
        Some(Self::over(input, sort.expr().clone(), sort.fetch()?))
    }

    /// What it sorts.
    pub(super) fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }

    /// How it sorts.
    pub(super) fn order(&self) -> &LexOrdering {
        &self.order
    }

    /// How many rows come out at most.
    pub(super) fn fetch(&self) -> usize {
        self.fetch
    }

    fn over(input: Arc<dyn ExecutionPlan>, order: LexOrdering, fetch: usize) -> Self {
        let orders = [order.clone()];
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(input.schema(), orders),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Self { input, order, fetch, properties: Arc::new(properties), metrics }
    }

    fn over_children(&self, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Arc<dyn ExecutionPlan> {
        let input = children.pop().unwrap_or_else(|| Arc::clone(&self.input));
        Arc::new(Self::over(input, self.order.clone(), self.fetch))
    }
}

/// The first `fetch` rows in an order; equal ones as they came.
fn sorted(batch: &RecordBatch, order: &LexOrdering, fetch: usize) -> Result<RecordBatch> {
    let rows = batch.num_rows();
    let mut columns = Vec::with_capacity(order.len() + 1);
    for term in order {
        let values = term.expr.evaluate(batch)?.into_array(rows)?;
        columns.push(SortColumn { values, options: Some(term.options) });
    }
    let numbers: ArrayRef =
        Arc::new(UInt64Array::from_iter_values((0..rows).map(|row| row as u64)));
    columns.push(SortColumn { values: numbers, options: None });
    let first = lexsort_to_indices(&columns, Some(fetch))?;
    Ok(take_record_batch(batch, &first)?)
}

impl DisplayAs for NearestSort {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "NearestSort: fetch={}, expr=[{}]", self.fetch, self.order)
    }
}

impl ExecutionPlan for NearestSort {
    fn name(&self) -> &'static str {
        "NearestSort"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let mut visited = TreeNodeRecursion::Continue;
        for term in &self.order {
            visited = f(&term.expr)?;
            if visited == TreeNodeRecursion::Stop {
                break;
            }
        }
        Ok(visited)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self.over_children(children))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self.over_children(children))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("NearestSort has no partition {partition}");
        }
        let input = self.input.execute(0, Arc::clone(&context))?;
        let memory = MemoryConsumer::new("NearestSort").register(context.memory_pool());
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let (schema, order, fetch) = (self.schema(), self.order.clone(), self.fetch);
        let of_rows = Arc::clone(&schema);
        let sort = async move {
            let mut batches: Vec<RecordBatch> = Vec::new();
            let mut input = input;
            while let Some(batch) = input.try_next().await? {
                memory.try_grow(batch.get_array_memory_size())?;
                batches.push(batch);
            }
            let _timer = baseline.elapsed_compute().timer();
            let batch = match batches.as_slice() {
                [one] => one.clone(),
                all => concat_batches(&of_rows, all)?,
            };
            let sorted = sorted(&batch, &order, fetch)?;
            baseline.record_output(sorted.num_rows());
            Ok::<_, DataFusionError>(sorted)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::once(sort))))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
