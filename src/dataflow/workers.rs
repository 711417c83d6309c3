//! The workers of the timely runtime: they wait for commands and for work, and park when there is
//! neither. A command goes to the first worker, whose sequencer hands it to all workers in the
//! same order, so that every worker builds the same dataflows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
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
}

/// A source that is about to be built, and how many workers have not built it yet.
type Plans = Mutex<BTreeMap<SourceId, (Arc<RunningSource>, usize)>>;

/// The running workers; dropping this stops them.
pub struct Workers {
    commands: Sender<Command>,
    first: Thread,
    plans: Arc<Plans>,
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
        let plans: Arc<Plans> = Arc::default();
        let communication =
            if count == 1 { Communication::Thread } else { Communication::Process(count) };
        // A worker that spins before it parks would keep an idle server's core busy.
        let worker = WorkerConfig::default().idle_spin(Duration::ZERO);
        let guards = timely::execute(Config { communication, worker }, {
            let plans = Arc::clone(&plans);
            move |worker| {
                if worker.index() == 0 {
                    let _ = hello.send(std::thread::current());
                }
                run(worker, &inbox, &plans, &shared);
            }
        })?;
        let first = first.recv().map_err(|_| "the first worker did not start".to_owned())?;
        Ok(Self { commands, first, plans, count, guards: Mutex::new(Some(guards)) })
    }

    /// Number of workers.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Builds the dataflow of a source on all workers.
    pub fn start_source(&self, source: Arc<RunningSource>) {
        let id = source.id;
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.insert(id, (source, self.count));
        drop(plans);
        self.tell(Command::Start(id));
    }

    /// Drops the dataflow of a source on all workers.
    pub fn drop_source(&self, id: SourceId) {
        self.tell(Command::Drop(id));
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
        // Dropping the guards joins the threads.
        self.guards.get_mut().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn run(worker: &mut Worker, inbox: &Receiver<Command>, plans: &Plans, shared: &Shared) {
    let mut sequencer = Sequencer::new(worker, shared.clock.origin());
    let mut dataflows: BTreeMap<SourceId, usize> = BTreeMap::new();
    'running: loop {
        if worker.index() == 0 {
            while let Ok(command) = inbox.try_recv() {
                sequencer.push(command);
            }
        }
        for command in sequencer.by_ref() {
            match command {
                Command::Start(id) => {
                    if let Some(source) = take_plan(plans, id) {
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
            }
        }
        worker.step_or_park(None);
    }
    drop(sequencer);
    for dataflow in worker.installed_dataflows() {
        worker.drop_dataflow(dataflow);
    }
}

/// The source to build; the last worker that asks takes it away.
fn take_plan(plans: &Plans, id: SourceId) -> Option<Arc<RunningSource>> {
    let mut plans = plans.lock().unwrap_or_else(PoisonError::into_inner);
    let (source, left) = plans.get_mut(&id)?;
    let source = Arc::clone(source);
    *left -= 1;
    if *left == 0 {
        plans.remove(&id);
    }
    Some(source)
}
