//! The node of a plan that searches for each row of its input: pairs of the row and each of the
//! rows nearest to it come out.

use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt64Array, new_null_array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr, conjunction};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{
    Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::{StreamExt, TryStreamExt};
use vigil_sql::{Cut, SearchSettings};

use super::lateral::substitute;
use super::query::elements;
use super::registry::Indexes;
use super::scan::{self, Request, Target, Ties, Way};
use crate::tables::{Snapshot, TableRows, Tables};

/// What is searched for each row. Expressions over a pair count the columns of the row first,
/// then those of `projection`.
#[derive(Debug)]
pub(super) struct Search {
    /// Without a model, which is each row's own.
    pub(super) target: Target,
    pub(super) model: Option<Model>,
    /// The vector, over the row.
    pub(super) query: Arc<dyn PhysicalExpr>,
    pub(super) k: usize,
    pub(super) page: usize,
    pub(super) ties: Ties,
    /// Over a pair.
    pub(super) conditions: Vec<Arc<dyn PhysicalExpr>>,
    /// Whether a row that has no other stays, with NULLs; a last column then tells whether a pair is one.
    pub(super) keeps_all: bool,
    pub(super) projection: Option<Vec<usize>>,
    pub(super) settings: SearchSettings,
    pub(super) tables: Arc<Tables>,
    pub(super) indexes: Arc<Indexes>,
    pub(super) left_columns: usize,
}

/// Which models are compared.
#[derive(Debug)]
pub(super) struct Model {
    /// The column of the table that names those of its rows.
    pub(super) column: usize,
    /// The one that they must be, over the row of the left side.
    pub(super) expected: Arc<dyn PhysicalExpr>,
}

/// The column that tells a pair from a row without another.
const IS_FOUND: &str = "__nearest_found";

/// The rows of the input, each with the rows nearest to it.
#[derive(Debug)]
pub(super) struct NearestJoin {
    left: Arc<dyn ExecutionPlan>,
    search: Arc<Search>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl NearestJoin {
    /// `right` is the schema of the scan.
    pub(super) fn new(left: Arc<dyn ExecutionPlan>, right: SchemaRef, search: Search) -> Self {
        let (of_left, of_right) = (left.schema(), right);
        let mut fields: Vec<FieldRef> = of_left.fields().iter().cloned().collect();
        if search.keeps_all {
            let nullable = |field: &FieldRef| Arc::new(field.as_ref().clone().with_nullable(true));
            fields.extend(of_right.fields().iter().map(nullable));
            fields.push(Arc::new(Field::new(IS_FOUND, DataType::Boolean, false)));
        } else {
            fields.extend(of_right.fields().iter().cloned());
        }
        let schema = Arc::new(Schema::new(fields));
        Self::over(left, Arc::new(search), schema)
    }

    fn over(left: Arc<dyn ExecutionPlan>, search: Arc<Search>, schema: SchemaRef) -> Self {
        let partitions = left.properties().partitioning.partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Self { left, search, properties: Arc::new(properties), metrics }
    }

    /// The column that tells whether a pair is one, where rows without another stay.
    pub(super) fn is_found(&self) -> Option<Arc<dyn PhysicalExpr>> {
        let last = self.schema().fields().len().checked_sub(1).filter(|_| self.search.keeps_all)?;
        Some(Arc::new(Column::new(IS_FOUND, last)))
    }

    /// The same over another input.
    fn over_children(&self, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Arc<dyn ExecutionPlan> {
        let left = children.pop().unwrap_or_else(|| Arc::clone(&self.left));
        Arc::new(Self::over(left, Arc::clone(&self.search), self.schema()))
    }
}

impl DisplayAs for NearestJoin {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter) -> fmt::Result {
        let Search { target, k, conditions, settings, .. } = self.search.as_ref();
        let index = target.index.as_ref();
        let name = index.map_or("none", |index| index.definition.name.as_str());
        write!(f, "NearestJoin: index={name}, k={k}, ef_search={}", settings.ef_search)?;
        if !conditions.is_empty() {
            write!(f, ", filter={}", conjunction(conditions.iter().cloned()))?;
        }
        Ok(())
    }
}

impl ExecutionPlan for NearestJoin {
    fn name(&self) -> &'static str {
        "NearestJoin"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.left]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        f(&self.search.query)
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
        let left = self.left.execute(partition, Arc::clone(&context))?;
        let cut = context.session_config().get_extension::<Cut>();
        let snapshot = self.search.tables.at(cut.as_deref());
        let counter =
            |name: &'static str| MetricBuilder::new(&self.metrics).counter(name, partition);
        let running = Arc::new(Running {
            rows: snapshot.rows(self.search.target.table),
            snapshot,
            search: Arc::clone(&self.search),
            schema: self.schema(),
            searches: counter("searches"),
            through_graph: counter("through_graph"),
            candidates: counter("candidates"),
            scanned: counter("scanned"),
        });
        let pairs = left.map_ok(move |batch| {
            let running = Arc::clone(&running);
            let rows = 0..batch.num_rows();
            futures::stream::iter(rows.map(move |row| running.pairs(&batch, row)))
        });
        let pairs = pairs.try_flatten().boxed();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), pairs)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The searches of one execution.
struct Running {
    search: Arc<Search>,
    snapshot: Arc<Snapshot>,
    rows: Arc<TableRows>,
    schema: SchemaRef,
    searches: Count,
    through_graph: Count,
    candidates: Count,
    scanned: Count,
}

impl Running {
    /// A row of the left side with each of the rows nearest to it.
    fn pairs(&self, left: &RecordBatch, row: usize) -> Result<RecordBatch> {
        let search = &self.search;
        let one = left.slice(row, 1);
        let value = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(&one)?.into_array(1);
        let mut target = search.target.clone();
        if let Some(Model { column, expected }) = &search.model {
            let expected: ArrayRef = value(expected)?;
            let expected = expected.as_string_opt::<i32>().filter(|model| model.is_valid(0));
            target.model = expected.map(|model| (*column, model.value(0).to_owned()));
        }
        let conditions = search.conditions.iter().map(|condition| self.bound(condition, &one));
        let conditions = conditions.collect::<Result<Vec<_>>>()?;
        let request = Request {
            target,
            snapshot: Arc::clone(&self.snapshot),
            query: elements(&value(&search.query)?),
            k: search.k,
            page: search.page,
            ties: search.ties,
            predicate: (!conditions.is_empty()).then(|| conjunction(conditions)),
            projection: search.projection.clone(),
            settings: search.settings,
            at_once: false,
        };
        let outcome = scan::run(&request, &self.rows, &search.indexes)?;
        self.searches.add(1);
        self.through_graph.add(usize::from(outcome.way != Way::Exact));
        self.candidates.add(outcome.statistics.visited);
        self.scanned.add(outcome.scanned);
        let found = self.rows.gather(&outcome.positions, search.projection.as_deref())?;
        let Some(found) = found.filter(|found| found.num_rows() > 0) else {
            return self.without_another(&one);
        };
        let same = UInt64Array::from(vec![0; found.num_rows()]);
        let left = take_record_batch(&one, &same)?;
        let mut columns: Vec<ArrayRef> =
            left.columns().iter().chain(found.columns()).cloned().collect();
        if search.keeps_all {
            columns.push(Arc::new(BooleanArray::from(vec![true; found.num_rows()])));
        }
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// What becomes of a row of the left side that no other is near to.
    fn without_another(&self, one: &RecordBatch) -> Result<RecordBatch> {
        if !self.search.keeps_all {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        let mut columns: Vec<ArrayRef> = one.columns().to_vec();
        let of_right = self.search.left_columns..self.schema.fields().len() - 1;
        columns.extend(of_right.map(|at| new_null_array(self.schema.field(at).data_type(), 1)));
        columns.push(Arc::new(BooleanArray::from(vec![false])));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// A condition over pairs, with the values of a row of the left side.
    fn bound(
        &self,
        condition: &Arc<dyn PhysicalExpr>,
        row: &RecordBatch,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let left_columns = self.search.left_columns;
        let mut values = Vec::with_capacity(left_columns);
        for column in row.columns() {
            values.push(ScalarValue::try_from_array(column, 0)?);
        }
        substitute(Arc::clone(condition), &|column| {
            Some(match column.checked_sub(left_columns) {
                None => Arc::new(Literal::new(values[column].clone())) as Arc<dyn PhysicalExpr>,
                Some(of_scan) => {
                    let name = self.schema.field(column).name();
                    Arc::new(Column::new(name, of_scan))
                }
            })
        })
    }
}
