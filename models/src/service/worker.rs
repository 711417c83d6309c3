//! One model's thread: requests go in through a bounded queue, each is answered by its reply.
//!
//! Nothing here knows what a request is; that is a [`Kind`]. The order of replies is the order of
//! the requests. A model that nobody asks for a while is let go, and opened again by the request
//! that comes next.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};

pub use super::counters::{CacheCounts, Latency, LoadedModel};
use super::counters::{Counters, Outcome};
use super::{OpenOptions, ServiceOptions};
use crate::backend::RunsOn;
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
        options: &ServiceOptions,
        open: OpenOptions,
    ) -> Result<(Self::Model, Self::Facts), ModelError>;

    /// Answers some requests with one run, in order.
    fn run(
        model: &mut Self::Model,
        facts: &Self::Facts,
        requests: &[Self::Request],
    ) -> Result<Vec<Self::Answer>, ModelError>;

    /// The device that the model got, where it has one.
    fn runs_on(_facts: &Self::Facts) -> Option<&RunsOn> {
        None
    }

    /// How many pictures or texts a request is of. With none it is no work for the network, and
    /// counters leave it out.
    fn items(_request: &Self::Request) -> usize {
        1
    }

    /// How often an answer was remembered, where this kind remembers any.
    fn cache(_facts: &Self::Facts) -> Option<CacheCounts> {
        None
    }
}

/// Takes the answer and how long the model worked for it, on the model's thread.
pub(super) type Reply<K> =
    Box<dyn FnOnce(Result<<K as Kind>::Answer, ModelError>, Duration) + Send>;

struct Job<K: Kind> {
    request: K::Request,
    reply: Reply<K>,
    submitted: Instant,
}

impl<K: Kind> Job<K> {
    fn new(request: K::Request, reply: Reply<K>) -> Self {
        Self { request, reply, submitted: Instant::now() }
    }
}

/// A model's queue and thread.
pub(super) struct Worker<K: Kind> {
    id: Arc<str>,
    facts: Arc<K::Facts>,
    /// `None` once the worker stops.
    jobs: Mutex<Option<Sender<Job<K>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    counters: Arc<Counters>,
}

impl<K: Kind> Worker<K> {
    /// Loads the model on the calling thread, so that its errors come here, and starts its own. Both
    /// threads and those of the session inherit the caller's priority.
    pub(super) fn start(
        registry: &Arc<Registry>,
        entry: &ModelEntry,
        options: &ServiceOptions,
        open: OpenOptions,
    ) -> Result<Self, ModelError> {
        let (model, facts) = K::open(registry, entry, options, open)?;
        let facts = Arc::new(facts);
        let id: Arc<str> = entry.id().into();
        let (sender, receiver) = bounded(options.queue.max(1));
        let counters = Arc::new(Counters::new(options.max_batch));
        let mut runner = Runner::<K> {
            id: Arc::clone(&id),
            model: Some(model),
            again: Again {
                registry: Arc::clone(registry),
                entry: entry.clone(),
                options: *options,
                open,
            },
            facts: Arc::clone(&facts),
            keep_loaded: options.keep_loaded,
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
        self.counters.allow_batch(batch_size);
    }

    /// Queues a request. Does not block; where it fails, the reply is not called.
    pub(super) fn submit(&self, request: K::Request, reply: Reply<K>) -> Result<(), ModelError> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = jobs.as_ref().ok_or(ModelError::Stopping)?;
        sender.try_send(Job::new(request, reply)).map_err(|error| match error {
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
        sender.send(Job::new(request, reply)).map_err(|_| ModelError::Stopping)?;
        drop(sender);
        answered.recv().unwrap_or(Err(ModelError::Stopping))
    }

    pub(super) fn loaded(&self) -> LoadedModel {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let queued = jobs.as_ref().map_or(0, Sender::len);
        drop(jobs);
        let mut loaded = self.counters.read(Arc::clone(&self.id), K::TASK, queued);
        loaded.runs_on = K::runs_on(&self.facts).cloned();
        loaded.cache = K::cache(&self.facts);
        loaded
    }

    /// Lets the run under way finish, answers what waits with [`ModelError::Stopping`], and waits
    /// for the thread, unless it is the calling one.
    pub(super) fn stop(&self) {
        self.counters.stop();
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

/// Somebody who waits for an answer, since when.
struct Waiting<K: Kind> {
    reply: Reply<K>,
    /// How many pictures or texts the request is of.
    items: usize,
    submitted: Instant,
}

/// What is needed to open a model once more.
struct Again {
    registry: Arc<Registry>,
    entry: ModelEntry,
    options: ServiceOptions,
    open: OpenOptions,
}

/// What lives on the model's thread.
struct Runner<K: Kind> {
    id: Arc<str>,
    /// `None` while nobody uses it.
    model: Option<K::Model>,
    again: Again,
    facts: Arc<K::Facts>,
    keep_loaded: Duration,
    jobs: Receiver<Job<K>>,
    max_wait: Duration,
    counters: Arc<Counters>,
}

impl<K: Kind> Runner<K> {
    fn work(&mut self) {
        while let Some(first) = self.next() {
            let batch = self.batch(first);
            if self.counters.is_stopping() {
                for waiting in batch.1 {
                    self.reply(waiting, Err(ModelError::Stopping), Duration::ZERO);
                }
            } else {
                self.answer(batch);
            }
        }
    }

    /// Waits for the next request, and lets go of the model when none comes for a while.
    fn next(&mut self) -> Option<Job<K>> {
        if self.model.is_some() {
            match self.jobs.recv_timeout(self.keep_loaded) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    self.model = None;
                    self.counters.set_resident(false);
                    tracing::debug!(model = %self.id, "unloaded, as nothing used it");
                }
            }
        }
        self.jobs.recv().ok()
    }

    /// The first request and those that come within `max_wait`, up to `max_batch`.
    fn batch(&self, first: Job<K>) -> (Vec<K::Request>, Vec<Waiting<K>>) {
        let (mut requests, mut waiting) = (Vec::new(), Vec::new());
        let mut take = |job: Job<K>| {
            let items = K::items(&job.request);
            requests.push(job.request);
            waiting.push(Waiting { reply: job.reply, items, submitted: job.submitted });
            requests.len()
        };
        let mut taken = take(first);
        let deadline = Instant::now() + self.max_wait;
        let max_batch = self.counters.max_batch();
        while taken < max_batch {
            // With the deadline gone by this still takes what is there.
            let Ok(job) = self.jobs.recv_deadline(deadline) else { break };
            taken = take(job);
        }
        (requests, waiting)
    }

    fn answer(&mut self, (requests, replies): (Vec<K::Request>, Vec<Waiting<K>>)) {
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
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let model = match &mut self.model {
                Some(model) => model,
                unloaded => {
                    let Again { registry, entry, options, open } = &self.again;
                    let model = unloaded.insert(K::open(registry, entry, options, *open)?.0);
                    self.counters.set_resident(true);
                    model
                }
            };
            K::run(model, &self.facts, requests)
        }));
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
        if requests.iter().any(|request| K::items(request) > 0) {
            self.counters.ran(elapsed);
        }
        (result, elapsed)
    }

    fn wrong(&self, detail: &str) -> ModelError {
        ModelError::Run { name: self.id.to_string(), detail: detail.into() }
    }

    /// Calls a reply; should it panic, the next request is still answered.
    fn reply(&self, to: Waiting<K>, answer: Result<K::Answer, ModelError>, elapsed: Duration) {
        let Waiting { reply, items, submitted } = to;
        if items > 0 {
            let outcome = if answer.is_ok() { Outcome::Answered } else { Outcome::Failed };
            self.counters.answered(items, outcome, submitted.elapsed());
        }
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
