//! The node of a plan that searches: no input, the nearest rows come out in one batch.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::internal_err;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use vigil_sql::{AtOnce, Cut, SearchSettings};

use super::nearest_sort::NearestSort;
use super::query::Query;
use super::registry::Indexes;
use super::scan::{self, Nulls, Outcome, Request, Target, Ties, Way};
use crate::tables::Tables;

/// The rows nearest to a vector.
#[derive(Debug)]
pub(super) struct VectorScan {
    search: Arc<Prepared>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// What its runs did, once it has run.
    figures: Arc<OnceLock<Figures>>,
    /// The way that was taken, once it has run.
    way: Arc<Mutex<Option<Way>>>,
}

/// What the runs of a search did, all together: a plan that is kept runs often, and new counters for each run
/// would take longer than what they count.
#[derive(Debug)]
struct Figures {
    hops: Count,
    candidates: Count,
    filtered: Count,
    scanned: Count,
    returned: Count,
}

impl Figures {
    fn new(metrics: &ExecutionPlanMetricsSet) -> Self {
        let counter = |name: &'static str| MetricBuilder::new(metrics).counter(name, 0);
        Self {
            hops: counter("hops"),
            candidates: counter("candidates"),
            filtered: counter("filtered"),
            scanned: counter("scanned"),
            returned: counter("returned"),
        }
    }

    fn add(&self, outcome: &Outcome) {
        let statistics = &outcome.statistics;
        self.hops.add(statistics.hops);
        self.candidates.add(statistics.visited);
        self.filtered.add(statistics.filtered);
        self.scanned.add(outcome.scanned);
        self.returned.add(outcome.positions.len());
    }
}

/// Whether a node of a plan is a search, which reads the cut of the context that it runs in, or
/// the sort above it.
pub fn is_search(node: &dyn ExecutionPlan) -> bool {
    node.is::<VectorScan>() || node.is::<NearestSort>()
}

/// Whether a search in this plan has an index.
pub(super) fn has_index(plan: &Arc<dyn ExecutionPlan>) -> bool {
    match plan.downcast_ref::<VectorScan>() {
        Some(scan) => scan.search.target.index.is_some(),
        None => plan.children().into_iter().any(has_index),
    }
}

/// The most rows and the most candidates of a search that is short.
const SHORT: usize = 1_000;

/// Whether a leaf is a search of a graph that has nothing to evaluate for other rows.
pub fn is_short_search(leaf: &dyn ExecutionPlan) -> bool {
    leaf.downcast_ref::<VectorScan>().is_some_and(|scan| {
        let Prepared { target, k, predicate, settings, .. } = scan.search.as_ref();
        target.index.is_some()
            && predicate.is_none()
            && target.nulls == Nulls::Last
            && *k <= SHORT
            && settings.ef_search <= SHORT
    })
}

/// Who sorts the rows that a search finds.
#[derive(Clone, Debug)]
pub(super) enum Sorting {
    /// What is above the search, which reads the columns of its `projection`.
    Above,
    /// The search: the first `fetch` rows come, and of the table's columns these. Whether the column is the
    /// first of the two that are compared matters to errors alone.
    Here { fetch: usize, is_first: bool, columns: Option<Vec<usize>> },
}

/// A search whose vector and whose snapshot are known when it runs.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) target: Target,
    pub(super) query: Query,
    pub(super) k: usize,
    /// So many of them are the rows of a page.
    pub(super) page: usize,
    pub(super) ties: Ties,
    /// Over the columns of `projection`.
    pub(super) predicate: Option<Arc<dyn PhysicalExpr>>,
    pub(super) projection: Option<Vec<usize>>,
    pub(super) sorting: Sorting,
    pub(super) settings: SearchSettings,
    pub(super) tables: Arc<Tables>,
    pub(super) indexes: Arc<Indexes>,
}

impl Prepared {
    /// Runs it at the cut of a query.
    fn run(&self, context: &TaskContext) -> Result<(Outcome, Option<RecordBatch>)> {
        let cut = context.session_config().get_extension::<Cut>();
        let request = Request {
            target: self.target.clone(),
            snapshot: self.tables.at(cut.as_deref()),
            query: self.query.vector()?,
            k: self.k,
            page: self.page,
            ties: self.ties,
            predicate: self.predicate.clone(),
            projection: self.projection.clone(),
            settings: self.settings,
            at_once: context.session_config().get_extension::<AtOnce>().is_some(),
        };
        let rows = request.snapshot.rows(self.target.table);
        let mut outcome = scan::run(&request, &rows, &self.indexes)?;
        let columns = match &self.sorting {
            Sorting::Above => self.projection.as_deref(),
            Sorting::Here { fetch, is_first, columns } => {
                request.sort(&rows, &mut outcome, *is_first)?;
                outcome.positions.truncate(*fetch);
                columns.as_deref()
            }
        };
        let batch = rows.gather(&outcome.positions, columns)?;
        Ok((outcome, batch))
    }
}

impl VectorScan {
    pub(super) fn new(search: Prepared, schema: SchemaRef) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self::over(Arc::new(search), Arc::new(properties))
    }

    /// The search with the rows sorted, in the place of a sort above it whose first `fetch` rows are read; of
    /// its columns those at `columns` come.
    pub(super) fn sorted(&self, fetch: usize, is_first: bool, columns: &[usize]) -> Result<Self> {
        let schema = Arc::new(self.schema().project(columns)?);
        let in_table = |column: &usize| match &self.search.projection {
            Some(projection) => projection[*column],
            None => *column,
        };
        let columns = Some(columns.iter().map(in_table).collect());
        let sorting = Sorting::Here { fetch, is_first, columns };
        Ok(Self::new(Prepared { sorting, ..self.search.as_ref().clone() }, schema))
    }

    fn over(search: Arc<Prepared>, properties: Arc<PlanProperties>) -> Self {
        let metrics = ExecutionPlanMetricsSet::new();
        Self { search, properties, metrics, figures: Arc::default(), way: Arc::default() }
    }
}

impl DisplayAs for VectorScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let Prepared { target, k, predicate, sorting, settings, .. } = self.search.as_ref();
        let index = target.index.as_ref();
        let name = index.map_or("none", |index| index.definition.name.as_str());
        write!(f, "VectorScan: index={name}, k={k}, ef_search={}", settings.ef_search)?;
        if let Some(predicate) = predicate {
            write!(f, ", filter={predicate}")?;
        }
        if let Sorting::Here { fetch, .. } = sorting {
            write!(f, ", sorted={fetch}")?;
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
        match &self.search.predicate {
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

    /// A plan that is kept runs again, with figures of its own.
    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::over(Arc::clone(&self.search), Arc::clone(&self.properties))))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("VectorScan has no partition {partition}");
        }
        let (search, schema, way) =
            (Arc::clone(&self.search), self.schema(), Arc::clone(&self.way));
        let (figures, columns) = (Arc::clone(&self.figures), Arc::clone(&schema));
        let metrics = self.metrics.clone();
        // What a sort above reads is counted there.
        let memory = matches!(search.sorting, Sorting::Here { .. })
            .then(|| MemoryConsumer::new("VectorScan").register(context.memory_pool()));
        let search = async move {
            let (outcome, batch) = search.run(&context)?;
            if let (Some(memory), Some(batch)) = (&memory, &batch) {
                memory.try_grow(batch.get_array_memory_size())?;
            }
            *way.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome.way);
            figures.get_or_init(|| Figures::new(&metrics)).add(&outcome);
            Ok::<_, DataFusionError>(batch.unwrap_or_else(|| RecordBatch::new_empty(columns)))
        };
        let stream = futures::stream::once(search);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
