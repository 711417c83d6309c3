//! The workers of the timely runtime: they wait for commands and for work, and park when there is
//! neither. A command goes to the first worker, whose sequencer hands it to all workers in the
//! same order, so that every worker builds the same dataflows.
//!
//! A worker that panics takes the others down with it, as they share its dataflows: every source
//! fails, what was committed can still be asked, and no source can be started any more.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::Thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use serde::{Deserialize, Serialize};
use timely::communication::Config as Communication;
use timely::communication::WorkerGuards;
use timely::synchronization::Sequencer;
use timely::worker::Worker;
use timely::{Config, WorkerConfig};

use super::clock::Tick;
use super::source::{Shared, build};
use crate::engine::RunningSource;
use crate::error::Error;
use crate::source_id::SourceId;

/// At most so many commands wait for the first worker; a statement that gives another one waits.
const MAX_WAITING_COMMANDS: usize = 64;

/// What all workers are told, in the same order.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Command {
    /// Build the dataflow of a source.
    Start(SourceId),
    /// Drop it.
    Drop(SourceId),
    /// Drop everything and return.
    Stop,
    /// What a mistake in an operator would do.
    #[cfg(test)]
    Panic,
}

/// What the workers share with those who command them.
#[derive(Default)]
struct Crew {
    /// Sources that are about to be built, and how many workers have not built each yet.
    plans: Mutex<BTreeMap<SourceId, (Arc<RunningSource>, usize)>>,
    /// Sources whose dataflow was ordered and not dropped.
    started: Mutex<BTreeMap<SourceId, Weak<RunningSource>>>,
    threads: Mutex<Vec<Thread>>,
    /// Whether a worker panicked.
    is_broken: AtomicBool,
}

impl Crew {
    fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::SeqCst)
    }

    /// The source to build; the last worker that asks takes it away.
    fn take_plan(&self, id: SourceId) -> Option<Arc<RunningSource>> {
        let mut plans = lock(&self.plans);
        let (source, left) = plans.get_mut(&id)?;
        let source = Arc::clone(source);
        *left -= 1;
        if *left == 0 {
            plans.remove(&id);
        }
        Some(source)
    }

    /// A worker panicked: the others stop, and every source fails.
    fn abandon(&self) {
        self.is_broken.store(true, Ordering::SeqCst);
        for thread in lock(&self.threads).iter() {
            thread.unpark();
        }
        for source in std::mem::take(&mut *lock(&self.started)).into_values() {
            if let Some(source) = source.upgrade() {
                source.fail("XX000", "a worker of the dataflow panicked");
                source.gate.close();
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The running workers; dropping this stops them.
pub struct Workers {
    commands: Sender<Command>,
    first: Thread,
    crew: Arc<Crew>,
    count: usize,
    guards: Mutex<Option<WorkerGuards<()>>>,
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workers").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Workers {
    /// Starts `count` workers (at least one).
    ///
    /// # Errors
    /// What timely says when threads cannot be started.
    pub fn start(count: usize, shared: Shared) -> Result<Self, String> {
        let count = count.max(1);
        let (commands, inbox) = bounded(MAX_WAITING_COMMANDS);
        let (hello, first) = bounded(1);
        let crew: Arc<Crew> = Arc::default();
        let communication =
            if count == 1 { Communication::Thread } else { Communication::Process(count) };
        // A worker that spins before it parks would keep an idle server's core busy.
        let worker = WorkerConfig::default().idle_spin(Duration::ZERO);
        let guards = timely::execute(Config { communication, worker }, {
            let crew = Arc::clone(&crew);
            move |worker| {
                lock(&crew.threads).push(std::thread::current());
                if worker.index() == 0 {
                    let _ = hello.send(std::thread::current());
                }
                let ran = catch_unwind(AssertUnwindSafe(|| run(worker, &inbox, &crew, &shared)));
                if let Err(panic) = ran {
                    crew.abandon();
                    resume_unwind(panic);
                }
            }
        })?;
        let first = first.recv().map_err(|_| "the first worker did not start".to_owned())?;
        Ok(Self { commands, first, crew, count, guards: Mutex::new(Some(guards)) })
    }

    /// Number of workers.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Builds the dataflow of a source on all workers.
    ///
    /// # Errors
    /// [`Error::Workers`] after a worker panicked.
    pub fn start_source(&self, source: Arc<RunningSource>) -> Result<(), Error> {
        let id = source.id;
        lock(&self.crew.started).insert(id, Arc::downgrade(&source));
        lock(&self.crew.plans).insert(id, (source, self.count));
        self.tell(Command::Start(id));
        // Asked after the source is listed: it is either refused here or failed with the others.
        if self.crew.is_broken() { Err(Error::Workers) } else { Ok(()) }
    }

    /// Drops the dataflow of a source on all workers.
    pub fn drop_source(&self, id: SourceId) {
        lock(&self.crew.started).remove(&id);
        self.tell(Command::Drop(id));
    }

    /// Makes the workers panic.
    #[cfg(test)]
    pub fn panic(&self) {
        self.tell(Command::Panic);
    }

    fn tell(&self, command: Command) {
        // It fails only when the workers are gone.
        let _ = self.commands.send(command);
        self.first.unpark();
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.tell(Command::Stop);
        let guards = self.guards.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        for joined in guards.into_iter().flat_map(WorkerGuards::join) {
            if let Err(reason) = joined {
                tracing::error!("a worker of the dataflow had panicked: {reason}");
            }
        }
    }
}

fn run(worker: &mut Worker, inbox: &Receiver<Command>, crew: &Crew, shared: &Shared) {
    let mut sequencer = Sequencer::new(worker, shared.clock.origin());
    let mut dataflows: BTreeMap<SourceId, usize> = BTreeMap::new();
    'running: while !crew.is_broken() {
        if worker.index() == 0 {
            while let Ok(command) = inbox.try_recv() {
                sequencer.push(command);
            }
        }
        for command in sequencer.by_ref() {
            match command {
                Command::Start(id) => {
                    if let Some(source) = crew.take_plan(id) {
                        let dataflow = worker.next_dataflow_index();
                        let name = format!("source {}", source.spec.name);
                        worker.dataflow_named::<Tick, _, _>(&name, |scope| {
                            build(scope, &source, shared);
                        });
                        dataflows.insert(id, dataflow);
                    }
                }
                Command::Drop(id) => {
                    if let Some(dataflow) = dataflows.remove(&id) {
                        worker.drop_dataflow(dataflow);
                    }
                }
                Command::Stop => break 'running,
                #[cfg(test)]
                Command::Panic => panic!("a test asked for it"),
            }
        }
        worker.step_or_park(None);
    }
    drop(sequencer);
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}
