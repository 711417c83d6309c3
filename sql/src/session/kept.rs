//! Plans that are kept: a prepared search that is run again is not planned again.
//!
//! Planning takes longer than walking a graph does. So the second run of a prepared statement is
//! planned with its vectors as slots ([`super::slot`]), and the plan is kept when it is sound to
//! run it again:
//!
//! * every leaf reads the cut of the run and not that of the planning (the engine says so of its
//!   searches);
//! * no function of the statement has another value tomorrow, such as `now()` or `embed(…)`, and no
//!   sub-query gives it a vector;
//! * the session sees all rows of the tables, and nothing that planning depends on has changed:
//!   settings, indexes, the values of all other parameters.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Cast, Expr, LogicalPlan, Volatility};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::limit::GlobalLimitExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionConfig;
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};

use super::slot::Slot;
use super::{init_plan, origins};
use crate::access::Reads;
use crate::{AtOnce, Cut, Engine, NotShort, SqlError};

/// What a prepared statement remembers of its runs.
#[derive(Debug, Default)]
pub(super) enum Kept {
    /// It has not run yet.
    #[default]
    New,
    /// It has run once.
    RanOnce,
    /// It cannot be kept.
    Never,
    /// Its plan.
    Plan(Box<KeptPlan>),
}

/// A physical plan whose vectors are slots.
#[derive(Debug)]
pub(super) struct KeptPlan {
    plan: Arc<dyn ExecutionPlan>,
    /// Runs since the plan was put back to its beginning.
    runs: usize,
    /// Whether runs leave nothing in the plan but their figures.
    is_stateless: bool,
    /// Whether it is likely to be done in less time than it takes to hand it to another thread.
    pub(super) is_short: bool,
    config: SessionConfig,
    memory: Arc<RuntimeEnv>,
    /// For each parameter its slot, or the value that the plan was made with.
    parameters: Vec<Parameter>,
    /// The generation of the settings that it was made with.
    settings: u64,
    generation: u64,
    /// The tables that it reads.
    pub(super) reads: Reads,
    /// The columns as the client is told them; the same ones for each run.
    told: Option<SchemaRef>,
}

#[derive(Debug)]
enum Parameter {
    Slot(Arc<Slot>, DataType),
    Fixed(ScalarValue),
}

impl KeptPlan {
    /// Whether the plan is the one that these parameters would get now.
    pub(super) fn fits(&self, parameters: &[ScalarValue], settings: u64, generation: u64) -> bool {
        self.generation == generation
            && self.parameters.len() == parameters.len()
            && self.parameters.iter().zip(parameters).all(|(known, value)| match known {
                Parameter::Slot(_, data_type) => value.data_type() == *data_type,
                Parameter::Fixed(known) => known == value,
            })
            && self.settings == settings
    }

    /// The columns of the answer as the client is told them.
    pub(super) fn told(&mut self, described: Option<&SchemaRef>) -> SchemaRef {
        let carried = || origins::carried(self.plan.schema(), described);
        Arc::clone(self.told.get_or_insert_with(carried))
    }

    /// Puts parameters that fit in, and gives what runs, on a thread with others to serve if it is
    /// `at_once`.
    ///
    /// # Errors
    /// When a node of the plan cannot be run again.
    pub(super) fn ready(
        &mut self,
        parameters: Vec<ScalarValue>,
        cut: Arc<Cut>,
        at_once: bool,
    ) -> Result<Run> {
        for (known, value) in self.parameters.iter().zip(parameters) {
            if let Parameter::Slot(slot, _) = known {
                slot.put(value);
            }
        }
        let mut config = self.config.clone();
        config.set_extension(cut);
        if at_once {
            config.set_extension(Arc::new(AtOnce));
        }
        // Not the default one, which makes an environment of its own. Functions are in the plan.
        let context = TaskContext::new(
            None,
            String::new(),
            config,
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            HashMap::new(),
            Arc::clone(&self.memory),
        );
        // Making the nodes anew takes longer than running some of them; figures may pile up a while.
        self.runs += 1;
        if !self.is_stateless || self.runs >= RUNS_WITHOUT_RESET {
            self.plan = reset_plan_states(Arc::clone(&self.plan))?;
            self.runs = 0;
        }
        Ok(Run { plan: Arc::clone(&self.plan), context: Arc::new(context) })
    }
}

/// So often a plan that keeps nothing but figures is run before those are thrown away.
const RUNS_WITHOUT_RESET: usize = 64;

/// A plan at a cut.
pub(super) struct Run {
    plan: Arc<dyn ExecutionPlan>,
    context: Arc<TaskContext>,
}

impl Run {
    /// All rows: a search is small.
    pub(super) async fn collect(self) -> Result<(SchemaRef, Vec<RecordBatch>), SqlError> {
        let schema = self.plan.schema();
        let batches = execute_stream(self.plan, self.context)?;
        Ok((schema, batches.try_collect().await?))
    }

    /// The same where it is short after all.
    pub(super) async fn collect_if_short(
        self,
    ) -> Result<Option<(SchemaRef, Vec<RecordBatch>)>, SqlError> {
        let schema = self.plan.schema();
        match execute_stream(self.plan, self.context)?.try_collect().await {
            Ok(batches) => Ok(Some((schema, batches))),
            Err(DataFusionError::External(error)) if error.is::<NotShort>() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// The statement with slots for the vectors among its parameters, as far as it may be kept.
pub(super) struct Candidate {
    pub(super) plan: LogicalPlan,
    parameters: Vec<Parameter>,
}

impl Candidate {
    /// `None` when the statement cannot be kept, or when nothing in it would be a slot.
    ///
    /// # Errors
    /// When the plan cannot be rewritten.
    pub(super) fn new(plan: &LogicalPlan, values: &[ScalarValue]) -> Result<Option<Self>> {
        if depends_on_time(plan)? || init_plan::has_any(plan)? {
            return Ok(None);
        }
        let only_vectors = used_as_vectors(plan, values.len())?;
        let is_slot = |value: &ScalarValue, only_vector: bool| match value.data_type() {
            DataType::List(_) | DataType::FixedSizeList(..) => true,
            DataType::Utf8 => only_vector,
            _ => false,
        };
        let parameters: Vec<Parameter> = values
            .iter()
            .zip(only_vectors)
            .map(|(value, only_vector)| {
                if is_slot(value, only_vector) && !value.is_null() {
                    Parameter::Slot(Slot::new(value.clone()), value.data_type())
                } else {
                    Parameter::Fixed(value.clone())
                }
            })
            .collect();
        if !parameters.iter().any(|parameter| matches!(parameter, Parameter::Slot(..))) {
            return Ok(None);
        }
        let plan = with_slots(plan.clone(), &parameters)?;
        Ok(Some(Self { plan, parameters }))
    }

    /// Keeps the physical plan, when all of its leaves may run again.
    pub(super) fn keep(
        self,
        plan: &Arc<dyn ExecutionPlan>,
        state: &SessionState,
        memory: &Arc<RuntimeEnv>,
        engine: &dyn Engine,
        settings: u64,
        reads: Reads,
    ) -> Kept {
        if !leaves_may_run_again(plan, engine) {
            return Kept::Never;
        }
        Kept::Plan(Box::new(KeptPlan {
            plan: Arc::clone(plan),
            runs: 0,
            is_stateless: is_stateless(plan, engine),
            is_short: is_short(plan, engine),
            config: state.config().clone(),
            memory: Arc::clone(memory),
            parameters: self.parameters,
            settings,
            generation: engine.plan_generation(),
            reads,
            told: None,
        }))
    }
}

/// Whether runs leave nothing in any node but their figures.
fn is_stateless(plan: &Arc<dyn ExecutionPlan>, engine: &dyn Engine) -> bool {
    let is_plain = plan.is::<ProjectionExec>()
        || plan.is::<FilterExec>()
        || plan.is::<GlobalLimitExec>()
        || plan.is::<CooperativeExec>();
    (is_plain || engine.may_run_again(plan.as_ref()))
        && plan.children().into_iter().all(|child| is_stateless(child, engine))
}

/// Whether there is one leaf and that is short, with nothing above it that multiplies its rows.
fn is_short(plan: &Arc<dyn ExecutionPlan>, engine: &dyn Engine) -> bool {
    match plan.children().as_slice() {
        [] => engine.is_short(plan.as_ref()),
        [child] => is_stateless(plan, engine) && is_short(child, engine),
        _ => false,
    }
}

fn leaves_may_run_again(plan: &Arc<dyn ExecutionPlan>, engine: &dyn Engine) -> bool {
    let children = plan.children();
    if children.is_empty() {
        return engine.may_run_again(plan.as_ref());
    }
    children.into_iter().all(|child| leaves_may_run_again(child, engine))
}

/// Whether a function has another value at another time.
fn depends_on_time(plan: &LogicalPlan) -> Result<bool> {
    let mut depends = false;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarFunction(call) = expr {
                    depends |= call.func.signature().volatility != Volatility::Immutable;
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(depends)
}

/// For each of `count` parameters, whether all of its places are casts to a list or a vector.
fn used_as_vectors(plan: &LogicalPlan, count: usize) -> Result<Vec<bool>> {
    let (mut places, mut casts) = (vec![0_usize; count], vec![0_usize; count]);
    let note = |counts: &mut [usize], expr: &Expr| {
        if let Some(count) = number(expr).and_then(|number| counts.get_mut(number)) {
            *count += 1;
        }
    };
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                note(&mut places, expr);
                if let Expr::Cast(Cast { expr, field }) = expr
                    && matches!(field.data_type(), DataType::List(_) | DataType::FixedSizeList(..))
                {
                    note(&mut casts, expr);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(places.iter().zip(&casts).map(|(places, casts)| places == casts).collect())
}

/// The place of a parameter among the values.
fn number(expr: &Expr) -> Option<usize> {
    let Expr::Placeholder(Placeholder { id, .. }) = expr else { return None };
    id.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)
}

fn with_slots(plan: LogicalPlan, parameters: &[Parameter]) -> Result<LogicalPlan> {
    let plan = plan.transform_up_with_subqueries(|plan| {
        let names = NamePreserver::new(&plan);
        let plan = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let expr = expr.transform_up(|expr| {
                let parameter = number(&expr).and_then(|number| parameters.get(number));
                Ok(match (parameter, &expr) {
                    (Some(Parameter::Slot(slot, data_type)), Expr::Placeholder(placeholder)) => {
                        Transformed::yes(slot.expr(field_of(placeholder, data_type)))
                    }
                    _ => Transformed::no(expr),
                })
            })?;
            Ok(expr.update_data(|expr| name.restore(expr)))
        })?;
        plan.map_data(LogicalPlan::recompute_schema)
    })?;
    Ok(plan.data)
}

/// The type of the value, with the parameter's metadata.
fn field_of(placeholder: &Placeholder, data_type: &DataType) -> FieldRef {
    Arc::new(match &placeholder.field {
        Some(field) => field.as_ref().clone().with_data_type(data_type.clone()).with_nullable(true),
        None => Field::new(&placeholder.id, data_type.clone(), true),
    })
}
