//! Planning and running what DataFusion plans and runs.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Fields, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast;
use futures::StreamExt;
use vigil_udfs::json::json_as_text;

use super::kept::{Candidate, Kept};
use super::prepare::Prepared;
use super::views::ViewPlanner;
use super::{Session, TransactionStatus, init_plan, joins, parameters};
use crate::SqlError;
use crate::access::Reads;
use crate::planner;

impl Session {
    pub(super) fn refuse_in_failed_transaction(&self) -> Result<(), SqlError> {
        match self.transaction_status() {
            TransactionStatus::Failed => Err(SqlError::FailedTransaction),
            TransactionStatus::Idle | TransactionStatus::InBlock => Ok(()),
        }
    }

    /// The plan of `statement` and the columns of its answer.
    pub(super) async fn plan(
        &self,
        mut statement: ast::Statement,
    ) -> Result<(LogicalPlan, SchemaRef), SqlError> {
        let state = self.state();
        let (views, roles) = (self.database.views().all(), Arc::clone(self.database.roles()));
        let session = self.backend.pid();
        let work = async move {
            // In a box, as most statements have no view and threads' stacks are small.
            let planner = ViewPlanner { views, roles, session };
            let state = Box::pin(planner.state_for(state, &statement)).await?;
            Box::pin(joins::mend(&mut statement, &state)).await?;
            let statement = DataFusionStatement::Statement(Box::new(statement));
            let plan = json_as_text(planner::plan(&state, statement).await?)?;
            // Coercion may give columns another type; with parameters it can also be too early
            // for it, and then the plan's own types have to do.
            let analyzed =
                state.analyzer().execute_and_check(plan.clone(), state.config_options(), |_, _| ());
            let schema = match &analyzed {
                Ok(analyzed) => analyzed.schema(),
                Err(_) if parameters::has_any(&plan)? => plan.schema(),
                Err(_) => return Err(analyzed.err().map_or(SqlError::Canceled, SqlError::from)),
            };
            let schema = signed(schema.inner());
            let plan = match &analyzed {
                Ok(analyzed) => parameters::settled(plan, analyzed)?,
                Err(_) => plan,
            };
            Ok((plan, schema))
        };
        self.database.runtime().run(self.deadline(), Box::pin(work)).await
    }

    /// Runs the plan of a prepared statement, and keeps its physical plan for the next time where
    /// that is sound.
    pub(super) async fn query_again(
        &self,
        plan: &LogicalPlan,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
    ) -> Result<SendableRecordBatchStream, SqlError> {
        let described = &prepared.schema;
        // Another run of the same statement may be on its way.
        let Ok(mut kept) = Arc::clone(&prepared.kept).try_lock_owned() else {
            return self.query(plan.clone(), described, parameters).await;
        };
        if matches!(*kept, Kept::New | Kept::Never) || !self.access.sees_all_vectors()? {
            if matches!(*kept, Kept::New) {
                *kept = Kept::RanOnce;
            }
            drop(kept);
            return self.query(plan.clone(), described, parameters).await;
        }
        let engine = Arc::clone(self.database.engine());
        let fits = match &*kept {
            Kept::Plan(known) => known
                .fits(&parameters, self.settings.generation(), engine.plan_generation())
                .then_some(&known.reads),
            Kept::New | Kept::RanOnce | Kept::Never => None,
        };
        if let Some(reads) = fits {
            self.access.check_reads(reads)?;
            let cut = self.transaction.cut().unwrap_or_else(|| Arc::new(engine.cut()));
            let told = match &mut *kept {
                Kept::Plan(known) => Some(known.told(described.as_ref())),
                Kept::New | Kept::RanOnce | Kept::Never => None,
            };
            let mut short = None;
            if let Kept::Plan(known) = &mut *kept
                && known.is_short
            {
                let run = known.ready(parameters.clone(), Arc::clone(&cut), true)?;
                let runtime = self.database.runtime();
                short = runtime.here(self.deadline(), run.collect_if_short()).await?;
            }
            let (schema, batches) = match short {
                Some(answer) => answer,
                None => {
                    let work = async move {
                        let Kept::Plan(known) = &mut *kept else { return Err(SqlError::Canceled) };
                        known.ready(parameters, cut, false)?.collect().await
                    };
                    self.database.runtime().run(self.deadline(), Box::pin(work)).await?
                }
            };
            let batches = futures::stream::iter(batches.into_iter().map(Ok));
            let schema = told.unwrap_or(schema);
            let batches: SendableRecordBatchStream =
                Box::pin(RecordBatchStreamAdapter::new(schema, batches));
            let batches = match described {
                Some(described) => renamed(batches, described),
                None => batches,
            };
            return Ok(limited(batches, self.database.max_rows()));
        }
        let Some(candidate) = Candidate::new(plan, &parameters)? else {
            *kept = Kept::Never;
            drop(kept);
            return self.query(plan.clone(), described, parameters).await;
        };
        let reads = Reads::of(plan)?;
        self.access.check_reads(&reads)?;
        let state = self.state_at_cut();
        let memory = self.database.memory().of_query()?;
        let (settings, described) = (self.settings.generation(), described.clone());
        let open = async move {
            let plan = parameters::bind(candidate.plan.clone(), parameters)?;
            let plan = match &described {
                Some(described) => as_described(&state, plan, described)?,
                None => plan,
            };
            let physical = state.create_physical_plan(&plan).await?;
            *kept = candidate.keep(&physical, &state, &memory, engine.as_ref(), settings, reads);
            let context = Arc::new(TaskContext::from(&state).with_runtime(memory));
            let batches = execute_stream(physical, context)?;
            let batches = match &described {
                Some(described) => renamed(batches, described),
                None => batches,
            };
            // The slots are this run's until its last row.
            let schema = batches.schema();
            let batches = batches.inspect(move |_| {
                let _ = &kept;
            });
            Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)) as _)
        };
        let batches = self.database.runtime().stream(self.deadline(), Box::pin(open)).await?;
        Ok(limited(batches, self.database.max_rows()))
    }

    /// Runs `plan`; its columns come with the names and types of `described`, where that is given.
    pub(super) async fn query(
        &self,
        plan: LogicalPlan,
        described: &Option<SchemaRef>,
        parameters: Vec<ScalarValue>,
    ) -> Result<SendableRecordBatchStream, SqlError> {
        self.query_until(self.deadline(), plan, described, parameters).await
    }

    /// The same with an end of its own.
    pub(super) async fn query_until(
        &self,
        deadline: Option<Instant>,
        plan: LogicalPlan,
        described: &Option<SchemaRef>,
        parameters: Vec<ScalarValue>,
    ) -> Result<SendableRecordBatchStream, SqlError> {
        self.access.check(&plan)?;
        let state = self.state_at_cut();
        let memory = self.database.memory().of_query()?;
        let described = described.clone();
        let open = async move {
            let plan = parameters::bind(plan, parameters)?;
            let plan = init_plan::evaluated(&state, &memory, plan).await?;
            let plan = match &described {
                Some(described) => as_described(&state, plan, described)?,
                None => plan,
            };
            let physical = state.create_physical_plan(&plan).await?;
            let context = TaskContext::from(&state).with_runtime(memory);
            let batches = execute_stream(physical, Arc::new(context))?;
            Ok(match &described {
                Some(described) => renamed(batches, described),
                None => batches,
            })
        };
        let batches = self.database.runtime().stream(deadline, Box::pin(open)).await?;
        Ok(limited(batches, self.database.max_rows()))
    }
}

/// The columns with PostgreSQL's whole numbers: it has none without a sign, and DataFusion's ranks and counts
/// of places are such.
fn signed(schema: &SchemaRef) -> SchemaRef {
    if schema.fields().iter().all(|field| *field.data_type() != DataType::UInt64) {
        return Arc::clone(schema);
    }
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::UInt64 => Arc::new(field.as_ref().clone().with_data_type(DataType::Int64)),
        _ => Arc::clone(field),
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Fields>(), schema.metadata().clone()))
}

/// `plan` with casts where the values of parameters gave a column another type than the client
/// was told.
fn as_described(
    state: &SessionState,
    plan: LogicalPlan,
    described: &SchemaRef,
) -> Result<LogicalPlan, SqlError> {
    let analyzed = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| ())?;
    let same = analyzed
        .schema()
        .fields()
        .iter()
        .zip(described.fields())
        .all(|(field, described)| field.data_type() == described.data_type());
    if same {
        return Ok(analyzed);
    }
    let schema = Arc::clone(analyzed.schema());
    let columns = schema.iter().zip(described.fields()).map(|((qualifier, field), described)| {
        let column = Expr::from((qualifier, field));
        if field.data_type() == described.data_type() {
            return Ok(column);
        }
        let cast = column.cast_to(described.data_type(), schema.as_ref())?;
        Ok(cast.alias_qualified(qualifier.cloned(), field.name()))
    });
    let columns = columns.collect::<Result<Vec<_>, SqlError>>()?;
    Ok(LogicalPlanBuilder::from(analyzed).project(columns)?.build()?)
}

/// The same batches, and an error instead of more than `max_rows` rows.
fn limited(batches: SendableRecordBatchStream, max_rows: usize) -> SendableRecordBatchStream {
    let schema = batches.schema();
    let mut rows = 0;
    let batches = batches.map(move |batch| {
        let batch = batch?;
        rows += batch.num_rows();
        if rows <= max_rows {
            return Ok(batch);
        }
        Err(DataFusionError::External(Box::new(SqlError::Query {
            sqlstate: "54000",
            message: format!("the answer has more than {max_rows} rows"),
            detail: None,
            hint: Some("Ask for fewer with WHERE or LIMIT, or raise the server's max_rows.".into()),
        })))
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}

/// The same batches with the names of `described`.
fn renamed(batches: SendableRecordBatchStream, described: &SchemaRef) -> SendableRecordBatchStream {
    let inner = batches.schema();
    let same = inner
        .fields()
        .iter()
        .zip(described.fields())
        .all(|(field, described)| field.name() == described.name());
    if same {
        return batches;
    }
    let fields = inner
        .fields()
        .iter()
        .zip(described.fields())
        .map(|(field, described)| Arc::new(field.as_ref().clone().with_name(described.name())));
    let schema = Arc::new(Schema::new(fields.collect::<Fields>()));
    let names = Arc::clone(&schema);
    let batches = batches.map(move |batch| {
        let (_, columns, rows) = batch?.into_parts();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&names), columns, &options)?)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, batches))
}
