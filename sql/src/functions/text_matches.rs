//! A table with a score for each row: how well a text column matches some words ([`super::bm25`]).
//!
//! The statistics of words are those of the rows that the session sees, at the query's cut.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{internal_datafusion_err, internal_err};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, ReplaceChildrenOptions,
};
use futures::TryStreamExt;

use super::bm25;

/// The column with the score.
pub(super) const SCORE: &str = "text_score";

/// The rows of a table that have at least one of some words.
#[derive(Debug)]
pub(super) struct TextMatches {
    table: Arc<dyn TableProvider>,
    /// The column that is searched.
    column: usize,
    words: Arc<str>,
    schema: SchemaRef,
}

impl TextMatches {
    pub(super) fn new(table: Arc<dyn TableProvider>, column: &str, words: &str) -> Result<Self> {
        let schema = table.schema();
        let column = schema.index_of(column)?;
        let score = Arc::new(Field::new(SCORE, DataType::Float64, false));
        let fields: Vec<_> = schema.fields().iter().cloned().chain([score]).collect();
        Ok(Self { table, column, words: words.into(), schema: Arc::new(Schema::new(fields)) })
    }
}

#[async_trait]
impl TableProvider for TextMatches {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = self.table.scan(state, None, &[], None).await?;
        let rows: Arc<dyn ExecutionPlan> = Arc::new(CoalescePartitionsExec::new(rows));
        let ranked = Arc::new(TextRank::new(
            rows,
            self.column,
            Arc::clone(&self.words),
            Arc::clone(&self.schema),
        ));
        let Some(projection) = projection else { return Ok(ranked) };
        let columns = projection.iter().map(|at| {
            let name = self.schema.field(*at).name();
            (Arc::new(Column::new(name, *at)) as Arc<dyn PhysicalExpr>, name.clone())
        });
        Ok(Arc::new(ProjectionExec::try_new(columns.collect::<Vec<_>>(), ranked)?))
    }
}

/// Scores its input's rows; those with a score come out.
#[derive(Debug)]
struct TextRank {
    input: Arc<dyn ExecutionPlan>,
    column: usize,
    words: Arc<str>,
    properties: Arc<PlanProperties>,
}

impl TextRank {
    fn new(
        input: Arc<dyn ExecutionPlan>,
        column: usize,
        words: Arc<str>,
        schema: SchemaRef,
    ) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { input, column, words, properties: Arc::new(properties) }
    }
}

impl TextRank {
    fn over(&self, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match <[_; 1]>::try_from(children) {
            Ok([input]) => {
                Ok(Arc::new(Self::new(input, self.column, Arc::clone(&self.words), self.schema())))
            }
            Err(_) => internal_err!("TextRank has one input"),
        }
    }
}

impl DisplayAs for TextRank {
    fn fmt_as(&self, _kind: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TextRank: words={:?}", self.words)
    }
}

impl ExecutionPlan for TextRank {
    fn name(&self) -> &'static str {
        "TextRank"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<datafusion::physical_expr::Distribution> {
        vec![datafusion::physical_expr::Distribution::SinglePartition]
    }

    fn apply_expressions(
        &self,
        _visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("TextRank has no partition {partition}");
        }
        let input = self.input.execute(0, context)?;
        let (schema, column, words) = (self.schema(), self.column, Arc::clone(&self.words));
        let input_schema = input.schema();
        let answer = async move {
            let batches: Vec<RecordBatch> = input.try_collect().await?;
            let rows = concat_batches(&input_schema, &batches)?;
            ranked(&rows, column, &words, schema)
        };
        let stream = futures::stream::once(answer);
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream)))
    }
}

fn ranked(
    rows: &RecordBatch,
    column: usize,
    words: &str,
    schema: SchemaRef,
) -> Result<RecordBatch> {
    let texts = rows
        .column(column)
        .as_string_opt::<i32>()
        .ok_or_else(|| internal_datafusion_err!("what is searched for words is no text"))?;
    let scores = bm25::scores(words, texts.iter());
    let matching: Vec<(u32, f64)> =
        (0_u32..).zip(scores).filter(|(_, score)| *score > 0.0).collect();
    let places: UInt32Array = matching.iter().map(|(place, _)| *place).collect();
    let mut columns: Vec<ArrayRef> = take_record_batch(rows, &places)?.columns().to_vec();
    columns.push(Arc::new(matching.iter().map(|(_, score)| *score).collect::<Float64Array>()));
    Ok(RecordBatch::try_new(schema, columns)?)
}
