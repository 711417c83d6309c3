//! Several plans for the same rows, each with more work than the one before it: the first that gives
//! as many rows as are wanted is the answer, and the last one is, however many it gives.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{
    Distribution, EquivalenceProperties, LexOrdering, OrderingRequirements, Partitioning,
    PhysicalExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

/// The node.
#[derive(Debug)]
pub(super) struct FirstEnough {
    /// At least one, each in the order of `order` and with at most `fetch` rows.
    tiers: Vec<Arc<dyn ExecutionPlan>>,
    /// Over how many of the nearest rows each is, but for the last.
    nearest: Vec<usize>,
    order: LexOrdering,
    fetch: usize,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl FirstEnough {
    /// All tiers have one schema.
    pub(super) fn new(
        tiers: Vec<Arc<dyn ExecutionPlan>>,
        nearest: Vec<usize>,
        order: LexOrdering,
        fetch: usize,
    ) -> Self {
        let schema = tiers[0].schema();
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(schema, [order.clone()]),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Self { tiers, nearest, order, fetch, properties: Arc::new(properties), metrics }
    }

    fn over_children(&self, tiers: Vec<Arc<dyn ExecutionPlan>>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self::new(tiers, self.nearest.clone(), self.order.clone(), self.fetch))
    }
}

impl DisplayAs for FirstEnough {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let nearest: Vec<String> = self.nearest.iter().map(ToString::to_string).collect();
        let nearest = nearest.join(", ");
        write!(f, "FirstEnough: fetch={}, of the nearest=[{nearest}, all]", self.fetch)
    }
}

impl ExecutionPlan for FirstEnough {
    fn name(&self) -> &'static str {
        "FirstEnough"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition; self.tiers.len()]
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![Some(OrderingRequirements::from(self.order.clone())); self.tiers.len()]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.tiers.len()]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.tiers.iter().collect()
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
            return internal_err!("FirstEnough has no partition {partition}");
        }
        let Some((last, first)) = self.tiers.split_last() else {
            return internal_err!("FirstEnough has no plan");
        };
        let (last, first, fetch) = (Arc::clone(last), first.to_vec(), self.fetch);
        let tried = MetricBuilder::new(&self.metrics).counter("tried", partition);
        let answer = async move {
            for tier in first {
                tried.add(1);
                let memory = MemoryConsumer::new("FirstEnough").register(context.memory_pool());
                let mut batches: Vec<RecordBatch> = Vec::new();
                let mut rows = 0;
                let mut stream = tier.execute(0, Arc::clone(&context))?;
                while let Some(batch) = stream.try_next().await? {
                    memory.try_grow(batch.get_array_memory_size())?;
                    rows += batch.num_rows();
                    batches.push(batch);
                }
                if rows >= fetch {
                    let batches = futures::stream::iter(batches.into_iter().map(Ok)).boxed();
                    return Ok::<BoxStream<'static, Result<RecordBatch>>, DataFusionError>(batches);
                }
            }
            tried.add(1);
            Ok(last.execute(0, context)?.boxed())
        };
        let batches = futures::stream::once(answer).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
