//! Statements that are told to stop while a single step of theirs goes on for minutes.
//!
//! A task of tokio's can be dropped only between two polls. DataFusion's operators end a poll often enough
//! where they read batches; a join of two tables without a key reads one batch and compares it with
//! everything, which may take hours, and a thread that does it answers nobody else. So the threads know
//! whose work they do ([`Interruptible`], also in tasks that DataFusion spawns), and the condition of such a
//! join asks for each batch of pairs whether that is still wanted ([`Interrupts`]). Joins without a
//! condition end a poll after some batches.

mod planning;

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Once};
use std::task::{Context, Poll};
use std::time::Instant;

use arrow::datatypes::{DataType, Field};
use datafusion::common::config::ConfigOptions;
use datafusion::common::runtime::{JoinSetTracer, set_join_set_tracer};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::utils::take_function_args;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder,
};
use futures::FutureExt;
use futures::future::BoxFuture;

pub(crate) use self::planning::{analyzer_rules, optimizer_rules};
use crate::SqlError;

/// Whether a statement has to stop.
#[derive(Debug, Default)]
pub(crate) struct Interrupt {
    is_stopped: AtomicBool,
    deadline: Option<Instant>,
}

impl Interrupt {
    pub(crate) fn new(deadline: Option<Instant>) -> Arc<Self> {
        follow_tasks();
        Arc::new(Self { is_stopped: AtomicBool::new(false), deadline })
    }

    /// Tells all that is done for the statement to stop.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> Result<()> {
        let error = if self.is_stopped.load(Ordering::Relaxed) {
            SqlError::Canceled
        } else if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            SqlError::Timeout
        } else {
            return Ok(());
        };
        Err(DataFusionError::External(Box::new(error)))
    }
}

thread_local! {
    /// The statement that this thread works for.
    static CURRENT: RefCell<Option<Arc<Interrupt>>> = const { RefCell::new(None) };
}

fn current() -> Option<Arc<Interrupt>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Whether the statement that this thread works for is still wanted.
///
/// # Errors
/// SQLSTATE 57014 when it is not.
pub(crate) fn check() -> Result<()> {
    current().map_or(Ok(()), |interrupt| interrupt.check())
}

/// Work for a statement.
pub(crate) struct Interruptible<F> {
    work: Pin<Box<F>>,
    interrupt: Option<Arc<Interrupt>>,
}

impl<F> Interruptible<F> {
    pub(crate) fn new(work: F, interrupt: Arc<Interrupt>) -> Self {
        Self { work: Box::pin(work), interrupt: Some(interrupt) }
    }
}

impl<F: Future> Future for Interruptible<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _entered = Entered::new(self.interrupt.clone());
        self.work.as_mut().poll(context)
    }
}

/// Says whose work the thread does until it is dropped.
struct Entered {
    before: Option<Arc<Interrupt>>,
}

impl Entered {
    fn new(interrupt: Option<Arc<Interrupt>>) -> Self {
        Self { before: CURRENT.replace(interrupt) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.before.take());
    }
}

/// Lets tasks that DataFusion spawns work for the statement that they were spawned for.
fn follow_tasks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if set_join_set_tracer(&Tasks).is_err() {
            tracing::warn!("tasks of queries are traced by something else: some cannot be stopped");
        }
    });
}

struct Tasks;

impl JoinSetTracer for Tasks {
    fn trace_future(
        &self,
        work: BoxFuture<'static, Box<dyn Any + Send>>,
    ) -> BoxFuture<'static, Box<dyn Any + Send>> {
        match current() {
            Some(interrupt) => Interruptible::new(work, interrupt).boxed(),
            None => work,
        }
    }

    fn trace_block(
        &self,
        work: Box<dyn FnOnce() -> Box<dyn Any + Send> + Send>,
    ) -> Box<dyn FnOnce() -> Box<dyn Any + Send> + Send> {
        let interrupt = current();
        Box::new(move || {
            let _entered = Entered::new(interrupt);
            work()
        })
    }
}

/// The rule that makes joins ask.
#[derive(Debug)]
pub(crate) struct Interrupts;

impl PhysicalOptimizerRule for Interrupts {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let asking = plan.transform_up(|plan| {
            if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>() {
                let join = NestedLoopJoinExecBuilder::new(
                    Arc::clone(join.left()),
                    Arc::clone(join.right()),
                    *join.join_type(),
                )
                .with_projection_ref(join.projection().clone())
                .with_filter(join.filter().map(|filter| asking(filter, config)))
                .build()?;
                return Ok(Transformed::yes(cooperative(Arc::new(join))));
            }
            if plan.is::<CrossJoinExec>() || plan.is::<HashJoinExec>() {
                return Ok(Transformed::yes(cooperative(plan)));
            }
            Ok(Transformed::no(plan))
        });
        Ok(asking?.data)
    }

    fn name(&self) -> &str {
        "interrupts"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn cooperative(plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    Arc::new(CooperativeExec::new(plan))
}

fn asking(filter: &JoinFilter, config: &ConfigOptions) -> JoinFilter {
    let condition = ScalarFunctionExpr::new(
        WANTED.name(),
        Arc::clone(&WANTED),
        vec![Arc::clone(filter.expression())],
        Arc::new(Field::new(WANTED.name(), DataType::Boolean, true)),
        Arc::new(config.clone()),
    );
    JoinFilter::new(
        Arc::new(condition),
        filter.column_indices().to_vec(),
        Arc::clone(filter.schema()),
    )
}

static WANTED: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::exact(vec![DataType::Boolean], Volatility::Volatile);
    Arc::new(ScalarUDF::new_from_impl(Wanted { signature }))
});

/// A condition as it is, unless the statement has to stop.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Wanted {
    signature: Signature,
}

impl ScalarUDFImpl for Wanted {
    fn name(&self) -> &str {
        "wanted"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        check()?;
        let [condition] = take_function_args(self.name(), args.args)?;
        Ok(condition)
    }
}
