//! One model's thread: requests go in through a bounded queue, each is answered by its reply.
//!
//! Nothing here knows what a request is; that is a [`Kind`]. The order of replies is the order of
//! the requests.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use super::{OpenOptions, ServiceOptions};
use crate::backend::{RunsOn, SessionOptions};
use crate::manifest::{ModelEntry, Task};
use crate::{ModelError, Registry};

/// A kind of model as the service runs it.
pub(super) trait Kind: 'static {
    /// The task of its models.
    const TASK: Task;
    /// The loaded model.
    type Model: Send;
    /// What callers may know of a model without asking its thread.
    type Facts: Send + Sync;
    /// What goes in.
    type Request: Send;
    /// What comes out.
    type Answer: Send;

    /// Loads and checks a model.
    fn open(
        registry: &Registry,
        entry: &ModelEntry,
        options: SessionOptions,
    ) -> Result<(Self::Model, Self::Facts), ModelError>;

    /// Answers some requests with one run, in order.
    fn run(
        model: &mut Self::Model,
        requests: &[Self::Request],
    ) -> Result<Vec<Self::Answer>, ModelError>;

    /// The device that the model got, where it has one of its own.
    fn runs_on(_facts: &Self::Facts) -> Option<&RunsOn> {
        None
    }

    /// Whether a request is work for the network, which counters count.
    fn is_work(_request: &Self::Request) -> bool {
        true
    }
}

/// Takes the answer and how long the model worked for it, on the model's thread.
pub(super) type Reply<K> =
    Box<dyn FnOnce(Result<<K as Kind>::Answer, ModelError>, Duration) + Send>;

struct Job<K: Kind> {
    request: K::Request,
    reply: Reply<K>,
}

/// A loaded model and what it did so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadedModel {
    /// Name with version: `yolov8n:1`.
    pub id: Arc<str>,
    /// What it is for.
    pub task: Task,
    /// The device that it runs on and why, where the model says.
    pub runs_on: Option<RunsOn>,
    /// Runs so far, also those that failed.
    pub runs: u64,
    /// Requests answered so far, also those that failed.
    pub items: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that wait.
    pub queued: usize,
    /// The time of all runs, preparation and interpretation included.
    pub total: Duration,
    /// The time of the last run.
    pub last: Duration,
}

#[derive(Default)]
struct Counters {
    runs: AtomicU64,
    items: AtomicU64,
    failed: AtomicU64,
    total_nanos: AtomicU64,
    last_nanos: AtomicU64,
    /// Requests that go into one run together at most.
    max_batch: AtomicUsize,
    stopping: AtomicBool,
}

impl Counters {
    fn count(&self, items: usize, failed: usize, elapsed: Duration) {
        let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        self.runs.fetch_add(1, Ordering::Relaxed);
        self.items.fetch_add(items as u64, Ordering::Relaxed);
        self.failed.fetch_add(failed as u64, Ordering::Relaxed);
        self.total_nanos.fetch_add(nanos, Ordering::Relaxed);
        self.last_nanos.store(nanos, Ordering::Relaxed);
    }
}

/// A model's queue and thread.
pub(super) struct Worker<K: Kind> {
    id: Arc<str>,
    facts: K::Facts,
    /// `None` once the worker stops.
    jobs: Mutex<Option<Sender<Job<K>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    counters: Arc<Counters>,
}

impl<K: Kind> Worker<K> {
    /// Loads the model on the calling thread, so that its errors come here, and starts its own.
    pub(super) fn start(
        registry: &Registry,
        entry: &ModelEntry,
        options: &ServiceOptions,
        open: OpenOptions,
    ) -> Result<Self, ModelError> {
        let (model, facts) = K::open(registry, entry, options.session(open))?;
        let id: Arc<str> = entry.id().into();
        let (sender, receiver) = bounded(options.queue.max(1));
        let counters = Arc::new(Counters::default());
        counters.max_batch.store(options.max_batch.max(1), Ordering::Relaxed);
        let mut runner = Runner::<K> {
            id: Arc::clone(&id),
            model,
            jobs: receiver,
            max_wait: options.max_wait,
            counters: Arc::clone(&counters),
        };
        let thread = std::thread::Builder::new()
            .name(format!("infer-{}", entry.name))
            .spawn(move || runner.work())
            .map_err(|error| ModelError::Run {
                name: id.to_string(),
                detail: format!("Its thread could not be started: {error}."),
            })?;
        let (jobs, thread) = (Mutex::new(Some(sender)), Mutex::new(Some(thread)));
        Ok(Self { id, facts, jobs, thread, counters })
    }

    pub(super) fn id(&self) -> &Arc<str> {
        &self.id
    }

    pub(super) fn facts(&self) -> &K::Facts {
        &self.facts
    }

    /// Lets runs have as many requests, if they may not yet.
    pub(super) fn allow_batch(&self, batch_size: usize) {
        self.counters.max_batch.fetch_max(batch_size, Ordering::Relaxed);
    }

    /// Queues a request. Does not block; where it fails, the reply is not called.
    pub(super) fn submit(&self, request: K::Request, reply: Reply<K>) -> Result<(), ModelError> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = jobs.as_ref().ok_or(ModelError::Stopping)?;
        sender.try_send(Job { request, reply }).map_err(|error| match error {
            TrySendError::Full(_) => ModelError::QueueFull {
                name: self.id.to_string(),
                capacity: sender.capacity().unwrap_or(0),
            },
            TrySendError::Disconnected(_) => ModelError::Stopping,
        })
    }

    /// Queues a request, waiting for room, and waits for the answer.
    pub(super) fn ask(&self, request: K::Request) -> Result<K::Answer, ModelError> {
        let (answer, answered) = bounded(1);
        let reply: Reply<K> = Box::new(move |result, _| {
            // Whoever asked waits below, so there is somebody to receive it.
            let _ = answer.send(result);
        });
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let sender = jobs.ok_or(ModelError::Stopping)?;
        sender.send(Job { request, reply }).map_err(|_| ModelError::Stopping)?;
        drop(sender);
        answered.recv().unwrap_or(Err(ModelError::Stopping))
    }

    pub(super) fn loaded(&self) -> LoadedModel {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = &self.counters;
        LoadedModel {
            id: Arc::clone(&self.id),
            task: K::TASK,
            runs_on: K::runs_on(&self.facts).cloned(),
            runs: counters.runs.load(Ordering::Relaxed),
            items: counters.items.load(Ordering::Relaxed),
            failed: counters.failed.load(Ordering::Relaxed),
            queued: jobs.as_ref().map_or(0, Sender::len),
            total: Duration::from_nanos(counters.total_nanos.load(Ordering::Relaxed)),
            last: Duration::from_nanos(counters.last_nanos.load(Ordering::Relaxed)),
        }
    }

    /// Lets the run under way finish, answers what waits with [`ModelError::Stopping`], and waits
    /// for the thread, unless it is the calling one.
    pub(super) fn stop(&self) {
        self.counters.stopping.store(true, Ordering::Release);
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!(model = %self.id, "the inference thread panicked");
        }
    }
}

impl<K: Kind> Drop for Worker<K> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What lives on the model's thread.
struct Runner<K: Kind> {
    id: Arc<str>,
    model: K::Model,
    jobs: Receiver<Job<K>>,
    max_wait: Duration,
    counters: Arc<Counters>,
}

impl<K: Kind> Runner<K> {
    fn work(&mut self) {
        while let Ok(first) = self.jobs.recv() {
            let batch = self.batch(first);
            if self.counters.stopping.load(Ordering::Acquire) {
                for reply in batch.1 {
                    self.reply(reply, Err(ModelError::Stopping), Duration::ZERO);
                }
            } else {
                self.answer(batch);
            }
        }
    }

    /// The first request and those that come within `max_wait`, up to `max_batch`.
    fn batch(&self, first: Job<K>) -> (Vec<K::Request>, Vec<Reply<K>>) {
        let mut batch = (vec![first.request], vec![first.reply]);
        let deadline = Instant::now() + self.max_wait;
        let max_batch = self.counters.max_batch.load(Ordering::Relaxed);
        while batch.0.len() < max_batch {
            // With the deadline gone by this still takes what is there.
            let Ok(job) = self.jobs.recv_deadline(deadline) else { break };
            batch.0.push(job.request);
            batch.1.push(job.reply);
        }
        batch
    }

    fn answer(&mut self, (requests, replies): (Vec<K::Request>, Vec<Reply<K>>)) {
        match self.run(&requests) {
            (Ok(answers), elapsed) => {
                for (answer, reply) in answers.into_iter().zip(replies) {
                    self.reply(reply, Ok(answer), elapsed);
                }
            }
            (Err(error), elapsed) if replies.len() == 1 => {
                for reply in replies {
                    self.reply(reply, Err(error.clone()), elapsed);
                }
            }
            // One request may have spoilt it for all: each gets a run of its own.
            (Err(_), _) => {
                for (request, reply) in requests.into_iter().zip(replies) {
                    let (result, elapsed) = self.run(&[request]);
                    let answer = result.and_then(|answers| {
                        answers.into_iter().next().ok_or_else(|| self.wrong("no answer"))
                    });
                    self.reply(reply, answer, elapsed);
                }
            }
        }
    }

    /// One run, in which a panic is an error like any other.
    fn run(&mut self, requests: &[K::Request]) -> (Result<Vec<K::Answer>, ModelError>, Duration) {
        let begin = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| K::run(&mut self.model, requests)));
        let elapsed = begin.elapsed();
        let result = match outcome {
            Ok(Ok(answers)) if answers.len() != requests.len() => Err(self.wrong(&format!(
                "{} answers to {} requests",
                answers.len(),
                requests.len()
            ))),
            Ok(result) => result,
            Err(panic) => Err(self.wrong(&format!("it panicked: {}", message(&*panic)))),
        };
        let failed = if result.is_err() { requests.len() } else { 0 };
        if requests.iter().any(K::is_work) {
            self.counters.count(requests.len(), failed, elapsed);
        }
        (result, elapsed)
    }

    fn wrong(&self, detail: &str) -> ModelError {
        ModelError::Run { name: self.id.to_string(), detail: detail.into() }
    }

    /// Calls a reply; should it panic, the next request is still answered.
    fn reply(&self, reply: Reply<K>, answer: Result<K::Answer, ModelError>, elapsed: Duration) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| reply(answer, elapsed))) {
            tracing::error!(model = %self.id, "a reply panicked: {}", message(&*panic));
        }
    }
}

/// What a panic said.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
