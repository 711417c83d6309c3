//! Where statements run: a tokio runtime of its own (threads `vigil-query`), so that a heavy
//! query never keeps the wire from reading a cancel request.
//!
//! What runs here stops when whoever waits for it goes away, when its deadline is over, and when
//! it panics; the panic becomes an error of that one statement.
//!
//! A single step of a statement, such as a function of one long text, may hold its thread for minutes. Where
//! a statement does not begin because all threads are held, others are started for it.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Timeout;

use crate::SqlError;
use crate::interrupt::{Interrupt, Interruptible};

/// Batches that wait between a query and its reader. A reader that is slow stops the query.
const BATCHES_AHEAD: usize = 2;

/// So long after its deadline a statement is waited for that does not end itself.
const STEP: Duration = Duration::from_millis(20);

/// The stack of a query thread. Planning descends a statement's tree; only what is used of it takes
/// memory.
const STACK_BYTES: usize = 64 << 20;

/// How far query threads stand back where the processors are short: frames come whether or not
/// somebody has a question. Linux gives a thread of this niceness a third of what it gives one of
/// the engine's (sched(7)); where processors are idle it makes no difference.
const NICENESS: i32 = 5;

/// Makes the calling thread stand behind the engine's.
fn behind_the_engine() {
    // Elsewhere than on Linux this is the whole process's, the engine's included.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "a query thread keeps the priority of the engine's");
    }
}

/// So long a statement waits for a thread before others are started.
const PATIENCE: Duration = Duration::from_millis(500);

/// So many crews there are at most: three may be held by steps that do not end.
const CREWS: usize = 4;

/// What a query thread does for a statement.
pub(crate) type Work<T> = BoxFuture<'static, Result<T, SqlError>>;

/// The threads that statements run on.
#[derive(Debug)]
pub(crate) struct QueryRuntime {
    threads: usize,
    /// The last one takes new work. The threads of those before it were held when it was started.
    crews: Mutex<Vec<Crew>>,
    timer: Timer,
}

/// The thread that wakes who waits for a moment, whatever holds the others. Programs that embed the engine may
/// have a runtime without timers.
#[derive(Debug)]
struct Timer {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Timer {
    fn new() -> std::io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("vigil-timer").enable_time().build()?;
        let handle = runtime.handle().clone();
        Ok(Self { runtime: Some(runtime), handle })
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // Waiting for threads is forbidden on a thread of another runtime, so nobody does.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// `work` up to a moment that `timer` tells.
fn until<F: Future>(timer: &Handle, moment: Instant, work: F) -> Timeout<F> {
    let _entered = timer.enter();
    tokio::time::timeout_at(moment.into(), work)
}

/// Some threads.
#[derive(Debug)]
struct Crew {
    number: usize,
    runtime: Runtime,
}

impl Crew {
    fn new(number: usize, threads: usize) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("vigil-query")
            .thread_stack_size(STACK_BYTES)
            .on_thread_start(behind_the_engine)
            .enable_all()
            .build()?;
        Ok(Self { number, runtime })
    }

    fn tasks(&self) -> usize {
        self.runtime.metrics().num_alive_tasks()
    }

    fn reference(&self) -> (usize, Handle) {
        (self.number, self.runtime.handle().clone())
    }
}

impl QueryRuntime {
    /// Starts `threads` threads.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        let crews = Mutex::new(vec![Crew::new(0, threads)?]);
        Ok(Self { threads, crews, timer: Timer::new()? })
    }

    fn crews(&self) -> MutexGuard<'_, Vec<Crew>> {
        self.crews.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Statements and parts of them that run at this moment.
    pub(crate) fn tasks(&self) -> usize {
        self.crews().iter().map(Crew::tasks).sum()
    }

    /// The number and the handle of the crew that takes new work. Those that have done theirs are sent away.
    fn crew(&self) -> Option<(usize, Handle)> {
        let mut crews = self.crews();
        let newest = crews.last()?.number;
        let done = crews.extract_if(.., |crew| crew.number != newest && crew.tasks() == 0);
        done.for_each(|crew| crew.runtime.shutdown_background());
        crews.last().map(Crew::reference)
    }

    /// Another crew than the one whose threads are held; `None` where there may be no more.
    fn relief(&self, held: usize) -> Option<(usize, Handle)> {
        let mut crews = self.crews();
        let newest = crews.last()?.number;
        if newest == held {
            if crews.len() >= CREWS {
                return None;
            }
            match Crew::new(newest + 1, self.threads) {
                Ok(crew) => crews.push(crew),
                Err(error) => tracing::warn!(%error, "all query threads are held"),
            }
        }
        crews.last().filter(|crew| crew.number != held).map(Crew::reference)
    }

    /// Runs `work` to its end; dropping the returned future stops it.
    ///
    /// The work comes in a box: each of the futures around it would be as large as it is, and threads' stacks
    /// are small.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: Option<Instant>,
        work: Work<T>,
    ) -> Result<T, SqlError> {
        self.run_until(Interrupt::new(deadline), deadline, work).await
    }

    async fn run_until<T: Send + 'static>(
        &self,
        interrupt: Arc<Interrupt>,
        deadline: Option<Instant>,
        work: Work<T>,
    ) -> Result<T, SqlError> {
        let timer = &self.timer.handle;
        let work = before(timer.clone(), deadline, work);
        let work = Aside { work: Box::pin(work), has_begun: false };
        let mut waiting = Waiting::new(Interruptible::new(work, Arc::clone(&interrupt)));
        let (mut crew, handle) = self.crew().ok_or(SqlError::Stopping)?;
        let mut task = AbortOnDrop { task: handle.spawn(waiting.begun()), interrupt };
        let ended = async {
            loop {
                let patience = Instant::now() + PATIENCE;
                if let Ok(ended) = until(timer, patience, &mut task.task).await {
                    return ended;
                }
                // Work that has begun is gone from here; what has not may begin elsewhere.
                if waiting.has_begun() {
                    return (&mut task.task).await;
                }
                if let Some((number, handle)) = self.relief(crew)
                    && let Some(moved) = waiting.moved()
                {
                    (crew, waiting) = (number, moved);
                    task.task = handle.spawn(waiting.begun());
                }
            }
        };
        let ended = match deadline {
            // The work ends itself at its deadline, unless a single step of it goes on; planning is one.
            Some(deadline) => {
                let latest = deadline + STEP;
                match until(timer, latest, ended).await {
                    Ok(ended) => ended,
                    Err(_) => return Err(SqlError::Timeout),
                }
            }
            None => ended.await,
        };
        ended.unwrap_or(Err(SqlError::Stopping))
    }

    /// Runs `work` on the caller's thread: for what takes less time than to hand it over.
    pub(crate) async fn here<T>(
        &self,
        deadline: Option<Instant>,
        work: impl Future<Output = Result<T, SqlError>>,
    ) -> Result<T, SqlError> {
        before(self.timer.handle.clone(), deadline, work).await
    }

    /// Reads the stream that `open` makes and passes its batches on; dropping the stream that is
    /// returned stops the query.
    pub(crate) async fn stream(
        &self,
        deadline: Option<Instant>,
        open: Work<SendableRecordBatchStream>,
    ) -> Result<SendableRecordBatchStream, SqlError> {
        let interrupt = Interrupt::new(deadline);
        let mut batches = self.run_until(Arc::clone(&interrupt), deadline, open).await?;
        let schema = batches.schema();
        let (sender, receiver) = mpsc::channel(BATCHES_AHEAD);
        let timer = self.timer.handle.clone();
        let reading = async move {
            let reading = before(timer, deadline, async {
                while let Some(batch) = batches.next().await {
                    // The reader is gone: nobody wants the rest.
                    if sender.send(Ok(batch?)).await.is_err() {
                        break;
                    }
                }
                Ok(())
            });
            if let Err(error) = reading.await {
                let error = DataFusionError::External(Box::new(error));
                let _ = sender.send(Err(error)).await;
            }
        };
        let (_, handle) = self.crew().ok_or(SqlError::Stopping)?;
        let task = handle.spawn(Interruptible::new(reading, Arc::clone(&interrupt)));
        Ok(Box::pin(Batches { schema, receiver, _task: AbortOnDrop { task, interrupt } }))
    }
}

impl Drop for QueryRuntime {
    fn drop(&mut self) {
        self.crews().drain(..).for_each(|crew| crew.runtime.shutdown_background());
    }
}

/// Work that waits for a thread: whoever comes first takes it.
struct Waiting<F>(Arc<Mutex<Option<F>>>);

impl<T, F> Waiting<F>
where
    F: Future<Output = Result<T, SqlError>>,
{
    fn new(work: F) -> Self {
        Self(Arc::new(Mutex::new(Some(work))))
    }

    fn take(work: &Mutex<Option<F>>) -> Option<F> {
        work.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn has_begun(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Takes it and does it.
    fn begun(&self) -> impl Future<Output = Result<T, SqlError>> + use<T, F> {
        let work = Arc::clone(&self.0);
        async move {
            match Self::take(&work) {
                Some(work) => work.await,
                // Others do it, and nobody waits for this.
                None => Err(SqlError::Canceled),
            }
        }
    }

    /// The same work, which can begin here no longer.
    fn moved(&self) -> Option<Self> {
        Self::take(&self.0).map(Self::new)
    }
}

/// `work` with its panics as errors, up to `deadline`.
async fn before<T>(
    timer: Handle,
    deadline: Option<Instant>,
    work: impl Future<Output = Result<T, SqlError>>,
) -> Result<T, SqlError> {
    let work = AssertUnwindSafe(work).catch_unwind();
    let outcome = match deadline {
        Some(deadline) => until(&timer, deadline, work).await.map_err(|_| SqlError::Timeout)?,
        None => work.await,
    };
    outcome.unwrap_or_else(|panic| Err(SqlError::Panicked { detail: panic_text(panic.as_ref()) }))
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without text".into()
    }
}

struct AbortOnDrop<T> {
    task: JoinHandle<T>,
    interrupt: Arc<Interrupt>,
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        // A task that has ended may have made a stream, which is still wanted.
        if !self.task.is_finished() {
            self.interrupt.stop();
            self.task.abort();
        }
    }
}

/// Batches of a query that runs elsewhere.
struct Batches {
    schema: SchemaRef,
    receiver: mpsc::Receiver<Result<RecordBatch, DataFusionError>>,
    _task: AbortOnDrop<()>,
}

impl Stream for Batches {
    type Item = Result<RecordBatch, DataFusionError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context)
    }
}

impl RecordBatchStream for Batches {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }
}

/// Work whose first step, which plans, may take long: whatever else waits for its thread is handed to another
/// one, so that a plan that takes a minute is in nobody's way.
struct Aside<F> {
    work: Pin<Box<F>>,
    has_begun: bool,
}

impl<F: Future> Future for Aside<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.has_begun {
            return self.work.as_mut().poll(context);
        }
        self.has_begun = true;
        tokio::task::block_in_place(|| self.work.as_mut().poll(context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_step_that_goes_on_past_the_deadline_is_not_waited_for() {
        let runtime = QueryRuntime::new(1).expect("has a thread");
        // The thread is held until the answer is there, as a long step of planning would hold it.
        let (release, held) = std::sync::mpsc::channel::<()>();
        let deadline = Instant::now() + Duration::from_millis(10);
        let work = async move {
            let _ = held.recv();
            Ok(())
        };
        let error = runtime.run(Some(deadline), Box::pin(work)).await.expect_err("is over");
        assert_eq!(error.sqlstate(), "57014");
        assert_eq!(error.to_string(), "canceling statement due to statement timeout");
        // Nor is anybody else kept from the thread.
        let other = runtime.run(None, Box::pin(async { Ok(7) })).await.expect("is run");
        assert_eq!(other, 7);
        drop(release);
    }

    #[tokio::test]
    async fn steps_that_hold_all_threads_keep_nobody_from_beginning() {
        let runtime = Arc::new(QueryRuntime::new(1).expect("has a thread"));
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (begin, begun) = tokio::sync::oneshot::channel();
        let holding = Arc::clone(&runtime);
        let holder = tokio::spawn(async move {
            let work = async move {
                // The first step is done aside; the second one holds the thread.
                tokio::task::yield_now().await;
                let _ = begin.send(());
                let _ = held.recv();
                Ok(3)
            };
            holding.run(None, Box::pin(work)).await
        });
        begun.await.expect("has begun");
        assert_eq!(runtime.run(None, Box::pin(async { Ok(7) })).await.expect("is run"), 7);
        assert_eq!(runtime.crews().len(), 2);
        drop(release);
        assert_eq!(holder.await.expect("ends").expect("is run"), 3);
        // The first crew has done its work and goes.
        while runtime.crews().iter().any(|crew| crew.tasks() > 0) {
            tokio::task::yield_now().await;
        }
        assert_eq!(runtime.run(None, Box::pin(async { Ok(8) })).await.expect("is run"), 8);
        assert_eq!(runtime.crews().len(), 1);
    }
}
